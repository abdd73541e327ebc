/** The linear backbone: what every transform itself uses. `broadcast` and `sum`, `reshape`, `transpose`, `convert`
 *  and the addition of cotangents are each other's transposes, so they stand together. */
import { Aval } from "../aval.ts";
import { type DType, isFloat, wrapInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { add, cast, type Expr, lit } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  definePrimitive,
  type JvpRule,
  LinearInput,
  type Primitive,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { inversePermutation, range, type Shape, shapesEqual, showShape, sizeOf } from "../shape.ts";
import { bind1 } from "../trace.ts";

/** jvp of an operation that is linear in all its operands taken together (or in its only one). */
export function linearJvp<P>(apply: (x: NDArray, params: P) => NDArray): JvpRule<P> {
  return ([x], [t], params) => {
    const out = apply(x as NDArray, params);
    const tangent = t instanceof Zero ? new Zero(out.aval) : apply(t as NDArray, params);
    return { outs: [out], tangents: [tangent] };
  };
}

/** The only cotangent, applied through `apply`; zero stays zero. */
const transposed =
  <P>(apply: (ct: NDArray, input: Aval, params: P) => NDArray) =>
  (
    [ct]: readonly Tangent[],
    [x]: readonly (NDArray | LinearInput)[],
    params: P,
  ): readonly Tangent[] => {
    const { aval } = x as NDArray;
    return [ct instanceof Zero ? new Zero(aval) : apply(ct as NDArray, aval, params)];
  };

const without = (shape: Shape, axes: readonly number[]): number[] =>
  shape.filter((_, i) => !axes.includes(i));

// ---- add_any ----

/** x + y of two (co)tangents of one type. */
export const addAnyP = definePrimitive({
  name: "add_any",
  shape: ([x, y]) => {
    const [a, b] = [x as Aval, y as Aval];
    if (!shapesEqual(a.shape, b.shape) || a.dtype !== b.dtype)
      fail(ShapeError, "add_any", "operands must have one type", `${a} and ${b}`, "report this");
    return [a.with({ weakType: a.weakType && b.weakType })];
  },
  jvp: ([x, y], [dx, dy]) => ({
    outs: [addAny(x as NDArray, y as NDArray)],
    tangents: [addTangents(dx as Tangent, dy as Tangent)],
  }),
  transpose: ([ct], inputs) =>
    inputs.map((x) => (x instanceof LinearInput ? (ct as Tangent) : null)),
  batch: (size, inputs, dims) => {
    const at = dims.find((d) => d !== null) as number;
    const [x, y] = inputs.map((v, i) => moveBatch(v, dims[i] as number | null, at, size));
    return { outs: [addAny(x as NDArray, y as NDArray)], dims: [at] };
  },
  lower: () => ({
    kind: "map",
    at: (index, read) => [add(read(0, index), read(1, index))],
  }),
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
          `operand ${a} axis ${i} = ${a.shape[i]}, output ${showShape(shape)} axis ${d} = ${shape[d]}`,
          "check the target shape",
        );
    });
    return [Aval.of(shape, a.dtype, a.weakType)];
  },
  jvp: linearJvp((x, p) => bind1(broadcastInDimP, [x], p)),
  transpose: transposed((ct, x, { shape, broadcastDimensions: dims }) => {
    const added = range(shape.length).filter((i) => !dims.includes(i));
    const repeated = dims.filter((d, i) => x.shape[i] === 1 && shape[d] !== 1);
    return reshape(reduceSum(ct, [...added, ...repeated]), x.shape);
  }),
  batch: (size, [x], [d], { shape, broadcastDimensions }) => ({
    outs: [
      broadcastInDim(
        moveBatch(x as NDArray, d as number, 0, size),
        [size, ...shape],
        [0, ...broadcastDimensions.map((i) => i + 1)],
      ),
    ],
    dims: [0],
  }),
  lower: ([x], _outs, { broadcastDimensions: dims }) => ({
    kind: "map",
    at: (index, read) => [
      read(
        0,
        dims.map((d, i) => ((x as Aval).shape[i] === 1 ? lit(0, "int32") : (index[d] as Expr))),
      ),
    ],
  }),
});
export function broadcastInDim(x: NDArray, shape: Shape, dims: readonly number[]): NDArray {
  if (x.ndim === shape.length && shapesEqual(x.shape, shape)) return x;
  return bind1(broadcastInDimP, [x], { shape, broadcastDimensions: dims });
}
/** An array of one value. */
export const full = (shape: Shape, value: number | boolean, dtype: DType, weak = false): NDArray =>
  broadcastInDim(new Literal(value, dtype, weak), shape, []);
