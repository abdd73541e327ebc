/** Operations of random programs that move, add up or pick elements of one array. */
import type { NDArray } from "../../core/ndarray.ts";
import * as a from "../../core/ops/arithmetic.ts";
import * as c from "../../core/ops/compare.ts";
import { cumlogsumexp, cummax, cumsum } from "../../core/ops/cumulative.ts";
import { gatherAlong } from "../../core/ops/gather.ts";
import { dynamicSlice } from "../../core/ops/indexing.ts";
import { split, tile } from "../../core/ops/join.ts";
import * as l from "../../core/ops/linear.ts";
import { argmax, reduceMax, reduceMin, reduceProd } from "../../core/ops/reduce.ts";
import { select } from "../../core/ops/select.ts";
import { pad, rev, slice } from "../../core/ops/slicing.ts";
import { argsort, sort, topK } from "../../core/ops/sort.ts";
import { broadcastedIota } from "../../core/ops/structural.ts";
import { reduceWindowMax, reduceWindowSum } from "../../core/ops/window.ts";
import { range, shapesEqual, showShape, sizeOf } from "../../core/shape.ts";
import {
  axisOf,
  carry,
  type Operation,
  type Pick,
  pickFloat,
  replaced,
  type Value,
  within,
  without,
} from "./step.ts";

type Made = {
  text: string;
  f: (x: NDArray) => NDArray;
  out?: Partial<Value>;
  slope?: number;
  own?: number;
};
const single = (
  name: string,
  make: (x: Value, pick: Pick) => Made | null,
  {
    smooth = true,
    rank = 0,
    exact = false,
  }: { smooth?: boolean; rank?: number; exact?: boolean } = {},
): Operation => ({
  name,
  smooth,
  build: (values, pick) => {
    const at = pickFloat(values, pick, (v) => v.shape.length >= rank && (!exact || v.error === 0));
    if (at === null) return null;
    const x = values[at] as Value;
    const made = make(x, pick);
    if (made === null) return null;
    const { lip, error } = carry(values, [at], [made.slope ?? 1]);
    return within({
      text: made.text,
      operands: [at],
      apply: ([v]) => made.f(v as NDArray),
      out: { ...x, lip, error: error + (made.own ?? 0), ...made.out },
    });
  },
});

