/** Cumulative sums, products, extrema and log-sum-exps along an axis. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import { type Expr, KVar } from "../kernel/expr.ts";
import { loop, set } from "../kernel/kernel.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  definePrimitive,
  type JvpRule,
  type LinearInput,
  type NoRule,
  noRule,
  type Primitive,
  type TransposeRule,
  Zero,
} from "../primitive.ts";
import { bind1 } from "../trace.ts";
import { max, min } from "./arithmetic.ts";
import { eq, lt } from "./compare.ts";
import { add, div, mul, neg, sub } from "./field.ts";
import { convert, full, linearJvp } from "./linear.ts";
import { checkClass, type DTypeClass } from "./rules.ts";
import { concatenate, pad, rev, selectN, slice } from "./structural.ts";
import { exp, log1p } from "./transcendental.ts";

export interface CumulativeParams {
  readonly axis: number;
  readonly reverse: boolean;
}
export interface CumulativeOptions {
  readonly axis?: number;
  /** run from the end */
  readonly reverse?: boolean;
}

interface Scan {
  readonly name: string;
  readonly accepts: DTypeClass;
  readonly wide: (d: DType) => DType;
  readonly init: (d: DType) => number;
  readonly step: (acc: Expr, x: Expr) => Expr;
  readonly jvp: JvpRule<CumulativeParams>;
  readonly transpose: TransposeRule<CumulativeParams> | NoRule;
}
function cumulative({
  name,
  accepts,
  wide,
  init,
  step,
  jvp,
  transpose,
}: Scan): Primitive<CumulativeParams> {
  const primitive: Primitive<CumulativeParams> = definePrimitive<CumulativeParams>({
    name,
    shape: ([x], { axis }) => {
      const a = x as Aval;
      checkClass(name, accepts, a);
      if (axis < 0 || axis >= a.rank)
        fail(
          ShapeError,
          name,
          `axis must be between 0 and ${a.rank - 1}`,
          `axis ${axis} for ${a}`,
          "choose an existing axis",
        );
      return [a];
    },
    jvp,
    transpose,
    batch: (_size, [x], [d], { axis, reverse }) => ({
      outs: [
        bind1(primitive, [x as NDArray], {
          axis: axis >= (d as number) ? axis + 1 : axis,
          reverse,
        }),
      ],
      dims: [d as number],
    }),
    lower: ([x], _outs, { axis, reverse }) => {
      const { shape, dtype } = x as Aval;
      const acc = wide(dtype);
      const n = shape[axis] as number;
      const outer = shape.slice(0, axis).reduce((p, s) => p * s, 1);
      const inner = shape.slice(axis + 1).reduce((p, s) => p * s, 1);
      return {
        kind: "routine",
        build: ([from], [to]) => {
          if (from === undefined || to === undefined) return [];
          return [
            loop(outer, (o) => [
              loop(inner, (i) => {
                const total = new KVar(acc, "total");
                return [
                  set(total, K.lit(init(dtype), acc)),
                  loop(n, (k) => {
                    const at = K.add(
                      K.mul(
                        K.add(K.mul(o, K.int(n)), reverse ? K.sub(K.int(n - 1), k) : k),
                        K.int(inner),
                      ),
                      i,
                    );
                    return [
                      set(total, step(total, K.cast(from.at(at), acc))),
                      to.store(at, K.cast(total, dtype)),
                    ];
                  }),
                ];
              }),
            ]),
          ];
        },
      };
    },
  });
  return primitive;
}

const sumWide = (d: DType): DType =>
  d === "float32" ? "float64" : isFloat(d) && d !== "float64" ? "float32" : d;
const productWide = (d: DType): DType => (isFloat(d) && dtypes[d].bytes < 4 ? "float32" : d);
const same = (d: DType): DType => d;

/** Values and tangents that are combined together. */
interface Pair {
  readonly x: NDArray;
  readonly t: NDArray;
}
/** Inclusive scan of pairs along an axis with an associative combination: neighbours are combined, the half
 *  that is left is scanned, and the other half filled in. O(n) combinations in O(log n) steps.
 *  @source Blelloch 1990, "Prefix sums and their applications" */
