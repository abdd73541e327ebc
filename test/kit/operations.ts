/** The operations that random programs are made of. Each knows bounds of its result, so that no program overflows or
 *  amplifies errors without limit. */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import * as a from "../../core/ops/arithmetic.ts";
import * as c from "../../core/ops/compare.ts";
import { dotGeneral } from "../../core/ops/contract.ts";
import { conv } from "../../core/ops/conv.ts";
import { cumlogsumexp, cummax, cumsum } from "../../core/ops/cumulative.ts";
import { gatherAlong } from "../../core/ops/gather.ts";
import { dynamicSlice, dynamicUpdateSlice } from "../../core/ops/indexing.ts";
import { concatenate, split, tile } from "../../core/ops/join.ts";
import * as l from "../../core/ops/linear.ts";
import { argmax, reduceMax, reduceMin, reduceProd } from "../../core/ops/reduce.ts";
import { clamp, select } from "../../core/ops/select.ts";
import { pad, rev, slice } from "../../core/ops/slicing.ts";
import { argsort, sort, topK } from "../../core/ops/sort.ts";
import * as s from "../../core/ops/special.ts";
import { broadcastedIota } from "../../core/ops/structural.ts";
import * as t from "../../core/ops/transcendental.ts";
import { reduceWindowMax, reduceWindowSum } from "../../core/ops/window.ts";
import { range, type Shape, shapesEqual, showShape, sizeOf } from "../../core/shape.ts";
import { jit } from "../../transforms/jit.ts";

/** What is known of a value of a program. */
export interface Value {
  readonly shape: Shape;
  /** "float" stands for the dtype with which the program is run */
  readonly kind: "float" | "int32" | "bool";
  /** |x| ≤ bound */
  readonly bound: number;
  /** |∂x/∂input| ≤ lip along directions of size 1 */
  readonly lip: number;
  /** how far two correct evaluations may be apart, in units of ε: 0 where every backend must agree to the last bit.
   *  Only contractions, which may add in any order, start an error; the others carry it on */
  readonly error: number;
}
export interface Step {
  /** pseudo-code, with the operands' positions as $0, $1, … */
  readonly text: string;
  readonly operands: readonly number[];
  readonly apply: (xs: readonly NDArray[]) => NDArray;
  readonly out: Value;
}
/** Draws for one instruction: `pick(n)` is a number below n. */
export type Pick = (n: number) => number;
export interface Operation {
  readonly name: string;
  /** differentiable where it is used */
  readonly smooth: boolean;
  /** a step on some of the values, or null where none fits */
  readonly build: (values: readonly Value[], pick: Pick) => Step | null;
}

export const limits = { bound: 50, lip: 300, size: 48, rank: 4, error: 1e6 } as const;

/** Local slopes times what the operands bring. */
function carry(values: readonly Value[], operands: readonly number[], slopes: readonly number[]): { lip: number; error: number } {
  let lip = 0;
  let error = 0;
  operands.forEach((o, i) => {
    lip += (slopes[i] as number) * (values[o] as Value).lip;
    error += (slopes[i] as number) * (values[o] as Value).error;
  });
  return { lip, error };
}

/** The most recent floats are the likeliest: programs become deep, not wide. */
function pickFloat(values: readonly Value[], pick: Pick, fits: (v: Value) => boolean = () => true): number | null {
  const found = values.flatMap((v, i) => (v.kind === "float" && fits(v) ? [i] : []));
  if (found.length === 0) return null;
  const last = found[found.length - 1] as number;
  return pick(20) < 17 ? last : (found[pick(found.length)] as number);
}

function within(step: Step | null): Step | null {
  if (step === null) return null;
  const { bound, lip, error, shape } = step.out;
  const fits = bound <= limits.bound && lip <= limits.lip && error <= limits.error;
  return fits && sizeOf(shape) <= limits.size && shape.length <= limits.rank ? step : null;
}

// ---- elementwise ----

