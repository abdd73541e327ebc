/** Sine, cosine and tangent: x = n·π/2 + r with |r| ≤ π/4. */
import {
  add,
  cast,
  compare,
  cond,
  div,
  type Expr,
  lit,
  memoized,
  mul,
  neg,
  select,
  sub,
  unary,
} from "../expr.ts";
import {
  abs,
  atLeast,
  atMost,
  flipped,
  i,
  iadd,
  iand,
  inSquares,
  isZero,
  like,
  rounded,
} from "./arithmetic.ts";

/** Beyond it n·π/2 below is not exact any more. */
const largeAngle = 2 ** 20;
/** π/2: three parts of 33 bits, whose products with n are exact, and the rest */
const halfPi = [
  1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32,
] as const;

interface Angle {
  /** quarter turns */
  readonly n: Expr;
  readonly sin: Expr;
  readonly cos: Expr;
}
/** Sine and cosine of what is left of x after whole quarter turns. */
const angleOf = memoized((x: Expr): Angle => {
  const bounded = atLeast(atMost(x, largeAngle), -largeAngle);
  return (x.dtype === "float32" ? shortAngle : longAngle)(bounded);
}, new WeakMap<Expr, Angle>());
/** The difference is taken in float64, with π/2 in two parts.
 *  @source S. L. Moshier, Cephes 2.8, sinf */
function shortAngle(x: Expr): Angle {
  const n = unary("round", mul(x, like(x, 2 / Math.PI)));
  const wide = cast(n, "float64");
  const d = (v: number): Expr => lit(v, "float64");
  const exact = sub(
    sub(cast(x, "float64"), mul(wide, d(halfPi[0]))),
    mul(wide, d(6.077100506506192e-11)),
  );
  const r = cast(exact, "float32");
  const z = mul(r, r);
  const s = inSquares(z, [-0.16666655, 0.008332161, -0.00019515296]);
  const c = inSquares(z, [0.041666646, -0.0013887316, 0.000024433157]);
  return {
    n: cast(n, "int32"),
    sin: add(mul(mul(s, z), r), r),
    cos: add(sub(mul(mul(z, z), c), mul(z, like(r, 0.5))), like(r, 1)),
  };
}
/** The difference is taken in four steps, which give it as r + t with |t| less than half an ulp of r.
 *  @source Sun Microsystems (1993), FreeBSD msun, e_rem_pio2.c, k_sin.c, k_cos.c */
function longAngle(x: Expr): Angle {
  const { n, low } = rounded(mul(x, like(x, 2 / Math.PI)));
  const part = (k: 0 | 1 | 2 | 3): Expr => mul(n, like(x, halfPi[k]));
  const first = sub(x, part(0));
  const second = sub(first, part(1));
  const third = sub(second, part(2));
  const lost = sub(
    add(sub(sub(first, second), part(1)), sub(sub(second, third), part(2))),
    part(3),
  );
  const r = add(third, lost);
  const t = add(sub(third, r), lost);
  const z = mul(r, r);
  const half = like(r, 0.5);
  const s = inSquares(
    z,
    [
      0.00833333333332249, -0.0001984126982985795, 2.7557313707070068e-6, -2.5050760253406863e-8,
      1.58969099521155e-10,
    ],
  );
  const v = mul(z, r);
  const sin = sub(
    r,
    sub(sub(mul(z, sub(mul(half, t), mul(v, s))), t), mul(v, like(r, -0.16666666666666632))),
  );
  const c = inSquares(
    z,
    [
      0.0416666666666666, -0.001388888888887411, 2.480158728947673e-5, -2.7557314351390663e-7,
      2.087572321298175e-9, -1.1359647557788195e-11,
    ],
  );
  const halfSquare = mul(z, half);
  const one = like(r, 1);
  const w = sub(one, halfSquare);
  const cos = add(w, add(sub(sub(one, w), halfSquare), sub(mul(mul(z, z), c), mul(r, t))));
  return { n: low, sin, cos };
}

/** The host reduces large angles; ∞ and NaN are among them. */
function nearOrFar(x: Expr, near: Expr, op: "sin" | "cos" | "tan"): Expr {
  const far = cast(unary(op, cast(x, "float64")), x.dtype);
  return cond(compare("le", abs(x), like(x, largeAngle)), near, far);
}
/** the polynomials lose the sign of zero */
const orZero = (x: Expr, y: Expr): Expr => select(isZero(x), x, y);
const isEven = (n: Expr): Expr => compare("eq", iand(n, 1), i(0));

/** sin(x + quarters·π/2) */
function sine(x: Expr, quarters: 0 | 1): Expr {
  const { n, sin, cos } = angleOf(x);
  const turn = quarters === 0 ? n : iadd(n, quarters);
  const value = flipped(select(isEven(turn), sin, cos), turn);
  return quarters === 0 ? nearOrFar(x, orZero(x, value), "sin") : nearOrFar(x, value, "cos");
}
export const sin = (x: Expr): Expr => sine(x, 0);
export const cos = (x: Expr): Expr => sine(x, 1);
/** sin/cos, or −cos/sin after an odd number of quarter turns */
export function tan(x: Expr): Expr {
  const { n, sin, cos } = angleOf(x);
  const even = isEven(n);
  const value = div(select(even, sin, neg(cos)), select(even, cos, sin));
  return nearOrFar(x, orZero(x, value), "tan");
}
