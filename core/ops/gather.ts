/** Gather and scatter-add, each other's transposes: windows read from, or added into, an operand at positions
 *  that an index array holds. Also what all scatters share: their shape, batch and lowering rules. */
import type { Aval } from "../aval.ts";
import { castNumber, type DType, dtypes, isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { type Buf, loop, type Lowering, set, type Stmt, when } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  LinearInput,
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
  batchBoth,
  batchIndices,
  batchOperand,
  checkWindows,
  type GatherDimensionNumbers,
  type GatherMode,
  keptAxes,
  ofGather,
  ofScatter,
  type ScatterDimensionNumbers,
  startOf,
  toGather,
  toScatter,
  windowSizes,
  windowsShape,
} from "./addressing.ts";
import { full, instantiate, moveAxis, moveBatch, zerosOf } from "./linear.ts";
import { checkClass } from "./checks.ts";

export type { GatherDimensionNumbers, GatherMode, ScatterDimensionNumbers } from "./addressing.ts";

// ---- gather ----

export interface GatherParams {
  readonly dimensionNumbers: Required<GatherDimensionNumbers>;
  readonly sliceSizes: Shape;
  readonly mode: GatherMode;
  /** value of windows that are not inside, in mode "fill"; else null */
  readonly fillValue: number | null;
  readonly uniqueIndices: boolean;
  readonly indicesAreSorted: boolean;
}

/** out[…batch, …offset] = x[start(batch) + offset], start being clamped or checked as `mode` says */
export const gatherP: Primitive<GatherParams> = definePrimitive<GatherParams>({
  name: "gather",
  shape: ([x, indices], { dimensionNumbers, sliceSizes }) => {
    const [a, i] = [x as Aval, indices as Aval];
    const w = ofGather(dimensionNumbers);
    checkWindows("gather", "gather", a, i, w);
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
  jvp: ([x, indices], [t], p) => {
    const out = bind1(gatherP, [x as NDArray, indices as NDArray], p);
    const zero = t instanceof Zero;
    const fillValue = p.fillValue === null ? null : 0;
    return {
      outs: [out],
      tangents: [
        zero
          ? new Zero(out.aval)
          : bind1(gatherP, [t as NDArray, indices as NDArray], { ...p, fillValue }),
      ],
    };
  },
  transpose: ([ct], [x, indices], { dimensionNumbers, mode, uniqueIndices, indicesAreSorted }) => {
    const { aval } = x as LinearInput;
    if (ct instanceof Zero) return [new Zero(aval), null];
    return [
      bind1(scatterAddP, [zerosOf(aval), indices as NDArray, ct as NDArray], {
        dimensionNumbers: toScatter(ofGather(dimensionNumbers)),
        mode,
        uniqueIndices,
        indicesAreSorted,
      }),
      null,
    ];
  },
  batch: (...args) => gatherBatch(...args),
  lower: ([x], [out], { dimensionNumbers, sliceSizes, mode, fillValue }) => {
    const w = ofGather(dimensionNumbers);
    const { shape, dtype, rank } = x as Aval;
    const kept = keptAxes(rank, w);
    const batched = batchAxes((out as Aval).rank, w);
    return {
      kind: "map",
      at: (index, read) => {
        const batch = batched.map((a) => index[a] as Expr);
        const entry = (k: number): Expr => read(1, [...batch, K.int(k)]);
        const { at, inside } = startOf(shape, sliceSizes, w, batch, entry, mode !== "fill");
        const position = at.map((start, axis) => {
          const k = kept.indexOf(axis);
          return k < 0 ? start : K.add(start, index[w.window[k] as number] as Expr);
        });
        // an empty operand has no windows inside
        if ((x as Aval).size === 0) return [K.lit(fillValue ?? 0, dtype)];
        return [K.cond(inside, read(0, position), K.lit(fillValue ?? 0, dtype))];
      },
    };
  },
});

/** Batch rule: batched operands gain a window axis, batched indices a batch axis, both an axis that runs together. */
export const gatherBatch: BatchRule<GatherParams> = (size, inputs, dims, p) => {
  const [x, indices] = inputs as [NDArray, NDArray];
  const [dx, di] = dims as [number | null, number | null];
  const w = ofGather(p.dimensionNumbers);
  const go = (u: NDArray, v: NDArray, change: Partial<GatherParams>) => ({
    outs: [bind1(gatherP, [u, v], { ...p, ...change })],
    dims: [0],
  });
  if (di === null)
    return go(moveAxis(x, dx as number, 0), indices, {
      dimensionNumbers: toGather(batchOperand(w)),
      sliceSizes: [size, ...p.sliceSizes],
    });
  const i = moveAxis(indices, di, 0);
  // windows of several index arrays in one operand may overlap
  if (dx === null)
    return go(x, i, {
      dimensionNumbers: toGather(batchIndices(w)),
      uniqueIndices: false,
      indicesAreSorted: false,
    });
  return go(moveAxis(x, dx, 0), i, {
    dimensionNumbers: toGather(batchBoth(w)),
    sliceSizes: [Math.min(1, size), ...p.sliceSizes],
  });
};

export interface GatherOptions {
  readonly dimensionNumbers: GatherDimensionNumbers;
  /** size of a window on each operand axis */
  readonly sliceSizes: Shape;
  /** default "promise" */
  readonly mode?: GatherMode;
  /** NaN, the smallest signed or the largest unsigned integer, true */
  readonly fillValue?: number | undefined;
  readonly uniqueIndices?: boolean;
  readonly indicesAreSorted?: boolean;
}
/** What JAX fills missing elements with. */
function defaultFill(dtype: DType): number {
  const { kind, min, max } = dtypes[dtype];
  return isFloat(dtype) ? Number.NaN : kind === "int" ? min : max;
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
    indicesAreSorted = false,
  }: GatherOptions,
): NDArray {
  return bind1(gatherP, [x, indices], {
    dimensionNumbers: toGather(ofGather(dimensionNumbers)),
    sliceSizes,
    mode,
    fillValue: mode === "fill" ? castNumber(fillValue ?? defaultFill(x.dtype), x.dtype) : null,
    uniqueIndices,
    indicesAreSorted,
  });
}

