/** Reductions, statistics and cumulative functions. */
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { CotangentError, fail, ShapeError } from "../errors.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import * as c from "../ops/compare.ts";
import { dotGeneral } from "../ops/contract.ts";
import * as cum from "../ops/cumulative.ts";
import { checkClass } from "../ops/checks.ts";
import * as l from "../ops/linear.ts";
import * as r from "../ops/reduce.ts";
import { sort as sortOperands } from "../ops/sort.ts";
import { sliceInDim, stopGradient } from "../ops/structural.ts";
import * as t from "../ops/transcendental.ts";
import { normalizeAxes, range, shapesEqual, sizeOf } from "../shape.ts";
import { eye } from "./creation.ts";
import { abs, isnan, logicalAnd, square, where } from "./elementwise.ts";
import { reshape, stack } from "./manipulation.ts";
import {
  type ArrayInput,
  broadcastTo,
  promote,
  promoteFloat,
  toArray,
  toAxis,
  toBool,
  toFloat,
} from "./promote.ts";

export type AxisArg = number | readonly number[] | null;
export interface ReduceOptions {
  /** keep reduced axes with size 1 */
  readonly keepdims?: boolean;
  /** elements that count (broadcasts to the operand) */
  readonly where?: ArrayInput;
  /** value to start from */
  readonly initial?: number;
  /** dtype of the sum or product */
  readonly dtype?: DType;
}

/** The array, its reduced axes, and how to give the result its axes back. */
function over(op: string, x: ArrayInput, axis: AxisArg | undefined, keepdims: boolean | undefined) {
  const v = toArray(op, x);
  const axes = normalizeAxes(op, axis, v.ndim);
  const count = sizeOf(axes.map((i) => v.shape[i] as number));
  const finish = (y: NDArray): NDArray => (keepdims ? l.expandDims(y, axes) : y);
  return { v, axes, count, finish };
}
/** Elements that do not count replaced by a neutral value. */
const masked = (v: NDArray, mask: ArrayInput | undefined, neutral: number): NDArray =>
  mask === undefined ? v : where(mask, v, new Literal(neutral, v.dtype, true));

/** Sums and products of bools and narrow integers are taken in int32 or uint32. */
function accumulated(v: NDArray, dtype: DType | undefined): NDArray {
  if (dtype !== undefined) return l.convert(v, dtype);
  if (v.dtype === "bool" || v.dtype === "int8") return l.convert(v, "int32");
  return v.dtype === "uint8" ? l.convert(v, "uint32") : v;
}

export type Reduction = (x: ArrayInput, axis?: AxisArg, options?: ReduceOptions) => NDArray;
/** What elements that do not count are replaced by. */
type Neutral = (v: NDArray, axes: readonly number[], options: ReduceOptions) => number;

/** A reduction of what `prepare` makes of the elements, joined with the value to start from. */
const reduction =
  (
    op: string,
    reduce: (x: NDArray, axes: readonly number[]) => NDArray,
    join: (x: NDArray, initial: number) => NDArray,
    neutral: Neutral,
    prepare: (v: NDArray, dtype: DType | undefined) => NDArray,
  ): Reduction =>
  (x, axis, options = {}) => {
    const { v, axes, finish } = over(op, x, axis, options.keepdims);
    const rest = neutral(v, axes, options);
    const total = reduce(masked(prepare(v, options.dtype), options.where, rest), axes);
    return finish(options.initial === undefined ? total : join(total, options.initial));
  };
const zero: Neutral = () => 0;
const one: Neutral = () => 1;
const same = (v: NDArray): NDArray => v;
/** For an extremum: the other end of the dtype's range. Nothing is neutral where there is nothing else. */
const far =
  (op: string, end: "min" | "max"): Neutral =>
  (v, axes, { initial }) => {
    if (initial === undefined && axes.some((i) => v.shape[i] === 0))
      fail(
        ShapeError,
        op,
        "an empty reduction has no extremum",
        `${v.aval} over axes [${axes.join(",")}]`,
        "give initial, or check that the array has elements",
      );
    if (!isFloat(v.dtype)) return dtypes[v.dtype][end];
    return end === "min" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  };