function associativeScan(combine: (a: Pair, b: Pair) => Pair, all: Pair, axis: number): Pair {
  const n = all.x.shape[axis] as number;
  if (n < 2) return all;
  const part = ({ x, t }: Pair, from: number, to: number, stride: number): Pair => {
    const cut = (z: NDArray): NDArray =>
      slice(
        z,
        z.shape.map((_, i) => (i === axis ? from : 0)),
        z.shape.map((s, i) => (i === axis ? to : s)),
        z.shape.map((_, i) => (i === axis ? stride : 1)),
      );
    return { x: cut(x), t: cut(t) };
  };
  const odd = associativeScan(combine, combine(part(all, 0, n - 1, 2), part(all, 1, n, 2)), axis);
  const half = odd.x.shape[axis] as number;
  const before = n % 2 === 0 ? part(odd, 0, half - 1, 1) : odd;
  const first = part(all, 0, 1, 1);
  const rest = (before.x.shape[axis] as number) === 0 ? null : combine(before, part(all, 2, n, 2));
  const even: Pair =
    rest === null
      ? first
      : { x: concatenate([first.x, rest.x], axis), t: concatenate([first.t, rest.t], axis) };
  return { x: interleave(even.x, odd.x, axis), t: interleave(even.t, odd.t, axis) };
}
/** a₀ b₀ a₁ b₁ … */
function interleave(a: NDArray, b: NDArray, axis: number): NDArray {
  const n = (a.shape[axis] as number) + (b.shape[axis] as number);
  const spread = (z: NDArray, from: number): NDArray => {
    const m = z.shape[axis] as number;
    const high = n - from - (2 * m - 1);
    return pad(
      z,
      new Literal(0, z.dtype),
      z.shape.map((_, i) => (i === axis ? ([from, high, 1] as const) : ([0, 0, 0] as const))),
    );
  };
  return add(spread(a, 0), spread(b, 1));
}

/** jvp by an associative scan of values with their tangents. */
const scanJvp =
  (
    apply: (x: NDArray, options: CumulativeOptions) => NDArray,
    combine: (a: Pair, b: Pair) => Pair,
  ): JvpRule<CumulativeParams> =>
  ([x], [t], params) => {
    const v = x as NDArray;
    const out = apply(v, params);
    if (t instanceof Zero || !isFloat(v.dtype))
      return { outs: [out], tangents: [new Zero(out.aval)] };
    const { axis, reverse } = params;
    const turn = (z: NDArray): NDArray => (reverse ? rev(z, [axis]) : z);
    const scanned = associativeScan(combine, { x: turn(v), t: turn(t as NDArray) }, axis);
    return { outs: [out], tangents: [turn(scanned.t)] };
  };

/** out[i] = Σ_{j ≤ i} x[j] */
export const cumsumP: Primitive<CumulativeParams> = cumulative({
  name: "cumsum",
  accepts: "number",
  wide: sumWide,
  init: () => 0,
  step: K.add,
  jvp: linearJvp((x, p) => cumsum(x, p)),
  transpose: ([ct], [x], { axis, reverse }) => [
    ct instanceof Zero
      ? new Zero((x as LinearInput).aval)
      : cumsum(ct as NDArray, { axis, reverse: !reverse }),
  ],
});
/** out[i] = Π_{j ≤ i} x[j] */
export const cumprodP: Primitive<CumulativeParams> = cumulative({
  name: "cumprod",
  accepts: "number",
  wide: productWide,
  init: () => 1,
  step: K.mul,
  jvp: scanJvp(
    (x, p) => cumprod(x, p),
    (a, b) => ({ x: mul(a.x, b.x), t: add(mul(a.t, b.x), mul(a.x, b.t)) }),
  ),
  transpose: noRule("it is not linear"),
});

/** The tangent of max(a, b) or min(a, b): ties take half of each, and NaN stops it. */
const extremum =
  (pick: (a: NDArray, b: NDArray) => NDArray) =>
  (a: Pair, b: Pair): Pair => {
    const x = pick(a.x, b.x);
    const hit = (z: NDArray): NDArray => convert(eq(z, x), x.dtype);
    const [p, q] = [hit(a.x), hit(b.x)];
    return { x, t: add(mul(a.t, div(p, add(q, 1))), mul(b.t, div(q, add(p, 1)))) };
  };
