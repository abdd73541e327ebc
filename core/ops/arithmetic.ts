/** Arithmetic on numbers: the field operations and their kin. */
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import { LinearInput, noRule, type Tangent, Zero } from "../primitive.ts";
import { bind1 } from "../trace.ts";
import { elementwise, type Operand, operands, transposeTerms, unbroadcast } from "./rules.ts";

const nonlinear = noRule("it is not linear");

/** −x */
export const negP = elementwise({
  name: "neg",
  arity: 1,
  accepts: "number",
  jvp: [(t) => neg(t)],
  transpose: transposeTerms([(ct) => neg(ct)]),
  at: ([x]) => K.neg(x as Expr),
});
export const neg = (x: Operand): NDArray => bind1(negP, operands("neg", x), {});

/** x + y */
export const addP = elementwise({
  name: "add",
  arity: 2,
  accepts: "number",
  jvp: [(t) => t, (t) => t],
  transpose: transposeTerms([(ct) => ct, (ct) => ct]),
  at: ([x, y]) => K.add(x as Expr, y as Expr),
});
export const add = (x: Operand, y: Operand): NDArray => bind1(addP, operands("add", x, y), {});

/** x − y */
export const subP = elementwise({
  name: "sub",
  arity: 2,
  accepts: "number",
  jvp: [(t) => t, (t) => neg(t)],
  transpose: transposeTerms([(ct) => ct, (ct) => neg(ct)]),
  at: ([x, y]) => K.sub(x as Expr, y as Expr),
});
export const sub = (x: Operand, y: Operand): NDArray => bind1(subP, operands("sub", x, y), {});

/** x · y */
export const mulP = elementwise({
  name: "mul",
  arity: 2,
  accepts: "number",
  jvp: [(t, { x: [, y] }) => mul(t, y as NDArray), (t, { x: [x] }) => mul(x as NDArray, t)],
  // bilinear: linear in one operand while the other is a value
  transpose: ([ct], inputs) =>
    inputs.map((x, i): Tangent | null => {
      if (!(x instanceof LinearInput)) return null;
      if (ct instanceof Zero) return new Zero(x.aval);
      const other = inputs[1 - i] as NDArray;
      return unbroadcast(mul(ct as NDArray, other), x.aval);
    }),
  at: ([x, y]) => K.mul(x as Expr, y as Expr),
});
export const mul = (x: Operand, y: Operand): NDArray => bind1(mulP, operands("mul", x, y), {});

/** x / y; integers truncate */
export const divP = elementwise({
  name: "div",
  arity: 2,
  accepts: "number",
  jvp: [
    (t, { x: [, y] }) => div(t, y as NDArray),
    (t, { out, x: [, y] }) => mul(neg(t), div(out, y as NDArray)),
  ],
  transpose: transposeTerms([(ct, [, y]) => div(ct, y as NDArray), null]),
  at: ([x, y]) => K.div(x as Expr, y as Expr),
});
export const div = (x: Operand, y: Operand): NDArray => bind1(divP, operands("div", x, y), {});

export { nonlinear };
