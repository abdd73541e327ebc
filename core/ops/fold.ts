/** Folds by one associative operation: what reductions, cumulative operations and windows share. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive, type PrimitiveRecord } from "../primitive.ts";
import { range } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { batchDropping, otherAxes, pick } from "./axes.ts";
import { checkAxes, checkClass, type DTypeClass } from "./checks.ts";

export interface Fold {
  readonly accepts: DTypeClass;
  /** dtype of the accumulator */
  wide(d: DType): DType;
  init(d: DType): number;
  step(acc: Expr, x: Expr): Expr;
}
const same = (d: DType): DType => d;
const isNarrow = (d: DType): boolean => isFloat(d) && dtypes[d].bytes < 4;

/** Sums of float32 and narrower are accumulated wider and rounded once. */
const sumDType = (d: DType): DType => (d === "float32" ? "float64" : isNarrow(d) ? "float32" : d);
/** Smallest and largest value of a dtype, infinities included. */
const lowest = (d: DType): number => (isFloat(d) ? Number.NEGATIVE_INFINITY : dtypes[d].min);
const highest = (d: DType): number => (isFloat(d) ? Number.POSITIVE_INFINITY : dtypes[d].max);

export const sum: Fold = { accepts: "number", wide: sumDType, init: () => 0, step: K.add };
export const product: Fold = {
  accepts: "number",
  // 16-bit products are taken in float32; a float32 product must overflow where float32 does
  wide: (d) => (isNarrow(d) ? "float32" : d),
  init: () => 1,
  step: K.mul,
};
export const largest: Fold = { accepts: "any", wide: same, init: lowest, step: K.max };
export const smallest: Fold = { accepts: "any", wide: same, init: highest, step: K.min };
export const bitwise = (op: "and" | "or" | "xor", init: (d: DType) => number): Fold => ({
  accepts: "bits",
  wide: same,
  init,
  step: (acc, x) => K.binary(op, acc, x),
});

export interface AxesParams {
  readonly axes: readonly number[];
}
/** Shape rule of a reduction over distinct axes. */
export function reducedAval(op: string, x: Aval, axes: readonly number[]): Aval {
  checkAxes(op, "axes", axes, x);
  return x.with({ shape: pick(x.shape, otherAxes(x.rank, axes)) });
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
/** A reduction over axes, which it drops. */
export function reduction(
  name: string,
  { accepts, wide, init, step }: Fold,
  jvp: PrimitiveRecord<AxesParams>["jvp"],
  transpose: PrimitiveRecord<AxesParams>["transpose"],
): Primitive<AxesParams> {
  return definePrimitive<AxesParams>({
    name,
    shape: ([x], { axes }) => {
      checkClass(name, accepts, x as Aval);
      return [reducedAval(name, x as Aval, axes)];
    },
    jvp,
    transpose,
    batch: batchDropping,
    lower: ([x], _outs, { axes }) => {
      const { dtype, shape, rank } = x as Aval;
      const acc = wide(dtype);
      // a fold of one element is the element
      if (axes.every((a) => shape[a] === 1)) return { kind: "alias" };
      return {
        kind: "reduce",
        extents: pick(shape, axes),
        init: () => [K.lit(init(dtype), acc)],
        step: ([sofar], index, r, read) => [
          step(sofar as Expr, K.cast(read(0, mergeIndex(rank, axes, index, r)), acc)),
        ],
        finish: ([total]) => [K.cast(total as Expr, dtype)],
      };
    },
  });
}
/** The function that applies a reduction. */
export const over =
  (primitive: Primitive<AxesParams>): ((x: NDArray, axes: readonly number[]) => NDArray) =>
  (x, axes) =>
    axes.length === 0 ? x : bind1(primitive, [x], { axes });
