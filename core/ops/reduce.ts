/** Reductions other than the sum: extrema, products, logic, positions of extrema. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { definePrimitive, type JvpRule, noRule, type Primitive } from "../primitive.ts";
import { sizeOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { batchDropping, otherAxes, pick } from "./axes.ts";
import { eq } from "./compare.ts";
import { add, div, mul } from "./field.ts";
import {
  type AxesParams,
  bitwise,
  largest,
  mergeIndex,
  over,
  product,
  reducedAval,
  reduction,
  smallest,
} from "./fold.ts";
import { convert, reduceSum, reshape, transpose } from "./linear.ts";
import { dual, nonlinear, zeroJvp } from "./linearity.ts";
import { pad, sliceInDim } from "./structural.ts";

const noFloat = noRule("its result is not a float");

/** Tangent of an extremum: the mean of the tangents of the elements that attain it. */
const extremumJvp: JvpRule<AxesParams> = ([x], [t], params, primitive) => {
  const v = x as NDArray;
  const { axes } = params;
  const out = bind1(primitive, [v], params);
  const keepdims = v.shape.map((n, i) => (axes.includes(i) ? 1 : n));
  const hit = convert(eq(v, reshape(out, keepdims)), v.dtype);
  const count = reduceSum(hit, axes);
  return dual(out, div(reduceSum(mul(t as NDArray, hit), axes), count));
};

/** Largest element over `axes`; NaN if any is. Ties share the gradient equally. */
export const reduceMaxP: Primitive<AxesParams> = reduction(
  "reduce_max",
  largest,
  extremumJvp,
  nonlinear,
);
/** max over `axes`; −∞ (or the smallest integer) over no elements.
 *  @example reduceMax(np.array([[1, 3], [2, 0]]), [1]).toArray()  // => [3, 2] */
export const reduceMax = over(reduceMaxP);

/** Smallest element over `axes`; NaN if any is. Ties share the gradient equally. */
export const reduceMinP: Primitive<AxesParams> = reduction(
  "reduce_min",
  smallest,
  extremumJvp,
  nonlinear,
);
/** min over `axes`; ∞ (or the largest integer) over no elements.
 *  @example reduceMin(np.array([[1, 3], [2, 0]]), [1]).toArray()  // => [1, 0] */
export const reduceMin = over(reduceMinP);

/** Π over `axes`. The derivative is taken through a balanced tree of products, so that zeros are no trouble. */
export const reduceProdP: Primitive<AxesParams> = reduction(
  "reduce_prod",
  product,
  ([x], [t], { axes }) => {
    const v = x as NDArray;
    const out = reduceProd(v, axes);
    const kept = otherAxes(v.ndim, axes);
    const flat = (z: NDArray): NDArray =>
      reshape(transpose(z, [...axes, ...kept]), [sizeOf(pick(z.shape, axes)), ...out.shape]);
    return dual(out, reshape(productTree(flat(v), flat(t as NDArray)), out.shape));
  },
  nonlinear,
);
/** Tangent of the product along axis 0, by (a·b)′ = a′·b + a·b′ on halves; a shorter second half is filled with ones. */
function productTree(x: NDArray, t: NDArray): NDArray {
  const n = x.shape[0] as number;
  if (n < 2) return reduceSum(t, [0]);
  const half = Math.ceil(n / 2);
  const front = (z: NDArray): NDArray => sliceInDim(z, 0, half, 1, 0);
  const back = (z: NDArray, fill: number): NDArray => {
    const rest = sliceInDim(z, half, n, 1, 0);
    if (n % 2 === 0) return rest;
    return pad(
      rest,
      new Literal(fill, z.dtype),
      z.shape.map((_, i) => [0, i === 0 ? 1 : 0, 0]),
    );
  };
  const [a, b, da, db] = [front(x), back(x, 1), front(t), back(t, 0)];
  return productTree(mul(a, b), add(mul(da, b), mul(a, db)));
}
/** Π over `axes`; a product over none is 1.
 *  @example reduceProd(np.array([[1, 2], [3, 4]]), [1]).toArray()  // => [2, 12] */
export const reduceProd = over(reduceProdP);