export const zerosOf = (aval: Aval): NDArray => full(aval.shape, 0, aval.dtype, aval.weakType);
/** The value of a tangent, with zeros written out. */
export const instantiate = (t: Tangent): NDArray => (t instanceof Zero ? zerosOf(t.aval) : t);

/** `x` with its batch axis at `to`; an unbatched x is repeated along a new axis. */
export function moveBatch(x: NDArray, from: number | null, to: number, size: number): NDArray {
  if (from === null) {
    const shape = [...x.shape.slice(0, to), size, ...x.shape.slice(to)];
    return broadcastInDim(
      x,
      shape,
      range(x.ndim).map((i) => (i < to ? i : i + 1)),
    );
  }
  return moveAxis(x, from, to);
}
export function moveAxis(x: NDArray, from: number, to: number): NDArray {
  if (from === to) return x;
  const rest = range(x.ndim).filter((i) => i !== from);
  return transpose(x, [...rest.slice(0, to), from, ...rest.slice(to)]);
}

// ---- reduce_sum ----

export interface AxesParams {
  readonly axes: readonly number[];
}
/** Shape rule of a reduction over distinct axes. */
export function reducedAval(op: string, x: Aval, axes: readonly number[]): Aval {
  if (new Set(axes).size !== axes.length || axes.some((a) => a < 0 || a >= x.rank))
    fail(
      ShapeError,
      op,
      `axes must be distinct and between 0 and ${x.rank - 1}`,
      `${showShape(axes)} for ${x}`,
      "choose axes that exist",
    );
  return x.with({ shape: without(x.shape, axes) });
}
/** Full index of a reduction's operand from the kept and the reduced indices. */
export function mergeIndex(
  rank: number,
  axes: readonly number[],
  kept: readonly Expr[],
  reduced: readonly Expr[],
): Expr[] {
  let k = 0;
  return range(rank).map((i) => {
    const at = axes.indexOf(i);
    return (at >= 0 ? reduced[at] : kept[k++]) as Expr;
  });
}
/** Batch rule of an operation that acts on the named axes and drops them. */
export function batchReduction(
  apply: (x: NDArray, axes: readonly number[]) => NDArray,
): (
  size: number,
  inputs: readonly NDArray[],
  dims: readonly (number | null)[],
  params: AxesParams,
) => { outs: NDArray[]; dims: number[] } {
  return (_size, [x], [d], { axes }) => {
    const at = d as number;
    const shifted = axes.map((a) => (a >= at ? a + 1 : a));
    return {
      outs: [apply(x as NDArray, shifted)],
      dims: [at - shifted.filter((a) => a < at).length],
    };
  };
}

/** Σ over `axes`. Sums of float32 and narrower are accumulated wider and rounded once. */
export const reduceSumP = definePrimitive<AxesParams>({
  name: "reduce_sum",
  shape: ([x], { axes }) => {
    if ((x as Aval).dtype === "bool")
      fail(DTypeError, "reduceSum", "needs numbers", String(x), "cast to int32 first");
    return [reducedAval("reduceSum", x as Aval, axes)];
  },
  jvp: linearJvp((x, { axes }) => reduceSum(x, axes)),
  transpose: transposed((ct, x, { axes }) =>
    broadcastInDim(
      ct,
      x.shape,
      range(x.rank).filter((i) => !axes.includes(i)),
    ),
  ),
  batch: batchReduction((x, axes) => reduceSum(x, axes)),
  lower: ([x], _outs, { axes }) => {
    const { dtype, shape, rank } = x as Aval;
    const acc: DType =
      dtype === "float32" ? "float64" : isFloat(dtype) && dtype !== "float64" ? "float32" : dtype;
    // a sum of one term is the term
    if (axes.every((a) => shape[a] === 1)) return { kind: "alias" };
    return {
      kind: "reduce",
      extents: axes.map((a) => shape[a] as number),
      init: () => [lit(0, acc)],
      step: ([sum], index, r, read) => [
        add(sum as Expr, cast(read(0, mergeIndex(rank, axes, index, r)), acc)),
      ],
      finish: ([sum]) => [cast(sum as Expr, dtype)],
    };
  },
});
export const reduceSum = (x: NDArray, axes: readonly number[]): NDArray =>
  axes.length === 0 ? x : bind1(reduceSumP, [x], { axes });

// ---- reshape, squeeze, transpose ----

