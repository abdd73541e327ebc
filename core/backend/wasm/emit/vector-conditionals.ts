/** Conditionals on vectors, where some lanes may take one side and some the other. */
import { type Expr, KVar, operands, rewrite } from "../../../kernel/expr.ts";
import type { Frame } from "./frame.ts";
import {
  type Lanes,
  lanesPerBlock,
  maskPart,
  parts,
  partsOf,
  slotOf,
  splatSlot,
  wide,
} from "./lanes.ts";
import { isPerLane } from "./per-lane.ts";
import type { ScalarExpressions } from "./scalar.ts";
import type { Conditional } from "./sharing.ts";
import { positions } from "./simd.ts";
import * as i32x4 from "../simd/i32x4.ts";
import * as i64x2 from "../simd/i64x2.ts";
import * as v128 from "../simd/v128.ts";
import { valType } from "./types.ts";
import type { VectorOps } from "./vector-ops.ts";

/** Largest side of a conditional, in instructions, that is computed for lanes that do not take it: a branch that goes wrong now
 *  and then costs as much. */
const cheapSide = 100;

/** Expressions on vectors. */
interface Values {
  /** leaves a part of a block on the stack */
  value(e: Expr, block: number, part: number): void;
  /** leaves a uniform value in all lanes on the stack */
  splat(e: Expr): void;
}

export class VectorConditionals {
  readonly #frame: Frame;
  readonly #scalar: ScalarExpressions;
  readonly #lanes: Lanes;
  readonly #ops: VectorOps;
  readonly #values: Values;
  /** nodes that every lane needs, here and in the conditionals around: their loads are in range */
  #needed: ReadonlySet<Expr>[] = [];

  constructor(
    frame: Frame,
    scalar: ScalarExpressions,
    lanes: Lanes,
    ops: VectorOps,
    values: Values,
  ) {
    this.#frame = frame;
    this.#scalar = scalar;
    this.#lanes = lanes;
    this.#ops = ops;
    this.#values = values;
  }
  /** Begins a group of statements, in which these nodes are always evaluated. */
  start(needed: ReadonlySet<Expr>): void {
    this.#needed = [needed];
  }
  /** True for a node that is evaluated in every iteration. */
  always(e: Expr): boolean {
    return this.#needed[0]?.has(e) === true;
  }

