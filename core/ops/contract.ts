/** Contraction: sums of products over shared axes. All products of arrays are made of it. */
import { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import type { ContractDim } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type JvpRule, type Params, type Primitive } from "../primitive.ts";
import { inversePermutation, range, showShape, stridesOf } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import { allShifted, batched, otherAxes, pick, replaced } from "./axes.ts";
import { axisText, checkOneDType } from "./checks.ts";
import { convert, transpose } from "./linear.ts";
import { transposed } from "./linearity.ts";
import { type JvpTerm, jvpTerms } from "./rules.ts";

/** Axes of the left and the right operand that belong together. */
export type AxisPairs = readonly [lhs: readonly number[], rhs: readonly number[]];

export interface DotDimensionNumbers {
  /** axes summed over */
  readonly contract: AxisPairs;
  /** axes that run together and stay (default: none) */
  readonly batch?: AxisPairs;
}
export interface DotParams {
  readonly dimensionNumbers: Required<DotDimensionNumbers>;
  /** dtype of the result; that of the operands if null */
  readonly preferredElementType: DType | null;
}

/** Axes of an operand that are neither contracted nor batch axes. */
const freeAxes = (rank: number, contract: readonly number[], batch: readonly number[]): number[] =>
  otherAxes(rank, [...contract, ...batch]);

/** Checks the dtypes of a sum of products and gives that of the result. */
export function productDType(op: string, lhs: Aval, rhs: Aval, preferred: DType | null): DType {
  checkOneDType(op, [lhs, rhs]);
  if (preferred === null || preferred === lhs.dtype) return lhs.dtype;
  const narrower = dtypes[preferred].bytes < dtypes[lhs.dtype].bytes;
  if (preferred === "bool" || (isFloat(lhs.dtype) ? !isFloat(preferred) : narrower))
    fail(
      DTypeError,
      op,
      "preferredElementType must be able to hold the products",
      `${preferred} for ${lhs} and ${rhs}`,
      "choose a float for floats, and an integer that is not narrower or a float for integers",
    );
  return preferred;
}
/** Two operands of a transpose in one dtype: the wider of theirs. */
export function inOneDType(x: NDArray, y: NDArray): [NDArray, NDArray] {
  if (x.dtype === y.dtype) return [x, y];
  const [p, q] = [dtypes[x.dtype].bytes, dtypes[y.dtype].bytes];
  const dtype = p === q ? "float32" : p > q ? x.dtype : y.dtype;
  return [convert(x, dtype), convert(y, dtype)];
}

/** (x·y)′ = x′·y + x·y′, for products of any kind. */
export const bilinearJvp: JvpRule<Params> = jvpTerms(
  [0, 1].map(
    (i): JvpTerm<Params> =>
      (t, x, _out, params, primitive) =>
        bind1(primitive, replaced(x, i, t), params),
  ),
);

/** Throws unless the axis lists of both operands fit. */
function checkPairs(
  lhs: Aval,
  rhs: Aval,
  { contract, batch }: Required<DotDimensionNumbers>,
): void {
  [lhs, rhs].forEach((x, side) => {
    const list = [...(contract[side] as number[]), ...(batch[side] as number[])];
    if (
      list.some((a) => !Number.isInteger(a) || a < 0 || a >= x.rank) ||
      new Set(list).size !== list.length
    )
      fail(
        ShapeError,
        "dot",
        `contracted and batch axes must be distinct axes of the ${side === 0 ? "lhs" : "rhs"}`,
        `contracted ${showShape(contract[side] as number[])} and batch ${showShape(batch[side] as number[])} for ${x}`,
        "name each axis once",
      );
  });
  for (const [what, [l, r]] of [
    ["contracted", contract],
    ["batch", batch],
  ] as const) {
    if (l.length !== r.length)
      fail(
        ShapeError,
        "dot",
        `both operands must have the same number of ${what} axes`,
        `lhs ${showShape(l)}, rhs ${showShape(r)}`,
        "pair the axes",
      );
    l.forEach((a, i) => {
      const b = r[i] as number;
      if (lhs.shape[a] !== rhs.shape[b])
        fail(
          ShapeError,
          "dot",
          `${what} sizes must match`,
          `lhs ${axisText(lhs, a)}, rhs ${axisText(rhs, b)}`,
          "check operand order",
        );
    });
  }
}

