/** Continuous distributions and coin tosses, each a transform of uniform draws. */
import { checkDType, type DType, type DTypeInfo, dtypes } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import { abs, div, max, min, mul, neg, nextafter, sign, sub } from "../ops/arithmetic.ts";
import { lt } from "../ops/compare.ts";
import { convert } from "../ops/linear.ts";
import { erf, erfInv } from "../ops/special.ts";
import { stopGradient } from "../ops/structural.ts";
import { log, log1p } from "../ops/transcendental.ts";
import { checkShape, type Shape } from "../shape.ts";
import { uniform } from "./bits.ts";
import type { Key } from "./key.ts";
import {
  checkFloat,
  drawShape,
  floatParameter,
  type Parameter,
  parameter,
  toShape,
} from "./operand.ts";

export interface FloatOptions {
  /** a float dtype (default float32) */
  readonly dtype?: DType;
}

type Draw = (key: Key, shape?: Shape, options?: FloatOptions) => NDArray;
/** What `f` makes of a uniform draw from [least, 1). */
const transformed =
  (op: string, least: (info: DTypeInfo) => number, f: (u: NDArray) => NDArray): Draw =>
  (key, shape = [], options = {}) => {
    const dtype = checkFloat(op, options.dtype);
    return f(uniform(key, shape, { dtype, minval: least(dtypes[dtype]) }));
  };
/** −1 + ε/2, the float that follows −1 */
const afterMinusOne = ({ eps }: DTypeInfo): number => -1 + eps / 2;
const smallest = ({ tiny }: DTypeInfo): number => tiny;

/** Standard normal: √2 · erf⁻¹(u), u uniform in (−1, 1); density e^(−x²/2)/√(2π).
 *  @example random.normal(random.key(0), [3]).shape // => [3] */
export const normal: Draw = transformed("random.normal", afterMinusOne, (u) =>
  mul(Math.SQRT2, erfInv(u)),
);

/** Standard normal restricted to (lower, upper), by inversion: √2 · erf⁻¹(u), u uniform between erf(lower/√2) and
 *  erf(upper/√2). Differentiable in the bounds.
 *  @throws ShapeError when the bounds do not broadcast to `shape`
 *  @example random.truncatedNormal(random.key(0), -2, 2, [3]).shape // => [3] */
export function truncatedNormal(
  key: Key,
  lower: Parameter,
  upper: Parameter,
  shape?: Shape | null,
  options: FloatOptions = {},
): NDArray {
  const op = "random.truncatedNormal";
  const dtype = checkFloat(op, options.dtype);
  const [a, b] = [lower, upper].map((x) => convert(parameter(op, x, dtype), dtype)) as [
    NDArray,
    NDArray,
  ];
  const want = drawShape(op, shape, [a, b]);
  const u = uniform(key, want, {
    dtype,
    minval: erf(div(a, Math.SQRT2)),
    maxval: erf(div(b, Math.SQRT2)),
  });
  const out = mul(Math.SQRT2, erfInv(u));
  // rounding must not carry a draw onto or past a bound
  const [low, high] = [toShape(a, want), toShape(b, want)].map(stopGradient) as [NDArray, NDArray];
  return min(
    max(out, nextafter(low, Number.POSITIVE_INFINITY)),
    nextafter(high, Number.NEGATIVE_INFINITY),
  );
}

/** Booleans, true with probability p: u < p, u uniform in [0, 1) in the dtype of p.
 *  @param p  probability (default ½); its shape is that of the draw unless `shape` is given
 *  @example random.bernoulli(random.key(0), 0.3, [4]).dtype // => "bool" */
export function bernoulli(key: Key, p: Parameter = 0.5, shape?: Shape | null): NDArray {
  const op = "random.bernoulli";
  const q = floatParameter(op, p);
  const want = drawShape(op, shape, [q]);
  return lt(uniform(key, want, { dtype: q.dtype }), toShape(q, want));
}

/** ±1 with equal probability.
 *  @param options.dtype  a signed dtype (default int32)
 *  @example random.rademacher(random.key(0), [4]).dtype // => "int32" */
export function rademacher(key: Key, shape: Shape = [], options: { dtype?: DType } = {}): NDArray {
  const dtype = checkDType("random.rademacher", options.dtype ?? "int32");
  if (dtype === "bool" || dtypes[dtype].kind === "uint")
    fail(DTypeError, "random.rademacher", "dtype must be signed", dtype, 'pass "int32"');
  const heads = convert(bernoulli(key, 0.5, checkShape("random.rademacher", shape)), dtype);
  return sub(mul(heads, 2), 1);
}

/** Exponential of rate 1: −log(1 − u).
 *  @example random.exponential(random.key(0), [3]).shape // => [3] */
export const exponential: Draw = transformed(
  "random.exponential",
  () => 0,
  (u) => neg(log1p(neg(u))),
);

/** Standard Gumbel: −log(−log u), u uniform in (0, 1).
 *  @example random.gumbel(random.key(0), [3]).shape // => [3] */
export const gumbel: Draw = transformed("random.gumbel", smallest, (u) => neg(log(neg(log(u)))));

/** Standard Laplace: sign(u)·log(1 − |u|), u uniform in (−1, 1).
 *  @example random.laplace(random.key(0), [3]).shape // => [3] */
export const laplace: Draw = transformed("random.laplace", afterMinusOne, (u) =>
  mul(sign(u), log1p(neg(abs(u)))),
);

/** Standard logistic: log(u/(1 − u)), u uniform in (0, 1).
 *  @example random.logistic(random.key(0), [3]).shape // => [3] */
export const logistic: Draw = transformed("random.logistic", smallest, (u) =>
  sub(log(u), log1p(neg(u))),
);
