/** How far a float is from a real number, in units in the last place of that number. */
import { type Exact, exponentOf, ldexp } from "./double-double.ts";

export interface Format {
  /** digits of a significand, the hidden one included */
  readonly digits: number;
  /** exponent of the smallest positive number */
  readonly lowest: number;
  /** finite numbers are below 2^limit */
  readonly limit: number;
}
export const formats = {
  float32: { digits: 24, lowest: -149, limit: 128 },
  float64: { digits: 53, lowest: -1074, limit: 1024 },
} as const satisfies { readonly [dtype: string]: Format };
export type FloatName = keyof typeof formats;

/** |got − want|/ulp(want) as a real number: a correctly rounded value has at most ½. Below the normal range an ulp is the smallest positive
 *  number. Beyond the finite range ∞ is right, and counts as 2^limit where a finite value is right. Infinite where one is NaN and the
 *  other is not, or where the signs differ. */
export function ulpError(got: number, want: Exact, { digits, lowest, limit }: Format): number {
  if (Number.isNaN(want.hi)) return Number.isNaN(got) ? 0 : Number.POSITIVE_INFINITY;
  if (want.hi === 0 || !Number.isFinite(want.hi))
    return Object.is(got, want.hi) ? 0 : Number.POSITIVE_INFINITY;
  const negative = got < 0 || Object.is(got, -0);
  if (Number.isNaN(got) || negative !== want.hi < 0) return Number.POSITIVE_INFINITY;
  const exponent = exponentOf(want.hi) + want.exp;
  const unit = Math.min(Math.max(exponent - digits + 1, lowest), limit - digits);
  const hi = ldexp(want.hi, want.exp - unit);
  const lo = ldexp(want.lo, want.exp - unit);
  if (!Number.isFinite(got)) {
    const edge = 2 ** digits * Math.sign(hi);
    const short = Math.abs(edge) - Math.abs(hi) - Math.abs(lo);
    return short <= 0.5 ? 0 : Math.abs(edge - hi - lo);
  }
  return Math.abs(ldexp(got, -unit) - hi - lo);
}
