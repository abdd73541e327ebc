/** The linear backbone: what every transform itself uses. `broadcast` and `sum`, `reshape`, `transpose`, `convert`
 *  and the addition of cotangents are each other's transposes, so they stand together. */
import { Aval } from "../aval.ts";
import { type DType, isFloat, wrapInteger } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { add, cast, type Expr, int } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  type JvpRule,
  type Params,
  type Primitive,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { inversePermutation, range, type Shape, shapesEqual, showShape, sizeOf } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import {
  allShifted,
  batched,
  batchOne,
  batchSame,
  dropped,
  eachElement,
  firstOf,
  inserted,
  moving,
  otherAxes,
  pick,
} from "./axes.ts";
import { axisText } from "./checks.ts";
import { type AxesParams, over, reduction, sum } from "./fold.ts";
import { dual, linearJvp, transposed } from "./linearity.ts";

// ---- add_any ----

/** x + y of two (co)tangents of one type. */
export const addAnyP: Primitive<Record<never, never>> = definePrimitive({
  name: "add_any",
  shape: (inputs) => {
    const [a, b] = inputs as [Aval, Aval];
    if (!shapesEqual(a.shape, b.shape) || a.dtype !== b.dtype)
      fail(ShapeError, "add_any", "operands must have one type", `${a} and ${b}`, "report this");
    return [a.with({ weakType: a.weakType && b.weakType })];
  },
  jvp: ([x, y], [dx, dy]) =>
    dual(addAny(x as NDArray, y as NDArray), addTangents(dx as Tangent, dy as Tangent)),
  transpose: transposed((ct) => ct),
  batch: batchAligned(),
  lower: () => eachElement((index, read) => add(read(0, index), read(1, index))),
});
export const addAny = (x: NDArray, y: NDArray): NDArray => bind1(addAnyP, [x, y], {});

/** Sum of tangents, with symbolic zeros. */
export function addTangents(a: Tangent, b: Tangent): Tangent {
  if (a instanceof Zero) return b;
  if (b instanceof Zero) return a;
  return addAny(a, b);
}

// ---- broadcast_in_dim ----

export interface BroadcastParams {
  readonly shape: Shape;
  /** output axis of each input axis, increasing */
  readonly broadcastDimensions: readonly number[];
}

/** Output[…] = x at the axes named by `broadcastDimensions`; input axes of size 1 are repeated. */
export const broadcastInDimP: Primitive<BroadcastParams> = definePrimitive<BroadcastParams>({
  name: "broadcast_in_dim",
  shape: ([x], { shape, broadcastDimensions: dims }) => {
    const a = x as Aval;
    const op = "broadcastInDim";
    if (dims.length !== a.rank)
      fail(
        ShapeError,
        op,
        "broadcastDimensions must name one output axis for each input axis",
        `${showShape(dims)} for ${a}`,
        "give as many axes as the operand has",
      );
    dims.forEach((d, i) => {
      if (d < 0 || d >= shape.length || (i > 0 && d <= (dims[i - 1] as number)))
        fail(
          ShapeError,
          op,
          "broadcastDimensions must be increasing axes of the output",
          `${showShape(dims)} for output ${showShape(shape)}`,
          "sort them, or transpose first",
        );
      if (a.shape[i] !== 1 && a.shape[i] !== shape[d])
        fail(
          ShapeError,
          op,
          "an operand axis must have size 1 or the size of its output axis",
          `operand ${axisText(a, i)}, output ${showShape(shape)} axis ${d} = ${shape[d]}`,
          "check the target shape",
        );
    });
    return [Aval.of(shape, a.dtype, a.weakType)];
  },
  jvp: linearJvp,
  transpose: transposed((ct, x, { shape, broadcastDimensions: dims }) => {
    const repeated = dims.filter((d, i) => x.shape[i] === 1 && shape[d] !== 1);
    return reshape(reduceSum(ct, [...otherAxes(shape.length, dims), ...repeated]), x.shape);
  }),
  batch: batchFront(({ shape, broadcastDimensions: dims }, _at, size) => ({
    shape: [size, ...shape],
    broadcastDimensions: [0, ...allShifted(dims, 0)],
  })),
  lower: ([x], _outs, { broadcastDimensions: dims }) =>
    moving((index) =>
      dims.map((d, i) => ((x as Aval).shape[i] === 1 ? int(0) : (index[d] as Expr))),
    ),
});
export function broadcastInDim(x: NDArray, shape: Shape, dims: readonly number[]): NDArray {
  if (shapesEqual(x.shape, shape)) return x;
  return bind1(broadcastInDimP, [x], { shape, broadcastDimensions: dims });
}
/** An array of one value. */
export const full = (shape: Shape, value: number | boolean, dtype: DType, weak = false): NDArray =>
  broadcastInDim(new Literal(value, dtype, weak), shape, []);