/** Σ x over `axis` (all axes by default).
 *  @example np.sum(np.ones([2, 3]), 0).toArray()  // => [2, 2, 2] */
export const sum: Reduction = reduction("sum", l.reduceSum, a.add, zero, accumulated);
/** Π x over `axis`. */
export const prod: Reduction = reduction("prod", r.reduceProd, a.mul, one, accumulated);
/** Largest element; NaN if any is. The gradient is shared equally among ties. */
export const max: Reduction = reduction("max", r.reduceMax, a.max, far("max", "min"), same);
/** Smallest element; NaN if any is. */
export const min: Reduction = reduction("min", r.reduceMin, a.min, far("min", "max"), same);
export const amax: Reduction = max;
export const amin: Reduction = min;
/** max − min */
export const ptp: Reduction = (x, axis, options) =>
  a.sub(max(x, axis, options), min(x, axis, options));

/** True where all elements are nonzero. */
export const all: Reduction = reduction("all", r.reduceAnd, same, one, toBool);
/** True where any element is nonzero. */
export const any: Reduction = reduction("any", r.reduceOr, same, zero, toBool);
/** Number of nonzero elements, int32. */
export const countNonzero: Reduction = (x, axis, options) =>
  sum(toBool(toArray("countNonzero", x)), axis, options);

// ---- statistics ----

/** Number of elements that count: a constant, or an array where there is a mask. */
function population(
  v: NDArray,
  axes: readonly number[],
  count: number,
  mask: ArrayInput | undefined,
): NDArray {
  if (mask === undefined) return new Literal(count, v.dtype, true);
  return l.convert(countNonzero(broadcastTo(toArray("where", mask), v.shape), axes), v.dtype);
}
/** Arithmetic mean, in float; 16-bit floats are summed in float32. */
export const mean: Reduction = (x, axis, options = {}) => {
  const { v, axes, count, finish } = over("mean", toFloat("mean", x), axis, options.keepdims);
  const wide = options.dtype === undefined ? v : l.convert(v, options.dtype);
  const total = l.reduceSum(masked(wide, options.where, 0), axes);
  return finish(a.div(total, population(wide, axes, count, options.where)));
};
/** Weighted mean Σ w·x / Σ w. */
export function average(
  x: ArrayInput,
  axis?: AxisArg,
  { weights, keepdims = false }: { weights?: ArrayInput; keepdims?: boolean } = {},
): NDArray {
  if (weights === undefined) return mean(x, axis, { keepdims });
  const [v, w] = promoteFloat("average", x, weights);
  const full = broadcastTo(w, v.shape);
  return a.div(sum(a.mul(v, full), axis, { keepdims }), sum(full, axis, { keepdims }));
}
export interface VarOptions extends ReduceOptions {
  /** divide by n − ddof */
  readonly ddof?: number;
  /** the same, by the array API's name */
  readonly correction?: number;
}
/** Mean of (x − mean)², divided by n − ddof. */
function variance(x: ArrayInput, axis?: AxisArg, options: VarOptions = {}): NDArray {
  const { v, axes, count, finish } = over("var", toFloat("var", x), axis, options.keepdims);
  const center = mean(v, axes, { ...options, keepdims: true });
  checkClass("var", "float", center.aval);
  const wide = l.convert(v, center.dtype, v.weakType);
  const deviation = masked(square(a.sub(wide, center)), options.where, 0);
  const n = a.sub(
    population(wide, axes, count, options.where),
    options.ddof ?? options.correction ?? 0,
  );
  return finish(a.div(l.reduceSum(deviation, axes), n));
}
export { variance as var };
/** √var */
export const std = (x: ArrayInput, axis?: AxisArg, options: VarOptions = {}): NDArray =>
  t.sqrt(variance(x, axis, options));

/** The weight of the higher of two neighbours at a distance of `rest` from the lower one. */
const weights = {
  linear: (rest: number) => rest,
  lower: () => 0,
  higher: Math.ceil,
  midpoint: (rest: number) => (rest > 0 ? 0.5 : 0),
  nearest: (rest: number) => (rest > 0.5 ? 1 : 0),
};
export type Interpolation = "linear" | "lower" | "higher" | "midpoint" | "nearest";
export interface QuantileOptions {
  readonly keepdims?: boolean;
  readonly method?: Interpolation;
}
/** The value below which a fraction q of the elements lies. `q` is a number or a list of numbers in [0, 1]; a
 *  list gives a leading axis. NaN if any element is. */
