/** A few words in which formulas in float64 read like formulas. */
import { add, cast, compare, cond, div, lit, mul, polynomial, unary, type Expr } from "./expr.ts";

export const c = (value: number): Expr => lit(value, "float64");
export const one = c(1);
export const half = c(0.5);
export const nan = c(Number.NaN);
export const infinity = c(Number.POSITIVE_INFINITY);
export const sum = (first: Expr, ...rest: readonly Expr[]): Expr => rest.reduce(add, first);
export const product = (first: Expr, ...rest: readonly Expr[]): Expr => rest.reduce(mul, first);
export const square = (x: Expr): Expr => mul(x, x);
export const exp = (x: Expr): Expr => unary("exp", x);
export const log = (x: Expr): Expr => unary("log", x);
export const sin = (x: Expr): Expr => unary("sin", x);
export const floor = (x: Expr): Expr => unary("floor", x);
export const atMost = (x: Expr, bound: number): Expr => compare("le", x, c(bound));
export const ratio = (x: Expr, p: readonly number[], q: readonly number[]): Expr =>
  div(polynomial(x, p), polynomial(x, q));
/** The first value whose test holds, else the last; only that one is evaluated. */
export const cases = (rows: readonly (readonly [Expr, Expr])[], otherwise: Expr): Expr =>
  rows.reduceRight((rest, [test, value]) => cond(test, value, rest), otherwise);

/** f in float64, rounded once to the dtype of its (first) argument. */
export const wide =
  <X extends readonly Expr[]>(f: (...x: X) => Expr) =>
  (...x: X): Expr =>
    cast(f(...(x.map((e) => cast(e, "float64")) as unknown as X)), (x[0] as Expr).dtype);

/** [numerator, denominator] of Bernoulli's numbers B₂, B₄, … */
const bernoulli = [
  [1, 6],
  [-1, 30],
  [1, 42],
  [-1, 30],
  [5, 66],
  [-691, 2730],
  [7, 6],
  [-3617, 510],
  [43867, 798],
  [-174611, 330],
] as const;
/** B₂ⱼ/d(2j), j = 1, 2, …: the quotient of two numbers that are exact */
export const bernoulliOver = (d: (n: number) => number): readonly number[] =>
  bernoulli.map(([p, q], j) => p / (q * d(2 * j + 2)));
