/** Nodes that are used more than once are computed once and kept in locals.
 *
 *  A node may be held in several forms, each under a slot of its own: as a scalar (slot 0), and as the vectors that
 *  vector.ts names. Uses are counted below the roots of a group of statements before the group is emitted. */
import { type Expr, operands } from "../../../kernel/expr.ts";
import type { ValType } from "../encoder.ts";
import type { Frame } from "./frame.ts";

export type Conditional = Expr & { kind: "cond" };
export const scalarSlot = 0;

/** What is known within one group. */
interface Group {
  readonly uses: Map<Expr, number[]>;
  /** locals by slot, innermost scope last */
  readonly scopes: Map<Expr, number[]>[];
  readonly taken: [ValType, number][];
  readonly commons: Map<Conditional, ReadonlySet<Expr>>;
}
const newGroup = (): Group => ({
  uses: new Map(),
  scopes: [new Map()],
  taken: [],
  commons: new Map(),
});

export class Sharing {
  readonly #frame: Frame;
  /** true for a load whose address needs no index */
  readonly #direct: (e: Expr & { kind: "load" }) => boolean;
  #group = newGroup();

  constructor(frame: Frame, direct: (e: Expr & { kind: "load" }) => boolean) {
    this.#frame = frame;
    this.#direct = direct;
  }

  /** Runs `emit` as a group of its own, after `count` has named its uses; then its locals are free again. */
  group(count: () => void, emit: () => void): void {
    const outer = this.#group;
    this.#group = newGroup();
    count();
    emit();
    for (const [type, local] of this.#group.taken) this.#frame.release(type, local);
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
    const slots = this.#group.uses.get(e);
    if (slots === undefined) {
      const fresh: number[] = [];
      fresh[slot] = 1;
      this.#group.uses.set(e, fresh);
      return true;
    }
    const n = slots[slot] ?? 0;
    slots[slot] = n + 1;
    return n === 0;
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
  keep(e: Expr, slot: number, type: ValType): number {
    const local = this.#frame.temporary(type);
    this.#group.taken.push([type, local]);
    const scope = this.#group.scopes.at(-1) as Map<Expr, number[]>;
    let slots = scope.get(e);
    if (slots === undefined) {
      slots = [];
      scope.set(e, slots);
    }
    slots[slot] = local;
    return local;
  }

  /** Nodes that are evaluated whichever branch of `e` is taken. They are computed before: otherwise each branch would
   *  compute them for itself, and a chain of n such conditionals would take 2ⁿ instructions. */
  common(e: Conditional): ReadonlySet<Expr> {
    let common = this.#group.commons.get(e);
    if (common === undefined) {
      const no = this.always(e.no);
      common = new Set([...this.always(e.yes)].filter((x) => no.has(x)));
      this.#group.commons.set(e, common);
    }
    return common;
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
