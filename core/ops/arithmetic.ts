/** Arithmetic on numbers: remainders, absolute value, extremes, powers, rounding. */
import { Aval } from "../aval.ts";
import { isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import type { Read } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, noRule, type Primitive } from "../primitive.ts";
import { range } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { eq, ge } from "./compare.ts";
import { div, mul, neg, nonlinear, sub } from "./field.ts";
import { convert, full } from "./linear.ts";
import {
  broadcastTo,
  checkClass,
  elementwise,
  elementwiseBatch,
  elementwiseShape,
  jvpTerms,
  type Operand,
  operands,
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
  nonlinear,
  reciprocal,
  square,
  squareP,
  sub,
  subP,
} from "./field.ts";

type Plain = Record<never, never>;
const flat = noRule("its derivative is zero: nothing linear passes through it");
const onIntegers = noRule("it acts on integers, which no cotangent reaches");
const like = (x: NDArray, value: number): NDArray => full(x.shape, value, x.dtype);

// ---- sign and rounding ----

/** −1, 0 or 1; keeps NaN and the sign of zero */
export const signP = elementwise({
  name: "sign",
  arity: 1,
  accepts: "number",
  jvp: "zero",
  transpose: flat,
  at: ([x]) => K.unary("sign", x as Expr),
});
/** −1, 0 or 1 @example sign(-3) // => -1 */
export const sign = (x: Operand): NDArray => bind1(signP, operands("sign", x), {});

/** |x|; the derivative at 0 is 1, as JAX has it */
export const absP: Primitive<Plain> = elementwise({
  name: "abs",
  arity: 1,
  accepts: "signed",
  jvp: [(t, { x: [x] }) => selectN(ge(x as NDArray, 0), [neg(t), t])],
  transpose: nonlinear,
  at: ([x]) => K.unary("abs", x as Expr),
});
/** |x| @example abs(-3) // => 3 */
export const abs = (x: Operand): NDArray => bind1(absP, operands("abs", x), {});

/** ⌊x⌋ */
export const floorP = elementwise({
  name: "floor",
  arity: 1,
  accepts: "float",
  jvp: "zero",
  transpose: flat,
  at: ([x]) => K.unary("floor", x as Expr),
});
/** ⌊x⌋ @example floor(-0.5) // => -1 */
export const floor = (x: Operand): NDArray => bind1(floorP, operands("floor", x), {});

/** ⌈x⌉ */
export const ceilP = elementwise({
  name: "ceil",
  arity: 1,
  accepts: "float",
  jvp: "zero",
  transpose: flat,
  at: ([x]) => K.unary("ceil", x as Expr),
});
/** ⌈x⌉ @example ceil(0.5) // => 1 */
export const ceil = (x: Operand): NDArray => bind1(ceilP, operands("ceil", x), {});

/** Where halves go. */
export type RoundingMethod = "awayFromZero" | "toNearestEven";
export interface RoundParams {
  readonly roundingMethod: RoundingMethod;
}
/** the nearest whole number */
export const roundP = elementwise<RoundParams>({
  name: "round",
  arity: 1,
  accepts: "float",
  jvp: "zero",
  transpose: flat,
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
  arity: 2,
  accepts: "number",
  jvp: [
    (t) => t,
    (t, { x: [x, y] }) => {
      const quotient = div(x as NDArray, y as NDArray);
      return mul(neg(t), mul(sign(quotient), floor(abs(quotient))));
    },
  ],
  transpose: nonlinear,
  at: ([x, y]) => K.rem(x as Expr, y as Expr),
});
/** x − y·trunc(x/y), with the sign of x; integers give x for y = 0 @example rem(-7, 4) // => -3 */
export const rem = (x: Operand, y: Operand): NDArray => bind1(remP, operands("rem", x, y), {});

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
    arity: 2,
    accepts: "any",
    jvp: [
      (t, { out, x: [x, y] }) => mul(t, share(x as NDArray, out, y as NDArray)),
      (t, { out, x: [x, y] }) => mul(t, share(y as NDArray, out, x as NDArray)),
    ],
    transpose: nonlinear,
    at: ([x, y]) => K.binary(name, x as Expr, y as Expr),
  });
/** the larger of x and y; NaN if either is; at a tie each has derivative ½ */
export const maxP = extreme("max");
/** the larger of x and y; NaN if either is @example lax.max(1, 2) // => 2 */
export const max = (x: Operand, y: Operand): NDArray => bind1(maxP, operands("max", x, y), {});
/** the smaller of x and y; NaN if either is; at a tie each has derivative ½ */
export const minP = extreme("min");
/** the smaller of x and y; NaN if either is @example lax.min(1, 2) // => 1 */
export const min = (x: Operand, y: Operand): NDArray => bind1(minP, operands("min", x, y), {});

