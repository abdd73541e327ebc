/** Comparisons, and operations on bits. */
import { isFloat } from "../dtype.ts";
import * as K from "../kernel/expr.ts";
import type { CompareOp, Expr } from "../kernel/expr.ts";
import type { Primitive } from "../primitive.ts";
import { applied, applied2, binaryP, elementwise, type Plain, unaryP } from "./rules.ts";

// ---- comparisons: bool, false on NaN except ne ----

function predicate(name: string, at: (x: Expr, y: Expr) => Expr): Primitive<Plain> {
  return elementwise({
    name,
    accepts: "any",
    result: "bool",
    at: ([x, y]) => at(x as Expr, y as Expr),
  });
}
const comparison = (op: CompareOp): Primitive<Plain> =>
  predicate(op, (x, y) => K.compare(op, x, y));

/** x = y */
export const eqP = comparison("eq");
/** x = y; false on NaN @example eq(1, 1) // => true */
export const eq = applied2(eqP);
/** x ≠ y */
export const neP = comparison("ne");
/** x ≠ y; true on NaN @example ne(1, 1) // => false */
export const ne = applied2(neP);
/** x < y */
export const ltP = comparison("lt");
/** x < y @example lt(1, 2) // => true */
export const lt = applied2(ltP);
/** x ≤ y */
export const leP = comparison("le");
/** x ≤ y @example le(2, 2) // => true */
export const le = applied2(leP);
/** x > y */
export const gtP = comparison("gt");
/** x > y @example gt(1, 2) // => false */
export const gt = applied2(gtP);
/** x ≥ y */
export const geP = comparison("ge");
/** x ≥ y @example ge(2, 2) // => true */
export const ge = applied2(geP);

// ---- the total order −∞ < … < −0 < +0 < … < ∞ < NaN; all NaNs are one ----

const isNan = (x: Expr): Expr => K.compare("ne", x, x);
const one = (x: Expr): Expr => K.lit(1, x.dtype);
/** Whether equal floats are ordered by the signs of zeros: 1/−0 = −∞ < ∞ = 1/+0, and equal floats that are not
 *  zero have equal reciprocals. */
const tie = (op: CompareOp, x: Expr, y: Expr): Expr =>
  K.and(K.compare("eq", x, y), K.compare(op, K.div(one(x), x), K.div(one(y), y)));

const below = (x: Expr, y: Expr): Expr =>
  isFloat(x.dtype)
    ? K.or(K.or(K.compare("lt", x, y), tie("lt", x, y)), K.and(K.compare("eq", x, x), isNan(y)))
    : K.compare("lt", x, y);

/** x = y in the total order: −0 ≠ +0, NaN = NaN */
export const eqToP = predicate("eq_to", (x, y) =>
  isFloat(x.dtype) ? K.or(tie("eq", x, y), K.and(isNan(x), isNan(y))) : K.compare("eq", x, y),
);
/** x = y in the total order */
export const eqTo = applied2(eqToP);
/** x < y in the total order */
export const ltToP = predicate("lt_to", below);
/** x < y in the total order */
export const ltTo = applied2(ltToP);
/** x ≤ y in the total order */
export const leToP = predicate("le_to", (x, y) => K.unary("not", below(y, x)));
/** x ≤ y in the total order */
export const leTo = applied2(leToP);

/** true where x is neither infinite nor NaN */
export const isFiniteP = elementwise({
  name: "is_finite",
  accepts: "float",
  result: "bool",
  at: ([x]) => K.unary("isFinite", x as Expr),
});
/** true where x is neither infinite nor NaN @example isFinite(NaN) // => false */
export const isFinite = applied(isFiniteP);

// ---- bits ----

/** bitwise and; logical for bool */
export const andP = binaryP("and", "bits");
/** bitwise and; logical for bool */
export const and = applied2(andP);
/** bitwise or; logical for bool */
export const orP = binaryP("or", "bits");
/** bitwise or; logical for bool */
export const or = applied2(orP);
/** bitwise exclusive or; ≠ for bool */
export const xorP = binaryP("xor", "bits");
/** bitwise exclusive or; ≠ for bool */
export const xor = applied2(xorP);
/** all bits inverted; logical for bool */
export const notP = unaryP("not", "bits");
/** all bits inverted; logical for bool */
export const not = applied(notP);

/** x·2ʸ modulo 2^width; 0 when y is negative or at least the width */
export const shiftLeftP = binaryP("shift_left", "integer", "shl");
/** x·2ʸ modulo 2^width; 0 when y is negative or at least the width */
export const shiftLeft = applied2(shiftLeftP);
/** bits moved down by y, copies of the highest one shifted in, in unsigned dtypes too */
export const shiftRightArithmeticP = elementwise({
  name: "shift_right_arithmetic",
  accepts: "integer",
  at: ([x, y]) => {
    const { dtype } = x as Expr;
    const signed = dtype === "uint32" ? "int32" : dtype === "uint8" ? "int8" : dtype;
    return K.bitcast(
      K.binary("shr", K.bitcast(x as Expr, signed), K.bitcast(y as Expr, signed)),
      dtype,
    );
  },
});
/** bits moved down by y, copies of the highest one shifted in: ⌊x/2ʸ⌋ for a signed x. A shift by the width or more leaves
 *  only that bit. */
export const shiftRightArithmetic = applied2(shiftRightArithmeticP);
/** bits moved down by y, zeros shifted in */
export const shiftRightLogicalP = binaryP("shift_right_logical", "integer", "shrl");
/** bits moved down by y, zeros shifted in */
export const shiftRightLogical = applied2(shiftRightLogicalP);

/** number of bits that are set */
export const populationCountP = unaryP("population_count", "integer", "popcount");
/** number of bits that are set */
export const populationCount = applied(populationCountP);
/** number of zero bits above the highest one that is set */
export const clzP = unaryP("clz", "integer");
/** number of zero bits above the highest one that is set */
export const clz = applied(clzP);