type Curve = (b: number) => number;
interface Unary {
  readonly name: string;
  readonly f: (x: NDArray) => NDArray;
  readonly bound: Curve;
  readonly slope: Curve;
  readonly smooth?: boolean;
  /** only values that every backend computes to the last bit, for functions that jump */
  readonly exact?: boolean;
}
const one = (): number => 1;
const same: Curve = (b) => b;
/** 1 + x², where a function needs a positive argument */
const lifted = (x: NDArray): NDArray => a.add(a.square(x), 1);

const unaries: readonly Unary[] = [
  { name: "sin", f: t.sin, bound: one, slope: one },
  { name: "cos", f: t.cos, bound: one, slope: one },
  { name: "tanh", f: t.tanh, bound: one, slope: one },
  { name: "logistic", f: t.logistic, bound: one, slope: () => 0.25 },
  { name: "atan", f: t.atan, bound: () => Math.PI / 2, slope: one },
  { name: "asinh", f: t.asinh, bound: Math.asinh, slope: one },
  { name: "erf", f: s.erf, bound: one, slope: () => 1.13 },
  { name: "erfc", f: s.erfc, bound: () => 2, slope: () => 1.13 },
  { name: "neg", f: a.neg, bound: same, slope: one },
  { name: "square", f: a.square, bound: (b) => b * b, slope: (b) => 2 * b },
  { name: "cube", f: (x) => a.integerPow(x, 3), bound: (b) => b ** 3, slope: (b) => 3 * b * b },
  { name: "exp", f: t.exp, bound: Math.exp, slope: Math.exp },
  { name: "exp2", f: t.exp2, bound: (b) => 2 ** b, slope: (b) => 0.7 * 2 ** b },
  { name: "expm1", f: t.expm1, bound: Math.exp, slope: Math.exp },
  { name: "sinh", f: t.sinh, bound: Math.sinh, slope: Math.cosh },
  { name: "cosh", f: t.cosh, bound: Math.cosh, slope: Math.sinh },
  { name: "tan∘sin", f: (x) => t.tan(t.sin(x)), bound: () => 1.56, slope: () => 3.5 },
  { name: "asin∘(tanh/2)", f: (x) => t.asin(a.mul(t.tanh(x), 0.5)), bound: one, slope: one },
  { name: "acos∘(sin/2)", f: (x) => t.acos(a.mul(t.sin(x), 0.5)), bound: () => 2.1, slope: one },
  { name: "atanh∘(sin/2)", f: (x) => t.atanh(a.mul(t.sin(x), 0.5)), bound: one, slope: one },
  { name: "acosh∘(1+·²)+1", f: (x) => t.acosh(a.add(lifted(x), 1)), bound: (b) => Math.acosh(2 + b * b), slope: one },
  { name: "erfInv∘(sin/2)", f: (x) => s.erfInv(a.mul(t.sin(x), 0.5)), bound: one, slope: one },
  { name: "log∘(1+·²)", f: (x) => t.log(lifted(x)), bound: (b) => Math.log(1 + b * b), slope: one },
  { name: "log1p∘·²", f: (x) => t.log1p(a.square(x)), bound: (b) => Math.log(1 + b * b), slope: one },
  { name: "sqrt∘(1+·²)", f: (x) => t.sqrt(lifted(x)), bound: (b) => 1 + b, slope: one },
  { name: "rsqrt∘(1+·²)", f: (x) => t.rsqrt(lifted(x)), bound: one, slope: one },
  { name: "cbrt∘(1+·²)", f: (x) => t.cbrt(lifted(x)), bound: (b) => 1 + b, slope: one },
  { name: "pow(1+·², 0.3)", f: (x) => a.pow(lifted(x), 0.3), bound: (b) => 1 + b, slope: one },
  { name: "lgamma∘(1+·²)", f: (x) => s.lgamma(lifted(x)), bound: (b) => 1 + b ** 3, slope: (b) => 1 + 2 * b * Math.log(1 + b * b) },
  { name: "digamma∘(1+·²)", f: (x) => s.digamma(lifted(x)), bound: (b) => 1 + b, slope: () => 2 },
  { name: "1/(1+·²)", f: (x) => a.reciprocal(lifted(x)), bound: one, slope: one },
  { name: "·0.5", f: (x) => a.mul(x, 0.5), bound: (b) => b / 2, slope: () => 0.5 },
  { name: "3−·", f: (x) => a.sub(3, x), bound: (b) => b + 3, slope: one },
  // what simplification looks for: only some of these are the identity, and −0 tells which
  { name: "·+0", f: (x) => a.add(x, 0), bound: same, slope: one },
  { name: "0·1", f: (x) => a.mul(a.mul(x, 0), 1), bound: () => 0, slope: () => 0 },
  { name: "−(−·)", f: (x) => a.neg(a.neg(x)), bound: same, slope: one },
  { name: "jit(x·sin x)", f: (x) => jit((y: NDArray) => a.mul(y, t.sin(y)), { name: "xsinx" })(x), bound: same, slope: (b) => 1 + b },
  { name: "abs", f: a.abs, bound: same, slope: one, smooth: false },
  { name: "relu", f: (x) => a.max(x, 0), bound: same, slope: one, smooth: false },
  { name: "clamp(−1, ·, 1)", f: (x) => clamp(-1, x, 1), bound: one, slope: one, smooth: false },
  { name: "floor", f: a.floor, bound: (b) => b + 1, slope: () => 0, smooth: false, exact: true },
  { name: "ceil", f: a.ceil, bound: (b) => b + 1, slope: () => 0, smooth: false, exact: true },
  { name: "sign", f: a.sign, bound: one, slope: () => 0, smooth: false, exact: true },
  { name: "·rem 1.5", f: (x) => a.rem(x, 1.5), bound: () => 1.5, slope: one, smooth: false, exact: true },
];

