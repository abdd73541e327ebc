/** Elementary functions to about 95 bits: tables made in fixed point, short Taylor series, Newton's method for the inverses. */
import {
  add,
  type DD,
  dd,
  div,
  type Exact,
  exact,
  exponentOf,
  fraction,
  frexp,
  ldexp,
  mul,
  neg,
  one,
  plus,
  scale,
  sqrt,
  sub,
  times,
  twoProduct,
  twoSum,
} from "./double-double.ts";
import { cosFixed, expFixed, fromFixed, ln2Fixed, piFixed, sinFixed } from "./fixed-point.ts";

const bits = 160;
export const pi = fromFixed(piFixed(bits), bits);
const halfPi = scale(pi, -1);
export const ln2 = fromFixed(ln2Fixed(bits), bits);
const table = (length: number, entry: (k: number) => bigint): readonly DD[] =>
  Array.from({ length }, (_, k) => fromFixed(entry(k), bits));

export const nan = exact(dd(Number.NaN));
export const infinite = (sign = 1): Exact => exact(dd(sign * Number.POSITIVE_INFINITY));
export const plain = (x: number): Exact => exact(dd(x));

// ---- exponential ----

const steps = 256;
/** 2^(k/256) */
const powers = table(steps, (k) => expFixed((ln2Fixed(bits) * BigInt(k)) / BigInt(steps), bits));
const stepLog = scale(ln2, -8);
const factorials = [1, 2, 6, 24].map((n) => fraction(1, n));
/** eʳ − 1 for |r| ≤ log(2)/512, to a relative 2⁻¹⁰⁰ */
function expm1Near(r: DD): DD {
  const h = r.hi;
  // beyond r⁴ the terms are below 2⁻⁵² of the sum
  let sum = dd(h * (1 / 120 + h * (1 / 720 + h * (1 / 5040 + h * (1 / 40320)))));
  sum = mul(add(sum, factorials[3] as DD), r);
  sum = mul(add(sum, factorials[2] as DD), r);
  sum = mul(add(sum, factorials[1] as DD), r);
  return mul(add(sum, factorials[0] as DD), r);
}
/** x = (256n + k)·log(2)/256 + r */
function reduceExp(x: DD): { n: number; k: number; r: DD } {
  const turns = Math.round((x.hi * steps) / Math.LN2);
  const k = ((turns % steps) + steps) % steps;
  return { n: (turns - k) / steps, k, r: sub(x, times(stepLog, turns)) };
}
/** eˣ, |x| < 2²⁰ */
export function exp(x: DD): Exact {
  const { n, k, r } = reduceExp(x);
  const t = powers[k] as DD;
  return exact(add(t, mul(t, expm1Near(r))), n);
}
/** eˣ where float64 has it with room to spare, |x| < 600 */
export const expPlain = (x: DD): DD => {
  const e = exp(x);
  return scale(e, e.exp);
};
/** eˣ − 1, |x| < 600 */
export function expm1(x: DD): DD {
  const { n, k, r } = reduceExp(x);
  if (n === 0 && k === 0) return expm1Near(r);
  const t = powers[k] as DD;
  return plus(scale(add(t, mul(t, expm1Near(r))), n), -1);
}

// ---- logarithm ----

