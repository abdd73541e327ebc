/** Statements and loops. */
import { type Expr, type KVar, everyOperand } from "../../../kernel/expr.ts";
import { bodies, extentOf, type ForLoop, roots, type Stmt } from "../../../kernel/kernel.ts";
import type { Frame } from "./frame.ts";
import { Lanes, lanesPerBlock } from "./lanes.ts";
import { type Plan, planner } from "./plan.ts";
import { finish, start } from "./accumulators.ts";
import type { Moving } from "./pointers.ts";
import { ScalarExpressions } from "./scalar.ts";
import { VectorExpressions } from "./vector.ts";

/** A loop in instructions. */
interface Range {
  /** the local of its variable */
  readonly v: number;
  /** the number of iterations, where it is known */
  readonly extent: number | null;
  /** leaves the limit less `n` on the stack */
  limit(n: number): void;
}

export class Statements {
  readonly #frame: Frame;
  readonly #scalar: ScalarExpressions;
  readonly #plan: (loop: ForLoop) => Plan | null;
  /** the loop whose range the caller gives */
  readonly #whole: ForLoop | null;
  /** iterations that are run side by side, at this place */
  #vector: { readonly lanes: Lanes; readonly values: VectorExpressions } | null = null;
  /** whether loops may be vectorized, at this place */
  #vectorize = true;

  constructor(frame: Frame, whole: ForLoop | null) {
    this.#frame = frame;
    this.#scalar = new ScalarExpressions(frame);
    this.#plan = planner(frame);
    this.#whole = whole;
  }

  /** Multiples of this at which the caller may cut the range of the whole loop. */
  get align(): number {
    const plan = this.#whole === null ? null : this.#plan(this.#whole);
    return plan === null ? 1 : lanesPerBlock * (plan.blocks[0] as number);
  }

  emit(body: readonly Stmt[]): void {
    for (let i = 0; i < body.length; ) {
      // neighbouring stores and assignments share what they have in common
      const changed = new Set<number | KVar>();
      let end = i;
      for (let next = body[end]; next !== undefined; next = body[++end]) {
        if (end > i && !unaffected(next, changed)) break;
        if (next.kind === "store") changed.add(next.buffer);
        else if (next.kind === "set") changed.add(next.v);
        else {
          end++;
          break;
        }
      }
      this.#group(body.slice(i, end));
      i = end;
    }
  }