/** out[batch…, m…, n…] = Σ_k lhs[batch, m, k]·rhs[batch, n, k]. Sums of floats are accumulated at least in float32. */
export const dotGeneralP: Primitive<DotParams> = definePrimitive<DotParams>({
  name: "dot_general",
  shape: (inputs, { dimensionNumbers, preferredElementType }) => {
    const [a, b] = inputs as [Aval, Aval];
    const dtype = productDType("dot", a, b, preferredElementType);
    checkPairs(a, b, dimensionNumbers);
    const { contract, batch } = dimensionNumbers;
    const shape = [
      ...pick(a.shape, batch[0]),
      ...pick(a.shape, freeAxes(a.rank, contract[0], batch[0])),
      ...pick(b.shape, freeAxes(b.rank, contract[1], batch[1])),
    ];
    return [Aval.of(shape, dtype, a.weakType && b.weakType)];
  },
  jvp: bilinearJvp,
  transpose: transposed((ct, x, { dimensionNumbers: { contract, batch } }, inputs, i) => {
    const y = inputs[1 - i] as NDArray;
    const axes = ([l, r]: AxisPairs): AxisPairs => (i === 0 ? [l, r] : [r, l]);
    const [[xc, yc], [xb, yb]] = [axes(contract), axes(batch)];
    const kept = freeAxes(x.rank, xc, xb);
    const other = freeAxes(y.ndim, yc, yb);
    const [g, v] = inOneDType(ct, y);
    const product = dotGeneral(g, v, {
      contract: [range(other.length, xb.length + (i === 0 ? kept.length : 0)), other],
      batch: [range(xb.length), yb],
    });
    // the product has the axes: batch, x's own, then y's contracted ones in y's order
    const contracted = otherAxes(y.ndim, [...yb, ...other]).map((a) => xc[yc.indexOf(a)] as number);
    const order = [...xb, ...kept, ...contracted];
    return convert(transpose(product, inversePermutation(order)), x.dtype);
  }),
  batch: (_size, xs, dims, p) => {
    const [lhs, rhs] = xs as [NDArray, NDArray];
    const [dx, dy] = dims as [number | null, number | null];
    const { contract, batch } = p.dimensionNumbers;
    const [lc, lb] = [allShifted(contract[0], dx), allShifted(batch[0], dx)];
    const [rc, rb] = [allShifted(contract[1], dy), allShifted(batch[1], dy)];
    const go = (pairs: AxisPairs, at: number) =>
      batched(
        bind(dotGeneralP, xs, { ...p, dimensionNumbers: { contract: [lc, rc], batch: pairs } }),
        at,
      );
    // the mapped axis is one more free axis of the rhs, or of the lhs, or one more batch axis
    if (dx === null)
      return go([lb, rb], lhs.ndim - lc.length + freeAxes(rhs.ndim, rc, rb).indexOf(dy as number));
    return dy === null
      ? go([lb, rb], lb.length + freeAxes(lhs.ndim, lc, lb).indexOf(dx))
      : go(
          [
            [dx, ...lb],
            [dy, ...rb],
          ],
          0,
        );
  },
  lower: (inputs, outputs, { dimensionNumbers: { contract, batch } }) => {
    const [a, b, c] = [...inputs, ...outputs] as [Aval, Aval, Aval];
    const [ls, rs, os] = [stridesOf(a.shape), stridesOf(b.shape), stridesOf(c.shape)];
    const m = freeAxes(a.rank, contract[0], batch[0]);
    const n = freeAxes(b.rank, contract[1], batch[1]);
    const dim = (
      l: number | undefined,
      r: number | undefined,
      o: number | undefined,
    ): ContractDim => ({
      size: (l === undefined ? b.shape[r as number] : a.shape[l]) as number,
      lhs: l === undefined ? 0 : (ls[l] as number),
      rhs: r === undefined ? 0 : (rs[r] as number),
      out: o === undefined ? 0 : (os[o] as number),
    });
    const [l, r] = [batch[0].length, batch[0].length + m.length];
    return {
      kind: "contract",
      batch: batch[0].map((axis, i) => dim(axis, batch[1][i], i)),
      m: m.map((axis, i) => dim(axis, undefined, l + i)),
      n: n.map((axis, i) => dim(undefined, axis, r + i)),
      k: contract[0].map((axis, i) => dim(axis, contract[1][i], undefined)),
    };
  },
});

export interface DotOptions {
  /** dtype of the result (default: that of the operands); sums are accumulated in it, at least in float32 */
  readonly preferredElementType?: DType | undefined;
}
/** out[batch…, m…, n…] = Σ_k lhs[batch, m, k]·rhs[batch, n, k]: the axes named in `contract` are summed over, those in
 *  `batch` run together; the result has the batch axes, then the other axes of the lhs, then those of the rhs.
 *  @throws ShapeError where sizes differ, DTypeError where dtypes do
 *  @example dotGeneral(np.ones([2, 3]), np.ones([3, 4]), { contract: [[1], [0]] }).shape  // => [2, 4] */
export const dotGeneral = (
  lhs: NDArray,
  rhs: NDArray,
  { contract, batch = [[], []] }: DotDimensionNumbers,
  { preferredElementType }: DotOptions = {},
): NDArray =>
  bind1(dotGeneralP, [lhs, rhs], {
    dimensionNumbers: { contract, batch },
    preferredElementType: preferredElementType ?? null,
  });
