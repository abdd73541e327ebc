/** Accumulators: variables that a loop folds by one associative operation. */
import { dtypes, isFloat } from "../../../dtype.ts";
import { type BinaryOp, type Expr, type KVar, rewrite, uses } from "../../../kernel/expr.ts";
import type { Stmt } from "../../../kernel/kernel.ts";
import { isQuickFold } from "./extrema.ts";
import { type Position, positionOf } from "./position.ts";

/** acc = acc `op` x₀ `op` x₁ …, where the order does not matter. */
export interface Reduction {
  readonly acc: KVar;
  readonly op: BinaryOp;
}

/** What lanes start from, so that it leaves no trace when they are combined; null where acc itself will do. */
export function identityOf(op: BinaryOp, acc: KVar): number | null {
  switch (op) {
    case "add":
      // −0 + x = x for every x
      return isFloat(acc.dtype) ? -0 : 0;
    case "mul":
      return 1;
    case "xor":
      return 0;
    default:
      return null;
  }
}

export interface Reductions {
  readonly folds: readonly Reduction[];
  readonly positions: readonly Position[];
}

/** How each of the `carried` variables is folded by a body of stores and assignments over `v`; null where one is not. */
export function reductions(
  body: readonly Stmt[],
  carried: ReadonlySet<KVar>,
  v: KVar,
): Reductions | null {
  if (carried.size === 0) return { folds: [], positions: [] };
  // values at the end of an iteration in terms of those at its start
  const values = new Map<Expr, Expr>();
  const resolve = (e: Expr): Expr => rewrite(e, (x) => values.get(x) ?? null);
  const roots: Expr[] = [];
  for (const s of body)
    if (s.kind === "set") values.set(s.v, resolve(s.value));
    else if (s.kind === "store") roots.push(resolve(s.index), resolve(s.value));
  const after = (acc: KVar): Expr => values.get(acc) as Expr;
  const folds: Reduction[] = [];
  const positions: Position[] = [];
  const paired = new Set<KVar>();
  for (const best of carried)
    for (const at of carried) {
      const position = positionOf(best, after(best), at, after(at), v);
      if (position === null) continue;
      const others = [...carried].filter((x) => x !== best && x !== at).map(after);
      if ([...roots, ...others].some((e) => uses(e, best) || uses(e, at))) return null;
      positions.push(position);
      paired.add(best).add(at);
    }
  for (const acc of carried) {
    if (paired.has(acc)) continue;
    const others = [...carried].filter((x) => x !== acc).map(after);
    if ([...roots, ...others].some((e) => uses(e, acc))) return null;
    const op = fold(after(acc), acc);
    if (op === null || op === "same") return null;
    // sums of 16-bit floats are rounded at each step, in order
    if (isFloat(acc.dtype) && dtypes[acc.dtype].bytes === 2 && op !== "min" && op !== "max")
      return null;
    folds.push({ acc, op });
  }
  return { folds, positions };
}

const associative: ReadonlySet<BinaryOp> = new Set([
  "add",
  "mul",
  "min",
  "max",
  "and",
  "or",
  "xor",
]);

/** The operation by which `e` folds something into `acc`; "same" where it leaves it as it is. */
function fold(e: Expr, acc: KVar): BinaryOp | "same" | null {
  if (e === acc) return "same";
  if (e.kind === "select" || e.kind === "cond") {
    const { test, yes: x } = e;
    // acc < x ? x : acc and x < acc ? x : acc
    if (
      isQuickFold(acc) &&
      e.no === acc &&
      test.kind === "compare" &&
      test.op === "lt" &&
      !uses(x, acc)
    ) {
      if (test.x === acc && test.y === x) return "max";
      if (test.x === x && test.y === acc) return "min";
    }
    if (uses(e.test, acc)) return null;
    const yes = fold(e.yes, acc);
    const no = fold(e.no, acc);
    return yes === "same" ? no : no === "same" || no === yes ? yes : null;
  }
  if (e.kind !== "binary") return null;
  // acc − x is acc + (−x)
  const op = e.op === "sub" ? "add" : e.op;
  if (!associative.has(op)) return null;
  const left = uses(e.x, acc);
  if (left === uses(e.y, acc) || (e.op === "sub" && !left)) return null;
  const inner = fold(left ? e.x : e.y, acc);
  return inner === "same" || inner === op ? op : null;
}