/** Differentiable ones. */
export const moves: readonly Operation[] = [
  single("reshape", (x, pick) => {
    const size = sizeOf(x.shape);
    const divisors = range(size, 1).filter((d) => size % d === 0);
    const d = divisors[pick(Math.max(1, divisors.length))] ?? 0;
    const shape = size === 0 || pick(3) === 0 ? [size] : [d, size / d];
    if (shapesEqual(shape, x.shape)) return null;
    return {
      text: `reshape($0, ${showShape(shape)})`,
      f: (v) => l.reshape(v, shape),
      out: { shape },
    };
  }),
  single(
    "transpose",
    (x, pick) => {
      const by = 1 + pick(x.shape.length - 1);
      const p = range(x.shape.length).map((i) => (i + by) % x.shape.length);
      return {
        text: `transpose($0, ${showShape(p)})`,
        f: (v) => l.transpose(v, p),
        out: { shape: p.map((i) => x.shape[i] as number) },
      };
    },
    { rank: 2 },
  ),
  single("broadcastInDim", (x, pick) => {
    const at = pick(x.shape.length + 1);
    const n = 1 + pick(3);
    const shape = [...x.shape.slice(0, at), n, ...x.shape.slice(at)];
    const dims = range(shape.length).filter((i) => i !== at);
    return {
      text: `broadcastInDim($0, ${showShape(shape)}, ${showShape(dims)})`,
      f: (v) => l.broadcastInDim(v, shape, dims),
      out: { shape },
    };
  }),
  single(
    "squeeze",
    (x) => {
      const at = x.shape.indexOf(1);
      return at < 0
        ? null
        : {
            text: `squeeze($0, [${at}])`,
            f: (v) => l.squeeze(v, [at]),
            out: { shape: without(x.shape, at) },
          };
    },
    { rank: 1 },
  ),
  single(
    "rev",
    (x, pick) => {
      const at = axisOf(x, pick);
      return { text: `rev($0, [${at}])`, f: (v) => rev(v, [at]) };
    },
    { rank: 1 },
  ),
  single(
    "slice",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n === 0) return null;
      const from = pick(n);
      const step = 1 + pick(2);
      const to = from + 1 + pick(n - from);
      const starts = replaced(
        x.shape.map(() => 0),
        at,
        from,
      );
      const strides = replaced(
        x.shape.map(() => 1),
        at,
        step,
      );
      const shape = replaced(x.shape, at, Math.ceil((to - from) / step));
      return {
        text: `slice($0, axis ${at}, ${from}:${to}:${step})`,
        f: (v) => slice(v, starts, replaced(x.shape, at, to), strides),
        out: { shape },
      };
    },
    { rank: 1 },
  ),
  single(
    "pad",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      const [low, high, interior] = [pick(2), pick(2), pick(2)];
      const config = x.shape.map((_, i) =>
        i === at ? ([low, high, interior] as const) : ([0, 0, 0] as const),
      );
      const shape = replaced(x.shape, at, n + low + high + Math.max(0, n - 1) * interior);
      return {
        text: `pad($0, 0, axis ${at}: ${low},${high},${interior})`,
        f: (v) => pad(v, l.full([], 0, v.dtype), config),
        out: { shape },
      };
    },
    { rank: 1 },
  ),
  single(
    "tile",
    (x, pick) => {
      const at = axisOf(x, pick);
      const reps = replaced(
        x.shape.map(() => 1),
        at,
        2,
      );
      return {
        text: `tile($0, ${showShape(reps)})`,
        f: (v) => tile(v, reps),
        out: { shape: replaced(x.shape, at, 2 * (x.shape[at] as number)) },
      };
    },
    { rank: 1 },
  ),
  single(
    "split",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n < 2) return null;
      const k = 1 + pick(n - 1);
      const part = pick(2);
      return {
        text: `split($0, [${k},${n - k}], ${at})[${part}]`,
        f: (v) => split(v, [k, n - k], at)[part] as NDArray,
        out: { shape: replaced(x.shape, at, part === 0 ? k : n - k) },
      };
    },
    { rank: 1 },
  ),
  single(
    "dynamicSlice",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n === 0) return null;
      const start = pick(n + 2) - 1; // clamped
      const size = 1 + pick(n);
      const shape = replaced(x.shape, at, size);
      const starts = x.shape.map((_, i) => (i === at ? start : 0));
      return {
        text: `dynamicSlice($0, ${showShape(starts)}, ${showShape(shape)})`,
        f: (v) => dynamicSlice(v, starts, shape),
        out: { shape },
      };
    },
    { rank: 1 },
  ),
  single(
    "reduceSum",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      return {
        text: `reduceSum($0, [${at}])`,
        f: (v) => l.reduceSum(v, [at]),
        out: { shape: without(x.shape, at), bound: n * x.bound },
        slope: n,
        // In float64, in any order, then one rounding. The sum is exact in 53 bits while the exponents of the terms
        // differ by less than 29 − log₂ n, here 22; of more terms it may not be, and the rounding fall to the other side
        own: n < 100 ? 0 : n * x.bound,
      };
    },
    { rank: 1 },
  ),
  single(
    "reduceProd",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      const b = Math.max(1, x.bound);
      return {
        text: `reduceProd($0, [${at}])`,
        f: (v) => reduceProd(v, [at]),
        out: { shape: without(x.shape, at), bound: b ** n },
        slope: n * b ** Math.max(0, n - 1),
        // n − 1 roundings, in any order where vectors are filled
        own: n < 4 ? 0 : n * b ** n,
      };
    },
    { rank: 1 },
  ),
  single(
    "cumsum",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = Math.max(1, x.shape[at] as number);
      const reverse = pick(2) === 1;
      return {
        text: `cumsum($0, ${at}${reverse ? ", reverse" : ""})`,
        f: (v) => cumsum(v, { axis: at, reverse }),
        out: { bound: n * x.bound },
        slope: n,
      };
    },
    { rank: 1 },
  ),
  single(
    "cumlogsumexp",
    (x, pick) => {
      const at = axisOf(x, pick);
      return {
        text: `cumlogsumexp($0, ${at})`,
        f: (v) => cumlogsumexp(v, { axis: at }),
        out: { bound: x.bound + 4 },
      };
    },
    { rank: 1 },
  ),
  single(
    "reduceWindowSum",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n < 2) return null;
      const windowDimensions = replaced(
        x.shape.map(() => 1),
        at,
        2,
      );
      return {
        text: `reduceWindowSum($0, ${showShape(windowDimensions)})`,
        f: (v) => reduceWindowSum(v, { windowDimensions }),
        out: { shape: replaced(x.shape, at, n - 1), bound: 2 * x.bound },
        slope: 2,
      };
    },
    { rank: 1 },
  ),
  single(
    "masked",
    (x) => ({
      text: "select(iota even, $0, 0.25)",
      f: (v) => {
        const even = c.eq(a.rem(broadcastedIota("int32", x.shape, 0), 2), 0);
        return select(even, v, l.full(x.shape, 0.25, v.dtype));
      },
      out: { bound: Math.max(1, x.bound) },
    }),
    { rank: 1 },
  ),
  single(
    "gather",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n === 0) return null;
      return {
        text: `gather($0, reversed positions, axis ${at})`,
        f: (v) => gatherAlong(v, a.sub(n - 1, broadcastedIota("int32", x.shape, at)), at),
      };
    },
    { rank: 1 },
  ),
];