export const fullLike = (x: NDArray | Aval, value: number): NDArray =>
  full(x.shape, value, x.dtype);
export const zerosOf = (aval: Aval): NDArray => full(aval.shape, 0, aval.dtype, aval.weakType);
/** The value of a tangent, with zeros written out. */
export const instantiate = (t: Tangent): NDArray => (t instanceof Zero ? zerosOf(t.aval) : t);

/** `x` with its batch axis at `to`; an unbatched x is repeated along a new axis. */
export const moveBatch = (x: NDArray, from: number | null, to: number, size: number): NDArray =>
  from === null
    ? broadcastInDim(x, inserted(x.shape, to, size), allShifted(range(x.ndim), to))
    : moveAxis(x, from, to);
export const moveAxis = (x: NDArray, from: number, to: number): NDArray =>
  from === to ? x : transpose(x, inserted(otherAxes(x.ndim, [from]), to, from));

// ---- rules of operations on several arrays, or with the batch axis in front ----

/** jvp of an operation that is linear in its float operands together. */
export const jointJvp: JvpRule<Params> = (xs, ts, params, primitive) =>
  dual(
    bind1(primitive, xs, params),
    bind1(
      primitive,
      xs.map((x, i) => (isFloat(x.dtype) ? instantiate(ts[i] as Tangent) : x)),
      params,
    ),
  );
/** Batch rule of an operation on arrays whose batch axes have to come to one place, `at`: that of the first. `change` gives
 *  the params for that. */
export function batchAligned<P extends Params>(
  change: (params: P, at: number, size: number) => P = (params) => params,
  place: (dims: readonly (number | null)[]) => number = firstOf,
): BatchRule<P> {
  return (size, xs, dims, params, primitive) => {
    const at = place(dims);
    const aligned = xs.map((x, i) => moveBatch(x, dims[i] as number | null, at, size));
    return batched(bind(primitive, aligned, change(params, at, size)), at);
  };
}
/** Batch rule of an operation whose batch axis has to come in front. */
export function batchFront<P extends Params>(
  change?: (params: P, at: number, size: number) => P,
): BatchRule<P> {
  return batchAligned(change, () => 0);
}

// ---- reduce_sum ----

/** Σ over `axes`. Sums of float32 and narrower are accumulated wider and rounded once. */
export const reduceSumP: Primitive<AxesParams> = reduction(
  "reduce_sum",
  sum,
  linearJvp,
  transposed((ct, x, { axes }) => broadcastInDim(ct, x.shape, otherAxes(x.rank, axes))),
);
export const reduceSum = over(reduceSumP);

// ---- reshape, squeeze, transpose ----

export interface ReshapeParams {
  readonly newSizes: Shape;
}
/** The same elements, in row-major order, under another shape. */
export const reshapeP: Primitive<ReshapeParams> = definePrimitive<ReshapeParams>({
  name: "reshape",
  shape: ([x], { newSizes }) => {
    const a = x as Aval;
    if (sizeOf(newSizes) !== a.size)
      fail(
        ShapeError,
        "reshape",
        "the number of elements must not change",
        `${a} (${a.size} elements) to ${showShape(newSizes)} (${sizeOf(newSizes)})`,
        "check the sizes, or let one be −1",
      );
    return [a.with({ shape: newSizes })];
  },
  jvp: linearJvp,
  transpose: transposed((ct, x) => reshape(ct, x.shape)),
  batch: batchFront(({ newSizes }, _at, size) => ({ newSizes: [size, ...newSizes] })),
  lower: () => ({ kind: "alias" }),
});
export const reshape = (x: NDArray, newSizes: Shape): NDArray =>
  shapesEqual(x.shape, newSizes) ? x : bind1(reshapeP, [x], { newSizes });

