/** Elementwise operations of random programs. */
import type { NDArray } from "../../core/ndarray.ts";
import * as a from "../../core/ops/arithmetic.ts";
import * as c from "../../core/ops/compare.ts";
import { clamp } from "../../core/ops/select.ts";
import * as s from "../../core/ops/special.ts";
import * as t from "../../core/ops/transcendental.ts";
import type { Shape } from "../../core/shape.ts";
import { jit } from "../../transforms/jit.ts";
import { carry, limits, type Operation, type Pick, pickFloat, type Value, within } from "./step.ts";

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
  {
    name: "acosh∘(1+·²)+1",
    f: (x) => t.acosh(a.add(lifted(x), 1)),
    bound: (b) => Math.acosh(2 + b * b),
    slope: one,
  },
  { name: "erfInv∘(sin/2)", f: (x) => s.erfInv(a.mul(t.sin(x), 0.5)), bound: one, slope: one },
  { name: "log∘(1+·²)", f: (x) => t.log(lifted(x)), bound: (b) => Math.log(1 + b * b), slope: one },
  {
    name: "log1p∘·²",
    f: (x) => t.log1p(a.square(x)),
    bound: (b) => Math.log(1 + b * b),
    slope: one,
  },
  { name: "sqrt∘(1+·²)", f: (x) => t.sqrt(lifted(x)), bound: (b) => 1 + b, slope: one },
  { name: "rsqrt∘(1+·²)", f: (x) => t.rsqrt(lifted(x)), bound: one, slope: one },
  { name: "cbrt∘(1+·²)", f: (x) => t.cbrt(lifted(x)), bound: (b) => 1 + b, slope: one },
  { name: "pow(1+·², 0.3)", f: (x) => a.pow(lifted(x), 0.3), bound: (b) => 1 + b, slope: one },
  {
    name: "lgamma∘(1+·²)",
    f: (x) => s.lgamma(lifted(x)),
    bound: (b) => 1 + b ** 3,
    slope: (b) => 1 + 2 * b * Math.log(1 + b * b),
  },
  { name: "digamma∘(1+·²)", f: (x) => s.digamma(lifted(x)), bound: (b) => 1 + b, slope: () => 2 },
  { name: "1/(1+·²)", f: (x) => a.reciprocal(lifted(x)), bound: one, slope: one },
  { name: "·0.5", f: (x) => a.mul(x, 0.5), bound: (b) => b / 2, slope: () => 0.5 },
  { name: "3−·", f: (x) => a.sub(3, x), bound: (b) => b + 3, slope: one },
  // what simplification looks for: only some of these are the identity, and −0 tells which
  { name: "·+0", f: (x) => a.add(x, 0), bound: same, slope: one },
  { name: "0·1", f: (x) => a.mul(a.mul(x, 0), 1), bound: () => 0, slope: () => 0 },
  { name: "−(−·)", f: (x) => a.neg(a.neg(x)), bound: same, slope: one },
  {
    name: "jit(x·sin x)",
    f: (x) => jit((y: NDArray) => a.mul(y, t.sin(y)), { name: "xsinx" })(x),
    bound: same,
    slope: (b) => 1 + b,
  },
  { name: "abs", f: a.abs, bound: same, slope: one, smooth: false },
  { name: "relu", f: (x) => a.max(x, 0), bound: same, slope: one, smooth: false },
  { name: "clamp(−1, ·, 1)", f: (x) => clamp(-1, x, 1), bound: one, slope: one, smooth: false },
  { name: "floor", f: a.floor, bound: (b) => b + 1, slope: () => 0, smooth: false, exact: true },
  { name: "ceil", f: a.ceil, bound: (b) => b + 1, slope: () => 0, smooth: false, exact: true },
  { name: "sign", f: a.sign, bound: one, slope: () => 0, smooth: false, exact: true },
  {
    name: "·rem 1.5",
    f: (x) => a.rem(x, 1.5),
    bound: () => 1.5,
    slope: one,
    smooth: false,
    exact: true,
  },
];

const unary = ({ name, f, bound, slope, smooth = true, exact = false }: Unary): Operation => ({
  name,
  smooth,
  build: (values, pick) => {
    const at = pickFloat(
      values,
      pick,
      (v) => bound(v.bound) <= limits.bound && (!exact || v.error === 0),
    );
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
  const found = values.flatMap((v, j) =>
    v.kind === "float" && joined(x.shape, v.shape) !== null ? [j] : [],
  );
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
  {
    name: "atan2(x, 1+y²)",
    f: (x, y) => t.atan2(x, lifted(y)),
    bound: () => 1.6,
    slopes: () => [1, 1],
  },
  {
    name: "pow(1+x², tanh y)",
    f: (x, y) => a.pow(lifted(x), t.tanh(y)),
    bound: (b) => 1 + b * b,
    slopes: (b) => [2 + 2 * b, (1 + b * b) * Math.log(1 + b * b)],
  },
  { name: "max", f: a.max, bound: Math.max, slopes: () => [1, 1], smooth: false },
  { name: "min", f: a.min, bound: Math.max, slopes: () => [1, 1], smooth: false },
  {
    name: "lt",
    f: c.lt,
    bound: one,
    slopes: () => [0, 0],
    smooth: false,
    kind: "bool",
    exact: true,
  },
  {
    name: "ge",
    f: c.ge,
    bound: one,
    slopes: () => [0, 0],
    smooth: false,
    kind: "bool",
    exact: true,
  },
];
const binary = ({
  name,
  f,
  bound,
  slopes,
  smooth = true,
  kind,
  exact = false,
}: Binary): Operation => ({
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
      out: {
        shape,
        kind: kind ?? "float",
        bound: bound(x.bound, y.bound),
        ...carry(values, [i, j], slopes(x.bound, y.bound)),
      },
    });
  },
});

/** Elementwise operations on one array, and on two. */
export const elementwise: readonly Operation[] = [...unaries.map(unary), ...binaries.map(binary)];
/** add, sub, mul and a division, which programs should have most of */
export const basic: readonly Operation[] = binaries.slice(0, 4).map(binary);
