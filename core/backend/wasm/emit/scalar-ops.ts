/** Instructions of the scalar operations. An operand is a function that leaves its value on the stack. */
import { castNumber, type DType, dtypes } from "../../../dtype.ts";
import type { BinaryOp, CompareOp, Expr, UnaryOp } from "../../../kernel/expr.ts";
import type { Code } from "../encoder.ts";
import type { Frame } from "./frame.ts";
import { half, loads, stores, unsigned, valType } from "./types.ts";

export type Operand = () => void;
export const none: Operand = () => {};
export type Operation = Expr & { kind: "unary" | "binary" | "compare" | "cast" | "bitcast" };

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
    else this.#code.i32(value | 0);
  }
  /** The address is on the stack. */
  load(d: DType, offset: number): void {
    this.#code.memory(...loads[d], offset);
    if (d === "float16") this.#frame.call("f16_to_f32");
    if (d === "bfloat16") this.#code.i32(16).op(0x74, 0xbe);
  }
  /** The address and the value are on the stack. */
  store(d: DType, offset: number): void {
    if (d === "float16") this.#frame.call("f32_to_f16");
    if (d === "bfloat16") this.#code.op(0xbc).i32(16).op(0x76); // bits >>> 16: the value is rounded already
    this.#code.memory(...stores[d], offset);
  }

  /** Brings the top of the stack back into the range of its dtype. */
  #wrap(d: DType): void {
    if (d === "int8")
      this.#code.op(0xc0); // i32.extend8_s
    else if (d === "uint8") this.#code.i32(255).op(0x71);
    else if (half(d)) this.#frame.call(d === "float16" ? "round_f16" : "round_bf16");
  }
  /** f64 on the stack to the float dtype `d`, rounded once */
  #narrow(d: DType): void {
    if (d === "float16") this.#frame.call("f64_round_f16");
    else if (d === "bfloat16") this.#frame.call("f64_round_bf16");
    else if (d === "float32") this.#code.op(0xb6);
  }

  /** The operation of a node on operands that are given. */
  apply(e: Operation, x: Operand, y: Operand): void {
    switch (e.kind) {
      case "unary":
        this.#unary(e.op, e.x.dtype, x);
        return;
      case "binary":
        if (divides(e)) {
          x();
          y();
          this.#code.op((e.op === "div" ? 0x6d : 0x6f) + (unsigned(e.dtype) ? 1 : 0));
        } else this.#binary(e.op, e.dtype, x, y);
        return;
      case "compare":
        x();
        y();
        this.#code.op(comparison(e.op, e.x.dtype));
        return;
      case "cast":
        this.#cast(e.x.dtype, e.dtype, x);
        return;
      case "bitcast":
        this.#bitcast(e.x.dtype, e.dtype, x);
        return;
    }
  }

  #unary(op: UnaryOp, d: DType, x: Operand): void {
    const code = this.#code;
    const type = valType(d);
    const float = (f32: number, f64: number): void => {
      x();
      code.op(type === "f64" ? f64 : f32);
      this.#wrap(d);
    };
    switch (op) {
      case "neg":
        if (type === "i32") {
          code.i32(0);
          x();
          code.op(0x6b);
          this.#wrap(d);
        } else float(0x8c, 0x9a);
        return;
      case "abs":
        if (type !== "i32") float(0x8b, 0x99);
        else if (unsigned(d)) x();
        else {
          // (x ^ s) − s with s = x >> 31
          const local = this.#frame.temporary("i32");
          x();
          code.tee(local).get(local).i32(31).op(0x75, 0x73).get(local).i32(31).op(0x75, 0x6b);
          this.#frame.release(local);
          this.#wrap(d);
        }
        return;
      case "sign":
        x();
        this.#frame.call(type === "i32" ? (unsigned(d) ? "sign_u32" : "sign_i32") : `sign_${type}`);
        return;
      case "not":
        x();
        if (d === "bool") code.op(0x45);
        else {
          code.i32(-1).op(0x73);
          this.#wrap(d);
        }
        return;
      case "floor":
        float(0x8e, 0x9c);
        return;
      case "ceil":
        float(0x8d, 0x9b);
        return;
      case "trunc":
        float(0x8f, 0x9d);
        return;
      case "round":
        float(0x90, 0x9e);
        return;
      case "sqrt":
        float(0x91, 0x9f);
        return;
      case "popcount":
        x();
        if (d === "int8") code.i32(255).op(0x71);
        code.op(0x69);
        return;
      case "clz":
        x();
        if (dtypes[d].bytes === 1) code.i32(255).op(0x71);
        code.op(0x67);
        if (dtypes[d].bytes === 1) code.i32(24).op(0x6b);
        return;
      case "isFinite":
        x();
        this.#frame.call(`finite_${type}`);
        return;
      case "highWord":
        x();
        code.op(0xbd, 0x42, 32, 0x88, 0xa7);
        return;
      case "lowWord":
        x();
        code.op(0xbd, 0xa7);
        return;
      default:
        // of float64
        x();
        code.call(this.#frame.library.math(op));
    }
  }

  #binary(op: BinaryOp, d: DType, x: Operand, y: Operand): void {
    const code = this.#code;
    const type = valType(d);
    const arithmetic = (i32: number, f32: number, f64: number): void => {
      x();
      y();
      code.op(type === "i32" ? i32 : type === "f32" ? f32 : f64);
      this.#wrap(d);
    };
    const bits = (opcode: number): void => {
      x();
      y();
      code.op(opcode);
    };
    const helper = (name: string): void => {
      x();
      y();
      this.#frame.call(name);
    };
    const narrow = dtypes[d].bytes === 1;
    const sign = unsigned(d) ? "u" : "s";
    switch (op) {
      case "add":
        arithmetic(0x6a, 0x92, 0xa0);
        return;
      case "sub":
        arithmetic(0x6b, 0x93, 0xa1);
        return;
      case "mul":
        arithmetic(0x6c, 0x94, 0xa2);
        return;
      case "div":
        if (type === "i32") {
          helper(`div_${sign}`);
          this.#wrap(d);
        } else arithmetic(0, 0x95, 0xa3);
        return;
      case "rem":
        helper(type === "i32" ? `rem_${sign}` : `fmod_${type}`);
        this.#wrap(d);
        return;
      case "min":
      case "max":
        if (type === "i32") helper(`${op}_${sign}`);
        else arithmetic(0, op === "min" ? 0x96 : 0x97, op === "min" ? 0xa4 : 0xa5);
        return;
      case "and":
        bits(0x71);
        return;
      case "or":
        bits(0x72);
        return;
      case "xor":
        bits(0x73);
        return;
      case "shl":
      case "shr":
      case "shrl":
        x();
        if (op === "shrl" && narrow) code.i32(255).op(0x71);
        y();
        this.#frame.call(op === "shl" ? "shl" : op === "shr" ? `shr_${sign}` : "shr_u");
        // a shift by the narrow width or more moves everything out of an 8-bit value by itself
        this.#wrap(d);
        return;
      case "mulhi":
        if (!narrow) helper(`mulhi_${sign}`);
        else {
          x();
          y();
          code
            .op(0x6c)
            .i32(8)
            .op(unsigned(d) ? 0x76 : 0x75);
          this.#wrap(d);
        }
        return;
      case "nextafter":
        helper(
          half(d) ? (d === "float16" ? "nextafter_f16" : "nextafter_bf16") : `nextafter_${type}`,
        );
        return;
      case "joinWords":
        x();
        code.op(0xad, 0x42, 32, 0x86);
        y();
        code.op(0xad, 0x84, 0xbf);
        return;
      case "pow":
        helper(`pow_${sign}`);
        this.#wrap(d);
        return;
      case "hostPow":
        x();
        y();
        code.call(this.#frame.library.math(op));
        return;
      default:
        throw new Error(`wasm: no instructions for ${op}`);
    }
  }

  #cast(from: DType, to: DType, x: Operand): void {
    const code = this.#code;
    const [a, b] = [valType(from), valType(to)];
    x();
    if (to === "bool") {
      if (a === "i32") code.i32(0).op(0x47);
      else if (a === "f32") code.f32(0).op(0x5c);
      else code.f64(0).op(0x62);
      return;
    }
    if (a === "i32" && b === "i32") {
      this.#wrap(to);
      return;
    }
    if (a === "i32") {
      if (to === "float32") code.op(unsigned(from) ? 0xb3 : 0xb2);
      else {
        // 16-bit floats through float64, which holds every 32-bit integer, so that it is rounded once
        code.op(unsigned(from) ? 0xb8 : 0xb7);
        this.#narrow(to);
      }
      return;
    }
    if (b === "i32") {
      if (dtypes[to].bytes === 1) {
        code.op(0xfc, a === "f32" ? 0x00 : 0x02); // i32.trunc_sat_…_s
        const { min, max } = dtypes[to];
        code.i32(min);
        this.#frame.call("max_s");
        code.i32(max);
        this.#frame.call("min_s");
      } else code.op(0xfc, (a === "f32" ? 0x00 : 0x02) + (to === "uint32" ? 1 : 0));
      return;
    }
    if (a === "f64") this.#narrow(to);
    else if (b === "f64") code.op(0xbb);
    else this.#wrap(to);
  }

  #bitcast(from: DType, to: DType, x: Operand): void {
    const code = this.#code;
    x();
    // to bits
    if (from === "float16") this.#frame.call("f32_to_f16");
    else if (from === "bfloat16") code.op(0xbc).i32(16).op(0x76);
    else if (from === "float32" && to !== "float32") code.op(0xbc);
    // from bits
    if (to === "float16") this.#frame.call("f16_to_f32");
    else if (to === "bfloat16") code.i32(16).op(0x74, 0xbe);
    else if (to === "float32" && from !== "float32") code.op(0xbe);
    else this.#wrap(to);
  }
}

/** True for an integer quotient or remainder by a constant that is no special case; V8 then multiplies. */
const divides = (e: Expr & { kind: "binary" }): boolean =>
  (e.op === "div" || e.op === "rem") &&
  valType(e.dtype) === "i32" &&
  e.y.kind === "lit" &&
  e.y.value > 0 &&
  e.y.value < 2 ** 31;

function comparison(op: CompareOp, d: DType): number {
  const type = valType(d);
  const at = ["eq", "ne", "lt", "gt", "le", "ge"].indexOf(op);
  if (type === "f32") return 0x5b + at;
  if (type === "f64") return 0x61 + at;
  // i32: eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
  return at < 2 ? 0x46 + at : 0x48 + (at - 2) * 2 + (unsigned(d) ? 1 : 0);
}
