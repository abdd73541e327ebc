/** Instructions of the operations on vectors. A register holds four lanes of 32 bits, or two of float64: integers
 *  (narrow ones kept wrapped), float32 (16-bit floats rounded after every operation), bool as masks of zeros or ones. Every
 *  lane is what scalar-ops.ts computes, bit for bit. */
import { castNumber, type DType, dtypes } from "../../../dtype.ts";
import type { BinaryOp, CompareOp, UnaryOp } from "../../../kernel/expr.ts";
import type { Code } from "../encoder.ts";
import type { Constants } from "./constants.ts";
import type { Frame } from "./frame.ts";
import type { Operand } from "./scalar-ops.ts";
import { positions } from "./simd.ts";
import * as i32 from "../i32.ts";
import * as f32x4 from "../simd/f32x4.ts";
import * as f64x2 from "../simd/f64x2.ts";
import * as i8x16 from "../simd/i8x16.ts";
import * as i16x8 from "../simd/i16x8.ts";
import * as i32x4 from "../simd/i32x4.ts";
import * as i64x2 from "../simd/i64x2.ts";
import * as v128 from "../simd/v128.ts";
import { type ByType, byType, comparison, unsigned, valType } from "./types.ts";

/** Operations that are one instruction, of 4 integers, 4 float32 and 2 float64. */
const instructions: { readonly [op: string]: ByType } = {
  neg: [i32x4.neg, f32x4.neg, f64x2.neg],
  abs: [i32x4.abs, f32x4.abs, f64x2.abs],
  ceil: [0, f32x4.ceil, f64x2.ceil],
  floor: [0, f32x4.floor, f64x2.floor],
  trunc: [0, f32x4.trunc, f64x2.trunc],
  round: [0, f32x4.nearest, f64x2.nearest],
  sqrt: [0, f32x4.sqrt, f64x2.sqrt],
  add: [i32x4.add, f32x4.add, f64x2.add],
  sub: [i32x4.sub, f32x4.sub, f64x2.sub],
  mul: [i32x4.mul, f32x4.mul, f64x2.mul],
  div: [0, f32x4.div, f64x2.div],
  min: [i32x4.minS, f32x4.min, f64x2.min],
  max: [i32x4.maxS, f32x4.max, f64x2.max],
  and: [v128.and, 0, 0],
  or: [v128.or, 0, 0],
  xor: [v128.xor, 0, 0],
};
/** == in each lane */
const equality: ByType = [i32x4.eq, f32x4.eq, f64x2.ne - 1];
/** y < x ? y : x and x < y ? y : x, unlike the extrema that keep NaN */
export const pseudo: { readonly [O in "min" | "max"]: ByType } = {
  min: [0, f32x4.pmin, f64x2.pmin],
  max: [0, f32x4.pmax, f64x2.pmax],
};

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

  literal(value: number, d: DType): Code {
    const type = valType(d);
    if (d === "bool") return this.#constants.i32(value === 0 ? 0 : -1);
    if (type === "f64") return this.#constants.f64(value);
    if (type === "f32") return this.#constants.f32(castNumber(value, d));
    return this.#constants.i32(value);
  }
  /** A scalar on the stack, in all lanes. */
  splat(d: DType): void {
    if (d === "bool") this.#code.i32(-1).op(i32.mul);
    this.#code.simd(byType(d, [i32x4.splat, f32x4.splat, f64x2.splat]));
  }
  /** Scalar of one lane of the register on the stack. */
  extract(d: DType, lane: number): void {
    this.#code.simd(byType(d, [i32x4.extract, f32x4.extract, f64x2.extract])).arg(lane);
    if (d === "bool") this.#code.i32(1).op(i32.and);
  }
  /** A register and a scalar, which becomes a lane of it, are on the stack. */
  replace(d: DType, lane: number): void {
    if (d === "bool") this.#code.i32(-1).op(i32.mul);
    this.#code.simd(byType(d, [i32x4.replace, f32x4.replace, f64x2.replace])).arg(lane);
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
    if (d === "int8") this.#code.i32(24).simd(i32x4.shl).i32(24).simd(i32x4.shrS);
    else if (d === "uint8") this.#constants.i32(255).simd(v128.and);
    else if (d === "bfloat16") this.#held((x) => this.#roundBfloat16(x));
    else if (d === "float16") this.#held((x) => this.#roundFloat16(x));
  }
  /** The bits of |x| or x to a multiple of 2^`drop`, ties to even: (x + 2^(drop−1) − 1 + bit) with the low bits cleared. */
  #roundBits(x: number, drop: number): void {
    this.#code.get(x);
    this.#constants.i32(2 ** (drop - 1) - 1);
    this.#code.simd(i32x4.add).get(x).i32(drop).simd(i32x4.shrU);
    this.#constants.i32(1).simd(v128.and).simd(i32x4.add);
    this.#constants.i32(-(2 ** drop)).simd(v128.and);
  }
  #roundBfloat16(x: number): void {
    this.#roundBits(x, 16);
    this.#constants.f32(Number.NaN).get(x).get(x).simd(f32x4.eq).simd(v128.bitselect);
  }
  #roundFloat16(x: number): void {
    const code = this.#code;
    code.get(x).simd(f32x4.abs);
    this.#held((a) => {
      // below the normal numbers: to a multiple of 2⁻²⁴, the distance of floats near 1/2
      code.get(a);
      this.#constants.f32(0.5).simd(f32x4.add);
      this.#constants.f32(0.5).simd(f32x4.sub);
      this.#roundBits(a, 13);
      code.get(a);
      this.#constants
        .f32(2 ** -14)
        .simd(f32x4.lt)
        .simd(v128.bitselect);
      // too large, or NaN
      code.get(a);
      this.#constants.f32(Number.POSITIVE_INFINITY).simd(f32x4.mul).get(a);
      this.#constants.f32(65520).simd(f32x4.lt).simd(v128.bitselect);
    });
    code.get(x);
    this.#constants
      .i32(-(2 ** 31))
      .simd(v128.and)
      .simd(v128.or);
  }
  /** 16 bits in each lane: the value of a float16. 2¹¹² takes the exponent bias 15 to 127. */
  fromFloat16(): void {
    const code = this.#code;
    this.#held((h) => {
      code.get(h);
      this.#constants.i32(0x7fff).simd(v128.and).i32(13).simd(i32x4.shl);
      this.#constants.f32(2 ** 112).simd(f32x4.mul);
      this.#held((a) => {
        // from 65536: infinity or NaN
        code.get(a).get(a);
        this.#constants.i32(0x7f800000).simd(v128.or).get(a);
        this.#constants.f32(65536).simd(f32x4.lt).simd(v128.bitselect);
      });
      code.get(h);
      this.#constants.i32(0x8000).simd(v128.and).i32(16).simd(i32x4.shl).simd(v128.or);
    });
  }
  /** The 16 bits of values that are float16. */
  toFloat16(): void {
    this.#held((x) => {
      this.#code.get(x);
      this.#constants
        .f32(2 ** -112)
        .simd(f32x4.mul)
        .i32(13)
        .simd(i32x4.shrU);
      this.#constants.i32(0x7fff).simd(v128.and).get(x).i32(16).simd(i32x4.shrU);
      this.#constants.i32(0x8000).simd(v128.and).simd(v128.or);
    });
  }

  // ---- operations, but for those of isPerLane ----

  #one(op: BinaryOp | UnaryOp, d: DType): void {
    this.#code.simd(byType(d, instructions[op] as ByType));
  }
  unary(op: UnaryOp, d: DType, x: Operand): void {
    const code = this.#code;
    x();
    switch (op) {
      case "not":
        code.simd(v128.not);
        if (d === "uint8") this.wrap(d);
        return;
      case "popcount":
        if (d === "int8") this.wrap("uint8");
        code.simd(i8x16.popcnt).simd(i16x8.pairwiseU).simd(i32x4.pairwiseU);
        return;
      default:
        if (op === "abs" && unsigned(d)) return;
        this.#one(op, d);
        // other operations of floats are exact
        if (op === "sqrt" || valType(d) === "i32") this.wrap(d);
    }
  }
  /** `literal`: the value of y, where it is known. */
  binary(op: BinaryOp, d: DType, x: Operand, y: Operand, literal: number | null): void {
    const code = this.#code;
    const integer = valType(d) === "i32";
    const both = (opcode: number): void => {
      x();
      y();
      code.simd(opcode);
    };
    const signed = !unsigned(d);
    switch (op) {
      case "div":
      case "rem":
        if (integer) this.#divide(d, x, y, literal, op === "rem");
        else if (literal !== null && isPowerOfTwo(literal))
          this.binary("mul", d, x, () => this.literal(1 / literal, d), null);
        else {
          both(byType(d, instructions.div as ByType));
          this.wrap(d);
        }
        return;
      case "min":
      case "max":
        if (literal !== null && this.#bound(op, d, x, castNumber(literal, d))) return;
        if (d === "bool") both(op === "min" ? v128.and : v128.or);
        else both(byType(d, instructions[op] as ByType) + (signed ? 0 : 1));
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
        if (dtypes[d].bytes === 1) {
          both(i32x4.mul);
          code.i32(8).simd(signed ? i32x4.shrS : i32x4.shrU);
        } else this.#upperProduct(signed, x, y);
        return;
      default:
        // the place where x·y + z could become one instruction: an operand of add or sub that is a mul
        both(byType(d, instructions[op] as ByType));
        if (op === "add" || op === "sub" || op === "mul") this.wrap(d);
    }
  }
  /** min or max of floats and a number, in place of the long sequence that tells zeros and NaN apart: x < c ? c : x keeps
   *  NaN, and zeros where c is none. False where this does not serve. */
  #bound(op: "min" | "max", d: DType, x: Operand, c: number): boolean {
    if (valType(d) === "i32" || Number.isNaN(c) || (op === "min" && Object.is(c, -0))) return false;
    x();
    this.literal(c, d).simd(byType(d, pseudo[op]));
    if (op === "max" && Object.is(c, 0)) {
      // −0 + 0 = 0
      this.literal(0, d);
      this.#one("add", d);
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
              this.#constants.i32(-1).simd(i32x4.eq).simd(v128.bitselect);
            } else code.get(q);
            code.get(b);
            this.#constants.i32(0).simd(i32x4.eq).simd(v128.bitselect);
          });
        if (remainder) this.#held((q) => code.get(a).get(q).get(b).simd(i32x4.mul).simd(i32x4.sub));
      });
    });
    this.wrap(d);
  }

  compare(op: CompareOp, d: DType, x: Operand, y: Operand): void {
    x();
    y();
    // 8-bit integers are small ones in wide lanes, which are quicker to compare with their signs
    const lanes = d === "uint8" ? "int8" : d;
    this.#code.simd(comparison(op, lanes, equality));
  }

  /** Between values of one width in registers: not from or to float64, but for bool. */
  cast(from: DType, to: DType, x: Operand): void {
    const code = this.#code;
    const [a, b] = [valType(from), valType(to)];
    x();
    if (from === "bool") {
      if (b === "i32") code.simd(i32x4.neg);
      else this.literal(1, to).simd(v128.and);
    } else if (to === "bool") this.literal(0, from).simd(comparison("ne", from, equality));
    else if (a === "f32" && b === "i32") {
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
    this.#constants.i32(dtypes[d].min).simd(i32x4.maxS);
    this.#constants.i32(dtypes[d].max).simd(i32x4.minS);
  }
}
