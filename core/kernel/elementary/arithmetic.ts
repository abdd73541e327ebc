/** Arithmetic on the bits of float32 and float64, alike for both: the upper word of a float64 has its sign and exponent, as
 *  the one word of a float32 has. */
import { add, binary, bitcast, compare, type Expr, lit, mul, select, sub, unary } from "../expr.ts";

export type Real = "float32" | "float64";
export const realOf = (x: Expr): Real => x.dtype as Real;

/** a constant of the dtype of x */
export const like = (x: Expr, value: number): Expr =>
  lit(x.dtype === "float32" ? Math.fround(value) : value, x.dtype);
export const i = (x: number): Expr => lit(x, "int32");
export const iadd = (x: Expr, y: number): Expr => binary("add", x, i(y));
export const shl = (x: Expr, n: number): Expr => binary("shl", x, i(n));
export const shr = (x: Expr, n: number): Expr => binary("shr", x, i(n));
export const iand = (x: Expr, mask: number): Expr => binary("and", x, i(mask));
export const xor = (x: Expr, y: Expr): Expr => binary("xor", x, y);

export const abs = (x: Expr): Expr => unary("abs", x);
export const lt = (x: Expr, y: Expr | number): Expr =>
  compare("lt", x, typeof y === "number" ? like(x, y) : y);
export const isInteger = (x: Expr): Expr => compare("eq", x, unary("floor", x));
export const isZero = (x: Expr): Expr => compare("eq", x, like(x, 0));
/** The smaller, the larger of x and a constant; x where it is NaN. */
export function atMost(x: Expr, c: number): Expr {
  const bound = like(x, c);
  return select(lt(bound, x), bound, x);
}
export function atLeast(x: Expr, c: number): Expr {
  const bound = like(x, c);
  return select(lt(x, bound), bound, x);
}

/** Explicit significand bits in the word that has the exponent, and the word of 1. */
export const fractionBits = { float32: 23, float64: 20 } as const;
export const oneBits = { float32: 0x3f800000, float64: 0x3ff00000 } as const;

/** the word with sign and exponent */
export const upperBits = (x: Expr): Expr =>
  x.dtype === "float32" ? bitcast(x, "int32") : unary("highWord", x);
/** The number with that word, zeros below. */
export const fromUpper = (bits: Expr, d: Real): Expr =>
  d === "float32" ? bitcast(bits, d) : binary("joinWords", bits, i(0));
/** 2ⁿ·2^offset for an int32 n, in the range of normal numbers */
export const powerOfTwo = (n: Expr, d: Real, offset = 0): Expr =>
  fromUpper(iadd(shl(n, fractionBits[d]), oneBits[d] + offset * 2 ** fractionBits[d]), d);
/** |y| or y ≥ 0, with the sign of x */
export function withSign(y: Expr, x: Expr): Expr {
  const sign = iand(upperBits(x), -0x80000000);
  return x.dtype === "float32"
    ? bitcast(binary("or", bitcast(y, "int32"), sign), "float32")
    : mul(y, fromUpper(binary("or", sign, i(oneBits.float64)), "float64"));
}
/** −y where bit 1 of n is set */
export const flipped = (y: Expr, n: Expr): Expr =>
  y.dtype === "float32"
    ? bitcast(xor(bitcast(y, "int32"), shl(iand(n, 2), 30)), "float32")
    : mul(y, fromUpper(xor(shl(iand(n, 2), 30), i(oneBits.float64)), "float64"));

/** Adding it rounds a number of at most 2²², 2⁵¹ to an integer, whose bits are the low ones of the sum. */
const magic = { float32: 1.5 * 2 ** 23, float64: 1.5 * 2 ** 52 } as const;
/** A rounded value, as it is and as an int32; of float32 its bits above the lowest 22 are others. */
export function rounded(x: Expr): { readonly n: Expr; readonly low: Expr } {
  const m = like(x, magic[realOf(x)]);
  const t = add(x, m);
  return {
    n: sub(t, m),
    low: x.dtype === "float32" ? bitcast(t, "int32") : unary("lowWord", t),
  };
}
/** what `low` has above n */
export const excess = { float32: 0x4b400000, float64: 0 } as const;

/** log 2 in two parts; products of the first with whole numbers below 2¹⁵ are exact */
export const ln2 = {
  float32: [0.693359375, -0.00021219444],
  float64: [0.6931471803691238, 1.9082149292705877e-10],
} as const;

/** c₀ + c₁x + c₂x² + … by pairs of terms and powers of z = x²: half as deep as Horner's rule, with as many operations. */
export function pairwise(x: Expr, z: Expr, coefficients: readonly number[]): Expr {
  const pairs: Expr[] = [];
  for (let k = 0; k < coefficients.length; k += 2) {
    const [low, high] = [coefficients[k] as number, coefficients[k + 1]];
    pairs.push(high === undefined ? like(x, low) : add(like(x, low), mul(x, like(x, high))));
  }
  return pairs.reduceRight((sum, pair) => add(pair, mul(z, sum)));
}
/** The same, of z and z² for a polynomial in z. */
export const inSquares = (z: Expr, coefficients: readonly number[]): Expr =>
  pairwise(z, mul(z, z), coefficients);
