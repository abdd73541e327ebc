/** Zeros of ψ and log |Γ|, to the nearest float64. */
import { gammaFunctions } from "./exact-gamma.ts";

/** Where f, negative at `low`, changes its sign */
function bisect(f: (x: number) => number, low: number, high: number): number {
  let [a, b] = [low, high];
  for (;;) {
    const middle = a + (b - a) / 2;
    if (middle === a || middle === b) return b;
    if (f(middle) < 0) a = middle;
    else b = middle;
  }
}
const digamma = (x: number): number => gammaFunctions.digamma(x).hi;
const lgamma = (x: number): number => gammaFunctions.lgamma(x).hi;
/** The zero of ψ between −n − 1 and −n */
const digammaZero = (n: number): number =>
  bisect(digamma, -n - 1 + 2 ** -53 * (n + 1), -n - 2 ** -53 * n);

/** The positive zero and those between the first poles; a few far ones. */
export const digammaZeros = (): readonly number[] => [
  bisect(digamma, 1, 2),
  ...Array.from({ length: 40 }, (_, n) => digammaZero(n)),
  ...Array.from({ length: 35 }, (_, k) => digammaZero(Math.floor(50 * 2 ** k))),
];
/** 1, 2, and on both sides of the minima between the poles, until they fall together with these */
export const lgammaZeros = (): readonly number[] => [
  1,
  2,
  ...Array.from({ length: 16 }, (_, k) => k + 2).flatMap((n) => {
    const lowest = digammaZero(n);
    return [
      bisect(lgamma, lowest, -n - 2 ** -52 * n),
      bisect(lgamma, lowest, -n - 1 + 2 ** -52 * n),
    ];
  }),
];
