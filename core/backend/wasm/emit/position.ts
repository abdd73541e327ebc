/** Positions of extrema: the pair (best, at) of the best value so far and the index at which it was found first. */
import {
  and,
  type CompareOp,
  compare,
  type Expr,
  KVar,
  lit,
  operands,
  or,
  select,
  unary,
} from "../../../kernel/expr.ts";
import { type Stmt, set } from "../../../kernel/kernel.ts";

export interface Position {
  readonly best: KVar;
  /** negative as long as there is none */
  readonly at: KVar;
  readonly better: CompareOp;
  /** NaN is better than every number, and the first one stays */
  readonly missing: boolean;
}

/** x is better than y */
function wins({ better, missing }: Position, x: Expr, y: Expr): Expr {
  const wins = compare(better, x, y);
  if (!missing) return wins;
  const isNaN = (e: Expr): Expr => compare("ne", e, e);
  return select(isNaN(y), lit(0, "bool"), or(wins, isNaN(x)));
}

/** The position that a loop over `v` from zero finds, given the values of two variables after an iteration: where
 *  (at < 0 or x wins over best), best = x and at = v. */
export function positionOf(
  best: KVar,
  nextBest: Expr,
  at: KVar,
  nextAt: Expr,
  v: KVar,
): Position | null {
  if (at.dtype !== "int32" || nextBest.kind !== "select" || nextAt.kind !== "select") return null;
  const x = nextBest.yes;
  if (nextBest.no !== best || nextAt.no !== at || nextAt.yes !== v) return null;
  const none = compare("lt", at, lit(0, "int32"));
  for (const better of ["gt", "lt"] as const)
    for (const missing of [false, true]) {
      const position = { best, at, better, missing };
      const take = or(none, wins(position, x, best));
      if (equal(nextBest.test, take) && equal(nextAt.test, take)) return position;
    }
  return null;
}

/** Takes over what another lane has found, from (x, i): among equal values the first place wins. */
export function combine(position: Position, x: Expr, i: Expr): readonly Stmt[] {
  const { best, at } = position;
  const take = new KVar("bool", "take");
  return [
    set(
      take,
      or(wins(position, x, best), and(unary("not", wins(position, best, x)), compare("lt", i, at))),
    ),
    set(best, select(take, x, best)),
    set(at, select(take, i, at)),
  ];
}

/** Structural equality. */
function equal(a: Expr, b: Expr): boolean {
  if (a === b) return true;
  if (a.kind === "var" || a.kind !== b.kind || a.dtype !== b.dtype) return false;
  const others = operands(b);
  return Object.is(own(a), own(b)) && operands(a).every((x, i) => equal(x, others[i] as Expr));
}
/** What a node has beside its operands. */
const own = (e: Expr): string | number | null =>
  "op" in e ? e.op : "value" in e ? e.value : "buffer" in e ? e.buffer : null;
