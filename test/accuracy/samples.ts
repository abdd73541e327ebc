/** Arguments at which functions are judged. */
import { ldexp } from "./double-double.ts";
import { piFixed } from "./fixed-point.ts";
import { Random } from "./random.ts";
import { type FloatName, type Format, formats } from "./ulp.ts";

/** A random argument, before it is rounded to the format. */
export type Draw = (r: Random, format: Format) => number;
export type DrawPair = (r: Random, format: Format) => readonly [number, number];

const view = new DataView(new ArrayBuffer(8));
/** Every exponent and sign alike, with random digits: subnormal numbers, infinities and NaN included. */
export const anyBits: Draw = (r, { digits }) => {
  view.setUint32(0, r.word());
  view.setUint32(4, r.word());
  return digits === 24 ? view.getFloat32(0) : view.getFloat64(0);
};
/** Magnitudes down to the smallest number, alike by exponent, signed at random. */
export const tiny: Draw = (r, { lowest }) =>
  r.sign() * ldexp(r.between(1, 2), r.below(-lowest) + lowest);
/** Subnormal numbers and the smallest normal ones */
export const subnormal: Draw = (r, { digits, lowest }) =>
  r.sign() * ldexp(r.between(1, 2), lowest + r.below(digits + 1));
export const uniform =
  (low: number, high: number): Draw =>
  (r) =>
    r.between(low, high);
/** Near one of the centres, at a distance of any magnitude from the centre's own down to a few units in the last place. */
export const near =
  (...centres: readonly number[]): Draw =>
  (r, { digits }) =>
    r.pick(centres) * (1 + r.sign() * r.unit() * 2 ** -r.below(digits + 1));
/** Whole numbers and halves in [low, high], and what is close to them. */
export const halves =
  (low: number, high: number): Draw =>
  (r, { digits }) => {
    const n = Math.round(2 * r.between(low, high)) / 2;
    const distance = r.unit() * 2 ** -r.below(digits + 8);
    return r.below(4) === 0 ? n : n + r.sign() * distance;
  };
/** Multiples of π/2, and up to three units in the last place beside them */
export const quarterTurns: Draw = (r, { digits }) =>
  r.sign() *
  (Math.floor(2 ** r.between(0, digits + 8)) * (Math.PI / 2)) *
  (1 + (r.below(7) - 3) * 2 ** -digits);

/** For each exponent the floats of `digits` digits that are closest to multiples of π/2: their significands are denominators, or multiples of
 *  these, of the continued fraction of 2^e·2/π. */
function angleExtremes({ digits, limit }: Format): readonly number[] {
  const bits = 2 * limit + 200;
  const perQuarter = (1n << BigInt(2 * bits + 1)) / piFixed(bits);
  const [low, high] = [1n << BigInt(digits - 1), 1n << BigInt(digits)];
  const found: number[] = [];
  for (let e = 1 - digits; e <= limit - digits; e++) {
    const mask = (1n << BigInt(bits)) - 1n;
    let [a, b] = [
      1n << BigInt(bits),
      (e < 0 ? perQuarter >> BigInt(-e) : perQuarter << BigInt(e)) & mask,
    ];
    let [before, q] = [0n, 1n];
    while (b !== 0n && q < high) {
      // of the denominators below, the last one fits best
      const m = q * ((high - 1n) / q);
      if (m >= low && q > 1n) found.push(ldexp(Number(m), e));
      [before, q] = [q, before + (a / b) * q];
      [a, b] = [b, a % b];
    }
  }
  return found;
}
const extremes = new Map<Format, readonly number[]>();
export const hardAngles: Draw = (r, format) => {
  let found = extremes.get(format);
  if (found === undefined) {
    found = angleExtremes(format);
    extremes.set(format, found);
  }
  return r.sign() * r.pick(found);
};

/** Pairs of draws */
export const both =
  (x: Draw, y: Draw): DrawPair =>
  (r, format) => [x(r, format), y(r, format)];

/** x and y = t/log₂|x|, so that |x|^y = 2^t covers the whole range, with a margin, or lies close to overflow or underflow */
export const powers =
  (base: Draw): DrawPair =>
  (r, format) => {
    const { digits, lowest, limit } = format;
    const x = base(r, format);
    const target = r.pick([
      r.between(lowest - 4, limit + 4),
      limit * (1 + r.sign() * r.unit() * 2 ** -r.below(digits)),
      (lowest - 1) * (1 + r.sign() * r.unit() * 2 ** -r.below(digits)),
      (lowest + digits - 1) * (1 + r.sign() * r.unit() * 2 ** -r.below(digits)),
      r.sign() * 2 ** -r.below(digits + 3),
    ]);
    const y = target / Math.log2(Math.abs(x));
    return [x, Math.abs(x) !== 1 && Number.isFinite(y) ? y : 2];
  };
/** Points with y/x of any magnitude that arctan does not flatten */
export const ratios: DrawPair = (r, format) => {
  const { limit, lowest, digits } = format;
  const e = r.between(lowest / 2 + digits, limit - digits - 4);
  const x = r.sign() * 2 ** e;
  return [r.sign() * 2 ** (e + r.between(-digits - 4, digits + 4)), x];
};

const edges = (format: Format): readonly number[] => {
  const largest = 2 ** (format.limit - 1) * (2 - 2 ** (1 - format.digits));
  const smallest = 2 ** format.lowest;
  const positive = [
    0,
    1,
    smallest,
    largest,
    2 ** (format.lowest + format.digits - 1),
    Number.POSITIVE_INFINITY,
  ];
  return [...positive, ...positive.map((x) => -x), Number.NaN];
};

const makeArray = { float32: Float32Array, float64: Float64Array } as const;
export type Floats = Float32Array | Float64Array;

/** The edges, then the kinds in turn. */
export function samples(
  count: number,
  dtype: FloatName,
  kinds: readonly Draw[],
): readonly Floats[] {
  const [r, format] = [new Random(), formats[dtype]];
  const first = edges(format);
  const x = new makeArray[dtype](count);
  for (let i = 0; i < count; i++) x[i] = first[i] ?? (kinds[i % kinds.length] as Draw)(r, format);
  return [x];
}
/** The same for two arguments: all pairs of what comes first. */
export function samplePairs(
  count: number,
  dtype: FloatName,
  kinds: readonly DrawPair[],
  first: readonly number[] = edges(formats[dtype]),
): readonly Floats[] {
  const [r, format] = [new Random(), formats[dtype]];
  const n = first.length;
  const [x, y] = [new makeArray[dtype](count), new makeArray[dtype](count)];
  for (let i = 0; i < count; i++) {
    const pair =
      i < n * n
        ? [first[i % n] as number, first[Math.floor(i / n)] as number]
        : (kinds[i % kinds.length] as DrawPair)(r, format);
    [x[i], y[i]] = pair as [number, number];
  }
  return [x, y];
}
