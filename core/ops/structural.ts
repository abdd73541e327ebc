/** Moving and making data: this file adds counting, copying and constants for differentiation to slicing, joining
 *  and selecting. */
import { Aval } from "../aval.ts";
import { type DType, dtypes } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import { cast, type Expr } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, noRule, type Primitive } from "../primitive.ts";
import { type Shape, showShape } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { batchSame, eachElement } from "./axes.ts";
import { checkAxis } from "./checks.ts";
import { linearJvp, transposed, zeroJvp } from "./linearity.ts";
import { flat, type Plain } from "./rules.ts";

export {
  concatenate,
  concatenateP,
  split,
  type SplitParams,
  splitP,
  stack,
  tile,
  tileP,
  unstack,
} from "./join.ts";
export { clamp, clampP, select, selectN, selectNP } from "./select.ts";
export {
  indexInDim,
  pad,
  type PadAxis,
  padP,
  type PadParams,
  rev,
  revP,
  slice,
  sliceInDim,
  sliceP,
  type SliceParams,
} from "./slicing.ts";

// ---- iota ----

export interface IotaParams {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly dimension: number;
}
/** Output[index] = index[dimension] */
export const iotaP: Primitive<IotaParams> = definePrimitive<IotaParams>({
  name: "iota",
  shape: (_none, { dtype, shape, dimension }) => {
    if (dtype === "bool" || !Object.hasOwn(dtypes, dtype))
      fail(DTypeError, "iota", "needs a number dtype", String(dtype), "count in int32 and compare");
    const aval = Aval.of(shape, dtype);
    checkAxis("iota", "dimension", dimension, aval, `shape ${showShape(shape)}`);
    return [aval];
  },
  jvp: zeroJvp,
  transpose: noRule("it has no operands"),
  batch: (_size, _none, _dims, params) => ({ outs: [iota(params)], dims: [null] }),
  lower: (_none, _outs, { dtype, dimension }) =>
    eachElement((index) => cast(index[dimension] as Expr, dtype)),
});
/** The index along `dimension`, for every element of an array.
 *  @example iota({ dtype: "int32", shape: [3], dimension: 0 }) // => [0, 1, 2] */
export const iota = (params: IotaParams): NDArray => bind1(iotaP, [], params);
/** `iota` with its arguments in JAX's order. */
export const broadcastedIota = (dtype: DType, shape: Shape, dimension: number): NDArray =>
  iota({ dtype, shape, dimension });

// ---- copy, stop_gradient ----

/** The same elements. The primitive stands in the jaxpr and costs nothing. */
export const copyP: Primitive<Plain> = definePrimitive({
  name: "copy",
  shape: ([x]) => [x as Aval],
  jvp: linearJvp,
  transpose: transposed((ct) => copy(ct)),
  batch: batchSame,
  lower: () => ({ kind: "alias" }),
});
export const copy = (x: NDArray): NDArray => bind1(copyP, [x], {});

/** x, with derivative zero */
export const stopGradientP: Primitive<Plain> = definePrimitive<Plain>({
  name: "stop_gradient",
  shape: ([x]) => [x as Aval],
  jvp: zeroJvp,
  transpose: flat,
  batch: batchSame,
  lower: () => ({ kind: "alias" }),
});
/** `x`, a constant for differentiation. */
export const stopGradient = (x: NDArray): NDArray => bind1(stopGradientP, [x], {});
