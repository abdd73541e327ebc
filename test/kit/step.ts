/** One instruction of a random program, with bounds of its result, so that no program overflows or amplifies errors
 *  without limit. */
import type { NDArray } from "../../core/ndarray.ts";
import type { Shape } from "../../core/shape.ts";

/** What is known of a value of a program. */
export interface Value {
  readonly shape: Shape;
  /** "float" stands for the dtype with which the program is run */
  readonly kind: "float" | "int32" | "bool";
  /** |x| ≤ bound */
  readonly bound: number;
  /** |∂x/∂input| ≤ lip along directions of size 1 */
  readonly lip: number;
  /** how far two correct evaluations may be apart, in units of ε: 0 where every backend must agree to the last bit.
   *  Only contractions, long products and very long sums, whose order is free, start an error; the others carry it
   *  on */
  readonly error: number;
}
export interface Step {
  /** pseudo-code, with the operands' positions as $0, $1, … */
  readonly text: string;
  readonly operands: readonly number[];
  readonly apply: (xs: readonly NDArray[]) => NDArray;
  readonly out: Value;
}
/** Draws for one instruction: `pick(n)` is a number below n. */
export type Pick = (n: number) => number;
export interface Operation {
  readonly name: string;
  /** differentiable where it is used */
  readonly smooth: boolean;
  /** a step on some of the values, or null where none fits */
  readonly build: (values: readonly Value[], pick: Pick) => Step | null;
}

export const limits = { bound: 50, lip: 300, size: 48, rank: 4, error: 1e6 } as const;

/** Local slopes times what the operands bring. */
export function carry(
  values: readonly Value[],
  operands: readonly number[],
  slopes: readonly number[],
): { lip: number; error: number } {
  let lip = 0;
  let error = 0;
  operands.forEach((o, i) => {
    lip += (slopes[i] as number) * (values[o] as Value).lip;
    error += (slopes[i] as number) * (values[o] as Value).error;
  });
  return { lip, error };
}

/** The most recent floats are the likeliest: programs become deep, not wide. */
export function pickFloat(
  values: readonly Value[],
  pick: Pick,
  fits: (v: Value) => boolean = () => true,
): number | null {
  const found = values.flatMap((v, i) => (v.kind === "float" && fits(v) ? [i] : []));
  if (found.length === 0) return null;
  const last = found[found.length - 1] as number;
  return pick(20) < 17 ? last : (found[pick(found.length)] as number);
}

export function within(step: Step | null): Step | null {
  if (step === null) return null;
  const { bound, lip, error, shape } = step.out;
  const fits = bound <= limits.bound && lip <= limits.lip && error <= limits.error;
  return fits && shape.length <= limits.rank ? step : null;
}

export const replaced = (shape: Shape, at: number, n: number): number[] =>
  shape.map((m, i) => (i === at ? n : m));
export const without = (shape: Shape, at: number): number[] => shape.filter((_, i) => i !== at);
export const axisOf = (x: Value, pick: Pick): number => pick(x.shape.length);