export interface ReshapeParams {
  readonly newSizes: Shape;
}
/** The same elements, in row-major order, under another shape. */
export const reshapeP = definePrimitive<ReshapeParams>({
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
  jvp: linearJvp((x, { newSizes }) => reshape(x, newSizes)),
  transpose: transposed((ct, x) => reshape(ct, x.shape)),
  batch: (size, [x], [d], { newSizes }) => ({
    outs: [reshape(moveAxis(x as NDArray, d as number, 0), [size, ...newSizes])],
    dims: [0],
  }),
  lower: () => ({ kind: "alias" }),
});
export const reshape = (x: NDArray, newSizes: Shape): NDArray =>
  shapesEqual(x.shape, newSizes) ? x : bind1(reshapeP, [x], { newSizes });

export interface SqueezeParams {
  readonly dimensions: readonly number[];
}
/** Drops axes of size 1. */
export const squeezeP = definePrimitive<SqueezeParams>({
  name: "squeeze",
  shape: ([x], { dimensions }) => {
    const a = x as Aval;
    for (const d of dimensions)
      if (a.shape[d] !== 1)
        fail(
          ShapeError,
          "squeeze",
          "an axis can be dropped only if its size is 1",
          `${a} axis ${d} = ${a.shape[d]}`,
          "choose an axis of size 1, or index it",
        );
    return [a.with({ shape: without(a.shape, dimensions) })];
  },
  jvp: linearJvp((x, { dimensions }) => squeeze(x, dimensions)),
  transpose: transposed((ct, _x, { dimensions }) => expandDims(ct, dimensions)),
  batch: (_size, [x], [d], { dimensions }) => {
    const at = d as number;
    const shifted = dimensions.map((i) => (i >= at ? i + 1 : i));
    return {
      outs: [squeeze(x as NDArray, shifted)],
      dims: [at - shifted.filter((i) => i < at).length],
    };
  },
  lower: () => ({ kind: "alias" }),
});
export const squeeze = (x: NDArray, dimensions: readonly number[]): NDArray =>
  dimensions.length === 0 ? x : bind1(squeezeP, [x], { dimensions });

/** Inserts axes of size 1 at the given positions of the result. */
export function expandDims(x: NDArray, positions: readonly number[]): NDArray {
  const rank = x.ndim + positions.length;
  const kept = range(rank).filter((i) => !positions.includes(i));
  let k = 0;
  const shape = range(rank).map((i) => (positions.includes(i) ? 1 : (x.shape[k++] as number)));
  return broadcastInDim(x, shape, kept);
}

export interface TransposeParams {
  readonly permutation: readonly number[];
}
/** Output axis i is input axis permutation[i]. */
export const transposeP = definePrimitive<TransposeParams>({
  name: "transpose",
  shape: ([x], { permutation }) => {
    const a = x as Aval;
    if (
      permutation.length !== a.rank ||
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
    return [a.with({ shape: permutation.map((p) => a.shape[p] as number) })];
  },
  jvp: linearJvp((x, { permutation }) => transpose(x, permutation)),
  transpose: transposed((ct, _x, { permutation }) =>
    transpose(ct, inversePermutation(permutation)),
  ),
  batch: (_size, [x], [d], { permutation }) => {
    const at = d as number;
    return {
      outs: [transpose(x as NDArray, [at, ...permutation.map((p) => (p >= at ? p + 1 : p))])],
      dims: [0],
    };
  },
  lower: (_ins, _outs, { permutation }) => {
    const inverse = inversePermutation(permutation);
    return {
      kind: "map",
      at: (index, read) => [
        read(
          0,
          inverse.map((i) => index[i] as Expr),
        ),
      ],
    };
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
    const out = bind1(convertElementTypeP, [x as NDArray], p);
    const zero = t instanceof Zero || !isFloat(p.newDtype) || !isFloat((x as NDArray).dtype);
    return {
      outs: [out],
      tangents: [zero ? new Zero(out.aval) : bind1(convertElementTypeP, [t as NDArray], p)],
    };
  },
  transpose: transposed((ct, x) => convert(ct, x.dtype, x.weakType)),
  batch: (_size, [x], [d], p) => ({
    outs: [bind1(convertElementTypeP, [x as NDArray], p)],
    dims: [d as number],
  }),
  lower: (_ins, _outs, { newDtype }) => ({
    kind: "map",
    at: (index, read) => [cast(read(0, index), newDtype)],
  }),
});
/** `x` in dtype `dtype`; the same object when nothing changes. Literals convert in place. */
export function convert(x: NDArray, dtype: DType, weakType = false): NDArray {
  if (x.dtype === dtype && x.weakType === weakType) return x;
  if (x instanceof Literal)
    return new Literal(isFloat(x.dtype) ? x.exact : wrapInteger(x.value, dtype), dtype, weakType);
  return bind1(convertElementTypeP, [x], { newDtype: dtype, weakType });
}
