/** Values on which backends are compared, and how close two results must be. */
import { type DType, dtypes, isFloat, type PackedArray, unpack } from "../../core/dtype.ts";

/** Seeded random numbers (mulberry32). */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed | 0;
  }
  /** 32 random bits */
  bits(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
  /** an integer in [low, high) */
  int(low: number, high: number): number {
    return low + Math.floor((this.bits() / 2 ** 32) * (high - low));
  }
  chance(p: number): boolean {
    return this.bits() / 2 ** 32 < p;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length)] as T;
  }
  shuffle<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(0, i + 1);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }
}

const both = (list: readonly number[]): number[] => list.flatMap((x) => [x, -x]);

/** NaN, ±∞, ±0, subnormals, extremes and ties of a dtype; for integers the extremes and shift amounts. */
export function edges(d: DType): number[] {
  const { min, max, tiny, eps, bytes, kind } = dtypes[d];
  if (kind === "bool") return [0, 1];
  if (kind !== "float") {
    const near = [0, 1, 2, 3, 7, 8, 9, 31, 32, 33, bytes * 8 - 1, bytes * 8];
    const signed = kind === "int" ? [-1, -2, -3, -7, -8, min, min + 1] : [];
    return [...new Set([...near, ...signed, max >> 1, max - 1, max])].map((x) =>
      x < min || x > max ? 5 : x,
    );
  }
  const small = tiny * eps;
  return [
    Number.NaN,
    ...both([Number.POSITIVE_INFINITY, 0, small, 3 * small, tiny - small, tiny, tiny * 1.5]),
    ...both([eps / 2, eps, 0.25, 0.5, 0.75, 1 - eps / 2, 1, 1 + eps, 1.5, 2, 2.5, 3, 3.5]),
    ...both([127.5, 128, 255.5, 256, 1 / eps - 0.5, 1 / eps, 1 / eps + 1, 2 ** 31, 2 ** 32]),
    ...both([max / 2, max * (1 - eps / 2), max]),
  ];
}

/** A random element: all bit patterns are possible, but moderate values are as likely as all the rest. */
export function randomElement(d: DType, random: Random): number {
  const { kind, min, max, bytes } = dtypes[d];
  if (kind === "bool") return random.int(0, 2);
  if (kind !== "float") return random.chance(0.5) ? random.int(min, max + 1) : random.int(0, 20);
  if (random.chance(0.5)) return (random.bits() / 2 ** 32 - 0.5) * random.pick([1, 8, 200]);
  const bits = new Uint32Array([random.bits(), random.bits()]);
  return unpack(new Uint8Array(bits.buffer, 0, bytes), d)[0] as number;
}

/** Elements whose short sums of products are exact in every dtype. */
export function smallElement(d: DType, random: Random): number {
  return dtypes[d].kind === "uint" || d === "bool" ? random.int(0, 2) : random.int(-2, 3);
}

export const filled = (n: number, f: (i: number) => number): number[] =>
  Array.from({ length: n }, (_, i) => f(i));

// ---- comparison ----

/** Position of a float among all floats of its dtype: neighbours differ by 1, and −0 is just below +0. */
function ordinal(x: number, d: DType): bigint {
  const f64 = new Float64Array([x]);
  const bits = new BigInt64Array(f64.buffer)[0] as bigint;
  // a value of a narrower dtype, scaled to its own steps
  const { mantissa, tiny } = dtypes[d];
  if (d !== "float64") {
    const a = Math.abs(x);
    const exponent = Math.max(Math.floor(Math.log2(a)), Math.log2(tiny));
    const steps = a === 0 ? 0n : BigInt(a / 2 ** (exponent - mantissa));
    const below = BigInt(exponent - Math.log2(tiny)) << BigInt(mantissa);
    const magnitude = a === 0 ? 0n : below + steps;
    return x < 0 || Object.is(x, -0) ? -1n - magnitude : magnitude;
  }
  return bits < 0n ? -1n - (bits & 0x7fffffffffffffffn) : bits;
}

/** Whether two elements are the same, any NaN being as good as another, or finite and at most `ulps` floats
 *  apart. */
export function agree(x: number, y: number, d: DType, ulps = 0): boolean {
  if (Object.is(x, y)) return true;
  if (ulps === 0 || !isFloat(d) || !Number.isFinite(x) || !Number.isFinite(y)) return false;
  if (x === 0 && y === 0) return false; // of different sign
  const apart = ordinal(x, d) - ordinal(y, d);
  return apart <= BigInt(ulps) && -apart <= BigInt(ulps);
}

/** First disagreements of two results, described; empty where they agree. */
export function disagreements(
  got: Uint8Array,
  wanted: Uint8Array,
  d: DType,
  inputs: readonly ArrayLike<number>[],
  tolerance: {
    readonly ulps?: number;
    readonly bound?: (i: number, wanted: number) => number;
  } = {},
): string[] {
  const a = unpack(got, d);
  const b = unpack(wanted, d);
  if (a.length !== b.length) return [`${a.length} elements, not ${b.length}`];
  const list: string[] = [];
  for (let i = 0; i < a.length && list.length < 5; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    if (agree(x, y, d, tolerance.ulps)) continue;
    if (tolerance.bound !== undefined && Math.abs(x - y) <= tolerance.bound(i, y)) continue;
    const show = (v: number | undefined): string => (Object.is(v, -0) ? "-0" : String(v));
    const given = inputs.map((input) => show(input[i])).join(", ");
    list.push(`[${i}] (${given}): ${show(x)}, not ${show(y)}`);
  }
  return list;
}

export const numbersOf = (a: PackedArray, d: DType): ArrayLike<number> =>
  unpack(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), d);