/** Ones with kinks or jumps. */
export const rough: readonly Operation[] = [
  single(
    "reduceMax",
    (x, pick) => {
      const at = axisOf(x, pick);
      if (x.shape[at] === 0) return null;
      return {
        text: `reduceMax($0, [${at}])`,
        f: (v) => reduceMax(v, [at]),
        out: { shape: without(x.shape, at) },
      };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "reduceMin",
    (x, pick) => {
      const at = axisOf(x, pick);
      if (x.shape[at] === 0) return null;
      return {
        text: `reduceMin($0, [${at}])`,
        f: (v) => reduceMin(v, [at]),
        out: { shape: without(x.shape, at) },
      };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "cummax",
    (x, pick) => {
      const at = axisOf(x, pick);
      return { text: `cummax($0, ${at})`, f: (v) => cummax(v, { axis: at }) };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "sort",
    (x, pick) => {
      const at = axisOf(x, pick);
      return { text: `sort($0, ${at})`, f: (v) => sort([v], { dimension: at })[0] as NDArray };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "topK",
    (x, pick) => {
      const n = x.shape[x.shape.length - 1] as number;
      if (n === 0) return null;
      const k = 1 + pick(n);
      return {
        text: `topK($0, ${k})[0]`,
        f: (v) => topK(v, k)[0],
        out: { shape: [...x.shape.slice(0, -1), k] },
      };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "reduceWindowMax",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n < 2) return null;
      const windowDimensions = replaced(
        x.shape.map(() => 1),
        at,
        2,
      );
      return {
        text: `reduceWindowMax($0, ${showShape(windowDimensions)})`,
        f: (v) => reduceWindowMax(v, { windowDimensions }),
        out: { shape: replaced(x.shape, at, n - 1) },
      };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "argmax",
    (x, pick) => {
      const at = axisOf(x, pick);
      if (x.shape[at] === 0) return null;
      return {
        text: `argmax($0, ${at})`,
        f: (v) => argmax(v, at),
        out: { shape: without(x.shape, at), kind: "int32", bound: 10, lip: 0 },
      };
    },
    { smooth: false, rank: 1, exact: true },
  ),
  single(
    "argsort",
    (x, pick) => {
      const at = axisOf(x, pick);
      return {
        text: `argsort($0, ${at})`,
        f: (v) => argsort(v, at),
        out: { kind: "int32", bound: 10, lip: 0 },
      };
    },
    { smooth: false, rank: 1, exact: true },
  ),
];
