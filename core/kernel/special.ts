/** The error function, its inverse and the logistic function as scalar expressions: one definition for every backend and every float dtype.
 *
 *  Each is computed in float64 and rounded once to the dtype of its argument, but for what float32 has in special32.ts. Ranges are chosen by `cond`, so
 *  that an element pays for its own range only. Coefficients are the published ones named beside them. */
import {
  add,
  and,
  cast,
  compare,
  cond,
  div,
  lit,
  mul,
  neg,
  select,
  sub,
  unary,
  type Expr,
} from "./expr.ts";
import { roughErfc, roughErfInv, shortErf } from "./special32.ts";
import { atMost, c, cases, exp, half, one, product, ratio, square, wide } from "./float64.ts";
import { abs, lt } from "./elementary/arithmetic.ts";

// ---- logistic, rsqrt ----

/** 1/(1 + e⁻ˣ), without overflow: with t = e^−|x|, it is 1/(1 + t) or t/(1 + t); float32 in its own arithmetic. */
export function logistic(x: Expr): Expr {
  if (x.dtype !== "float32" && x.dtype !== "float64") return wide(logistic)(x);
  const unit = lit(1, x.dtype);
  const t = exp(neg(abs(x)));
  return div(select(compare("lt", x, lit(0, x.dtype)), t, unit), add(unit, t));
}

/** 1/√x; +∞ at +0, −∞ at −0 */
export const rsqrt = (x: Expr): Expr => {
  const d = x.dtype === "float64" ? x.dtype : "float32";
  return cast(div(lit(1, d), unary("sqrt", cast(x, d))), x.dtype);
};

// ---- erf, erfc ----
// Rational approximations of W. J. Cody's kind by Sun Microsystems (1993), FreeBSD msun, s_erf.c.

/** (erf(x) − x)/x as a function of x², |x| < 0.84375 */
const erfSmall = (z: Expr): Expr =>
  ratio(
    z,
    [
      1.2837916709551256e-1, -3.250421072470015e-1, -2.848174957559851e-2, -5.770270296489442e-3,
      -2.3763016656650163e-5,
    ],
    [
      1, 3.9791722395915535e-1, 6.50222499887673e-2, 5.081306281875766e-3, 1.3249473800432164e-4,
      -3.960228278775368e-6,
    ],
  );
/** erf(1), to 24 bits */
const erfOne = 8.450629115104675e-1;
/** erf(1 + s) − erfOne, 0.84375 ≤ 1 + s < 1.25 */
const erfNearOne = (s: Expr): Expr =>
  ratio(
    s,
    [
      -2.3621185607526594e-3, 4.1485611868374833e-1, -3.722078760357013e-1, 3.1834661990116175e-1,
      -1.1089469428239668e-1, 3.5478304325618236e-2, -2.166375594868791e-3,
    ],
    [
      1, 1.0642088040084423e-1, 5.40397917702171e-1, 7.182865441419627e-2, 1.2617121980876164e-1,
      1.363708391202905e-2, 1.1984499846799107e-2,
    ],
  );
/** erfc(a), 1.25 ≤ a < 28, as exp(−a² − 0.5625 + R(1/a²))/a */
function erfcTail(a: Expr): Expr {
  const s = div(one, square(a));
  const r = cond(
    lt(a, 1 / 0.35),
    ratio(
      s,
      [
        -9.864944034847148e-3, -6.938585727071818e-1, -1.0558626225323291e1, -6.2375332450326006e1,
        -1.6239666946257347e2, -1.8460509290671104e2, -8.12874355063066e1, -9.814329344169145,
      ],
      [
        1, 1.9651271667439257e1, 1.3765775414351904e2, 4.3456587747522923e2, 6.453872717332679e2,
        4.2900814002756783e2, 1.0863500554177944e2, 6.570249770319282, -6.04244152148581e-2,
      ],
    ),
    ratio(
      s,
      [
        -9.8649429247001e-3, -7.99283237680523e-1, -1.7757954917754752e1, -1.6063638485582192e2,
        -6.375664433683896e2, -1.0250951316110772e3, -4.835191916086514e2,
      ],
      [
        1, 3.033806074348246e1, 3.257925129965739e2, 1.536729586084437e3, 3.1998582195085955e3,
        2.5530504064331644e3, 4.7452854120695537e2, -2.244095244658582e1,
      ],
    ),
  );
  // with h = a to 24 bits h² is exact: −a² = −h² + (h − a)(h + a)
  const h = cast(cast(a, "float32"), "float64");
  const e = mul(exp(sub(neg(square(h)), c(0.5625))), exp(add(mul(sub(h, a), add(h, a)), r)));
  return div(e, a);
}

