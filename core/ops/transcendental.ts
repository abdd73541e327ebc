/** Exponentials, logarithms, trigonometric and hyperbolic functions, roots. */
import { binary, type Expr, type Intrinsic, unary } from "../kernel/expr.ts";
import * as special from "../kernel/special.ts";
import type { NDArray } from "../ndarray.ts";
import type { Primitive } from "../primitive.ts";
import { add, div, mul, neg, square, sub } from "./field.ts";
import { applied, applied2, elementwise, type Plain } from "./rules.ts";

/** f′(x)·t, given f(x) and x */
type Slope = (t: NDArray, x: NDArray, out: NDArray) => NDArray;

/** A nonlinear function of one float. */
export const floatFunction = (
  name: string,
  at: (x: Expr) => Expr,
  slope: Slope,
): Primitive<Plain> =>
  elementwise({
    name,
    accepts: "float",
    jvp: [(t, [x], out) => slope(t, x as NDArray, out)],
    at: ([x]) => at(x as Expr),
  });
const intrinsic = (op: Intrinsic | "sqrt", slope: Slope): Primitive<Plain> =>
  floatFunction(op, (x) => unary(op, x), slope);

// ---- exponentials and logarithms ----

/** eˣ */
export const expP = intrinsic("exp", (t, _x, out) => mul(t, out));
/** eˣ @example exp(0) // => 1 */
export const exp = applied(expP);

/** 2ˣ */
export const exp2P = intrinsic("exp2", (t, _x, out) => mul(Math.LN2, mul(t, out)));
/** 2ˣ @example exp2(3) // => 8 */
export const exp2 = applied(exp2P);

/** log x, the natural logarithm; −∞ at 0, NaN below */
export const logP = intrinsic("log", (t, x) => div(t, x));
/** log x @example log(1) // => 0 */
export const log = applied(logP);

/** log(1 + x), accurate near 0 */
export const log1pP = intrinsic("log1p", (t, x) => div(t, add(x, 1)));
/** log(1 + x) @example log1p(0) // => 0 */
export const log1p = applied(log1pP);

/** eˣ − 1, accurate near 0 */
export const expm1P = intrinsic("expm1", (t, _x, out) => mul(t, add(out, 1)));
/** eˣ − 1 @example expm1(0) // => 0 */
export const expm1 = applied(expm1P);

/** 1/(1 + e⁻ˣ) */
export const logisticP = floatFunction("logistic", special.logistic, (t, _x, out) =>
  mul(t, mul(out, sub(1, out))),
);
/** 1/(1 + e⁻ˣ) @example logistic(0) // => 0.5 */
export const logistic = applied(logisticP);

// ---- trigonometric functions, in radians ----

/** sin x */
export const sinP: Primitive<Plain> = intrinsic("sin", (t, x) => mul(t, cos(x)));
/** sin x @example sin(0) // => 0 */
export const sin = applied(sinP);

/** cos x */
export const cosP = intrinsic("cos", (t, x) => neg(mul(t, sin(x))));
/** cos x @example cos(0) // => 1 */
export const cos = applied(cosP);

/** tan x; the derivative is 1 + tan² x */
export const tanP = intrinsic("tan", (t, _x, out) => mul(t, add(1, square(out))));
/** tan x @example tan(0) // => 0 */
export const tan = applied(tanP);

/** arcsin x in [−π/2, π/2]; NaN outside [−1, 1] */
export const asinP = intrinsic("asin", (t, x) => mul(t, rsqrt(sub(1, square(x)))));
/** arcsin x @example asin(0) // => 0 */
export const asin = applied(asinP);

/** arccos x in [0, π]; NaN outside [−1, 1] */
export const acosP = intrinsic("acos", (t, x) => mul(t, neg(rsqrt(sub(1, square(x))))));
/** arccos x @example acos(1) // => 0 */
export const acos = applied(acosP);

/** arctan x in [−π/2, π/2] */
export const atanP = intrinsic("atan", (t, x) => div(t, add(1, square(x))));
/** arctan x @example atan(0) // => 0 */
export const atan = applied(atanP);

const norm2 = (y: NDArray, x: NDArray): NDArray => add(square(y), square(x));
/** The angle of the point (x, y), operands in the order y, x; in [−π, π] */
export const atan2P = elementwise({
  name: "atan2",
  accepts: "float",
  jvp: [
    (t, [y, x]) => mul(t, div(x as NDArray, norm2(y as NDArray, x as NDArray))),
    (t, [y, x]) => mul(t, div(neg(y as NDArray), norm2(y as NDArray, x as NDArray))),
  ],
  at: ([y, x]) => binary("atan2", y as Expr, x as Expr),
});
/** The angle of the point (x, y) @example atan2(0, 1) // => 0 */
export const atan2 = applied2(atan2P);

// ---- hyperbolic functions ----

/** (eˣ − e⁻ˣ)/2 */
export const sinhP: Primitive<Plain> = intrinsic("sinh", (t, x) => mul(t, cosh(x)));
/** (eˣ − e⁻ˣ)/2 @example sinh(0) // => 0 */
export const sinh = applied(sinhP);

/** (eˣ + e⁻ˣ)/2 */
export const coshP = intrinsic("cosh", (t, x) => mul(t, sinh(x)));
/** (eˣ + e⁻ˣ)/2 @example cosh(0) // => 1 */
export const cosh = applied(coshP);

/** sinh x / cosh x; the derivative (1 + y)(1 − y) keeps its accuracy where y is near ±1 */
export const tanhP = intrinsic("tanh", (t, _x, out) => mul(add(t, mul(t, out)), sub(1, out)));
/** sinh x / cosh x @example tanh(0) // => 0 */
export const tanh = applied(tanhP);

/** log(x + √(x² + 1)) */
export const asinhP = intrinsic("asinh", (t, x) => mul(t, rsqrt(add(square(x), 1))));
/** log(x + √(x² + 1)) @example asinh(0) // => 0 */
export const asinh = applied(asinhP);

/** log(x + √(x² − 1)), x ≥ 1 */
export const acoshP = intrinsic("acosh", (t, x) => mul(t, rsqrt(sub(square(x), 1))));
/** log(x + √(x² − 1)) @example acosh(1) // => 0 */
export const acosh = applied(acoshP);

/** ½ log((1 + x)/(1 − x)), |x| ≤ 1 */
export const atanhP = intrinsic("atanh", (t, x) => mul(div(1, add(1, x)), div(t, sub(1, x))));
/** ½ log((1 + x)/(1 − x)) @example atanh(0) // => 0 */
export const atanh = applied(atanhP);

// ---- roots ----

/** √x; NaN below 0 */
export const sqrtP = intrinsic("sqrt", (t, _x, out) => mul(t, div(0.5, out)));
/** √x @example sqrt(4) // => 2 */
export const sqrt = applied(sqrtP);

/** 1/√x */
export const rsqrtP: Primitive<Plain> = floatFunction("rsqrt", special.rsqrt, (t, x, out) =>
  mul(t, mul(-0.5, div(out, x))),
);
/** 1/√x @example rsqrt(4) // => 0.5 */
export const rsqrt = applied(rsqrtP);

/** ∛x, with the sign of x */
export const cbrtP = intrinsic("cbrt", (t, _x, out) => mul(t, mul(1 / 3, div(1, square(out)))));
/** ∛x @example cbrt(-8) // => -2 */
export const cbrt = applied(cbrtP);