export interface SqueezeParams {
  readonly dimensions: readonly number[];
}
/** Drops axes of size 1. */
export const squeezeP: Primitive<SqueezeParams> = definePrimitive<SqueezeParams>({
  name: "squeeze",
  shape: ([x], { dimensions }) => {
    const a = x as Aval;
    for (const d of dimensions)
      if (a.shape[d] !== 1)
        fail(
          ShapeError,
          "squeeze",
          "an axis can be dropped only if its size is 1",
          axisText(a, d),
          "choose an axis of size 1, or index it",
        );
    return [a.with({ shape: pick(a.shape, otherAxes(a.rank, dimensions)) })];
  },
  jvp: linearJvp,
  transpose: transposed((ct, _x, { dimensions }) => expandDims(ct, dimensions)),
  batch: batchOne(({ dimensions }, at) => {
    const [list, to] = dropped(dimensions, at);
    return [{ dimensions: list }, to];
  }),
  lower: () => ({ kind: "alias" }),
});
export const squeeze = (x: NDArray, dimensions: readonly number[]): NDArray =>
  dimensions.length === 0 ? x : bind1(squeezeP, [x], { dimensions });

/** Inserts axes of size 1 at the given positions of the result. */
export function expandDims(x: NDArray, positions: readonly number[]): NDArray {
  const rank = x.ndim + positions.length;
  const kept = otherAxes(rank, positions);
  return broadcastInDim(
    x,
    range(rank).map((i) => x.shape[kept.indexOf(i)] ?? 1),
    kept,
  );
}

export interface TransposeParams {
  readonly permutation: readonly number[];
}
/** Output axis i is input axis permutation[i]. */
export const transposeP: Primitive<TransposeParams> = definePrimitive<TransposeParams>({
  name: "transpose",
  shape: ([x], { permutation }) => {
    const a = x as Aval;
    if (
      !shapesEqual(
        [...permutation].sort((p, q) => p - q),
        range(a.rank),
      )
    )
      fail(
        ShapeError,
        "transpose",
        `the permutation must name each of the ${a.rank} axes once`,
        `${showShape(permutation)} for ${a}`,
        "list every axis",
      );
    return [a.with({ shape: pick(a.shape, permutation) })];
  },
  jvp: linearJvp,
  transpose: transposed((ct, _x, { permutation }) =>
    transpose(ct, inversePermutation(permutation)),
  ),
  batch: batchOne(({ permutation }, at) => [
    { permutation: [at, ...allShifted(permutation, at)] },
    0,
  ]),
  lower: (_ins, _outs, { permutation }) => {
    const inverse = inversePermutation(permutation);
    return moving((index) => pick(index, inverse));
  },
});
export const transpose = (x: NDArray, permutation: readonly number[]): NDArray =>
  permutation.every((p, i) => p === i) && permutation.length === x.ndim
    ? x
    : bind1(transposeP, [x], { permutation });

// ---- convert_element_type ----

export interface ConvertParams {
  readonly newDtype: DType;
  readonly weakType: boolean;
}
/** The value in another dtype: floats round, float to integer truncates and saturates, integers wrap. */
export const convertElementTypeP: Primitive<ConvertParams> = definePrimitive<ConvertParams>({
  name: "convert_element_type",
  shape: ([x], { newDtype, weakType }) => [(x as Aval).with({ dtype: newDtype, weakType })],
  jvp: ([x], [t], p) => {
    const to = (v: NDArray): NDArray => bind1(convertElementTypeP, [v], p);
    return dual(to(x as NDArray), isFloat(p.newDtype) ? to(t as NDArray) : undefined);
  },
  transpose: transposed((ct, x) => convert(ct, x.dtype, x.weakType)),
  batch: batchSame,
  lower: (_ins, _outs, { newDtype }) =>
    eachElement((index, read) => cast(read(0, index), newDtype)),
});
/** `x` in dtype `dtype`; the same object when nothing changes. Literals convert in place. */
export function convert(x: NDArray, dtype: DType, weakType = false): NDArray {
  if (x.dtype === dtype && x.weakType === weakType) return x;
  if (x instanceof Literal)
    return new Literal(isFloat(x.dtype) ? x.exact : wrapInteger(x.value, dtype), dtype, weakType);
  return bind1(convertElementTypeP, [x], { newDtype: dtype, weakType });
}
