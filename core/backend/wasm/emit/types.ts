/** How values of each dtype are held in locals and in memory.
 *
 *  bool and integers live in i32 locals (narrow ones kept wrapped), 16-bit floats in f32 locals (rounded after
 *  every operation), float32 in f32, float64 in f64. */
import { type DType, isFloat } from "../../../dtype.ts";
import type { ValType } from "../encoder.ts";

export const valType = (d: DType): ValType =>
  d === "float64" ? "f64" : isFloat(d) ? "f32" : "i32";
export const half = (d: DType): boolean => d === "float16" || d === "bfloat16";
export const unsigned = (d: DType): boolean => d === "bool" || d === "uint8" || d === "uint32";

type Access = { readonly [D in DType]: readonly [opcode: number, align: number] };
export const loads: Access = {
  bool: [0x2d, 0],
  int8: [0x2c, 0],
  uint8: [0x2d, 0],
  int32: [0x28, 2],
  uint32: [0x28, 2],
  float16: [0x2f, 1],
  bfloat16: [0x2f, 1],
  float32: [0x2a, 2],
  float64: [0x2b, 3],
};
export const stores: Access = {
  bool: [0x3a, 0],
  int8: [0x3a, 0],
  uint8: [0x3a, 0],
  int32: [0x36, 2],
  uint32: [0x36, 2],
  float16: [0x3b, 1],
  bfloat16: [0x3b, 1],
  float32: [0x38, 2],
  float64: [0x39, 3],
};