/** out[…, i, …] = x[…, indices[…, i, …], …] along `axis`; the other axes of both have the same sizes. Indices are in range.
 *  @throws ShapeError when the other sizes differ */
export function gatherAlong(x: NDArray, indices: NDArray, axis: number): NDArray {
  const others = range(x.ndim).filter((i) => i !== axis);
  return gather(x, moveBatch(indices, null, indices.ndim, 1), {
    dimensionNumbers: {
      offsetDims: [],
      collapsedSliceDims: [axis],
      startIndexMap: [axis],
      operandBatchingDims: others,
      startIndicesBatchingDims: others,
    },
    sliceSizes: x.shape.map((n, i) => (i === axis ? 1 : Math.min(1, n))),
  });
}

// ---- what all scatters share ----

export interface ScatterParams {
  readonly dimensionNumbers: Required<ScatterDimensionNumbers>;
  readonly mode: GatherMode;
  readonly uniqueIndices: boolean;
  readonly indicesAreSorted: boolean;
}

export function scatterShape(name: string, accepts: "any" | "number"): ShapeRule<ScatterParams> {
  return ([x, indices, updates], { dimensionNumbers }) => {
    const [a, i, u] = [x as Aval, indices as Aval, updates as Aval];
    checkClass(name, accepts, a);
    if (a.dtype !== u.dtype)
      fail(
        DTypeError,
        name,
        "operand and updates must have one dtype",
        `${a} and ${u}`,
        "convert the updates",
      );
    const w = ofScatter(dimensionNumbers);
    checkWindows(name, "scatter", a, i, w);
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
          `updates ${u} axis ${w.window[k]} = ${u.shape[w.window[k] as number]}, operand ${a} axis ${axis} = ${a.shape[axis]}`,
          "make the updates smaller",
        );
    });
    return [a];
  };
}

export function scatterBatch(get: () => Primitive<ScatterParams>): BatchRule<ScatterParams> {
  return (size, inputs, dims, p) => {
    const [x, indices, updates] = inputs as [NDArray, NDArray, NDArray];
    const [dx, di, du] = dims as [number | null, number | null, number | null];
    const w = ofScatter(p.dimensionNumbers);
    const out = bind1(
      get(),
      [
        moveBatch(x, dx, 0, size),
        di === null ? indices : moveAxis(indices, di, 0),
        moveBatch(updates, du, 0, size),
      ],
      { ...p, dimensionNumbers: toScatter(di === null ? batchOperand(w) : batchBoth(w)) },
    );
    return { outs: [out], dims: [0] };
  };
}

/** `body` inside one loop for each axis of a box, given the loop variables. */
function box(
  extents: Shape,
  name: string,
  body: (index: readonly Expr[]) => readonly Stmt[],
  index: readonly Expr[] = [],
): readonly Stmt[] {
  if (index.length === extents.length) return body(index);
  const inner = (v: Expr): readonly Stmt[] => box(extents, name, body, [...index, v]);
  const extent = extents[index.length] as number;
  return extent === 1 ? inner(K.int(0)) : [loop(extent, inner, `${name}${index.length}`)];
}
const assign = (name: string, value: Expr): { v: K.KVar; stmt: Stmt } => {
  const v = new K.KVar(value.dtype, name);
  return { v, stmt: set(v, value) };
};

