/** Expressions on vectors: four iterations of a loop in the lanes of 128-bit registers.
 *
 *  A block of four values is one register, of float64 two (*parts* 0 and 1). A bool is a mask in one register or, beside
 *  float64, in two (parts 2 and 3, *wide*); each is made from the other when it is asked for. */
import { dtypes } from "../../../dtype.ts";
import { type Expr, isWordOp, operands } from "../../../kernel/expr.ts";
import type { Stmt } from "../../../kernel/kernel.ts";
import type { ValType } from "../encoder.ts";
import { Constants } from "./constants.ts";
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
import type { Operand, Operation } from "./scalar-ops.ts";
import { positions } from "./simd.ts";
import * as f32x4 from "../simd/f32x4.ts";
import * as f64x2 from "../simd/f64x2.ts";
import * as i32x4 from "../simd/i32x4.ts";
import * as i64x2 from "../simd/i64x2.ts";
import * as v128 from "../simd/v128.ts";
import { byType, valType } from "./types.ts";
import { VectorAccess } from "./vector-access.ts";
import { VectorConditionals } from "./vector-conditionals.ts";
import { pseudo, VectorOps } from "./vector-ops.ts";

export class VectorExpressions {
  readonly #frame: Frame;
  readonly #scalar: ScalarExpressions;
  readonly #lanes: Lanes;
  readonly #constants: Constants;
  readonly #access: VectorAccess;
  readonly ops: VectorOps;
  /** values that are the same throughout the loop, in all lanes of a local that is set before it */
  readonly #invariants = new Map<Expr, number>();
  readonly #conditionals: VectorConditionals;

