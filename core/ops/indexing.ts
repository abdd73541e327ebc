/** Slices whose start is known only at run time. A start is clamped so that the slice lies inside. */
import type { Aval } from "../aval.ts";
import { isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { type Buf, loop, set } from "../kernel/kernel.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { type BatchRule, definePrimitive, type Primitive } from "../primitive.ts";
import { range, type Shape, showShape, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { clampStart, type Windows } from "./addressing.ts";
import { batched, box, moving } from "./axes.ts";
import { checkOneDType } from "./checks.ts";
import { gatherBatch, scatterBatch } from "./gather.ts";
import { broadcastInDim, full, jointJvp, moveAxis, moveBatch, zerosOf } from "./linear.ts";
import { linearJvp, transposed } from "./linearity.ts";
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
/** Start scalars, of which some are batched, as vectors: `[n]`, or `[size, n]` batched at 0. */
function startVectors(
  size: number,
  starts: readonly NDArray[],
  dims: readonly (number | null)[],
): NDArray {
  const columns = starts.map((s, i) => broadcastInDim(s, [size, 1], dims[i] === null ? [] : [0]));
  return concatenate(columns, 1);
}
/** One window, which keeps all axes. */
const boxes = (axes: readonly number[]): Windows => ({
  window: axes,
  dropped: [],
  map: axes,
  operandBatch: [],
  indexBatch: [],
});
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
  jvp: linearJvp,
  transpose: transposed((ct, x, _params, [, ...starts]) =>
    dynamicUpdateSlice(zerosOf(x), ct, starts),
  ),
  batch: (size, [x, ...starts], [d, ...startDims], { sliceSizes }) => {
    const operand = x as NDArray;
    const at = d as number | null;
    if (startDims.every((s) => s === null)) {
      const front = moveAxis(operand, at as number, 0);
      const out = dynamicSlice(front, [0, ...starts], [size, ...sliceSizes]);
      return batched([out], 0);
    }
    const axes = range(sliceSizes.length);
    return gatherBatch(size, [operand, startVectors(size, starts, startDims)], [at, 0], {
      dimensionNumbers: boxes(axes),
      sliceSizes,
      mode: "clip",
      fillValue: 0,
      uniqueIndices: true,
    });
  },
  lower: ([x], _outs, { sliceSizes }) =>
    moving((index, read) =>
      (x as Aval).shape.map((n, axis) =>
        K.add(
          clampStart(() => read(axis + 1, []), n - (sliceSizes[axis] as number)),
          index[axis] as Expr,
        ),
      ),
    ),
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
    return batched([dynamicUpdateSlice(operand, block, [0, ...starts])], 0);
  }
  const axes = range(starts.length);
  return scatterBatch(
    size,
    [x, startVectors(size, starts, startDims), update],
    [dx, 0, du],
    {
      dimensionNumbers: boxes(axes),
      mode: "clip",
      uniqueIndices: true,
    },
    scatterP,
  );
};

/** out = x, but out[clamp(start) + i…] = update[i…] */
export const dynamicUpdateSliceP: Primitive<object> = definePrimitive<object>({
  name: "dynamic_update_slice",
  shape: (inputs) => {
    const [a, u, ...starts] = inputs as [Aval, Aval, ...Aval[]];
    checkStarts("dynamicUpdateSlice", a, starts);
    checkOneDType("dynamicUpdateSlice", [a, u], "convert the update", "operand and update");
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
  jvp: jointJvp,
  transpose: transposed((ct, x, _params, [, update, ...starts], i) =>
    i === 1
      ? dynamicSlice(ct, starts, x.shape)
      : dynamicUpdateSlice(ct, full((update as NDArray).aval.shape, 0, ct.dtype), starts),
  ),
  batch: updateBatch,
  lower: (avals) => {
    const [a, u] = avals as [Aval, Aval, ...Aval[]];
    const strides = stridesOf(a.shape);
    const from = stridesOf(u.shape);
    return {
      kind: "routine",
      build: (inputs, outputs) => {
        const [operand, block, ...starts] = inputs as [Buf, Buf, ...Buf[]];
        const out = outputs[0] as Buf;
        const copy = loop(a.size, (p) => [out.store(p, operand.at(p))]);
        const base = new K.KVar("int32", "base");
        const first = starts.map((start, axis) =>
          clampStart(
            () => start.at(K.int(0)),
            (a.shape[axis] as number) - (u.shape[axis] as number),
          ),
        );
        const write = box(u.shape, (index) => [
          out.store(
            K.add(base, K.linearIndex(index, strides)),
            block.at(K.linearIndex(index, from)),
          ),
        ]);
        return [copy, set(base, K.linearIndex(first, strides)), ...write];
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
