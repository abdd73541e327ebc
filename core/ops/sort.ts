/** Sorting and the largest elements. NaN comes last, −0 equals +0, equal keys keep their order. */
import { Aval } from "../aval.ts";
import { fail, ShapeError } from "../errors.ts";
import type { Buf } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive, Zero } from "../primitive.ts";
import { normalizeAxis, shapesEqual } from "../shape.ts";
import { bind } from "../trace.ts";
import { batchAlong, replaced, shifted } from "./axes.ts";
import { checkAxis } from "./checks.ts";
import { gatherAlong } from "./gather.ts";
import { batchAligned } from "./linear.ts";
import { nonlinear } from "./linearity.ts";
import { largest, sortSlices } from "./ordering.ts";
import { broadcastedIota } from "./structural.ts";

// ---- sort ----

export interface SortParams {
  readonly dimension: number;
  readonly isStable: boolean;
  readonly numKeys: number;
}
/** Operands reordered alike along an axis, so that the first `numKeys` of them increase lexicographically. */
export const sortP: Primitive<SortParams> = definePrimitive<SortParams>({
  name: "sort",
  shape: (xs, { dimension, numKeys }) => {
    const first = xs[0] as Aval;
    checkAxis("sort", "dimension", dimension, first);
    if (numKeys < 1 || numKeys > xs.length)
      fail(
        ShapeError,
        "sort",
        `numKeys must be between 1 and ${xs.length}`,
        String(numKeys),
        "count the key operands",
      );
    for (const x of xs)
      if (!shapesEqual(x.shape, first.shape))
        fail(
          ShapeError,
          "sort",
          "operands must have one shape",
          xs.join(" and "),
          "broadcast them",
        );
    return xs;
  },
  jvp: (xs, ts, params) => {
    const { dimension } = params;
    // where each element came from rides along
    const positions = broadcastedIota("int32", (xs[0] as NDArray).shape, dimension);
    const outs = sort([...xs, positions], params);
    const from = outs.pop() as NDArray;
    return {
      outs,
      tangents: ts.map((t) => (t instanceof Zero ? t : gatherAlong(t as NDArray, from, dimension))),
    };
  },
  transpose: nonlinear,
  batch: batchAligned((params, at) => ({ ...params, dimension: shifted(params.dimension, at) })),
  lower: (xs, _outs, { dimension, numKeys }) =>
    sortSlices(
      (xs[0] as Aval).shape,
      dimension,
      { keys: xs.slice(0, numKeys).map((x) => x.dtype), descending: false },
      (xs[0] as Aval).shape[dimension] as number,
      (inputs, outputs, from, _position, to) =>
        outputs.map((out, i) => out.store(to, (inputs[i] as Buf).at(from))),
    ),
});
export interface SortOptions {
  /** axis to sort along (default: the last) */
  readonly dimension?: number;
  /** how many operands are keys (default 1) */
  readonly numKeys?: number;
  readonly isStable?: boolean;
}
/** Operands reordered alike, so that the first `numKeys` of them increase lexicographically along `dimension`.
 *  @throws ShapeError without operands, where shapes differ, or for a dimension or `numKeys` out of range
 *  @example sort([np.array([2, 1]), np.array([8, 9])])[1].toArray()  // => [9, 8] */
export function sort(
  xs: readonly NDArray[],
  { dimension = -1, numKeys = 1, isStable = true }: SortOptions = {},
): NDArray[] {
  const [first] = xs;
  if (first === undefined)
    return fail(ShapeError, "sort", "needs an operand", "none", "pass at least one array");
  const at = normalizeAxis("sort", dimension, first.ndim);
  return [...bind(sortP, xs, { dimension: at, isStable, numKeys })];
}
/** Positions (int32) that sort `x` along an axis; equal elements keep their order.
 *  @throws ShapeError for a dimension out of range
 *  @example argsort(np.array([3, 1, 2])).toArray()  // => [1, 2, 0] */
export function argsort(x: NDArray, dimension = -1): NDArray {
  const at = normalizeAxis("argsort", dimension, x.ndim);
  const positions = broadcastedIota("int32", x.shape, at);
  return sort([x, positions], { dimension: at })[1] as NDArray;
}

// ---- top_k ----

export interface TopKParams {
  readonly k: number;
  readonly axis: number;
}
/** The k largest elements along an axis in decreasing order, and where they stood (int32). Of equal elements
 *  the one that stands first comes first; NaN counts as largest. */
export const topKP: Primitive<TopKParams> = definePrimitive<TopKParams>({
  name: "top_k",
  shape: ([x], { k, axis }) => {
    const a = x as Aval;
    checkAxis("topK", "axis", axis, a);
    if (!Number.isInteger(k) || k < 0 || k > (a.shape[axis] as number))
      fail(
        ShapeError,
        "topK",
        "k must be between 0 and the size of the axis",
        `k = ${k} for ${a} along axis ${axis}`,
        "choose a smaller k",
      );
    const shape = replaced(a.shape, axis, k);
    return [a.with({ shape }), Aval.of(shape, "int32")];
  },
  jvp: ([x], [t], { k, axis }) => {
    const [values, positions] = topK(x as NDArray, k, axis);
    const tangent = gatherAlong(t as NDArray, positions, axis);
    return { outs: [values, positions], tangents: [tangent, new Zero(positions.aval)] };
  },
  transpose: nonlinear,
  batch: batchAlong,
  lower: ([x], _outs, { k, axis }) => largest((x as Aval).shape, (x as Aval).dtype, axis, k),
});
/** The k largest elements along an axis in decreasing order, and their positions (int32).
 *  @throws ShapeError unless 0 ≤ k ≤ the size of the axis
 *  @example topK(np.array([1, 3, 2]), 2)[0].toArray()  // => [3, 2] */
export const topK = (x: NDArray, k: number, axis = -1): [NDArray, NDArray] =>
  bind(topKP, [x], { k, axis: normalizeAxis("topK", axis, x.ndim) }) as unknown as [
    NDArray,
    NDArray,
  ];
