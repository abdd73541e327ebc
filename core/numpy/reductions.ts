/** Reductions, statistics and cumulative functions. */
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import * as c from "../ops/compare.ts";
import { dotGeneral } from "../ops/contract.ts";
import * as cum from "../ops/cumulative.ts";
import * as l from "../ops/linear.ts";
import * as r from "../ops/reduce.ts";
import { sort as sortOperands } from "../ops/sort.ts";
import { sliceInDim, stopGradient } from "../ops/structural.ts";
import * as t from "../ops/transcendental.ts";
import { normalizeAxes, normalizeAxis, range, sizeOf } from "../shape.ts";
import { eye } from "./creation.ts";
import { abs, isnan, logicalAnd, square, where } from "./elementwise.ts";
import { ravel, reshape, stack } from "./manipulation.ts";
import { type ArrayInput, broadcastTo, promote, promoteFloat, toArray, toBool } from "./promote.ts";

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
  const finish = (y: NDArray): NDArray =>
    keepdims
      ? l.expandDims(
          y,
          [...axes].sort((p, q) => p - q),
        )
      : y;
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

/** Σ x over `axis` (all axes by default).
 *  @example np.sum(np.ones([2, 3]), 0).toArray()  // => [2, 2, 2] */
export function sum(x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray {
  const { v, axes, finish } = over("sum", x, axis, options.keepdims);
  const total = l.reduceSum(masked(accumulated(v, options.dtype), options.where, 0), axes);
  return finish(options.initial === undefined ? total : a.add(total, options.initial));
}
/** Π x over `axis`. */
export function prod(x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray {
  const { v, axes, finish } = over("prod", x, axis, options.keepdims);
  const total = r.reduceProd(masked(accumulated(v, options.dtype), options.where, 1), axes);
  return finish(options.initial === undefined ? total : a.mul(total, options.initial));
}
function extremum(
  op: "max" | "min",
  x: ArrayInput,
  axis: AxisArg | undefined,
  options: ReduceOptions,
): NDArray {
  const { v, axes, count, finish } = over(op, x, axis, options.keepdims);
  if (count === 0 && options.initial === undefined)
    fail(
      ShapeError,
      op,
      "an empty reduction has no extremum",
      `${v.aval} over axes [${axes.join(",")}]`,
      "give initial, or check that the array has elements",
    );
  const { min, max } = isFloat(v.dtype)
    ? { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY }
    : dtypes[v.dtype];
  const neutral = op === "max" ? min : max;
  const reduced = (op === "max" ? r.reduceMax : r.reduceMin)(
    masked(v, options.where, neutral),
    axes,
  );
  const pair = op === "max" ? a.max : a.min;
  return finish(options.initial === undefined ? reduced : pair(reduced, options.initial));
}
/** Largest element; NaN if any is. The gradient is shared equally among ties. */
export const max = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  extremum("max", x, axis, options);
/** Smallest element; NaN if any is. */
export const min = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  extremum("min", x, axis, options);
export const amax: typeof max = max;
export const amin: typeof min = min;
/** max − min */
export const ptp = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  a.sub(max(x, axis, options), min(x, axis, options));

/** True where all elements are nonzero. */
export function all(x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray {
  const { v, axes, finish } = over("all", x, axis, options.keepdims);
  return finish(r.reduceAnd(masked(toBool(v), options.where, 1), axes));
}
/** True where any element is nonzero. */
export function any(x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray {
  const { v, axes, finish } = over("any", x, axis, options.keepdims);
  return finish(r.reduceOr(masked(toBool(v), options.where, 0), axes));
}
/** Number of nonzero elements, int32. */
export const countNonzero = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  sum(toBool(toArray("countNonzero", x)), axis, options);

// ---- statistics ----

const asFloat = (op: string, x: ArrayInput): NDArray => promoteFloat(op, x)[0] as NDArray;
/** Number of elements that count: a constant, or an array where there is a mask. */
function population(
  v: NDArray,
  axes: readonly number[],
  count: number,
  mask: ArrayInput | undefined,
): NDArray {
  if (mask === undefined) return new Literal(count, v.dtype, true);
  return l.convert(
    l.reduceSum(l.convert(broadcastTo(toBool(toArray("where", mask)), v.shape), "int32"), axes),
    v.dtype,
  );
}
/** Arithmetic mean, in float; 16-bit floats are summed in float32. */
export function mean(x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray {
  const { v, axes, count, finish } = over("mean", asFloat("mean", x), axis, options.keepdims);
  const wide = options.dtype === undefined ? v : l.convert(v, options.dtype);
  const total = l.reduceSum(masked(wide, options.where, 0), axes);
  return finish(a.div(total, population(wide, axes, count, options.where)));
}
/** Weighted mean Σ w·x / Σ w. */
export function average(
  x: ArrayInput,
  axis?: AxisArg,
  { weights, keepdims = false }: { weights?: ArrayInput; keepdims?: boolean } = {},
): NDArray {
  if (weights === undefined) return mean(x, axis, { keepdims });
  const [v, w] = promoteFloat("average", x, weights) as [NDArray, NDArray];
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
  const { v, axes, count, finish } = over("var", asFloat("var", x), axis, options.keepdims);
  const shared = options.where === undefined ? {} : { where: options.where };
  const center = mean(v, axes, { ...shared, keepdims: true });
  const deviation = masked(square(a.sub(v, center)), options.where, 0);
  const n = a.sub(
    population(v, axes, count, options.where),
    options.ddof ?? options.correction ?? 0,
  );
  return finish(a.div(l.reduceSum(deviation, axes), n));
}
export { variance as var };
/** √var */
export const std = (x: ArrayInput, axis?: AxisArg, options: VarOptions = {}): NDArray =>
  t.sqrt(variance(x, axis, options));

function orderAxis(
  op: string,
  x: ArrayInput,
  axis: AxisArg | undefined,
): { v: NDArray; at: number; axes: number[]; kept: number[] } {
  const v = asFloat(op, x);
  const axes = normalizeAxes(op, axis, v.ndim);
  const kept = range(v.ndim).filter((i) => !axes.includes(i));
  const moved = l.transpose(v, [...kept, ...axes]);
  const shape = kept.map((i) => v.shape[i] as number);
  const n = sizeOf(axes.map((i) => v.shape[i] as number));
  return { v: l.reshape(moved, [...shape, n]), at: shape.length, axes, kept };
}
/** between the two neighbouring elements; "nearest" takes the lower of two that are equally near */
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
      fail(
        ShapeError,
        "quantile",
        "q must lie between 0 and 1",
        String(p),
        "use percentile for percents",
      );
  const { v, at, axes } = orderAxis("quantile", x, axis);
  const n = v.shape[at] as number;
  if (n === 0) fail(ShapeError, "quantile", "needs elements", String(v.aval), "check the axis");
  const sorted = sortOperands([v], { dimension: at })[0] as NDArray;
  const anyNaN = r.reduceOr(isnan(v), [at]);
  const element = (i: number): NDArray => l.squeeze(sliceInDim(sorted, i, i + 1, 1, at), [at]);
  const results = list.map((p) => {
    const position = p * (n - 1);
    const low = Math.floor(position);
    const high = Math.ceil(position);
    const rest = position - low;
    const weight =
      method === "linear"
        ? rest
        : method === "lower"
          ? 0
          : method === "higher"
            ? Math.ceil(rest)
            : method === "midpoint"
              ? high > low
                ? 0.5
                : 0
              : rest > 0.5
                ? 1
                : 0;
    const value =
      weight === 0
        ? element(low)
        : weight === 1
          ? element(high)
          : a.add(a.mul(element(low), 1 - weight), a.mul(element(high), weight));
    return where(anyNaN, new Literal(Number.NaN, v.dtype, true), value);
  });
  const finish = (y: NDArray): NDArray =>
    keepdims
      ? l.expandDims(
          y,
          [...axes].sort((i, j) => i - j),
        )
      : y;
  if (typeof q === "number") return finish(results[0] as NDArray);
  return stack(results.map(finish));
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
export const nansum = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  sum(dropNaN("nansum", x, 0), axis, options);
export const nanprod = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  prod(dropNaN("nanprod", x, 1), axis, options);
function nanExtremum(
  op: "max" | "min",
  x: ArrayInput,
  axis: AxisArg | undefined,
  options: ReduceOptions,
): NDArray {
  const v = toArray(`nan${op}`, x);
  if (!isFloat(v.dtype)) return extremum(op, v, axis, options);
  const neutral = op === "max" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const found = extremum(op, dropNaN(`nan${op}`, v, neutral), axis, options);
  // all missing gives NaN
  const keep = options.keepdims === undefined ? {} : { keepdims: options.keepdims };
  return where(all(isnan(v), axis, keep), new Literal(Number.NaN, v.dtype, true), found);
}
export const nanmax = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  nanExtremum("max", x, axis, options);
export const nanmin = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  nanExtremum("min", x, axis, options);
export const nanmean = (x: ArrayInput, axis?: AxisArg, options: ReduceOptions = {}): NDArray =>
  mean(dropNaN("nanmean", x, 0), axis, { ...options, where: present(x, options.where) });
export const nanvar = (x: ArrayInput, axis?: AxisArg, options: VarOptions = {}): NDArray =>
  variance(dropNaN("nanvar", x, 0), axis, { ...options, where: present(x, options.where) });
export const nanstd = (x: ArrayInput, axis?: AxisArg, options: VarOptions = {}): NDArray =>
  t.sqrt(nanvar(x, axis, options));

// ---- positions of extrema ----

type ArgOptions = { readonly keepdims?: boolean };
function argExtremum(
  op: "argmax" | "argmin",
  x: ArrayInput,
  axis: number | undefined,
  { keepdims = false }: ArgOptions,
): NDArray {
  const v = toArray(op, x);
  const flat = axis === undefined ? ravel(v) : v;
  const at = normalizeAxis(op, axis ?? 0, flat.ndim);
  if (flat.shape[at] === 0)
    fail(
      ShapeError,
      op,
      "an empty axis has no extremum",
      String(v.aval),
      "check that there are elements",
    );
  const found = (op === "argmax" ? r.argmax : r.argmin)(flat, at, "int32");
  if (!keepdims) return found;
  return axis === undefined
    ? reshape(
        found,
        v.shape.map(() => 1),
      )
    : l.expandDims(found, [at]);
}
/** Index of the first largest element (NaN counts as largest), int32; over the flattened array without axis. */
export const argmax = (x: ArrayInput, axis?: number, options: ArgOptions = {}): NDArray =>
  argExtremum("argmax", x, axis, options);
/** Index of the first smallest element (NaN counts as smallest), int32. */
export const argmin = (x: ArrayInput, axis?: number, options: ArgOptions = {}): NDArray =>
  argExtremum("argmin", x, axis, options);
const nanArg = (
  op: "argmax" | "argmin",
  x: ArrayInput,
  axis: number | undefined,
  options: ArgOptions,
): NDArray => {
  const neutral = op === "argmax" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return where(
    all(isnan(x), axis ?? null, options),
    new Literal(-1, "int32"),
    argExtremum(op, dropNaN(`nan${op}`, x, neutral), axis, options),
  );
};
/** argmax over the elements that are not NaN; −1 where there is none */
export const nanargmax = (x: ArrayInput, axis?: number, options: ArgOptions = {}): NDArray =>
  nanArg("argmax", x, axis, options);
export const nanargmin = (x: ArrayInput, axis?: number, options: ArgOptions = {}): NDArray =>
  nanArg("argmin", x, axis, options);

// ---- cumulative ----

const cumulative =
  (op: string, f: (x: NDArray, axis: number) => NDArray, prepare: (x: NDArray) => NDArray) =>
  (x: ArrayInput, axis?: number, { dtype }: { dtype?: DType } = {}): NDArray => {
    const v = toArray(op, x);
    const flat = axis === undefined ? ravel(v) : v;
    const at = normalizeAxis(op, axis ?? 0, flat.ndim);
    return f(prepare(dtype === undefined ? flat : l.convert(flat, dtype)), at);
  };
const widenBool = (x: NDArray): NDArray => (x.dtype === "bool" ? l.convert(x, "int32") : x);
/** out[i] = Σ_{j ≤ i} x[j] along `axis` (flattened without one) */
export const cumsum = cumulative("cumsum", (x, axis) => cum.cumsum(x, { axis }), widenBool);
/** out[i] = Π_{j ≤ i} x[j] */
export const cumprod = cumulative("cumprod", (x, axis) => cum.cumprod(x, { axis }), widenBool);
export const nancumsum = cumulative(
  "nancumsum",
  (x, axis) => cum.cumsum(x, { axis }),
  (x) => dropNaN("nancumsum", widenBool(x), 0),
);
export const nancumprod = cumulative(
  "nancumprod",
  (x, axis) => cum.cumprod(x, { axis }),
  (x) => dropNaN("nancumprod", widenBool(x), 1),
);

/** n-th differences along an axis. */
export function diff(x: ArrayInput, n = 1, axis = -1): NDArray {
  let v = toArray("diff", x);
  const at = normalizeAxis("diff", axis, v.ndim);
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
  let v = asFloat("cov", x);
  if (v.ndim > 2)
    fail(
      ShapeError,
      "cov",
      "needs at most two axes",
      String(v.aval),
      "reshape to [variables, observations]",
    );
  if (v.ndim < 2) v = reshape(v, [1, v.size]);
  else if (!rowvar) v = l.transpose(v, [1, 0]);
  const n = v.shape[1] as number;
  const d = a.sub(v, mean(v, 1, { keepdims: true }));
  const product = dotGeneral(d, d, { contract: [[1], [1]], batch: [[], []] });
  const result = a.div(product, new Literal(n - ddof, v.dtype));
  return toArray("cov", x).ndim < 2 ? reshape(result, []) : result;
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
/** |x − y| ≤ atol + rtol·|y|, elementwise. */
export function isclose(
  x: ArrayInput,
  y: ArrayInput,
  { rtol = 1e-5, atol = 1e-8, equalNan = false }: CloseOptions = {},
): NDArray {
  const [u, v] = promoteFloat("isclose", x, y) as [NDArray, NDArray];
  const bound = a.add(a.mul(abs(v), rtol), atol);
  const near = c.le(abs(a.sub(u, v)), bound);
  // infinities are close only to themselves
  const finite = c.and(c.isFinite(u), c.isFinite(v));
  const close = c.or(c.and(near, finite), c.eq(u, v));
  return equalNan ? c.or(close, c.and(c.ne(u, u), c.ne(v, v))) : close;
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
  if (u.ndim !== v.ndim || u.shape.some((n, i) => n !== v.shape[i])) return new Literal(0, "bool");
  const [p, q] = promote("arrayEqual", u, v) as [NDArray, NDArray];
  const same = c.eq(p, q);
  return all(equalNan ? c.or(same, c.and(c.ne(p, p), c.ne(q, q))) : same);
}

/** log Σ exp(x), without overflow: m + log Σ exp(x − m). With weights b: log Σ b·exp(x). */
export function logsumexp(
  x: ArrayInput,
  axis?: AxisArg,
  { keepdims = false, b }: { keepdims?: boolean; b?: ArrayInput } = {},
): NDArray {
  const { v, axes, finish } = over("logsumexp", asFloat("logsumexp", x), axis, keepdims);
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
