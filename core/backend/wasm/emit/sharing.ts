/** Nodes that are used more than once are computed once and kept in locals.
 *
 *  A node may be held in several forms, each under a slot of its own: as a scalar (slot 0), and as the vectors that
 *  vector.ts names. Uses are counted below the roots of a group of statements before the group is emitted. */
import { type Expr, memoized, operands } from "../../../kernel/expr.ts";
import type { Frame } from "./frame.ts";
import { valType } from "./types.ts";

export type Conditional = Expr & { kind: "cond" };
export const scalarSlot = 0;

/** What is known within one group. */
interface Group {
  readonly uses: Map<Expr, number[]>;
  /** locals by slot, innermost scope last */
  readonly scopes: Map<Expr, number[]>[];
  readonly taken: number[];
  /** Nodes that are evaluated whichever branch is taken. They are computed before: otherwise each branch would compute
   *  them for itself, and a chain of n such conditionals would take 2ⁿ instructions. */
  readonly common: (e: Conditional) => ReadonlySet<Expr>;
}

export class Sharing {
  readonly #frame: Frame;
  /** true for a load whose address needs no index */
  readonly #direct: (e: Expr & { kind: "load" }) => boolean;
  #group = this.#newGroup();

  constructor(frame: Frame, direct: (e: Expr & { kind: "load" }) => boolean) {
    this.#frame = frame;
    this.#direct = direct;
  }

  #newGroup(): Group {
    return {
      uses: new Map(),
      scopes: [new Map()],
      taken: [],
      common: memoized((e) => {
        const no = this.always(e.no);
        return new Set([...this.always(e.yes)].filter((x) => no.has(x)));
      }),
    };
  }
  /** Runs `emit` as a group of its own, after `count` has named its uses; then its locals are free again. */
  group(count: () => void, emit: () => void): void {
    const outer = this.#group;
    this.#group = this.#newGroup();
    count();
    emit();
    this.#frame.release(...this.#group.taken);
    this.#group = outer;
  }
  /** What `emit` computes is not known afterwards. */
  scoped(emit: () => void): void {
    this.#group.scopes.push(new Map());
    emit();
    this.#group.scopes.pop();
  }

  /** Counts a use; true for the first. */
  use(e: Expr, slot: number): boolean {
    const { uses } = this.#group;
    const slots = uses.get(e) ?? [];
    uses.set(e, slots);
    slots[slot] = (slots[slot] ?? 0) + 1;
    return slots[slot] === 1;
  }
  uses(e: Expr, slot: number): number {
    return this.#group.uses.get(e)?.[slot] ?? 0;
  }
  /** Counts the uses of scalars below `e`. */
  count(e: Expr): void {
    if (!this.use(e, scalarSlot) || (e.kind === "load" && this.#direct(e))) return;
    for (const x of operands(e)) this.count(x);
  }

  /** the local in which a node is kept */
  find(e: Expr, slot: number): number | undefined {
    const { scopes } = this.#group;
    for (let i = scopes.length - 1; i >= 0; i--) {
      const local = scopes[i]?.get(e)?.[slot];
      if (local !== undefined) return local;
    }
    return undefined;
  }
  /** A new local for a node, known in the present scope; it is to be set by the caller. */
  keep(e: Expr, slot: number): number {
    const local = this.#frame.temporary(slot === scalarSlot ? valType(e.dtype) : "v128");
    this.#group.taken.push(local);
    const scope = this.#group.scopes.at(-1) as Map<Expr, number[]>;
    const slots = scope.get(e) ?? [];
    scope.set(e, slots);
    slots[slot] = local;
    return local;
  }

  common(e: Conditional): ReadonlySet<Expr> {
    return this.#group.common(e);
  }
  /** Nodes that are evaluated whenever `e` is, outer ones first. */
  always(e: Expr): ReadonlySet<Expr> {
    const seen = new Set<Expr>();
    const visit = (x: Expr): void => {
      if (seen.has(x) || x.kind === "lit" || x.kind === "var") return;
      seen.add(x);
      if (x.kind === "load" && this.#direct(x)) return;
      if (x.kind !== "cond") operands(x).forEach(visit);
      else {
        visit(x.test);
        for (const y of this.common(x)) seen.add(y);
      }
    };
    visit(e);
    return seen;
  }
}
