/** Names of WebAssembly's instructions: those of the core specification, its 128-bit vectors included, of the proposal of
 *  threads, and the fused ones of relaxed vectors. */

/** by number; those after a prefix stand at prefix · 2¹⁶ */
export const instructionNames = new Map<number, string>();
/** Consecutive instructions from a number on; `-` is none. */
function define(from: number, type: string, words: string): void {
  words.split(" ").forEach((word, i) => {
    if (word !== "-") instructionNames.set(from + i, type === "" ? word : `${type}.${word}`);
  });
}
const saturating = 0xfc0000;
const vector = 0xfd0000;
const atomic = 0xfe0000;

const signs = "lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
const integer =
  "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr";
const float = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign";
const fromFloats = "f32_s f32_u f64_s f64_u";
const fromIntegers = "i32_s i32_u i64_s i64_u";
const each = (prefix: string, words: string): string => words.replace(/\S+/g, `${prefix}$&`);

define(0x00, "", "unreachable nop block loop if else");
define(0x0b, "", "end br br_if br_table return call");
define(0x1a, "", "drop select");
define(0x20, "", "local.get local.set local.tee global.get global.set");
define(0x28, "", "i32.load i64.load f32.load f64.load");
define(0x2c, "i32", "load8_s load8_u load16_s load16_u");
define(0x30, "i64", "load8_s load8_u load16_s load16_u load32_s load32_u");
define(0x36, "", "i32.store i64.store f32.store f64.store i32.store8 i32.store16");
define(0x3c, "i64", "store8 store16 store32");
define(0x3f, "", "memory.size memory.grow i32.const i64.const f32.const f64.const");
define(0x45, "i32", `eqz eq ne ${signs}`);
define(0x50, "i64", `eqz eq ne ${signs}`);
define(0x5b, "f32", "eq ne lt gt le ge");
define(0x61, "f64", "eq ne lt gt le ge");
define(0x67, "i32", integer);
define(0x79, "i64", integer);
define(0x8b, "f32", float);
define(0x99, "f64", float);
define(0xa7, "i32", `wrap_i64 ${each("trunc_", fromFloats)}`);
define(0xac, "i64", `extend_i32_s extend_i32_u ${each("trunc_", fromFloats)}`);
define(0xb2, "f32", `${each("convert_", fromIntegers)} demote_f64`);
define(0xb7, "f64", `${each("convert_", fromIntegers)} promote_f32`);
define(0xbc, "", "i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64");
define(0xc0, "", "i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s");
define(saturating, "i32", each("trunc_sat_", fromFloats));
define(saturating + 4, "i64", each("trunc_sat_", fromFloats));
define(saturating + 10, "memory", "copy fill");

const lanes = ["i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"] as const;
define(vector, "v128", "load load8x8_s load8x8_u load16x4_s load16x4_u load32x2_s load32x2_u");
define(vector + 7, "v128", "load8_splat load16_splat load32_splat load64_splat store const");
define(vector + 13, "i8x16", "shuffle swizzle");
lanes.forEach((t, i) => {
  define(vector + 15 + i, t, "splat");
});
define(vector + 0x15, "i8x16", "extract_lane_s extract_lane_u replace_lane");
define(vector + 0x18, "i16x8", "extract_lane_s extract_lane_u replace_lane");
lanes.slice(2).forEach((t, i) => {
  define(vector + 0x1b + 2 * i, t, "extract_lane replace_lane");
});
lanes.slice(0, 3).forEach((t, i) => {
  define(vector + 0x23 + 10 * i, t, `eq ne ${signs}`);
});
define(vector + 0x41, "f32x4", "eq ne lt gt le ge");
define(vector + 0x47, "f64x2", "eq ne lt gt le ge");
define(vector + 0x4d, "v128", "not and andnot or xor bitselect any_true");
define(vector + 0x54, "v128", "load8_lane load16_lane load32_lane load64_lane");
define(vector + 0x58, "v128", "store8_lane store16_lane store32_lane store64_lane");
define(vector + 0x5c, "v128", "load32_zero load64_zero");
define(vector + 0x5e, "", "f32x4.demote_f64x2_zero f64x2.promote_low_f32x4");
const sums = "add add_sat_s add_sat_u sub sub_sat_s sub_sat_u";
const extremes = "min_s min_u max_s max_u";
const halves = (word: string, from: string): string =>
  ["s", "u"].flatMap((s) => ["low", "high"].map((h) => `${word}_${h}_${from}_${s}`)).join(" ");
define(vector + 0x60, "i8x16", "abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u");
define(vector + 0x67, "f32x4", "ceil floor trunc nearest");
define(vector + 0x6b, "i8x16", `shl shr_s shr_u ${sums}`);
define(vector + 0x74, "f64x2", "ceil floor");
define(vector + 0x76, "i8x16", extremes);
define(vector + 0x7a, "", "f64x2.trunc i8x16.avgr_u");
define(vector + 0x7c, "i16x8", "extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u");
define(vector + 0x7e, "i32x4", "extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u");
const shifts = "shl shr_s shr_u";
define(
  vector + 0x80,
  "i16x8",
  `abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u ${halves("extend", "i8x16")} ${shifts} ${sums}`,
);
define(vector + 0x94, "", "f64x2.nearest");
define(vector + 0x95, "i16x8", `mul ${extremes} - avgr_u ${halves("extmul", "i8x16")}`);
const wide = (t: string, from: string, after: string): void => {
  const base = vector + (t === "i32x4" ? 0xa0 : 0xc0);
  define(base, t, `abs neg - all_true bitmask - - ${halves("extend", from)} ${shifts} add`);
  define(base + 0x11, t, `sub - - - mul ${after} ${halves("extmul", from)}`);
};
wide("i32x4", "i16x8", `${extremes} dot_i16x8_s -`);
wide("i64x2", "i32x4", "eq ne lt_s gt_s le_s ge_s");
define(vector + 0xe0, "f32x4", "abs neg - sqrt add sub mul div min max pmin pmax");
define(vector + 0xec, "f64x2", "abs neg - sqrt add sub mul div min max pmin pmax");
define(vector + 0xf8, "i32x4", "trunc_sat_f32x4_s trunc_sat_f32x4_u");
define(vector + 0xfa, "f32x4", "convert_i32x4_s convert_i32x4_u");
define(vector + 0xfc, "i32x4", "trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero");
define(vector + 0xfe, "f64x2", "convert_low_i32x4_s convert_low_i32x4_u");

define(vector + 0x105, "f32x4", "relaxed_madd relaxed_nmadd");
define(vector + 0x107, "f64x2", "relaxed_madd relaxed_nmadd");

define(atomic, "memory.atomic", "notify wait32 wait64");
const widths = "i32. i64. i32.8 i32.16 i64.8 i64.16 i64.32".split(" ");
const accesses = (from: number, what: string, unsigned: string): void =>
  widths.forEach((w, i) => {
    const [type, bits] = w.split(".") as [string, string];
    // rmw instructions have the width before the operation, loads and stores after it
    const name = what.startsWith("rmw") ? what.replace("rmw", `rmw${bits}`) : what + bits;
    define(from + i, `${type}.atomic`, name + (bits === "" ? "" : unsigned));
  });
accesses(atomic + 0x10, "load", "_u");
accesses(atomic + 0x17, "store", "");
"add sub and or xor xchg cmpxchg".split(" ").forEach((op, i) => {
  accesses(atomic + 0x1e + 7 * i, `rmw.${op}`, "_u");
});
