/** The kernel language, part one: scalar expressions.
 *
 *  An expression is a directed acyclic graph of typed nodes. Sharing is by object identity: a node that is
 *  used twice is computed once. Every expression is pure and total; the one construct that guards
 *  evaluation is `cond`, which evaluates only the branch that is taken (so that a load may be out of range
 *  in the other). Arithmetic on a dtype gives values of that dtype: integers wrap, 16-bit floats are
 *  rounded after every operation, comparisons give bool (0 or 1). */
import { type DType, dtypes, isFloat } from "../dtype.ts";

/** x ↦ f(x), in the dtype of x. */
export type UnaryOp =
  | "neg"
  | "abs"
  | "sign" // −1, 0, 1; keeps NaN and signed zeros; written out in elementary.ts
  | "not" // bitwise; logical for bool
  | "floor"
  | "ceil"
  | "trunc"
  | "round" // half to even
  | "sqrt"
  | "popcount"
  | "clz"
  | "isFinite" // gives bool; written out in elementary.ts
  | WordOp
  | Intrinsic;

/** The upper and the lower 32 bits of a float64, as int32. */
export type WordOp = "highWord" | "lowWord";

/** Elementary functions of a float, which elementary.ts writes out before a backend sees them. What remains are the sine, cosine
 *  and tangent of large float64 angles: backends take them from the host. */
export type Intrinsic =
  | "exp"
  | "exp2"
  | "log"
  | "log1p"
  | "expm1"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "cbrt";

/** (x, y) ↦ f(x, y), both of one dtype, in that dtype. */
export type BinaryOp =
  | "add"
  | "sub"
  | "mul"
  | "div" // integers truncate; x/0 = −1 (all ones), min/−1 = min
  | "rem" // sign of the dividend, as C's fmod; integer x rem 0 = x
  | "min" // NaN if either is NaN; min(−0, +0) = −0
  | "max"
  | "pow" // IEEE pow: pow(x, 0) = 1, pow(1, y) = 1; of floats written out in elementary.ts
  | "hostPow" // the host's x ** y of float64
  | "atan2" // written out in elementary.ts
  | "and"
  | "or"
  | "xor"
  | "shl" // a shift by the width or more gives 0
  | "shr" // arithmetic for signed dtypes; a long shift gives the sign
  | "shrl" // logical
  | "mulhi" // upper half of the full product
  | "nextafter" // written out in elementary.ts
  | "joinWords"; // of the int32 x and y: the float64 whose upper 32 bits are x, the lower ones y

/** (x, y) ↦ bool; false on NaN, except `ne`. */
export type CompareOp = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/** A loop index or a local of a kernel. */
export class KVar {
  readonly kind = "var";
  readonly dtype: DType;
  readonly name: string;
  constructor(dtype: DType, name: string) {
    this.dtype = dtype;
    this.name = name;
  }
}

export type Expr =
  | KVar
  | { readonly kind: "lit"; readonly dtype: DType; readonly value: number }
  /** element `index` (int32, in elements) of the kernel's buffer number `buffer` */
  | { readonly kind: "load"; readonly dtype: DType; readonly buffer: number; readonly index: Expr }
  | { readonly kind: "unary"; readonly dtype: DType; readonly op: UnaryOp; readonly x: Expr }
  | {
      readonly kind: "binary";
      readonly dtype: DType;
      readonly op: BinaryOp;
      readonly x: Expr;
      readonly y: Expr;
    }
  | {
      readonly kind: "compare";
      readonly dtype: "bool";
      readonly op: CompareOp;
      readonly x: Expr;
      readonly y: Expr;
    }
  /** both sides are evaluated */
  | {
      readonly kind: "select";
      readonly dtype: DType;
      readonly test: Expr;
      readonly yes: Expr;
      readonly no: Expr;
    }
  /** only the side that is taken is evaluated */
  | {
      readonly kind: "cond";
      readonly dtype: DType;
      readonly test: Expr;
      readonly yes: Expr;
      readonly no: Expr;
    }
  /** value conversion: float→integer truncates and saturates (NaN to 0), integer→integer wraps, →bool is ≠ 0 */
  | { readonly kind: "cast"; readonly dtype: DType; readonly x: Expr }
  /** the same bits as another dtype of the same width */
  | { readonly kind: "bitcast"; readonly dtype: DType; readonly x: Expr };

