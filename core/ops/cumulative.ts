/** Cumulative sums, products, extrema and log-sum-exps along an axis. */
import type { Aval } from "../aval.ts";
import * as K from "../kernel/expr.ts";
import { type Expr, KVar } from "../kernel/expr.ts";
import { type Buf, loop, parallel, set, type Stmt } from "../kernel/kernel.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  definePrimitive,
  type JvpRule,
  type NoRule,
  type Primitive,
  type TransposeRule,
} from "../primitive.ts";
import { sizeOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { max, min } from "./arithmetic.ts";
import { batchAlong } from "./axes.ts";
import { checkAxis, checkClass } from "./checks.ts";
import { eq, lt } from "./compare.ts";
import { add, div, mul, neg, sub } from "./field.ts";
import { type Fold, largest, product, smallest, sum } from "./fold.ts";
import { convert, fullLike } from "./linear.ts";
import { dual, linearJvp, nonlinear, transposed } from "./linearity.ts";
import { concatenate, pad, rev, selectN, sliceInDim } from "./structural.ts";
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

/** Columns whose totals are kept side by side. */
const mostColumns = 256;

function cumulative(
  name: string,
  { accepts, wide, init, step }: Fold,
  jvp: JvpRule<CumulativeParams>,
  transpose: TransposeRule<CumulativeParams> | NoRule = nonlinear,
): Primitive<CumulativeParams> {
  return definePrimitive<CumulativeParams>({
    name,
    shape: ([x], { axis }) => {
      checkClass(name, accepts, x as Aval);
      checkAxis(name, "axis", axis, x as Aval);
      return [x as Aval];
    },
    jvp,
    transpose,
    batch: batchAlong,
    lower: ([x], _outs, { axis, reverse }) => {
      const { shape, dtype } = x as Aval;
      const acc = wide(dtype);
      const n = shape[axis] as number;
      const outer = sizeOf(shape.slice(0, axis));
      const inner = sizeOf(shape.slice(axis + 1));
      const columns = Math.min(inner, mostColumns);
      const blocks = Math.ceil(inner / columns);
      return {
        kind: "routine",
        // the totals of columns side by side, so that memory is read in its order
        temps: [{ dtype: acc, length: columns, scratch: true }],
        build: (inputs, outputs, temps) => {
          const [from, to, totals] = [inputs[0] as Buf, outputs[0] as Buf, temps[0] as Buf];
          if (n * outer * inner === 0) return [];
          return [
            parallel(outer * blocks, (part) => {
              const first = K.mul(K.binary("rem", part, K.int(blocks)), K.int(columns));
              const start = K.add(
                K.mul(K.binary("div", part, K.int(blocks)), K.int(n * inner)),
                first,
              );
              const total = new KVar(acc, "total");
              const zero = K.lit(init(dtype), acc);
              const advance = (k: Expr, i: Expr, before: Expr): Stmt[] => {
                const row = reverse ? K.sub(K.int(n - 1), k) : k;
                const at = K.add(K.add(start, K.mul(row, K.int(inner))), i);
                return [
                  set(total, step(before, K.cast(from.at(at), acc))),
                  to.store(at, K.cast(total, dtype)),
                ];
              };
              if (columns === 1)
                return [set(total, zero), loop(n, (k) => advance(k, K.int(0), total))];
              const width =
                inner % columns === 0
                  ? columns
                  : K.binary("min", K.int(columns), K.sub(K.int(inner), first));
              return [
                parallel(width, (i) => [totals.store(i, zero)]),
                loop(n, (k) => [
                  parallel(width, (i) => [...advance(k, i, totals.at(i)), totals.store(i, total)]),
                ]),
              ];
            }),
          ];
        },
      };
    },
  });
}

/** A value and its tangent, which are combined together. */
type Pair = readonly [x: NDArray, t: NDArray];
const both = ([x, t]: Pair, f: (z: NDArray) => NDArray): Pair => [f(x), f(t)];
const zip = (a: Pair, b: Pair, f: (p: NDArray, q: NDArray) => NDArray): Pair => [
  f(a[0], b[0]),
  f(a[1], b[1]),
];
/** Inclusive scan of pairs along an axis with an associative combination: neighbours are combined, the half
 *  that is left is scanned, and the other half filled in. O(n) combinations in O(log n) steps.
 *  @source Blelloch 1990, "Prefix sums and their applications" */
function associativeScan(combine: (a: Pair, b: Pair) => Pair, all: Pair, axis: number): Pair {
  const n = all[0].shape[axis] as number;
  if (n < 2) return all;
  const part = (pair: Pair, from: number, to: number, stride: number): Pair =>
    both(pair, (z) => sliceInDim(z, from, to, stride, axis));
  const odd = associativeScan(combine, combine(part(all, 0, n - 1, 2), part(all, 1, n, 2)), axis);
  const half = Math.floor(n / 2);
  const before = n % 2 === 0 ? part(odd, 0, half - 1, 1) : odd;
  const first = part(all, 0, 1, 1);
  const even =
    n === 2
      ? first
      : zip(first, combine(before, part(all, 2, n, 2)), (p, q) => concatenate([p, q], axis));
  return zip(even, odd, (p, q) => interleave(p, q, axis));
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
      z.shape.map((_, i) => (i === axis ? [from, high, 1] : [0, 0, 0])),
    );
  };
  return add(spread(a, 0), spread(b, 1));
}

