/** Instructions of the operations on vectors. A register holds four lanes of 32 bits, or two of float64: integers
 *  (narrow ones kept wrapped), float32 (16-bit floats rounded after every operation), bool as masks of zeros or ones. Every
 *  lane is what scalar-ops.ts computes, bit for bit. */
import { castNumber, type DType, dtypes } from "../../../dtype.ts";
import type { BinaryOp, CompareOp, UnaryOp } from "../../../kernel/expr.ts";
import type { Code } from "../encoder.ts";
import type { Constants } from "./constants.ts";
import type { Frame } from "./frame.ts";
import type { Operand } from "./scalar-ops.ts";
import { comparison, positions } from "./simd.ts";
import * as f32x4 from "../simd/f32x4.ts";
import * as f64x2 from "../simd/f64x2.ts";
import * as i8x16 from "../simd/i8x16.ts";
import * as i16x8 from "../simd/i16x8.ts";
import * as i32x4 from "../simd/i32x4.ts";
import * as i64x2 from "../simd/i64x2.ts";
import * as v128 from "../simd/v128.ts";
import { unsigned, valType } from "./types.ts";

/** ±2ⁿ whose inverse is exact in every float dtype */
const isPowerOfTwo = (x: number): boolean =>
  Math.abs(x) >= 2 ** -14 && Math.abs(x) <= 2 ** 14 && Number.isInteger(Math.log2(Math.abs(x)));

export class VectorOps {
  readonly #frame: Frame;
  readonly #code: Code;
  readonly #constants: Constants;
  constructor(frame: Frame, constants: Constants) {
    this.#frame = frame;
    this.#code = frame.code;
    this.#constants = constants;
  }

  literal(value: number, d: DType): void {
    const type = valType(d);
    if (d === "bool") this.#constants.i32(value === 0 ? 0 : -1);
    else if (type === "f64") this.#constants.f64(value);
    else if (type === "f32") this.#constants.f32(castNumber(value, d));
    else this.#constants.i32(value);
  }
  /** A scalar on the stack, in all lanes. */
  splat(d: DType): void {
    const type = valType(d);
    if (d === "bool") this.#code.i32(-1).op(0x6c);
    this.#code.simd(type === "f64" ? f64x2.splat : type === "f32" ? f32x4.splat : i32x4.splat);
  }
  /** Scalar of one lane of the register on the stack. */
  extract(d: DType, lane: number): void {
    const type = valType(d);
    if (type === "f64") this.#code.simd(f64x2.extract).arg(lane);
    else if (type === "f32") this.#code.simd(f32x4.extract).arg(lane);
    else this.#code.simd(i32x4.extract).arg(lane);
    if (d === "bool") this.#code.i32(1).op(0x71);
  }
  /** A register and a scalar, which becomes a lane of it, are on the stack. */
  replace(d: DType, lane: number): void {
    const type = valType(d);
    if (d === "bool") this.#code.i32(-1).op(0x6c);
    if (type === "f64") this.#code.simd(f64x2.replace).arg(lane);
    else if (type === "f32") this.#code.simd(f32x4.replace).arg(lane);
    else this.#code.simd(i32x4.replace).arg(lane);
  }

