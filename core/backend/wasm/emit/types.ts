/** How values of each dtype are held in locals and in memory.
 *
 *  bool and integers live in i32 locals (narrow ones kept wrapped), 16-bit floats in f32 locals (rounded after
 *  every operation), float32 in f32, float64 in f64. */
import { type DType, isFloat } from "../../../dtype.ts";
import type { CompareOp } from "../../../kernel/expr.ts";
import type { ValType } from "../encoder.ts";

export const valType = (d: DType): ValType =>
  d === "float64" ? "f64" : isFloat(d) ? "f32" : "i32";
export const half = (d: DType): boolean => d === "float16" || d === "bfloat16";
export const unsigned = (d: DType): boolean => d === "bool" || d === "uint8" || d === "uint32";

/** instructions that load and store */
export const access: { readonly [D in DType]: readonly [load: number, store: number] } = {
  bool: [0x2d, 0x3a],
  int8: [0x2c, 0x3a],
  uint8: [0x2d, 0x3a],
  int32: [0x28, 0x36],
  uint32: [0x28, 0x36],
  float16: [0x2f, 0x3b],
  bfloat16: [0x2f, 0x3b],
  float32: [0x2a, 0x38],
  float64: [0x2b, 0x39],
};

/** Numbers for i32, f32 and f64, in the order of which instructions are told apart. */
export type ByType = readonly [i32: number, f32: number, f64: number];
export const byType = (d: DType, numbers: ByType): number =>
  numbers[(["i32", "f32", "f64"] as ValType[]).indexOf(valType(d)) as 0 | 1 | 2];

/** The instruction of a comparison, from those of `eq`: ne lt gt le ge follow, of integers each of the last four signed and
 *  unsigned. */
export function comparison(op: CompareOp, d: DType, equality: ByType): number {
  const at = ["eq", "ne", "lt", "gt", "le", "ge"].indexOf(op);
  const twice = valType(d) === "i32" && at > 1;
  return byType(d, equality) + (twice ? 2 * at - 2 + (unsigned(d) ? 1 : 0) : at);
}
