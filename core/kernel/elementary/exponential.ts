/** Exponentials and hyperbolic functions: x = n·log 2 + r with |r| ≤ ½ log 2, eˣ = 2ⁿ·(1 + (eʳ − 1)). */
import { add, binary, div, type Expr, mul, select, sub } from "../expr.ts";
import {
  abs,
  atLeast,
  atMost,
  excess,
  fractionBits,
  fromUpper,
  iadd,
  inSquares,
  like,
  ln2,
  lt,
  oneBits,
  pairwise,
  powerOfTwo,
  realOf,
  rounded,
  shl,
  shr,
  withSign,
} from "./arithmetic.ts";

/** eʳ − 1 − r for |r| ≤ ½ log 2. float32: r²·p(r), p minimax of degree 4, to 2⁻²⁶ of eʳ − 1. float64: rc/(2 − c) with
 *  c = r − r²·p(r²).
 *  @source Sun Microsystems (1993), FreeBSD msun, e_exp.c, for float64 */
function expTail(r: Expr): Expr {
  const z = mul(r, r);
  if (r.dtype === "float32") {
    const p = [0.5, 0.16666542, 0.041666277, 0.008366778, 0.0013946778];
    return mul(z, pairwise(r, z, p));
  }
  const p = [
    0.16666666666666602, -0.0027777777777015593, 6.613756321437934e-5, -1.6533902205465252e-6,
    4.1381367970572385e-8,
  ];
  const c = sub(r, mul(z, inSquares(z, p)));
  return div(mul(r, c), sub(like(r, 2), c));
}
/** eʳ − 1 */
const expm1Near = (r: Expr): Expr => add(expTail(r), r);
/** e^(r + c) for a small c; of float64, what 1 + r rounds off is added to the tail */
export function expNear(r: Expr, c: Expr | null = null): Expr {
  const one = like(r, 1);
  if (r.dtype === "float32") return add(expm1Near(r), one);
  const s = add(one, r);
  const lost = add(sub(one, s), r);
  return add(s, add(expTail(r), c === null ? lost : add(lost, c)));
}
/** e·2ⁿ, 2ⁿ in two factors, so that results below the normal range are rounded once */
export function scaled(e: Expr, low: Expr): Expr {
  const d = realOf(e);
  const n = iadd(low, -excess[d]);
  const first = shl(shr(n, 1), fractionBits[d]);
  const second = binary("sub", shl(n, fractionBits[d]), first);
  const power = (bits: Expr): Expr => fromUpper(iadd(bits, oneBits[d]), d);
  return mul(mul(e, power(first)), power(second));
}
/** beyond them results are infinite, zero */
const largest = { float32: [89, -104], float64: [710, -746] } as const;
/** a − n·log 2 */
function rest(a: Expr, n: Expr): Expr {
  const [high, low] = ln2[realOf(a)];
  return sub(sub(a, mul(n, like(a, high))), mul(n, like(a, low)));
}

export function exp(x: Expr): Expr {
  const [high, low] = largest[realOf(x)];
  const a = atLeast(atMost(x, high), low);
  const { n, low: whole } = rounded(mul(a, like(a, Math.LOG2E)));
  return scaled(expNear(rest(a, n)), whole);
}
export function exp2(x: Expr): Expr {
  const [high, low] = largest[realOf(x)];
  const a = atLeast(atMost(x, high * 1.5), low * 1.5);
  const { n, low: whole } = rounded(a);
  return scaled(expNear(mul(sub(a, n), like(a, Math.LN2))), whole);
}

/** (2ⁿ·(eʳ − 1) + (2ⁿ − 1))·2^offset */
function scaledExpm1(r: Expr, whole: Expr, offset: number): Expr {
  const scale = powerOfTwo(whole, realOf(r), offset);
  return add(mul(expm1Near(r), scale), sub(scale, like(r, 2 ** offset)));
}
/** (eˣ − 1)/4 of x from −40 to a little beyond where eˣ overflows */
function quarterExpm1(a: Expr): Expr {
  const { n, low } = rounded(mul(a, like(a, Math.LOG2E)));
  return scaledExpm1(rest(a, n), low, -2);
}
/** x itself where |x| < 2⁻⁵⁴; zeros keep their sign, subnormal numbers their digits */
const unlessTiny = (x: Expr, y: Expr): Expr => select(lt(abs(x), 2 ** -54), x, y);

export function expm1(x: Expr): Expr {
  const [high] = largest[realOf(x)];
  return unlessTiny(x, mul(quarterExpm1(atLeast(atMost(x, high), -40)), like(x, 4)));
}
/** tanh x = s/(s + 2), s = e²|ˣ| − 1, with the sign of x */
export function tanh(x: Expr): Expr {
  // from there on it is 1
  const a = atMost(abs(x), x.dtype === "float32" ? 9.02 : 20);
  const { n, low } = rounded(mul(a, like(a, 2 * Math.LOG2E)));
  // n·log 2 is rounded, by less the more the result forgives
  const s = scaledExpm1(sub(add(a, a), mul(n, like(a, Math.LN2))), low, 0);
  return withSign(div(s, add(s, like(s, 2))), x);
}
/** (e|ˣ| − 1)/4 and e|ˣ|/2, which may be infinite */
function partsOf(x: Expr): readonly [Expr, Expr] {
  const [high] = largest[realOf(x)];
  const q = quarterExpm1(atMost(abs(x), high + 0.6));
  return [q, add(add(q, q), like(x, 0.5))];
}
/** ½(s + s/(s + 1)), s = e|ˣ| − 1 */
export function sinh(x: Expr): Expr {
  const [q, half] = partsOf(x);
  return unlessTiny(x, withSign(add(add(q, q), div(q, half)), x));
}
/** ½(e|ˣ| + 1/e|ˣ|) */
export function cosh(x: Expr): Expr {
  const [, half] = partsOf(x);
  return add(half, div(like(x, 0.25), half));
}