// ---- constructors; those on int32 fold constants, so that index arithmetic stays small ----

export const lit = (value: number | boolean, dtype: DType): Expr => ({
  kind: "lit",
  dtype,
  value: Number(value),
});
/** an int32 constant */
export const int = (value: number): Expr => lit(value, "int32");
export const isLit = (e: Expr, value?: number): e is Expr & { kind: "lit" } =>
  e.kind === "lit" && (value === undefined || e.value === value);

export const isWordOp = (op: UnaryOp): op is WordOp => op === "highWord" || op === "lowWord";
export const unary = (op: UnaryOp, x: Expr): Expr => ({
  kind: "unary",
  dtype: op === "isFinite" ? "bool" : isWordOp(op) ? "int32" : x.dtype,
  op,
  x,
});

export function binary(op: BinaryOp, x: Expr, y: Expr): Expr {
  if (x.dtype !== y.dtype) throw new Error(`kernel ${op}: ${x.dtype} against ${y.dtype}`);
  return { kind: "binary", dtype: op === "joinWords" ? "float64" : x.dtype, op, x, y };
}

export function add(x: Expr, y: Expr): Expr {
  if (x.dtype === "int32") {
    if (isLit(x) && isLit(y)) return int((x.value + y.value) | 0);
    if (isLit(x, 0)) return y;
    if (isLit(y, 0)) return x;
  }
  return binary("add", x, y);
}
export function sub(x: Expr, y: Expr): Expr {
  if (x.dtype === "int32") {
    if (isLit(x) && isLit(y)) return int((x.value - y.value) | 0);
    if (isLit(y, 0)) return x;
  }
  return binary("sub", x, y);
}
export function mul(x: Expr, y: Expr): Expr {
  if (x.dtype === "int32") {
    if (isLit(x) && isLit(y)) return int(Math.imul(x.value, y.value));
    if (isLit(x, 0) || isLit(y, 1)) return x;
    if (isLit(y, 0) || isLit(x, 1)) return y;
  }
  return binary("mul", x, y);
}
const folding: { readonly [O in BinaryOp]?: (x: Expr, y: Expr) => Expr } = { add, sub, mul };
export const div = (x: Expr, y: Expr): Expr =>
  x.dtype === "int32" && isLit(y, 1) ? x : binary("div", x, y);
export const rem = (x: Expr, y: Expr): Expr =>
  x.dtype === "int32" && isLit(y, 1) ? int(0) : binary("rem", x, y);
export const min = (x: Expr, y: Expr): Expr => binary("min", x, y);
export const max = (x: Expr, y: Expr): Expr => binary("max", x, y);
export const neg = (x: Expr): Expr => unary("neg", x);

export function compare(op: CompareOp, x: Expr, y: Expr): Expr {
  if (x.dtype !== y.dtype) throw new Error(`kernel ${op}: ${x.dtype} against ${y.dtype}`);
  return { kind: "compare", dtype: "bool", op, x, y };
}
export function and(x: Expr, y: Expr): Expr {
  if (x.dtype === "bool") {
    if (isLit(x, 1) || isLit(y, 0)) return y;
    if (isLit(y, 1) || isLit(x, 0)) return x;
  }
  return binary("and", x, y);
}
export const or = (x: Expr, y: Expr): Expr => binary("or", x, y);

export function select(test: Expr, yes: Expr, no: Expr): Expr {
  if (isLit(test)) return test.value ? yes : no;
  return { kind: "select", dtype: yes.dtype, test, yes, no };
}
export function cond(test: Expr, yes: Expr, no: Expr): Expr {
  if (isLit(test)) return test.value ? yes : no;
  return { kind: "cond", dtype: yes.dtype, test, yes, no };
}
export const cast = (x: Expr, dtype: DType): Expr =>
  x.dtype === dtype ? x : { kind: "cast", dtype, x };
