/** Samples of the elementary functions. */
import type { NDArray } from "../../core/ndarray.ts";
import * as t from "../../core/ops/transcendental.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

interface Row {
  readonly name: string;
  readonly f: (x: NDArray) => NDArray;
  /** interval on which it is smooth and tame */
  readonly range: readonly [number, number];
  /** beside ±0, ±∞ and NaN: ends of the domain, overflow */
  readonly edges: readonly number[];
  readonly python?: string;
  /** how far JAX's own float64 result is from the exact one at these arguments, in ulp, where that is more than 2 */
  readonly off?: number;
}
const rows: readonly Row[] = [
  { name: "exp", f: t.exp, range: [-3, 3], edges: [88.5, 89, -80, 1] },
  { name: "exp2", f: t.exp2, range: [-3, 3], edges: [127, 128, -100, 1], off: 44 },
  { name: "log", f: t.log, range: [0.1, 5], edges: [1, -1, 1e30, 1e-30] },
  { name: "log1p", f: t.log1p, range: [-0.8, 4], edges: [-1, -2, 1e30, 1e-20] },
  { name: "expm1", f: t.expm1, range: [-2, 2], edges: [89, -30, 1e-20, 1] },
  { name: "logistic", f: t.logistic, range: [-6, 6], edges: [20, -20, 80, -80] },
  { name: "sin", f: t.sin, range: [-6, 6], edges: [1e-20, 100, 1e5, 3] },
  { name: "cos", f: t.cos, range: [-6, 6], edges: [1e-20, 100, 1e5, 3] },
  { name: "tan", f: t.tan, range: [-1.3, 1.3], edges: [1e-20, 100, 4, -4], off: 3 },
  { name: "asin", f: t.asin, range: [-0.9, 0.9], edges: [1, -1, 1.5, 1e-20] },
  { name: "acos", f: t.acos, range: [-0.9, 0.9], edges: [1, -1, 1.5, 1e-20] },
  { name: "atan", f: t.atan, range: [-4, 4], edges: [1e10, -1e10, 1e-20, 1] },
  { name: "sinh", f: t.sinh, range: [-3, 3], edges: [88, 90, -90, 1e-20], off: 16 },
  { name: "cosh", f: t.cosh, range: [-3, 3], edges: [88, 90, -90, 1e-20], off: 16 },
  { name: "tanh", f: t.tanh, range: [-2, 2], edges: [20, -20, 1e-20, 1], off: 32 },
  { name: "asinh", f: t.asinh, range: [-4, 4], edges: [1e15, -1e15, 1e-15, 1] },
  { name: "acosh", f: t.acosh, range: [1.2, 6], edges: [1, 0.5, -2, 1e15] },
  { name: "atanh", f: t.atanh, range: [-0.9, 0.9], edges: [1, -1, 2, 1e-15] },
  { name: "sqrt", f: t.sqrt, range: [0.1, 9], edges: [4, -1, 1e30, 1e-30] },
  { name: "rsqrt", f: t.rsqrt, range: [0.1, 9], edges: [4, -1, 1e30, 1e-30] },
  { name: "cbrt", f: t.cbrt, range: [0.1, 9], edges: [-8, 27, 1e15, -1e-15], off: 4 },
];

const samplesOf = ({ name, f, range, edges, python = `lax.${name}`, off = 0 }: Row): Sample[] => {
  const double: Partial<Sample> = off > 2 ? { ulp: off + 1 } : {};
  // the derivative out·(1 − out) loses the digits that 1 − out cancels: up to six bits in this range
  const coarse: Partial<Sample> = name === "logistic" ? { ulp: 64 } : {};
  const sample = (what: string, x: Arg, more: Partial<Sample> = {}): Sample => ({
    primitive: name,
    name: what,
    args: [x],
    apply: (v) => f(v as NDArray),
    jax: `${python}(a)`,
    ...more,
  });
  const all = [0, -0, inf, -inf, nan, ...edges];
  return [
    sample("float32", arg([2, 3], "float32", { range }), coarse),
    sample("float64", arg([5], "float64", { range }), { ...double, ...coarse }),
    sample("edges, float32", arg([all.length], "float32", all), {
      noNumericGrad: "at the ends of the domain",
    }),
    sample("edges, float64", arg([all.length], "float64", all), {
      noNumericGrad: "at the ends of the domain",
      ...double,
    }),
    sample("float16", arg([4], "float16", { range }), {
      noNumericGrad: "float16 is too coarse",
      ...coarse,
    }),
    sample("bfloat16", arg([2, 2], "bfloat16", { range }), {
      noNumericGrad: "bfloat16 is too coarse",
      ...coarse,
    }),
    sample("no elements", arg([2, 0])),
    sample("a scalar", arg([], "float32", { range })),
  ];
};

const atan2 = (what: string, args: readonly [Arg, Arg], more: Partial<Sample> = {}): Sample => ({
  primitive: "atan2",
  name: what,
  args,
  apply: (y, x) => t.atan2(y as NDArray, x as NDArray),
  jax: "lax.atan2(*jnp.broadcast_arrays(a, b))",
  ...more,
});
const signs = [0, -0, inf, -inf, nan, 1, -1];
const pairs = signs.flatMap((y) => signs.map((x) => [y, x] as const));

export const samples: readonly Sample[] = [
  ...rows.flatMap(samplesOf),
  atan2("float32", [arg([2, 3]), arg([2, 3], "float32", { range: [0.5, 2] })]),
  atan2("float64, size-1 axes", [
    arg([3, 1], "float64"),
    arg([1, 2], "float64", { range: [0.5, 2] }),
  ]),
  atan2("a scalar operand", [
    arg([], "float32", [0.5]),
    arg([4], "float32", { range: [-2, -0.5] }),
  ]),
  atan2(
    "zeros, infinities, NaN",
    [
      arg(
        [pairs.length],
        "float32",
        pairs.map(([y]) => y),
      ),
      arg(
        [pairs.length],
        "float32",
        pairs.map(([, x]) => x),
      ),
    ],
    { noNumericGrad: "at the ends of the domain" },
  ),
  atan2("float16", [arg([3], "float16"), arg([3], "float16", { range: [0.5, 2] })], {
    noNumericGrad: "float16 is too coarse",
  }),
  atan2("bfloat16", [arg([3], "bfloat16"), arg([3], "bfloat16", { range: [0.5, 2] })], {
    noNumericGrad: "bfloat16 is too coarse",
  }),
  atan2("no elements", [arg([0]), arg([0])]),
];
