/** Changing shape and order: reshape, transpose, join, split, repeat. */
import { fail, ShapeError } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import * as l from "../ops/linear.ts";
import * as s from "../ops/structural.ts";
import { takeRows } from "../ops/take.ts";
import {
  broadcastShapes,
  checkShape,
  normalizeAxes,
  normalizeAxis,
  range,
  type Shape,
  showShape,
  shapesEqual,
  sizeOf,
} from "../shape.ts";
import {
  type ArrayInput,
  broadcastTo as broadcast,
  promoteDTypes,
  toArray,
  toAxis,
} from "./promote.ts";

/** The same elements in another shape; one size may be −1.
 *  @example np.reshape(np.arange(6), [2, -1]).shape  // => [2, 3] */
export function reshape(x: ArrayInput, shape: Shape | number): NDArray {
  const v = toArray("reshape", x);
  const want = typeof shape === "number" ? [shape] : [...shape];
  const free = want.indexOf(-1);
  if (free >= 0) {
    const rest = sizeOf(want.filter((_, i) => i !== free));
    if (want.includes(-1, free + 1) || rest <= 0 || v.size % rest !== 0)
      fail(
        ShapeError,
        "reshape",
        "one size may be −1, and the others must divide the number of elements",
        `${v.aval} (${v.size} elements) to ${showShape(want)}`,
        "check the sizes",
      );
    want[free] = v.size / rest;
  }
  return l.reshape(v, checkShape("reshape", want));
}
/** All elements in one axis. */
export function ravel(x: ArrayInput): NDArray {
  const v = toArray("ravel", x);
  return l.reshape(v, [v.size]);
}

/** Axes in another order (reversed by default). */
export function transpose(x: ArrayInput, axes?: readonly number[]): NDArray {
  const v = toArray("transpose", x);
  if (axes === undefined) return l.transpose(v, range(v.ndim).reverse());
  if (axes.length !== v.ndim)
    fail(
      ShapeError,
      "transpose",
      "axes must name every axis once",
      `${showShape(axes)} for ${v.aval}`,
      "list all axes",
    );
  return l.transpose(v, normalizeAxes("transpose", axes, v.ndim));
}
export const permuteDims: typeof transpose = transpose;
/** The last two axes exchanged. */
export const matrixTranspose = (x: ArrayInput): NDArray => swapaxes(x, -1, -2);
export function swapaxes(x: ArrayInput, a: number, b: number): NDArray {
  const v = toArray("swapaxes", x);
  const order = range(v.ndim);
  const [i, j] = [normalizeAxis("swapaxes", a, v.ndim), normalizeAxis("swapaxes", b, v.ndim)];
  [order[i], order[j]] = [j, i];
  return l.transpose(v, order);
}
/** Moves axes to other positions; the others keep their order. */
export function moveaxis(
  x: ArrayInput,
  source: number | readonly number[],
  destination: number | readonly number[],
): NDArray {
  const v = toArray("moveaxis", x);
  const from = normalizeAxes("moveaxis", source, v.ndim);
  const to = normalizeAxes("moveaxis", destination, v.ndim);
  if (from.length !== to.length)
    fail(
      ShapeError,
      "moveaxis",
      "source and destination must have as many axes",
      `${from.length} and ${to.length}`,
      "pair them up",
    );
  const order = range(v.ndim).filter((i) => !from.includes(i));
  for (const t of to.toSorted((p, q) => p - q)) order.splice(t, 0, from[to.indexOf(t)] as number);
  return l.transpose(v, order);
}
/** Inserts axes of size 1 at the given positions of the result. */
export function expandDims(x: ArrayInput, axis: number | readonly number[]): NDArray {
  const v = toArray("expandDims", x);
  const count = typeof axis === "number" ? 1 : axis.length;
  return l.expandDims(v, normalizeAxes("expandDims", axis, v.ndim + count));
}
/** Drops axes of size 1: the given ones, or all. */
export function squeeze(x: ArrayInput, axis?: number | readonly number[]): NDArray {
  const v = toArray("squeeze", x);
  const axes =
    axis === undefined
      ? range(v.ndim).filter((i) => v.shape[i] === 1)
      : normalizeAxes("squeeze", axis, v.ndim);
  return l.squeeze(v, axes);
}
export function broadcastTo(x: ArrayInput, shape: Shape | number): NDArray {
  const v = toArray("broadcastTo", x);
  const want = checkShape("broadcastTo", shape);
  if (!shapesEqual(broadcastShapes("broadcastTo", [v.shape, want]), want))
    fail(
      ShapeError,
      "broadcastTo",
      "every axis must have size 1 or the size of the target",
      `${v.aval} to ${showShape(want)}`,
      "check the target",
    );
  return broadcast(v, want);
}
/** All operands repeated to their common shape. */
export function broadcastArrays(...xs: readonly ArrayInput[]): NDArray[] {
  const arrays = xs.map((x) => toArray("broadcastArrays", x));
  const shape = broadcastShapes(
    "broadcastArrays",
    arrays.map((x) => x.shape),
  );
  return arrays.map((x) => broadcast(x, shape));
}
export function atleast1d(x: ArrayInput): NDArray {
  const v = toArray("atleast1d", x);
  return v.ndim >= 1 ? v : l.expandDims(v, [0]);
}
export function atleast2d(x: ArrayInput): NDArray {
  const v = atleast1d(x);
  return v.ndim >= 2 ? v : l.expandDims(v, [0]);
}
export function atleast3d(x: ArrayInput): NDArray {
  const v = atleast2d(x);
  return v.ndim >= 3 ? v : l.expandDims(v, [2]);
}

