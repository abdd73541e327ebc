/** Loops of a few iterations, written out: a window or a short axis inside a long one then is straight-line code, and the
 *  long one can run in vector registers. */
import { type Expr, int, rewrite, eachNode } from "../../../kernel/expr.ts";
import type { Stmt } from "../../../kernel/kernel.ts";

const mostIterations = 4;
/** in nodes and statements, of a loop written out */
const mostCode = 96;

/** The same statements, with short inner loops written out; `keep` stays a loop. */
export function unroll(body: readonly Stmt[], keep: Stmt | null): readonly Stmt[] {
  return body.flatMap((s): readonly Stmt[] => {
    if (s.kind === "while") return [{ ...s, body: unroll(s.body, keep) }];
    if (s.kind === "if") return [{ ...s, yes: unroll(s.yes, keep), no: unroll(s.no, keep) }];
    if (s.kind !== "for") return [s];
    const inner = unroll(s.body, keep);
    const loop = { ...s, body: inner };
    if (s === keep || s.from.kind !== "lit" || s.to.kind !== "lit") return [loop];
    const start = s.from.value;
    const n = Math.max(s.to.value - start, 0);
    if (n > mostIterations || n * size(inner) > mostCode) return [loop];
    return Array.from({ length: n }, (_, i) => {
      const memo = new Map<Expr, Expr>();
      const at = (e: Expr): Expr => rewrite(e, (x) => (x === s.v ? int(start + i) : null), memo);
      return inner.map((x) => substitute(x, at));
    }).flat();
  });
}

function substitute(s: Stmt, at: (e: Expr) => Expr): Stmt {
  const all = (list: readonly Stmt[]): readonly Stmt[] => list.map((x) => substitute(x, at));
  switch (s.kind) {
    case "for":
      return { ...s, from: at(s.from), to: at(s.to), body: all(s.body) };
    case "while":
      return { ...s, test: at(s.test), body: all(s.body) };
    case "if":
      return { ...s, test: at(s.test), yes: all(s.yes), no: all(s.no) };
    case "set":
      return { ...s, value: at(s.value) };
    case "store":
      return { ...s, index: at(s.index), value: at(s.value) };
  }
}

/** Nodes and statements; infinite for a body with loops. */
function size(body: readonly Stmt[]): number {
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => eachNode(e, seen, () => {});
  let n = 0;
  const walk = (list: readonly Stmt[]): void => {
    for (const s of list) {
      n++;
      if (s.kind === "for" || s.kind === "while") n = Number.POSITIVE_INFINITY;
      else if (s.kind === "if") {
        visit(s.test);
        walk(s.yes);
        walk(s.no);
      } else {
        visit(s.value);
        if (s.kind === "store") visit(s.index);
      }
    }
  };
  walk(body);
  return n + seen.size;
}
