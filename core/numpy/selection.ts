/** Picking, ordering and searching. */
import type { DType } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import * as c from "../ops/compare.ts";
import { gatherAlong } from "../ops/gather.ts";
import * as l from "../ops/linear.ts";
import { sort as sortOperands, topK as topKOf } from "../ops/sort.ts";
import { rev } from "../ops/structural.ts";
import { countBefore, takeRows } from "../ops/take.ts";
import { broadcastShapes, normalizeAxis, range } from "../shape.ts";
import { resultType } from "./creation.ts";
import { where } from "./elementwise.ts";
import { ravel } from "./manipulation.ts";
import {
  type ArrayInput,
  broadcastTo,
  fromEnd,
  int,
  positions,
  promoteDTypes,
  toArray,
  toAxis,
  toBool,
  truePositions,
} from "./promote.ts";

/** What to do with an index that is out of range. */
export type TakeMode = "fill" | "clip" | "wrap";

/** Bare numbers and lists of numbers are taken as whole numbers. */
const intIndices = (op: string, x: ArrayInput): NDArray => l.convert(toArray(op, x), "int32");
/** Indices counted from the start of an axis of size n, as far as the mode allows negative ones. */
const inRange = (index: NDArray, n: number, mode: TakeMode): NDArray =>
  fromEnd(mode === "wrap" ? a.rem(index, int(n)) : index, n);

/** Elements (or slices along `axis`) at the given indices; negative ones count from the end.
 *  @param mode out of range: "fill" with NaN (default; the smallest value of signed, the largest of unsigned integers), "clip" (where
 *    negative ones become 0), "wrap"
 *  @example np.take(np.array([10, 20, 30]), [2, 0]).toArray()  // => [30, 10] */
export function take(
  x: ArrayInput,
  indices: ArrayInput,
  axis?: number,
  { mode = "fill" }: { readonly mode?: TakeMode } = {},
): NDArray {
  const [v, at] = toAxis("take", x, axis);
  const given = intIndices("take", indices);
  const index = mode === "clip" ? given : inRange(given, v.shape[at] as number, mode);
  return takeRows(v, index, at, mode === "wrap" ? "clip" : mode);
}

/** out[…, i, …] = x[…, indices[…, i, …], …]: one index for each element, along one axis. */
export function takeAlongAxis(
  x: ArrayInput,
  indices: ArrayInput,
  axis?: number | null,
  { mode = "fill" }: { readonly mode?: TakeMode } = {},
): NDArray {
  const [v, at] = toAxis("takeAlongAxis", x, axis);
  const given = intIndices("takeAlongAxis", indices);
  const index0 = axis === null || axis === undefined ? ravel(given) : given;
  if (index0.ndim !== v.ndim)
    fail(
      ShapeError,
      "takeAlongAxis",
      "indices must have the rank of the array",
      `${v.aval} and ${index0.aval}`,
      "expand the indices",
    );
  const others = (s: readonly number[]): number[] => s.map((n, i) => (i === at ? 1 : n));
  const shared = broadcastShapes("takeAlongAxis", [others(v.shape), others(index0.shape)]);
  const full = (z: NDArray): NDArray =>
    broadcastTo(
      z,
      shared.map((n, i) => (i === at ? (z.shape[at] as number) : n)),
    );
  const [p, q] = [full(v), inRange(full(index0), v.shape[at] as number, mode)];
  return gatherAlong(p, q, at, mode === "wrap" ? "clip" : mode);
}

/** Elements in increasing order along an axis (the last by default); NaN last. Stable.
 *  @example np.sort(np.array([3, 1, 2])).toArray()  // => [1, 2, 3] */
export function sort(
  x: ArrayInput,
  axis = -1,
  { descending = false }: { readonly descending?: boolean } = {},
): NDArray {
  const [v, at] = toAxis("sort", x, axis);
  const out = sortOperands([v], { dimension: at })[0] as NDArray;
  return descending ? rev(out, [at]) : out;
}
/** Indices (int32) that sort the array. Stable, also when descending. */
export function argsort(
  x: ArrayInput,
  axis = -1,
  { descending = false }: { readonly descending?: boolean } = {},
): NDArray {
  const [v, at] = toAxis("argsort", x, axis);
  // equal elements keep their order when both the array and the result are reversed
  const turn = (z: NDArray): NDArray => (descending ? rev(z, [at]) : z);
  const operands = [turn(v), turn(positions(v.shape, at))];
  return turn(sortOperands(operands, { dimension: at, numKeys: 1 })[1] as NDArray);
}
/** The k largest elements of the last axis in decreasing order, and their indices (int32). */
export function topK(x: ArrayInput, k: number): [NDArray, NDArray] {
  return topKOf(toArray("topK", x), k) as [NDArray, NDArray];
}

/** The choice of the first condition that holds, else `fallback` (zero in the dtype of the choices). */
export function select(
  conditions: readonly ArrayInput[],
  choices: readonly ArrayInput[],
  fallback?: ArrayInput,
): NDArray {
  if (conditions.length !== choices.length || conditions.length === 0)
    fail(
      ShapeError,
      "select",
      "needs one choice for each condition",
      `${conditions.length} conditions, ${choices.length} choices`,
      "pair them up",
    );
  return conditions.reduceRight<NDArray>(
    (rest, condition, i) => where(condition, choices[i] as ArrayInput, rest),
    fallback === undefined ? new Literal(0, resultType(...choices)) : toArray("select", fallback),
  );
}

/** Where the values belong in a sorted vector (int32, shape of `v`): the first place with x[i] ≥ v ("left") or x[i] > v ("right"), NaN last.
 *  @param x  sorted `[n]`
 *  @throws   ShapeError when `x` is no vector
 *  @example  np.searchsorted([1, 3, 5], [3, 4]).toArray()  // => [1, 2] */
export function searchsorted(
  x: ArrayInput,
  v: ArrayInput,
  { side = "left" }: { readonly side?: "left" | "right" } = {},
): NDArray {
  const [sorted, values] = [toArray("searchsorted", x), toArray("searchsorted", v)];
  if (sorted.ndim !== 1)
    fail(ShapeError, "searchsorted", "needs a sorted vector", sorted.aval, "flatten it");
  const [s, q] = promoteDTypes("searchsorted", [sorted, values]) as [NDArray, NDArray];
  // NaN stands after everything else, as in a sorted vector
  const missing = c.ne(q, q);
  const below = (e: NDArray): NDArray =>
    side === "left" ? c.or(c.lt(e, q), c.and(missing, c.eq(e, e))) : c.or(c.le(e, q), missing);
  return countBefore(s, q.shape, below);
}

/** Indices (int32) of the nonzero elements, one vector for each axis. Needs concrete values. */
export function nonzero(x: ArrayInput): NDArray[] {
  return truePositions(toBool(toArray("nonzero", x)), "nonzero");
}

/** One row for each label: 1 at the label's place, 0 elsewhere; all zeros for labels out of range.
 *  @example np.oneHot(np.array([1], { dtype: "int32" }), 3).toArray()  // => [[0, 1, 0]] */
export function oneHot(
  labels: ArrayInput,
  classes: number,
  { dtype = "float32", axis = -1 }: { readonly dtype?: DType; readonly axis?: number } = {},
): NDArray {
  const v = intIndices("oneHot", labels);
  const at = normalizeAxis("oneHot", axis, v.ndim + 1);
  const shape = range(v.ndim + 1).map((i) => (i === at ? classes : 1));
  return l.convert(c.eq(l.expandDims(v, [at]), positions(shape, at)), dtype);
}
