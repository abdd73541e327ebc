/** Slices whose start is known only at run time. A start is clamped so that the slice lies inside. */
import type { Aval } from "../aval.ts";
import { isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { loop, set, type Stmt } from "../kernel/kernel.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  LinearInput,
  type Primitive,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { range, type Shape, showShape, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { toInt32 } from "./addressing.ts";
import { gatherBatch, scatterBatch } from "./gather.ts";
import { broadcastInDim, full, instantiate, moveAxis, moveBatch, zerosOf } from "./linear.ts";
import { scatterP } from "./scatter.ts";
import { concatenate } from "./structural.ts";

function checkStarts(op: string, x: Aval, starts: readonly Aval[]): void {
  if (starts.length !== x.rank)
    fail(
      ShapeError,
      op,
      "there must be one start index for each axis of the operand",
      `${starts.length} for ${x}`,
      "give as many start indices as the operand has axes",
    );
  for (const s of starts) {
    if (s.rank !== 0)
      fail(
        ShapeError,
        op,
        "start indices must be scalars",
        starts.join(" and "),
        "index or squeeze them",
      );
    if (!isInteger(s.dtype) || s.dtype !== starts[0]?.dtype)
      fail(
        DTypeError,
        op,
        "start indices must be integers of one dtype",
        starts.join(" and "),
        "convert them to int32",
      );
  }
}
/** The start on an axis of size n, moved so that `size` elements follow. */
function clampStart(start: Expr, n: number, size: number): Expr {
  if (n === size) return K.int(0);
  return K.max(K.int(0), K.min(toInt32(start), K.int(n - size)));
}
/** Start scalars, of which some are batched, as vectors: `[n]`, or `[size, n]` batched at 0. */
function startVectors(
  size: number,
  starts: readonly NDArray[],
  dims: readonly (number | null)[],
): NDArray {
  const columns = starts.map((s, i) => broadcastInDim(s, [size, 1], dims[i] === null ? [] : [0]));
  return concatenate(columns, 1);
}
type Starts = readonly (NDArray | number)[];
/** Numbers among the starts as literals of the others' dtype (int32 when all are numbers). */
function startOperands(starts: Starts): NDArray[] {
  const like = starts.find((s) => typeof s === "object") as NDArray | undefined;
  return starts.map((s) => (typeof s === "object" ? s : new Literal(s, like?.dtype ?? "int32")));
}

// ---- dynamic_slice ----

export interface DynamicSliceParams {
  readonly sliceSizes: Shape;
}
/** out[i…] = x[clamp(start) + i…] */
export const dynamicSliceP: Primitive<DynamicSliceParams> = definePrimitive<DynamicSliceParams>({
  name: "dynamic_slice",
  shape: ([x, ...starts], { sliceSizes }) => {
    const a = x as Aval;
    checkStarts("dynamicSlice", a, starts);
    if (
      sliceSizes.length !== a.rank ||
      sliceSizes.some((s, i) => !Number.isInteger(s) || s < 0 || s > (a.shape[i] as number))
    )
      fail(
        ShapeError,
        "dynamicSlice",
        "slice sizes must lie between 0 and the operand's sizes, one for each axis",
        `${showShape(sliceSizes)} for ${a}`,
        "shorten the slice",
      );
    return [a.with({ shape: sliceSizes })];
  },
  jvp: ([x, ...starts], [t], p) => {
    const out = bind1(dynamicSliceP, [x as NDArray, ...starts], p);
    const tangent =
      t instanceof Zero ? new Zero(out.aval) : bind1(dynamicSliceP, [t as NDArray, ...starts], p);
    return { outs: [out], tangents: [tangent] };
  },
  transpose: ([ct], [x, ...starts]) => {
    const { aval } = x as LinearInput;
    const none = starts.map(() => null);
    if (ct instanceof Zero) return [new Zero(aval), ...none];
    const inputs = [zerosOf(aval), ct as NDArray, ...(starts as NDArray[])];
    return [bind1(dynamicUpdateSliceP, inputs, {}), ...none];
  },
  batch: (size, [x, ...starts], [d, ...startDims], { sliceSizes }) => {
    const operand = x as NDArray;
    const at = d as number | null;
    if (startDims.every((s) => s === null)) {
      const front = moveAxis(operand, at as number, 0);
      const out = dynamicSlice(front, [0, ...starts], [size, ...sliceSizes]);
      return { outs: [out], dims: [0] };
    }
    const axes = range(sliceSizes.length);
    return gatherBatch(size, [operand, startVectors(size, starts, startDims)], [at, 0], {
      dimensionNumbers: {
        offsetDims: axes,
        collapsedSliceDims: [],
        startIndexMap: axes,
        operandBatchingDims: [],
        startIndicesBatchingDims: [],
      },
      sliceSizes,
      mode: "clip",
      fillValue: null,
      uniqueIndices: true,
      indicesAreSorted: true,
    });
  },
  lower: ([x], _outs, { sliceSizes }) => ({
    kind: "map",
    at: (index, read) => [
      read(
        0,
        (x as Aval).shape.map((n, axis) =>
          K.add(
            n === sliceSizes[axis]
              ? K.int(0)
              : clampStart(read(axis + 1, []), n, sliceSizes[axis] as number),
            index[axis] as Expr,
          ),
        ),
      ),
    ],
  }),
});
/** The box of `sliceSizes` elements at `starts`, which are clamped so that it lies inside.
 *  @param starts  one integer scalar for each axis
 *  @throws        ShapeError where the slice is larger than `x`, DTypeError for starts that are not integers
 *  @example dynamicSlice(np.arange(5), [3], [3]).toArray()  // => [2, 3, 4] */
export const dynamicSlice = (x: NDArray, starts: Starts, sliceSizes: Shape): NDArray =>
  bind1(dynamicSliceP, [x, ...startOperands(starts)], { sliceSizes });

// ---- dynamic_update_slice ----

const updateBatch: BatchRule<object> = (size, inputs, dims) => {
  const [x, update, ...starts] = inputs as [NDArray, NDArray, ...NDArray[]];
  const [dx, du, ...startDims] = dims as [number | null, number | null, ...(number | null)[]];
  if (startDims.every((s) => s === null)) {
    const [operand, block] = [moveBatch(x, dx, 0, size), moveBatch(update, du, 0, size)];
    return { outs: [dynamicUpdateSlice(operand, block, [0, ...starts])], dims: [0] };
  }
  const axes = range(starts.length);
  return scatterBatch(() => scatterP)(
    size,
    [x, startVectors(size, starts, startDims), update],
    [dx, 0, du],
    {
      dimensionNumbers: {
        updateWindowDims: axes,
        insertedWindowDims: [],
        scatterDimsToOperandDims: axes,
        operandBatchingDims: [],
        scatterIndicesBatchingDims: [],
      },
      mode: "clip",
      uniqueIndices: true,
      indicesAreSorted: true,
    },
  );
};

/** out = x, but out[clamp(start) + i…] = update[i…] */
export const dynamicUpdateSliceP: Primitive<object> = definePrimitive<object>({
  name: "dynamic_update_slice",
  shape: ([x, update, ...starts]) => {
    const [a, u] = [x as Aval, update as Aval];
    checkStarts("dynamicUpdateSlice", a, starts);
    if (a.dtype !== u.dtype)
      fail(
        DTypeError,
        "dynamicUpdateSlice",
        "operand and update must have one dtype",
        `${a} and ${u}`,
        "convert the update",
      );
    if (a.rank !== u.rank || u.shape.some((s, i) => s > (a.shape[i] as number)))
      fail(
        ShapeError,
        "dynamicUpdateSlice",
        "the update must have the rank of the operand and fit into it",
        `update ${u} for operand ${a}`,
        "reshape or slice the update",
      );
    return [a.with({ weakType: a.weakType && u.weakType })];
  },
  jvp: ([x, update, ...starts], [dx, du]) => {
    const out = bind1(dynamicUpdateSliceP, [x as NDArray, update as NDArray, ...starts], {});
    if (dx instanceof Zero && du instanceof Zero)
      return { outs: [out], tangents: [new Zero(out.aval)] };
    const [s, t] = [instantiate(dx as Tangent), instantiate(du as Tangent)];
    return { outs: [out], tangents: [bind1(dynamicUpdateSliceP, [s, t, ...starts], {})] };
  },
  transpose: ([ct], [x, update, ...starts]) => {
    const none = starts.map(() => null);
    const u = (update as NDArray | LinearInput).aval;
    const linear = [x, update].map((v) => v instanceof LinearInput);
    if (ct instanceof Zero)
      return [
        linear[0] ? new Zero((x as LinearInput).aval) : null,
        linear[1] ? new Zero(u) : null,
        ...none,
      ];
    const c = ct as NDArray;
    const at = starts as NDArray[];
    const erased = (): NDArray =>
      bind1(dynamicUpdateSliceP, [c, full(u.shape, 0, c.dtype), ...at], {});
    return [linear[0] ? erased() : null, linear[1] ? dynamicSlice(c, at, u.shape) : null, ...none];
  },
  batch: updateBatch,
  lower: ([x, update]) => {
    const [a, u] = [x as Aval, update as Aval];
    const strides = stridesOf(a.shape);
    const from = stridesOf(u.shape);
    return {
      kind: "routine",
      build: ([operand, block, ...starts], [out]) => {
        if (operand === undefined || block === undefined || out === undefined) return [];
        const copy = loop(a.size, (p) => [out.store(p, operand.at(p))], "p");
        if (u.size === 0) return [copy];
        const base = new K.KVar("int32", "base");
        const first = a.shape.map((n, axis) =>
          n === u.shape[axis]
            ? K.int(0)
            : clampStart(starts[axis]?.at(K.int(0)) as Expr, n, u.shape[axis] as number),
        );
        const nest = (index: readonly Expr[]): readonly Stmt[] =>
          index.length === u.rank
            ? [
                out.store(
                  K.add(base, K.linearIndex(index, strides)),
                  block.at(K.linearIndex(index, from)),
                ),
              ]
            : [
                loop(
                  u.shape[index.length] as number,
                  (v) => nest([...index, v]),
                  `u${index.length}`,
                ),
              ];
        return [copy, set(base, K.linearIndex(first, strides)), ...nest([])];
      },
    };
  },
});
/** `x` with `update` written at `starts`, which are clamped so that it lies inside.
 *  @param starts  one integer scalar for each axis
 *  @throws        ShapeError where the update is larger than `x`, DTypeError where dtypes do not fit
 *  @example dynamicUpdateSlice(np.zeros([4]), np.ones([2]), [1]).toArray()  // => [0, 1, 1, 0] */
export const dynamicUpdateSlice = (x: NDArray, update: NDArray, starts: Starts): NDArray =>
  bind1(dynamicUpdateSliceP, [x, update, ...startOperands(starts)], {});
