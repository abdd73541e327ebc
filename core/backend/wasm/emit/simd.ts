/** Numbers of the 128-bit instructions that loops use. */
import type { CompareOp } from "../../../kernel/expr.ts";

export const v128 = {
  load: 0,
  load32Splat: 9,
  load64Splat: 10,
  store: 11,
  const: 12,
  not: 77,
  and: 78,
  or: 80,
  xor: 81,
  bitselect: 82,
  anyTrue: 83,
  load32Lane: 86,
  load64Lane: 87,
  store32Lane: 90,
  store64Lane: 91,
  load32Zero: 92,
  load64Zero: 93,
};
export const i8x16 = { popcnt: 98, narrowS: 101, narrowU: 102 };
export const i16x8 = {
  pairwiseU: 125,
  narrowS: 133,
  narrowU: 134,
  extendLowS: 135,
  extendLowU: 137,
};
export const i32x4 = {
  splat: 17,
  extract: 27,
  replace: 28,
  eq: 55,
  ne: 56,
  ltS: 57,
  gtS: 59,
  pairwiseU: 127,
  abs: 160,
  neg: 161,
  allTrue: 163,
  extendLowS: 167,
  extendLowU: 169,
  shl: 171,
  shrS: 172,
  shrU: 173,
  add: 174,
  sub: 177,
  mul: 181,
  minS: 182,
  minU: 183,
  maxS: 184,
  maxU: 185,
  truncF32S: 248,
  truncF32U: 249,
  truncF64S: 252,
  truncF64U: 253,
};
export const i64x2 = {
  extendLowS: 199,
  extendHighS: 200,
  productLowS: 220,
  productHighS: 221,
  productLowU: 222,
  productHighU: 223,
};
export const f32x4 = {
  splat: 19,
  extract: 31,
  replace: 32,
  eq: 65,
  ne: 66,
  lt: 67,
  gt: 68,
  demote: 94,
  ceil: 103,
  floor: 104,
  trunc: 105,
  nearest: 106,
  abs: 224,
  neg: 225,
  sqrt: 227,
  add: 228,
  sub: 229,
  mul: 230,
  div: 231,
  min: 232,
  max: 233,
  pmin: 234,
  pmax: 235,
  convertS: 250,
  convertU: 251,
};
export const f64x2 = {
  splat: 20,
  extract: 33,
  replace: 34,
  ne: 72,
  lt: 73,
  gt: 74,
  promoteLow: 95,
  ceil: 116,
  floor: 117,
  trunc: 122,
  nearest: 148,
  abs: 236,
  neg: 237,
  sqrt: 239,
  add: 240,
  sub: 241,
  mul: 242,
  div: 243,
  min: 244,
  max: 245,
  pmin: 246,
  pmax: 247,
  convertLowS: 254,
  convertLowU: 255,
};

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
