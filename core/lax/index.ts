/** `lax`: the primitives as functions. Operands must agree in dtype; a number takes the dtype of its neighbour. */
import { type DType, dtypes } from "../dtype.ts";
import type { NDArray } from "../ndarray.ts";
import { dotGeneral } from "../ops/contract.ts";
import { add } from "../ops/field.ts";
import { lt } from "../ops/compare.ts";
import * as indexing from "../ops/indexing.ts";
import * as l from "../ops/linear.ts";
import { selectN } from "../ops/structural.ts";
import { range, type Shape, sizeOf } from "../shape.ts";

export {
  abs,
  ceil,
  floor,
  max,
  min,
  mulhi,
  nextafter,
  pow,
  rem,
  round,
  sign,
} from "../ops/arithmetic.ts";
export {
  and as bitwiseAnd,
  clz,
  eq,
  ge,
  gt,
  isFinite,
  le,
  lt,
  ne,
  not as bitwiseNot,
  or as bitwiseOr,
  populationCount,
  shiftLeft,
  shiftRightArithmetic,
  shiftRightLogical,
  xor as bitwiseXor,
} from "../ops/compare.ts";
export { type DotDimensionNumbers, dotGeneral } from "../ops/contract.ts";
export { bitcastConvertType, reducePrecision } from "../ops/convert.ts";
export {
  conv,
  convGeneralDilated,
  convTranspose,
  convWithGeneralPadding,
} from "../ops/conv.ts";
export { cumlogsumexp, cummax, cummin, cumprod, cumsum } from "../ops/cumulative.ts";
export { add, div, integerPow, mul, neg, reciprocal, square, sub } from "../ops/field.ts";
export { gather, scatterAdd } from "../ops/gather.ts";
export {
  broadcastInDim,
  convert as convertElementType,
  expandDims,
  full,
  reduceSum,
  reshape,
  squeeze,
  transpose,
} from "../ops/linear.ts";
export {
  argmax,
  argmin,
  reduceAnd,
  reduceMax,
  reduceMin,
  reduceOr,
  reduceProd,
  reduceXor,
} from "../ops/reduce.ts";
export { scatter, scatterMax, scatterMin, scatterMul, scatterSub } from "../ops/scatter.ts";
export { argsort, sort, topK } from "../ops/sort.ts";
export { digamma, erf, erfc, erfInv, lgamma, polygamma, zeta } from "../ops/special.ts";
export {
  broadcastedIota,
  clamp,
  concatenate,
  copy,
  indexInDim,
  iota,
  pad,
  rev,
  select,
  selectN,
  slice,
  sliceInDim,
  split,
  stack,
  stopGradient,
  tile,
  unstack,
} from "../ops/structural.ts";
export {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atan2,
  atanh,
  cbrt,
  cos,
  cosh,
  exp,
  exp2,
  expm1,
  log,
  log1p,
  logistic,
  rsqrt,
  sin,
  sinh,
  sqrt,
  tan,
  tanh,
} from "../ops/transcendental.ts";
export { reduceWindowMax, reduceWindowMin, reduceWindowSum } from "../ops/window.ts";
export { bind } from "../trace.ts";

/** New leading axes: shape `[...sizes, ...x.shape]`. */
export const broadcast = (x: NDArray, sizes: Shape): NDArray =>
  l.broadcastInDim(x, [...sizes, ...x.shape], range(x.ndim, sizes.length));
/** An array of one value with the shape (and, by default, the dtype) of another. */
export const fullLike = (x: NDArray, value: number | boolean, dtype: DType = x.dtype): NDArray =>
  l.full(x.shape, value, dtype);
/** Axes `from … to − 1` flattened into one. */
export const collapse = (x: NDArray, from: number, to: number = x.ndim): NDArray =>
  l.reshape(x, [...x.shape.slice(0, from), sizeOf(x.shape.slice(from, to)), ...x.shape.slice(to)]);
/** Product of vectors and matrices, over the last axis of x and the first of y. */
export const dot = (x: NDArray, y: NDArray): NDArray =>
  dotGeneral(x, y, { contract: [[x.ndim - 1], [0]], batch: [[], []] });
/** Stacked matrix products: [b…, m, k]·[b…, k, n] = [b…, m, n] */
export const batchMatmul = (x: NDArray, y: NDArray): NDArray => {
  const batch = range(x.ndim - 2);
  return dotGeneral(x, y, { contract: [[x.ndim - 1], [y.ndim - 2]], batch: [batch, batch] });
};

type Starts = readonly (NDArray | number)[];
/** Negative starts count from the end. */
const fromEnd = (x: NDArray, starts: Starts): Starts =>
  starts.map((s, axis) => {
    const size = x.shape[axis] ?? 0;
    if (typeof s === "number") return s < 0 ? s + size : s;
    return dtypes[s.dtype].kind === "int" ? selectN(lt(s, 0), [s, add(s, size)]) : s;
  });
/** The box of `sliceSizes` elements at `starts`: a negative start counts from the end, then all are clamped so that the box
 *  lies inside.
 *  @param starts  one integer scalar for each axis
 *  @throws        ShapeError where the slice is larger than `x`, DTypeError for starts that are not integers
 *  @example lax.dynamicSlice(np.arange(5), [-2], [1]).toArray()  // => [3] */
export const dynamicSlice = (x: NDArray, starts: Starts, sliceSizes: Shape): NDArray =>
  indexing.dynamicSlice(x, fromEnd(x, starts), sliceSizes);
/** `x` with `update` written at `starts`, which are read as `dynamicSlice` reads them.
 *  @throws        ShapeError where the update is larger than `x`, DTypeError where dtypes differ
 *  @example lax.dynamicUpdateSlice(np.zeros([3]), np.ones([1]), [-1]).toArray()  // => [0, 0, 1] */
export const dynamicUpdateSlice = (x: NDArray, update: NDArray, starts: Starts): NDArray =>
  indexing.dynamicUpdateSlice(x, update, fromEnd(x, starts));