  /** Computes all parts of a conditional, and leaves one on the stack. */
  value(e: Conditional, block: number, part: number): void {
    const { code } = this.#frame;
    const { sharing } = this.#scalar;
    const group = part >= wide ? [wide, wide + 1] : parts(e);
    this.#computeCommon(e, block);
    const uniform = this.#lanes.uniform(e.test);
    const guarded = !uniform && (this.#guards(e.yes) || this.#guards(e.no));
    if (!uniform && !guarded && this.#cheap(e.yes, block) && this.#cheap(e.no, block)) {
      this.#values.value(e.yes, block, part);
      this.#values.value(e.no, block, part);
      this.#values.value(e.test, block, maskPart(e, part));
      code.simd(v128.bitselect);
      return;
    }
    const side = (x: Expr, into: readonly number[], needed: boolean): void =>
      sharing.scoped(() => {
        if (needed) this.#needed.push(sharing.always(x));
        group.forEach((p, i) => {
          this.#values.value(x, block, p);
          code.set(into[i] as number);
        });
        if (needed) this.#needed.pop();
      });
    const temporaries = (): readonly number[] => group.map(() => this.#frame.temporary());
    // the locals of the result, to be known from here on
    let out: readonly number[] = [];
    if (uniform) {
      const kept = group.map((p) => sharing.keep(e, slotOf(block, p)));
      this.#scalar.expr(e.test);
      code.if(
        null,
        () => side(e.yes, kept, true),
        () => side(e.no, kept, true),
      );
    } else if (guarded) {
      out = temporaries();
      const test = this.#frame.temporary();
      this.#values.value(e.test, block, 0);
      code.tee(test).simd(i32x4.allTrue);
      code.if(
        null,
        () => side(e.yes, out, true),
        () => {
          code.get(test).simd(v128.anyTrue);
          code.if(
            null,
            () => this.#laneByLane(e, block, part >= wide, out),
            () => side(e.no, out, true),
          );
        },
      );
      this.#frame.release(test);
    } else {
      out = temporaries();
      const no = temporaries();
      const test = this.#frame.temporary();
      this.#values.value(e.test, block, 0);
      code.tee(test).simd(v128.anyTrue);
      code.if(null, () => side(e.yes, out, false));
      code.get(test).simd(i32x4.allTrue).op(0x45);
      code.if(null, () => side(e.no, no, false));
      group.forEach((p, i) => {
        code.get(out[i] as number).get(no[i] as number);
        this.#values.value(e.test, block, maskPart(e, p));
        code.simd(v128.bitselect).set(out[i] as number);
      });
      this.#frame.release(...no, test);
    }
    out.forEach((local, i) => {
      code.get(local).set(sharing.keep(e, slotOf(block, group[i] as number)));
      this.#frame.release(local);
    });
    code.get(sharing.find(e, slotOf(block, part)) as number);
  }
  #computeCommon(e: Conditional, block: number): void {
    const { sharing } = this.#scalar;
    const { code } = this.#frame;
    for (const x of sharing.common(e)) {
      if (this.#lanes.uniform(x)) {
        if (sharing.uses(x, splatSlot) < 2 || sharing.find(x, splatSlot) !== undefined) continue;
        this.#values.splat(x);
        code.op(0x1a);
        continue;
      }
      for (let part = 0; part < 4; part++) {
        if (sharing.uses(x, slotOf(0, part)) < 2) continue;
        if (sharing.find(x, slotOf(block, part)) !== undefined) continue;
        this.#values.value(x, block, part);
        code.op(0x1a);
      }
    }
  }
  /** True where a side loads what another lane might not be allowed to. */
  #guards(side: Expr): boolean {
    const seen = new Set<Expr>();
    const visit = (e: Expr): boolean => {
      if (seen.has(e) || this.#needed.some((needed) => needed.has(e))) return false;
      seen.add(e);
      if (e.kind === "load" && !this.#lanes.uniform(e.index)) return true;
      return operands(e).some(visit);
    };
    return visit(side);
  }
  /** True for a side of a few instructions besides what is computed anyway, that may be evaluated for nothing. */
  #cheap(side: Expr, block: number): boolean {
    const { sharing } = this.#scalar;
    const seen = new Set<Expr>();
    let size = 0;
    const visit = (e: Expr): void => {
      if (size > cheapSide || e.kind === "lit" || e.kind === "var") return;
      if (seen.has(e) || this.#needed.some((needed) => needed.has(e))) return;
      seen.add(e);
      if (sharing.find(e, slotOf(block, 0)) !== undefined) return;
      size += e.kind === "load" || isPerLane(e) ? Number.POSITIVE_INFINITY : partsOf(e.dtype);
      operands(e).forEach(visit);
    };
    visit(side);
    return size <= cheapSide;
  }

  /** Computes `e` for one lane after the other, as the scalar loop would, in a loop that shifts results in from above. */
  #laneByLane(e: Expr, block: number, wideMask: boolean, out: readonly number[]): void {
    const frame = this.#frame;
    const { code } = frame;
    const lanes = this.#lanes;
    const v = frame.variable(lanes.v);
    // what varies is read from registers that move down a lane in each round
    const moving = new Map<KVar, { local: KVar; registers: number[] }>();
    const single = rewrite(e, (x) => {
      if (!(x instanceof KVar) || x === lanes.v || !lanes.loop.varying.has(x)) return null;
      let entry = moving.get(x);
      if (entry === undefined) {
        const registers = parts(x).map((part) => {
          const register = frame.temporary();
          code.get(lanes.local(x, block, part)).set(register);
          return register;
        });
        entry = { local: new KVar(x.dtype, x.name), registers };
        moving.set(x, entry);
      }
      return entry.local;
    });
    const rotate = (registers: readonly number[], push: (() => void) | null): void => {
      const two = registers.length === 2;
      const last = registers.at(-1) as number;
      const [first] = registers as readonly [number];
      if (two) code.get(first).get(last).shuffle(positions.rotate64).set(first);
      code
        .get(last)
        .get(last)
        .shuffle(two ? positions.rotate64 : positions.rotate32);
      push?.();
      code.set(last);
    };
    const count = frame.temporary("i32");
    code
      .get(v)
      .i32(lanesPerBlock * block)
      .op(0x6a)
      .set(v);
    code.i32(lanesPerBlock).set(count);
    code.loop(() => {
      for (const [x, { local, registers }] of moving) {
        code.get(registers[0] as number);
        this.#ops.extract(x.dtype, 0);
        code.set(frame.variable(local));
        rotate(registers, null);
      }
      const type = valType(e.dtype);
      const result = frame.temporary(type);
      this.#scalar.pointers.without(() => this.#scalar.alone(single));
      code.set(result);
      // a wide mask is made of four lanes first
      rotate(wideMask ? out.slice(0, 1) : out, () => {
        code.get(result);
        this.#ops.replace(e.dtype, type === "f64" ? 1 : lanesPerBlock - 1);
      });
      frame.release(result);
      code.get(v).i32(1).op(0x6a).set(v);
      code.get(count).i32(1).op(0x6b).tee(count).brIf(0);
    });
    code
      .get(v)
      .i32(lanesPerBlock * (block + 1))
      .op(0x6b)
      .set(v);
    if (wideMask) {
      const [low, high] = out as readonly [number, number];
      code.get(low).simd(i64x2.extendHighS).set(high);
      code.get(low).simd(i64x2.extendLowS).set(low);
    }
    frame.release(count);
    for (const { registers } of moving.values()) frame.release(...registers);
  }
}
