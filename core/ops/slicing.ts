/** Reversing, slicing and padding. */
import type { Aval } from "../aval.ts";
import { fail, ShapeError } from "../errors.ts";
import {
  add,
  and,
  compare,
  cond,
  div,
  type Expr,
  int,
  lit,
  mul,
  rem,
  sub,
} from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive } from "../primitive.ts";
import { normalizeAxis, range, type Shape, showShape } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { allShifted, batched, batchOne, eachElement, inserted, moving, replaced } from "./axes.ts";
import { checkAxes, checkOneDType, checkWhole } from "./checks.ts";
import {
  broadcastInDim,
  full,
  jointJvp,
  moveBatch,
  reduceSum,
  squeeze,
  zerosOf,
} from "./linear.ts";
import { linearJvp, transposed } from "./linearity.ts";
import { selectN } from "./select.ts";

const zeroLike = (x: NDArray): NDArray => new Literal(0, x.dtype);

// ---- rev ----

/** Output[…, i, …] = x[…, n − 1 − i, …] along each of `dimensions` */
export const revP: Primitive<{ readonly dimensions: readonly number[] }> = definePrimitive<{
  readonly dimensions: readonly number[];
}>({
  name: "rev",
  shape: ([x], { dimensions }) => {
    checkAxes("rev", "dimensions", dimensions, x as Aval);
    return [x as Aval];
  },
  jvp: linearJvp,
  transpose: transposed((ct, _x, { dimensions }) => rev(ct, dimensions)),
  batch: batchOne(({ dimensions }, at) => [{ dimensions: allShifted(dimensions, at) }]),
  lower: ([x], _outs, { dimensions }) =>
    moving((index) =>
      index.map((e, i) =>
        dimensions.includes(i) ? sub(int(((x as Aval).shape[i] as number) - 1), e) : e,
      ),
    ),
});
/** `x` in reverse order along the given axes.
 *  @throws ShapeError unless the axes exist and are distinct
 *  @example rev(iota({ dtype: "int32", shape: [3], dimension: 0 }), [0]) // => [2, 1, 0] */
export const rev = (x: NDArray, dimensions: readonly number[]): NDArray =>
  bind1(revP, [x], { dimensions });

// ---- slice ----

export interface SliceParams {
  readonly startIndices: readonly number[];
  readonly limitIndices: readonly number[];
  /** null: all 1 */
  readonly strides: readonly number[] | null;
}
/** x[start₀ : limit₀ : stride₀, …] */
export const sliceP: Primitive<SliceParams> = definePrimitive<SliceParams>({
  name: "slice",
  shape: ([x], params) => {
    const a = x as Aval;
    const { startIndices: start, limitIndices: limit, strides } = params;
    for (const what of ["startIndices", "limitIndices", "strides"] as const) {
      const list = params[what] ?? start;
      checkWhole("slice", what, list);
      if (list.length !== a.rank)
        fail(
          ShapeError,
          "slice",
          `${what} must name each of the ${a.rank} axes once`,
          `${showShape(list)} for ${a}`,
          "give one number for each axis",
        );
    }
    const shape = a.shape.map((size, i) => {
      const [from, to, by] = [start[i] as number, limit[i] as number, strides?.[i] ?? 1];
      if (from < 0 || to < from || to > size)
        fail(
          ShapeError,
          "slice",
          "bounds must satisfy 0 ≤ start ≤ limit ≤ size",
          `start ${from}, limit ${to} on axis ${i} of ${a}`,
          "clip the bounds",
        );
      if (by <= 0)
        fail(
          ShapeError,
          "slice",
          "strides must be positive",
          `stride ${by} on axis ${i} of ${a}`,
          "use rev to go backwards",
        );
      return Math.ceil((to - from) / by);
    });
    return [a.with({ shape })];
  },
  jvp: linearJvp,
  transpose: transposed((ct, x, { startIndices: start, strides }) =>
    pad(
      ct,
      zeroLike(ct),
      ct.shape.map((size, i) => {
        const [from, by] = [start[i] as number, strides?.[i] ?? 1];
        const end = size === 0 ? from : from + (size - 1) * by + 1;
        return [from, (x.shape[i] as number) - end, by - 1];
      }),
    ),
  ),
  batch: batchOne(({ startIndices, limitIndices, strides }, at, size) => [
    {
      startIndices: inserted(startIndices, at, 0),
      limitIndices: inserted(limitIndices, at, size),
      strides: strides && inserted(strides, at, 1),
    },
  ]),
  lower: (_ins, _outs, { startIndices: start, strides }) =>
    moving((index) =>
      index.map((e, i) => add(mul(e, int(strides?.[i] ?? 1)), int(start[i] as number))),
    ),
});
/** x[start : limit : strides], one number for each axis.
 *  @throws ShapeError unless 0 ≤ start ≤ limit ≤ size and the strides are positive */
export const slice = (
  x: NDArray,
  startIndices: readonly number[],
  limitIndices: readonly number[],
  strides?: readonly number[],
): NDArray => bind1(sliceP, [x], { startIndices, limitIndices, strides: strides ?? null });

/** x[start : limit : stride] along one axis. Negative bounds count from the end; null means the end itself.
 *  @throws ShapeError where the bounds are outside the array */
