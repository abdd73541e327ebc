/** The error function and its kin, the gamma function's logarithm and its derivatives. */
import { fail, RuleError } from "../errors.ts";
import type { Expr } from "../kernel/expr.ts";
import * as gamma from "../kernel/gamma.ts";
import * as special from "../kernel/special.ts";
import type { NDArray } from "../ndarray.ts";
import { noRule, type Primitive } from "../primitive.ts";
import { bind1 } from "../trace.ts";
import { add, mul, neg } from "./arithmetic.ts";
import { elementwise, type JvpTerm, type Operand, operands } from "./rules.ts";
import { applied, exp, floatFunction } from "./transcendental.ts";

const square = (x: NDArray): NDArray => mul(x, x);

/** erf x = 2/√π · ∫₀ˣ e^(−t²) dt */
export const erfP = floatFunction("erf", special.erf, (t, x) =>
  mul(2 / Math.sqrt(Math.PI), mul(t, exp(neg(square(x))))),
);
/** erf x = 2/√π · ∫₀ˣ e^(−t²) dt @example erf(0) // => 0 */
export const erf = applied(erfP);

/** 1 − erf x, accurate for large x */
export const erfcP = floatFunction("erfc", special.erfc, (t, x) =>
  mul(-2 / Math.sqrt(Math.PI), mul(t, exp(neg(square(x))))),
);
/** 1 − erf x @example erfc(0) // => 1 */
export const erfc = applied(erfcP);

/** y with erf y = x; ±∞ at ±1, NaN beyond */
export const erfInvP = floatFunction("erf_inv", special.erfInv, (t, _x, out) =>
  mul(Math.sqrt(Math.PI) / 2, mul(t, exp(square(out)))),
);
/** y with erf y = x @example erfInv(0) // => 0 */
export const erfInv = applied(erfInvP);

/** log |Γ(x)|; +∞ at 0, −1, −2, … */
export const lgammaP: Primitive<Record<never, never>> = floatFunction(
  "lgamma",
  gamma.lgamma,
  (t, x) => mul(t, digamma(x)),
);
/** log |Γ(x)| @example lgamma(1) // => 0 */
export const lgamma = applied(lgammaP);

/** ψ(x) = d/dx log Γ(x); NaN at 0, −1, −2, … */
export const digammaP: Primitive<Record<never, never>> = floatFunction(
  "digamma",
  gamma.digamma,
  (t, x) => mul(t, polygamma(1, x)),
);
/** ψ(x) = d/dx log Γ(x) @example digamma(1) // => Math.fround(-0.5772156649015329) */
export const digamma = applied(digammaP);

/** Refuses the derivative in the order. */
const noOrder =
  (op: string, what: string): JvpTerm<Record<never, never>> =>
  () =>
    fail(
      RuleError,
      op,
      `the derivative in ${what} is not known in closed form`,
      `a tangent for ${what}`,
      "pass it through stopGradient",
    );

/** ψ⁽ᵐ⁾(x), m = 0, 1, 2, … as a float; NaN for other orders */
export const polygammaP: Primitive<Record<never, never>> = elementwise({
  name: "polygamma",
  arity: 2,
  accepts: "float",
  jvp: [
    noOrder("polygamma", "the order m"),
    (t, { x: [m, x] }) => mul(t, polygamma(add(m as NDArray, 1), x as NDArray)),
  ],
  transpose: noRule("it is not linear"),
  at: ([m, x]) => gamma.polygamma(m as Expr, x as Expr),
});
/** ψ⁽ᵐ⁾(x), the m-th derivative of digamma @example lax.polygamma(1, 1) // => Math.fround(Math.PI ** 2 / 6) */
export const polygamma = (m: Operand, x: Operand): NDArray =>
  bind1(polygammaP, operands("polygamma", m, x), {});

/** ζ(s, q) = Σ_{k ≥ 0} (q + k)⁻ˢ, s > 1 */
export const zetaP: Primitive<Record<never, never>> = elementwise({
  name: "zeta",
  arity: 2,
  accepts: "float",
  jvp: [
    noOrder("zeta", "the exponent s"),
    (t, { x: [s, q] }) => mul(t, mul(neg(s as NDArray), zeta(add(s as NDArray, 1), q as NDArray))),
  ],
  transpose: noRule("it is not linear"),
  at: ([s, q]) => gamma.zeta(s as Expr, q as Expr),
});
/** ζ(s, q), Hurwitz's zeta function @example lax.zeta(2, 1) // => Math.fround(Math.PI ** 2 / 6) */
export const zeta = (s: Operand, q: Operand): NDArray => bind1(zetaP, operands("zeta", s, q), {});
