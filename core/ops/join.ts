/** Joining, splitting and repeating along axes. */
import type { Aval } from "../aval.ts";
import { fail, ShapeError } from "../errors.ts";
import { add, compare, cond, type Expr, int, mul, rem, sub } from "../kernel/expr.ts";
import { type Buf, loop } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, LinearInput, type Primitive } from "../primitive.ts";
import { normalizeAxis, range, showShape, sizeOf } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import {
  batchAlong,
  batchOne,
  eachElement,
  halving,
  inserted,
  moving,
  replaced,
  shifted,
} from "./axes.ts";
import { checkAxis, checkOneDType, checkWhole } from "./checks.ts";
import { batchAligned, expandDims, instantiate, jointJvp, reduceSum, reshape } from "./linear.ts";
import { linearJvp, transposed } from "./linearity.ts";
import { indexInDim, sliceInDim } from "./slicing.ts";

// ---- concatenate, split ----

/** The operands one after the other along `dimension` */
export const concatenateP: Primitive<{ readonly dimension: number }> = definePrimitive<{
  readonly dimension: number;
}>({
  name: "concatenate",
  shape: (avals, { dimension }) => {
    const first = avals[0];
    const op = "concatenate";
    if (first === undefined)
      return fail(ShapeError, op, "needs at least one operand", "none", "pass a list of arrays");
    if (first.rank === 0)
      fail(
        ShapeError,
        op,
        "scalars have no axis to be joined along",
        `dimension ${dimension} for ${first}`,
        "use stack",
      );
    checkAxis(op, "dimension", dimension, first);
    checkOneDType(op, avals);
    for (const a of avals) {
      if (a.rank !== first.rank || a.shape.some((s, i) => i !== dimension && s !== first.shape[i]))
        fail(
          ShapeError,
          op,
          `shapes must agree except along axis ${dimension}`,
          avals.join(" and "),
          "check the other axes",
        );
    }
    const total = avals.reduce((n, a) => n + (a.shape[dimension] as number), 0);
    return [
      first.with({
        shape: replaced(first.shape, dimension, total),
        weakType: avals.every((a) => a.weakType),
      }),
    ];
  },
  jvp: jointJvp,
  transpose: ([ct], xs, { dimension }) => {
    const sizes = xs.map((x) => x.aval.shape[dimension] as number);
    const linear = xs.map((x) => x instanceof LinearInput);
    if (linear.filter(Boolean).length > 1) return split(ct as NDArray, sizes, dimension);
    let from = 0;
    return sizes.map((size, i) => {
      const start = from;
      from += size;
      return linear[i] ? sliceInDim(ct as NDArray, start, from, 1, dimension) : null;
    });
  },
  batch: batchAligned(({ dimension }, at) => ({ dimension: shifted(dimension, at) })),
  lower: (ins, _outs, { dimension }) => {
    let end = 0;
    const parts = ins.map((a, input) => {
      const start = end;
      end += a.shape[dimension] as number;
      return { input, start, end };
    });
    const filled = parts.filter((p) => p.end > p.start);
    const list = filled.length === 0 ? parts.slice(0, 1) : filled;
    return eachElement((index, read) => {
      const position = index[dimension] as Expr;
      const startOf = (i: number): Expr => int((list[i] as (typeof list)[number]).start);
      return halving(
        list.length,
        (i) =>
          read(
            (list[i] as (typeof list)[number]).input,
            replaced(index, dimension, sub(position, startOf(i))),
          ),
        (middle, below, above) => cond(compare("lt", position, startOf(middle)), below, above),
      );
    });
  },
});
/** The arrays one after the other along an axis; a single one comes back as it is.
 *  @throws ShapeError, DTypeError unless dtypes and all other sizes agree */
export const concatenate = (xs: readonly NDArray[], dimension: number): NDArray =>
  xs.length === 1 && dimension >= 0 && dimension < (xs[0] as NDArray).ndim
    ? (xs[0] as NDArray)
    : bind1(concatenateP, xs, { dimension });
/** The arrays along a new axis.
 *  @throws ShapeError unless the shapes are equal */