const withSign = (x: Expr, y: Expr): Expr => select(lt(x, 0), neg(y), y);

function erf64(x: Expr): Expr {
  const a = abs(x);
  return cases(
    [
      // written so that NaN falls through to the end and x = ±0 keeps its sign
      [lt(a, 0.84375), add(x, mul(x, erfSmall(square(x))))],
      [lt(a, 1.25), withSign(x, add(c(erfOne), erfNearOne(sub(a, one))))],
      [lt(a, 6), withSign(x, sub(one, erfcTail(a)))],
    ],
    cond(compare("ne", x, x), x, withSign(x, one)),
  );
}
/** 2/√π · ∫₀ˣ e^(−t²) dt */
export const erf = (x: Expr): Expr =>
  x.dtype === "float64" ? erf64(x) : cast(shortErf(cast(x, "float32")), x.dtype);

function erfc64(x: Expr): Expr {
  const a = abs(x);
  const negative = lt(x, 0);
  const small = mul(x, erfSmall(square(x)));
  const nearOne = erfNearOne(sub(a, one));
  const tail = erfcTail(a);
  return cases(
    [
      [lt(a, 2 ** -56), sub(one, x)],
      [
        lt(a, 0.84375),
        select(lt(x, 0.25), sub(one, add(x, small)), sub(half, add(small, sub(x, half)))),
      ],
      [
        lt(a, 1.25),
        select(negative, add(one, add(c(erfOne), nearOne)), sub(c(1 - erfOne), nearOne)),
      ],
      [lt(a, 28), select(negative, sub(c(2), tail), tail)],
    ],
    cond(compare("ne", x, x), x, select(negative, c(2), c(0))),
  );
}
/** 1 − erf(x), accurate where erf is close to 1 */
export const erfc = (x: Expr): Expr => wide(x.dtype === "float64" ? erfc64 : roughErfc)(x);

// ---- inverse of erf ----

/** y/x in √w − 3 as `roughErfInv` has it, for all of float64: Chebyshev series, y to 6·10⁻⁷ */
const erfInvTail = [
  2.8329769, 1.0016796, 0.0094406, -0.0076866, 0.005740057, -0.0034663893, 0.0013020583,
  -0.00013073253, -0.000121306074, 6.087325e-5, -1.183695e-5, 8.763952e-7,
];
/** y with erf(y) = x; ±∞ at ±1, NaN beyond */
export function erfInv(x: Expr): Expr {
  if (x.dtype !== "float64") return wide((y: Expr) => roughErfInv(y))(x);
  const y = roughErfInv(x, erfInvTail);
  // a step of Halley's method on erf, or on erfc in the tail, makes an error e one of (y² + 1)e³/3
  const a = abs(x);
  const b = abs(y);
  const excess = cond(atMost(a, 0.85), sub(erf64(b), a), sub(sub(one, a), erfc64(b)));
  const newton = product(excess, c(Math.sqrt(Math.PI) / 2), exp(square(b)));
  const step = div(newton, add(one, mul(b, newton)));
  return cond(and(lt(a, 1), lt(c(0), a)), withSign(x, sub(b, step)), y);
}
