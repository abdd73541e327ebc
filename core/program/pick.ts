/** Sums of which one term counts: Σ_r where(r = v, f(r), 0) = f(v), if v is in range, else 0. This is how a one-hot row picks an
 *  element. It is exact for NaN, ±∞ and −0 as well (0 + f(v) is what the sum of it and zeros is), which Σ_r [r = v]·f(r) is
 *  not: 0·∞ is NaN. So a product with a one-hot matrix stays what it is. */
import type { DType } from "../dtype.ts";
import {
  add,
  and,
  cast,
  compare,
  cond,
  type Expr,
  int,
  isLit,
  type KVar,
  rewrite,
} from "../kernel/expr.ts";
import { sourcesOf } from "./nest.ts";

const isZero = (e: Expr): boolean => e.kind === "lit" && Object.is(e.value, 0);

/** The sum as an expression without r, or null where `next` is no such sum. `next` is one step of the fold, from `sum` on,
 *  which begins at `initial`. */
export function pick(next: Expr, sum: KVar, initial: Expr, r: KVar, extent: number): Expr | null {
  if (next.kind !== "binary" || next.op !== "add" || next.x !== sum || !isZero(initial))
    return null;
  let term = next.y;
  const casts: DType[] = [];
  for (; term.kind === "cast"; term = term.x) casts.push(term.dtype);
  if (term.kind !== "select" || term.test.kind !== "compare") return null;
  const { test, yes, no } = term;
  const [found, other] = test.op === "eq" ? [yes, no] : [no, yes];
  if ((test.op !== "eq" && test.op !== "ne") || !isLit(other, 0)) return null;
  const [v, at] = test.y === r ? [test.x, test.y] : [test.y, test.x];
  if (at !== r || sourcesOf(v).has(r)) return null;
  const value = casts.reduceRight(
    cast,
    rewrite(found, (e) => (e === r ? v : null)),
  );
  const inRange = and(compare("ge", v, int(0)), compare("lt", v, int(extent)));
  return cond(inRange, add(initial, value), initial);
}
