/** Constants and tables in fixed point with big integers: n stands for n·2^−bits. Slow and simple; what is fast is built on it. */
import type { DD } from "./double-double.ts";

/** n·2^−bits as a sum of two float64 */
export function fromFixed(n: bigint, bits: number): DD {
  const hi = Number(n);
  const s = 2 ** -bits;
  return { hi: hi * s, lo: Number(n - BigInt(hi)) * s };
}

/** atan(1/k) = Σ (−1)ⁿ/((2n + 1)k^(2n + 1)); atanh without the alternation */
function arcOfInverse(k: bigint, bits: number, alternate: boolean): bigint {
  let power = (1n << BigInt(bits)) / k;
  let sum = 0n;
  for (let n = 1n; power !== 0n; n += 2n, power /= k * k)
    sum += (alternate && n % 4n === 3n ? -1n : 1n) * (power / n);
  return sum;
}
/** π by Machin's formula */
export const piFixed = (bits: number): bigint =>
  (16n * arcOfInverse(5n, bits + 16, true) - 4n * arcOfInverse(239n, bits + 16, true)) >> 16n;
export const ln2Fixed = (bits: number): bigint => (2n * arcOfInverse(3n, bits + 16, false)) >> 16n;

/** Σ xⁿ/n! over n = first, first + step, …, with signs that alternate or do not */
function factorialSeries(
  x: bigint,
  bits: number,
  first: 0n | 1n,
  step: 1n | 2n,
  alternate: boolean,
): bigint {
  const shift = BigInt(bits);
  let term = first === 0n ? 1n << shift : x;
  let sum = 0n;
  for (let n = first; term !== 0n; n += step) {
    sum += term;
    for (let k = 1n; k <= step; k++) term = ((term * x) >> shift) / (n + k);
    if (term === -1n) break; // a shift rounds down
    if (alternate) term = -term;
  }
  return sum;
}
export const expFixed = (x: bigint, bits: number): bigint =>
  factorialSeries(x, bits, 0n, 1n, false);
export const sinFixed = (x: bigint, bits: number): bigint => factorialSeries(x, bits, 1n, 2n, true);
export const cosFixed = (x: bigint, bits: number): bigint => factorialSeries(x, bits, 0n, 2n, true);