  /** The register on the stack to lanes half as wide, in its lower half. */
  narrow(opcode: number): void {
    this.#held((x) => this.#code.get(x).get(x).simd(opcode));
  }
  /** Runs `f` with the register on the stack in a local. */
  #held(f: (local: number) => void): void {
    const local = this.#frame.temporary();
    this.#code.set(local);
    f(local);
    this.#frame.release(local);
  }

  // ---- rounding ----

  /** Brings the register on the stack back into the range of its dtype. */
  wrap(d: DType): void {
    const code = this.#code;
    if (d === "int8") code.i32(24).simd(i32x4.shl).i32(24).simd(i32x4.shrS);
    else if (d === "uint8") {
      this.#constants.i32(255);
      code.simd(v128.and);
    } else if (d === "bfloat16") this.#held((x) => this.#roundBfloat16(x));
    else if (d === "float16") this.#held((x) => this.#roundFloat16(x));
  }
  /** The bits of |x| or x to a multiple of 2^`drop`, ties to even: (x + 2^(drop−1) − 1 + bit) with the low bits cleared. */
  #roundBits(x: number, drop: number): void {
    this.#code.get(x);
    this.#constants.i32(2 ** (drop - 1) - 1);
    this.#code.simd(i32x4.add).get(x).i32(drop).simd(i32x4.shrU);
    this.#constants.i32(1);
    this.#code.simd(v128.and).simd(i32x4.add);
    this.#constants.i32(-(2 ** drop));
    this.#code.simd(v128.and);
  }
  #roundBfloat16(x: number): void {
    this.#roundBits(x, 16);
    this.#constants.f32(Number.NaN);
    this.#code.get(x).get(x).simd(f32x4.eq).simd(v128.bitselect);
  }
  #roundFloat16(x: number): void {
    const code = this.#code;
    code.get(x).simd(f32x4.abs);
    this.#held((a) => {
      // below the normal numbers: to a multiple of 2⁻²⁴, the distance of floats near 1/2
      code.get(a);
      this.#constants.f32(0.5);
      code.simd(f32x4.add);
      this.#constants.f32(0.5);
      code.simd(f32x4.sub);
      this.#roundBits(a, 13);
      code.get(a);
      this.#constants.f32(2 ** -14);
      code.simd(f32x4.lt).simd(v128.bitselect);
      // too large, or NaN
      code.get(a);
      this.#constants.f32(Number.POSITIVE_INFINITY);
      code.simd(f32x4.mul).get(a);
      this.#constants.f32(65520);
      code.simd(f32x4.lt).simd(v128.bitselect);
    });
    code.get(x);
    this.#constants.i32(-(2 ** 31));
    code.simd(v128.and).simd(v128.or);
  }
  /** 16 bits in each lane: the value of a float16. 2¹¹² takes the exponent bias 15 to 127. */
  fromFloat16(): void {
    const code = this.#code;
    this.#held((h) => {
      code.get(h);
      this.#constants.i32(0x7fff);
      code.simd(v128.and).i32(13).simd(i32x4.shl);
      this.#constants.f32(2 ** 112);
      code.simd(f32x4.mul);
      this.#held((a) => {
        // from 65536: infinity or NaN
        code.get(a).get(a);
        this.#constants.i32(0x7f800000);
        code.simd(v128.or).get(a);
        this.#constants.f32(65536);
        code.simd(f32x4.lt).simd(v128.bitselect);
      });
      code.get(h);
      this.#constants.i32(0x8000);
      code.simd(v128.and).i32(16).simd(i32x4.shl).simd(v128.or);
    });
  }
  /** The 16 bits of values that are float16. */
  toFloat16(): void {
    const code = this.#code;
    this.#held((x) => {
      code.get(x);
      this.#constants.f32(2 ** -112);
      code.simd(f32x4.mul).i32(13).simd(i32x4.shrU);
      this.#constants.i32(0x7fff);
      code.simd(v128.and).get(x).i32(16).simd(i32x4.shrU);
      this.#constants.i32(0x8000);
      code.simd(v128.and).simd(v128.or);
    });
  }

  // ---- operations, but for those of isPerLane ----

  unary(op: UnaryOp, d: DType, x: Operand): void {
    const code = this.#code;
    const type = valType(d);
    const float = (f32: number, f64: number): void => {
      x();
      code.simd(type === "f64" ? f64 : f32);
    };
    switch (op) {
      case "neg":
        if (type === "i32") {
          x();
          code.simd(i32x4.neg);
          this.wrap(d);
        } else float(f32x4.neg, f64x2.neg);
        return;
      case "abs":
        if (type !== "i32") float(f32x4.abs, f64x2.abs);
        else {
          x();
          if (unsigned(d)) return;
          code.simd(i32x4.abs);
          this.wrap(d);
        }
        return;
      case "sign":
        this.#sign(d, x);
        return;
      case "not":
        x();
        code.simd(v128.not);
        if (d === "uint8") this.wrap(d);
        return;
      case "floor":
        float(f32x4.floor, f64x2.floor);
        return;
      case "ceil":
        float(f32x4.ceil, f64x2.ceil);
        return;
      case "trunc":
        float(f32x4.trunc, f64x2.trunc);
        return;
      case "round":
        float(f32x4.nearest, f64x2.nearest);
        return;
      case "sqrt":
        float(f32x4.sqrt, f64x2.sqrt);
        this.wrap(d);
        return;
      case "popcount":
        x();
        if (d === "int8") this.wrap("uint8");
        code.simd(i8x16.popcnt).simd(i16x8.pairwiseU).simd(i32x4.pairwiseU);
        return;
      case "isFinite":
        float(f32x4.abs, f64x2.abs);
        this.literal(Number.POSITIVE_INFINITY, d);
        code.simd(type === "f64" ? f64x2.lt : f32x4.lt);
        return;
      default:
        throw new Error(`wasm: no vector form of ${op}`);
    }
  }
  #sign(d: DType, x: Operand): void {
    const code = this.#code;
    const type = valType(d);
    x();
    this.#held((local) => {
      if (type === "i32") {
        // (x < 0) − (x > 0), of masks; of an unsigned x, −(x ≠ 0)
        if (unsigned(d)) {
          code.get(local);
          this.#constants.i32(0);
          code.simd(i32x4.ne).simd(i32x4.neg);
          return;
        }
        code.get(local);
        this.#constants.i32(0);
        code.simd(i32x4.ltS).get(local);
        this.#constants.i32(0);
        code.simd(i32x4.gtS).simd(i32x4.sub);
        return;
      }
      // 1 with the sign of x where |x| > 0; NaN and zeros are their own sign
      const signBit = (): void =>
        type === "f64" ? this.#constants.f64(-0) : this.#constants.i32(-(2 ** 31));
      code.get(local);
      signBit();
      code.simd(v128.and);
      this.literal(1, d);
      code
        .simd(v128.or)
        .get(local)
        .get(local)
        .simd(type === "f64" ? f64x2.abs : f32x4.abs);
      this.literal(0, d);
      code.simd(type === "f64" ? f64x2.gt : f32x4.gt).simd(v128.bitselect);
    });
  }

  /** `literal`: the value of y, where it is known. */
  binary(op: BinaryOp, d: DType, x: Operand, y: Operand, literal: number | null): void {
    const code = this.#code;
    const type = valType(d);
    const both = (opcode: number): void => {
      x();
      y();
      code.simd(opcode);
    };
    // the place where x·y + z could become one instruction: an operand of add or sub that is a mul
    const arithmetic = (i32: number, f32: number, f64: number): void => {
      both(type === "i32" ? i32 : type === "f32" ? f32 : f64);
      this.wrap(d);
    };
    const narrow = dtypes[d].bytes === 1;
    const signed = !unsigned(d);
    switch (op) {
      case "add":
        arithmetic(i32x4.add, f32x4.add, f64x2.add);
        return;
      case "sub":
        arithmetic(i32x4.sub, f32x4.sub, f64x2.sub);
        return;
      case "mul":
        arithmetic(i32x4.mul, f32x4.mul, f64x2.mul);
        return;
      case "div":
        if (type === "i32") this.#divide(d, x, y, literal, false);
        else if (literal !== null && isPowerOfTwo(literal)) {
          x();
          this.literal(1 / literal, d);
          code.simd(type === "f32" ? f32x4.mul : f64x2.mul);
          this.wrap(d);
        } else arithmetic(0, f32x4.div, f64x2.div);
        return;
      case "rem":
        this.#divide(d, x, y, literal, true);
        return;
      case "min":
      case "max": {
        const min = op === "min";
        if (literal !== null && this.#bound(min, d, x, castNumber(literal, d))) return;
        if (d === "bool") both(min ? v128.and : v128.or);
        else if (type === "f64") both(min ? f64x2.min : f64x2.max);
        else if (type === "f32") both(min ? f32x4.min : f32x4.max);
        else if (signed) both(min ? i32x4.minS : i32x4.maxS);
        else both(min ? i32x4.minU : i32x4.maxU);
        return;
      }
      case "and":
        both(v128.and);
        return;
      case "or":
        both(v128.or);
        return;
      case "xor":
        both(v128.xor);
        return;
      case "shl":
      case "shr":
      case "shrl": {
        const count = (literal as number) >>> 0;
        const arithmeticShift = op === "shr" && signed;
        if (count >= 32 && !arithmeticShift) {
          this.#constants.i32(0);
          return;
        }
        x();
        if (op === "shrl" && d === "int8") this.wrap("uint8");
        code
          .i32(Math.min(count, 31))
          .simd(op === "shl" ? i32x4.shl : arithmeticShift ? i32x4.shrS : i32x4.shrU);
        if (op !== "shr") this.wrap(d);
        return;
      }
      case "mulhi":
        if (narrow) {
          both(i32x4.mul);
          code.i32(8).simd(signed ? i32x4.shrS : i32x4.shrU);
        } else this.#upperProduct(signed, x, y);
        return;
      default:
        throw new Error(`wasm: no vector form of ${op}`);
    }
  }
  /** min or max of floats and a number, in place of the long sequence that tells zeros and NaN apart: x < c ? c : x keeps
   *  NaN, and zeros where c is none. False where this does not serve. */
  #bound(min: boolean, d: DType, x: Operand, c: number): boolean {
    const type = valType(d);
    if (type === "i32" || Number.isNaN(c) || (min && Object.is(c, -0))) return false;
    x();
    this.literal(c, d);
    const double = type === "f64";
    const [pmin, pmax] = double ? [f64x2.pmin, f64x2.pmax] : [f32x4.pmin, f32x4.pmax];
    this.#code.simd(min ? pmin : pmax);
    if (!min && Object.is(c, 0)) {
      // −0 + 0 = 0
      this.literal(0, d);
      this.#code.simd(double ? f64x2.add : f32x4.add);
    }
    return true;
  }
  #upperProduct(signed: boolean, x: Operand, y: Operand): void {
    const code = this.#code;
    y();
    this.#held((b) => {
      x();
      this.#held((a) => {
        code
          .get(a)
          .get(b)
          .simd(signed ? i64x2.productLowS : i64x2.productLowU)
          .get(a)
          .get(b)
          .simd(signed ? i64x2.productHighS : i64x2.productHighU)
          .shuffle(positions.odd);
      });
    });
  }
  /** Integer quotient or remainder. The quotient of two 32-bit integers is at least 2⁻³² of itself away from the next integer
   *  unless it is one, so that the rounded float64 quotient truncates to it. Then x/0 = −1 and min/−1 = min. */
  #divide(d: DType, x: Operand, y: Operand, literal: number | null, remainder: boolean): void {
    const code = this.#code;
    const signed = !unsigned(d);
    const by = literal === null ? null : signed ? literal | 0 : literal >>> 0;
    const convert = (local: number, upper: boolean): void => {
      code.get(local);
      if (upper) code.get(local).shuffle(positions.upper);
      code.simd(signed ? f64x2.convertLowS : f64x2.convertLowU);
    };
    x();
    this.#held((a) => {
      y();
      this.#held((b) => {
        for (const upper of [false, true]) {
          convert(a, upper);
          if (by !== null) this.#constants.f64(by);
          else convert(b, upper);
          code.simd(f64x2.div).simd(signed ? i32x4.truncF64S : i32x4.truncF64U);
        }
        code.shuffle(positions.lowerHalves);
        if (by === null || by === 0 || by === -1)
          this.#held((q) => {
            this.#constants.i32(-1);
            if (signed) {
              code.get(a).simd(i32x4.neg).get(q).get(b);
              this.#constants.i32(-1);
              code.simd(i32x4.eq).simd(v128.bitselect);
            } else code.get(q);
            code.get(b);
            this.#constants.i32(0);
            code.simd(i32x4.eq).simd(v128.bitselect);
          });
        if (remainder) this.#held((q) => code.get(a).get(q).get(b).simd(i32x4.mul).simd(i32x4.sub));
      });
    });
    this.wrap(d);
  }

  compare(op: CompareOp, d: DType, x: Operand, y: Operand): void {
    x();
    y();
    const type = valType(d);
    const lanes = type !== "i32" ? type : d === "uint32" || d === "bool" ? "u32" : "i32";
    this.#code.simd(comparison(op, lanes as "i32" | "u32" | "f32" | "f64"));
  }

  /** Between values of one width in registers: not from or to float64, but for bool. */
  cast(from: DType, to: DType, x: Operand): void {
    const code = this.#code;
    const [a, b] = [valType(from), valType(to)];
    x();
    if (from === "bool") {
      if (b === "i32") code.simd(i32x4.neg);
      else {
        this.literal(1, to);
        code.simd(v128.and);
      }
    } else if (to === "bool") {
      this.literal(0, from);
      code.simd(a === "f32" ? f32x4.ne : a === "f64" ? f64x2.ne : i32x4.ne);
    } else if (a === "f32" && b === "i32") {
      code.simd(to === "uint32" ? i32x4.truncF32U : i32x4.truncF32S);
      if (dtypes[to].bytes === 1) this.clamp(to);
    } else {
      if (a === "i32" && b === "f32")
        code.simd(from === "uint32" ? f32x4.convertU : f32x4.convertS);
      this.wrap(to);
    }
  }
  /** int32 lanes to the range of an 8-bit dtype */
  clamp(d: DType): void {
    this.#constants.i32(dtypes[d].min);
    this.#code.simd(i32x4.maxS);
    this.#constants.i32(dtypes[d].max);
    this.#code.simd(i32x4.minS);
  }
}
