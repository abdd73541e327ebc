/** Gather and scatter-add, each other's transposes: windows read from, or added into, an operand at positions
 *  that an index array holds. Also what all scatters share: their shape, batch and lowering rules. */
import type { Aval } from "../aval.ts";
import { castNumber, type DType, dtypes, isFloat } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { type Buf, loop, type Lowering, set, type Stmt, when } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import {
  definePrimitive,
  type LowerRule,
  type Primitive,
  type ShapeRule,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { range, type Shape, showShape, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import {
  batchAxes,
  batchWindows,
  checkWindows,
  type GatherDimensionNumbers,
  type GatherMode,
  gatherNames,
  keptAxes,
  type ScatterDimensionNumbers,
  scatterNames,
  startOf,
  type Windows,
  windowSizes,
  windowsOf,
  windowsShape,
} from "./addressing.ts";
import { batched, box, eachElement, otherAxes, pick } from "./axes.ts";
import { axisText, checkClass, checkOneDType } from "./checks.ts";
import { full, instantiate, moveAxis, moveBatch, zerosOf } from "./linear.ts";
import { dual, transposed } from "./linearity.ts";

export type { GatherDimensionNumbers, GatherMode, ScatterDimensionNumbers } from "./addressing.ts";

// ---- gather ----

export interface GatherParams {
  readonly dimensionNumbers: Windows;
  readonly sliceSizes: Shape;
  readonly mode: GatherMode;
  /** value of windows that are not inside, in mode "fill" */
  readonly fillValue: number;
  readonly uniqueIndices: boolean;
}

/** out[…batch, …offset] = x[start(batch) + offset], start being clamped or checked as `mode` says */
export const gatherP: Primitive<GatherParams> = definePrimitive<GatherParams>({
  name: "gather",
  shape: (inputs, { dimensionNumbers: w, sliceSizes }) => {
    const [a, i] = inputs as [Aval, Aval];
    checkWindows("gather", gatherNames, a, i, w);
    const bad = (requirement: string, remedy: string): never =>
      fail(
        ShapeError,
        "gather",
        requirement,
        `sliceSizes ${showShape(sliceSizes)} for ${a}`,
        remedy,
      );
    if (sliceSizes.length !== a.rank)
      bad(
        "there must be one slice size for each operand axis",
        "give as many sizes as the operand has axes",
      );
    if (i.size > 0 && sliceSizes.some((s, d) => s < 0 || s > (a.shape[d] as number)))
      bad("slice sizes must lie between 0 and the operand's sizes", "shorten the slice");
    if (w.dropped.some((d) => sliceSizes[d] !== 1))
      bad("axes in collapsedSliceDims must have slice size 1", "keep the axis in offsetDims");
    if (w.operandBatch.some((d) => (sliceSizes[d] as number) > 1))
      bad("axes in operandBatchingDims must have slice size 1 (or 0)", "use size 1");
    return [a.with({ shape: windowsShape(i.shape, sliceSizes, w) })];
  },
  jvp: ([x, indices], [t], p) =>
    dual(
      bind1(gatherP, [x as NDArray, indices as NDArray], p),
      bind1(gatherP, [t as NDArray, indices as NDArray], { ...p, fillValue: 0 }),
    ),
  transpose: transposed((ct, x, { sliceSizes, fillValue, ...p }, [, indices]) =>
    bind1(scatterAddP, [zerosOf(x), indices as NDArray, ct], p),
  ),
  batch: gatherBatch,
  lower: ([x], [out], { dimensionNumbers: w, sliceSizes, mode, fillValue }) => {
    const { shape, dtype, rank } = x as Aval;
    const kept = keptAxes(rank, w);
    const batched = batchAxes((out as Aval).rank, w);
    return eachElement((index, read) => {
      const batch = batched.map((a) => index[a] as Expr);
      const entry = (k: number): Expr => read(1, [...batch, K.int(k)]);
      const { at, inside } = startOf(shape, sliceSizes, w, batch, entry, mode !== "fill");
      const position = at.map((start, axis) => {
        const k = kept.indexOf(axis);
        return k < 0 ? start : K.add(start, index[w.window[k] as number] as Expr);
      });
      // an empty operand has no windows inside
      const fill = K.lit(fillValue, dtype);
      return (x as Aval).size === 0 ? fill : K.cond(inside, read(0, position), fill);
    });
  },
});

/** Batch rule: batched operands gain a window axis, batched indices a batch axis, both an axis that runs together. */
export function gatherBatch(
  size: number,
  inputs: readonly NDArray[],
  dims: readonly (number | null)[],
  p: GatherParams,
): ReturnType<typeof batched> {
  const [operand, index] = dims.map((d) => d !== null) as [boolean, boolean];
  const out = bind1(
    gatherP,
    inputs.map((v, i) => moveAxis(v, dims[i] ?? 0, 0)),
    {
      ...p,
      dimensionNumbers: batchWindows(p.dimensionNumbers, operand, index),
      sliceSizes: operand ? [index ? Math.min(1, size) : size, ...p.sliceSizes] : p.sliceSizes,
      // windows of several index arrays in one operand may overlap
      uniqueIndices: operand && p.uniqueIndices,
    },
  );
  return batched([out], 0);
}

export interface GatherOptions {
  readonly dimensionNumbers: GatherDimensionNumbers;
  /** size of a window on each operand axis */
  readonly sliceSizes: Shape;
  /** default "promise" */
  readonly mode?: GatherMode | undefined;
  /** NaN, the smallest signed or the largest unsigned integer, true */
  readonly fillValue?: number | undefined;
  readonly uniqueIndices?: boolean;
  /** a hint; kernels do not need it */
  readonly indicesAreSorted?: boolean;
}
/** What JAX fills missing elements with. */
function defaultFill(dtype: DType): number {
  const { min, max } = dtypes[dtype];
  return isFloat(dtype) ? Number.NaN : min || max;
}
/** out[…batch, …offset] = x[indices[…batch] + offset]
 *  @param x        operand
 *  @param indices  integers `[…batch, n]`: vectors of n start positions
 *  @returns        batch axes and window axes, placed by `offsetDims`; dtype of `x`
 *  @throws         ShapeError where the dimension numbers do not fit, DTypeError for indices that are not integers
 *  @source         XLA's Gather */
export function gather(
  x: NDArray,
  indices: NDArray,
  {
    dimensionNumbers,
    sliceSizes,
    mode = "promise",
    fillValue,
    uniqueIndices = false,
  }: GatherOptions,
): NDArray {
  return bind1(gatherP, [x, indices], {
    dimensionNumbers: windowsOf(gatherNames, dimensionNumbers),
    sliceSizes,
    mode,
    fillValue: mode === "fill" ? castNumber(fillValue ?? defaultFill(x.dtype), x.dtype) : 0,
    uniqueIndices,
  });
}

/** out[…, i, …] = x[…, indices[…, i, …], …] along `axis`; the other axes of both have the same sizes. Indices are in range.
 *  @throws ShapeError when the other sizes differ */
export function gatherAlong(
  x: NDArray,
  indices: NDArray,
  axis: number,
  mode?: GatherMode,
): NDArray {
  const others = otherAxes(x.ndim, [axis]);
  return gather(x, moveBatch(indices, null, indices.ndim, 1), {
    dimensionNumbers: {
      offsetDims: [],
      collapsedSliceDims: [axis],
      startIndexMap: [axis],
      operandBatchingDims: others,
      startIndicesBatchingDims: others,
    },
    sliceSizes: x.shape.map((n, i) => (i === axis ? 1 : Math.min(1, n))),
    mode,
  });
}

// ---- what all scatters share ----

export interface ScatterParams {
  readonly dimensionNumbers: Windows;
  readonly mode: GatherMode;
  readonly uniqueIndices: boolean;
}

export function scatterShape(name: string, accepts: "any" | "number"): ShapeRule<ScatterParams> {
  return (inputs, { dimensionNumbers: w }) => {
    const [a, i, u] = inputs as [Aval, Aval, Aval];
    checkClass(name, accepts, a);
    checkOneDType(name, [a, u], "convert the updates", "operand and updates");
    checkWindows(name, scatterNames, a, i, w);
    const batch = batchAxes(u.rank, w);
    if (u.rank !== i.rank - 1 + w.window.length || batch.some((d, k) => u.shape[d] !== i.shape[k]))
      fail(
        ShapeError,
        name,
        "updates must have the batch axes of the indices and the axes of a window",
        `updates ${u} for indices ${i} and updateWindowDims ${showShape(w.window)}`,
        "check the shape of the updates",
      );
    keptAxes(a.rank, w).forEach((axis, k) => {
      if ((u.shape[w.window[k] as number] as number) > (a.shape[axis] as number))
        fail(
          ShapeError,
          name,
          "a window must not be larger than the operand",
          `updates ${axisText(u, w.window[k] as number)}, operand ${axisText(a, axis)}`,
          "make the updates smaller",
        );
    });
    return [a];
  };
}

export function scatterBatch(
  size: number,
  inputs: readonly NDArray[],
  dims: readonly (number | null)[],
  p: ScatterParams,
  primitive: Primitive<ScatterParams>,
): ReturnType<typeof batched> {
  const isBatched = dims[1] !== null;
  const out = bind1(
    primitive,
    inputs.map((x, i) =>
      i === 1 && !isBatched ? x : moveBatch(x, dims[i] as number | null, 0, size),
    ),
    {
      ...p,
      dimensionNumbers: batchWindows(p.dimensionNumbers, true, isBatched),
    },
  );
  return batched([out], 0);
}

const assign = (name: string, value: Expr): { v: K.KVar; stmt: Stmt } => {
  const v = new K.KVar(value.dtype, name);
  return { v, stmt: set(v, value) };
};

/** out = x, then out[position] = combine(out[position], update) in the order of the updates. */
export function scatterLower(combine: (old: Expr, update: Expr) => Expr): LowerRule<ScatterParams> {
  return (avals, _outs, { dimensionNumbers: w, mode }): Lowering => {
    const [x, indices, updates] = avals as [Aval, Aval, Aval];
    const sizes = windowSizes(x.rank, updates.shape, w);
    const [xs, is, us] = [x, indices, updates].map((a) => stridesOf(a.shape)) as [
      number[],
      number[],
      number[],
    ];
    const kept = keptAxes(x.rank, w);
    const batched = batchAxes(updates.rank, w);
    return {
      kind: "routine",
      build: (inputs, outputs) => {
        const [from, index, update] = inputs as readonly [Buf, Buf, Buf];
        const out = outputs[0] as Buf;
        const copy = loop(x.size, (p) => [out.store(p, from.at(p))]);
        if (x.size === 0) return [copy];
        const windows = box(indices.shape.slice(0, -1), (batch) => {
          const entries = range(w.map.length).map((k) =>
            assign(`start${k}`, index.at(K.linearIndex([...batch, K.int(k)], is))),
          );
          const entry = (k: number): Expr => (entries[k] as { v: Expr }).v;
          const { at, inside } = startOf(x.shape, sizes, w, batch, entry, mode === "clip");
          const base = assign("base", K.linearIndex(at, xs));
          const first = assign("first", K.linearIndex(batch, pick(us, batched)));
          const write = box(pick(updates.shape, w.window), (offset) => {
            const p = K.add(base.v, K.linearIndex(offset, pick(xs, kept)));
            const q = K.add(first.v, K.linearIndex(offset, pick(us, w.window)));
            return [out.store(p, combine(out.at(p), update.at(q)))];
          });
          const body = [base.stmt, first.stmt, ...write];
          const guarded = K.isLit(inside, 1) ? body : [when(inside, body)];
          return [...entries.map((e) => e.stmt), ...guarded];
        });
        return [copy, ...windows];
      },
    };
  };
}

/** The gather that reads what a scatter writes. */
export function gatherUpdates(
  x: NDArray,
  indices: NDArray,
  updates: Shape,
  p: ScatterParams,
  fillValue: number,
): NDArray {
  if (x.size === 0) return full(updates, fillValue, x.dtype);
  const sliceSizes = windowSizes(x.ndim, updates, p.dimensionNumbers);
  return bind1(gatherP, [x, indices], { ...p, sliceSizes, fillValue });
}

export interface ScatterOptions {
  readonly dimensionNumbers: ScatterDimensionNumbers;
  /** default "fill": updates that are not inside the operand are dropped */
  readonly mode?: GatherMode;
  /** promises that no element is updated twice */
  readonly uniqueIndices?: boolean;
  /** a hint; kernels do not need it */
  readonly indicesAreSorted?: boolean;
}

// ---- scatter-add ----

/** A scatter that is linear in operand and updates together; `ofUpdates` finishes the cotangent of the updates. */
export function linearScatter(
  name: string,
  combine: (old: Expr, update: Expr) => Expr,
  ofUpdates: (ct: NDArray) => NDArray,
): Primitive<ScatterParams> {
  return definePrimitive<ScatterParams>({
    name,
    shape: scatterShape(name, "number"),
    jvp: (inputs, [dx, , du], p, primitive) => {
      const [, indices] = inputs as [NDArray, NDArray, NDArray];
      return dual(
        bind1(primitive, inputs, p),
        du instanceof Zero
          ? dx
          : bind1(primitive, [instantiate(dx as Tangent), indices, du as NDArray], p),
      );
    },
    transpose: transposed((ct, u, p, [, indices], i) =>
      i === 0 ? ct : ofUpdates(gatherUpdates(ct, indices as NDArray, u.shape, p, 0)),
    ),
    batch: scatterBatch,
    lower: scatterLower(combine),
  });
}

/** out = x, then out[start(batch) + offset] += updates[…batch, …offset] */
export const scatterAddP: Primitive<ScatterParams> = linearScatter(
  "scatter-add",
  K.add,
  (ct) => ct,
);

/** The function that applies a scatter. */
export const scattering =
  (p: Primitive<ScatterParams>) =>
  (
    x: NDArray,
    indices: NDArray,
    updates: NDArray,
    { dimensionNumbers, mode = "fill", uniqueIndices = false }: ScatterOptions,
  ): NDArray =>
    bind1(p, [x, indices, updates], {
      dimensionNumbers: windowsOf(scatterNames, dimensionNumbers),
      mode,
      uniqueIndices,
    });
/** `x` with `updates` added at the windows that `indices` name; updates of one element add up.
 *  @param indices  integers `[…batch, n]`: vectors of n start positions
 *  @param updates  batch axes and window axes, placed by `updateWindowDims`; dtype of `x`
 *  @throws         ShapeError where the dimension numbers do not fit, DTypeError where dtypes do not
 *  @source         XLA's Scatter */
export const scatterAdd = scattering(scatterAddP);
