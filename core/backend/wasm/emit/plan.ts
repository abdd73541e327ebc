/** Which loops are run four iterations at a time.
 *
 *  It must be sound: iterations are independent of each other, but for accumulators that are folded by an associative
 *  operation (whose partial results are then kept apart and combined after the loop). And it must pay: costs are
 *  counted in instructions, and the cheaper of a loop and the loops inside it is chosen. */
import { type Expr, isLit, KVar, eachNode, memoized } from "../../../kernel/expr.ts";
import {
  bodies,
  eachStatement,
  extentOf,
  type ForLoop,
  roots,
  type Stmt,
} from "../../../kernel/kernel.ts";
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

/** How each loop is vectorized, or null where it is not. */
export function planner(frame: Frame): (loop: ForLoop) => Plan | null {
  const plan = memoized((loop: ForLoop): Plan | null => {
    const found = soundPlan(loop, frame);
    return found !== null && found.cost > margin * costOf(loop.body) ? null : found;
  });
  /** Cost of statements whose loops are vectorized where that pays. */
  const costOf = (body: readonly Stmt[]): number =>
    cost(body, frame, null, (loop) => tripsOf(loop) * (plan(loop)?.cost ?? costOf(loop.body)));
  return plan;
}
const tripsOf = (loop: ForLoop): number => Math.max(extentOf(loop) ?? guessedExtent, 0);

function soundPlan(loop: ForLoop, frame: Frame): Plan | null {
  const extent = extentOf(loop);
  if (extent !== null && extent < leastExtent) return null;
  const facts = factsOf(loop.body);
  const { straight, carried, assigned, stores, loads } = facts;
  if (!straight && (loop.parallel !== true || carried.size > 0)) return null;
  const folded = reductions(loop.body, carried, loop.v);
  if (folded === null) return null;
  const accumulators = new Set([
    ...folded.folds.map((r) => r.acc),
    ...folded.positions.flatMap((p) => [p.best, p.at]),
  ]);
  if (accumulators.size > 0 && extent !== null && extent < leastFolded) return null;
  if (folded.positions.length > 0 && !isLit(loop.from, 0)) return null;
  // what else is assigned belongs to one iteration
  const local = [...assigned].filter((v) => !accumulators.has(v));
  if (local.length > 0) {
    const outside = readsOutside(frame.kernel.body, loop);
    if (local.some((v) => outside.has(v))) return null;
  }

  const varying = new Set<KVar>([loop.v, ...accumulators]);
  const variation = { varying, changing: facts.changing, straight };
  let lanes: Lanes;
  let known: number;
  do {
    known = varying.size;
    lanes = new Lanes(frame, loop.v, 1, variation);
    for (const { v, value } of facts.sets) if (!lanes.uniform(value)) varying.add(v);
  } while (known !== varying.size);
  if (!facts.control.every(lanes.uniform)) return null;
  let reach = 0;
  for (const { buffer, index } of [...stores, ...loads])
    reach = Math.max(reach, Math.abs(lanes.stride(buffer, index) ?? 0) * lanesPerBlock);
  if (reach > maxReach || stores.some((s) => lanes.uniform(s.index))) return null;
  if (loop.parallel !== true && !independent(facts, lanes, frame)) return null;

  const perBlock = (times: (inner: ForLoop) => number): number => {
    const costOf = (body: readonly Stmt[]): number =>
      cost(body, frame, lanes, (inner) => times(inner) * costOf(inner.body));
    return costOf(loop.body);
  };
  const size = perBlock(() => 1);
  const reduces = accumulators.size > 0;
  const registers = folded.folds.reduce((n, r) => n + partsOf(r.acc.dtype), 0);
  const fits = (n: number): boolean =>
    size * n <= (reduces || !straight ? 64 : mostUnrolled) &&
    registers * n <= mostRegisters &&
    // positions are combined lane by lane
    (folded.positions.length === 0 || (n <= 2 && extent !== null && extent >= 256)) &&
    reach * n <= maxReach &&
    (extent === null || extent >= 2 * n * lanesPerBlock || extent % (n * lanesPerBlock) === 0);
  let blocks = 1;
  while (blocks < 4 && fits(2 * blocks)) blocks *= 2;
  const rest = extent === null ? lanesPerBlock : extent % (blocks * lanesPerBlock);
  return {
    ...variation,
    reductions: folded,
    // what an accumulator adds up in which order depends on the extent alone
    blocks: blocks > 1 && !reduces && rest >= lanesPerBlock ? [blocks, 1] : [blocks],
    cost: perBlock(tripsOf) / lanesPerBlock,
  };
}

/** Iterations of a loop that nobody vouches for store at different places, and load nothing that another stores. */
function independent({ stores, loads }: Facts, lanes: Lanes, { forms }: Frame): boolean {
  const stored = new Map<number, string>();
  for (const { buffer, index } of stores) {
    const form = forms.of(index);
    for (const atom of form.terms.keys())
      if (atom !== lanes.v && !(atom instanceof KVar && lanes.invariant(atom))) return false;
    if (!form.terms.has(lanes.v)) return false;
    const key = forms.key(form);
    if ((stored.get(buffer) ?? key) !== key) return false;
    stored.set(buffer, key);
  }
  return loads.every(({ buffer, index }) => {
    const key = stored.get(buffer);
    return key === undefined || key === forms.key(forms.of(index));
  });
}

/** What the statements of a loop do. */
interface Facts {
  readonly sets: readonly (Stmt & { kind: "set" })[];
  readonly stores: readonly (Stmt & { kind: "store" })[];
  readonly loads: readonly (Expr & { kind: "load" })[];
  readonly assigned: ReadonlySet<KVar>;
  /** these, the variables of inner loops, and buffers that are stored to */
  readonly changing: ReadonlySet<KVar | number>;
  /** bounds and tests of inner statements */
  readonly control: readonly Expr[];
  /** there are none */
  readonly straight: boolean;
  /** assigned variables that may be read before they are assigned: their values come from the iteration before */
  readonly carried: ReadonlySet<KVar>;
}
function factsOf(body: readonly Stmt[]): Facts {
  const sets: (Stmt & { kind: "set" })[] = [];
  const stores: (Stmt & { kind: "store" })[] = [];
  const loads: (Expr & { kind: "load" })[] = [];
  const assigned = new Set<KVar>();
  const changing = new Set<KVar | number>();
  const control: Expr[] = [];
  const seen = new Set<Expr>();
  eachStatement(body, (s) => {
    for (const root of roots(s))
      eachNode(root, seen, (e) => {
        if (e.kind === "load") loads.push(e);
      });
    if (s.kind === "set") {
      sets.push(s);
      assigned.add(s.v);
    } else if (s.kind === "store") {
      stores.push(s);
      changing.add(s.buffer);
    } else {
      control.push(...roots(s));
      if (s.kind === "for") changing.add(s.v);
    }
  });
  for (const v of assigned) changing.add(v);
  const carried = new Set<KVar>();
  const findCarried = (list: readonly Stmt[], known: ReadonlySet<KVar>): void => {
    const set = new Set(known);
    for (const s of list) {
      for (const v of variables(roots(s))) if (assigned.has(v) && !set.has(v)) carried.add(v);
      if (s.kind === "set") set.add(s.v);
      else for (const inner of bodies(s)) findCarried(inner, set);
    }
  };
  if (assigned.size > 0) findCarried(body, new Set());
  const straight = control.length === 0;
  return { sets, stores, loads, assigned, changing, control, straight, carried };
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
