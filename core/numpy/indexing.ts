/** Indexing as NumPy has it: numbers, slices, new axes, "...", integer arrays and masks; functional updates. */
import { dataSync } from "../array.ts";
import { isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import { gather } from "../ops/gather.ts";
import { dynamicUpdateSlice } from "../ops/indexing.ts";
import * as l from "../ops/linear.ts";
import { scatter, scatterAdd, scatterMax, scatterMin, scatterMul } from "../ops/scatter.ts";
import { concatenate, rev, slice as sliceP } from "../ops/structural.ts";
import { broadcastShapes, range, type Shape, shapesEqual, showShape, sizeOf } from "../shape.ts";
import { where } from "./elementwise.ts";
import {
  type ArrayInput,
  broadcastTo,
  fromEnd,
  int,
  type NestedList,
  positions,
  toArray,
  truePositions,
} from "./promote.ts";

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
        p,
        "round them",
      );
  if (step === 0) fail(ShapeError, "slice", "step must not be 0", "0", "use 1 or −1");
  return new Slice(from, to, step);
}

/** One item of an index. */
export type Index = number | Slice | null | "..." | NDArray | NestedList;

/** What an index does: it puts in an axis, takes part of one, or names the elements of one. A number is
 *  a part of one element, whose axis is dropped. */
type Item =
  | { readonly kind: "new" }
  | ({ readonly kind: "number" | "slice" } & Part)
  | ({ readonly kind: "array"; readonly array: NDArray } & Part);
interface Part {
  /** the lowest index, 0 where there is none */
  readonly low: number;
  readonly count: number;
  readonly step: number;
}
const whole = new Slice(null, null, 1);

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
  const given = indices.map((i) => (Array.isArray(i) ? wholeNumbers(toArray("index", i), bad) : i));
  // a mask stands for as many axes as it has; "..." for those that nobody names
  const axesOf = (i: Index): number =>
    i === null || i === "..." ? 0 : i instanceof NDArray && i.dtype === "bool" ? i.ndim : 1;
  let hidden = x.ndim;
  for (const i of given) hidden -= axesOf(i);
  const dots = given.indexOf("...");
  if (dots < 0) given.push("...");
  else if (given.includes("...", dots + 1)) bad("'...' may stand once", "remove one");
  const advanced = given.some((i) => i instanceof NDArray && axesOf(i) > 0);
  const items: Item[] = [];
  let axis = 0;
  const part = (s: Slice): void => {
    items.push(sliceOf(s, x.shape[axis++] as number));
  };
  const elements = (array: NDArray): void => {
    items.push({ kind: "array", array, low: 0, count: x.shape[axis++] as number, step: 1 });
  };
  for (const i of given) {
    if (i === null) items.push({ kind: "new" });
    else if (i === "...") for (let k = 0; k < hidden; k++) part(whole);
    else if (i instanceof Slice) part(i);
    else if (typeof i === "number") {
      const n = x.shape[axis] as number;
      if (!Number.isInteger(i)) bad(...fraction);
      if (i < -n || i >= n)
        fail(
          ShapeError,
          "index",
          n === 0
            ? "an axis of size 0 has no elements"
            : `an index into axis ${axis} must lie between ${-n} and ${n - 1}`,
          `${i} for ${x.aval}`,
          "check the bounds",
        );
      const low = i < 0 ? i + n : i;
      // beside arrays, a number is one of rank 0
      if (advanced) elements(int(low));
      else {
        items.push({ kind: "number", low, count: 1, step: 1 });
        axis++;
      }
    } else if (!(i instanceof NDArray))
      bad("an index is a number, slice(…), null, '...', an integer array or a mask", "see slice");
    else if (i.dtype === "bool") {
      if (!shapesEqual(i.shape, x.shape.slice(axis, axis + i.ndim)))
        bad(
          "a mask must have the shape of the axes that it indexes",
          `give it the shape ${showShape(x.shape)}`,
        );
      truePositions(i, "indexing with a mask").forEach(elements);
    } else {
      if (!isInteger(i.dtype))
        fail(
          DTypeError,
          "index",
          "an index array must hold integers or bools",
          i.aval,
          'convert it with astype("int32")',
        );
      elements(fromEnd(l.convert(i, "int32"), x.shape[axis] as number));
    }
  }
  if (hidden < 0) bad(`at most ${x.ndim} axes can be indexed`, "remove an index");
  return items;
}
const fraction = ["an index must be a whole number", "round it"] as const;
function wholeNumbers(x: NDArray, bad: (requirement: string, remedy: string) => never): NDArray {
  if (!isFloat(x.dtype)) return x;
  const values = dataSync(x);
  if (!values.every(Number.isInteger)) bad(...fraction);
  return toArray("index", Int32Array.from(values), { shape: x.shape });
}

