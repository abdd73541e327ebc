/** Instructions of the scalar operations. An operand is a function that leaves its value on the stack. */
import { castNumber, type DType, dtypes, isFloat } from "../../../dtype.ts";
import type { Expr, UnaryOp } from "../../../kernel/expr.ts";
import type { Code } from "../encoder.ts";
import * as i32 from "../i32.ts";
import type { Frame } from "./frame.ts";
import { access, comparison, half, unsigned, valType } from "./types.ts";

export type Operand = () => void;
export const none: Operand = () => {};
export type Operation = Expr & { kind: "unary" | "binary" | "compare" | "cast" | "bitcast" };

/** Operations of floats in the order of their instructions, of f32 and of f64. */
const floatOps = [
  "abs",
  "neg",
  "ceil",
  "floor",
  "trunc",
  "round",
  "sqrt",
  "add",
  "sub",
  "mul",
  "div",
  "min",
  "max",
];
/** == of i32, f32 and f64 */
const equality = [i32.eq, 0x5b, 0x61] as const;

export class ScalarOps {
  readonly #frame: Frame;
  readonly #code: Code;
  constructor(frame: Frame) {
    this.#frame = frame;
    this.#code = frame.code;
  }

  literal(value: number, d: DType): void {
    const type = valType(d);
    if (type === "f64") this.#code.f64(value);
    else if (type === "f32") this.#code.f32(castNumber(value, d));
    else this.#code.i32(value);
  }
  /** The address is on the stack. */
  load(d: DType, offset: number): void {
    this.#code.memory(access[d][0], Math.log2(dtypes[d].bytes), offset);
    this.#fromBits(d);
  }
  /** The address and the value are on the stack. */
  store(d: DType, offset: number): void {
    this.#toBits(d);
    this.#code.memory(access[d][1], Math.log2(dtypes[d].bytes), offset);
  }
  /** The 16 bits on the stack to the float that has them. */
  #fromBits(d: DType): void {
    if (d === "float16") this.#frame.call("f16_to_f32");
    if (d === "bfloat16") this.#code.i32(16).op(i32.shl, 0xbe);
  }
  /** And back; the value is rounded already. */
  #toBits(d: DType): void {
    if (d === "float16") this.#frame.call("f32_to_f16");
    if (d === "bfloat16") this.#code.op(0xbc).i32(16).op(i32.shrl);
  }

  /** Brings the top of the stack back into the range of its dtype. */
  #wrap(d: DType): void {
    if (d === "int8")
      this.#code.op(0xc0); // i32.extend8_s
    else if (d === "uint8") this.#lowByte();
    else if (half(d)) this.#frame.call(`round_${d}`);
  }
  #lowByte(): void {
    this.#code.i32(255).op(i32.and);
  }
  /** f64 on the stack to the float dtype `d`, rounded once */
  #narrow(d: DType): void {
    if (half(d)) this.#frame.call(`f64_round_${d}`);
    else if (d === "float32") this.#code.op(0xb6);
  }

  /** The operation of a node on operands that are given. */
  apply(e: Operation, x: Operand, y: Operand): void {
    const code = this.#code;
    const d = e.kind === "binary" ? e.dtype : e.x.dtype;
    if (e.kind === "unary" || e.kind === "binary") {
      const at = floatOps.indexOf(e.op);
      if (at < 0 || valType(d) === "i32") {
        if (e.kind === "unary") this.#unary(e.op, d, x);
        else this.#binary(e, x, y);
        return;
      }
      x();
      y();
      code.op((valType(d) === "f32" ? 0x8b : 0x99) + at);
      this.#wrap(d);
      return;
    }
    x();
    y();
    if (e.kind === "compare") code.op(comparison(e.op, d, equality));
    else if (e.kind === "cast") this.#cast(d, e.dtype);
    else this.#bitcast(d, e.dtype);
  }

  /** Of integers, or one that has no instruction. */
  #unary(op: UnaryOp, d: DType, x: Operand): void {
    const code = this.#code;
    const byte = dtypes[d].bytes === 1;
    if (op === "neg") code.i32(0);
    x();
    switch (op) {
      case "neg":
        code.op(i32.sub);
        break;
      case "abs":
        if (!unsigned(d)) {
          // (x ^ s) − s with s = x >> 31
          const local = this.#frame.temporary("i32");
          code.tee(local).get(local).i32(31).op(i32.shr, 0x73).get(local).i32(31);
          code.op(i32.shr, i32.sub);
          this.#frame.release(local);
          break;
        }
        return;
      case "not":
        if (d === "bool") code.op(i32.eqz);
        else code.i32(-1).op(0x73);
        break;
      case "popcount":
        if (d === "int8") this.#lowByte();
        code.op(0x69);
        return;
      case "clz":
        if (byte) this.#lowByte();
        code.op(0x67);
        if (byte) code.i32(24).op(i32.sub);
        return;
      case "highWord":
        code.op(0xbd, 0x42, 32, 0x88, 0xa7);
        return;
      case "lowWord":
        code.op(0xbd, 0xa7);
        return;
      default:
        // of float64
        code.call(this.#frame.library.math(op));
        return;
    }
    this.#wrap(d);
  }

  /** Of integers, or one that has no instruction. */
  #binary(e: Expr & { kind: "binary" }, x: Operand, y: Operand): void {
    const { op, dtype: d } = e;
    const code = this.#code;
    const byte = dtypes[d].bytes === 1;
    const sign = unsigned(d) ? "u" : "s";
    x();
    if (op === "joinWords") code.op(0xad, 0x42, 32, 0x86);
    if (op === "shrl" && byte) this.#lowByte();
    y();
    switch (op) {
      case "add":
        code.op(i32.add);
        break;
      case "sub":
        code.op(i32.sub);
        break;
      case "mul":
        code.op(i32.mul);
        break;
      case "and":
        code.op(i32.and);
        return;
      case "or":
        code.op(i32.or);
        return;
      case "xor":
        code.op(0x73);
        return;
      case "shl":
        // a shift by the narrow width or more moves everything out of an 8-bit value by itself
        this.#frame.call(op);
        break;
      case "shrl":
        this.#frame.call("shr_u");
        break;
      case "mulhi":
        if (!byte) this.#frame.call(`mulhi_${sign}`);
        else
          code
            .op(i32.mul)
            .i32(8)
            .op(unsigned(d) ? i32.shrl : i32.shr);
        break;
      case "joinWords":
        code.op(0xad, 0x84, 0xbf);
        return;
      default:
        if (divides(e)) {
          code.op((op === "div" ? i32.div : i32.rem) + (unsigned(d) ? 1 : 0));
          return;
        }
        if (d === "float64") {
          code.call(this.#frame.library.math(op));
          return;
        }
        this.#frame.call(`${op}_${isFloat(d) ? "f32" : sign}`);
        if (op === "min" || op === "max") return;
    }
    this.#wrap(d);
  }

  #cast(from: DType, to: DType): void {
    const code = this.#code;
    const [a, b] = [valType(from), valType(to)];
    if (to === "bool") {
      this.literal(0, from);
      code.op(comparison("ne", from, equality));
    } else if (a === "i32" && b === "i32") this.#wrap(to);
    else if (a === "i32") {
      if (to === "float32") code.op(unsigned(from) ? 0xb3 : 0xb2);
      else {
        // 16-bit floats through float64, which holds every 32-bit integer, so that it is rounded once
        code.op(unsigned(from) ? 0xb8 : 0xb7);
        this.#narrow(to);
      }
    } else if (b === "i32") {
      const { min, max, bytes } = dtypes[to];
      // i32.trunc_sat_…
      code.op(0xfc, (a === "f32" ? 0x00 : 0x02) + (to === "uint32" ? 1 : 0));
      if (bytes === 1) {
        code.i32(min);
        this.#frame.call("max_s");
        code.i32(max);
        this.#frame.call("min_s");
      }
    } else if (a === "f64") this.#narrow(to);
    else if (b === "f64") code.op(0xbb);
    else this.#wrap(to);
  }

  #bitcast(from: DType, to: DType): void {
    this.#toBits(from);
    if (from === "float32") this.#code.op(0xbc);
    if (half(to)) this.#fromBits(to);
    else if (to === "float32") this.#code.op(0xbe);
    else this.#wrap(to);
  }
}

/** True for an integer quotient or remainder by a constant that is no special case; V8 then multiplies. */
const divides = ({ op, dtype, y }: Expr & { kind: "binary" }): boolean =>
  (op === "div" || op === "rem") &&
  valType(dtype) === "i32" &&
  y.kind === "lit" &&
  y.value > 0 &&
  y.value < 2 ** 31;
