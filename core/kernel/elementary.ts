/** Elementary functions of floats in plain arithmetic, so that several can be computed at a time and every backend gives the
 *  same bits. They use no fused multiply-add; the accuracy test measures them. */
import { dtypes, isFloat } from "../dtype.ts";
import { acos, asin, atan, atan2 } from "./elementary/arctangent.ts";
import { cosh, exp, exp2, expm1, sinh, tanh } from "./elementary/exponential.ts";
import { acosh, asinh, atanh, log, log1p } from "./elementary/logarithm.ts";
import { cbrt, pow } from "./elementary/power.ts";
import { cos, sin, tan } from "./elementary/trigonometric.ts";
import {
  cast,
  compare,
  type Expr,
  type Intrinsic,
  lit,
  max,
  min,
  rewrite,
  select,
  unary,
} from "./expr.ts";
import { type LoopKernel, mapStatement } from "./kernel.ts";
import { nextafter } from "./words.ts";

/** Functions that are as good in float32 as in float64. */
const either: { readonly [op: string]: (x: Expr) => Expr } = {
  exp,
  exp2,
  expm1,
  tanh,
  sinh,
  cosh,
  log,
  log1p,
  asinh,
  acosh,
  atanh,
  sin,
  cos,
  tan,
} satisfies { [O in Intrinsic]?: (x: Expr) => Expr };
/** Functions that float32 takes in float64. */
const wide: { readonly [op: string]: (x: Expr) => Expr } = {
  asin,
  acos,
  atan,
  cbrt,
} satisfies { [O in Intrinsic]?: (x: Expr) => Expr };

/** True for the functions of one number that are written out. */
export const isElementary = (op: string): boolean => op in either || op in wide;

/** Zeros and NaN are their own sign. */
function sign(x: Expr): Expr {
  const number = (n: number): Expr => lit(n, x.dtype);
  if (!isFloat(x.dtype)) return max(min(x, number(1)), number(Math.max(dtypes[x.dtype].min, -1)));
  const [zero, plus, minus] = [0, 1, -1].map(number) as [Expr, Expr, Expr];
  return select(compare("lt", x, zero), minus, select(compare("gt", x, zero), plus, x));
}
const isFinite = (x: Expr): Expr =>
  compare("lt", unary("abs", x), lit(Number.POSITIVE_INFINITY, x.dtype));

/** A function in the dtype in which it is computed, rounded once. */
function written(e: Expr, expanded: (x: Expr) => Expr): Expr | null {
  const d = e.dtype;
  if (e.kind === "unary") {
    if (e.op === "sign") return sign(expanded(e.x));
    if (e.op === "isFinite") return isFinite(expanded(e.x));
  }
  if (!isFloat(d)) return null;
  if (e.kind === "unary") {
    const f = either[e.op] ?? wide[e.op];
    if (f === undefined) return null;
    const inner = d === "float64" || f === wide[e.op] ? "float64" : "float32";
    return cast(f(cast(expanded(e.x), inner)), d);
  }
  if (e.kind !== "binary") return null;
  if (e.op === "nextafter") return nextafter(expanded(e.x), expanded(e.y));
  if (e.op !== "pow" && e.op !== "atan2") return null;
  const [x, y] = [e.x, e.y].map((o) => cast(expanded(o), "float64")) as [Expr, Expr];
  return cast(e.op === "pow" ? pow(x, y, d === "float64") : atan2(x, y), d);
}
/** The same values with the functions written out. */
const expand = (e: Expr, memo: Map<Expr, Expr>): Expr =>
  rewrite(e, (x) => written(x, (y) => expand(y, memo)), memo);

/** A kernel with the functions written out. */
export function expandElementary(kernel: LoopKernel): LoopKernel {
  const memo = new Map<Expr, Expr>();
  return { ...kernel, body: kernel.body.map((s) => mapStatement(s, (e) => expand(e, memo))) };
}
