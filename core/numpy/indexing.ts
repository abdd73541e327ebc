/** Indexing as NumPy has it: numbers, slices, new axes, "...", integer arrays and masks; functional updates. */
import { dataSync } from "../array.ts";
import { isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import * as c from "../ops/compare.ts";
import { gather, type GatherMode } from "../ops/gather.ts";
import { dynamicUpdateSlice } from "../ops/indexing.ts";
import * as l from "../ops/linear.ts";
import {
  scatter,
  scatterAdd,
  scatterMax,
  scatterMin,
  scatterMul,
  type ScatterOptions,
} from "../ops/scatter.ts";
import { concatenate, iota, rev, selectN, slice as sliceP } from "../ops/structural.ts";
import { broadcastShapes, range, type Shape, showShape, sizeOf } from "../shape.ts";
import { where } from "./elementwise.ts";
import { type ArrayInput, broadcastTo, type NestedList, toArray } from "./promote.ts";

/** start:stop:step of one axis; `null` where Python leaves a part out. */
export class Slice {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step: number;
  constructor(start: number | null, stop: number | null, step: number) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }
  toString(): string {
    return `${this.start ?? ""}:${this.stop ?? ""}${this.step === 1 ? "" : `:${this.step}`}`;
  }
}
/** Python's `start:stop:step`. One argument is the stop, as in Python's `slice`.
 *  @throws ShapeError when step is 0 or a part is not a whole number
 *  @example np.arange(5).get(slice(1, 4)).toArray()  // => [1, 2, 3]
 *  @example np.arange(3).get(slice(null, null, -1)).toArray()  // => [2, 1, 0] */
export function slice(start: number | null = null, stop?: number | null, step = 1): Slice {
  const [from, to] = stop === undefined ? [null, start] : [start, stop];
  for (const p of [from, to, step])
    if (p !== null && !Number.isInteger(p))
      fail(
        ShapeError,
        "slice",
        "start, stop and step must be whole numbers or null",
        String(p),
        "round them",
      );
  if (step === 0) fail(ShapeError, "slice", "step must not be 0", "0", "use 1 or −1");
  return new Slice(from, to, step);
}

/** One item of an index. */
export type Index = number | Slice | null | "..." | NDArray | NestedList;

/** What an index does to each axis of the operand. */
type Item =
  | { readonly kind: "number"; readonly at: number }
  | { readonly kind: "slice"; readonly slice: Slice }
  | { readonly kind: "new" }
  | { readonly kind: "array"; readonly array: NDArray };

