/** Which loops are run four iterations at a time.
 *
 *  It must be sound: iterations are independent of each other, but for accumulators that are folded by an associative
 *  operation (whose partial results are then kept apart and combined after the loop). And it must pay: costs are
 *  counted in instructions, and the cheaper of a loop and the loops inside it is chosen. */
import { type Expr, isLit, KVar, eachNode, memoized } from "../../../kernel/expr.ts";
import { bodies, extentOf, type ForLoop, roots, type Stmt } from "../../../kernel/kernel.ts";
import { cost } from "./cost.ts";
import type { Frame } from "./frame.ts";
import { Lanes, lanesPerBlock, partsOf, type Variation } from "./lanes.ts";
import { type Reductions, reductions } from "./reduction.ts";

export interface Plan extends Variation {
  readonly reductions: Reductions;
  /** blocks side by side, in one loop after the other */
  readonly blocks: readonly number[];
  /** of one iteration */
  readonly cost: number;
}
/** A shorter loop is not worth the code. */
const leastExtent = 8;
const leastFolded = 16;
/** what the extent of a loop is taken to be where it is not known */
const guessedExtent = 32;
/** A vector loop must be cheaper by this factor. */
const margin = 0.85;
const mostUnrolled = 24;
/** Registers of accumulators: V8 loads all operands first, which takes as many again. */
const mostRegisters = 4;
/** the farthest that the lanes of one access may be apart in bytes: see `Pointers` */
const maxReach = 2 ** 21;

export class Planner {
  readonly #frame: Frame;
  constructor(frame: Frame) {
    this.#frame = frame;
  }

  /** How a loop is vectorized, or null where it is not. */
  readonly plan = memoized((loop: ForLoop): Plan | null => {
    const plan = this.#sound(loop);
    return plan !== null && plan.cost > margin * this.#costOf(loop.body) ? null : plan;
  });
  /** Cost of statements whose loops are vectorized where that pays. */
  #costOf(body: readonly Stmt[]): number {
    return cost(body, this.#frame, null, (loop) => {
      const plan = this.plan(loop);
      return Math.max(extentOf(loop) ?? guessedExtent, 0) * (plan?.cost ?? this.#costOf(loop.body));
    });
  }

  #sound(loop: ForLoop): Plan | null {
    const extent = extentOf(loop);
    if (extent !== null && extent < leastExtent) return null;
    const facts = new Facts(loop.body);
    if (!facts.straight && loop.parallel !== true) return null;
    const none: Reductions = { folds: [], positions: [] };
    const folded = facts.straight ? reductions(loop.body, facts.carried, loop.v) : none;
    if (folded === null) return null;
    const accumulators = new Set([
      ...folded.folds.map((r) => r.acc),
      ...folded.positions.flatMap((p) => [p.best, p.at]),
    ]);
    if (accumulators.size > 0 && extent !== null && extent < leastFolded) return null;
    if (folded.positions.length > 0 && !isLit(loop.from, 0)) return null;
    // what else is assigned belongs to one iteration
    for (const v of facts.carried) if (!accumulators.has(v)) return null;
    const local = [...facts.assigned].filter((v) => !accumulators.has(v));
    if (local.length > 0) {
      const outside = readsOutside(this.#frame.kernel.body, loop);
      if (local.some((v) => outside.has(v))) return null;
    }

    const varying = new Set<KVar>([loop.v, ...accumulators]);
    const changing = new Set<KVar | number>([...facts.assigned, ...facts.loops]);
    for (const s of facts.stores) changing.add(s.buffer);
    const variation = { varying, changing, straight: facts.straight };
    let lanes: Lanes;
    let known: number;
    do {
      known = varying.size;
      lanes = new Lanes(this.#frame, loop.v, 1, variation);
      for (const { v, value } of facts.sets) if (!lanes.uniform(value)) varying.add(v);
    } while (known !== varying.size);
    if (!facts.control.every(lanes.uniform)) return null;
    let reach = 0;
    for (const { buffer, index } of [...facts.stores, ...facts.loads])
      reach = Math.max(reach, Math.abs(lanes.stride(buffer, index) ?? 0) * lanesPerBlock);
    if (reach > maxReach) return null;
    for (const s of facts.stores) if (lanes.uniform(s.index)) return null;
    if (loop.parallel !== true && !this.#independent(loop.v, facts, lanes)) return null;

    const perBlock = (times: (inner: ForLoop) => number): number => {
      const costOf = (body: readonly Stmt[]): number =>
        cost(body, this.#frame, lanes, (inner) => times(inner) * costOf(inner.body));
      return costOf(loop.body);
    };
    return {
      ...variation,
      reductions: folded,
      blocks: this.#blocks(
        extent,
        facts,
        folded,
        perBlock(() => 1),
        reach,
      ),
      cost: perBlock((inner) => Math.max(extentOf(inner) ?? guessedExtent, 0)) / lanesPerBlock,
    };
  }

  /** Iterations of a loop that nobody vouches for store at different places, and load nothing that another stores. */
  #independent(v: KVar, facts: Facts, lanes: Lanes): boolean {
    const { forms } = this.#frame;
    const stored = new Map<number, string>();
    for (const { buffer, index } of facts.stores) {
      const form = forms.of(index);
      for (const atom of form.terms.keys())
        if (atom !== v && !(atom instanceof KVar && lanes.invariant(atom))) return false;
      if (!form.terms.has(v)) return false;
      const key = forms.key(form);
      if ((stored.get(buffer) ?? key) !== key) return false;
      stored.set(buffer, key);
    }
    return facts.loads.every(({ buffer, index }) => {
      const key = stored.get(buffer);
      return key === undefined || key === forms.key(forms.of(index));
    });
  }

  #blocks(
    extent: number | null,
    facts: Facts,
    { folds, positions }: Reductions,
    size: number,
    reach: number,
  ): readonly number[] {
    let blocks = 1;
    const reduces = folds.length + positions.length > 0;
    const registers = folds.reduce((n, r) => n + partsOf(r.acc.dtype), 0);
    const fits = (n: number): boolean =>
      size * n <= (reduces || !facts.straight ? 64 : mostUnrolled) &&
      registers * n <= mostRegisters &&
      // positions are combined lane by lane
      (positions.length === 0 || (n <= 2 && extent !== null && extent >= 256)) &&
      reach * n <= maxReach &&
      (extent === null || extent >= 2 * n * lanesPerBlock || extent % (n * lanesPerBlock) === 0);
    while (blocks < 4 && fits(2 * blocks)) blocks *= 2;
    const rest = extent === null ? lanesPerBlock : extent % (blocks * lanesPerBlock);
    // what an accumulator adds up in which order depends on the extent alone
    return blocks > 1 && !reduces && rest >= lanesPerBlock ? [blocks, 1] : [blocks];
  }
}

