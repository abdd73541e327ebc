/** Inverse trigonometric functions, in float64. */
import {
  add,
  and,
  compare,
  div,
  type Expr,
  mul,
  neg,
  polynomial,
  select,
  sub,
  unary,
} from "../expr.ts";
import { abs, i, isZero, like, lt, upperBits, withSign } from "./arithmetic.ts";

/** what π/2 is more than its float64 */
const more = 6.123233995736766e-17;

/** The angle of the point (±b, a), a, b ≥ 0, −b where it is `negative`: t·π/4, t a whole number, and what is left, whose tangent q is
 *  at most 0.66.
 *  @source S. L. Moshier, Cephes 2.8, atan */
function angle(a: Expr, b: Expr, negative: Expr | null): Expr {
  const steep = lt(mul(b, like(a, Math.SQRT2 + 1)), a);
  const middle = lt(mul(b, like(a, 0.66)), a);
  const choose = (up: Expr, between: Expr, down: Expr): Expr =>
    select(steep, up, select(middle, between, down));
  const mirrored = (x: Expr, from: number): Expr =>
    negative === null ? x : select(negative, sub(like(x, from), x), x);
  const t = mirrored(choose(like(a, 2), like(a, 1), like(a, 0)), 4);
  const q = mirrored(div(choose(neg(b), sub(a, b), a), choose(a, add(a, b), b)), 0);
  const z = mul(q, q);
  const p = polynomial(
    z,
    [
      -64.85021904942025, -122.88666844901361, -75.00855792314705, -16.157537187333652,
      -0.8750608600031904,
    ],
  );
  const r = polynomial(
    z,
    [
      194.5506571482614, 485.3903996359137, 432.88106049129027, 165.02700983169885,
      24.858464901423062, 1,
    ],
  );
  const rest = add(q, add(mul(q, div(mul(z, p), r)), mul(t, like(a, more / 2))));
  return add(mul(t, like(a, Math.PI / 4)), rest);
}
/** √(1 − x²) */
function complement(x: Expr): Expr {
  const one = like(x, 1);
  return unary("sqrt", mul(sub(one, x), add(one, x)));
}

export const atan = (x: Expr): Expr => withSign(angle(abs(x), like(x, 1), null), x);
export const asin = (x: Expr): Expr => withSign(angle(abs(x), complement(x), null), x);
export const acos = (x: Expr): Expr => angle(complement(x), abs(x), lt(x, 0));

export function atan2(y: Expr, x: Expr): Expr {
  const [a, b] = [abs(y), abs(x)];
  const both = (test: (e: Expr) => Expr): Expr => and(test(a), test(b));
  const infinite = both((e) => compare("eq", e, like(e, Number.POSITIVE_INFINITY)));
  const zero = both(isZero);
  // a + b is not to overflow, nor to be a multiple of the least number
  const one = like(x, 1);
  const size = add(a, b);
  const small = select(lt(size, 2 ** -900), like(x, 2 ** 60), one);
  const scale = select(lt(like(x, 2 ** 1000), size), like(x, 0.25), small);
  const [u, v] = [a, b].map((e) => select(infinite, one, mul(e, scale))) as [Expr, Expr];
  const negative = compare("lt", upperBits(x), i(0));
  return withSign(angle(u, select(zero, one, v), negative), y);
}
