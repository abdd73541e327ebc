/** Where gather and scatter find their windows: dimension numbers, their checks, start positions, batching.
 *
 *  An index array `[…batch, n]` holds a vector of n start positions for each window. The array of windows
 *  (gather's result, scatter's updates) has the batch axes of the index array and the axes of a window, mixed
 *  as the dimension numbers say.
 *  @source OpenXLA, "Operation semantics": Gather and Scatter */
import type { Aval } from "../aval.ts";
import { isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { range, type Shape, showShape } from "../shape.ts";
import { allShifted, otherAxes } from "./axes.ts";

/** Out-of-range windows are moved inside ("clip"), filled or dropped ("fill"), or promised not to occur: then
 *  gather clips and scatter drops, and derivatives may disagree with the values. */
export type GatherMode = "clip" | "fill" | "promise";

export interface GatherDimensionNumbers {
  /** axes of the result that lie inside a window, increasing */
  readonly offsetDims: readonly number[];
  /** operand axes of window size 1 that the result leaves out, increasing */
  readonly collapsedSliceDims: readonly number[];
  /** operand axis of each entry of an index vector */
  readonly startIndexMap: readonly number[];
  /** operand axes that run together with an axis of the index array, increasing */
  readonly operandBatchingDims?: readonly number[];
  /** those axes of the index array, in the same order */
  readonly startIndicesBatchingDims?: readonly number[];
}
export interface ScatterDimensionNumbers {
  /** axes of the updates that lie inside a window, increasing */
  readonly updateWindowDims: readonly number[];
  /** operand axes of window size 1 that the updates leave out, increasing */
  readonly insertedWindowDims: readonly number[];
  /** operand axis of each entry of an index vector */
  readonly scatterDimsToOperandDims: readonly number[];
  /** operand axes that run together with an axis of the index array, increasing */
  readonly operandBatchingDims?: readonly number[];
  /** those axes of the index array, in the same order */
  readonly scatterIndicesBatchingDims?: readonly number[];
}

/** What both kinds of dimension numbers say. */
export interface Windows {
  readonly window: readonly number[];
  readonly dropped: readonly number[];
  readonly map: readonly number[];
  readonly operandBatch: readonly number[];
  readonly indexBatch: readonly number[];
}
type Field = keyof Windows;
/** What users call the fields of `Windows`. */
type Names<D> = { readonly [F in Field]: keyof D };
export const gatherNames: Names<GatherDimensionNumbers> = {
  window: "offsetDims",
  dropped: "collapsedSliceDims",
  map: "startIndexMap",
  operandBatch: "operandBatchingDims",
  indexBatch: "startIndicesBatchingDims",
};
export const scatterNames: Names<ScatterDimensionNumbers> = {
  window: "updateWindowDims",
  dropped: "insertedWindowDims",
  map: "scatterDimsToOperandDims",
  operandBatch: "operandBatchingDims",
  indexBatch: "scatterIndicesBatchingDims",
};
const fields = Object.keys(gatherNames) as Field[];
export const windowsOf = <D>(names: Names<D>, d: D): Windows =>
  Object.fromEntries(fields.map((f) => [f, d[names[f]] ?? []])) as unknown as Windows;

// ---- shapes ----

/** Operand axes that a window keeps, in order: axis i of the list stands at `window[i]` of the windows. */
export const keptAxes = (rank: number, w: Windows): number[] =>
  otherAxes(rank, [...w.dropped, ...w.operandBatch]);
/** Axes of the windows that are batch axes of the index array, in order. */
export const batchAxes = (windowsRank: number, w: Windows): number[] =>
  otherAxes(windowsRank, w.window);

/** Size of a window on each operand axis, from the shape of the windows. */
export function windowSizes(rank: number, windows: Shape, w: Windows): number[] {
  const kept = keptAxes(rank, w);
  return range(rank).map((i) => {
    const at = kept.indexOf(i);
    return at < 0 ? 1 : (windows[w.window[at] as number] as number);
  });
}
/** Shape of the windows. */
export function windowsShape(indices: Shape, sizes: Shape, w: Windows): number[] {
  const kept = keptAxes(sizes.length, w);
  let b = 0;
  return range(indices.length - 1 + w.window.length).map((i) => {
    const at = w.window.indexOf(i);
    return (at >= 0 ? sizes[kept[at] as number] : indices[b++]) as number;
  });
}

/** Throws unless the dimension numbers fit an operand and an index array. */
export function checkWindows(
  op: string,
  name: { readonly [F in Field]: string },
  operand: Aval,
  indices: Aval,
  w: Windows,
): void {
  if (!isInteger(indices.dtype))
    fail(DTypeError, op, "indices must be integers", String(indices), "convert them to int32");
  if (indices.rank === 0)
    fail(
      ShapeError,
      op,
      "indices must have a last axis, which holds the index vectors",
      String(indices),
      "add an axis of size 1",
    );
  const bad = (requirement: string, field: Field): never =>
    fail(
      ShapeError,
      op,
      `${name[field]} must ${requirement}`,
      `${showShape(w[field])} for operand ${operand} and indices ${indices}`,
      "check the dimension numbers",
    );
  const axes = (field: Field, rank: number, sorted: boolean): void => {
    const list = w[field];
    if (list.some((d) => !Number.isInteger(d) || d < 0 || d >= rank))
      bad(`name axes between 0 and ${rank - 1}`, field);
    if (new Set(list).size !== list.length) bad("name each axis once", field);
    if (sorted && list.some((d, i) => i > 0 && d < (list[i - 1] as number)))
      bad("be in increasing order", field);
  };
  axes("window", indices.rank - 1 + w.window.length, true);
  axes("dropped", operand.rank, true);
  axes("map", operand.rank, false);
  axes("operandBatch", operand.rank, true);
  axes("indexBatch", indices.rank - 1, false);
  if (w.map.length !== indices.shape.at(-1))
    bad(`have one operand axis for each entry of an index vector (${indices.shape.at(-1)})`, "map");
  for (const field of ["dropped", "map"] as const)
    if (w[field].some((d) => w.operandBatch.includes(d)))
      bad(`have no axis in common with ${name.operandBatch}`, field);
  if (w.indexBatch.length !== w.operandBatch.length)
    bad(`have as many axes as ${name.operandBatch}`, "indexBatch");
  w.operandBatch.forEach((d, i) => {
    if (operand.shape[d] !== indices.shape[w.indexBatch[i] as number])
      bad(`name axes of the sizes that ${name.operandBatch} has`, "indexBatch");
  });
  if (w.window.length + w.dropped.length + w.operandBatch.length !== operand.rank)
    bad(
      `account, with ${name.dropped} and ${name.operandBatch}, for the ${operand.rank} operand axes`,
      "window",
    );
}

// ---- start positions ----

/** An index of any integer dtype as an int32; values above the range stay above it. */
const toInt32 = (e: Expr): Expr =>
  e.dtype === "uint32"
    ? K.cast(K.min(e, K.lit(2 ** 31 - 1, "uint32")), "int32")
    : K.cast(e, "int32");

/** The nearest start from 0 to `last`. */
export const clampStart = (start: () => Expr, last: number): Expr =>
  last <= 0 ? K.int(0) : K.max(K.int(0), K.min(toInt32(start()), K.int(last)));

export interface Start {
  /** first position of the window on each operand axis */
  readonly at: readonly Expr[];
  /** whether the whole window lies inside the operand; always true in mode "clip" */
  readonly inside: Expr;
}
/** Start of the window at a batch position of the index array; `entry(k)` is the k-th index there. */
export function startOf(
  operand: Shape,
  sizes: Shape,
  w: Windows,
  batch: readonly Expr[],
  entry: (k: number) => Expr,
  clip: boolean,
): Start {
  let inside = K.lit(true, "bool");
  const at = operand.map((n, axis): Expr => {
    const b = w.operandBatch.indexOf(axis);
    if (b >= 0) return batch[w.indexBatch[b] as number] as Expr;
    const k = w.map.indexOf(axis);
    if (k < 0) return K.int(0);
    const last = n - (sizes[axis] as number);
    if (clip) return clampStart(() => entry(k), last);
    const start = toInt32(entry(k));
    inside = K.and(
      inside,
      K.and(K.compare("ge", start, K.int(0)), K.compare("le", start, K.int(last))),
    );
    return start;
  });
  return { at, inside };
}

// ---- batching ----

/** Dimension numbers with a new first axis on the windows and on the operand, on the indices or on both: part of each
 *  window, one more batch axis, or an axis that runs together. */
export function batchWindows(w: Windows, operand: boolean, indices: boolean): Windows {
  const [forOperand, forIndices] = [operand ? 0 : null, indices ? 0 : null];
  const together = operand && indices ? [0] : [];
  return {
    window: [...(indices ? [] : [0]), ...allShifted(w.window, 0)],
    dropped: allShifted(w.dropped, forOperand),
    map: allShifted(w.map, forOperand),
    operandBatch: [...together, ...allShifted(w.operandBatch, forOperand)],
    indexBatch: [...together, ...allShifted(w.indexBatch, forIndices)],
  };
}
