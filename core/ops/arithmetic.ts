/** Arithmetic on numbers: remainders, absolute value, extremes, powers, rounding. */
import { Aval } from "../aval.ts";
import { isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, noRule, type Primitive } from "../primitive.ts";
import { bind1 } from "../trace.ts";
import { eachElement } from "./axes.ts";
import { checkClass } from "./checks.ts";
import { eq, ge } from "./compare.ts";
import { div, mul, neg, sub } from "./field.ts";
import { convert, fullLike as like } from "./linear.ts";
import { nonlinear } from "./linearity.ts";
import {
  applied,
  applied2,
  type Binary,
  binaryP,
  broadcastTo,
  elementsOf,
  elementwise,
  elementwiseBatch,
  elementwiseShape,
  jvpTerms,
  type Operand,
  operands,
  type Plain,
  unaryP,
} from "./rules.ts";
import { selectN } from "./select.ts";
import { log } from "./transcendental.ts";

export {
  add,
  addP,
  div,
  divP,
  integerPow,
  integerPowP,
  mul,
  mulP,
  neg,
  negP,
  reciprocal,
  square,
  squareP,
  sub,
  subP,
} from "./field.ts";

// ---- sign and rounding ----

/** −1, 0 or 1; keeps NaN and the sign of zero */
export const signP = unaryP("sign", "number");
/** −1, 0 or 1 @example sign(-3) // => -1 */
export const sign = applied(signP);

/** |x|; the derivative at 0 is 1, as JAX has it */
export const absP = elementwise({
  name: "abs",
  accepts: "signed",
  jvp: [(t, [x]) => selectN(ge(x as NDArray, 0), [neg(t), t])],
  at: ([x]) => K.unary("abs", x as Expr),
});
/** |x| @example abs(-3) // => 3 */
export const abs = applied(absP);

/** ⌊x⌋ */
export const floorP = unaryP("floor", "float");
/** ⌊x⌋ @example floor(-0.5) // => -1 */
export const floor = applied(floorP);

/** ⌈x⌉ */
export const ceilP = unaryP("ceil", "float");
/** ⌈x⌉ @example ceil(0.5) // => 1 */
export const ceil = applied(ceilP);

/** Where halves go. */
export type RoundingMethod = "awayFromZero" | "toNearestEven";
export interface RoundParams {
  readonly roundingMethod: RoundingMethod;
}
/** the nearest whole number */
export const roundP = elementwise<RoundParams>({
  name: "round",
  accepts: "float",
  at: ([x], { roundingMethod }) => {
    const e = x as Expr;
    if (roundingMethod === "toNearestEven") return K.unary("round", e);
    // x − trunc(x) is exact
    const whole = K.unary("trunc", e);
    const far = K.compare("ge", K.unary("abs", K.sub(e, whole)), K.lit(0.5, e.dtype));
    return K.select(far, K.add(whole, K.unary("sign", e)), whole);
  },
});
/** The nearest whole number. JAX's two defaults differ: `lax.round` sends halves away from zero, `numpy.round` to the even
 *  neighbour; here one says which.
 *  @example lax.round(2.5, "toNearestEven") // => 2 */
export const round = (x: Operand, roundingMethod: RoundingMethod): NDArray =>
  bind1(roundP, operands("round", x), { roundingMethod });

// ---- remainder ----

/** x − y·trunc(x/y), with the sign of x, as C's fmod */
export const remP = elementwise({
  name: "rem",
  accepts: "number",
  jvp: [
    (t) => t,
    (t, [x, y]) => {
      const quotient = div(x as NDArray, y as NDArray);
      return mul(neg(t), mul(sign(quotient), floor(abs(quotient))));
    },
  ],
  at: ([x, y]) => K.rem(x as Expr, y as Expr),
});
/** x − y·trunc(x/y), with the sign of x; integers give x for y = 0 @example rem(-7, 4) // => -3 */
export const rem = applied2(remP);

// ---- extremes ----