export const stack = (xs: readonly NDArray[], axis = 0): NDArray =>
  concatenate(
    xs.map((x) => expandDims(x, [axis])),
    axis,
  );
/** The slices along an axis, without it. */
export function unstack(x: NDArray, axis = 0): NDArray[] {
  const at = normalizeAxis("unstack", axis, x.ndim);
  return range(x.shape[at] as number).map((i) => indexInDim(x, i, at, false));
}

export interface SplitParams {
  readonly sizes: readonly number[];
  readonly axis: number;
}
/** Consecutive parts of the given sizes along one axis */
export const splitP: Primitive<SplitParams> = definePrimitive<SplitParams>({
  name: "split",
  shape: ([x], { sizes, axis }) => {
    const a = x as Aval;
    checkAxis("split", "axis", axis, a);
    checkWhole("split", "sizes", sizes);
    if (sizes.some((s) => s < 0) || sizes.reduce((n, s) => n + s, 0) !== a.shape[axis])
      fail(
        ShapeError,
        "split",
        "sizes must not be negative and must add up to the size of the axis",
        `${showShape(sizes)} on axis ${axis} of ${a}`,
        "check the sizes",
      );
    return sizes.map((s) => a.with({ shape: replaced(a.shape, axis, s) }));
  },
  jvp: linearJvp,
  transpose: (cts, _inputs, { axis }) => [concatenate(cts.map(instantiate), axis)],
  batch: batchAlong,
  lower: ([x], _outs, { sizes, axis }) => {
    const { shape } = x as Aval;
    const inner = sizeOf(shape.slice(axis + 1));
    const length = int((shape[axis] as number) * inner);
    return {
      kind: "routine",
      build: ([from], to) => {
        let offset = 0;
        return sizes.map((size, i) => {
          const [start, width] = [int(offset), size * inner];
          offset += width;
          return loop(sizeOf(shape.slice(0, axis)), (o) => [
            loop(width, (j) => [
              (to[i] as Buf).store(
                add(mul(o, int(width)), j),
                (from as Buf).at(add(add(mul(o, length), start), j)),
              ),
            ]),
          ]);
        });
      },
    };
  },
});
/** Consecutive parts of the given sizes along an axis.
 *  @throws ShapeError unless the sizes add up to the size of the axis */
export const split = (x: NDArray, sizes: readonly number[], axis = 0): NDArray[] => [
  ...bind(splitP, [x], { sizes, axis }),
];

// ---- tile ----

/** x[i mod size] along each axis, `reps` times its size */
export const tileP: Primitive<{ readonly reps: readonly number[] }> = definePrimitive<{
  readonly reps: readonly number[];
}>({
  name: "tile",
  shape: ([x], { reps }) => {
    const a = x as Aval;
    if (reps.length !== a.rank || !reps.every((r) => Number.isSafeInteger(r) && r >= 0))
      fail(
        ShapeError,
        "tile",
        `reps must be a non-negative whole number for each of the ${a.rank} axes`,
        `${showShape(reps)} for ${a}`,
        "give one number for each axis",
      );
    return [a.with({ shape: a.shape.map((s, i) => s * (reps[i] as number)) })];
  },
  jvp: linearJvp,
  transpose: transposed((ct, x, { reps }) =>
    reduceSum(
      reshape(
        ct,
        x.shape.flatMap((s, i) => [reps[i] as number, s]),
      ),
      range(x.rank).map((i) => 2 * i),
    ),
  ),
  batch: batchOne(({ reps }, at) => [{ reps: inserted(reps, at, 1) }]),
  lower: ([x], _outs, { reps }) =>
    moving((index) =>
      index.map((e, i) => {
        const size = (x as Aval).shape[i] as number;
        if (reps[i] === 1) return e;
        return size <= 1 ? int(0) : rem(e, int(size));
      }),
    ),
});
/** `x` repeated `reps[i]` times along axis i.
 *  @throws ShapeError unless there is one count for each axis */
export const tile = (x: NDArray, reps: readonly number[]): NDArray => bind1(tileP, [x], { reps });