const oddFractions = [1, 3, 5, 7, 9].map((n) => fraction(1, n));
/** log(1 + f) for |f| ≤ 2⁻⁶ as 2 atanh(f/(2 + f)) */
function log1pNear(f: DD): DD {
  const s = div(f, plus(f, 2));
  const z = mul(s, s);
  const h = z.hi;
  let sum = dd(h * (1 / 11 + h * (1 / 13 + h * (1 / 15 + h * (1 / 17)))));
  for (let k = 4; k >= 1; k--) sum = mul(add(sum, oddFractions[k] as DD), z);
  return times(mul(plus(sum, 1), s), 2);
}
/** log m, e⁻⁶⁰⁰ < m < e⁶⁰⁰, by a step of Newton's method where m is not near 1 */
export function log(m: DD): DD {
  const f = plus(m, -1);
  if (Math.abs(f.hi) <= 2 ** -6) return log1pNear(f);
  const guess = Math.log(m.hi);
  const d = plus(mul(m, expPlain(dd(-guess))), -1);
  return add(dd(guess), sub(d, scale(mul(d, d), -1)));
}
export const log1p = (f: DD): DD => (Math.abs(f.hi) <= 2 ** -6 ? log1pNear(f) : log(plus(f, 1)));
/** log(m·2^e) of a positive number */
export function logExact(x: Exact): DD {
  const shift = exponentOf(x.hi);
  const m = { hi: ldexp(x.hi, -shift), lo: ldexp(x.lo, -shift) };
  const e = x.exp + shift;
  // m near 2 must not cancel against log 2
  return m.hi > Math.SQRT2 ? add(log(scale(m, -1)), times(ln2, e + 1)) : add(log(m), times(ln2, e));
}
export const logOf = (x: number): DD => logExact(plain(x));

// ---- sine and cosine ----

const grid = 64;
const sines = table(102, (k) => sinFixed(BigInt(k) << BigInt(bits - 6), bits));
const cosines = table(102, (k) => cosFixed(BigInt(k) << BigInt(bits - 6), bits));
const sineTerms = [-6, 120].map((n) => fraction(1, n));
const cosineTerms = [-2, 24, -720].map((n) => fraction(1, n));
export interface SinCos {
  readonly sin: DD;
  readonly cos: DD;
}
/** of an angle with |r| ≤ π/2 */
export function sinCos(r: DD): SinCos {
  if (r.hi < 0) {
    const { sin, cos } = sinCos(neg(r));
    return { sin: neg(sin), cos };
  }
  const k = Math.round(r.hi * grid);
  const t = plus(r, -k / grid);
  const z = mul(t, t);
  const h = z.hi;
  let s = dd(h * (-1 / 5040 + h * (1 / 362880 - h / 39916800)));
  s = mul(add(s, sineTerms[1] as DD), z);
  s = mul(add(s, sineTerms[0] as DD), z);
  const sinT = add(t, mul(t, s));
  let c = dd(h * (1 / 40320 - h * (1 / 3628800 - h / 479001600)));
  for (let i = 2; i >= 0; i--) c = mul(add(c, cosineTerms[i] as DD), z);
  if (k === 0) return { sin: sinT, cos: plus(c, 1) };
  const [sk, ck] = [sines[k] as DD, cosines[k] as DD];
  return {
    sin: add(sk, add(mul(sk, c), mul(ck, sinT))),
    cos: add(ck, sub(mul(ck, c), mul(sk, sinT))),
  };
}

/** Fraction bits of a number of quarter turns: no float64 is closer than 2⁻⁶² to a whole one. */
const turnBits = 224;
const inverseBits = 1400;
/** 2/π */
const perQuarter = (1n << BigInt(2 * inverseBits + 1)) / piFixed(inverseBits);
const turnMask = (1n << BigInt(turnBits + 2)) - 1n;
const windows = new Map<number, bigint>();
/** The bits of 2^e·2/π that count modulo 4 */
function turnsWindow(e: number): bigint {
  let w = windows.get(e);
  if (w === undefined) {
    w = (perQuarter >> BigInt(inverseBits - turnBits - e)) & turnMask;
    windows.set(e, w);
  }
  return w;
}
/** x = (4m + quarters)·π/2 + rest with |rest| ≤ π/4, exactly for every float64
 *  @source M. H. Payne, R. N. Hanek 1983, Radian reduction for trigonometric functions, SIGNUM Newsletter 18 */
