/** Elementwise functions of `np`: operands are promoted, then the primitive is applied. */
import { dtypes, isFloat, isInteger } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import * as c from "../ops/compare.ts";
import { convert } from "../ops/linear.ts";
import { broadcastShapes } from "../shape.ts";
import { selectN } from "../ops/structural.ts";
import * as t from "../ops/transcendental.ts";
import {
  type ArrayInput,
  broadcastTo,
  promote,
  promoteFloat,
  toArray,
  toBool,
  toFloat,
} from "./promote.ts";

type Unary = (x: ArrayInput) => NDArray;
type Binary = (x: ArrayInput, y: ArrayInput) => NDArray;

const like = (x: NDArray, value: number): NDArray => new Literal(value, x.dtype, x.weakType);
// What needs no promotion goes straight on: a float, two arrays of one type, an array of floats and a number.
/** f of a float; integers and bools become float32 first. */
const float =
  (op: string, f: (x: NDArray) => NDArray): Unary =>
  (x) =>
    f(toFloat(op, x));
/** f of any number. */
const number =
  (op: string, f: (x: NDArray) => NDArray): Unary =>
  (x) =>
    f(toArray(op, x));
const applied = (
  meet: (op: string, x: ArrayInput, y: ArrayInput) => NDArray[],
  op: string,
  f: Operation,
): Binary => {
  return (x, y) => {
    if (x instanceof NDArray && isFloat(x.dtype)) {
      if (typeof y === "number") return f(x, like(x, y));
      if (y instanceof NDArray && y.aval === x.aval) return f(x, y);
    }
    const both = meet(op, x, y);
    return f(both[0] as NDArray, both[1] as NDArray);
  };
};
const two = (op: string, f: Operation): Binary => applied(promote, op, f);
const twoFloat = (op: string, f: Operation): Binary => applied(promoteFloat, op, f);
/** x where the test holds, y elsewhere, all three broadcast; x and y are of one dtype. */
function pick(test: NDArray, x: NDArray, y: NDArray): NDArray {
  const shape = broadcastShapes("where", [test.shape, x.shape, y.shape]);
  const which = test.ndim === 0 ? test : broadcastTo(test, shape);
  return selectN(which, [broadcastTo(y, shape), broadcastTo(x, shape)]);
}
/** bool arithmetic, as NumPy has it: + is or, · is and */
type Operation = (x: NDArray, y: NDArray) => NDArray;
const boolOr =
  (logic: Operation, f: Operation): Operation =>
  (x, y) =>
    x.dtype === "bool" ? logic(x, y) : f(x, y);
/** Bools count as int32. */
const numeric = (f: Operation): Operation =>
  boolOr((x, y) => f(convert(x, "int32"), convert(y, "int32")), f);
const floatOr = (op: string, f: (x: NDArray) => NDArray, other: (x: NDArray) => NDArray): Unary =>
  number(op, (x) => (isFloat(x.dtype) ? f(x) : other(x)));
const same = (x: NDArray): NDArray => x;
const isUnsigned = (x: NDArray): boolean => x.dtype.startsWith("uint");
const nearest = (x: NDArray): NDArray => a.round(x, "toNearestEven");

// ---- arithmetic ----

/** x + y */
export const add: Binary = two("add", boolOr(c.or, a.add));
/** x − y */
export const subtract: Binary = two("subtract", a.sub);
/** x · y */
export const multiply: Binary = two("multiply", boolOr(c.and, a.mul));
/** x / y as a float */
export const divide: Binary = twoFloat("divide", a.div);
export const trueDivide: Binary = divide;
/** −x */
export const negative: Unary = number("negative", a.neg);
/** x */
export const positive: Unary = number("positive", same);
/** |x| */
export const abs: Unary = number("abs", (x) =>
  x.dtype === "bool" || isUnsigned(x) ? x : a.abs(x),
);
export const absolute: Unary = abs;
export const fabs: Unary = float("fabs", a.abs);
/** −1, 0 or 1 */
export const sign: Unary = number("sign", a.sign);
/** x² */
export const square: Unary = number("square", (x) => (x.dtype === "bool" ? x : a.square(x)));
/** 1/x as a float */
export const reciprocal: Unary = float("reciprocal", (x) => a.div(like(x, 1), x));
/** larger of x and y; NaN if either is */
export const maximum: Binary = two("maximum", a.max);
/** smaller of x and y; NaN if either is */
export const minimum: Binary = two("minimum", a.min);
const skipNaN =
  (f: Operation, beyond: Operation): Operation =>
  (x, y) =>
    isFloat(x.dtype) ? pick(c.or(beyond(x, y), c.ne(y, y)), x, y) : f(x, y);
