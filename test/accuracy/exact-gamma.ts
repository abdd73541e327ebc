/** log |Γ|, ψ and Hurwitz's ζ to about 90 bits. */
import {
  add,
  type DD,
  dd,
  div,
  type Exact,
  exact,
  exponentOf,
  frexp,
  mul,
  neg,
  one,
  plus,
  polynomial,
  scale,
  sub,
  times,
  twoSum,
} from "./double-double.ts";
import {
  exp,
  infinite,
  logExact,
  logOf,
  log1p,
  nan,
  pi,
  plain,
  sinCos,
} from "./exact-elementary.ts";
import { cosFixed, expFixed, fromFixed, ln2Fixed, piFixed, sinFixed } from "./fixed-point.ts";

/** Stirling's series is used from here on. */
const far = 24;
const seriesTerms = 18;

/** B₂, B₄, … as fractions, from Σ C(n + 1, k) Bₖ = 0 */
const bernoulli: readonly (readonly [p: bigint, q: bigint])[] = (() => {
  const all: [bigint, bigint][] = [[1n, 1n]];
  for (let n = 1n; n <= 40n; n++) {
    let [p, q, binomial] = [0n, 1n, 1n];
    for (let k = 0n; k < n; k++) {
      const [bp, bq] = all[Number(k)] as [bigint, bigint];
      [p, q] = [p * bq + binomial * bp * q, q * bq];
      binomial = (binomial * (n + 1n - k)) / (k + 1n);
    }
    const [x, y] = [-p, q * (n + 1n)];
    let [a, b] = [x < 0n ? -x : x, y];
    while (b !== 0n) [a, b] = [b, a % b];
    all.push([x / a, y / a]);
  }
  return all.filter((_, k) => k > 0 && k % 2 === 0);
})();
const bits = 256;
const unit = 1n << BigInt(bits);
const piBits = piFixed(bits);
const ln2Bits = ln2Fixed(bits);
/** Bₙ·scale(n), n = 2, 4, … in fixed point */
const bernoulliFixed = (divisor: (n: bigint) => bigint): readonly bigint[] =>
  bernoulli.map(([p, q], k) => (p * unit) / (q * divisor(2n * BigInt(k + 1))));
const lgammaSeries = bernoulliFixed((n) => n * (n - 1n));
const digammaSeries = bernoulliFixed((n) => n);
const short = (series: readonly bigint[]): readonly DD[] =>
  series.slice(0, seriesTerms).map((c) => fromFixed(c, bits));
const lgammaTerms = short(lgammaSeries);
const digammaTerms = short(digammaSeries);
const halfLogTwoPi = scale(logExact(exact(pi, 1)), -1);

// ---- in double-double, with an absolute error of some 2⁻¹⁰⁰ of the largest term ----

/** The largest term in magnitude beside a sum: says how much cancels. */
interface Sum {
  readonly value: DD;
  readonly largest: number;
}
/** log Γ(x), 0 < x < 2⁹⁰⁰ */
function lgammaPositive(x: DD): Sum {
  let product = one;
  let z = x;
  for (; z.hi < far; z = plus(z, 1)) product = mul(product, z);
  const w = div(one, z);
  const log = logExact(exact(z));
  const main = sub(mul(plus(z, -0.5), log), z);
  const tail = mul(w, polynomial(mul(w, w), lgammaTerms));
  const stirling = add(add(main, halfLogTwoPi), tail);
  return { value: sub(stirling, logExact(exact(product))), largest: Math.abs(main.hi) };
}
/** ψ(x), x > 0 */
function digammaPositive(x: DD): Sum {
  let sum = dd(0);
  let z = x;
  for (; z.hi < far; z = plus(z, 1)) sum = add(sum, div(one, z));
  const w = div(one, z);
  const w2 = mul(w, w);
  const log = logExact(exact(z));
  const stirling = sub(sub(log, scale(w, -1)), mul(w2, polynomial(w2, digammaTerms)));
  return { value: sub(stirling, sum), largest: Math.max(log.hi, sum.hi) };
}
/** sin πx and cos πx up to a common sign */
const sinCosPi = (x: number) => sinCos(times(pi, x - Math.round(x)));