export function reduceAngle(x: number): { quarters: number; rest: DD } {
  if (Math.abs(x) < 0.78) return { quarters: 0, rest: dd(x) };
  const [m, e] = frexp(x);
  const turns = (BigInt(m * 2 ** 52) * turnsWindow(e - 52)) & turnMask;
  const whole = (turns + (1n << BigInt(turnBits - 1))) >> BigInt(turnBits);
  const rest = fromFixed(turns - (whole << BigInt(turnBits)), turnBits);
  return { quarters: Number(whole & 3n), rest: mul(rest, halfPi) };
}
/** of a finite angle of at least 2⁻³⁰⁰ */
export function sinCosOf(x: number): SinCos {
  const { quarters, rest } = reduceAngle(x);
  const { sin, cos } = sinCos(rest);
  switch (quarters) {
    case 0:
      return { sin, cos };
    case 1:
      return { sin: cos, cos: neg(sin) };
    case 2:
      return { sin: neg(sin), cos: neg(cos) };
    default:
      return { sin: neg(cos), cos: sin };
  }
}

// ---- inverses ----

/** The angle in (−π, π] of the point (c, s): a guess and the small angle from there */
export function angle(s: DD, c: DD): DD {
  const guess = Math.atan2(s.hi, c.hi);
  const at = sinCosOf(guess);
  const d = div(sub(mul(s, at.cos), mul(c, at.sin)), add(mul(c, at.cos), mul(s, at.sin)));
  return add(dd(guess), d); // d − d³/3 …, |d| < 2⁻⁵⁰
}
/** √(1 − x²) */
const coSine = (x: number): DD => sqrt(mul(twoSum(1, x), twoSum(1, -x)));

// ---- functions of a float64, at every argument ----

/** f where a function is not its own argument to half an ulp of anything; odd functions with f(x) = x + O(x³) */
const odd =
  (f: (x: number) => Exact, limit: (sign: number) => Exact) =>
  (x: number): Exact => {
    if (Number.isNaN(x)) return nan;
    if (Math.abs(x) < 2 ** -120) return plain(x);
    return Number.isFinite(x) ? f(x) : limit(Math.sign(x));
  };
/** x + cx² for a tiny x: the second term may tip a tie */
const nearlyItself = (x: number, c: number): Exact => exact(dd(x, c * x * x));
const undefinedAt = (): Exact => nan;

const expOf = (x: number): Exact =>
  Number.isNaN(x) ? nan : x > 1e6 ? infinite() : x < -1e6 ? plain(0) : exp(dd(x));
function exp2Of(x: number): Exact {
  if (!(Math.abs(x) <= 1e6)) return Number.isNaN(x) ? nan : x > 0 ? infinite() : plain(0);
  const n = Math.round(x);
  const e = exp(times(ln2, x - n));
  return exact(e, e.exp + n);
}
function expm1Of(x: number): Exact {
  if (Number.isNaN(x)) return nan;
  if (Math.abs(x) < 2 ** -110) return nearlyItself(x, 0.5);
  if (x > 80) return expOf(x); // less by 2⁻¹¹⁵
  return x < -80 ? exact(dd(-1, Math.exp(x))) : exact(expm1(dd(x)));
}
/** c·log x */
const logTimes =
  (c: DD) =>
  (x: number): Exact => {
    if (!(x > 0)) return x === 0 ? infinite(-1) : nan;
    return x === Number.POSITIVE_INFINITY ? infinite() : exact(mul(logOf(x), c));
  };
function log1pOf(x: number): Exact {
  if (Math.abs(x) < 2 ** -110) return nearlyItself(x, -0.5);
  if (!(x > -1)) return x === -1 ? infinite(-1) : nan;
  if (x > 2 ** 110) return logTimes(one)(x);
  return exact(Math.abs(x) < 2 ** -6 ? log1p(dd(x)) : logExact(exact(twoSum(1, x))));
}

