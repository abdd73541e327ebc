/** Reductions other than the sum: extrema, products, logic, positions of extrema. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { definePrimitive, noRule, type Primitive, Zero } from "../primitive.ts";
import { range, sizeOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { eq } from "./compare.ts";
import { add, div, mul } from "./field.ts";
import {
  type AxesParams,
  batchReduction,
  convert,
  full,
  mergeIndex,
  reducedAval,
  reduceSum,
  reshape,
  transpose,
} from "./linear.ts";
import { checkClass, type DTypeClass } from "./rules.ts";
import { pad, sliceInDim } from "./structural.ts";

const nonlinear = noRule("it is not linear");
const noFloat = noRule("its result is not a float");

/** Smallest and largest value of a dtype, infinities included. */
const lowest = (d: DType): number => (isFloat(d) ? Number.NEGATIVE_INFINITY : dtypes[d].min);
const highest = (d: DType): number => (isFloat(d) ? Number.POSITIVE_INFINITY : dtypes[d].max);

interface Fold {
  readonly name: string;
  readonly accepts: DTypeClass;
  /** dtype of the accumulator */
  readonly wide?: (d: DType) => DType;
  readonly init: (d: DType) => number;
  readonly step: (acc: Expr, x: Expr) => Expr;
}
/** A reduction by one associative operation. */
function fold(
  { name, accepts, wide = (d) => d, init, step }: Fold,
  jvp: Primitive<AxesParams>["jvp"],
  apply: (x: NDArray, axes: readonly number[]) => NDArray,
  transpose = nonlinear,
): Primitive<AxesParams> {
  return definePrimitive<AxesParams>({
    name,
    shape: ([x], { axes }) => {
      checkClass(name, accepts, x as Aval);
      return [reducedAval(name, x as Aval, axes)];
    },
    jvp,
    transpose,
    batch: batchReduction(apply),
    lower: ([x], _outs, { axes }) => {
      const { dtype, shape, rank } = x as Aval;
      const acc = wide(dtype);
      if (axes.every((a) => shape[a] === 1)) return { kind: "alias" };
      return {
        kind: "reduce",
        extents: axes.map((a) => shape[a] as number),
        init: () => [K.lit(init(dtype), acc)],
        step: ([sofar], index, r, read) => [
          step(sofar as Expr, K.cast(read(0, mergeIndex(rank, axes, index, r)), acc)),
        ],
        finish: ([total]) => [K.cast(total as Expr, dtype)],
      };
    },
  });
}

const kept = (rank: number, axes: readonly number[]): number[] =>
  range(rank).filter((i) => !axes.includes(i));

/** Tangent of an extremum: the mean of the tangents of the elements that attain it. */
const extremumJvp =
  (apply: (x: NDArray, axes: readonly number[]) => NDArray): Primitive<AxesParams>["jvp"] =>
  ([x], [t], { axes }) => {
    const v = x as NDArray;
    const out = apply(v, axes);
    if (t instanceof Zero || !isFloat(v.dtype))
      return { outs: [out], tangents: [new Zero(out.aval)] };
    const keepdims = v.shape.map((n, i) => (axes.includes(i) ? 1 : n));
    const hit = convert(eq(v, reshape(out, keepdims)), v.dtype);
    const count = reduceSum(hit, axes);
    return { outs: [out], tangents: [div(reduceSum(mul(t as NDArray, hit), axes), count)] };
  };

/** Largest element over `axes`; NaN if any is. Ties share the gradient equally. */
export const reduceMaxP: Primitive<AxesParams> = fold(
  { name: "reduce_max", accepts: "any", init: lowest, step: K.max },
  extremumJvp((x, axes) => reduceMax(x, axes)),
  (x, axes) => reduceMax(x, axes),
);
/** max over `axes`; −∞ (or the smallest integer) over no elements.
 *  @example reduceMax(np.array([[1, 3], [2, 0]]), [1]).toArray()  // => [3, 2] */
export const reduceMax = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceMaxP, [x], { axes });

/** Smallest element over `axes`; NaN if any is. Ties share the gradient equally. */
export const reduceMinP: Primitive<AxesParams> = fold(
  { name: "reduce_min", accepts: "any", init: highest, step: K.min },
  extremumJvp((x, axes) => reduceMin(x, axes)),
  (x, axes) => reduceMin(x, axes),
);
/** min over `axes`; ∞ (or the largest integer) over no elements.
 *  @example reduceMin(np.array([[1, 3], [2, 0]]), [1]).toArray()  // => [1, 0] */
export const reduceMin = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceMinP, [x], { axes });