// ---- joining ----

/** Arrays joined along an existing axis; dtypes are promoted.
 *  @example np.concatenate([np.ones([1]), np.zeros([2])]).toArray()  // => [1, 0, 0] */
export function concatenate(xs: readonly ArrayInput[], axis = 0): NDArray {
  const arrays = operandsOf("concatenate", xs);
  const first = arrays[0] as NDArray;
  if (first.ndim === 0)
    fail(ShapeError, "concatenate", "scalars cannot be concatenated", first.aval, "use stack");
  return s.concatenate(
    promoteDTypes("concatenate", arrays),
    normalizeAxis("concatenate", axis, first.ndim),
  );
}
export const concat: typeof concatenate = concatenate;
/** Arrays of one shape joined along a new axis.
 *  @example np.stack([np.ones([2]), np.zeros([2])]).shape  // => [2, 2] */
export function stack(xs: readonly ArrayInput[], axis = 0): NDArray {
  const arrays = operandsOf("stack", xs);
  const first = arrays[0] as NDArray;
  const at = normalizeAxis("stack", axis, first.ndim + 1);
  for (const x of arrays)
    if (!shapesEqual(x.shape, first.shape))
      fail(
        ShapeError,
        "stack",
        "all arrays must have one shape",
        `${first.aval} and ${x.aval}`,
        "use concatenate, or make the shapes equal",
      );
  return s.stack(promoteDTypes("stack", arrays), at);
}
export const vstack = (xs: readonly ArrayInput[]): NDArray => concatenate(xs.map(atleast2d), 0);
export const hstack = (xs: readonly ArrayInput[]): NDArray => {
  const arrays = xs.map(atleast1d);
  return concatenate(arrays, arrays[0]?.ndim === 1 ? 0 : 1);
};
export const dstack = (xs: readonly ArrayInput[]): NDArray => concatenate(xs.map(atleast3d), 2);
export const columnStack = (xs: readonly ArrayInput[]): NDArray =>
  concatenate(
    xs.map((x) => {
      const v = atleast1d(x);
      return v.ndim === 1 ? l.expandDims(v, [1]) : v;
    }),
    1,
  );
/** `values` joined to the end of `x`; both flattened without an axis. */
export const append = (x: ArrayInput, values: ArrayInput, axis?: number): NDArray =>
  axis === undefined ? concatenate([ravel(x), ravel(values)]) : concatenate([x, values], axis);

function operandsOf(op: string, xs: readonly ArrayInput[]): NDArray[] {
  if (!Array.isArray(xs) || xs.length === 0)
    fail(ShapeError, op, "needs a list of at least one array", "an empty list", "pass arrays");
  return xs.map((x) => toArray(op, x));
}

// ---- splitting ----