export function bitcast(x: Expr, dtype: DType): Expr {
  if (dtypes[x.dtype].bytes !== dtypes[dtype].bytes)
    throw new Error(`kernel bitcast: ${x.dtype} to ${dtype} changes width`);
  return x.dtype === dtype ? x : { kind: "bitcast", dtype, x };
}
export const load = (buffer: number, index: Expr, dtype: DType): Expr => ({
  kind: "load",
  dtype,
  buffer,
  index,
});

/** Row-major position of a multi-index. */
export function linearIndex(index: readonly Expr[], strides: readonly number[]): Expr {
  return index.reduce<Expr>((acc, e, i) => add(acc, mul(e, int(strides[i] as number))), int(0));
}

/** Horner's rule: c₀ + c₁x + c₂x² + … */
export function polynomial(x: Expr, coefficients: readonly number[]): Expr {
  return coefficients.reduceRight<Expr | null>(
    (acc, c) => (acc === null ? lit(c, x.dtype) : add(mul(acc, x), lit(c, x.dtype))),
    null,
  ) as Expr;
}

/** The dtype in which sums and special functions of `d` are computed before one rounding. */
export const wide = (d: DType): DType => (isFloat(d) ? "float64" : d);

/** Direct subexpressions. */
export function operands(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case "var":
    case "lit":
      return [];
    case "load":
      return [e.index];
    case "unary":
    case "cast":
    case "bitcast":
      return [e.x];
    case "binary":
    case "compare":
      return [e.x, e.y];
    case "select":
    case "cond":
      return [e.test, e.yes, e.no];
  }
}

/** True where `f` holds of all direct subexpressions. */
export const everyOperand = (e: Expr, f: (x: Expr) => boolean): boolean => operands(e).every(f);

/** Calls `f` for each node of `e` that is not among `seen`, and puts it there. */
export function eachNode(e: Expr, seen: Set<Expr>, f: (x: Expr) => void): void {
  const visit = (x: Expr): boolean => {
    const before = seen.size;
    if (seen.add(x).size === before) return true;
    f(x);
    return everyOperand(x, visit);
  };
  visit(e);
}

/** f, which is computed once for each argument and is never undefined. */
export function memoized<K extends object, T>(
  f: (x: K) => T,
  known: Map<K, T> | WeakMap<K, T> = new Map<K, T>(),
): (x: K) => T {
  return (x) => {
    let value = known.get(x);
    if (value === undefined) {
      value = f(x);
      known.set(x, value);
    }
    return value;
  };
}

/** Rebuilds `e` with each node replaced by `f(node)` where that is not null; sharing is kept. */
export function rewrite(
  e: Expr,
  f: (e: Expr) => Expr | null,
  memo: Map<Expr, Expr> = new Map(),
): Expr {
  const seen = memo.get(e);
  if (seen !== undefined) return seen;
  const go = (x: Expr): Expr => rewrite(x, f, memo);
  let out = f(e);
  if (out === null)
    switch (e.kind) {
      case "var":
      case "lit":
        out = e;
        break;
      case "load":
        out = load(e.buffer, go(e.index), e.dtype);
        break;
      case "unary":
        out = unary(e.op, go(e.x));
        break;
      case "cast":
        out = cast(go(e.x), e.dtype);
        break;
      case "bitcast":
        out = bitcast(go(e.x), e.dtype);
        break;
      case "binary": {
        const [x, y] = [go(e.x), go(e.y)];
        out = folding[e.op]?.(x, y) ?? binary(e.op, x, y);
        break;
      }
      case "compare":
        out = compare(e.op, go(e.x), go(e.y));
        break;
      case "select":
        out = select(go(e.test), go(e.yes), go(e.no));
        break;
      case "cond":
        out = cond(go(e.test), go(e.yes), go(e.no));
        break;
    }
  memo.set(e, out);
  return out;
}

/** True where a variable occurs in `e`. */
export function uses(e: Expr, v: KVar): boolean {
  const seen = new Set<Expr>();
  const visit = (x: Expr): boolean => {
    if (x === v) return true;
    if (seen.has(x)) return false;
    seen.add(x);
    return !everyOperand(x, (y) => !visit(y));
  };
  return visit(e);
}