  constructor(frame: Frame, scalar: ScalarExpressions, lanes: Lanes) {
    this.#frame = frame;
    this.#scalar = scalar;
    this.#lanes = lanes;
    this.#constants = new Constants(frame);
    this.ops = new VectorOps(frame, this.#constants);
    this.#access = new VectorAccess(frame, scalar, lanes, this.ops);
    this.#conditionals = new VectorConditionals(frame, scalar, lanes, this.ops, this);
  }

  /** Sets the constants and invariants that the loop was found to use; to be emitted before it. */
  prelude(): void {
    const { code } = this.#frame;
    this.#constants.emit();
    for (const [e, local] of this.#invariants) {
      this.#scalar.alone(e);
      this.ops.splat(e.dtype);
      code.set(local);
    }
  }
  release(): void {
    this.#constants.release();
    this.#frame.release(...this.#invariants.values());
  }

  // ---- groups of stores and assignments ----

  group(group: readonly (Stmt & { kind: "store" | "set" })[]): void {
    const { sharing } = this.#scalar;
    const lanes = this.#lanes;
    sharing.group(
      () => {
        for (const s of group) {
          if (s.kind === "store") this.#countIndex(s.buffer, s.index);
          if (s.kind === "set" && !lanes.loop.varying.has(s.v)) sharing.count(s.value);
          else for (const part of parts(s.value)) this.#count(s.value, part);
        }
        const needed = new Set<Expr>();
        for (const s of group) for (const e of sharing.always(s.value)) needed.add(e);
        this.#conditionals.start(needed);
      },
      () => {
        for (const s of group) {
          if (s.kind === "set" && !lanes.loop.varying.has(s.v)) {
            this.#scalar.expr(s.value);
            this.#frame.code.set(this.#frame.variable(s.v));
            continue;
          }
          for (let block = 0; block < lanes.blocks; block++)
            if (s.kind === "store") this.#store(s, block);
            else {
              // all parts before the first is assigned: the value may use the variable
              for (const part of parts(s.value)) this.value(s.value, block, part);
              for (const part of [...parts(s.value)].reverse())
                this.#frame.code.set(lanes.local(s.v, block, part));
            }
        }
      },
    );
  }
  #store({ buffer, index, value }: Stmt & { kind: "store" }, block: number): void {
    this.#access.store(
      buffer,
      index,
      value.dtype,
      block,
      (part) => this.value(value, block, part),
      () => this.value(index, block, 0),
    );
  }

  // ---- counting ----

  #countIndex(buffer: number, index: Expr): void {
    if (this.#lanes.stride(buffer, index) === null) this.#count(index, 0);
    else if (this.#scalar.pointers.find(buffer, index) === undefined)
      this.#scalar.sharing.count(index);
  }
  /** Counts the uses of what part `part` of `e` is made from. */
  #count(e: Expr, part: number): void {
    const { sharing } = this.#scalar;
    if (this.#lanes.uniform(e)) {
      if (sharing.use(e, splatSlot)) sharing.count(e);
      return;
    }
    if (!sharing.use(e, slotOf(0, part))) return;
    if (e.kind === "load") {
      this.#countIndex(e.buffer, e.index);
      return;
    }
    for (const [x, p] of this.#demands(e, part)) this.#count(x, p);
  }
  /** The parts of its operands from which a part of `e` is made. */
  #demands(e: Expr, part: number): readonly (readonly [Expr, number])[] {
    if (e.dtype === "bool") {
      const made = madeWide(e);
      if (made === true && part < wide)
        return [
          [e, wide],
          [e, wide + 1],
        ];
      if (made === false && part >= wide) return [[e, 0]];
    }
    switch (e.kind) {
      case "select":
        if (pseudoExtremum(e) !== null)
          return [
            [e.yes, part],
            [e.no, part],
          ];
        return [
          [e.test, maskPart(e, part)],
          [e.yes, part],
          [e.no, part],
        ];
      case "cond":
        return [
          [e.test, maskPart(e, part)],
          [e.yes, part],
          [e.no, part],
        ];
      case "cast":
        if (partsOf(e.x.dtype) === 2 && part < wide)
          return [
            [e.x, 0],
            [e.x, 1],
          ];
        if (e.x.dtype === "bool") return [[e.x, e.dtype === "float64" ? wide + part : 0]];
        return [[e.x, partsOf(e.x.dtype) === 2 ? part - wide : 0]];
      case "unary":
        if (isWordOp(e.op))
          return [
            [e.x, 0],
            [e.x, 1],
          ];
        return this.#alike(e, part);
      case "binary":
        if (e.op === "joinWords")
          return [
            [e.x, 0],
            [e.y, 0],
          ];
        return this.#alike(e, part);
      case "compare":
      case "bitcast":
        return this.#alike(e, part);
      default:
        return [];
    }
  }
  /** The same part of each operand, but for a wide mask. */
  #alike(e: Expr, part: number): readonly (readonly [Expr, number])[] {
    return operands(e).map(
      (x) => [x, x.dtype === "float64" && e.dtype === "bool" ? part - wide : part] as const,
    );
  }

  // ---- values ----

  /** Leaves part `part` of block `block` of `e` on the stack. */
  value(e: Expr, block: number, part: number): void {
    const { code } = this.#frame;
    const { sharing } = this.#scalar;
    if (this.#lanes.uniform(e)) {
      this.splat(e);
      return;
    }
    if (e.kind === "var" && e !== this.#lanes.v && part < wide) {
      code.get(this.#lanes.local(e, block, part));
      return;
    }
    const known = sharing.find(e, slotOf(block, part));
    if (known !== undefined) {
      code.get(known);
      return;
    }
    this.#compute(e, block, part);
    if (sharing.uses(e, slotOf(0, part)) > 1) code.tee(sharing.keep(e, slotOf(block, part)));
  }
  #operand(e: Expr, block: number, part: number): Operand {
    return () => this.value(e, block, part);
  }

  /** A uniform value in all lanes. */
  splat(e: Expr): void {
    const { code } = this.#frame;
    const { sharing } = this.#scalar;
    if (e.kind === "lit") {
      this.ops.literal(e.value, e.dtype);
      return;
    }
    if (this.#lanes.invariant(e) && (e.kind === "var" || this.#hoistable(e))) {
      let local = this.#invariants.get(e);
      if (local === undefined) {
        local = this.#frame.code.local("v128");
        this.#invariants.set(e, local);
      }
      code.get(local);
      return;
    }
    const known = sharing.find(e, splatSlot);
    if (known !== undefined) {
      code.get(known);
      return;
    }
    this.#scalar.expr(e);
    this.ops.splat(e.dtype);
    if (sharing.uses(e, splatSlot) * this.#lanes.blocks > 1) code.tee(sharing.keep(e, splatSlot));
  }

  /** True for what every iteration computes. */
  #hoistable(e: Expr): boolean {
    return this.#lanes.loop.straight && this.#conditionals.always(e);
  }

  #compute(e: Expr, block: number, part: number): void {
    const { code } = this.#frame;
    const { ops } = this;
    if (e.dtype === "bool") {
      const made = madeWide(e);
      if (made === true && part < wide) {
        this.value(e, block, wide);
        this.value(e, block, wide + 1);
        code.shuffle(positions.even);
        return;
      }
      if (made === false && part >= wide) {
        this.value(e, block, 0);
        code.simd(part === wide ? i64x2.extendLowS : i64x2.extendHighS);
        return;
      }
    }
    const of = (x: Expr): Operand =>
      this.#operand(x, block, x.dtype === "float64" && e.dtype === "bool" ? part - wide : part);
    switch (e.kind) {
      case "var":
        // the loop variable: its first iteration is in its scalar local
        code.get(this.#frame.variable(e)).simd(i32x4.splat);
        this.#constants.lanes([0, 1, 2, 3].map((lane) => lanesPerBlock * block + lane));
        code.simd(i32x4.add);
        return;
      case "load":
        this.#access.load(e, block, part, this.#operand(e.index, block, 0));
        return;
      case "unary":
        if (isPerLane(e)) this.#eachLane(e, block, part);
        else if (isWordOp(e.op)) {
          this.value(e.x, block, 0);
          this.value(e.x, block, 1);
          code.shuffle(e.op === "highWord" ? positions.odd : positions.even);
        } else ops.unary(e.op, e.x.dtype, of(e.x));
        return;
      case "binary":
        if (isPerLane(e)) this.#eachLane(e, block, part);
        else if (e.op === "joinWords") {
          this.value(e.y, block, 0);
          this.value(e.x, block, 0);
          code.shuffle(positions.turns[part] as readonly number[]);
        } else {
          // a number is the second operand of min and max
          const swap = e.x.kind === "lit" && (e.op === "min" || e.op === "max");
          const [x, y] = swap ? [e.y, e.x] : [e.x, e.y];
          ops.binary(e.op, e.dtype, of(x), of(y), y.kind === "lit" ? y.value : null);
        }
        return;
      case "compare":
        ops.compare(e.op, e.x.dtype, of(e.x), of(e.y));
        return;
      case "select": {
        const extremum = pseudoExtremum(e);
        if (extremum !== null) {
          of(e.no)();
          of(e.yes)();
          code.simd(extremum);
          return;
        }
        of(e.yes)();
        of(e.no)();
        this.value(e.test, block, maskPart(e, part));
        code.simd(v128.bitselect);
        return;
      }
      case "cond":
        this.#conditionals.value(e, block, part);
        return;
      case "cast":
        this.#cast(e, block, part);
        return;
      case "bitcast":
        this.#bitcast(e, block, part);
        return;
    }
  }

  #cast(e: Expr & { kind: "cast" }, block: number, part: number): void {
    const { code } = this.#frame;
    const { x, dtype: to } = e;
    const from = x.dtype;
    if (isPerLane(e)) {
      this.#eachLane(e, block, part);
      return;
    }
    if (from === "float64" && to !== "bool") {
      const narrowed =
        to === "float32" ? f32x4.demote : to === "uint32" ? i32x4.truncF64U : i32x4.truncF64S;
      for (const p of [0, 1]) {
        this.value(x, block, p);
        code.simd(narrowed);
      }
      code.shuffle(positions.lowerHalves);
      if (dtypes[to].bytes === 1) this.ops.clamp(to);
      return;
    }
    if (to === "float64" && from !== "bool") {
      const widened =
        valType(from) === "f32"
          ? f64x2.promoteLow
          : from === "uint32"
            ? f64x2.convertLowU
            : f64x2.convertLowS;
      // two elements of memory, where nobody else needs all four
      const alone = this.#scalar.sharing.uses(x, slotOf(0, 0)) <= 2;
      if (x.kind === "load" && alone && this.#access.loadHalf(x, block, part)) {
        code.simd(widened);
        return;
      }
      this.value(x, block, 0);
      if (part === 1) {
        this.value(x, block, 0);
        code.shuffle(positions.upper);
      }
      code.simd(widened);
      return;
    }
    const source =
      from === "bool" && to === "float64" ? wide + part : from === "float64" ? part - wide : 0;
    this.ops.cast(from, to, this.#operand(x, block, source));
  }

  #bitcast(e: Expr & { kind: "bitcast" }, block: number, part: number): void {
    const { x, dtype: to } = e;
    const { code } = this.#frame;
    if (isPerLane(e)) {
      this.#eachLane(e, block, part);
      return;
    }
    this.value(x, block, 0);
    if (dtypes[to].bytes > 1) return;
    // a bool has the bits 0 and 1
    if (x.dtype === "bool" || to === "bool") code.simd(i32x4.neg);
    if (to !== "bool") this.ops.wrap(to);
  }

  /** Makes a register lane by lane with a scalar operation. */
  #eachLane(e: Operation, block: number, part: number): void {
    const frame = this.#frame;
    const { code } = frame;
    const lanes = e.dtype === "float64" ? [2 * part, 2 * part + 1] : [0, 1, 2, 3];
    const taken: number[] = [];
    const hold = (type?: ValType): number => {
      const local = frame.temporary(type);
      taken.push(local);
      code.set(local);
      return local;
    };
    const [x, y] = operands(e).map((x): ((lane: number) => void) => {
      if (this.#lanes.uniform(x)) {
        this.#scalar.expr(x);
        const local = hold(valType(x.dtype));
        return () => code.get(local);
      }
      const perRegister = lanesPerBlock / partsOf(x.dtype);
      const registers = [...new Set(lanes.map((lane) => Math.floor(lane / perRegister)))].map(
        (p): [number, number] => {
          this.value(x, block, p);
          return [p, hold()];
        },
      );
      const locals = new Map(registers);
      return (lane) => {
        code.get(locals.get(Math.floor(lane / perRegister)) as number);
        this.ops.extract(x.dtype, lane % perRegister);
      };
    });
    lanes.forEach((lane, at) => {
      this.#scalar.ops.apply(
        e,
        () => x?.(lane),
        () => y?.(lane),
      );
      if (at === 0) this.ops.splat(e.dtype);
      else this.ops.replace(e.dtype, at);
    });
    frame.release(...taken);
  }
}

/** The single instruction of y < x ? y : x or x < y ? y : x of floats, or null. */
function pseudoExtremum({ test, yes, no, dtype }: Expr & { kind: "select" }): number | null {
  if (test.kind !== "compare" || test.op !== "lt") return null;
  if (dtype !== "float32" && dtype !== "float64") return null;
  if (test.x === yes && test.y === no) return byType(dtype, pseudo.min);
  if (test.x === no && test.y === yes) return byType(dtype, pseudo.max);
  return null;
}
/** Whether a bool is made as a wide mask, or a narrow one; null for either. */
function madeWide(e: Expr): boolean | null {
  switch (e.kind) {
    case "compare":
    case "cast":
      return e.x.dtype === "float64";
    case "unary":
      return e.op === "not" ? null : e.x.dtype === "float64";
    case "binary":
    case "select":
    case "cond":
      return null;
    default:
      return false;
  }
}
