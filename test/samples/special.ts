/** Samples of the error function, the gamma function's logarithm and their kin. */
import type { NDArray } from "../../core/ndarray.ts";
import * as s from "../../core/ops/special.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

interface Row {
  readonly name: string;
  readonly f: (x: NDArray) => NDArray;
  /** an argument in each of the function's ranges */
  readonly values: readonly number[];
  readonly edges: readonly number[];
  /** how far JAX's own result is from the exact one at these arguments, in ulp, where that is more than 2:
   *  its series are shorter than ours, which agree with 50-digit arithmetic to 2 ulp */
  readonly off?: number;
}
const rows: readonly Row[] = [
  {
    name: "erf",
    f: s.erf,
    values: [0.1, -0.6, 0.9, -1.1, 1.6, -2.5, 3.2, 5],
    edges: [0, -0, inf, -inf, nan, 7, -7, 1e-20],
  },
  {
    name: "erfc",
    f: s.erfc,
    values: [0.1, -0.6, 0.5, 0.9, -1.1, 1.6, -2.5, 3.2, 5],
    edges: [0, -0, inf, -inf, nan, 30, -7, 1e-20],
    off: 7,
  },
  {
    name: "erf_inv",
    f: s.erfInv,
    values: [0.1, -0.3, 0.5, -0.8, 0.9, -0.95],
    edges: [0, -0, 1, -1, 1.5, -2, inf, nan, 1e-15],
    off: 5,
  },
  {
    name: "lgamma",
    f: s.lgamma,
    values: [0.1, 0.4, 0.8, 1.1, 1.5, 1.9, 2.5, 4.2, 7.7, 12.5, 100, -0.5, -1.7, -5.3],
    // JAX's float32 result at 1, where the function is 0, is 4.8e-7
    edges: [0, -0, -1, -4, 3, 2, inf, -inf, nan, 1e10, 1e-10],
    // the gradient passes near a root of digamma, where digits cancel
    off: 171,
  },
  {
    name: "digamma",
    f: s.digamma,
    values: [0.1, 0.6, 1.2, 1.7, 2.5, 6.5, 11, 50, -0.3, -1.8, -4.4],
    edges: [0, -0, -1, -4, 1, inf, nan, 1e10],
    off: 11,
  },
];
const samplesOf = ({ name, f, values, edges, off = 0 }: Row): Sample[] => {
  const apart: Partial<Sample> = off > 2 ? { ulp: off + 1 } : {};
  const sample = (what: string, x: Arg, more: Partial<Sample> = {}): Sample => ({
    primitive: name,
    name: what,
    args: [x],
    apply: (v) => f(v as NDArray),
    jax: `lax.${name}(a)`,
    ...more,
  });
  const ends = { noNumericGrad: "at the ends of the domain", ...apart };
  const some = values.slice(0, 4);
  return [
    sample("each range, float32", arg([values.length], "float32", values), apart),
    sample("each range, float64", arg([1, values.length], "float64", values), apart),
    sample("edges, float32", arg([edges.length], "float32", edges), ends),
    sample("edges, float64", arg([edges.length], "float64", edges), ends),
    sample("float16", arg([2, 2], "float16", some), { noNumericGrad: "float16 is too coarse" }),
    sample("bfloat16", arg([4], "bfloat16", some), { noNumericGrad: "bfloat16 is too coarse" }),
    sample("no elements", arg([0, 3], "float64")),
  ];
};

type Two = (x: NDArray, y: NDArray) => NDArray;
const two =
  (primitive: string, f: Two, python: string, grad: readonly number[]) =>
  (name: string, x: Arg, y: Arg, more: Partial<Sample> = {}): Sample => ({
    primitive,
    name,
    args: [x, y],
    apply: (v, w) => f(v as NDArray, w as NDArray),
    jax: `${python}(*jnp.broadcast_arrays(a, b))`,
    grad,
    ...more,
  });
// the derivative in the order is not defined
const polygamma = two("polygamma", s.polygamma, "lax.polygamma", [1]);
// JAX has no derivative of zeta at all
const zeta = two("zeta", s.zeta, "lax.zeta", []);

export const samples: readonly Sample[] = [
  ...rows.flatMap(samplesOf),
  polygamma(
    "orders 0 to 3",
    arg([4, 1], "float64", [0, 1, 2, 3]),
    arg([1, 5], "float64", [0.3, 1, 2.5, 9, 40]),
    { ulp: 12 }, // as digamma
  ),
  polygamma("float32", arg([], "float32", [1]), arg([6], "float32", [0.1, 0.7, 1.5, 4, 12, 300])),
  polygamma(
    "poles, infinity, NaN, no such order",
    arg([6], "float64", [1, 1, 1, 1, -1, 1.5]),
    arg([6], "float64", [0, -1, inf, nan, 2, 2]),
    { noNumericGrad: "at the ends of the domain", ulp: 12 },
  ),
  polygamma("no elements", arg([0]), arg([0])),
  zeta("float64", arg([3, 1], "float64", [1.5, 2, 6]), arg([1, 4], "float64", [0.5, 1, 3.25, 20]), {
    ulp: 4,
  }),
  zeta("float32", arg([4], "float32", [1.25, 2, 3, 10]), arg([4], "float32", [0.5, 1, 7, 2])),
  zeta(
    "poles and outside",
    arg([6], "float64", [1, 0.5, 2, 3, 2, nan]),
    arg([6], "float64", [2, 2, 0, 0, -1, 1]),
  ),
  zeta("no elements", arg([2, 0]), arg([2, 0])),
];