/** out = x, then out[position] = combine(out[position], update) in the order of the updates. */
export function scatterLower(combine: (old: Expr, update: Expr) => Expr): LowerRule<ScatterParams> {
  return (avals, _outs, { dimensionNumbers, mode }): Lowering => {
    const [x, indices, updates] = avals as [Aval, Aval, Aval];
    const w = ofScatter(dimensionNumbers);
    const sizes = windowSizes(x.rank, updates.shape, w);
    const [xs, is, us] = [x, indices, updates].map((a) => stridesOf(a.shape)) as [
      number[],
      number[],
      number[],
    ];
    const kept = keptAxes(x.rank, w);
    const batched = batchAxes(updates.rank, w);
    const pick = (list: readonly number[], at: readonly number[]): number[] =>
      at.map((i) => list[i] as number);
    return {
      kind: "routine",
      build: (inputs, outputs) => {
        const [from, index, update] = inputs as readonly [Buf, Buf, Buf];
        const out = outputs[0] as Buf;
        const copy = loop(x.size, (p) => [out.store(p, from.at(p))], "p");
        if (x.size === 0 || updates.size === 0) return [copy];
        const windows = box(indices.shape.slice(0, -1), "b", (batch) => {
          const entries = range(w.map.length).map((k) =>
            assign(`start${k}`, index.at(K.linearIndex([...batch, K.int(k)], is))),
          );
          const entry = (k: number): Expr => (entries[k] as { v: Expr }).v;
          const { at, inside } = startOf(x.shape, sizes, w, batch, entry, mode === "clip");
          const base = assign("base", K.linearIndex(at, xs));
          const first = assign("first", K.linearIndex(batch, pick(us, batched)));
          const write = box(pick(updates.shape, w.window), "w", (offset) => {
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
  const w = ofScatter(p.dimensionNumbers);
  return gather(x, indices, {
    dimensionNumbers: toGather(w),
    sliceSizes: windowSizes(x.ndim, updates, w),
    mode: p.mode,
    fillValue,
    uniqueIndices: p.uniqueIndices,
    indicesAreSorted: p.indicesAreSorted,
  });
}

export interface ScatterOptions {
  readonly dimensionNumbers: ScatterDimensionNumbers;
  /** default "fill": updates that are not inside the operand are dropped */
  readonly mode?: GatherMode;
  /** promises that no element is updated twice */
  readonly uniqueIndices?: boolean;
  readonly indicesAreSorted?: boolean;
}
export const scatterParams = ({
  dimensionNumbers,
  mode = "fill",
  uniqueIndices = false,
  indicesAreSorted = false,
}: ScatterOptions): ScatterParams => ({
  dimensionNumbers: toScatter(ofScatter(dimensionNumbers)),
  mode,
  uniqueIndices,
  indicesAreSorted,
});

// ---- scatter-add ----

/** A scatter that is linear in operand and updates together; `ofUpdates` finishes the cotangent of the updates. */
export function linearScatter(
  name: string,
  combine: (old: Expr, update: Expr) => Expr,
  ofUpdates: (ct: NDArray) => NDArray,
): Primitive<ScatterParams> {
  const primitive: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
    name,
    shape: scatterShape(name, "number"),
    jvp: (inputs, [dx, , du], p) => {
      const out = bind1(primitive, inputs, p);
      if (du instanceof Zero) return { outs: [out], tangents: [dx as Tangent] };
      const t = bind1(
        primitive,
        [instantiate(dx as Tangent), inputs[1] as NDArray, du as NDArray],
        p,
      );
      return { outs: [out], tangents: [t] };
    },
    transpose: ([ct], [x, indices, updates], p) => {
      const linear = (v: unknown): v is LinearInput => v instanceof LinearInput;
      const u = (updates as NDArray | LinearInput).aval;
      if (ct instanceof Zero)
        return [linear(x) ? new Zero(x.aval) : null, null, linear(updates) ? new Zero(u) : null];
      const back = (): NDArray =>
        ofUpdates(gatherUpdates(ct as NDArray, indices as NDArray, u.shape, p, 0));
      return [linear(x) ? (ct as NDArray) : null, null, linear(updates) ? back() : null];
    },
    batch: scatterBatch(() => primitive),
    lower: scatterLower(combine),
  });
  return primitive;
}

/** out = x, then out[start(batch) + offset] += updates[…batch, …offset] */
export const scatterAddP: Primitive<ScatterParams> = linearScatter(
  "scatter-add",
  K.add,
  (ct) => ct,
);

/** `x` with `updates` added at the windows that `indices` name; updates of one element add up.
 *  @param indices  integers `[…batch, n]`: vectors of n start positions
 *  @param updates  batch axes and window axes, placed by `updateWindowDims`; dtype of `x`
 *  @throws         ShapeError where the dimension numbers do not fit, DTypeError where dtypes do not
 *  @source         XLA's Scatter */
export const scatterAdd = (
  x: NDArray,
  indices: NDArray,
  updates: NDArray,
  options: ScatterOptions,
): NDArray => bind1(scatterAddP, [x, indices, updates], scatterParams(options));