const unary = ({ name, f, bound, slope, smooth = true, exact = false }: Unary): Operation => ({
  name,
  smooth,
  build: (values, pick) => {
    const at = pickFloat(values, pick, (v) => bound(v.bound) <= limits.bound && (!exact || v.error === 0));
    if (at === null) return null;
    const x = values[at] as Value;
    return within({
      text: `${name}($0)`,
      operands: [at],
      apply: ([v]) => f(v as NDArray),
      out: { ...x, bound: bound(x.bound), ...carry(values, [at], [slope(x.bound)]) },
    });
  },
});

/** Whether an elementwise operation takes shapes p and q; the shape of its result. */
function joined(p: Shape, q: Shape): Shape | null {
  if (p.length === 0) return q;
  if (q.length === 0) return p;
  if (p.length !== q.length) return null;
  return p.every((n, i) => n === q[i] || n === 1 || q[i] === 1)
    ? p.map((n, i) => (n === 1 ? (q[i] as number) : n))
    : null;
}
/** Two floats whose shapes fit. */
function pickPair(values: readonly Value[], pick: Pick): [number, number, Shape] | null {
  const i = pickFloat(values, pick);
  if (i === null) return null;
  const x = values[i] as Value;
  const found = values.flatMap((v, j) => (v.kind === "float" && joined(x.shape, v.shape) !== null ? [j] : []));
  const j = found[pick(found.length)] as number;
  const shape = joined(x.shape, (values[j] as Value).shape) as Shape;
  return pick(2) === 0 ? [i, j, shape] : [j, i, shape];
}
interface Binary {
  readonly name: string;
  readonly f: (x: NDArray, y: NDArray) => NDArray;
  readonly bound: (b: number, c: number) => number;
  readonly slopes: (b: number, c: number) => readonly [number, number];
  readonly smooth?: boolean;
  readonly kind?: "bool";
  readonly exact?: boolean;
}
const binaries: readonly Binary[] = [
  { name: "add", f: a.add, bound: (b, d) => b + d, slopes: () => [1, 1] },
  { name: "sub", f: a.sub, bound: (b, d) => b + d, slopes: () => [1, 1] },
  { name: "mul", f: a.mul, bound: (b, d) => b * d, slopes: (b, d) => [d, b] },
  { name: "x/(1+y²)", f: (x, y) => a.div(x, lifted(y)), bound: same, slopes: (b) => [1, b] },
  { name: "atan2(x, 1+y²)", f: (x, y) => t.atan2(x, lifted(y)), bound: () => 1.6, slopes: () => [1, 1] },
  { name: "pow(1+x², tanh y)", f: (x, y) => a.pow(lifted(x), t.tanh(y)), bound: (b) => 1 + b * b, slopes: (b) => [2 + 2 * b, (1 + b * b) * Math.log(1 + b * b)] },
  { name: "max", f: a.max, bound: Math.max, slopes: () => [1, 1], smooth: false },
  { name: "min", f: a.min, bound: Math.max, slopes: () => [1, 1], smooth: false },
  { name: "lt", f: c.lt, bound: one, slopes: () => [0, 0], smooth: false, kind: "bool", exact: true },
  { name: "ge", f: c.ge, bound: one, slopes: () => [0, 0], smooth: false, kind: "bool", exact: true },
];
const binary = ({ name, f, bound, slopes, smooth = true, kind, exact = false }: Binary): Operation => ({
  name,
  smooth,
  build: (values, pick) => {
    const pair = pickPair(values, pick);
    if (pair === null) return null;
    const [i, j, shape] = pair;
    const [x, y] = [values[i] as Value, values[j] as Value];
    if (exact && x.error + y.error > 0) return null;
    return within({
      text: `${name}($0, $1)`,
      operands: [i, j],
      apply: ([v, w]) => f(v as NDArray, w as NDArray),
      out: { shape, kind: kind ?? "float", bound: bound(x.bound, y.bound), ...carry(values, [i, j], slopes(x.bound, y.bound)) },
    });
  },
});