/** out[i] = max_{j ≤ i} x[j] */
export const cummaxP: Primitive<CumulativeParams> = cumulative({
  name: "cummax",
  accepts: "any",
  wide: same,
  init: (d) => (isFloat(d) ? Number.NEGATIVE_INFINITY : dtypes[d].min),
  step: K.max,
  jvp: scanJvp((x, p) => cummax(x, p), extremum(max)),
  transpose: noRule("it is not linear"),
});
/** out[i] = min_{j ≤ i} x[j] */
export const cumminP: Primitive<CumulativeParams> = cumulative({
  name: "cummin",
  accepts: "any",
  wide: same,
  init: (d) => (isFloat(d) ? Number.POSITIVE_INFINITY : dtypes[d].max),
  step: K.min,
  jvp: scanJvp((x, p) => cummin(x, p), extremum(min)),
  transpose: noRule("it is not linear"),
});

/** log(eᵃ + eᵇ) of scalars, without overflow; −∞ is neutral. */
function logAddExp(a: Expr, b: Expr): Expr {
  const top = K.max(a, b);
  const d = K.sub(a, b);
  const tail = K.unary("log1p", K.unary("exp", K.neg(K.unary("abs", d))));
  // ∞ − ∞ is NaN: both are the same infinity (or one is NaN), and their sum is what is wanted
  return K.select(K.compare("ne", d, d), K.add(a, b), K.add(top, tail));
}
const logaddexp = (a: NDArray, b: NDArray): NDArray => {
  const d = sub(a, b);
  const less = lt(d, 0);
  // −|d|, but with the slope of −d at 0, so that the second derivative is right there
  const usual = add(selectN(less, [a, b]), log1p(exp(selectN(less, [neg(d), d]))));
  return selectN(eq(d, d), [add(a, b), usual]);
};
/** out[i] = log Σ_{j ≤ i} exp(x[j]) */
export const cumlogsumexpP: Primitive<CumulativeParams> = cumulative({
  name: "cumlogsumexp",
  accepts: "float",
  wide: sumWide,
  init: () => Number.NEGATIVE_INFINITY,
  step: logAddExp,
  jvp: scanJvp(
    (x, p) => cumlogsumexp(x, p),
    (a, b) => {
      const x = logaddexp(a.x, b.x);
      // weights are softmax over the two, with 0 in place of ∞ as in JAX's logaddexp
      const finite = (z: NDArray): NDArray =>
        selectN(eq(z, Number.POSITIVE_INFINITY), [z, full(z.shape, 0, z.dtype)]);
      const weight = (z: NDArray): NDArray => exp(sub(finite(z), finite(x)));
      return { x, t: add(mul(a.t, weight(a.x)), mul(b.t, weight(b.x))) };
    },
  ),
  transpose: noRule("it is not linear"),
});

const applied =
  (p: () => Primitive<CumulativeParams>) =>
  (x: NDArray, { axis = 0, reverse = false }: CumulativeOptions = {}): NDArray =>
    bind1(p(), [x], { axis, reverse });
type Cumulative = (x: NDArray, options?: CumulativeOptions) => NDArray;
/** out[i] = Σ_{j ≤ i} x[j] along `axis` (default 0); j ≥ i where `reverse`.
 *  @example cumsum(np.array([1, 2, 3])).toArray()  // => [1, 3, 6] */
export const cumsum: Cumulative = applied(() => cumsumP);
/** out[i] = Π_{j ≤ i} x[j]
 *  @example cumprod(np.array([2, 3, 4]), { reverse: true }).toArray()  // => [24, 12, 4] */
export const cumprod: Cumulative = applied(() => cumprodP);
/** out[i] = max_{j ≤ i} x[j]; NaN from the first NaN on. Of two equal runs each has half of the derivative.
 *  @example cummax(np.array([1, 3, 2])).toArray()  // => [1, 3, 3] */
export const cummax: Cumulative = applied(() => cummaxP);
/** out[i] = min_{j ≤ i} x[j]; NaN from the first NaN on. Of two equal runs each has half of the derivative.
 *  @example cummin(np.array([2, 3, 1])).toArray()  // => [2, 2, 1] */
export const cummin: Cumulative = applied(() => cumminP);
/** out[i] = log Σ_{j ≤ i} exp(x[j]), without overflow
 *  @example cumlogsumexp(np.array([1000, -Infinity])).toArray()  // => [1000, 1000] */
export const cumlogsumexp: Cumulative = applied(() => cumlogsumexpP);
