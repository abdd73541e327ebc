/** Loads and stores of four neighbouring iterations: one access where they touch neighbouring elements, else one for each. */
import { type DType, dtypes } from "../../../dtype.ts";
import type { Expr } from "../../../kernel/expr.ts";
import type { Frame } from "./frame.ts";
import { type Lanes, lanesPerBlock, partsOf } from "./lanes.ts";
import type { ScalarExpressions } from "./scalar.ts";
import { positions } from "./simd.ts";
import * as i8x16 from "../simd/i8x16.ts";
import * as i16x8 from "../simd/i16x8.ts";
import * as i32x4 from "../simd/i32x4.ts";
import * as v128 from "../simd/v128.ts";
import { half } from "./types.ts";
import type { VectorOps } from "./vector-ops.ts";

type Load = Expr & { kind: "load" };

export class VectorAccess {
  readonly #frame: Frame;
  readonly #scalar: ScalarExpressions;
  readonly #lanes: Lanes;
  readonly #ops: VectorOps;
  constructor(frame: Frame, scalar: ScalarExpressions, lanes: Lanes, ops: VectorOps) {
    this.#frame = frame;
    this.#scalar = scalar;
    this.#lanes = lanes;
    this.#ops = ops;
  }

  /** Leaves an address `bytes` from that of the first lane's element on the stack; gives a constant to be added. */
  #address(buffer: number, index: Expr, bytes: number): number {
    const offset = this.#scalar.address(buffer, index) + bytes;
    if (offset >= 0) return offset;
    this.#frame.code.i32(offset).op(0x6a);
    return 0;
  }
  /** Gives `f` a function that leaves the address of a lane's element on the stack and returns a constant. */
  #each(
    buffer: number,
    index: Expr,
    block: number,
    gathered: () => void,
    f: (at: (lane: number) => number) => void,
  ): void {
    const { code } = this.#frame;
    const stride = this.#lanes.stride(buffer, index);
    if (stride === null) {
      const local = this.#frame.temporary();
      gathered();
      code.set(local);
      f((lane) => {
        const shift = Math.log2(this.#frame.width(buffer));
        code.get(buffer).get(local).simd(i32x4.extract).arg(lane);
        if (shift > 0) code.i32(shift).op(0x74);
        code.op(0x6a);
        return 0;
      });
      this.#frame.release(local);
      return;
    }
    const base = this.#frame.temporary("i32");
    const offset = this.#address(
      buffer,
      index,
      Math.min(lanesPerBlock * block * stride, (lanesPerBlock * block + 3) * stride),
    );
    code.set(base);
    f((lane) => {
      code.get(base);
      return offset + (stride < 0 ? (lane - 3) * stride : lane * stride);
    });
    this.#frame.release(base);
  }

  load(e: Load, block: number, part: number, gathered: () => void): void {
    const { code } = this.#frame;
    const { buffer, index, dtype: d } = e;
    const width = this.#frame.width(buffer);
    const stride = this.#lanes.stride(buffer, index);
    if (stride === width || stride === -width) {
      const first = lanesPerBlock * block + (width === 8 ? 2 * part : 0);
      const last = first + lanesPerBlock / partsOf(d) - 1;
      this.#whole(d, this.#address(buffer, index, stride > 0 ? first * width : -last * width));
      if (stride < 0)
        code
          .simd(v128.constant)
          .append(new Uint8Array(16))
          .shuffle(width === 8 ? positions.reverse64 : positions.reverse32);
      return;
    }
    if (width === 4 && stride === 2 * width) {
      // elements 0 to 3 and 3 to 6: nothing behind the last lane's is touched
      for (const first of [0, 3])
        this.#whole(
          d,
          this.#address(buffer, index, lanesPerBlock * block * stride + first * width),
        );
      code.shuffle(positions.everySecond);
      return;
    }
    this.#each(buffer, index, block, gathered, (at) => {
      const lanes = width === 8 ? [2 * part, 2 * part + 1] : [0, 1, 2, 3];
      if (width >= 4) {
        // addresses below, the register above
        const later = lanes.slice(1).reverse();
        const offsets = later.map(at);
        const offset = at(lanes[0] as number);
        const align = Math.log2(width);
        code.simdMemory(width === 8 ? v128.load64Zero : v128.load32Zero, align, offset);
        for (let i = 1; i < lanes.length; i++)
          code
            .simdMemory(
              width === 8 ? v128.load64Lane : v128.load32Lane,
              align,
              offsets[lanes.length - 1 - i] as number,
            )
            .arg(i);
        return;
      }
      for (const lane of lanes) {
        this.#scalar.ops.load(d, at(lane));
        if (lane === 0) this.#ops.splat(d);
        else this.#ops.replace(d, lane);
      }
    });
  }
  /** Four neighbouring elements, of float64 two, from the address on the stack. */
  #whole(d: DType, offset: number): void {
    const { code } = this.#frame;
    switch (dtypes[d].bytes) {
      case 1:
        code
          .simdMemory(v128.load32Zero, 0, offset)
          .simd(d === "int8" ? i16x8.extendLowS : i16x8.extendLowU)
          .simd(d === "int8" ? i32x4.extendLowS : i32x4.extendLowU);
        if (d === "bool") code.simd(i32x4.neg);
        return;
      case 2:
        code.simdMemory(v128.load64Zero, 1, offset).simd(i32x4.extendLowU);
        if (d === "float16") this.#ops.fromFloat16();
        else code.i32(16).simd(i32x4.shl);
        return;
      default:
        code.simdMemory(v128.load, dtypes[d].bytes === 8 ? 3 : 2, offset);
    }
  }
  /** Two neighbouring elements of 32 bits, those of one part of a float64 value, into the lower half of a register; false where they
   *  are not neighbours. */
  loadHalf({ buffer, index, dtype }: Load, block: number, part: number): boolean {
    if (dtypes[dtype].bytes !== 4 || this.#lanes.stride(buffer, index) !== 4) return false;
    const offset = this.#address(buffer, index, 16 * block + 8 * part);
    this.#frame.code.simdMemory(v128.load64Zero, 2, offset);
    return true;
  }

  store(
    buffer: number,
    index: Expr,
    d: DType,
    block: number,
    value: (part: number) => void,
    gathered: () => void,
  ): void {
    const { code } = this.#frame;
    const width = this.#frame.width(buffer);
    const parts = partsOf(d) === 2 ? [0, 1] : [0];
    if (this.#lanes.stride(buffer, index) === width) {
      for (const part of parts) {
        const offset = this.#address(buffer, index, lanesPerBlock * block * width + 16 * part);
        value(part);
        this.#storeWhole(d, offset);
      }
      return;
    }
    const locals = parts.map((part) => {
      value(part);
      const local = this.#frame.temporary();
      code.set(local);
      return local;
    });
    const perRegister = lanesPerBlock / parts.length;
    this.#each(buffer, index, block, gathered, (at) => {
      for (let lane = 0; lane < lanesPerBlock; lane++) {
        const offset = at(lane);
        code.get(locals[Math.floor(lane / perRegister)] as number);
        this.#ops.extract(d, lane % perRegister);
        this.#scalar.ops.store(d, offset);
      }
    });
    this.#frame.release(...locals);
  }
  #storeWhole(d: DType, offset: number): void {
    const { code } = this.#frame;
    switch (dtypes[d].bytes) {
      case 1:
        if (d === "bool") code.simd(i32x4.neg);
        this.#ops.narrow(d === "int8" ? i16x8.narrowS : i16x8.narrowU);
        this.#ops.narrow(d === "int8" ? i8x16.narrowS : i8x16.narrowU);
        this.#lane(v128.store32Lane, 0, offset);
        return;
      case 2:
        if (half(d) && d === "float16") this.#ops.toFloat16();
        else code.i32(16).simd(i32x4.shrU);
        this.#ops.narrow(i16x8.narrowU);
        this.#lane(v128.store64Lane, 1, offset);
        return;
      default:
        code.simdMemory(v128.store, dtypes[d].bytes === 8 ? 3 : 2, offset);
    }
  }
  #lane(opcode: number, align: number, offset: number): void {
    this.#frame.code.simdMemory(opcode, align, offset).arg(0);
  }
}