/** larger of x and y, NaN counting as missing */
export const fmax: Binary = two("fmax", skipNaN(a.max, c.gt));
/** smaller of x and y, NaN counting as missing */
export const fmin: Binary = two("fmin", skipNaN(a.min, c.lt));
/** ⌊x / y⌋ */
export const floorDivide: Binary = two(
  "floorDivide",
  numeric((x, y) => {
    // x − mod(x, y) is a multiple of y up to rounding
    if (isFloat(x.dtype)) return nearest(a.div(a.sub(x, mod(x, y)), y));
    const q = a.div(x, y);
    if (isUnsigned(x)) return q;
    const inexact = c.ne(a.rem(x, y), like(x, 0));
    const opposed = c.ne(a.sign(x), a.sign(y));
    return selectN(c.and(inexact, opposed), [q, a.sub(q, like(q, 1))]);
  }),
);
/** x − y·⌊x/y⌋: the sign of y */
export const mod: Binary = two(
  "mod",
  numeric((x, y) => {
    const r = a.rem(x, y);
    if (isUnsigned(x)) return r;
    const zero = like(r, 0);
    const wrong = c.and(c.ne(r, zero), c.ne(c.lt(r, zero), c.lt(y, like(y, 0))));
    return selectN(wrong, [r, a.add(r, y)]);
  }),
);
export const remainder: Binary = mod;
/** remainder with the sign of x, as in C */
export const fmod: Binary = two("fmod", a.rem);
/** [⌊x/y⌋, x mod y] */
export const divmod = (x: ArrayInput, y: ArrayInput): [NDArray, NDArray] => [
  floorDivide(x, y),
  mod(x, y),
];
/** x^y. A whole number as exponent of an array gives the exact chain of products. */
export function power(x: ArrayInput, y: ArrayInput): NDArray {
  const base = toArray("power", x);
  if (typeof y === "number" && Number.isInteger(y) && Math.abs(y) <= 1024) {
    if (isFloat(base.dtype) || (isInteger(base.dtype) && y >= 0)) return a.integerPow(base, y);
  }
  const [p, q] = promote("power", base, y);
  return isFloat(p.dtype) ? a.pow(p, q) : wholePower(p, q);
}
export const pow: typeof power = power;
export const floatPower: Binary = twoFloat("floatPower", a.pow);
/** integers to integer powers, by repeated squaring over the bits of the exponent */
const wholePower = numeric((x, y) => {
  let result: NDArray | null = null;
  let base = x;
  const one = like(x, 1);
  for (let bit = 0; bit < 6; bit++) {
    const odd = c.ne(c.and(c.shiftRightLogical(y, like(y, bit)), like(y, 1)), like(y, 0));
    const next: NDArray = result === null ? base : a.mul(result, base);
    result = pick(odd, next, result ?? one);
    base = a.mul(base, base);
  }
  return result as NDArray;
});
/** √(x² + y²) without overflow on the way */
export const hypot: Binary = twoFloat("hypot", (x, y) => {
  const [u, v] = [a.abs(x), a.abs(y)];
  const big = a.max(u, v);
  const small = a.min(u, v);
  const none = c.eq(big, like(big, 0));
  const ratio = a.div(small, pick(none, like(big, 1), big));
  const length = pick(none, big, a.mul(big, t.sqrt(a.add(like(big, 1), a.square(ratio)))));
  const infinity = like(u, Number.POSITIVE_INFINITY);
  return pick(c.or(c.eq(u, infinity), c.eq(v, infinity)), infinity, length);
});
/** magnitude of x, sign of y */
export const copysign: Binary = twoFloat("copysign", (x, y) => {
  const m = a.abs(x);
  return pick(signbit(y), a.neg(m), m);
});
/** true where the sign bit is set: −0 and negative NaN too */
export const signbit: Unary = (x) => {
  const v = toArray("signbit", x);
  if (!isFloat(v.dtype)) return c.lt(v, like(v, 0));
  // 1/−0 = −∞ tells the zeros apart
  return c.or(c.lt(v, like(v, 0)), c.lt(a.div(like(v, 1), v), like(v, 0)));
};
/** 0 for x < 0, h for x = 0, 1 for x > 0 */
export const heaviside: Binary = twoFloat("heaviside", (x, h) => {
  const zero = like(x, 0);
  const step = convert(c.gt(x, zero), x.dtype);
  return pick(c.ne(x, x), x, pick(c.eq(x, zero), h, step));
});
export const nextafter: Binary = twoFloat("nextafter", a.nextafter);