/** 1 where x is the extreme, ½ where y is too, else 0 */
const share = (x: NDArray, out: NDArray, y: NDArray): NDArray =>
  div(
    selectN(eq(x, out), [like(out, 0), like(out, 1)]),
    selectN(eq(y, out), [like(out, 1), like(out, 2)]),
  );
const extreme = (name: "max" | "min"): Primitive<Plain> =>
  elementwise({
    name,
    accepts: "any",
    jvp: [
      (t, [x, y], out) => mul(t, share(x as NDArray, out, y as NDArray)),
      (t, [x, y], out) => mul(t, share(y as NDArray, out, x as NDArray)),
    ],
    at: ([x, y]) => K.binary(name, x as Expr, y as Expr),
  });
/** the larger of x and y; NaN if either is; at a tie each has derivative ½ */
export const maxP = extreme("max");
/** the larger of x and y; NaN if either is @example lax.max(1, 2) // => 2 */
export const max = applied2(maxP);
/** the smaller of x and y; NaN if either is; at a tie each has derivative ½ */
export const minP = extreme("min");
/** the smaller of x and y; NaN if either is @example lax.min(1, 2) // => 1 */
export const min = applied2(minP);

// ---- power ----

/** x with 1 in place of 0 */
const replaceZero = (x: NDArray): NDArray => selectN(eq(x, 0), [x, like(x, 1)]);

/** xʸ for a float x and a float or integer y. ∂/∂x = y·xʸ⁻¹, which is 0 for the integer y = 0; ∂/∂y = xʸ·log x, with log 0
 *  taken as 0. */
export const powP: Primitive<Plain> = definePrimitive<Plain>({
  name: "pow",
  shape: (inputs) => {
    const [a, b] = inputs as [Aval, Aval];
    checkClass("pow", "float", a);
    if (b.dtype !== a.dtype && !isInteger(b.dtype))
      fail(
        DTypeError,
        "pow",
        "the exponent must have the dtype of the base or be an integer",
        `${a} and ${b}`,
        "convert one of them, or use the np function, which promotes",
      );
    return [Aval.of(elementwiseShape("pow", [a, b]), a.dtype, a.weakType && b.weakType)];
  },
  jvp: jvpTerms([
    (t, x, out) => {
      const [base, exponent] = x as [NDArray, NDArray];
      if (isFloat(exponent.dtype)) return mul(t, mul(exponent, pow(base, sub(exponent, 1))));
      const n = broadcastTo(exponent, out.shape);
      // the smaller exponent stays an integer, for the derivative of this derivative
      const less = selectN(eq(n, 0), [sub(n, 1), n]);
      return mul(t, mul(convert(n, base.dtype), pow(broadcastTo(base, out.shape), less)));
    },
    (t, [x], out) => mul(t, mul(log(replaceZero(x as NDArray)), out)),
  ]),
  transpose: nonlinear,
  batch: elementwiseBatch,
  lower: (ins, [out]) =>
    eachElement((index, read) => {
      const [x, y] = elementsOf(ins, (out as Aval).shape, index, read) as [Expr, Expr];
      return K.binary("pow", x, K.cast(y, x.dtype));
    }),
});
/** xʸ. A number as exponent is a float.
 *  @throws DTypeError unless x is a float and y of its dtype or an integer
 *  @example pow(4, 0.5) // => 2 */
export const pow: Binary = applied2(powP);

// ---- neighbours, upper halves ----

/** the float next to x in the direction of y */
export const nextafterP = elementwise({
  name: "nextafter",
  accepts: "float",
  jvp: noRule("neighbouring floats are a property of the format, not of the function"),
  at: ([x, y]) => K.binary("nextafter", x as Expr, y as Expr),
});
/** the float next to x in the direction of y @example nextafter(1, 2) // => 1.0000001192092896 */
export const nextafter = applied2(nextafterP);

/** the upper half of the product of two integers: ⌊x·y / 2^width⌋ */
export const mulhiP = binaryP("mulhi", "integer");
/** ⌊x·y / 2^width⌋, the upper half of the full product */
export const mulhi = applied2(mulhiP);