export function quantile(
  x: ArrayInput,
  q: number | readonly number[],
  axis?: AxisArg,
  { keepdims = false, method = "linear" }: QuantileOptions = {},
): NDArray {
  const list = typeof q === "number" ? [q] : q;
  for (const p of list)
    if (!(p >= 0 && p <= 1))
      fail(ShapeError, "quantile", "q must lie between 0 and 1", p, "use percentile for percents");
  const weigh = weights[method];
  if (weigh === undefined)
    fail(
      CotangentError,
      "quantile",
      `the method must be one of ${Object.keys(weights).join(", ")}`,
      method,
      "choose one of these",
    );
  const operand = toFloat("quantile", x);
  const { axes, count, finish } = over("quantile", operand, axis, keepdims);
  // the reduced axes as one, the last
  const kept = range(operand.ndim).filter((i) => !axes.includes(i));
  const at = kept.length;
  const v = l.reshape(l.transpose(operand, [...kept, ...axes]), [
    ...kept.map((i) => operand.shape[i] as number),
    count,
  ]);
  if (count === 0) fail(ShapeError, "quantile", "needs elements", v.aval, "check the axis");
  const sorted = sortOperands([v], { dimension: at })[0] as NDArray;
  const anyNaN = r.reduceOr(isnan(v), [at]);
  const element = (i: number): NDArray => l.squeeze(sliceInDim(sorted, i, i + 1, 1, at), [at]);
  const results = list.map((p) => {
    const position = p * (count - 1);
    const low = Math.floor(position);
    const weight = weigh(position - low);
    const value =
      weight === 0
        ? element(low)
        : weight === 1
          ? element(low + 1)
          : a.add(a.mul(element(low), 1 - weight), a.mul(element(low + 1), weight));
    return finish(where(anyNaN, new Literal(Number.NaN, v.dtype, true), value));
  });
  return typeof q === "number" ? (results[0] as NDArray) : stack(results);
}
/** quantile of q/100 */
export const percentile = (
  x: ArrayInput,
  q: number | readonly number[],
  axis?: AxisArg,
  options?: QuantileOptions,
): NDArray => quantile(x, typeof q === "number" ? q / 100 : q.map((p) => p / 100), axis, options);
/** Middle element, or the mean of the two middle ones. */
export const median = (x: ArrayInput, axis?: AxisArg, options?: QuantileOptions): NDArray =>
  quantile(x, 0.5, axis, options);

// ---- ignoring NaN ----

const dropNaN = (op: string, x: ArrayInput, neutral: number): NDArray => {
  const v = toArray(op, x);
  return isFloat(v.dtype) ? where(isnan(v), new Literal(neutral, v.dtype, true), v) : v;
};
/** The elements that count: those of the mask that are not NaN. */
const present = (x: ArrayInput, mask: ArrayInput | undefined): NDArray => {
  const there = c.not(isnan(x));
  return mask === undefined ? there : logicalAnd(there, mask);
};
const dropping =
  (op: string, f: Reduction, neutral: number): Reduction =>
  (x, axis, options) =>
    f(dropNaN(op, x, neutral), axis, options);
export const nansum: Reduction = dropping("nansum", sum, 0);
export const nanprod: Reduction = dropping("nanprod", prod, 1);
const nanExtremum =
  (op: string, f: Reduction, neutral: number): Reduction =>
  (x, axis, options = {}) => {
    const v = toArray(op, x);
    const found = f(dropNaN(op, v, neutral), axis, options);
    if (!isFloat(v.dtype)) return found;
    // all missing gives NaN
    const missing = all(isnan(v), axis, { keepdims: options.keepdims ?? false });
    return where(missing, new Literal(Number.NaN, v.dtype, true), found);
  };
