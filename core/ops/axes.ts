/** Lists of axes: what a batch axis that comes in does to them, and the batch rule of operations on one array. */
import { type Expr, int } from "../kernel/expr.ts";
import { loop, type MapLowering, type parallel, type Read, type Stmt } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import type { BatchRule, Params } from "../primitive.ts";
import { range, type Shape } from "../shape.ts";
import { bind } from "../trace.ts";

/** Elements of `list` at the positions `at`. */
export const pick = <T>(list: readonly T[], at: readonly number[]): T[] =>
  at.map((i) => list[i] as T);
/** The axes that are not among `axes`. */
export const otherAxes = (rank: number, axes: readonly number[]): number[] =>
  range(rank).filter((i) => !axes.includes(i));
/** `list` with `value` put in at `at`. */
export const inserted = <T>(list: readonly T[], at: number, value: T): T[] => [
  ...list.slice(0, at),
  value,
  ...list.slice(at),
];
/** `list` with `value` at `at`. */
export const replaced = <T>(list: readonly T[], at: number, value: T): T[] =>
  list.map((v, i) => (i === at ? value : v));

/** The number of an axis once a batch axis, if there is one, has come in at `at`. */
export const shifted = (axis: number, at: number | null): number =>
  at !== null && axis >= at ? axis + 1 : axis;
export const allShifted = (axes: readonly number[], at: number | null): number[] =>
  axes.map((a) => shifted(a, at));
/** The batch axis of the first operand that has one. */
export const firstOf = (dims: readonly (number | null)[]): number =>
  dims.find((d) => d !== null) as number;

/** What a batch rule gives for results that all have the batch axis at `at`. */
export const batched = (
  outs: readonly NDArray[],
  at: number,
): { readonly outs: readonly NDArray[]; readonly dims: readonly number[] } => ({
  outs,
  dims: outs.map(() => at),
});
/** Batch rule of an operation on one array: `change` gives its params for the array with a batch axis at `at`, and where
 *  that axis is in the results, if not at `at` too. */
export const batchOne =
  <P extends Params>(
    change: (params: P, at: number, size: number) => readonly [P, number?],
  ): BatchRule<P> =>
  (size, [x], [d], params, primitive) => {
    const [changed, at = d as number] = change(params, d as number, size);
    return batched(bind(primitive, [x as NDArray], changed), at);
  };
/** Batch rule of an operation on one array to which one axis is like another. */
export const batchSame: BatchRule<Params> = batchOne((params) => [params]);
/** Axes that an operation drops, and the place of a batch axis once they are gone. */
export function dropped(
  axes: readonly number[],
  at: number,
): readonly [axes: number[], at: number] {
  const list = allShifted(axes, at);
  return [list, at - list.filter((a) => a < at).length];
}

/** Batch rule of an operation on one array that works along `axis`. */
export const batchAlong: BatchRule<{ readonly axis: number }> = batchOne((params, at) => [
  { ...params, axis: shifted(params.axis, at) },
]);
/** Batch rule of an operation on one array that drops `axes`. */
export const batchDropping: BatchRule<{ readonly axes: readonly number[] }> = batchOne(
  (params, at) => {
    const [axes, to] = dropped(params.axes, at);
    return [{ ...params, axes }, to];
  },
);

/** Lowering of an operation with one result to the expression of an element. */
export const eachElement = (at: (index: readonly Expr[], read: Read) => Expr): MapLowering => ({
  kind: "map",
  at: (index, read) => [at(index, read)],
});
/** Lowering of an operation whose elements are those of its operand at other places. */
export const moving = (
  from: (index: readonly Expr[], read: Read) => readonly Expr[],
): MapLowering => eachElement((index, read) => read(0, from(index, read)));
/** `body` inside one loop for each axis of a box, given the loop variables. */
export function box(
  extents: Shape,
  body: (index: readonly Expr[]) => readonly Stmt[],
  each: typeof parallel = loop,
  index: readonly Expr[] = [],
): readonly Stmt[] {
  if (index.length === extents.length) return body(index);
  const inner = (v: Expr): readonly Stmt[] => box(extents, body, each, [...index, v]);
  const extent = extents[index.length] as number;
  return extent === 1 ? inner(int(0)) : [each(extent, inner)];
}
/** One of `count` values, found in log₂ of their number: `choose` gives one below `middle` or one from there on. */
export function halving(
  count: number,
  value: (i: number) => Expr,
  choose: (middle: number, below: Expr, above: Expr) => Expr,
): Expr {
  const go = (from: number, to: number): Expr => {
    const middle = (from + to) >> 1;
    return to - from === 1 ? value(from) : choose(middle, go(from, middle), go(middle, to));
  };
  return go(0, count);
}