/** What the statements of a loop do. */
class Facts {
  readonly sets: (Stmt & { kind: "set" })[] = [];
  readonly stores: (Stmt & { kind: "store" })[] = [];
  readonly loads: (Expr & { kind: "load" })[] = [];
  readonly assigned = new Set<KVar>();
  /** variables of inner loops */
  readonly loops = new Set<KVar>();
  /** bounds and tests of inner statements */
  readonly control: Expr[] = [];
  straight = true;
  /** assigned variables that may be read before they are assigned: their values come from the iteration before */
  readonly carried: ReadonlySet<KVar>;

  constructor(body: readonly Stmt[]) {
    const seen = new Set<Expr>();
    const visit = (root: Expr): void =>
      eachNode(root, seen, (e) => {
        if (e.kind === "load") this.loads.push(e);
      });
    const walk = (list: readonly Stmt[]): void => {
      for (const s of list) {
        for (const e of roots(s)) visit(e);
        if (s.kind === "set") {
          this.sets.push(s);
          this.assigned.add(s.v);
        } else if (s.kind === "store") this.stores.push(s);
        else {
          this.straight = false;
          this.control.push(...roots(s));
          if (s.kind === "for") this.loops.add(s.v);
          for (const inner of bodies(s)) walk(inner);
        }
      }
    };
    walk(body);
    this.carried = this.#findCarried(body);
  }

  #findCarried(body: readonly Stmt[]): ReadonlySet<KVar> {
    const carried = new Set<KVar>();
    if (this.assigned.size === 0) return carried;
    const walk = (list: readonly Stmt[], known: ReadonlySet<KVar>): void => {
      const set = new Set(known);
      for (const s of list) {
        for (const v of variables(roots(s)))
          if (this.assigned.has(v) && !set.has(v)) carried.add(v);
        if (s.kind === "set") set.add(s.v);
        else for (const inner of bodies(s)) walk(inner, set);
      }
    };
    walk(body, new Set());
    return carried;
  }
}

function variables(list: readonly Expr[]): ReadonlySet<KVar> {
  const seen = new Set<Expr>();
  const found = new Set<KVar>();
  for (const root of list)
    eachNode(root, seen, (e) => {
      if (e.kind === "var") found.add(e);
    });
  return found;
}
/** Variables that are read anywhere but in `loop`. */
function readsOutside(body: readonly Stmt[], loop: ForLoop): ReadonlySet<KVar> {
  const found = new Set<KVar>();
  const walk = (list: readonly Stmt[]): void => {
    for (const s of list) {
      if (s === loop) continue;
      for (const v of variables(roots(s))) found.add(v);
      bodies(s).forEach(walk);
    }
  };
  walk(body);
  return found;
}
