/** Distance and agreement of numbers and arrays, in units in the last place and in absolute terms. */
import { dataSync } from "../../core/array.ts";
import { type DType, dtypes, isFloat, pack } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";

/** Position of a float among the floats of its dtype: neighbours differ by 1, both zeros are at 0. */
function position(x: number, dtype: DType): bigint {
  const packed = pack([x], dtype);
  const bytes = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const bits =
    dtype === "float64"
      ? bytes.getBigUint64(0, true)
      : BigInt(dtype === "float32" ? bytes.getUint32(0, true) : bytes.getUint16(0, true));
  const sign = 1n << BigInt(8 * packed.byteLength - 1);
  return (bits & sign) === 0n ? bits : -(bits & (sign - 1n));
}

/** Number of floats of `dtype` between x and y, or |x − y| for integers. NaN is at distance 0 from NaN; from a value
 *  that is not finite everything else is infinitely far.
 *  @example ulpDistance(1, 1 + 2 ** -23, "float32")  // => 1 */
export function ulpDistance(x: number, y: number, dtype: DType): number {
  if (Object.is(x, y) || x === y) return 0;
  if (!Number.isFinite(x) || !Number.isFinite(y)) return Number.POSITIVE_INFINITY;
  if (!isFloat(dtype)) return Math.abs(x - y);
  const d = position(x, dtype) - position(y, dtype);
  return Number(d < 0n ? -d : d);
}

/** One unit in the last place at x: the distance from |x| to the next larger float. */
export function ulpAt(x: number, dtype: DType): number {
  const { mantissa, tiny } = dtypes[dtype];
  const a = Math.max(Math.abs(x), tiny);
  // log2 may round up to the next power of two
  let exponent = Math.floor(Math.log2(a));
  if (2 ** exponent > a) exponent--;
  return 2 ** (exponent - mantissa);
}

export interface Allowance {
  /** units in the last place of the wanted element (default 0) */
  readonly ulps?: number | ((i: number) => number);
  /** absolute difference (default 0) */
  readonly absolute?: number | ((i: number) => number);
  /** whether −0 must be told from +0 (default false) */
  readonly signedZero?: boolean;
}

const at = (bound: number | ((i: number) => number) | undefined, i: number): number =>
  typeof bound === "function" ? bound(i) : (bound ?? 0);

export const showNumber = (x: number | undefined): string => (Object.is(x, -0) ? "-0" : String(x));

/** Where `got` is not `want` within the allowance, described; "" where they agree. */
export function difference(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  dtype: DType,
  allowance: Allowance = {},
): string {
  if (got.length !== want.length) return `${got.length} elements, not ${want.length}`;
  const bad: string[] = [];
  let count = 0;
  for (let i = 0; i < want.length; i++) {
    const x = got[i] as number;
    const y = want[i] as number;
    if (Object.is(x, y) || (x === y && !allowance.signedZero)) continue;
    if (Number.isFinite(x) && Number.isFinite(y)) {
      if (Math.abs(x - y) <= at(allowance.absolute, i) && !(x === 0 && y === 0)) continue;
      const distance = ulpDistance(x, y, dtype);
      if (distance > 0 && distance <= at(allowance.ulps, i)) continue;
    }
    count++;
    if (bad.length < 4)
      bad.push(`[${i}] ${showNumber(x)}, not ${showNumber(y)} (${ulpDistance(x, y, dtype)} ulp)`);
  }
  return count === 0 ? "" : `${count} of ${want.length} elements differ: ${bad.join("; ")}`;
}

/** The same for arrays: shape and dtype must be equal too. */
export function arrayDifference(got: NDArray, want: NDArray, allowance: Allowance = {}): string {
  if (got.aval.strong !== want.aval.strong) return `${got.aval}, not ${want.aval}`;
  return difference(dataSync(got), dataSync(want), want.dtype, allowance);
}

/** Largest finite magnitude among the elements. */
export function magnitude(xs: Iterable<number>): number {
  let m = 0;
  for (const x of xs) if (Number.isFinite(x)) m = Math.max(m, Math.abs(x));
  return m;
}
