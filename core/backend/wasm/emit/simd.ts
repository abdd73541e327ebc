/** Comparisons and shuffles of vectors. */
import type { CompareOp } from "../../../kernel/expr.ts";
import * as f32x4 from "../simd/f32x4.ts";
import * as f64x2 from "../simd/f64x2.ts";
import * as i32x4 from "../simd/i32x4.ts";

/** Comparison of four or two lanes. */
export function comparison(op: CompareOp, lanes: "i32" | "u32" | "f32" | "f64"): number {
  const at = ["eq", "ne", "lt", "gt", "le", "ge"].indexOf(op);
  if (lanes === "f32") return f32x4.eq + at;
  if (lanes === "f64") return f64x2.ne - 1 + at;
  // eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
  return at < 2 ? i32x4.eq + at : i32x4.ltS + (at - 2) * 2 + (lanes === "u32" ? 1 : 0);
}

const bytesOf = (width: number, lanes: readonly number[]): readonly number[] =>
  lanes.flatMap((lane) => Array.from({ length: width }, (_, b) => lane * width + b));
/** Byte positions for `Code.shuffle`; lanes of the second vector follow those of the first. */
export const positions = {
  /** the upper half of the first vector, moved down */
  upper: bytesOf(8, [1, 1]),
  /** the lower halves of two vectors */
  lowerHalves: bytesOf(8, [0, 2]),
  /** the upper 32 bits of the four 64-bit lanes of two vectors */
  odd: bytesOf(4, [1, 3, 5, 7]),
  /** the lower 32 bits */
  even: bytesOf(4, [0, 2, 4, 6]),
  /** elements 0, 2, 4, 6 where the second vector begins with element 3 */
  everySecond: bytesOf(4, [0, 2, 5, 7]),
  /** lanes of two vectors in turn, from the lower and from the upper halves */
  turns: [bytesOf(4, [0, 4, 1, 5]), bytesOf(4, [2, 6, 3, 7])],
  reverse32: bytesOf(4, [3, 2, 1, 0]),
  reverse64: bytesOf(8, [1, 0]),
  /** lanes one down, the lowest of the second vector above them */
  rotate32: bytesOf(4, [1, 2, 3, 4]),
  rotate64: bytesOf(8, [1, 2]),
};