/** sinh and cosh as (e^|x| ∓ e^−|x|)/2 */
function hyperbolic(x: number, sign: 1 | -1): Exact {
  const grown = exp(dd(Math.abs(x)));
  if (Math.abs(x) > 40) return exact(grown, grown.exp - 1);
  const e = scale(grown, grown.exp);
  return exact(scale(add(e, times(div(one, e), sign)), -1));
}
const sinhOf = odd((x) => {
  if (Math.abs(x) > 1e6) return infinite(Math.sign(x));
  if (Math.abs(x) > 1) {
    const y = hyperbolic(x, -1);
    return x < 0 ? exact(neg(y), y.exp) : y;
  }
  const e = expm1(dd(x));
  return exact(scale(add(e, div(e, plus(e, 1))), -1));
}, infinite);
const coshOf = (x: number): Exact =>
  Number.isNaN(x) ? nan : Math.abs(x) > 1e6 ? infinite() : hyperbolic(x, 1);
const tanhOf = odd(
  (x) => {
    if (Math.abs(x) > 40) return exact(dd(Math.sign(x), -Math.sign(x) * 2 ** -110));
    const e = expm1(dd(2 * x));
    return exact(div(e, plus(e, 2)));
  },
  (sign) => plain(sign),
);
const asinhOf = odd((x) => {
  const a = Math.abs(x);
  let y: DD;
  if (a > 2 ** 60) y = logExact(exact(dd(a), 1));
  else {
    const z = twoProduct(a, a);
    y = log1p(add(dd(a), div(z, plus(sqrt(plus(z, 1)), 1))));
  }
  return exact(x < 0 ? neg(y) : y);
}, infinite);
function acoshOf(x: number): Exact {
  if (!(x >= 1)) return nan;
  if (x === Number.POSITIVE_INFINITY) return infinite();
  if (x > 2 ** 60) return exact(logExact(exact(dd(x), 1)));
  const t = twoSum(x, -1);
  return exact(x === 1 ? dd(0) : logOrLog1p(add(t, sqrt(mul(t, twoSum(x, 1))))));
}
const logOrLog1p = (f: DD): DD => (f.hi < 2 ** -6 ? log1p(f) : logExact(exact(plus(f, 1))));
const atanhOf = odd((x) => {
  if (Math.abs(x) >= 1) return Math.abs(x) === 1 ? infinite(x) : nan;
  const a = Math.abs(x);
  const y = scale(logOrLog1p(div(dd(2 * a), twoSum(1, -a))), -1);
  return exact(x < 0 ? neg(y) : y);
}, undefinedAt);

function atan2Of(y: number, x: number): Exact {
  if (Number.isNaN(x) || Number.isNaN(y)) return nan;
  const sign = y < 0 || Object.is(y, -0) ? -1 : 1;
  const signed = (a: DD): Exact => exact(times(a, sign));
  if (y === 0 || x === Number.POSITIVE_INFINITY || x === Number.NEGATIVE_INFINITY || x === 0) {
    const right = x > 0 || Object.is(x, 0);
    if (Math.abs(y) === Number.POSITIVE_INFINITY && x !== 0)
      return signed(scale(times(pi, right ? 1 : 3), -2));
    if (y !== 0 && x === 0) return signed(halfPi);
    return right ? plain(sign * 0) : signed(pi);
  }
  if (!Number.isFinite(y)) return signed(halfPi);
  const [my, ey] = frexp(Math.abs(y));
  const [mx, ex] = frexp(x);
  const e = ey - ex;
  if (e < -130) {
    const ratio = div(dd(my), dd(Math.abs(mx)));
    return x > 0 ? exact(times(ratio, sign), e) : signed(plus(pi, -ldexp(ratio.hi, e)));
  }
  if (e > 130) return signed(plus(halfPi, -ldexp(mx / my, -e)));
  return signed(angle(dd(my), scale(dd(mx), -e)));
}

