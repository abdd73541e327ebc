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

type Part = readonly [e: Expr, part: number];

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
  /** The parts of its operands from which a part of `e` is made; of `e` itself, where a mask is made from one of the other
   *  width. */
  #demands(e: Expr, part: number): readonly Part[] {
    const halves = (x: Expr, first = 0): readonly Part[] => [
      [x, first],
      [x, first + 1],
    ];
    if (e.dtype === "bool") {
      const made = madeWide(e);
      if (made === true && part < wide) return halves(e, wide);
      if (made === false && part >= wide) return [[e, 0]];
    }
    switch (e.kind) {
      case "select":
      case "cond": {
        const sides: readonly Part[] = [
          [e.yes, part],
          [e.no, part],
        ];
        return e.kind === "select" && pseudoExtremum(e) !== null
          ? sides
          : [...sides, [e.test, maskPart(e, part)]];
      }
      case "cast":
        if (e.x.dtype === "bool") return [[e.x, e.dtype === "float64" ? wide + part : 0]];
        if (e.x.dtype !== "float64") return [[e.x, 0]];
        return part < wide ? halves(e.x) : [[e.x, part - wide]];
      case "load":
        return [];
      default:
        if (e.kind === "unary" && isWordOp(e.op)) return halves(e.x);
        return operands(e).map((x) => {
          if (e.kind === "binary" && e.op === "joinWords") return [x, 0];
          return [x, x.dtype === "float64" && e.dtype === "bool" ? part - wide : part];
        });
    }
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
    const from = this.#demands(e, part);
    const all = from.map(
      ([x, p]): Operand =>
        () =>
          this.value(x, block, p),
    );
    const [x, y] = all as [Operand, Operand];
    if (isPerLane(e)) {
      this.#eachLane(e, block, part);
      return;
    }
    if (from[0]?.[0] === e) {
      for (const push of all) push();
      if (part < wide) code.shuffle(positions.even);
      else code.simd(part === wide ? i64x2.extendLowS : i64x2.extendHighS);
      return;
    }
    switch (e.kind) {
      case "var":
        // the loop variable: its first iteration is in its scalar local
        code.get(this.#frame.variable(e)).simd(i32x4.splat);
        this.#constants
          .lanes([0, 1, 2, 3].map((lane) => lanesPerBlock * block + lane))
          .simd(i32x4.add);
        return;
      case "load":
        this.#access.load(e, block, part, () => this.value(e.index, block, 0));
        return;
      case "unary":
        if (!isWordOp(e.op)) ops.unary(e.op, e.x.dtype, x);
        else {
          x();
          y();
          code.shuffle(e.op === "highWord" ? positions.odd : positions.even);
        }
        return;
      case "binary":
        if (e.op === "joinWords") {
          y();
          x();
          code.shuffle(positions.turns[part] as readonly number[]);
        } else if (e.x.kind === "lit" && (e.op === "min" || e.op === "max"))
          // a number is the second operand of min and max
          ops.binary(e.op, e.dtype, y, x, e.x.value);
        else ops.binary(e.op, e.dtype, x, y, e.y.kind === "lit" ? e.y.value : null);
        return;
      case "compare":
        ops.compare(e.op, e.x.dtype, x, y);
        return;
      case "select": {
        const extremum = pseudoExtremum(e);
        if (extremum !== null) {
          y();
          x();
          code.simd(extremum);
        } else {
          for (const push of all) push();
          code.simd(v128.bitselect);
        }
        return;
      }
      case "cond":
        this.#conditionals.value(e, block, part);
        return;
      case "cast":
        this.#cast(e, block, part, x, y);
        return;
      case "bitcast":
        x();
        if (dtypes[e.dtype].bytes > 1) return;
        // a bool has the bits 0 and 1
        if (e.x.dtype === "bool" || e.dtype === "bool") code.simd(i32x4.neg);
        if (e.dtype !== "bool") ops.wrap(e.dtype);
    }
  }

  #cast(
    e: Expr & { kind: "cast" },
    block: number,
    part: number,
    low: Operand,
    high: Operand,
  ): void {
    const { code } = this.#frame;
    const { x, dtype: to } = e;
    const from = x.dtype;
    if (from === "bool" || to === "bool" || (from !== "float64" && to !== "float64")) {
      this.ops.cast(from, to, low);
      return;
    }
    if (from === "float64") {
      const narrowed =
        to === "float32" ? f32x4.demote : to === "uint32" ? i32x4.truncF64U : i32x4.truncF64S;
      low();
      code.simd(narrowed);
      high();
      code.simd(narrowed).shuffle(positions.lowerHalves);
      if (dtypes[to].bytes === 1) this.ops.clamp(to);
      return;
    }
    // two elements of memory, where nobody else needs all four
    const alone = this.#scalar.sharing.uses(x, slotOf(0, 0)) <= 2;
    if (!(x.kind === "load" && alone && this.#access.loadHalf(x, block, part))) {
      low();
      if (part === 1) {
        low();
        code.shuffle(positions.upper);
      }
    }
    code.simd(
      valType(from) === "f32"
        ? f64x2.promoteLow
        : from === "uint32"
          ? f64x2.convertLowU
          : f64x2.convertLowS,
    );
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
