/** Joining, splitting and repeating along axes. */
import { Aval } from "../aval.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { add, compare, cond, type Expr, int, mul, rem, sub } from "../kernel/expr.ts";
import { type Buf, loop, type Stmt } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, LinearInput, type Primitive, Zero } from "../primitive.ts";
import { normalizeAxis, range, showShape, sizeOf } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import { expandDims, instantiate, linearJvp, moveBatch, reduceSum, reshape } from "./linear.ts";
import { allZero } from "./select.ts";
import { indexInDim, inserted, shifted, sliceInDim, transposed, wholeNumbers } from "./slicing.ts";

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
    if (!Number.isInteger(dimension) || dimension < 0 || dimension >= first.rank)
      fail(
        ShapeError,
        op,
        first.rank === 0
          ? "scalars have no axis to be joined along"
          : `dimension must be between 0 and ${first.rank - 1}`,
        `dimension ${dimension} for ${first}`,
        first.rank === 0 ? "use stack" : "choose an existing axis",
      );
    for (const a of avals) {
      if (a.dtype !== first.dtype)
        fail(
          DTypeError,
          op,
          "operands must have one dtype",
          avals.join(" and "),
          "convert them first",
        );
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
    const shape = first.shape.map((s, i) => (i === dimension ? total : s));
    return [
      Aval.of(
        shape,
        first.dtype,
        avals.every((a) => a.weakType),
      ),
    ];
  },
  jvp: (xs, tangents, { dimension }) => {
    const out = concatenate(xs, dimension);
    if (allZero(tangents)) return { outs: [out], tangents: [new Zero(out.aval)] };
    return { outs: [out], tangents: [concatenate(tangents.map(instantiate), dimension)] };
  },
  transpose: ([ct], xs, { dimension }) => {
    const sizes = xs.map((x) => x.aval.shape[dimension] as number);
    const linear = xs.map((x) => x instanceof LinearInput);
    if (ct instanceof Zero) return xs.map((x, i) => (linear[i] ? new Zero(x.aval) : null));
    if (linear.filter(Boolean).length > 1) return split(ct as NDArray, sizes, dimension);
    let from = 0;
    return sizes.map((size, i) => {
      const start = from;
      from += size;
      return linear[i] ? sliceInDim(ct as NDArray, start, start + size, 1, dimension) : null;
    });
  },
  batch: (size, xs, dims, { dimension }) => {
    const at = dims.find((d) => d !== null) as number;
    const moved = xs.map((x, i) => moveBatch(x, dims[i] as number | null, at, size));
    return { outs: [concatenate(moved, shifted(dimension, at))], dims: [at] };
  },
  lower: (ins, _outs, { dimension }) => {
    let end = 0;
    const parts = ins.map((a, input) => {
      const start = end;
      end += a.shape[dimension] as number;
      return { input, start, end };
    });
    const filled = parts.filter((p) => p.end > p.start);
    return {
      kind: "map",
      at: (index, read) => {
        const position = index[dimension] as Expr;
        const list = filled.length === 0 ? parts.slice(0, 1) : filled;
        // halving keeps the comparisons for one element at log₂ of the number of operands
        const pick = (from: number, to: number): Expr => {
          const { input, start } = list[from] as (typeof list)[number];
          if (to - from === 1)
            return read(
              input,
              index.map((e, i) => (i === dimension ? sub(e, int(start)) : e)),
            );
          const middle = (from + to) >> 1;
          const bound = (list[middle] as (typeof list)[number]).start;
          return cond(compare("lt", position, int(bound)), pick(from, middle), pick(middle, to));
        };
        return [pick(0, list.length)];
      },
    };
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
/** Copies a box of rows: to[o, j] = from[o, offset + j] for o < outer, j < width. */
function copyRows(
  from: Buf,
  to: Buf,
  outer: number,
  rowLength: number,
  offset: number,
  width: number,
): Stmt {
  return loop(outer, (o) => [
    loop(
      width,
      (j) => [
        to.store(
          add(mul(o, int(width)), j),
          from.at(add(add(mul(o, int(rowLength)), int(offset)), j)),
        ),
      ],
      "j",
    ),
  ]);
}
/** Consecutive parts of the given sizes along one axis */
export const splitP: Primitive<SplitParams> = definePrimitive<SplitParams>({
  name: "split",
  shape: ([x], { sizes, axis }) => {
    const a = x as Aval;
    if (!Number.isInteger(axis) || axis < 0 || axis >= a.rank)
      fail(
        ShapeError,
        "split",
        `axis must be between 0 and ${a.rank - 1}`,
        `axis ${axis} for ${a}`,
        "choose an existing axis",
      );
    wholeNumbers("split", "sizes", sizes);
    if (sizes.some((s) => s < 0) || sizes.reduce((n, s) => n + s, 0) !== a.shape[axis])
      fail(
        ShapeError,
        "split",
        "sizes must not be negative and must add up to the size of the axis",
        `${showShape(sizes)} on axis ${axis} of ${a}`,
        "check the sizes",
      );
    return sizes.map((s) => a.with({ shape: a.shape.map((n, i) => (i === axis ? s : n)) }));
  },
  jvp: ([x], [t], { sizes, axis }) => {
    const outs = split(x as NDArray, sizes, axis);
    const tangents =
      t instanceof Zero ? outs.map((o) => new Zero(o.aval)) : split(t as NDArray, sizes, axis);
    return { outs, tangents };
  },
  transpose: (cts, [x], { axis }) => [
    allZero(cts) ? new Zero((x as LinearInput).aval) : concatenate(cts.map(instantiate), axis),
  ],
  batch: (_size, [x], [d], { sizes, axis }) => {
    const at = d as number;
    return { outs: split(x as NDArray, sizes, shifted(axis, at)), dims: sizes.map(() => at) };
  },
  lower: ([x], _outs, { sizes, axis }) => {
    const { shape } = x as Aval;
    const outer = sizeOf(shape.slice(0, axis));
    const inner = sizeOf(shape.slice(axis + 1));
    return {
      kind: "routine",
      build: ([from], to) => {
        let offset = 0;
        return sizes.map((size, i) => {
          const start = offset;
          offset += size * inner;
          const rowLength = (shape[axis] as number) * inner;
          return copyRows(from as Buf, to[i] as Buf, outer, rowLength, start, size * inner);
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
  jvp: linearJvp((x, { reps }) => tile(x, reps)),
  transpose: transposed((ct, x, { reps }) =>
    reduceSum(
      reshape(
        ct,
        x.shape.flatMap((s, i) => [reps[i] as number, s]),
      ),
      range(x.rank).map((i) => 2 * i),
    ),
  ),
  batch: (_size, [x], [d], { reps }) => ({
    outs: [tile(x as NDArray, inserted(reps, d as number, 1))],
    dims: [d as number],
  }),
  lower: ([x], _outs, { reps }) => ({
    kind: "map",
    at: (index, read) => [
      read(
        0,
        index.map((e, i) => {
          const size = (x as Aval).shape[i] as number;
          if (reps[i] === 1) return e;
          return size <= 1 ? int(0) : rem(e, int(size));
        }),
      ),
    ],
  }),
});
/** `x` repeated `reps[i]` times along axis i.
 *  @throws ShapeError unless there is one count for each axis */
export const tile = (x: NDArray, reps: readonly number[]): NDArray => bind1(tileP, [x], { reps });