/** jvp by an associative scan of values with their tangents. */
const scanJvp =
  (combine: (a: Pair, b: Pair) => Pair): JvpRule<CumulativeParams> =>
  ([x], [t], params, primitive) => {
    const v = x as NDArray;
    const out = bind1(primitive, [v], params);
    const { axis, reverse } = params;
    const turn = (z: NDArray): NDArray => (reverse ? rev(z, [axis]) : z);
    const [, scanned] = associativeScan(combine, both([v, t as NDArray], turn), axis);
    return dual(out, turn(scanned));
  };

/** out[i] = Σ_{j ≤ i} x[j] */
export const cumsumP: Primitive<CumulativeParams> = cumulative(
  "cumsum",
  sum,
  linearJvp,
  transposed((ct, _x, { axis, reverse }) => cumsum(ct, { axis, reverse: !reverse })),
);
/** out[i] = Π_{j ≤ i} x[j] */
export const cumprodP: Primitive<CumulativeParams> = cumulative(
  "cumprod",
  product,
  scanJvp(([x, dx], [y, dy]) => [mul(x, y), add(mul(dx, y), mul(x, dy))]),
);

/** The tangent of max(a, b) or min(a, b): ties take half of each, and NaN stops it. */
const extremum =
  (pick: (a: NDArray, b: NDArray) => NDArray) =>
  ([a, da]: Pair, [b, db]: Pair): Pair => {
    const x = pick(a, b);
    const hit = (z: NDArray): NDArray => convert(eq(z, x), x.dtype);
    const [p, q] = [hit(a), hit(b)];
    return [x, add(mul(da, div(p, add(q, 1))), mul(db, div(q, add(p, 1))))];
  };
/** out[i] = max_{j ≤ i} x[j] */
export const cummaxP: Primitive<CumulativeParams> = cumulative(
  "cummax",
  largest,
  scanJvp(extremum(max)),
);
/** out[i] = min_{j ≤ i} x[j] */
export const cumminP: Primitive<CumulativeParams> = cumulative(
  "cummin",
  smallest,
  scanJvp(extremum(min)),
);

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
export const cumlogsumexpP: Primitive<CumulativeParams> = cumulative(
  "cumlogsumexp",
  {
    accepts: "float",
    wide: sum.wide,
    init: () => Number.NEGATIVE_INFINITY,
    step: logAddExp,
  },
  scanJvp(([a, da], [b, db]) => {
    const x = logaddexp(a, b);
    // weights are softmax over the two, with 0 in place of ∞ as in JAX's logaddexp
    const finite = (z: NDArray): NDArray =>
      selectN(eq(z, Number.POSITIVE_INFINITY), [z, fullLike(z, 0)]);
    const weight = (z: NDArray): NDArray => exp(sub(finite(z), finite(x)));
    return [x, add(mul(da, weight(a)), mul(db, weight(b)))];
  }),
);

type Cumulative = (x: NDArray, options?: CumulativeOptions) => NDArray;
const along =
  (p: Primitive<CumulativeParams>): Cumulative =>
  (x, { axis = 0, reverse = false } = {}) =>
    bind1(p, [x], { axis, reverse });
/** out[i] = Σ_{j ≤ i} x[j] along `axis` (default 0); j ≥ i where `reverse`.
 *  @example cumsum(np.array([1, 2, 3])).toArray()  // => [1, 3, 6] */
export const cumsum: Cumulative = along(cumsumP);
/** out[i] = Π_{j ≤ i} x[j]
 *  @example cumprod(np.array([2, 3, 4]), { reverse: true }).toArray()  // => [24, 12, 4] */
export const cumprod = along(cumprodP);
/** out[i] = max_{j ≤ i} x[j]; NaN from the first NaN on. Of two equal runs each has half of the derivative.
 *  @example cummax(np.array([1, 3, 2])).toArray()  // => [1, 3, 3] */
export const cummax = along(cummaxP);
/** out[i] = min_{j ≤ i} x[j]; NaN from the first NaN on. Of two equal runs each has half of the derivative.
 *  @example cummin(np.array([2, 3, 1])).toArray()  // => [2, 2, 1] */
export const cummin = along(cumminP);
/** out[i] = log Σ_{j ≤ i} exp(x[j]), without overflow
 *  @example cumlogsumexp(np.array([1000, -Infinity])).toArray()  // => [1000, 1000] */
export const cumlogsumexp = along(cumlogsumexpP);