export const nanmax: Reduction = nanExtremum("nanmax", max, Number.NEGATIVE_INFINITY);
export const nanmin: Reduction = nanExtremum("nanmin", min, Number.POSITIVE_INFINITY);
const presentOnly =
  <O extends ReduceOptions>(
    op: string,
    f: (x: ArrayInput, axis?: AxisArg, options?: O | ReduceOptions) => NDArray,
  ) =>
  (x: ArrayInput, axis?: AxisArg, options?: O): NDArray =>
    f(dropNaN(op, x, 0), axis, { ...options, where: present(x, options?.where) });
export const nanmean: Reduction = presentOnly("nanmean", mean);
export const nanvar = presentOnly<VarOptions>("nanvar", variance);
export const nanstd = (x: ArrayInput, axis?: AxisArg, options: VarOptions = {}): NDArray =>
  t.sqrt(nanvar(x, axis, options));

// ---- positions of extrema ----

type ArgOptions = { readonly keepdims?: boolean };
type ArgReduction = (x: ArrayInput, axis?: number, options?: ArgOptions) => NDArray;
const argReduction =
  (op: string, find: typeof r.argmax): ArgReduction =>
  (x, axis, { keepdims = false } = {}) => {
    const v = toArray(op, x);
    const [along, at] = toAxis(op, v, axis);
    if (along.shape[at] === 0)
      fail(
        ShapeError,
        op,
        "an empty axis has no extremum",
        v.aval,
        "check that there are elements",
      );
    const found = find(along, at, "int32");
    if (!keepdims) return found;
    return l.expandDims(found, typeof axis === "number" ? [at] : range(v.ndim));
  };
/** Index of the first largest element (NaN counts as largest), int32; over the flattened array without axis. */
export const argmax: ArgReduction = argReduction("argmax", r.argmax);
/** Index of the first smallest element (NaN counts as smallest), int32. */
export const argmin: ArgReduction = argReduction("argmin", r.argmin);
const nanArg =
  (op: string, f: ArgReduction, neutral: number): ArgReduction =>
  (x, axis, options) =>
    where(
      all(isnan(x), axis, options),
      new Literal(-1, "int32"),
      f(dropNaN(op, x, neutral), axis, options),
    );
/** argmax over the elements that are not NaN; −1 where there is none */
export const nanargmax: ArgReduction = nanArg("nanargmax", argmax, Number.NEGATIVE_INFINITY);
export const nanargmin: ArgReduction = nanArg("nanargmin", argmin, Number.POSITIVE_INFINITY);

// ---- cumulative ----

const cumulative =
  (op: string, f: typeof cum.cumsum, dropped?: number) =>
  (x: ArrayInput, axis?: number, { dtype }: { dtype?: DType } = {}): NDArray => {
    const [v, at] = toAxis(op, x, axis);
    const typed = dtype === undefined ? v : l.convert(v, dtype);
    const wide = typed.dtype === "bool" ? l.convert(typed, "int32") : typed;
    return f(dropped === undefined ? wide : dropNaN(op, wide, dropped), { axis: at });
  };
/** out[i] = Σ_{j ≤ i} x[j] along `axis` (flattened without one) */
export const cumsum = cumulative("cumsum", cum.cumsum);
/** out[i] = Π_{j ≤ i} x[j] */
export const cumprod = cumulative("cumprod", cum.cumprod);
export const nancumsum = cumulative("nancumsum", cum.cumsum, 0);
export const nancumprod = cumulative("nancumprod", cum.cumprod, 1);

/** n-th differences along an axis. */
export function diff(x: ArrayInput, n = 1, axis = -1): NDArray {
  let [v, at] = toAxis("diff", x, axis);
  for (let k = 0; k < n; k++) {
    const size = v.shape[at] as number;
    const [high, low] = [
      sliceInDim(v, Math.min(1, size), size, 1, at),
      sliceInDim(v, 0, Math.max(0, size - 1), 1, at),
    ];
    v = v.dtype === "bool" ? c.ne(high, low) : a.sub(high, low);
  }
  return v;
}

