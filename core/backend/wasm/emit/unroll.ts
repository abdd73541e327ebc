/** Loops of a few iterations, written out: a window or a short axis inside a long one then is straight-line code, and the
 *  long one can run in vector registers. */
import { add, type Expr, int, rewrite, eachNode } from "../../../kernel/expr.ts";
import { eachStatement, extentOf, mapStatement, roots, type Stmt } from "../../../kernel/kernel.ts";

const mostIterations = 4;
/** in nodes and statements, of a loop written out */
const mostCode = 96;

/** The same statements, with short inner loops written out; `keep` stays a loop. */
export function unroll(body: readonly Stmt[], keep: Stmt | null): readonly Stmt[] {
  return body.flatMap((s): readonly Stmt[] => {
    const out = mapStatement(
      s,
      (e) => e,
      (inner) => unroll(inner, keep),
    );
    const n = s === keep || out.kind !== "for" ? null : extentOf(out);
    if (out.kind !== "for" || n === null || n > mostIterations || n * size(out.body) > mostCode)
      return [out];
    const { v, from, body: inner } = out;
    return Array.from({ length: Math.max(n, 0) }, (_, i) => {
      const memo = new Map<Expr, Expr>();
      const value = add(from, int(i));
      const at = (e: Expr): Expr => rewrite(e, (x) => (x === v ? value : null), memo);
      return inner.map((x) => mapStatement(x, at));
    }).flat();
  });
}

/** Nodes and statements; infinite for a body with loops. */
function size(body: readonly Stmt[]): number {
  const seen = new Set<Expr>();
  let n = 0;
  eachStatement(body, (s) => {
    n += s.kind === "for" || s.kind === "while" ? Number.POSITIVE_INFINITY : 1;
    for (const e of roots(s)) eachNode(e, seen, () => {});
  });
  return n + seen.size;
}