// ---- rounding ----

export const floor: Unary = floatOr("floor", a.floor, same);
export const ceil: Unary = floatOr("ceil", a.ceil, same);
/** towards zero */
export const trunc: Unary = floatOr(
  "trunc",
  (x) => selectN(c.lt(x, like(x, 0)), [a.floor(x), a.ceil(x)]),
  same,
);
export const fix: Unary = trunc;
/** to the nearest integer, halves to even */
export const rint: Unary = floatOr("rint", nearest, same);
/** to `decimals` places, halves to even */
export function round(x: ArrayInput, decimals = 0): NDArray {
  const v = toArray("round", x);
  if (!isFloat(v.dtype)) {
    if (decimals >= 0) return v;
    return fail(
      DTypeError,
      "round",
      "negative decimals need a float",
      v.aval,
      "convert to float32",
    );
  }
  if (decimals === 0) return nearest(v);
  const factor = like(v, 10 ** Math.abs(decimals));
  const [up, down] = decimals > 0 ? [a.mul, a.div] : [a.div, a.mul];
  return down(nearest(up(v, factor)), factor);
}
export const around: typeof round = round;

// ---- exponentials, logarithms, trigonometry ----

export const exp: Unary = float("exp", t.exp);
export const exp2: Unary = float("exp2", t.exp2);
/** eˣ − 1, accurate near 0 */
export const expm1: Unary = float("expm1", t.expm1);
export const log: Unary = float("log", t.log);
/** log(1 + x), accurate near 0 */
export const log1p: Unary = float("log1p", t.log1p);
const logOfBase = (op: string, ln: number): Unary => float(op, (x) => a.div(t.log(x), like(x, ln)));
export const log2: Unary = logOfBase("log2", Math.LN2);
export const log10: Unary = logOfBase("log10", Math.LN10);
export const sqrt: Unary = float("sqrt", t.sqrt);
export const cbrt: Unary = float("cbrt", t.cbrt);
export const sin: Unary = float("sin", t.sin);
export const cos: Unary = float("cos", t.cos);
export const tan: Unary = float("tan", t.tan);
export const asin: Unary = float("asin", t.asin);
export const acos: Unary = float("acos", t.acos);
export const atan: Unary = float("atan", t.atan);
export const atan2: Binary = twoFloat("atan2", t.atan2);
export const sinh: Unary = float("sinh", t.sinh);
export const cosh: Unary = float("cosh", t.cosh);
export const tanh: Unary = float("tanh", t.tanh);
export const asinh: Unary = float("asinh", t.asinh);
export const acosh: Unary = float("acosh", t.acosh);
export const atanh: Unary = float("atanh", t.atanh);
export const arcsin: Unary = asin;
export const arccos: Unary = acos;
export const arctan: Unary = atan;
export const arctan2: Binary = atan2;
export const arcsinh: Unary = asinh;
export const arccosh: Unary = acosh;
export const arctanh: Unary = atanh;
const times = (op: string, factor: number): Unary => float(op, (x) => a.mul(x, like(x, factor)));
export const deg2rad: Unary = times("deg2rad", Math.PI / 180);
export const rad2deg: Unary = times("rad2deg", 180 / Math.PI);
export const radians: Unary = deg2rad;
export const degrees: Unary = rad2deg;
/** sin(πx)/(πx), 1 at 0 */
export const sinc: Unary = float("sinc", (x) => {
  const zero = c.eq(x, like(x, 0));
  const y = a.mul(pick(zero, like(x, 1), x), like(x, Math.PI));
  return pick(zero, like(x, 1), a.div(t.sin(y), y));
});
/** max + rest(−|x − y|), differentiable to every order where x = y too, which max and |·| are not. */
const addExponents =
  (rest: (d: NDArray) => NDArray) =>
  (x: NDArray, y: NDArray): NDArray => {
    const first = c.ge(x, y);
    const d = a.sub(x, y);
    const undefinedGap = c.ne(d, d); // ∞ − ∞, or NaN
    const gap = pick(undefinedGap, like(d, 0), pick(first, a.sub(y, x), d));
    return pick(undefinedGap, a.add(x, y), a.add(pick(first, x, y), rest(gap)));
  };
