/** The operations of a field, and whole powers. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive } from "../primitive.ts";
import { bind1 } from "../trace.ts";
import { batchSame, eachElement } from "./axes.ts";
import { checkClass } from "./checks.ts";
import { dual, nonlinear } from "./linearity.ts";
import {
  applied,
  applied2,
  type Binary,
  elementwise,
  type Operand,
  operands,
  type Plain,
  type Unary,
} from "./rules.ts";

/** −x */
export const negP: Primitive<Plain> = elementwise({
  name: "neg",
  accepts: "number",
  linear: [(t) => neg(t)],
  at: ([x]) => K.neg(x as Expr),
});
/** −x @example neg(1) // => -1 */
export const neg: Unary = applied(negP);

/** x + y */
export const addP = elementwise({
  name: "add",
  accepts: "number",
  linear: [(t) => t, (t) => t],
  at: ([x, y]) => K.add(x as Expr, y as Expr),
});
/** x + y @example add(1, 2) // => 3 */
export const add: Binary = applied2(addP);

/** x − y */
export const subP = elementwise({
  name: "sub",
  accepts: "number",
  linear: [(t) => t, (t) => neg(t)],
  at: ([x, y]) => K.sub(x as Expr, y as Expr),
});
/** x − y @example sub(1, 2) // => -1 */
export const sub: Binary = applied2(subP);

/** x · y */
export const mulP: Primitive<Plain> = elementwise({
  name: "mul",
  accepts: "number",
  linear: [(t, [, y]) => mul(t, y as NDArray), (t, [x]) => mul(x as NDArray, t)],
  at: ([x, y]) => K.mul(x as Expr, y as Expr),
});
/** x · y @example mul(2, 3) // => 6 */
export const mul: Binary = applied2(mulP);

/** x / y; integers truncate */
export const divP: Primitive<Plain> = elementwise({
  name: "div",
  accepts: "number",
  linear: [(t, [, y]) => div(t, y as NDArray)],
  jvp: [(t, [x, y]) => mul(mul(neg(t), x as NDArray), integerPow(y as NDArray, -2))],
  at: ([x, y]) => K.div(x as Expr, y as Expr),
});
/** x / y; integers truncate towards zero, and x / 0 has all bits set @example div(6, 3) // => 2 */
export const div: Binary = applied2(divP);

// ---- whole powers ----

/** x² */
export const squareP = elementwise({
  name: "square",
  accepts: "number",
  jvp: [(t, [x]) => mul(t, mul(2, x as NDArray))],
  at: ([x]) => K.mul(x as Expr, x as Expr),
});
/** x² @example square(3) // => 9 */
export const square: Unary = applied(squareP);

export interface IntegerPowParams {
  readonly y: number;
}
/** xʸ as a chain of products by the binary digits of |y|. 16-bit floats are multiplied in float32 and rounded
 *  once. */
function chain(x: Expr, y: number): Expr {
  const narrow = isFloat(x.dtype) && dtypes[x.dtype].bytes === 2;
  const inner: DType = narrow ? "float32" : x.dtype;
  const one = K.lit(1, inner);
  let power = K.cast(x, inner);
  let product: Expr | null = null;
  for (let n = Math.abs(y); n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) product = product === null ? power : K.mul(product, power);
    if (n > 1) power = K.mul(power, power);
  }
  const value = product ?? one;
  return K.cast(y < 0 ? K.binary("div", one, value) : value, x.dtype);
}
/** xʸ for one whole number y, which may be negative for floats; x⁰ = 1 for every x */
export const integerPowP: Primitive<IntegerPowParams> = definePrimitive<IntegerPowParams>({
  name: "integer_pow",
  shape: ([x], { y }) => {
    const a = x as Aval;
    checkClass("integerPow", "number", a);
    if (!Number.isSafeInteger(y))
      fail(DTypeError, "integerPow", "the exponent must be a whole number", String(y), "use pow");
    if (y < 0 && !isFloat(a.dtype))
      fail(
        DTypeError,
        "integerPow",
        "integers cannot be raised to negative powers",
        `${a} to the power ${y}`,
        "convert to a float dtype first",
      );
    return [a];
  },
  jvp: ([x], [t], { y }) => {
    const out = integerPow(x as NDArray, y);
    if (y === 0) return dual(out);
    const dx = t as NDArray;
    // what is linear looks so: x¹ has no transpose
    if (y === 1) return dual(out, dx);
    return dual(out, mul(dx, mul(y, y === 2 ? (x as NDArray) : integerPow(x as NDArray, y - 1))));
  },
  transpose: nonlinear,
  batch: batchSame,
  lower: (_ins, _outs, { y }) => eachElement((index, read) => chain(read(0, index), y)),
});
/** xʸ for a whole number y, exactly the chain of products.
 *  @throws DTypeError for a negative power of integers
 *  @example integerPow(2, -2) // => 0.25 */
export const integerPow = (x: Operand, y: number): NDArray =>
  bind1(integerPowP, operands("integerPow", x), { y });
/** 1/x @example reciprocal(4) // => 0.25 */
export const reciprocal = (x: Operand): NDArray => integerPow(x, -1);
