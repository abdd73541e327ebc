/** Long folds by min or max of floats. An instruction that keeps NaN and tells zeros apart takes as long as eight others, each
 *  waiting for the one before. So the fold goes by y < x ? x : y, which is one instruction, and notes NaN beside it; where there
 *  was one, or the result is a zero that another zero may have hidden, the exact fold is run after all. */
import { dtypes, isFloat } from "../../../dtype.ts";
import {
  and,
  compare,
  div,
  type Expr,
  isLit,
  KVar,
  lit,
  or,
  select,
  uses,
} from "../../../kernel/expr.ts";
import { type ForLoop, set, type Stmt, when } from "../../../kernel/kernel.ts";

/** A shorter fold is not worth the code. */
const leastExtent = 64;

/** Variables of quick folds, whose zeros may have the wrong sign: what else folds like them need not allow that. */
const quickFolds = new WeakSet<KVar>();
export const isQuickFold = (v: KVar): boolean => quickFolds.has(v);

/** The statements of a loop that does nothing but fold by an extremum, with the exact fold last; null for other loops. */
function quick(loop: ForLoop): Stmt[] | null {
  const [only] = loop.body;
  if (loop.body.length !== 1 || only?.kind !== "set" || only.value.kind !== "binary") return null;
  const { v: acc, value } = only;
  const { op } = value;
  if ((op !== "max" && op !== "min") || !isFloat(acc.dtype) || dtypes[acc.dtype].bytes < 4)
    return null;
  const x = value.x === acc ? value.y : value.y === acc ? value.x : null;
  if (x === null || uses(x, acc) || !isLit(loop.from) || !isLit(loop.to)) return null;
  if (loop.to.value - loop.from.value < leastExtent) return null;
  const d = acc.dtype;
  const [best, item, missing] = [new KVar(d, "best"), new KVar(d, "item"), new KVar("bool", "nan")];
  quickFolds.add(best);
  const zero = lit(0, d);
  const beyond = (a: Expr, b: Expr): Expr =>
    op === "max" ? compare("lt", a, b) : compare("lt", b, a);
  // of max −0 is in doubt, whose inverse is −∞; of min +0
  const doubtful = and(compare("eq", best, zero), beyond(div(lit(1, d), best), zero));
  return [
    set(best, acc),
    set(missing, lit(false, "bool")),
    {
      ...loop,
      body: [
        set(item, x),
        set(best, select(beyond(best, item), item, best)),
        set(missing, or(missing, compare("ne", item, item))),
      ],
    },
    when(or(missing, doubtful), [loop], [set(acc, best)]),
  ];
}

/** Statements with their folds by extrema made quick. */
export function quickExtrema(body: readonly Stmt[]): readonly Stmt[] {
  return body.flatMap((s): readonly Stmt[] => {
    if (s.kind !== "for") return [s];
    return quick(s) ?? [{ ...s, body: quickExtrema(s.body) }];
  });
}
