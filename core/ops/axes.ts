/** Lists of axes: what a batch axis that comes in does to them, and the batch rule of operations on one array. */
import type { Expr } from "../kernel/expr.ts";
import type { MapLowering, Read } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import type { BatchRule, Params, Primitive } from "../primitive.ts";
import { range } from "../shape.ts";
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

/** The number of an axis once a batch axis has come in at `at`. */
export const shifted = (axis: number, at: number): number => (axis >= at ? axis + 1 : axis);
export const allShifted = (axes: readonly number[], at: number): number[] =>
  axes.map((a) => shifted(a, at));
/** The batch axis of the first operand that has one. */
export const firstOf = (dims: readonly (number | null)[]): number =>
  dims.find((d) => d !== null) as number;

/** Batch rule of an operation on one array: `change` gives its params for the array with a batch axis at `at`, and where
 *  that axis is in the results, if not at `at` too. */
export const batchOne =
  <P extends Params>(
    get: () => Primitive<P>,
    change: (params: P, at: number, size: number) => readonly [P, number?],
  ): BatchRule<P> =>
  (size, [x], [d], params) => {
    const [changed, at = d as number] = change(params, d as number, size);
    const outs = bind(get(), [x as NDArray], changed);
    return { outs, dims: outs.map(() => at) };
  };
/** Batch rule of an operation on one array to which one axis is like another. */
export const batchSame = <P extends Params>(get: () => Primitive<P>): BatchRule<P> =>
  batchOne(get, (params) => [params]);
/** Axes that an operation drops, and the place of a batch axis once they are gone. */
export function dropped(
  axes: readonly number[],
  at: number,
): readonly [axes: number[], at: number] {
  const list = allShifted(axes, at);
  return [list, at - list.filter((a) => a < at).length];
}

/** Lowering of an operation whose elements are those of its operand at other places. */
export const moving = (
  from: (index: readonly Expr[], read: Read) => readonly Expr[],
): MapLowering => ({
  kind: "map",
  at: (index, read) => [read(0, from(index, read))],
});