// ---- in fixed point, near zeros ----

/** log n, n > 0, by a step of Newton's method from a double-double */
function logFixed(n: bigint): bigint {
  const shift = BigInt(exponentOf(Number(n)) - bits);
  const m = shift >= 0n ? n >> shift : n << -shift;
  const guess = logExact(exact(fromFixed(m, bits)));
  const start = toFixed(guess.hi) + toFixed(guess.lo);
  const estimate = expFixed(start, bits);
  return shift * ln2Bits + start + quotient(m - estimate, estimate);
}
/** x·2^bits, for a float64 of at least 2⁻²⁰⁰ */
function toFixed(x: number): bigint {
  if (x === 0) return 0n;
  const [m, e] = frexp(x);
  const shift = BigInt(e - 52 + bits);
  const n = BigInt(m * 2 ** 52);
  return shift >= 0n ? n << shift : n >> -shift;
}
const product = (a: bigint, b: bigint): bigint => (a * b) >> BigInt(bits);
const quotient = (a: bigint, b: bigint): bigint => (a << BigInt(bits)) / b;
/** Σ cₖ w^(2k + 1) */
const oddSeries = (w: bigint, c: readonly bigint[]): bigint => {
  const w2 = product(w, w);
  return product(
    w,
    c.reduceRight((sum, k) => product(sum, w2) + k, 0n),
  );
};
const halfLogTwoPiBits = logFixed(2n * piBits) >> 1n;
const fixedFar = BigInt(60) << BigInt(bits);

function lgammaPositiveFixed(x: bigint): bigint {
  let [z, factors] = [x, unit];
  for (; z < fixedFar; z += unit) factors = product(factors, z);
  const main = product(z - (unit >> 1n), logFixed(z)) - z;
  return main + halfLogTwoPiBits + oddSeries(quotient(unit, z), lgammaSeries) - logFixed(factors);
}
function digammaPositiveFixed(x: bigint): bigint {
  let [z, sum] = [x, 0n];
  for (; z < fixedFar; z += unit) sum += quotient(unit, z);
  const w = quotient(unit, z);
  return logFixed(z) - (w >> 1n) - product(w, oddSeries(w, digammaSeries)) - sum;
}
const anglePi = (x: number): bigint => product(piBits, toFixed(x - Math.round(x)));
function lgammaFixed(x: number): bigint {
  const n = toFixed(x);
  if (x > 0) return lgammaPositiveFixed(n);
  const sine = sinFixed(anglePi(x), bits);
  const below = product(-n, sine < 0n ? -sine : sine);
  return logFixed(quotient(piBits, below)) - lgammaPositiveFixed(-n);
}
function digammaFixed(x: number): bigint {
  const n = toFixed(x);
  if (x > 0) return digammaPositiveFixed(n);
  const a = anglePi(x);
  const cotangent = quotient(cosFixed(a, bits), sinFixed(a, bits));
  return digammaPositiveFixed(unit - n) - product(piBits, cotangent);
}
/** The sum, or its terms again in fixed point where too much cancels. */
const careful = ({ value, largest }: Sum, x: number, again: (x: number) => bigint): Exact =>
  exact(Math.abs(value.hi) < largest * 2 ** -12 ? fromFixed(again(x), bits) : value);

// ---- functions of float64 ----

const isPole = (x: number): boolean => x <= 0 && Number.isInteger(x);

