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
export const abs = (x: Expr): Expr => unary("abs", x);
export const exp = (x: Expr): Expr => unary("exp", x);
export const log = (x: Expr): Expr => unary("log", x);
export const sin = (x: Expr): Expr => unary("sin", x);
export const floor = (x: Expr): Expr => unary("floor", x);
export const below = (x: Expr, bound: number): Expr => compare("lt", x, c(bound));
export const atMost = (x: Expr, bound: number): Expr => compare("le", x, c(bound));
export const isInteger = (x: Expr): Expr => compare("eq", x, floor(x));
export const ratio = (x: Expr, p: readonly number[], q: readonly number[]): Expr =>
  div(polynomial(x, p), polynomial(x, q));
/** The first value whose test holds, else the last; only that one is evaluated. */
export const cases = (rows: readonly (readonly [Expr, Expr])[], otherwise: Expr): Expr =>
  rows.reduceRight((rest, [test, value]) => cond(test, value, rest), otherwise);

/** f in float64, rounded once to the dtype of its (first) argument. */
export const wide =
  (f: (...x: Expr[]) => Expr) =>
  (...x: readonly Expr[]): Expr =>
    cast(f(...x.map((e) => cast(e, "float64"))), (x[0] as Expr).dtype);