export function sliceInDim(
  x: NDArray,
  start: number | null,
  limit: number | null,
  stride = 1,
  axis = 0,
): NDArray {
  const at = normalizeAxis("sliceInDim", axis, x.ndim);
  const size = x.shape[at] as number;
  const bound = (i: number): number => (i < 0 ? i + size : i);
  const [from, to] = [bound(start ?? 0), limit === null ? size : bound(limit)];
  return slice(
    x,
    x.shape.map((_, i) => (i === at ? from : 0)),
    replaced(x.shape, at, to),
    stride === 1 ? undefined : x.shape.map((_, i) => (i === at ? stride : 1)),
  );
}
/** x[index] along one axis, which stays with size 1 unless `keepdims` is false. A negative index counts from the end.
 *  @throws ShapeError where the index is outside the array */
export function indexInDim(x: NDArray, index: number, axis = 0, keepdims = true): NDArray {
  const at = normalizeAxis("indexInDim", axis, x.ndim);
  const size = x.shape[at] as number;
  if (!Number.isInteger(index) || index < -size || index >= size)
    fail(
      ShapeError,
      "indexInDim",
      `index must be a whole number between ${-size} and ${size - 1}`,
      `${index} on axis ${at} of ${x.aval}`,
      "choose an element that exists",
    );
  const i = index < 0 ? index + size : index;
  const out = sliceInDim(x, i, i + 1, 1, at);
  return keepdims ? out : squeeze(out, [at]);
}

// ---- pad ----

/** Elements before, after and between those of one axis. */
export type PadAxis = readonly [low: number, high: number, interior: number];
export interface PadParams {
  readonly paddingConfig: readonly PadAxis[];
}
/** The mask of elements that come from an operand of the given shape. */
const inside = (shape: Shape, config: readonly PadAxis[]): NDArray =>
  pad(full(shape, true, "bool"), new Literal(false, "bool"), config);

/** `x` with copies of a scalar before, after and between its elements; negative counts take elements away */
export const padP: Primitive<PadParams> = definePrimitive<PadParams>({
  name: "pad",
  shape: (inputs, { paddingConfig: config }) => {
    const [a, v] = inputs as [Aval, Aval];
    if (v.rank !== 0)
      fail(ShapeError, "pad", "the padding value must be a scalar", String(v), "index it first");
    checkOneDType("pad", [a, v], "convert the value", "the operand and the padding value");
    if (config.length !== a.rank)
      fail(
        ShapeError,
        "pad",
        `needs [low, high, interior] for each of the ${a.rank} axes`,
        `${config.length} for ${a}`,
        "give one triple for each axis",
      );
    const shape = a.shape.map((size, i) => {
      const [low, high, interior] = config[i] as PadAxis;
      checkWhole("pad", "low, high and interior", [low, high, interior]);
      const out = low + high + size + Math.max(0, size - 1) * interior;
      if (interior < 0 || out < 0)
        fail(
          ShapeError,
          "pad",
          interior < 0
            ? "interior must not be negative"
            : "no more can be taken away than there is",
          `[${low},${high},${interior}] on axis ${i} of ${a}`,
          interior < 0 ? "use slice with strides" : "check low and high",
        );
      return out;
    });
    return [a.with({ shape, weakType: a.weakType && v.weakType })];
  },
  jvp: jointJvp,
  transpose: transposed((ct, _x, { paddingConfig: config }, inputs, i) => {
    if (i === 1)
      return reduceSum(
        selectN(inside((inputs[0] as NDArray).aval.shape, config), [ct, zerosOf(ct.aval)]),
        range(ct.ndim),
      );
    const cut = pad(
      ct,
      zeroLike(ct),
      config.map(([low, high]) => [-low, -high, 0]),
    );
    return config.every(([, , interior]) => interior === 0)
      ? cut
      : slice(
          cut,
          config.map(() => 0),
          cut.shape,
          config.map(([, , interior]) => interior + 1),
        );
  }),
  batch: (size, inputs, [dx, dvalue], { paddingConfig: config }) => {
    const [a, v] = inputs as [NDArray, NDArray];
    const at = dx ?? 0;
    const whole = inserted<PadAxis>(config, at, [0, 0, 0]);
    if (dvalue === null) return batched([pad(a, v, whole)], at);
    // each example has a padding value of its own: the mask says where it goes
    const x = moveBatch(a, dx as number | null, at, size);
    const padded = pad(x, zeroLike(x), whole);
    const values = broadcastInDim(v, padded.shape, [at]);
    return batched([selectN(inside(x.shape, whole), [values, padded])], at);
  },
  lower: ([x], _outs, { paddingConfig: config }) =>
    eachElement((index, read) => {
      let test: Expr = lit(true, "bool");
      const from = index.map((e, i) => {
        const [low, high, interior] = config[i] as PadAxis;
        const size = (x as Aval).shape[i] as number;
        const extent = size + Math.max(0, size - 1) * interior;
        const position = sub(e, int(low));
        if (low > 0) test = and(test, compare("ge", position, int(0)));
        if (high > 0) test = and(test, compare("lt", position, int(extent)));
        if (interior === 0) return position;
        test = and(test, compare("eq", rem(position, int(interior + 1)), int(0)));
        return div(position, int(interior + 1));
      });
      return cond(test, read(0, from), read(1, []));
    }),
});
/** `x` with copies of a scalar around and between its elements: [low, high, interior] for each axis, where negative low
 *  and high take elements away.
 *  @throws ShapeError, DTypeError unless `value` is a scalar of the dtype of x
 *  @example pad(x, value, [[1, 0, 1]]) // [a, b] becomes [value, a, value, b] */
export const pad = (x: NDArray, value: NDArray, paddingConfig: readonly PadAxis[]): NDArray =>
  bind1(padP, [x, value], { paddingConfig });