/** Pieces along an axis: `n` equal ones, or cut at the given positions. */
export function split(x: ArrayInput, parts: number | readonly number[], axis = 0): NDArray[] {
  const [v, at] = toAxis("split", x, axis);
  if (typeof parts === "number") {
    const size = v.shape[at] as number;
    if (!Number.isInteger(parts) || parts <= 0 || size % parts !== 0)
      fail(
        ShapeError,
        "split",
        "the axis must divide into equal parts",
        `${v.aval} axis ${at} = ${size} into ${parts}`,
        "use arraySplit, or give the positions",
      );
  }
  return arraySplit(v, parts, at);
}
/** Like split; the first parts are one longer where the axis does not divide. */
export function arraySplit(x: ArrayInput, parts: number | readonly number[], axis = 0): NDArray[] {
  const [v, at] = toAxis("arraySplit", x, axis);
  const size = v.shape[at] as number;
  if (typeof parts !== "number") {
    const inner = parts.map((p) => Math.min(size, Math.max(0, p < 0 ? p + size : p)));
    return [...inner, size].map((to, i) => {
      const from = inner[i - 1] ?? 0;
      return s.sliceInDim(v, from, Math.max(from, to), 1, at);
    });
  }
  const [each, more] = [Math.floor(size / parts), size % parts];
  return s.split(
    v,
    range(parts).map((i) => each + (i < more ? 1 : 0)),
    at,
  );
}
export const hsplit = (x: ArrayInput, parts: number | readonly number[]): NDArray[] =>
  split(x, parts, toArray("hsplit", x).ndim === 1 ? 0 : 1);
export const vsplit = (x: ArrayInput, parts: number | readonly number[]): NDArray[] =>
  split(x, parts, 0);
export const dsplit = (x: ArrayInput, parts: number | readonly number[]): NDArray[] =>
  split(x, parts, 2);
/** The slices along an axis, without it. */
export function unstack(x: ArrayInput, axis = 0): NDArray[] {
  const [v, at] = toAxis("unstack", x, axis);
  return s.unstack(v, at);
}

// ---- repeating and reordering ----

/** The array repeated `reps` times along each axis. */
export function tile(x: ArrayInput, reps: number | readonly number[]): NDArray {
  const given = toArray("tile", x);
  const counts = [...checkShape("tile", reps)];
  const rank = Math.max(given.ndim, counts.length);
  while (counts.length < rank) counts.unshift(1);
  const v = l.expandDims(given, range(rank - given.ndim));
  // [a, b] becomes [1, a, 1, b], is repeated along the ones and flattened
  const open = l.expandDims(
    v,
    range(rank).map((i) => 2 * i),
  );
  const shape = v.shape.flatMap((n, i) => [counts[i] as number, n]);
  return l.reshape(
    l.broadcastInDim(open, shape, range(2 * rank)),
    v.shape.map((n, i) => n * (counts[i] as number)),
  );
}
/** Each element repeated; counts may differ along the axis if they are given as numbers. */
export function repeat(x: ArrayInput, repeats: number | readonly number[], axis?: number): NDArray {
  const [v, at] = toAxis("repeat", x, axis);
  const size = v.shape[at] as number;
  const counts = checkShape("repeat", repeats);
  if (typeof repeats === "number")
    return l.reshape(
      l.moveBatch(v, null, at + 1, repeats),
      v.shape.map((n, i) => (i === at ? n * repeats : n)),
    );
  if (counts.length !== size)
    fail(
      ShapeError,
      "repeat",
      "there must be one count for each element of the axis",
      `${counts.length} counts for axis ${at} = ${size}`,
      "give as many counts, or one number",
    );
  const rows = counts.flatMap((n, i) => new Array<number>(n).fill(i));
  return takeRows(v, toArray("repeat", Int32Array.from(rows)), at);
}
/** Elements shifted around an axis (around the flattened array without one). */
export function roll(
  x: ArrayInput,
  shift: number | readonly number[],
  axis?: number | readonly number[],
): NDArray {
  const v = toArray("roll", x);
  if (axis === undefined) return l.reshape(roll(ravel(v), shift, 0), v.shape);
  const axes = typeof axis === "number" ? [axis] : axis;
  const shifts = typeof shift === "number" ? axes.map(() => shift) : shift;
  if (axes.length !== shifts.length)
    fail(
      ShapeError,
      "roll",
      "there must be one shift for each axis",
      `${shifts.length} for ${axes.length}`,
      "pair them up",
    );
  let out = v;
  axes.forEach((a, i) => {
    const at = normalizeAxis("roll", a, v.ndim);
    const n = v.shape[at] as number;
    if (n === 0) return;
    const k = modulo(shifts[i] as number, n);
    if (k === 0) return;
    out = s.concatenate(
      [s.sliceInDim(out, n - k, n, 1, at), s.sliceInDim(out, 0, n - k, 1, at)],
      at,
    );
  });
  return out;
}
/** Order reversed along the given axes (all by default). */
export function flip(x: ArrayInput, axis?: number | readonly number[]): NDArray {
  const v = toArray("flip", x);
  return s.rev(v, normalizeAxes("flip", axis, v.ndim));
}
export const fliplr = (x: ArrayInput): NDArray => flip(x, 1);
export const flipud = (x: ArrayInput): NDArray => flip(x, 0);
/** Turned by 90° `k` times in the plane of two axes. */
export function rot90(
  x: ArrayInput,
  k = 1,
  { axes = [0, 1] }: { axes?: readonly [number, number] } = {},
): NDArray {
  const v = toArray("rot90", x);
  const [a, b] = axes;
  const turns = modulo(k, 4);
  if (turns % 2 === 1) return swapaxes(flip(v, turns === 1 ? b : a), a, b);
  return turns === 0 ? v : flip(v, [a, b]);
}