// ---- of one array: moving, reducing, windows ----

type Made = { text: string; f: (x: NDArray) => NDArray; out?: Partial<Value>; slope?: number; own?: number };
const single = (
  name: string,
  make: (x: Value, pick: Pick) => Made | null,
  { smooth = true, rank = 0, exact = false }: { smooth?: boolean; rank?: number; exact?: boolean } = {},
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

const replaced = (shape: Shape, at: number, n: number): number[] => shape.map((m, i) => (i === at ? n : m));
const without = (shape: Shape, at: number): number[] => shape.filter((_, i) => i !== at);
const axisOf = (x: Value, pick: Pick): number => pick(x.shape.length);

const moves: readonly Operation[] = [
  single("reshape", (x, pick) => {
    const size = sizeOf(x.shape);
    const divisors = range(size, 1).filter((d) => size % d === 0);
    const d = divisors[pick(Math.max(1, divisors.length))] ?? 0;
    const shape = size === 0 || pick(3) === 0 ? [size] : [d, size / d];
    if (shapesEqual(shape, x.shape)) return null;
    return { text: `reshape($0, ${showShape(shape)})`, f: (v) => l.reshape(v, shape), out: { shape } };
  }),
  single(
    "transpose",
    (x, pick) => {
      const by = 1 + pick(x.shape.length - 1);
      const p = range(x.shape.length).map((i) => (i + by) % x.shape.length);
      return { text: `transpose($0, ${showShape(p)})`, f: (v) => l.transpose(v, p), out: { shape: p.map((i) => x.shape[i] as number) } };
    },
    { rank: 2 },
  ),
  single("broadcastInDim", (x, pick) => {
    const at = pick(x.shape.length + 1);
    const n = 1 + pick(3);
    const shape = [...x.shape.slice(0, at), n, ...x.shape.slice(at)];
    const dims = range(shape.length).filter((i) => i !== at);
    return { text: `broadcastInDim($0, ${showShape(shape)}, ${showShape(dims)})`, f: (v) => l.broadcastInDim(v, shape, dims), out: { shape } };
  }),
  single(
    "squeeze",
    (x) => {
      const at = x.shape.indexOf(1);
      return at < 0 ? null : { text: `squeeze($0, [${at}])`, f: (v) => l.squeeze(v, [at]), out: { shape: without(x.shape, at) } };
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
      const starts = replaced(x.shape.map(() => 0), at, from);
      const strides = replaced(x.shape.map(() => 1), at, step);
      const shape = replaced(x.shape, at, Math.ceil((to - from) / step));
      return { text: `slice($0, axis ${at}, ${from}:${to}:${step})`, f: (v) => slice(v, starts, replaced(x.shape, at, to), strides), out: { shape } };
    },
    { rank: 1 },
  ),
  single(
    "pad",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      const [low, high, interior] = [pick(2), pick(2), pick(2)];
      const config = x.shape.map((_, i) => (i === at ? ([low, high, interior] as const) : ([0, 0, 0] as const)));
      const shape = replaced(x.shape, at, n + low + high + Math.max(0, n - 1) * interior);
      return { text: `pad($0, 0, axis ${at}: ${low},${high},${interior})`, f: (v) => pad(v, l.full([], 0, v.dtype), config), out: { shape } };
    },
    { rank: 1 },
  ),
  single(
    "tile",
    (x, pick) => {
      const at = axisOf(x, pick);
      const reps = replaced(x.shape.map(() => 1), at, 2);
      return { text: `tile($0, ${showShape(reps)})`, f: (v) => tile(v, reps), out: { shape: replaced(x.shape, at, 2 * (x.shape[at] as number)) } };
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
      return { text: `dynamicSlice($0, ${showShape(starts)}, ${showShape(shape)})`, f: (v) => dynamicSlice(v, starts, shape), out: { shape } };
    },
    { rank: 1 },
  ),
  single(
    "reduceSum",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      return { text: `reduceSum($0, [${at}])`, f: (v) => l.reduceSum(v, [at]), out: { shape: without(x.shape, at), bound: n * x.bound }, slope: n };
    },
    { rank: 1 },
  ),
  single(
    "reduceProd",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      const b = Math.max(1, x.bound);
      return { text: `reduceProd($0, [${at}])`, f: (v) => reduceProd(v, [at]), out: { shape: without(x.shape, at), bound: b ** n }, slope: n * b ** Math.max(0, n - 1) };
    },
    { rank: 1 },
  ),
  single(
    "cumsum",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = Math.max(1, x.shape[at] as number);
      const reverse = pick(2) === 1;
      return { text: `cumsum($0, ${at}${reverse ? ", reverse" : ""})`, f: (v) => cumsum(v, { axis: at, reverse }), out: { bound: n * x.bound }, slope: n };
    },
    { rank: 1 },
  ),
  single(
    "cumlogsumexp",
    (x, pick) => {
      const at = axisOf(x, pick);
      return { text: `cumlogsumexp($0, ${at})`, f: (v) => cumlogsumexp(v, { axis: at }), out: { bound: x.bound + 4 } };
    },
    { rank: 1 },
  ),
  single(
    "reduceWindowSum",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n < 2) return null;
      const windowDimensions = replaced(x.shape.map(() => 1), at, 2);
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
  // ---- with kinks or jumps ----
  single(
    "reduceMax",
    (x, pick) => {
      const at = axisOf(x, pick);
      if (x.shape[at] === 0) return null;
      return { text: `reduceMax($0, [${at}])`, f: (v) => reduceMax(v, [at]), out: { shape: without(x.shape, at) } };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "reduceMin",
    (x, pick) => {
      const at = axisOf(x, pick);
      if (x.shape[at] === 0) return null;
      return { text: `reduceMin($0, [${at}])`, f: (v) => reduceMin(v, [at]), out: { shape: without(x.shape, at) } };
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
      return { text: `topK($0, ${k})[0]`, f: (v) => topK(v, k)[0], out: { shape: [...x.shape.slice(0, -1), k] } };
    },
    { smooth: false, rank: 1 },
  ),
  single(
    "reduceWindowMax",
    (x, pick) => {
      const at = axisOf(x, pick);
      const n = x.shape[at] as number;
      if (n < 2) return null;
      const windowDimensions = replaced(x.shape.map(() => 1), at, 2);
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
      return { text: `argmax($0, ${at})`, f: (v) => argmax(v, at), out: { shape: without(x.shape, at), kind: "int32", bound: 10, lip: 0 } };
    },
    { smooth: false, rank: 1, exact: true },
  ),
  single(
    "argsort",
    (x, pick) => {
      const at = axisOf(x, pick);
      return { text: `argsort($0, ${at})`, f: (v) => argsort(v, at), out: { kind: "int32", bound: 10, lip: 0 } };
    },
    { smooth: false, rank: 1, exact: true },
  ),
];