/** xʸ for every exponent of the result */
function powOf(x: number, y: number): Exact {
  const simple = x ** y;
  // C's pow; JavaScript says NaN
  if (x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY)) return plain(1);
  if (x === 0 || y === 0 || !Number.isFinite(x) || !Number.isFinite(y) || Number.isNaN(simple))
    return plain(simple);
  const sign = x < 0 && Math.abs(y) % 2 === 1 ? -1 : 1;
  if (x === -1) return plain(sign);
  // |log |x|| ≥ 2⁻⁵³
  if (Math.abs(y) > 2 ** 100) return Math.abs(x) > 1 === y > 0 ? infinite(sign) : plain(sign * 0);
  const [m, e] = frexp(Math.abs(x));
  // y·log|x| in which log|x| = e·log 2 + log m, e·y exact where it is not far out of range
  const t = times(
    m > Math.SQRT2 ? add(log(dd(m / 2)), times(ln2, e + 1)) : add(log(dd(m)), times(ln2, e)),
    y,
  );
  if (!(Math.abs(t.hi) < 2e6)) return t.hi > 0 ? infinite(sign) : plain(sign * 0);
  if (Math.abs(t.hi) < 2 ** -120) return exact(times(dd(1, t.hi), sign));
  const p = exp(t);
  return exact(times(p, sign), p.exp);
}

function rootOf(x: number, k: 2 | 3, root: (m: DD) => DD): Exact {
  if (x === 0 || Number.isNaN(x) || !Number.isFinite(x)) return plain(x);
  const [m, e] = frexp(x);
  const shift = ((e % k) + k) % k;
  return exact(root(dd(m * 2 ** shift)), (e - shift) / k);
}
const sqrtOf = (x: number): Exact => (x < 0 ? nan : rootOf(x, 2, sqrt));
function rsqrtOf(x: number): Exact {
  if (x === 0) return infinite(Object.is(x, -0) ? -1 : 1);
  if (x === Number.POSITIVE_INFINITY) return plain(0);
  const s = sqrtOf(x);
  return Number.isNaN(s.hi) ? nan : exact(div(one, s), -s.exp);
}
/** y − (y³ − m)/(3y²) twice */
const cubeRoot = (m: DD): DD => {
  let y = dd(Math.cbrt(m.hi));
  for (let i = 0; i < 2; i++) {
    const z = mul(y, y);
    y = sub(y, div(sub(mul(z, y), m), times(z, 3)));
  }
  return y;
};

function logisticOf(x: number): Exact {
  if (Number.isNaN(x)) return nan;
  if (x > 80) return exact(dd(1, -Math.exp(-x)));
  if (x < -80) return expOf(x);
  const e = expPlain(dd(-x));
  return exact(div(one, plus(e, 1)));
}

/** Correct values of functions of one or two float64 */
export const elementary = {
  exp: expOf,
  exp2: exp2Of,
  expm1: expm1Of,
  log: logTimes(one),
  log2: logTimes(div(one, ln2)),
  log10: logTimes(div(one, logOf(10))),
  log1p: log1pOf,
  sin: odd((x) => exact(sinCosOf(x).sin), undefinedAt),
  cos: (x: number): Exact =>
    !Number.isFinite(x) ? nan : Math.abs(x) < 2 ** -120 ? plain(1) : exact(sinCosOf(x).cos),
  tan: odd((x) => {
    const { sin, cos } = sinCosOf(x);
    return exact(div(sin, cos));
  }, undefinedAt),
  asin: odd((x) => (Math.abs(x) > 1 ? nan : exact(angle(dd(x), coSine(x)))), undefinedAt),
  acos: (x: number): Exact =>
    !(Math.abs(x) <= 1) ? nan : x === 1 ? plain(0) : exact(angle(coSine(x), dd(x))),
  atan: odd(
    (x) => atan2Of(x, 1),
    (sign) => exact(times(halfPi, sign)),
  ),
  atan2: atan2Of,
  sinh: sinhOf,
  cosh: coshOf,
  tanh: tanhOf,
  asinh: asinhOf,
  acosh: acoshOf,
  atanh: atanhOf,
  sqrt: sqrtOf,
  rsqrt: rsqrtOf,
  cbrt: (x: number): Exact => rootOf(x, 3, cubeRoot),
  pow: powOf,
  logistic: logisticOf,
};