/** Covariance matrix of variables in rows (`rowvar`) and observations in columns. */
export function cov(
  x: ArrayInput,
  { rowvar = true, ddof = 1 }: { rowvar?: boolean; ddof?: number } = {},
): NDArray {
  let v = toFloat("cov", x);
  if (v.ndim > 2)
    fail(
      ShapeError,
      "cov",
      "needs at most two axes",
      v.aval,
      "reshape to [variables, observations]",
    );
  const isVector = v.ndim < 2;
  if (isVector) v = reshape(v, [1, v.size]);
  else if (!rowvar) v = l.transpose(v, [1, 0]);
  const n = v.shape[1] as number;
  const d = a.sub(v, mean(v, 1, { keepdims: true }));
  const product = dotGeneral(d, d, { contract: [[1], [1]], batch: [[], []] });
  const result = a.div(product, new Literal(n - ddof, v.dtype));
  return isVector ? reshape(result, []) : result;
}
/** Correlation coefficients. */
export function corrcoef(x: ArrayInput, options: { rowvar?: boolean } = {}): NDArray {
  const m = cov(x, options);
  if (m.ndim === 0) return a.div(m, m);
  const n = m.shape[0] as number;
  const diagonal = l.reduceSum(a.mul(m, eye(n, n, { dtype: m.dtype })), [1]);
  const s = t.sqrt(diagonal);
  const limited = a.div(a.div(m, l.expandDims(s, [1])), l.expandDims(s, [0]));
  return a.min(a.max(limited, -1), 1);
}

// ---- closeness ----

export interface CloseOptions {
  readonly rtol?: number;
  readonly atol?: number;
  readonly equalNan?: boolean;
}
const orMissing = (test: NDArray, x: NDArray, y: NDArray): NDArray =>
  c.or(test, c.and(c.ne(x, x), c.ne(y, y)));
/** |x − y| ≤ atol + rtol·|y|, elementwise. */
export function isclose(
  x: ArrayInput,
  y: ArrayInput,
  { rtol = 1e-5, atol = 1e-8, equalNan = false }: CloseOptions = {},
): NDArray {
  const [u, v] = promoteFloat("isclose", x, y);
  const bound = a.add(a.mul(abs(v), rtol), atol);
  const near = c.le(abs(a.sub(u, v)), bound);
  // infinities, whose bound is infinite, are close only to themselves
  const close = c.or(c.and(near, c.isFinite(v)), c.eq(u, v));
  return equalNan ? orMissing(close, u, v) : close;
}
/** True when all elements are close.
 *  @example np.allclose([1, 2], [1, 2 + 1e-9]).item()  // => true */
export const allclose = (x: ArrayInput, y: ArrayInput, options: CloseOptions = {}): NDArray =>
  all(isclose(x, y, options));
/** True when shapes and all elements are equal. */
export function arrayEqual(
  x: ArrayInput,
  y: ArrayInput,
  { equalNan = false }: { equalNan?: boolean } = {},
): NDArray {
  const [u, v] = [toArray("arrayEqual", x), toArray("arrayEqual", y)];
  if (!shapesEqual(u.shape, v.shape)) return new Literal(0, "bool");
  const [p, q] = promote("arrayEqual", u, v);
  const same = c.eq(p, q);
  return all(equalNan ? orMissing(same, p, q) : same);
}

/** log Σ exp(x), without overflow: m + log Σ exp(x − m). With weights b: log Σ b·exp(x). */
export function logsumexp(
  x: ArrayInput,
  axis?: AxisArg,
  { keepdims = false, b }: { keepdims?: boolean; b?: ArrayInput } = {},
): NDArray {
  const { v, axes, finish } = over("logsumexp", toFloat("logsumexp", x), axis, keepdims);
  const top = max(v, axes, { keepdims: true });
  // an infinite maximum must not turn into ∞ − ∞
  const shift = stopGradient(where(c.isFinite(top), top, new Literal(0, v.dtype, true)));
  const terms = t.exp(a.sub(v, shift));
  const weighted =
    b === undefined
      ? terms
      : a.mul(terms, broadcastTo(l.convert(toArray("logsumexp", b), v.dtype), v.shape));
  const total = t.log(l.reduceSum(weighted, axes));
  return finish(a.add(total, l.reshape(shift, total.shape)));
}