  #group(group: readonly Stmt[]): void {
    const { code } = this.#frame;
    const first = group[0] as Stmt;
    switch (first.kind) {
      case "for":
        this.#for(first);
        return;
      case "while":
        code.until(
          () => {
            this.#scalar.alone(first.test);
            code.op(0x45);
          },
          () => this.emit(first.body),
        );
        return;
      case "if":
        this.#scalar.alone(first.test);
        code.if(
          null,
          () => this.emit(first.yes),
          first.no.length > 0 ? () => this.emit(first.no) : undefined,
        );
        return;
      default:
        if (this.#vector !== null) {
          this.#vector.values.group(group.filter((s) => s.kind === "store" || s.kind === "set"));
          return;
        }
        this.#scalar.sharing.group(
          () => {
            for (const e of group.flatMap(roots)) this.#scalar.sharing.count(e);
          },
          () => {
            for (const s of group)
              if (s.kind === "store") this.#scalar.store(s);
              else if (s.kind === "set") {
                this.#scalar.expr(s.value);
                code.set(this.#frame.variable(s.v));
              }
          },
        );
    }
  }

  #for(loop: ForLoop): void {
    const range = this.#range(loop);
    const { extent } = range;
    const plan = this.#vectorize && this.#vector === null ? this.#plan(loop) : null;
    this.#if(extent !== null && extent > 0, range, 1, () => {
      const lanes = this.#vector?.lanes;
      const moving = isStraight(loop)
        ? this.#scalar.pointers.start(
            loop,
            (e) => this.#scalar.alone(e),
            (buffer, index) => lanes === undefined || lanes.stride(buffer, index) !== null,
          )
        : [];
      let rest = extent;
      if (plan !== null)
        for (const blocks of plan.blocks) {
          const step = blocks * lanesPerBlock;
          if (rest === null || rest >= step) this.#vectorLoop(loop, plan, blocks, range, moving);
          if (rest !== null) rest %= step;
        }
      if (rest !== 0 && !this.#wholeBlocks(loop, plan))
        this.#if(plan === null || rest !== null, range, 1, () => {
          // not vectorized in another way: an element's value must not depend on its place
          const saved = this.#vectorize;
          this.#vectorize = saved && plan === null;
          this.#loop(range, 1, moving, loop.body);
          this.#vectorize = saved;
        });
      this.#scalar.pointers.stop();
    });
  }
  /** True where the caller's range is made of whole blocks. */
  #wholeBlocks(loop: ForLoop, plan: Plan | null): boolean {
    if (loop !== this.#whole || plan === null) return false;
    const last = plan.blocks.at(-1) as number;
    return (extentOf(loop) as number) % (last * lanesPerBlock) === 0;
  }

  /** Sets the loop variable to its start. */
  #range(loop: ForLoop): Range {
    const { code, kernel, variable } = this.#frame;
    const v = variable(loop.v);
    const upTo = (to: number): Range => ({
      v,
      extent: null,
      limit: (n) => {
        code.get(to);
        if (n > 0) code.i32(n).op(0x6b);
      },
    });
    if (loop === this.#whole) {
      const lo = kernel.buffers.length;
      code.get(lo).set(v);
      return upTo(lo + 1);
    }
    this.#scalar.alone(loop.from);
    code.set(v);
    const { to } = loop;
    if (to.kind === "lit")
      return { v, extent: extentOf(loop), limit: (n) => code.i32(to.value - n) };
    const limit = code.local("i32");
    this.#scalar.alone(to);
    code.set(limit);
    return upTo(limit);
  }
  /** Runs `emit` if there are `step` iterations left, which may be `known`. */
  #if(known: boolean, { v, limit }: Range, step: number, emit: () => void): void {
    if (known) {
      emit();
      return;
    }
    const { code } = this.#frame;
    code.get(v);
    limit(step - 1);
    code.op(0x48); // i32.lt_s
    code.if(null, emit);
  }
  /** The body, again and again while `step` iterations are left. */
  #loop({ v, limit }: Range, step: number, moving: readonly Moving[], body: readonly Stmt[]): void {
    const { code } = this.#frame;
    code.loop(() => {
      this.emit(body);
      for (const { local, step: bytes } of moving)
        if (bytes !== 0)
          code
            .get(local)
            .i32(bytes * step)
            .op(0x6a)
            .set(local);
      code.get(v).i32(step).op(0x6a).tee(v);
      limit(step - 1);
      code.op(0x48).brIf(0);
    });
  }

  #vectorLoop(
    loop: ForLoop,
    plan: Plan,
    blocks: number,
    range: Range,
    moving: readonly Moving[],
  ): void {
    const frame = this.#frame;
    const { code } = frame;
    const lanes = new Lanes(frame, loop.v, blocks, plan);
    const values = new VectorExpressions(frame, this.#scalar, lanes);
    const step = blocks * lanesPerBlock;
    this.#if(range.extent !== null, range, step, () => {
      // the prelude last: it sets what the others were found to need
      const emitted = code.capture(() => {
        this.#vector = { lanes, values };
        this.#loop(range, step, moving, loop.body);
        this.#vector = null;
      });
      const started = code.capture(() => start(plan.reductions, frame, lanes, values.ops));
      const finished = code.capture(() =>
        finish(plan.reductions, frame, lanes, values.ops, (body) => this.emit(body)),
      );
      values.prelude();
      code.append(started).append(emitted).append(finished);
    });
    values.release();
    lanes.release();
  }
}

const isStraight = (loop: ForLoop): boolean => loop.body.every((s) => bodies(s).length === 0);

/** True for a store or assignment that reads none of these buffers and variables. */
function unaffected(s: Stmt, changed: ReadonlySet<number | KVar>): boolean {
  if (s.kind !== "store" && s.kind !== "set") return false;
  const seen = new Set<Expr>();
  const clean = (e: Expr): boolean => {
    if (seen.has(e)) return true;
    seen.add(e);
    if (e.kind === "load" && changed.has(e.buffer)) return false;
    if (e.kind === "var" && changed.has(e)) return false;
    return everyOperand(e, clean);
  };
  return roots(s).every(clean);
}