/** What a slice takes of an axis of size n. */
function sliceOf({ start, stop, step }: Slice, n: number): Part & { readonly kind: "slice" } {
  const [least, most] = step > 0 ? [0, n] : [-1, n - 1];
  const place = (i: number | null, open: number): number =>
    i === null ? open : Math.min(most, Math.max(least, i < 0 ? i + n : i));
  const first = place(start, step > 0 ? least : most);
  const last = place(stop, step > 0 ? most : least);
  const count = Math.max(0, Math.ceil((last - first) / step));
  const low = count === 0 ? 0 : Math.min(first, first + (count - 1) * step);
  return { kind: "slice", low, count, step };
}

export interface GetOptions {
  /** out-of-range entries of index arrays: "clip" (default) to the nearest element, "fill" with `fillValue` */
  readonly mode?: "clip" | "fill";
  readonly fillValue?: number;
}

/** Elements at an index.
 *  @throws ShapeError for numbers out of range; entries of index arrays are clipped, as in JAX */
export const getIndex = (x: NDArray, indices: readonly Index[], options?: GetOptions): NDArray =>
  getItems(x, parse(x, indices), options);

/** Where the items of a kind stand. */
function placesOf(items: readonly Item[], kind: Item["kind"]): number[] {
  const places: number[] = [];
  for (let i = 0; i < items.length; i++) if (items[i]?.kind === kind) places.push(i);
  return places;
}

function getItems(x: NDArray, items: readonly Item[], options: GetOptions = {}): NDArray {
  // first the parts of axes, then the elements
  const parts = items.filter((i) => i.kind !== "new");
  let out = x;
  if (parts.some((i, axis) => i.count !== x.shape[axis])) {
    const [start, limit, steps]: [number[], number[], number[]] = [[], [], []];
    for (const { low, count, step } of parts) {
      const by = Math.abs(step);
      start.push(low);
      limit.push(count === 0 ? 0 : low + (count - 1) * by + 1);
      steps.push(by);
    }
    out = sliceP(x, start, limit, steps.some((n) => n > 1) ? steps : undefined);
  }
  if (parts.some((i) => i.step < 0))
    out = rev(
      out,
      range(parts.length).filter((i) => (parts[i] as Part).step < 0),
    );
  const axes = placesOf(parts, "array");
  let [place, rank] = [0, 0];
  if (axes.length === 0) out = l.squeeze(out, placesOf(parts, "number"));
  else {
    const arrays = parts.filter((i) => i.kind === "array").map((i) => i.array);
    const batch = broadcastShapes(
      "index",
      arrays.map((i) => i.shape),
    );
    rank = batch.length;
    const starts = concatenate(
      arrays.map((i) => l.expandDims(broadcastTo(i, batch), [rank])),
      rank,
    );
    // arrays side by side put their axes where they stand, others put them first
    const standing = placesOf(items, "array");
    let first = 0;
    if (standing.every((p, k) => p === (standing[0] as number) + k))
      [place, first] = [standing[0] as number, axes[0] as number];
    const kept = range(out.ndim - axes.length);
    out = gather(out, starts, {
      mode: "clip",
      ...options,
      dimensionNumbers: {
        offsetDims: kept.map((k) => (k < first ? k : k + rank)),
        collapsedSliceDims: axes,
        startIndexMap: axes,
      },
      sliceSizes: out.shape.map((n, i) => (axes.includes(i) ? 1 : n)),
    });
  }
  const slots = items.filter((i) => i.kind === "new" || i.kind === "slice");
  return l.expandDims(
    out,
    placesOf(slots, "new").map((k) => (k < place ? k : k + rank)),
  );
}

