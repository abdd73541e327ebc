/** The error function and its kin, the gamma function's logarithm and its derivatives. */
import { fail, RuleError } from "../errors.ts";
import type { Expr } from "../kernel/expr.ts";
import * as gamma from "../kernel/gamma.ts";
import * as special from "../kernel/special.ts";
import type { NDArray } from "../ndarray.ts";
import type { Primitive } from "../primitive.ts";
import { add, mul, neg, square } from "./field.ts";
import { applied, applied2, type Binary, elementwise, type JvpTerm, type Plain } from "./rules.ts";
import { exp, floatFunction } from "./transcendental.ts";

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
export const lgammaP: Primitive<Plain> = floatFunction("lgamma", gamma.lgamma, (t, x) =>
  mul(t, digamma(x)),
);
/** log |Γ(x)| @example lgamma(1) // => 0 */
export const lgamma = applied(lgammaP);

/** ψ(x) = d/dx log Γ(x); NaN at 0, −1, −2, … */
export const digammaP: Primitive<Plain> = floatFunction("digamma", gamma.digamma, (t, x) =>
  mul(t, polygamma(1, x)),
);
/** ψ(x) = d/dx log Γ(x) @example digamma(1) // => Math.fround(-0.5772156649015329) */
export const digamma = applied(digammaP);

/** Refuses the derivative in the order. */
const noOrder =
  (op: string, what: string): JvpTerm =>
  () =>
    fail(
      RuleError,
      op,
      `the derivative in ${what} is not known in closed form`,
      `a tangent for ${what}`,
      "pass it through stopGradient",
    );

/** ψ⁽ᵐ⁾(x), m = 0, 1, 2, … as a float; NaN for other orders */
export const polygammaP: Primitive<Plain> = elementwise({
  name: "polygamma",
  accepts: "float",
  jvp: [
    noOrder("polygamma", "the order m"),
    (t, [m, x]) => mul(t, polygamma(add(m as NDArray, 1), x as NDArray)),
  ],
  at: ([m, x]) => gamma.polygamma(m as Expr, x as Expr),
});
/** ψ⁽ᵐ⁾(x), the m-th derivative of digamma @example lax.polygamma(1, 1) // => Math.fround(Math.PI ** 2 / 6) */
export const polygamma: Binary = applied2(polygammaP);

/** ζ(s, q) = Σ_{k ≥ 0} (q + k)⁻ˢ, s > 1 */
export const zetaP: Primitive<Plain> = elementwise({
  name: "zeta",
  accepts: "float",
  jvp: [
    noOrder("zeta", "the exponent s"),
    (t, [s, q]) => mul(t, mul(neg(s as NDArray), zeta(add(s as NDArray, 1), q as NDArray))),
  ],
  at: ([s, q]) => gamma.zeta(s as Expr, q as Expr),
});
/** ζ(s, q), Hurwitz's zeta function @example lax.zeta(2, 1) // => Math.fround(Math.PI ** 2 / 6) */
export const zeta: Binary = applied2(zetaP);