/** Π over `axes`. The derivative is taken through a balanced tree of products, so that zeros are no trouble. */
export const reduceProdP: Primitive<AxesParams> = fold(
  {
    name: "reduce_prod",
    accepts: "number",
    // 16-bit products are taken in float32; a float32 product must overflow where float32 does
    wide: (d) => (isFloat(d) && dtypes[d].bytes < 4 ? "float32" : d),
    init: () => 1,
    step: K.mul,
  },
  ([x], [t], { axes }) => {
    const v = x as NDArray;
    const out = reduceProd(v, axes);
    if (t instanceof Zero || !isFloat(v.dtype))
      return { outs: [out], tangents: [new Zero(out.aval)] };
    const shape = kept(v.ndim, axes).map((i) => v.shape[i] as number);
    const flat = (z: NDArray): NDArray => {
      const front = transpose(z, [...axes, ...kept(z.ndim, axes)]);
      return reshape(front, [sizeOf(axes.map((i) => z.shape[i] as number)), ...shape]);
    };
    return { outs: [out], tangents: [reshape(productTree(flat(v), flat(t as NDArray)), shape)] };
  },
  (x, axes) => reduceProd(x, axes),
);
/** Tangent of the product along axis 0, by (a·b)′ = a′·b + a·b′ on halves; a shorter second half is filled with ones. */
function productTree(x: NDArray, t: NDArray): NDArray {
  const n = x.shape[0] as number;
  if (n === 0) return full(x.shape.slice(1), 0, x.dtype);
  if (n === 1) return t;
  const half = Math.ceil(n / 2);
  const front = (z: NDArray): NDArray => sliceInDim(z, 0, half, 1, 0);
  const back = (z: NDArray, fill: number): NDArray => {
    const rest = sliceInDim(z, half, n, 1, 0);
    if (n % 2 === 0) return rest;
    const config = z.shape.map((_, i) => [0, i === 0 ? 1 : 0, 0] as const);
    return pad(rest, new Literal(fill, z.dtype), config);
  };
  const [a, b, da, db] = [front(x), back(x, 1), front(t), back(t, 0)];
  return productTree(mul(a, b), add(mul(da, b), mul(a, db)));
}
/** Π over `axes`; a product over none is 1.
 *  @example reduceProd(np.array([[1, 2], [3, 4]]), [1]).toArray()  // => [2, 12] */
export const reduceProd = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceProdP, [x], { axes });

const integral =
  (apply: (x: NDArray, axes: readonly number[]) => NDArray): Primitive<AxesParams>["jvp"] =>
  ([x], _t, { axes }) => {
    const out = apply(x as NDArray, axes);
    return { outs: [out], tangents: [new Zero(out.aval)] };
  };
const logical = (
  name: string,
  op: "and" | "or" | "xor",
  init: (d: DType) => number,
  apply: (x: NDArray, axes: readonly number[]) => NDArray,
): Primitive<AxesParams> =>
  fold(
    { name, accepts: "bits", init, step: (acc, x) => K.binary(op, acc, x) },
    integral(apply),
    apply,
    noFloat,
  );
/** Bitwise and over `axes` (logical for bool). */
export const reduceAndP: Primitive<AxesParams> = logical(
  "reduce_and",
  "and",
  (d) => (d === "bool" ? 1 : dtypes[d].kind === "uint" ? dtypes[d].max : -1),
  (x, axes) => reduceAnd(x, axes),
);
/** x₁ & x₂ & … over `axes` @example reduceAnd(np.array([6, 3], { dtype: "int32" }), [0]).item()  // => 2 */
export const reduceAnd = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceAndP, [x], { axes });
/** Bitwise or over `axes` (logical for bool). */
export const reduceOrP: Primitive<AxesParams> = logical(
  "reduce_or",
  "or",
  () => 0,
  (x, axes) => reduceOr(x, axes),
);
/** x₁ | x₂ | … over `axes` @example reduceOr(np.array([6, 3], { dtype: "int32" }), [0]).item()  // => 7 */
export const reduceOr = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceOrP, [x], { axes });
/** Bitwise exclusive or over `axes` (logical for bool). */
export const reduceXorP: Primitive<AxesParams> = logical(
  "reduce_xor",
  "xor",
  () => 0,
  (x, axes) => reduceXor(x, axes),
);
/** x₁ ^ x₂ ^ … over `axes` @example reduceXor(np.array([6, 3], { dtype: "int32" }), [0]).item()  // => 5 */
export const reduceXor = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceXorP, [x], { axes });

// ---- positions ----

export interface ArgParams {
  readonly axes: readonly [number];
  readonly indexDtype: DType;
}
function position(name: string, better: "gt" | "lt"): Primitive<ArgParams> {
  const primitive: Primitive<ArgParams> = definePrimitive<ArgParams>({
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
    jvp: ([x], _t, params) => {
      const out = bind1(primitive, [x as NDArray], params);
      return { outs: [out], tangents: [new Zero(out.aval)] };
    },
    transpose: noFloat,
    batch: (_size, [x], [d], { axes: [axis], indexDtype }) => {
      const at = d as number;
      const shifted = axis >= at ? axis + 1 : axis;
      return {
        outs: [bind1(primitive, [x as NDArray], { axes: [shifted], indexDtype })],
        dims: [shifted < at ? at - 1 : at],
      };
    },
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
  return primitive;
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
