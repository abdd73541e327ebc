/** Scalar arithmetic of the kernel language on JavaScript numbers: one function per operation and dtype.
 *  A value of any dtype is the number it stands for; integers are in range, bool is 0 or 1. */
import {
  bfloat16ToNumber,
  castNumber,
  type DType,
  dtypes,
  float16ToNumber,
  isFloat,
  isInteger,
  numberToBfloat16,
  numberToFloat16,
  type PackedArray,
  wrapInteger,
} from "../../dtype.ts";
import { type BinaryOp, type CompareOp, isWordOp, type UnaryOp } from "../../kernel/expr.ts";

export type Unary = (x: number) => number;
export type Binary = (x: number, y: number) => number;

const identity: Unary = (x) => x;

function undefinedFor(op: string, d: DType): never {
  throw new Error(`kernel ${op}: undefined for ${d}`);
}

/** Brings the exact (or double) result of an operation into the dtype. */
export function rounder(d: DType): Unary {
  switch (d) {
    case "float64":
    case "bool":
      return identity;
    case "float32":
      return Math.fround;
    case "float16":
    case "bfloat16":
      return (x) => castNumber(x, d);
    default:
      return (x) => wrapInteger(x, d);
  }
}

/** Value of a stored element. */
export function decoder(d: DType): Unary {
  return d === "float16" ? float16ToNumber : d === "bfloat16" ? bfloat16ToNumber : identity;
}

/** Stored element of a value. */
export function encoder(d: DType): Unary {
  return d === "float16" ? numberToFloat16 : d === "bfloat16" ? numberToBfloat16 : identity;
}

// ---- unary ----

/** Nearest integer, ties to even; the sign of zero is that of x. */
export function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  const up = rest > 0.5 || (rest === 0.5 && low % 2 !== 0);
  const r = up ? low + 1 : low;
  return r === 0 && (x < 0 || Object.is(x, -0)) ? -0 : r;
}

function popcount(x: number): number {
  let n = 0;
  for (let rest = x >>> 0; rest !== 0; rest >>>= 1) n += rest & 1;
  return n;
}

const rounded: { readonly [op in UnaryOp]?: Unary } = {
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
};

/** Operations whose result on a float of any width needs no rounding. */
const exactOnFloat: { readonly [op in UnaryOp]?: Unary } = {
  neg: (x) => -x,
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  round: roundHalfEven,
};

const float64 = new Float64Array(1);
/** little-endian, as all of a backend's memory is */
const float64Words = new Int32Array(float64.buffer);
const wordOf =
  (k: 0 | 1): Unary =>
  (x) => {
    float64[0] = x;
    return float64Words[k] as number;
  };
function joinWords(high: number, low: number): number {
  float64Words[1] = high;
  float64Words[0] = low;
  return float64[0] as number;
}

export function unaryOf(op: UnaryOp, d: DType): Unary {
  if (isWordOp(op)) return wordOf(op === "highWord" ? 1 : 0);
  if (isFloat(d)) {
    const exact = exactOnFloat[op];
    if (exact !== undefined) return exact;
    const f = rounded[op] ?? undefinedFor(op, d);
    const round = rounder(d);
    return (x) => round(f(x));
  }
  if (d === "bool") return op === "not" ? (x) => 1 - x : undefinedFor(op, d);
  const bits = dtypes[d].bytes * 8;
  const mask = 2 ** bits - 1;
  switch (op) {
    case "neg":
      return (x) => wrapInteger(-x, d);
    case "abs":
      return (x) => wrapInteger(Math.abs(x), d);
    case "not":
      return (x) => wrapInteger(~x, d);
    case "popcount":
      return (x) => popcount(x & mask);
    case "clz":
      return (x) => Math.clz32(x & mask) - (32 - bits);
    default:
      return undefinedFor(op, d);
  }
}

// ---- binary ----

/** xʸ modulo 2^bits; a negative y gives the reciprocal truncated to an integer. */
function integerPower(x: number, y: number): number {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y % 2 === 0 ? 1 : -1) : 0;
  let result = 1;
  let square = x;
  for (let n = y; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

const floatBinary: { readonly [op in BinaryOp]?: Binary } = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  rem: (x, y) => x % y,
  min: Math.min,
  max: Math.max,
  hostPow: (x, y) => x ** y,
};

const boolBinary: { readonly [op in BinaryOp]?: Binary } = {
  min: Math.min,
  max: Math.max,
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
};

/** Results before they are wrapped. */
function integerBinary(op: BinaryOp, d: DType): Binary {
  const bits = dtypes[d].bytes * 8;
  const mask = 2 ** bits - 1;
  const long = (y: number): boolean => y < 0 || y >= bits;
  switch (op) {
    case "add":
      return (x, y) => x + y;
    case "sub":
      return (x, y) => x - y;
    case "mul":
      return Math.imul;
    case "div":
      return (x, y) => (y === 0 ? -1 : x / y);
    case "rem":
      return (x, y) => (y === 0 ? x : x % y);
    case "min":
      return Math.min;
    case "max":
      return Math.max;
    case "pow":
      return integerPower;
    case "and":
      return (x, y) => x & y;
    case "or":
      return (x, y) => x | y;
    case "xor":
      return (x, y) => x ^ y;
    case "shl":
      return (x, y) => (long(y) ? 0 : x << y);
    case "shr":
      return dtypes[d].kind === "int"
        ? (x, y) => x >> (long(y) ? 31 : y)
        : (x, y) => (long(y) ? 0 : x >>> y);
    case "shrl":
      return (x, y) => (long(y) ? 0 : (x & mask) >>> y);
    case "mulhi":
      return (x, y) => Number((BigInt(x) * BigInt(y)) >> BigInt(bits));
    default:
      return undefinedFor(op, d);
  }
}

export function binaryOf(op: BinaryOp, d: DType): Binary {
  if (op === "joinWords") return joinWords;
  if (isFloat(d)) {
    const f = floatBinary[op] ?? undefinedFor(op, d);
    const round = rounder(d);
    return (x, y) => round(f(x, y));
  }
  if (d === "bool") return boolBinary[op] ?? undefinedFor(op, d);
  const f = integerBinary(op, d);
  return (x, y) => wrapInteger(f(x, y), d);
}

export function compareOf(op: CompareOp): Binary {
  switch (op) {
    case "eq":
      return (x, y) => (x === y ? 1 : 0);
    case "ne":
      return (x, y) => (x !== y ? 1 : 0);
    case "lt":
      return (x, y) => (x < y ? 1 : 0);
    case "le":
      return (x, y) => (x <= y ? 1 : 0);
    case "gt":
      return (x, y) => (x > y ? 1 : 0);
    case "ge":
      return (x, y) => (x >= y ? 1 : 0);
  }
}

// ---- conversions ----

export function castOf(from: DType, to: DType): Unary {
  if (isInteger(from) && isInteger(to)) return (x) => wrapInteger(x, to);
  return (x) => castNumber(x, to);
}

/** The same bits read as another dtype of the same width. */
export function bitcastOf(from: DType, to: DType): Unary {
  const bytes = new ArrayBuffer(8);
  const source: PackedArray = new dtypes[from].packed(bytes);
  const target: PackedArray = new dtypes[to].packed(bytes);
  const encode = encoder(from);
  const decode = decoder(to);
  return (x) => {
    source[0] = encode(x);
    return decode(target[0] as number);
  };
}