// ---- updates ----

export interface UpdateOptions {
  /** out-of-range entries of index arrays: "drop" (default) or "clip" */
  readonly mode?: "drop" | "clip";
  readonly indicesAreSorted?: boolean;
  readonly uniqueIndices?: boolean;
}
type Combine = keyof typeof combine;
/** How a value joins an element: the scatter, and the function of both. */
const combine = {
  set: [scatter, (_x: NDArray, v: NDArray): NDArray => v],
  add: [scatterAdd, a.add],
  mul: [scatterMul, a.mul],
  min: [scatterMin, a.min],
  max: [scatterMax, a.max],
} as const;

/** `x` with the elements at an index replaced by, or combined with, `value`. */
function update(
  x: NDArray,
  indices: readonly Index[],
  value: ArrayInput,
  how: Combine,
  options: UpdateOptions,
): NDArray {
  const [write, join] = combine[how];
  const v = l.convert(toArray(how, value), x.dtype);
  const [mask, ...others] = indices;
  // a mask of the whole array needs no positions, so it works under jit
  if (
    mask instanceof NDArray &&
    mask.dtype === "bool" &&
    others.length === 0 &&
    v.ndim === 0 &&
    mask.ndim <= x.ndim
  )
    return where(l.broadcastInDim(mask, x.shape, range(mask.ndim)), join(x, v), x);
  const items = parse(x, indices);
  const spread = (shape: Shape): NDArray => {
    if (!shapesEqual(broadcastShapes(`at(…).${how}`, [v.shape, shape]), shape))
      fail(
        ShapeError,
        `at(…).${how}`,
        "the value must broadcast to the indexed part",
        `${v.aval} for ${showShape(shape)}`,
        "reshape the value",
      );
    return broadcastTo(v, shape);
  };
  // a block of neighbours is written as a whole
  if (how === "set" && items.every((i) => i.kind === "new" || isBlock(i))) {
    const start: NDArray[] = [];
    const sizes: number[] = [];
    const shape: number[] = [];
    for (const i of items) {
      if (isBlock(i)) {
        start.push(int(i.low));
        sizes.push(i.count);
      }
      if (i.kind !== "number") shape.push(isBlock(i) ? i.count : 1);
    }
    return dynamicUpdateSlice(x, l.reshape(spread(shape), sizes), start);
  }
  // where each addressed element stands in the flattened array
  const size = sizeOf(x.shape);
  const at = getItems(
    l.reshape(positions([size], 0), x.shape),
    items,
    options.mode === "clip" ? {} : { mode: "fill", fillValue: size },
  );
  const n = at.size;
  const out = write(l.reshape(x, [size]), l.reshape(at, [n, 1]), l.reshape(spread(at.shape), [n]), {
    // only integer arrays can address an element twice
    uniqueIndices: !indices.some(
      (i) => Array.isArray(i) || (i instanceof NDArray && i.dtype !== "bool"),
    ),
    ...options,
    dimensionNumbers: {
      updateWindowDims: [],
      insertedWindowDims: [0],
      scatterDimsToOperandDims: [0],
    },
    mode: "fill",
  });
  return l.reshape(out, x.shape);
}
const isBlock = (i: Item): i is Part & { kind: "number" | "slice" } =>
  (i.kind === "number" || i.kind === "slice") && i.step === 1;

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
