/** Powers and the cube root, in float64. */
import {
  add,
  and,
  cast,
  compare,
  div,
  type Expr,
  mul,
  neg,
  or,
  polynomial,
  select,
  sub,
  unary,
} from "../expr.ts";
import {
  abs,
  atLeast,
  atMost,
  fromUpper,
  i,
  iadd,
  inSquares,
  isInteger,
  isZero,
  like,
  lt,
  rounded,
  upperBits,
  withSign,
} from "./arithmetic.ts";
import { exp, expNear, scaled } from "./exponential.ts";
import { log, split } from "./logarithm.ts";

const d = "float64";
/** x without the lower half of its digits: products of two such numbers are exact, or nearly */
const upper = (x: Expr): Expr => fromUpper(upperBits(x), d);

/** log₂ 3⁄2 and 2/(3 log 2), in two parts */
const log2Middle = [0.5849624872207642, 1.350039202129749e-8] as const;
const twoThirds = [0.9617967009544373, -7.028461650952758e-9] as const;

/** log₂ a for a > 0 as t + u, t with few digits: a = m·2ᵉ with m in [√3/2, √3), and m about 1 or 3/2.
 *  @source Sun Microsystems (1993), FreeBSD msun, e_pow.c */
function log2Parts(a: Expr): readonly [Expr, Expr] {
  const { m, e } = split(a, 0x3febb67a);
  const one = like(a, 1);
  const middle = lt(like(a, Math.sqrt(1.5)), m);
  const center = select(middle, like(a, 1.5), one);
  // s = (m − center)/(m + center) in two parts; log(m/center) = 2 artanh s
  const u = sub(m, center);
  const sum = add(m, center);
  const v = div(one, sum);
  const s = mul(u, v);
  const sHigh = upper(s);
  const tHigh = upper(sum);
  const tLow = sub(m, sub(tHigh, center));
  const sLow = mul(v, sub(sub(u, mul(sHigh, tHigh)), mul(sHigh, tLow)));
  const z = mul(s, s);
  const series = inSquares(
    z,
    [
      0.5999999999999946, 0.4285714285785502, 0.33333332981837743, 0.272728123808534,
      0.23066074577556175, 0.20697501780033842,
    ],
  );
  const r = add(mul(mul(z, z), series), mul(sLow, add(sHigh, s)));
  const zHigh = mul(sHigh, sHigh);
  const three = like(a, 3);
  const cHigh = upper(add(add(three, zHigh), r));
  const cLow = sub(r, sub(sub(cHigh, three), zHigh));
  const pu = mul(sHigh, cHigh);
  const pv = add(mul(sLow, cHigh), mul(cLow, s));
  const pHigh = upper(add(pu, pv));
  const pLow = sub(pv, sub(pHigh, pu));
  const [scale, scaleLow] = twoThirds;
  const base = (k: 0 | 1): Expr => select(middle, like(a, log2Middle[k]), like(a, 0));
  const high = mul(like(a, scale), pHigh);
  const low = add(
    add(mul(like(a, scaleLow), pHigh), mul(pLow, like(a, scale + scaleLow))),
    base(1),
  );
  const t = upper(add(add(add(high, low), base(0)), e));
  return [t, sub(low, sub(sub(sub(t, e), base(0)), high))];
}
/** aʸ = 2^(y·log₂ a) for finite a > 0 and |y| ≤ 2⁶⁶ */
function exactly(a: Expr, y: Expr): Expr {
  const [t, u] = log2Parts(a);
  const yHigh = upper(y);
  const between = (x: Expr, bound: number): Expr => atLeast(atMost(x, bound), -bound);
  // beyond them the result is infinite or zero
  const low = between(add(mul(sub(y, yHigh), t), mul(y, u)), 1);
  const high = between(mul(yHigh, t), 1100);
  const { n, low: whole } = rounded(add(low, high));
  const rest = sub(high, n);
  const part = upper(add(low, rest));
  const [ln2High, ln2Low] = [0.6931471824645996, -1.904654299957768e-9];
  const v = add(mul(sub(low, sub(part, rest)), like(a, Math.LN2)), mul(part, like(a, ln2Low)));
  const w = mul(part, like(a, ln2High));
  const z = add(w, v);
  const lost = sub(v, sub(z, w));
  return scaled(expNear(z, add(lost, mul(z, lost))), whole);
}
/** e^(y·log a), to the precision of float32 */
const roughly = (a: Expr, y: Expr): Expr => exp(mul(y, log(a)));

/** IEEE pow. */
export function pow(x: Expr, exponent: Expr, precise: boolean): Expr {
  const a = abs(x);
  // no a but 1 has a finite power beyond
  const y = atLeast(atMost(exponent, 2 ** 66), -(2 ** 66));
  const magnitude = (precise ? exactly : roughly)(a, y);
  const one = like(x, 1);
  const real = select(
    or(compare("ge", x, like(x, 0)), isInteger(y)),
    magnitude,
    like(x, Number.NaN),
  );
  const end = or(isZero(a), compare("eq", a, like(a, Number.POSITIVE_INFINITY)));
  const atEnd = select(lt(y, 0), div(one, a), select(lt(like(y, 0), y), a, y));
  const odd = and(isInteger(y), unary("not", isInteger(mul(y, like(y, 0.5)))));
  const value = select(end, atEnd, real);
  const negative = and(odd, compare("lt", upperBits(x), i(0)));
  return select(or(isZero(y), compare("eq", x, one)), one, select(negative, neg(value), value));
}

/** ∛x: a guess from a third of the exponent, a polynomial that brings it to 20 bits, and a step of Halley's method
 *  @source Sun Microsystems (1993) and B. D. Evans, FreeBSD msun, s_cbrt.c */
export function cbrt(x: Expr): Expr {
  const magnitude = abs(x);
  const tiny = lt(magnitude, 2 ** -1022);
  const a = select(tiny, mul(magnitude, like(x, 2 ** 54)), magnitude);
  const third = mul(cast(upperBits(a), "float32"), like(cast(x, "float32"), 1 / 3));
  const guess = fromUpper(iadd(cast(third, "int32"), 715094163), d);
  const r0 = mul(mul(guess, guess), div(guess, a));
  const t = upper(
    mul(
      guess,
      polynomial(
        r0,
        [
          1.87595182427177, -1.8849797954337717, 1.6214297201053545, -0.758397934778766,
          0.14599619288661245,
        ],
      ),
    ),
  );
  const r = div(a, mul(t, t));
  const root = add(t, mul(t, div(sub(r, t), add(add(t, t), r))));
  const value = withSign(mul(root, select(tiny, like(x, 2 ** -18), like(x, 1))), x);
  // 0, ∞ and NaN are their own
  return select(and(lt(like(x, 0), magnitude), lt(magnitude, Number.POSITIVE_INFINITY)), value, x);
}
