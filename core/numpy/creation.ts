/** Making arrays. */
import { type DType, checkDType, promoteTypes } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import * as c from "../ops/compare.ts";
import { broadcastInDim, convert, expandDims, full as fill, moveAxis } from "../ops/linear.ts";
import { iota, selectN, stack } from "../ops/structural.ts";
import {
  broadcastShapes,
  checkShape,
  normalizeAxis,
  range,
  type Shape,
  shapesEqual,
  showShape,
} from "../shape.ts";
import { where } from "./elementwise.ts";
import {
  type ArrayInput,
  broadcastTo,
  int,
  positions,
  promoteFloat,
  promoteDTypes,
  toArray,
  toMatrix,
} from "./promote.ts";

export interface DTypeOption {
  readonly dtype?: DType;
}

const stackLeading = (xs: NDArray[]): NDArray => stack(promoteDTypes("array", xs));

/** An array of the given numbers, lists, typed array or arrays (which are stacked). Numbers are float32 and
 *  booleans bool unless `dtype` says otherwise; a typed array keeps its dtype and may be given a `shape`.
 *  @throws ShapeError for ragged lists or a typed array that does not fit; DTypeError for strings and the like
 *  @example np.array([[1, 2], [3, 4]]).shape  // => [2, 2]
 *  @example np.array([1, 2], { dtype: "int32" }).dtype  // => "int32" */
export function array(
  values: ArrayInput,
  { dtype, shape }: DTypeOption & { readonly shape?: Shape } = {},
): NDArray {
  if (dtype !== undefined) checkDType("array", dtype);
  const x = toArray("array", values, { dtype, shape, stack: stackLeading });
  // a number given on purpose is an array of its own, not a weak constant
  const strong = x.weakType ? convert(x, x.dtype) : x;
  if (shape !== undefined && !shapesEqual(strong.shape, shape))
    fail(
      ShapeError,
      "array",
      "the option shape is for typed arrays",
      `${x.aval} and shape ${showShape(shape)}`,
      "call reshape",
    );
  return strong;
}
export const asarray: typeof array = array;

/** @example np.zeros([2, 3]).shape  // => [2, 3] */
export const zeros = (shape: Shape | number, options?: DTypeOption): NDArray =>
  full(shape, 0, options);
/** @example np.ones([2]).toArray()  // => [1, 1] */
export const ones = (shape: Shape | number, options?: DTypeOption): NDArray =>
  full(shape, 1, options);
/** zeros: there is no uninitialised memory */
export const empty: typeof zeros = zeros;
/** An array of one value.
 *  @example np.full([2], 7, { dtype: "int32" }).toArray()  // => [7, 7] */
export function full(
  shape: Shape | number,
  value: ArrayInput,
  { dtype }: DTypeOption = {},
): NDArray {
  const want = checkShape("full", shape);
  const v = toArray("full", value);
  return broadcastTo(convert(v, dtype === undefined ? v.dtype : checkDType("full", dtype)), want);
}
interface LikeOptions extends DTypeOption {
  readonly shape?: Shape;
}
export const fullLike = (x: ArrayInput, value: ArrayInput, options: LikeOptions = {}): NDArray => {
  const v = toArray("fullLike", x);
  return full(options.shape ?? v.shape, value, { dtype: options.dtype ?? v.dtype });
};
export const zerosLike = (x: ArrayInput, options?: LikeOptions): NDArray => fullLike(x, 0, options);
export const onesLike = (x: ArrayInput, options?: LikeOptions): NDArray => fullLike(x, 1, options);
export const emptyLike: typeof zerosLike = zerosLike;

/** start, start + step, … below stop. `arange(n)` counts from 0. Integers come with `dtype: "int32"`.
 *  @example np.arange(3).toArray()  // => [0, 1, 2]
 *  @example np.arange(1, 6, 2).toArray()  // => [1, 3, 5] */
export function arange(
  start: number,
  stop?: number,
  step = 1,
  { dtype = "float32" }: DTypeOption = {},
): NDArray {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  if (![from, to, step].every(Number.isFinite) || step === 0)
    fail(
      ShapeError,
      "arange",
      "start, stop and step must be finite and step not 0",
      `${from}, ${to}, ${step}`,
      "check the arguments",
    );
  const n = Math.max(0, Math.ceil((to - from) / step));
  const i = iota({ dtype: checkDType("arange", dtype), shape: [n], dimension: 0 });
  const scaled = step === 1 ? i : a.mul(i, new Literal(step, dtype));
  return from === 0 ? scaled : a.add(scaled, new Literal(from, dtype));
}

/** `num` numbers from start to stop, both included unless `endpoint` is false.
 *  @example np.linspace(0, 1, 3).toArray()  // => [0, 0.5, 1] */