const logical = (
  name: string,
  op: "and" | "or" | "xor",
  init: (d: DType) => number,
): Primitive<AxesParams> => reduction(name, bitwise(op, init), zeroJvp, noFloat);
/** Bitwise and over `axes` (logical for bool). */
export const reduceAndP = logical("reduce_and", "and", (d) =>
  dtypes[d].kind === "int" ? -1 : dtypes[d].max,
);
/** x₁ & x₂ & … over `axes` @example reduceAnd(np.array([6, 3], { dtype: "int32" }), [0]).item()  // => 2 */
export const reduceAnd = over(reduceAndP);
/** Bitwise or over `axes` (logical for bool). */
export const reduceOrP = logical("reduce_or", "or", () => 0);
/** x₁ | x₂ | … over `axes` @example reduceOr(np.array([6, 3], { dtype: "int32" }), [0]).item()  // => 7 */
export const reduceOr = over(reduceOrP);
/** Bitwise exclusive or over `axes` (logical for bool). */
export const reduceXorP = logical("reduce_xor", "xor", () => 0);
/** x₁ ^ x₂ ^ … over `axes` @example reduceXor(np.array([6, 3], { dtype: "int32" }), [0]).item()  // => 5 */
export const reduceXor = over(reduceXorP);

// ---- positions ----

export interface ArgParams {
  readonly axes: readonly [number];
  readonly indexDtype: DType;
}
function position(name: string, better: "gt" | "lt"): Primitive<ArgParams> {
  return definePrimitive<ArgParams>({
    name,
    shape: ([x], { axes, indexDtype }) => {
      if (!["int32", "uint32", "int8", "uint8"].includes(indexDtype))
        fail(DTypeError, name, "indexDtype must be an integer dtype", indexDtype, 'use "int32"');
      const out = reducedAval(name, x as Aval, axes);
      if ((x as Aval).shape[axes[0]] === 0)
        fail(
          ShapeError,
          name,
          "an empty axis has no extremum",
          `${x} along axis ${axes[0]}`,
          "check that there are elements",
        );
      return [out.with({ dtype: indexDtype, weakType: false })];
    },
    jvp: zeroJvp,
    transpose: noFloat,
    batch: batchDropping,
    lower: ([x], _outs, { axes, indexDtype }) => {
      const { dtype, shape, rank } = x as Aval;
      return {
        kind: "reduce",
        extents: [shape[axes[0]] as number],
        // the first element starts: position −1 says that there is none yet
        init: () => [K.lit(0, dtype), K.int(-1)],
        step: ([best, at], index, r, read) => {
          const [b, p] = [best as Expr, at as Expr];
          const v = read(0, mergeIndex(rank, axes, index, r));
          const none = K.compare("lt", p, K.int(0));
          let wins: Expr = K.compare(better, v, b);
          if (isFloat(dtype)) {
            // the first NaN wins and stays
            const missing = (e: Expr): Expr => K.compare("ne", e, e);
            wins = K.select(missing(b), K.lit(0, "bool"), K.or(wins, missing(v)));
          }
          const take = K.or(none, wins);
          return [K.select(take, v, b), K.select(take, r[0] as Expr, p)];
        },
        finish: ([, at]) => [K.cast(at as Expr, indexDtype)],
      };
    },
  });
}
/** Index of the first largest element along an axis; NaN counts as largest. */
export const argmaxP: Primitive<ArgParams> = position("argmax", "gt");
/** Index of the first largest element along an axis.
 *  @throws ShapeError along an empty axis, DTypeError unless `indexDtype` is an integer dtype
 *  @example argmax(np.array([1, 3, 3]), 0).item()  // => 1 */
export const argmax = (x: NDArray, axis: number, indexDtype: DType = "int32"): NDArray =>
  bind1(argmaxP, [x], { axes: [axis], indexDtype });
/** Index of the first smallest element along an axis; NaN counts as smallest. */
export const argminP: Primitive<ArgParams> = position("argmin", "lt");
/** Index of the first smallest element along an axis.
 *  @throws ShapeError along an empty axis, DTypeError unless `indexDtype` is an integer dtype
 *  @example argmin(np.array([2, 1, 1]), 0).item()  // => 1 */
export const argmin = (x: NDArray, axis: number, indexDtype: DType = "int32"): NDArray =>
  bind1(argminP, [x], { axes: [axis], indexDtype });