function lgammaOf(x: number): Exact {
  if (Number.isNaN(x)) return nan;
  if (isPole(x) || !Number.isFinite(x)) return infinite();
  if (x === 1 || x === 2) return plain(0);
  const a = Math.abs(x);
  if (a < 2 ** -110) return exact(neg(logOf(a)));
  if (a > 2 ** 120) {
    const [m, e] = frexp(a);
    return exact(times(plus(logOf(a), -1), m), e);
  }
  const positive = lgammaPositive(dd(a));
  if (x > 0) return careful(positive, x, lgammaFixed);
  const { sin } = sinCosPi(x);
  const below = mul(sin.hi < 0 ? neg(sin) : sin, dd(a));
  const reflected = logExact(exact(div(pi, below)));
  return careful(
    {
      value: sub(reflected, positive.value),
      largest: Math.max(Math.abs(reflected.hi), positive.largest),
    },
    x,
    lgammaFixed,
  );
}
function digammaOf(x: number): Exact {
  if (isPole(x) || Number.isNaN(x) || x === Number.NEGATIVE_INFINITY) return nan;
  if (x === Number.POSITIVE_INFINITY) return infinite();
  if (Math.abs(x) < 2 ** -110) {
    const [m, e] = frexp(x);
    return exact(div(dd(-1), dd(m)), -e);
  }
  if (x > 2 ** 120) return exact(logOf(x));
  if (x > 0) return careful(digammaPositive(dd(x)), x, digammaFixed);
  const positive = digammaPositive(twoSum(1, -x));
  const { sin, cos } = sinCosPi(x);
  const cotangent = mul(pi, div(cos, sin));
  return careful(
    {
      value: sub(positive.value, cotangent),
      largest: Math.max(positive.largest, Math.abs(cotangent.hi)),
    },
    x,
    digammaFixed,
  );
}

/** B₂ⱼ/(2j)! */
const eulerMaclaurin = (() => {
  let factorial = 1n;
  return short(
    bernoulliFixed((n) => {
      factorial *= n * (n - 1n);
      return factorial;
    }),
  );
})();
/** ζ(s, q) = q⁻ˢ Σ (1 + k/q)⁻ˢ for s > 1, q > 0 by Euler and Maclaurin's formula */
function zetaPositive(s: number, q: number): Exact {
  if (q === Number.POSITIVE_INFINITY || s === Number.POSITIVE_INFINITY)
    return q < 1 && s > q ? infinite() : plain(q === 1 ? 1 : 0);
  const logQ = logOf(q);
  const lead = times(logQ, -s);
  if (Math.abs(lead.hi) > 1e6) return lead.hi > 0 ? infinite() : plain(0);
  const front = exp(lead);
  if (q < 2 ** -130) return front;
  const power = (a: DD): DD => {
    const e = exp(times(log1p(div(sub(a, dd(q)), dd(q))), -s));
    return scale(e, Math.max(e.exp, -300));
  };
  let sum = dd(0);
  let a = dd(q);
  for (; a.hi < far + s; a = plus(a, 1)) {
    const t = power(a);
    sum = add(sum, t);
    if (t.hi < sum.hi * 2 ** -130) return exact(mul(front, sum), front.exp);
  }
  const last = power(a);
  const w = div(one, a);
  let term = times(mul(last, w), s);
  let rest = add(div(mul(a, last), twoSum(s, -1)), scale(last, -1));
  eulerMaclaurin.forEach((c, j) => {
    rest = add(rest, mul(c, term));
    term = mul(mul(mul(term, twoSum(s, 2 * j + 1)), twoSum(s, 2 * j + 2)), mul(w, w));
  });
  return exact(mul(front, add(sum, rest)), front.exp);
}
const zetaOf = (s: number, q: number): Exact =>
  !(s >= 1) || !(q > 0) ? nan : s === 1 ? infinite() : zetaPositive(s, q);
/** (−1)^(m + 1) m! ζ(m + 1, x) */
function polygammaOf(m: number, x: number): Exact {
  if (m === 0) return digammaOf(x);
  let z = zetaOf(m + 1, x);
  for (let k = 2; k <= m; k++) z = exact(times(z, k), z.exp);
  return m % 2 === 0 ? exact(neg(z), z.exp) : z;
}

export const gammaFunctions = {
  lgamma: lgammaOf,
  digamma: digammaOf,
  zeta: zetaOf,
  polygamma: polygammaOf,
};