// ---- of two arrays ----

const choose = (values: readonly Value[], pick: Pick, fits: (v: Value) => boolean): number | null => {
  const found = values.flatMap((v, i) => (fits(v) ? [i] : []));
  return found.length === 0 ? null : (found[pick(found.length)] as number);
};

const pairs: readonly Operation[] = [
  {
    name: "dotGeneral",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length >= 1);
      if (i === null) return null;
      const x = values[i] as Value;
      const at = axisOf(x, pick);
      const k = x.shape[at] as number;
      const j = choose(values, pick, (v) => v.kind === "float" && v.shape.includes(k));
      if (j === null) return null;
      const y = values[j] as Value;
      const to = y.shape.indexOf(k);
      // a second axis of equal size becomes a batch axis
      const p = x.shape.findIndex((n, d) => d !== at && y.shape.some((m, e) => e !== to && m === n));
      const q = y.shape.findIndex((m, e) => e !== to && m === x.shape[p]);
      const batch: [number[], number[]] = p >= 0 && pick(2) === 0 ? [[p], [q]] : [[], []];
      const free = (shape: Shape, axis: number, b: readonly number[]): number[] => shape.filter((_, d) => d !== axis && !b.includes(d));
      const shape = [...batch[0].map((d) => x.shape[d] as number), ...free(x.shape, at, batch[0]), ...free(y.shape, to, batch[1])];
      const carried = carry(values, [i, j], [k * y.bound, k * x.bound]);
      return within({
        text: `dotGeneral($0, $1, contract ${at}·${to}${batch[0].length > 0 ? `, batch ${p}·${q}` : ""})`,
        operands: [i, j],
        apply: ([v, w]) => dotGeneral(v as NDArray, w as NDArray, { contract: [[at], [to]], batch }),
        // k products, each addition rounded: k·ε·Σ|x·y|
        out: { shape, kind: "float", bound: k * x.bound * y.bound, lip: carried.lip, error: carried.error + k * k * x.bound * y.bound },
      });
    },
  },
  {
    name: "conv",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length === 2 && sizeOf(v.shape) > 0);
      if (i === null) return null;
      const x = values[i] as Value;
      const [rows, n] = x.shape as [number, number];
      const j = choose(values, pick, (v) => v.kind === "float" && v.shape.length === 1 && (v.shape[0] as number) >= 1 && (v.shape[0] as number) <= n);
      if (j === null) return null;
      const y = values[j] as Value;
      const k = y.shape[0] as number;
      const carried = carry(values, [i, j], [k * y.bound, k * x.bound]);
      return within({
        text: "conv of the rows of $0 with $1",
        operands: [i, j],
        apply: ([v, w]) => {
          const lhs = l.reshape(v as NDArray, [rows, 1, n]);
          const rhs = l.reshape(w as NDArray, [1, 1, k]);
          return l.reshape(conv(lhs, rhs, [1], "VALID"), [rows, n - k + 1]);
        },
        out: { shape: [rows, n - k + 1], kind: "float", bound: k * x.bound * y.bound, lip: carried.lip, error: carried.error + k * k * x.bound * y.bound },
      });
    },
  },
  {
    name: "concatenate",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length >= 1);
      if (i === null) return null;
      const x = values[i] as Value;
      const at = axisOf(x, pick);
      const j = choose(values, pick, (v) => v.kind === "float" && v.shape.length === x.shape.length && shapesEqual(without(v.shape, at), without(x.shape, at)));
      if (j === null) return null;
      const y = values[j] as Value;
      return within({
        text: `concatenate([$0, $1], ${at})`,
        operands: [i, j],
        apply: (xs) => concatenate(xs, at),
        out: {
          shape: replaced(x.shape, at, (x.shape[at] as number) + (y.shape[at] as number)),
          kind: "float",
          bound: Math.max(x.bound, y.bound),
          lip: Math.max(x.lip, y.lip),
          error: Math.max(x.error, y.error),
        },
      });
    },
  },
  {
    name: "dynamicUpdateSlice",
    smooth: true,
    build: (values, pick) => {
      const i = pickFloat(values, pick, (v) => v.shape.length >= 1);
      if (i === null) return null;
      const x = values[i] as Value;
      const j = choose(values, pick, (v) => v.kind === "float" && v.shape.length === x.shape.length && v.shape.every((n, d) => n <= (x.shape[d] as number)));
      if (j === null) return null;
      const y = values[j] as Value;
      const starts = x.shape.map((n) => pick(n + 1));
      return within({
        text: `dynamicUpdateSlice($0, $1, ${showShape(starts)})`,
        operands: [i, j],
        apply: ([v, w]) => dynamicUpdateSlice(v as NDArray, w as NDArray, starts),
        out: { ...x, bound: Math.max(x.bound, y.bound), lip: Math.max(x.lip, y.lip), error: Math.max(x.error, y.error) },
      });
    },
  },
  {
    name: "select",
    smooth: false,
    build: (values, pick) => {
      const p = choose(values, pick, (v) => v.kind === "bool");
      if (p === null) return null;
      const { shape } = values[p] as Value;
      const fits = (v: Value): boolean => v.kind === "float" && shapesEqual(v.shape, shape);
      const [i, j] = [choose(values, pick, fits), choose(values, pick, fits)];
      if (i === null || j === null) return null;
      const [x, y] = [values[i] as Value, values[j] as Value];
      return within({
        text: "select($0, $1, $2)",
        operands: [p, i, j],
        apply: ([w, v, u]) => select(w as NDArray, v as NDArray, u as NDArray),
        out: { ...x, bound: Math.max(x.bound, y.bound), lip: Math.max(x.lip, y.lip), error: Math.max(x.error, y.error) },
      });
    },
  },
  {
    name: "weighted",
    smooth: false,
    build: (values, pick) => {
      const n = choose(values, pick, (v) => v.kind !== "float");
      if (n === null) return null;
      const w = values[n] as Value;
      const i = choose(values, pick, (v) => v.kind === "float" && shapesEqual(v.shape, w.shape));
      if (i === null) return null;
      const carried = carry(values, [i], [w.bound]);
      return within({
        text: "mul($1, convert $0 to the dtype of $1)",
        operands: [n, i],
        apply: ([v, x]) => a.mul(x as NDArray, l.convert(v as NDArray, (x as NDArray).dtype as DType)),
        out: { ...(values[i] as Value), bound: (values[i] as Value).bound * w.bound, ...carried },
      });
    },
  },
];

/** Every operation; moving ones twice as often as their number. */
export const operations: readonly Operation[] = [
  ...unaries.map(unary),
  ...moves,
  ...binaries.map(binary),
  ...pairs,
  ...binaries.slice(0, 4).map(binary),
  ...pairs.slice(0, 1),
];