// ---- power ----

/** Elements of two operands that broadcast to the result. */
const aligned = (
  ins: readonly Aval[],
  out: Aval,
  index: readonly Expr[],
  read: Read,
): readonly [Expr, Expr] =>
  ins.map((a, i) =>
    read(
      i,
      range(a.rank).map((j) =>
        a.shape[j] === 1 && out.shape[j] !== 1 ? K.int(0) : (index[j] as Expr),
      ),
    ),
  ) as [Expr, Expr];

/** x with 1 in place of 0 */
const replaceZero = (x: NDArray): NDArray => selectN(eq(x, 0), [x, like(x, 1)]);

/** xʸ for a float x and a float or integer y. ∂/∂x = y·xʸ⁻¹, which is 0 for the integer y = 0; ∂/∂y = xʸ·log x, with log 0
 *  taken as 0. */
export const powP: Primitive<Plain> = definePrimitive<Plain>({
  name: "pow",
  shape: ([x, y]) => {
    const [a, b] = [x as Aval, y as Aval];
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
  jvp: jvpTerms<Plain>(
    () => powP,
    [
      (t, { out, x: [x, y] }) => {
        const [base, exponent] = [x as NDArray, y as NDArray];
        if (isFloat(exponent.dtype))
          return mul(t, mul(exponent, pow(base, sub(exponent, like(exponent, 1)))));
        const n = broadcastTo(exponent, out.shape);
        // the smaller exponent stays an integer, for the derivative of this derivative
        const less = selectN(eq(n, 0), [sub(n, like(n, 1)), n]);
        return mul(t, mul(convert(n, base.dtype), pow(broadcastTo(base, out.shape), less)));
      },
      (t, { out, x: [x] }) => mul(t, mul(log(replaceZero(x as NDArray)), out)),
    ],
  ),
  transpose: nonlinear,
  batch: elementwiseBatch(() => powP),
  lower: (ins, [out]) => ({
    kind: "map",
    at: (index, read) => {
      const [x, y] = aligned(ins, out as Aval, index, read);
      return [K.binary("pow", x, K.cast(y, x.dtype))];
    },
  }),
});
/** xʸ. A number as exponent is a float.
 *  @throws DTypeError unless x is a float and y of its dtype or an integer
 *  @example pow(4, 0.5) // => 2 */
export const pow = (x: Operand, y: Operand): NDArray => bind1(powP, operands("pow", x, y), {});

// ---- neighbours, upper halves ----

/** the float next to x in the direction of y */
export const nextafterP: Primitive<Plain> = definePrimitive<Plain>({
  name: "nextafter",
  shape: (avals) => {
    const [a, b] = avals as readonly [Aval, Aval];
    checkClass("nextafter", "float", a, b);
    if (a.dtype !== b.dtype)
      fail(
        DTypeError,
        "nextafter",
        "operands must have one dtype",
        `${a} and ${b}`,
        "convert one of them",
      );
    return [Aval.of(elementwiseShape("nextafter", avals), a.dtype, a.weakType && b.weakType)];
  },
  jvp: noRule("neighbouring floats are a property of the format, not of the function"),
  transpose: nonlinear,
  batch: elementwiseBatch(() => nextafterP),
  lower: (ins, [out]) => ({
    kind: "map",
    at: (index, read) => {
      const [x, y] = aligned(ins, out as Aval, index, read);
      return [K.binary("nextafter", x, y)];
    },
  }),
});
/** the float next to x in the direction of y @example nextafter(1, 2) // => 1.0000001192092896 */
export const nextafter = (x: Operand, y: Operand): NDArray =>
  bind1(nextafterP, operands("nextafter", x, y), {});

/** the upper half of the product of two integers: ⌊x·y / 2^width⌋ */
export const mulhiP = elementwise({
  name: "mulhi",
  arity: 2,
  accepts: "integer",
  jvp: "zero",
  transpose: onIntegers,
  at: ([x, y]) => K.binary("mulhi", x as Expr, y as Expr),
});
/** ⌊x·y / 2^width⌋, the upper half of the full product */
export const mulhi = (x: Operand, y: Operand): NDArray =>
  bind1(mulhiP, operands("mulhi", x, y), {});