/** Positions of the nonzero elements of a concrete mask, one list for each axis. */
function maskPositions(mask: NDArray): NDArray[] {
  const values = dataSync(mask, "indexing with a mask");
  const columns: number[][] = mask.shape.map(() => []);
  const index = mask.shape.map(() => 0);
  for (let p = 0; p < values.length; p++) {
    if (values[p])
      columns.forEach((column, axis) => {
        column.push(index[axis] as number);
      });
    for (let axis = index.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (mask.shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return columns.map((column) => toArray("mask", new Int32Array(column)));
}

function parse(x: NDArray, indices: readonly Index[]): Item[] {
  const describeIndex = (i: unknown): string =>
    i instanceof NDArray
      ? String(i.aval)
      : i instanceof Slice
        ? String(i)
        : (JSON.stringify(i) ?? String(i));
  const bad = (requirement: string, remedy: string): never =>
    fail(
      ShapeError,
      "index",
      requirement,
      `[${indices.map(describeIndex).join(", ")}] for ${x.aval}`,
      remedy,
    );
  const whole = (list: NestedList): NDArray =>
    wholeNumbers(toArray("index", list, list.length === 0 ? { dtype: "int32" } : {}), () =>
      bad("an index must be a whole number", "round it"),
    );
  const given = indices.map((i) => (Array.isArray(i) ? whole(i) : i));
  const items: (Item | "...")[] = [];
  // a mask stands for as many axes as it has; "..." for those that nobody names
  const axesOf = (i: Index): number =>
    i === null || i === "..." ? 0 : i instanceof NDArray && i.dtype === "bool" ? i.ndim : 1;
  const named = given.reduce<number>((n, i) => n + axesOf(i), 0);
  let consumed = 0;
  let hidden = 0;
  for (const i of given) {
    if (i === null) items.push({ kind: "new" });
    else if (i === "...") {
      if (items.includes("...")) bad("'...' may stand once", "remove one");
      items.push("...");
      hidden = Math.max(0, x.ndim - named);
    } else if (i instanceof Slice) {
      items.push({ kind: "slice", slice: i });
      consumed++;
    } else if (typeof i === "number") {
      if (!Number.isInteger(i)) bad("an index must be a whole number", "round it");
      items.push({ kind: "number", at: i });
      consumed++;
    } else if (i instanceof NDArray) {
      if (i.dtype === "bool") {
        for (let axis = 0; axis < i.ndim; axis++)
          if (i.shape[axis] !== x.shape[hidden + consumed + axis])
            bad(
              "a mask must have the shape of the axes that it indexes",
              `give it the shape ${showShape(x.shape)}`,
            );
        for (const column of maskPositions(i)) items.push({ kind: "array", array: column });
        consumed += i.ndim;
      } else {
        if (!isInteger(i.dtype))
          return fail(
            DTypeError,
            "index",
            "an index array must hold integers or bools",
            String(i.aval),
            'convert it with astype("int32")',
          );
        items.push({ kind: "array", array: l.convert(i, "int32") });
        consumed++;
      }
    } else
      bad("an index is a number, slice(…), null, '...', an integer array or a mask", "see slice");
  }
  if (consumed > x.ndim) bad(`at most ${x.ndim} axes can be indexed`, "remove an index");
  const rest = range(x.ndim - consumed).map(
    (): Item => ({ kind: "slice", slice: new Slice(null, null, 1) }),
  );
  const at = items.indexOf("...");
  return (
    at < 0 ? [...items, ...rest] : [...items.slice(0, at), ...rest, ...items.slice(at + 1)]
  ) as Item[];
}
function wholeNumbers(x: NDArray, bad: () => never): NDArray {
  if (!isFloat(x.dtype)) return x;
  const values = dataSync(x);
  if (!values.every(Number.isInteger)) bad();
  return toArray("index", Int32Array.from(values), { shape: x.shape });
}

/** Bounds of a slice on an axis of size n: first, count and step. */
function resolve(
  { start, stop, step }: Slice,
  n: number,
): { first: number; count: number; step: number } {
  const clamp = (i: number, low: number, high: number): number =>
    Math.min(high, Math.max(low, i < 0 ? i + n : i));
  const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
  const first = start === null ? (step > 0 ? 0 : n - 1) : clamp(start, low, high);
  const last = stop === null ? (step > 0 ? n : -1) : clamp(stop, low, high);
  return { first, count: Math.max(0, Math.ceil((last - first) / step)), step };
}

function checkNumber(x: NDArray, axis: number, at: number): number {
  const n = x.shape[axis] as number;
  if (at >= -n && at < n) return at < 0 ? at + n : at;
  return fail(
    ShapeError,
    "index",
    n === 0
      ? "an axis of size 0 has no elements"
      : `an index into axis ${axis} must lie between ${-n} and ${n - 1}`,
    `${at} for ${x.aval}`,
    "check the bounds",
  );
}

export interface GetOptions {
  /** out-of-range entries of index arrays: "clip" (default) to the nearest element, "fill" with `fillValue` */
  readonly mode?: "clip" | "fill";
  readonly fillValue?: number;
}

/** Elements at an index.
 *  @throws ShapeError for numbers out of range; entries of index arrays are clipped, as in JAX */
export function getIndex(x: NDArray, indices: readonly Index[], options: GetOptions = {}): NDArray {
  const items = parse(x, indices);
  const advanced = items.some((i) => i.kind === "array");
  // static part: slices, and numbers where no array takes part
  const start: number[] = [];
  const limit: number[] = [];
  const strides: number[] = [];
  const flipped: number[] = [];
  const dropped: number[] = [];
  let axis = 0;
  for (const item of items) {
    if (item.kind === "new") continue;
    const n = x.shape[axis] as number;
    if (item.kind === "slice") {
      const { first, count, step } = resolve(item.slice, n);
      const last = first + (count - 1) * step;
      if (step < 0) flipped.push(axis);
      start.push(count === 0 ? 0 : Math.min(first, last));
      limit.push(count === 0 ? 0 : Math.max(first, last) + 1);
      strides.push(Math.abs(step));
    } else if (item.kind === "number" && !advanced) {
      const at = checkNumber(x, axis, item.at);
      start.push(at);
      limit.push(at + 1);
      strides.push(1);
      dropped.push(axis);
    } else {
      start.push(0);
      limit.push(n);
      strides.push(1);
    }
    axis++;
  }
  const whole = start.every((s, i) => s === 0 && limit[i] === x.shape[i] && strides[i] === 1);
  let out = whole
    ? x
    : sliceP(x, start, limit, strides.every((s) => s === 1) ? undefined : strides);
  if (flipped.length > 0) out = rev(out, flipped);
  if (!advanced)
    return insertNew(
      l.squeeze(out, dropped),
      items.filter((i) => i.kind !== "number"),
    );
  return gatherItems(out, items, options);
}

/** New axes put in, given the items that leave an axis in the result. */
function insertNew(x: NDArray, items: readonly Item[]): NDArray {
  const positions = items.flatMap((item, i) => (item.kind === "new" ? [i] : []));
  return positions.length === 0 ? x : l.expandDims(x, positions);
}

function gatherItems(
  x: NDArray,
  items: readonly Item[],
  { mode = "clip", fillValue }: GetOptions,
): NDArray {
  // numbers beside arrays are index arrays of rank 0
  const axes: number[] = [];
  const arrays: NDArray[] = [];
  const standing: number[] = [];
  let axis = 0;
  items.forEach((item, position) => {
    if (item.kind === "new") return;
    if (item.kind === "array" || item.kind === "number") {
      axes.push(axis);
      standing.push(position);
      arrays.push(
        item.kind === "array"
          ? fromEnd(item.array, x.shape[axis] as number)
          : new Literal(checkNumber(x, axis, item.at), "int32"),
      );
    }
    axis++;
  });
  const batch = broadcastShapes("index", ...arrays.map((i) => i.shape));
  const starts = concatenate(
    arrays.map((i) => l.expandDims(broadcastTo(i, batch), [batch.length])),
    batch.length,
  );
  const kept = range(x.ndim).filter((i) => !axes.includes(i));
  // arrays side by side put their axes where they stand, others put them first
  const adjacent = standing.every((p, k) => k === 0 || p === (standing[k - 1] as number) + 1);
  const before = adjacent ? kept.filter((i) => i < (axes[0] as number)).length : 0;
  const offsetDims = kept.map((_, k) => (k < before ? k : k + batch.length));
  const out = gather(x, starts, {
    dimensionNumbers: { offsetDims, collapsedSliceDims: axes, startIndexMap: axes },
    sliceSizes: x.shape.map((n, i) => (axes.includes(i) ? 1 : n)),
    mode: mode as GatherMode,
    ...(fillValue === undefined ? {} : { fillValue }),
  });
  // positions of new axes in the result
  const layout: ("new" | "axis")[] = [];
  const slots = items.filter((i) => i.kind === "new" || i.kind === "slice");
  const first = items.findIndex((i) => i.kind === "array" || i.kind === "number");
  const slotsBefore = adjacent
    ? items.slice(0, first).filter((i) => i.kind !== "array" && i.kind !== "number").length
    : 0;
  slots.forEach((slot, k) => {
    if (k === slotsBefore) layout.push(...batch.map(() => "axis" as const));
    layout.push(slot.kind === "new" ? "new" : "axis");
  });
  if (slotsBefore === slots.length) layout.push(...batch.map(() => "axis" as const));
  const positions = layout.flatMap((kind, i) => (kind === "new" ? [i] : []));
  return positions.length === 0 ? out : l.expandDims(out, positions);
}
/** Negative entries count from the end. */
const fromEnd = (i: NDArray, n: number): NDArray =>
  selectN(c.lt(i, new Literal(0, "int32")), [i, a.add(i, new Literal(n, "int32"))]);

// ---- updates ----

export interface UpdateOptions {
  /** out-of-range entries of index arrays: "drop" (default) or "clip" */
  readonly mode?: "drop" | "clip";
  readonly indicesAreSorted?: boolean;
  readonly uniqueIndices?: boolean;
}
type Combine = "set" | "add" | "mul" | "min" | "max";
const scatters = {
  set: scatter,
  add: scatterAdd,
  mul: scatterMul,
  min: scatterMin,
  max: scatterMax,
} as const;

const combined = {
  set: (_x: NDArray, v: NDArray): NDArray => v,
  add: a.add,
  mul: a.mul,
  min: a.min,
  max: a.max,
} as const;

/** `x` with the elements at an index replaced by, or combined with, `value`. */
function update(
  x: NDArray,
  indices: readonly Index[],
  value: ArrayInput,
  how: Combine,
  options: UpdateOptions,
): NDArray {
  const v = l.convert(toArray(how, value), x.dtype);
  const mask =
    indices.length === 1 && indices[0] instanceof NDArray && indices[0].dtype === "bool"
      ? indices[0]
      : null;
  // a mask of the whole array needs no positions, so it works under jit
  if (mask !== null && v.ndim === 0 && mask.ndim <= x.ndim) {
    const full = l.broadcastInDim(mask, x.shape, range(mask.ndim));
    return where(full, combined[how](x, v), x);
  }
  const block = how === "set" ? staticBlock(x, indices) : null;
  if (block !== null)
    return dynamicUpdateSlice(
      x,
      l.reshape(broadcastTo(v, checkedShape(how, v, block.shape)), block.sizes),
      block.start.map((s) => new Literal(s, "int32")),
    );
  // where each addressed element stands in the flattened array
  const size = sizeOf(x.shape);
  const places = l.reshape(iota({ dtype: "int32", shape: [size], dimension: 0 }), x.shape);
  const at = getIndex(
    places,
    indices,
    options.mode === "clip" ? {} : { mode: "fill", fillValue: size },
  );
  const n = at.size;
  const updates = l.reshape(broadcastTo(v, checkedShape(how, v, at.shape)), [n]);
  const settings: ScatterOptions = {
    dimensionNumbers: {
      updateWindowDims: [],
      insertedWindowDims: [0],
      scatterDimsToOperandDims: [0],
    },
    mode: "fill",
    ...(options.indicesAreSorted === undefined
      ? {}
      : { indicesAreSorted: options.indicesAreSorted }),
    // only integer arrays can address an element twice
    uniqueIndices:
      options.uniqueIndices ??
      !indices.some((i) => Array.isArray(i) || (i instanceof NDArray && i.dtype !== "bool")),
  };
  const out = scatters[how](l.reshape(x, [size]), l.reshape(at, [n, 1]), updates, settings);
  return l.reshape(out, x.shape);
}
function checkedShape(how: string, v: NDArray, shape: Shape): Shape {
  const met = broadcastShapes(`at(…).${how}`, v.shape, shape);
  if (showShape(met) !== showShape(shape))
    fail(
      ShapeError,
      `at(…).${how}`,
      "the value must broadcast to the indexed part",
      `${v.aval} for ${showShape(shape)}`,
      "reshape the value",
    );
  return shape;
}
/** The box that an index of numbers and unit slices addresses, or null. */
function staticBlock(
  x: NDArray,
  indices: readonly Index[],
): { start: number[]; sizes: number[]; shape: number[] } | null {
  if (indices.some((i) => i instanceof NDArray || Array.isArray(i))) return null;
  const start: number[] = [];
  const sizes: number[] = [];
  const shape: number[] = [];
  let axis = 0;
  for (const item of parse(x, indices)) {
    if (item.kind === "new") shape.push(1);
    else if (item.kind === "number") {
      start.push(checkNumber(x, axis++, item.at));
      sizes.push(1);
    } else if (item.kind === "slice") {
      const { first, count, step } = resolve(item.slice, x.shape[axis++] as number);
      if (step !== 1) return null;
      start.push(count === 0 ? 0 : first);
      sizes.push(count);
      shape.push(count);
    }
  }
  return { start, sizes, shape };
}

/** A place in an array, for functional updates: `x.at(1, slice(2)).set(0)`. */
export class At {
  readonly #x: NDArray;
  readonly #indices: readonly Index[];
  constructor(x: NDArray, indices: readonly Index[]) {
    this.#x = x;
    this.#indices = indices;
  }
  /** the elements there */
  get(options?: GetOptions): NDArray {
    return getIndex(this.#x, this.#indices, options);
  }
  /** the array with these elements replaced; where an index repeats, the last value stays */
  set(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return update(this.#x, this.#indices, value, "set", options);
  }
  /** … with `value` added; repeated indices add up */
  add(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return update(this.#x, this.#indices, value, "add", options);
  }
  subtract(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return update(this.#x, this.#indices, a.neg(toArray("subtract", value)), "add", options);
  }
  multiply(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return update(this.#x, this.#indices, value, "mul", options);
  }
  mul(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return this.multiply(value, options);
  }
  divide(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    const v = l.convert(toArray("divide", value), this.#x.dtype);
    return update(this.#x, this.#indices, a.div(new Literal(1, v.dtype), v), "mul", options);
  }
  min(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return update(this.#x, this.#indices, value, "min", options);
  }
  max(value: ArrayInput, options: UpdateOptions = {}): NDArray {
    return update(this.#x, this.#indices, value, "max", options);
  }
  /** … with `f` applied to them */
  apply(f: (x: NDArray) => NDArray, options: UpdateOptions = {}): NDArray {
    return this.set(f(this.get()), options);
  }
}
