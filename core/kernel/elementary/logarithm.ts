/** Logarithms and inverse hyperbolic functions: log x = e·log 2 + log m with m in [√½, √2). */
import {
  add,
  and,
  binary,
  cast,
  compare,
  div,
  type Expr,
  mul,
  neg,
  select,
  sub,
  unary,
} from "../expr.ts";
import {
  abs,
  fractionBits,
  fromUpper,
  i,
  iadd,
  iand,
  inSquares,
  isZero,
  like,
  ln2,
  lt,
  oneBits,
  pairwise,
  realOf,
  shr,
  upperBits,
  withSign,
} from "./arithmetic.ts";

/** the word of √½, rounded down */
const sqrtHalf = { float32: 0x3f3504f3, float64: 0x3fe6a09e } as const;

export interface Split {
  /** in [start, 2·start) */
  readonly m: Expr;
  /** a whole number */
  readonly e: Expr;
}
/** x = m·2ᵉ for finite x > 0, or only x ≥ 2⁻¹⁰⁰ (`normal`); `start` is the upper word of the least m. */
export function split(x: Expr, start: number, normal = false): Split {
  const d = realOf(x);
  const tiny = lt(x, d === "float32" ? 2 ** -126 : 2 ** -1000);
  // float64: the inverse of the power of two below is to be a normal number
  const [up, down] = d === "float32" ? [23, 0] : [54, -2];
  const by = (power: number): Expr => like(x, 2 ** power);
  const scaled =
    normal && down === 0 ? x : mul(x, normal ? by(down) : select(tiny, by(up), by(down)));
  const offset = iadd(upperBits(scaled), -start);
  const whole = shr(offset, fractionBits[d]);
  const e = normal ? iadd(whole, -down) : binary("sub", whole, select(tiny, i(up), i(down)));
  const mask = 2 ** fractionBits[d] - 1;
  const m =
    d === "float32"
      ? fromUpper(iadd(iand(offset, mask), start), d)
      : mul(scaled, fromUpper(binary("sub", i(oneBits[d]), iand(offset, ~mask)), d));
  return { m, e: cast(e, d) };
}

/** log(1 + f) + e·log 2 + c, √½ ≤ 1 + f < √2, for a small c
 *  @source float32: S. L. Moshier, Cephes 2.8, logf; float64: Sun Microsystems (1993), FreeBSD msun, e_log.c */
function sum(f: Expr, e: Expr, c: Expr | null): Expr {
  const [high, low] = ln2[realOf(f)];
  const z = mul(f, f);
  const halfSquare = mul(z, like(f, 0.5));
  const tail = mul(e, like(f, low));
  const small = c === null ? tail : add(tail, c);
  if (f.dtype === "float32") {
    const p = pairwise(
      f,
      z,
      [
        0.3333333, -0.24999994, 0.20000714, -0.16668058, 0.14249323, -0.12420141, 0.116769987,
        -0.1151461, 0.070376836,
      ],
    );
    const y = sub(add(mul(mul(f, z), p), small), halfSquare);
    return add(add(f, y), mul(e, like(f, high)));
  }
  const s = div(f, add(f, like(f, 2)));
  const w = mul(s, s);
  const r = mul(
    w,
    inSquares(
      w,
      [
        0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784,
        0.1818357216161805, 0.15313837699209373, 0.14798198605116586,
      ],
    ),
  );
  const rest = sub(sub(halfSquare, add(mul(s, add(halfSquare, r)), small)), f);
  return sub(mul(e, like(f, high)), rest);
}
/** Of y = log(x − start): −∞ at the start, NaN below; itself at +∞ and NaN, and at `keep`. */
function onDomain(x: Expr, start: number, y: Expr, keep: Expr | null = null): Expr {
  const from = like(x, start);
  const special = select(
    compare("eq", x, from),
    like(x, Number.NEGATIVE_INFINITY),
    select(lt(x, from), like(x, Number.NaN), x),
  );
  const inside = and(compare("gt", x, from), lt(x, Number.POSITIVE_INFINITY));
  return select(keep === null ? inside : and(inside, compare("ne", x, keep)), y, special);
}

export function log(x: Expr): Expr {
  const { m, e } = split(x, sqrtHalf[realOf(x)]);
  return onDomain(x, 0, sum(sub(m, like(m, 1)), e, null));
}
/** With u = 1 + x rounded, log(1 + x) = log u + c/u where c is what was rounded off. */
export function log1p(x: Expr): Expr {
  const one = like(x, 1);
  const u = add(x, one);
  const { m, e } = split(u, sqrtHalf[realOf(x)], true);
  // where u is near 1, x itself
  const near = isZero(e);
  const lost = select(lt(one, x), sub(one, sub(u, x)), sub(x, sub(u, one)));
  const f = select(near, x, sub(m, one));
  const c = select(near, like(x, 0), div(lost, u));
  return onDomain(x, -1, sum(f, e, c), like(x, 0));
}

/** log(a + √(a² + 1)) = log1p(a + a²/(1 + √(a² + 1))), a = |x|; log 2a where a² swallows 1 */
export function asinh(x: Expr): Expr {
  const a = abs(x);
  const large = lt(like(x, 2 ** 28), a);
  const z = mul(a, a);
  const one = like(x, 1);
  const root = unary("sqrt", add(z, one));
  return withSign(logOrDouble(large, a, add(a, div(z, add(root, one)))), x);
}
/** log(x + √(x² − 1)) = log1p(t + √(2t + t²)), t = x − 1 */
export function acosh(x: Expr): Expr {
  const t = sub(x, like(x, 1));
  const large = lt(like(x, 2 ** 28), x);
  const y = logOrDouble(large, x, add(t, unary("sqrt", mul(t, add(t, like(x, 2))))));
  return select(lt(x, 1), like(x, Number.NaN), y);
}
/** log1p(y), or log 2a for a large a */
const logOrDouble = (large: Expr, a: Expr, y: Expr): Expr =>
  add(log1p(select(large, sub(a, like(a, 1)), y)), select(large, like(a, Math.LN2), like(a, 0)));
/** ½ log((1 + x)/(1 − x)) = ½ log1p(2x/(1 − x)) of |x| */
export function atanh(x: Expr): Expr {
  const a = abs(x);
  const y = div(add(a, a), add(neg(a), like(x, 1)));
  return withSign(mul(log1p(y), like(x, 0.5)), x);
}
