/** Special functions, and the arguments at which they are judged beside those of every magnitude. */
import { lax } from "../../index.ts";
import { erfFunctions } from "./exact-erf.ts";
import { gammaFunctions } from "./exact-gamma.ts";
import { digammaZeros, lgammaZeros } from "./gamma-zeros.ts";
import { type Case, pairs, unary } from "./measure.ts";
import { both, type Draw, halves, near, tiny, uniform } from "./samples.ts";

const erfKinds = [uniform(-1.5, 1.5), uniform(-6, 6), near(0.84375, 1.25, 2.857, 5.93)];
const erfcKinds = [...erfKinds, uniform(-6, 11), uniform(-6, 28), near(9.19, 10.05, 26.54, 27.22)];
const nearPoles = halves(-30, 1);
const lgammaKinds = (): readonly Draw[] => [
  near(...lgammaZeros()),
  nearPoles,
  uniform(-30, 30),
  uniform(0, 10),
  halves(-200, 200),
  near(4.08e36, 2.556e305),
];
const digammaKinds = (): readonly Draw[] => [
  near(...digammaZeros()),
  nearPoles,
  uniform(-30, 30),
  uniform(0, 10),
  halves(-1e6, 1e6),
];

const gammaBound = { float32: 4, float64: 4 };
/** q + k is rounded before it is raised to the power −s, s ≤ 20 */
const sumBound = { float32: 4, float64: 16 };
const wholeUpTo =
  (n: number): Draw =>
  (r) =>
    1 + r.below(n);
const positive: readonly Draw[] = [
  uniform(0, 2),
  uniform(0, 50),
  (r, format) => Math.abs(tiny(r, format)),
  (r) => 2 ** r.between(-40, 40),
];

// Between the poles of Γ, lgamma and digamma are differences of two terms (Euler's reflection formula), and have zeros that are
// no float64: there float64 is judged by the larger term, which for lgamma is at least 1. By units of the value itself 1.2 % of lgamma's
// arguments in [−30, 0], a quarter of those in [−3, −2], and 4.4 % of digamma's are off by more than 4.
export const specialCases: { readonly [name: string]: Case } = {
  erf: unary(lax.erf, erfFunctions.erf, null, () => erfKinds),
  erfc: unary(lax.erfc, erfFunctions.erfc, null, () => erfcKinds),
  erfInv: unary(lax.erfInv, erfFunctions.erfInv, null, () => [
    uniform(-1, 1),
    near(1, -1),
    near(0.85, -0.85),
  ]),
  lgamma: {
    ...unary(lax.lgamma, gammaFunctions.lgamma, null, lgammaKinds, gammaBound),
    largestTerm: (x, value) => {
      if (x >= 0) return value;
      const positive = gammaFunctions.lgamma(-x).hi;
      // the logarithm of a number near 1 is as exact as the number
      return Math.max(1, Math.abs(positive), Math.abs(value + positive));
    },
  },
  digamma: {
    ...unary(lax.digamma, gammaFunctions.digamma, null, digammaKinds, gammaBound),
    largestTerm: (x, value) => {
      if (x >= 0) return value;
      const positive = gammaFunctions.digamma(1 - x).hi;
      return Math.max(positive, Math.abs(value - positive));
    },
  },
  polygamma: pairs(
    lax.polygamma,
    gammaFunctions.polygamma,
    positive.map((x) => both(wholeUpTo(12), x)),
    sumBound,
  ),
  zeta: pairs(
    lax.zeta,
    gammaFunctions.zeta,
    positive.map((q) => both(uniform(1, 20), q)),
    sumBound,
  ),
};