/** log(eˣ + eʸ) */
export const logaddexp: Binary = twoFloat(
  "logaddexp",
  addExponents((d) => t.log1p(t.exp(d))),
);
/** log₂(2ˣ + 2ʸ) */
export const logaddexp2: Binary = twoFloat(
  "logaddexp2",
  addExponents((d) => a.div(t.log1p(t.exp2(d)), like(d, Math.LN2))),
);

// ---- comparisons and logic ----

export const equal: Binary = two("equal", c.eq);
export const notEqual: Binary = two("notEqual", c.ne);
export const less: Binary = two("less", c.lt);
export const lessEqual: Binary = two("lessEqual", c.le);
export const greater: Binary = two("greater", c.gt);
export const greaterEqual: Binary = two("greaterEqual", c.ge);

const logical = (op: string, f: Operation): Binary => two(op, (x, y) => f(toBool(x), toBool(y)));
export const logicalAnd: Binary = logical("logicalAnd", c.and);
export const logicalOr: Binary = logical("logicalOr", c.or);
export const logicalXor: Binary = logical("logicalXor", c.xor);
export const logicalNot: Unary = number("logicalNot", (x) => c.not(toBool(x)));

export const bitwiseAnd: Binary = two("bitwiseAnd", c.and);
export const bitwiseOr: Binary = two("bitwiseOr", c.or);
export const bitwiseXor: Binary = two("bitwiseXor", c.xor);
export const bitwiseNot: Unary = number("bitwiseNot", c.not);
export const invert: Unary = bitwiseNot;
export const bitwiseInvert: Unary = bitwiseNot;
const shift =
  (op: string, f: (x: NDArray, n: NDArray) => NDArray): Binary =>
  (x, n) => {
    const v = toArray(op, x);
    // a bare number as the shift takes the dtype of what is shifted
    const [p, q] = promote(op, v, typeof n === "number" ? new Literal(n, v.dtype, true) : n);
    return f(p, q);
  };
export const leftShift: Binary = shift("leftShift", c.shiftLeft);
export const rightShift: Binary = shift("rightShift", (x, n) =>
  isUnsigned(x) ? c.shiftRightLogical(x, n) : c.shiftRightArithmetic(x, n),
);
export const bitwiseLeftShift: Binary = leftShift;
export const bitwiseRightShift: Binary = rightShift;
/** number of ones in |x|, uint8 */
export const bitwiseCount: Unary = number("bitwiseCount", (x) =>
  convert(c.populationCount(abs(x)), "uint8"),
);

const never = (x: NDArray): NDArray => c.ne(x, x);
export const isnan: Unary = number("isnan", never);
export const isfinite: Unary = floatOr("isfinite", c.isFinite, (x) => c.eq(x, x));
const isExactly = (op: string, value: number, of: (x: NDArray) => NDArray): Unary =>
  floatOr(op, (x) => c.eq(of(x), like(x, value)), never);
export const isinf: Unary = isExactly("isinf", Number.POSITIVE_INFINITY, a.abs);
export const isposinf: Unary = isExactly("isposinf", Number.POSITIVE_INFINITY, same);
export const isneginf: Unary = isExactly("isneginf", Number.NEGATIVE_INFINITY, same);

// ---- selection ----

/** x where the condition holds, y elsewhere. The gradient of the side that is not taken is zero, NaN or not. */
export function where(condition: ArrayInput, x: ArrayInput, y: ArrayInput): NDArray {
  const [p, q] = promote("where", x, y);
  return pick(toBool(toArray("where", condition)), p, q);
}
/** x limited to [min, max]; either bound may be null. NaN stays. */
export function clip(
  x: ArrayInput,
  min: ArrayInput | null = null,
  max: ArrayInput | null = null,
): NDArray {
  let v = toArray("clip", x);
  if (min !== null) v = maximum(min, v);
  if (max !== null) v = minimum(max, v);
  return v;
}
/** NaN to `nan`, +∞ to `posinf` (largest finite), −∞ to `neginf` (smallest) */
export function nanToNum(
  x: ArrayInput,
  { nan = 0, posinf, neginf }: { nan?: number; posinf?: number; neginf?: number } = {},
): NDArray {
  const v = toArray("nanToNum", x);
  if (!isFloat(v.dtype)) return v;
  const { min, max } = dtypes[v.dtype];
  let out = where(isnan(v), like(v, nan), v);
  out = where(isposinf(v), like(v, posinf ?? max), out);
  return where(isneginf(v), like(v, neginf ?? min), out);
}