export type PadWidth = number | readonly [number, number] | readonly (readonly [number, number])[];
/** Elements added before and after each axis.
 *  @param mode "constant" (`value`), "edge", "reflect", "symmetric" or "wrap"
 *  @example np.pad(np.ones([1]), [1, 1]).toArray()  // => [0, 1, 0] */
export function pad(
  x: ArrayInput,
  width: PadWidth,
  {
    mode = "constant",
    value = 0,
  }: { mode?: "constant" | "edge" | "reflect" | "symmetric" | "wrap"; value?: ArrayInput } = {},
): NDArray {
  const v = toArray("pad", x);
  const pairs = padPairs(width, v.ndim);
  if (mode === "constant") {
    const fill = l.convert(toArray("pad", value), v.dtype);
    return s.pad(
      v,
      fill,
      pairs.map(([low, high]) => [low, high, 0] as const),
    );
  }
  let out = v;
  pairs.forEach(([low, high], axis) => {
    const n = out.shape[axis] as number;
    // the ends of a mirrored axis count once or twice
    const once = mode === "reflect" ? 1 : 0;
    const period = mode === "wrap" ? n : Math.max(1, 2 * (n - once));
    const position = (i: number): number => {
      if (mode === "edge") return Math.min(n - 1, Math.max(0, i));
      const k = modulo(i, period);
      return k < n ? k : period - 1 + once - k;
    };
    if (n === 0)
      fail(ShapeError, "pad", `mode ${mode} needs elements to copy`, v.aval, "pad with a constant");
    const pieces = (from: number, to: number): NDArray[] =>
      range(to - from, from).map((i) => s.sliceInDim(out, position(i), position(i) + 1, 1, axis));
    const parts = [...pieces(-low, 0), out, ...pieces(n, n + high)];
    if (parts.length > 1) out = s.concatenate(parts, axis);
  });
  return out;
}
function padPairs(width: PadWidth, rank: number): readonly (readonly [number, number])[] {
  const given =
    typeof width === "number"
      ? [[width, width] as const]
      : typeof width[0] === "number"
        ? [width as readonly [number, number]]
        : (width as readonly (readonly [number, number])[]);
  const pairs =
    given.length === 1 ? range(rank).map(() => given[0] as readonly [number, number]) : given;
  if (
    pairs.length !== rank ||
    !pairs.every((p) => p.length === 2 && p.every((n) => Number.isInteger(n) && n >= 0))
  )
    fail(
      ShapeError,
      "pad",
      "the width must be a number, [before, after], or one such pair for each axis, of whole numbers ≥ 0",
      JSON.stringify(width),
      `give ${rank} pairs`,
    );
  return pairs;
}

/** The remainder that is not negative. */
const modulo = (x: number, n: number): number => ((x % n) + n) % n;