export function linspace(
  start: ArrayInput,
  stop: ArrayInput,
  num = 50,
  {
    endpoint = true,
    dtype = "float32",
    axis = 0,
  }: DTypeOption & { endpoint?: boolean; axis?: number } = {},
): NDArray {
  const [n] = checkShape("linspace", [num]) as [number];
  const ends = promoteFloat("linspace", start, stop);
  const shape = broadcastShapes(
    "linspace",
    ends.map((x) => x.shape),
  );
  const [u, v] = ends.map((x) => expandDims(broadcastTo(convert(x, x.dtype), shape), [0])) as [
    NDArray,
    NDArray,
  ];
  const parts = endpoint ? n - 1 : n;
  const steps = iota({ dtype: u.dtype, shape: [n, ...shape.map(() => 1)], dimension: 0 });
  const t = parts > 0 ? a.div(steps, new Literal(parts, u.dtype)) : steps;
  const one = new Literal(1, u.dtype);
  // (1 − t)·start + t·stop: exact at both ends; the last point is stop itself also where start is infinite
  const out = where(c.eq(t, one), v, a.add(a.mul(u, a.sub(one, t)), a.mul(v, t)));
  return convert(
    moveAxis(out, 0, normalizeAxis("linspace", axis, out.ndim)),
    checkDType("linspace", dtype),
  );
}

/** `num` powers of `base` between base^start and base^stop. */
export function logspace(
  start: ArrayInput,
  stop: ArrayInput,
  num = 50,
  {
    base = 10,
    dtype = "float32",
    endpoint = true,
  }: DTypeOption & { base?: number; endpoint?: boolean } = {},
): NDArray {
  const e = linspace(start, stop, num, { endpoint });
  return convert(a.pow(new Literal(base, e.dtype), e), dtype);
}

/** Ones on diagonal `k`, zeros elsewhere.
 *  @example np.eye(2).toArray()  // => [[1, 0], [0, 1]] */
export function eye(
  n: number,
  m: number = n,
  { k = 0, dtype = "float32" }: DTypeOption & { k?: number } = {},
): NDArray {
  return convert(diagonals(checkShape("eye", [n, m]), k, c.eq), checkDType("eye", dtype));
}
export const identity = (n: number, options?: DTypeOption): NDArray => eye(n, n, options);

/** Ones on and below diagonal `k`. */
export function tri(
  n: number,
  m: number = n,
  { k = 0, dtype = "float32" }: DTypeOption & { k?: number } = {},
): NDArray {
  return convert(diagonals(checkShape("tri", [n, m]), k, c.ge), checkDType("tri", dtype));
}
/** row + k compared with column, over the last two axes */
function diagonals(shape: Shape, k: number, compare: typeof c.ge): NDArray {
  const last = shape.slice(-2);
  const row = positions(last, 0);
  const shifted = k === 0 ? row : a.add(row, int(k));
  return broadcastTo(compare(shifted, positions(last, 1)), shape);
}
function triangle(op: string, x: ArrayInput, k: number, lower: boolean): NDArray {
  const v = toMatrix(op, x);
  const mask = diagonals(v.shape, lower ? k : k - 1, c.ge);
  const zero = fill(v.shape, 0, v.dtype, v.weakType);
  return selectN(mask, lower ? [zero, v] : [v, zero]);
}
/** The part of the last two axes on and below diagonal `k`; zeros above. */
export const tril = (x: ArrayInput, k = 0): NDArray => triangle("tril", x, k, true);
/** The part of the last two axes on and above diagonal `k`; zeros below. */
export const triu = (x: ArrayInput, k = 0): NDArray => triangle("triu", x, k, false);

/** Coordinate arrays of a grid.
 *  @param indexing "xy" (default) swaps the first two axes, "ij" does not */
export function meshgrid(
  xs: readonly ArrayInput[],
  { indexing = "xy" }: { indexing?: "xy" | "ij" } = {},
): NDArray[] {
  const arrays = xs.map((x) => toArray("meshgrid", x));
  const order = range(arrays.length);
  if (indexing === "xy" && arrays.length >= 2) [order[0], order[1]] = [1, 0];
  const shape = new Array<number>(arrays.length).fill(1);
  arrays.forEach((x, i) => {
    if (x.ndim > 1)
      fail(ShapeError, "meshgrid", "needs vectors", x.aval, "pass one vector for each axis");
    shape[order[i] as number] = x.size;
  });
  return arrays.map((x, i) =>
    broadcastInDim(x.ndim === 0 ? expandDims(x, [0]) : x, shape, [order[i] as number]),
  );
}

/** Values f(i, j, …) on the grid of indices, given as int32 arrays. */
export function fromFunction(f: (...indices: NDArray[]) => NDArray, shape: Shape): NDArray {
  const want = checkShape("fromFunction", shape);
  return broadcastTo(f(...want.map((_, dimension) => positions(want, dimension))), want);
}

/** One array per axis with the index along it: [rank, …shape]. */
export function indices(shape: Shape, { dtype = "int32" }: DTypeOption = {}): NDArray {
  const want = checkShape("indices", shape);
  return stack(want.map((_, dimension) => iota({ dtype, shape: want, dimension })));
}

/** The dtype in which operands meet.
 *  @example np.resultType(np.int32, np.float16)  // => "float16" */
export function resultType(...xs: readonly (ArrayInput | DType)[]): DType {
  return promoteTypes(
    "resultType",
    xs.map((x) =>
      typeof x === "string"
        ? { dtype: checkDType("resultType", x), weakType: false }
        : toArray("resultType", x),
    ),
  ).dtype;
}
