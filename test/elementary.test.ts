/** The elementary functions that are written out: values at edges, lanes against scalars, and what is computed in lanes. How far
 *  they are from the exact values, accuracy.test.ts says. */
import { describe, expect, it } from "vitest";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import { jit, lax, type NDArray, np } from "../index.ts";
import { type BinaryOp, binary, type Expr, type UnaryOp, unary } from "../core/kernel/expr.ts";
import { elementwise, runKernel } from "./conformance/programs.ts";
import { filled, Random, randomElement } from "./conformance/values.ts";

const inf = Number.POSITIVE_INFINITY;
const nan = Number.NaN;
const reals = ["float32", "float64"] as const;
type Real = (typeof reals)[number];
const rounded = (x: number, d: Real): number => (d === "float32" ? Math.fround(x) : x);

const functions: { readonly [name: string]: (x: NDArray) => NDArray } = {
  exp: np.exp,
  exp2: np.exp2,
  expm1: np.expm1,
  log: np.log,
  log1p: np.log1p,
  sin: np.sin,
  cos: np.cos,
  tan: np.tan,
  asin: np.arcsin,
  acos: np.arccos,
  atan: np.arctan,
  sinh: np.sinh,
  cosh: np.cosh,
  tanh: np.tanh,
  asinh: np.arcsinh,
  acosh: np.arccosh,
  atanh: np.arctanh,
  cbrt: np.cbrt,
  logistic: lax.logistic,
  rsqrt: lax.rsqrt,
  erf: lax.erf,
  erfc: lax.erfc,
  erfInv: lax.erfInv,
  digamma: lax.digamma,
};
const apply = (name: string, xs: readonly number[], d: Real): number[] => [
  ...jit(functions[name] as (x: NDArray) => NDArray)(np.array([...xs], { dtype: d })).dataSync(),
];

describe.each(reals)("edges of %s", (d) => {
  const half = rounded(Math.PI / 2, d);
  const tiny = d === "float32" ? 2 ** -149 : 2 ** -1074;
  const large = d === "float32" ? 1e38 : 1e308;
  it.each<[string, readonly number[], readonly number[]]>([
    ["exp", [0, -0, tiny, inf, -inf, nan, large, -large], [1, 1, 1, inf, 0, nan, inf, 0]],
    ["exp2", [0, -0, 10, -3, inf, -inf, nan], [1, 1, 1024, 0.125, inf, 0, nan]],
    ["expm1", [0, -0, tiny, -tiny, inf, -inf, nan, -large], [0, -0, tiny, -tiny, inf, -1, nan, -1]],
    ["log", [1, 0, -0, inf, -1, -inf, nan], [0, -inf, -inf, inf, nan, nan, nan]],
    [
      "log1p",
      [0, -0, tiny, -tiny, -1, inf, -2, -inf, nan],
      [0, -0, tiny, -tiny, -inf, inf, nan, nan, nan],
    ],
    ["sin", [0, -0, tiny, inf, -inf, nan], [0, -0, tiny, nan, nan, nan]],
    ["cos", [0, -0, tiny, inf, nan], [1, 1, 1, nan, nan]],
    ["tan", [0, -0, tiny, inf, nan], [0, -0, tiny, nan, nan]],
    ["asin", [0, -0, 1, -1, 1.5, -inf, nan], [0, -0, half, -half, nan, nan, nan]],
    ["acos", [1, -1, 0, 1.5, inf, nan], [0, rounded(Math.PI, d), half, nan, nan, nan]],
    ["atan", [0, -0, tiny, inf, -inf, nan], [0, -0, tiny, half, -half, nan]],
    ["sinh", [0, -0, tiny, inf, -inf, nan, large], [0, -0, tiny, inf, -inf, nan, inf]],
    ["cosh", [0, -0, inf, -inf, nan, -large], [1, 1, inf, inf, nan, inf]],
    ["tanh", [0, -0, tiny, inf, -inf, nan, 30], [0, -0, tiny, 1, -1, nan, 1]],
    ["asinh", [0, -0, tiny, inf, -inf, nan], [0, -0, tiny, inf, -inf, nan]],
    ["acosh", [1, inf, 0.5, -1, -2, -large, nan], [0, inf, nan, nan, nan, nan, nan]],
    ["atanh", [0, -0, tiny, 1, -1, 2, -inf, nan], [0, -0, tiny, inf, -inf, nan, nan, nan]],
    ["cbrt", [0, -0, 8, -27, inf, -inf, nan], [0, -0, 2, -3, inf, -inf, nan]],
    ["logistic", [0, inf, -inf, nan], [0.5, 1, 0, nan]],
    ["rsqrt", [4, 0, -0, inf, -1, nan], [0.5, inf, -inf, 0, nan, nan]],
    ["erf", [0, -0, inf, -inf, nan, 7], [0, -0, 1, -1, nan, 1]],
    ["erfc", [0, -0, inf, -inf, nan, -7], [1, 1, 0, 2, nan, 2]],
    ["erfInv", [0, -0, 1, -1, 1.5, nan], [0, -0, inf, -inf, nan, nan]],
    ["digamma", [inf, 0, -3, nan], [inf, nan, nan, nan]],
  ])("%s", (name, xs, ys) => expect(apply(name, xs, d)).toEqual(ys));

  it("where exponentials overflow and underflow", () => {
    const [top, bottom] =
      d === "float32"
        ? [Math.fround(88.72283), Math.fround(-103.9720764)]
        : [709.782712893384, -745.1332191019411];
    const step = d === "float32" ? 1e-5 : 2e-13;
    const [a, b, c, e] = apply("exp", [top, top + step, bottom, bottom - step], d);
    expect([Number.isFinite(a), b, c, e]).toEqual([true, inf, tiny, 0]);
    expect(apply("expm1", [top, top + step], d).map(Number.isFinite)).toEqual([true, false]);
    // ½ eˣ
    const beyond = rounded(top + 0.69, d);
    for (const name of ["sinh", "cosh"])
      expect(apply(name, [beyond, beyond + 0.01], d).map(Number.isFinite)).toEqual([true, false]);
  });

  it("powers as IEEE 754 has them", () => {
    const rows: readonly (readonly [number, number, number])[] = [
      ...[0, -0, 1, -1, inf, -inf, nan, 0.5].map((x) => [x, 0, 1] as const),
      ...[inf, -inf, nan, 3, -0.5].map((y) => [1, y, 1] as const),
      ...[inf, -inf].map((y) => [-1, y, 1] as const),
      ...([
        [0, 3, 0],
        [-0, 3, -0],
        [-0, 2, 0],
        [-0, 0.5, 0],
        [0, -3, inf],
        [-0, -3, -inf],
      ] as const),
      ...([
        [-0, -2, inf],
        [0, inf, 0],
        [0, -inf, inf],
        [0, nan, nan],
        [nan, 2, nan],
      ] as const),
      ...([
        [0.5, inf, 0],
        [0.5, -inf, inf],
        [-2, inf, inf],
        [-2, -inf, 0],
        [2, nan, nan],
      ] as const),
      ...([
        [inf, 2, inf],
        [inf, -0.5, 0],
        [-inf, 3, -inf],
        [-inf, 2, inf],
        [-inf, 0.5, inf],
      ] as const),
      ...([
        [-inf, -3, -0],
        [-inf, -2, 0],
        [inf, inf, inf],
        [inf, -inf, 0],
      ] as const),
      ...([
        [-8, 1 / 3, nan],
        [-2, 3, -8],
        [-2, -2, 0.25],
        [3, 5, 243],
        [4, 0.5, 2],
      ] as const),
      ...([
        [10, 10, 1e10],
        [2, -3, 0.125],
        [large, 3, inf],
        [-large, 3, -inf],
      ] as const),
      ...([
        [large, -30, 0],
        [-large, -31, -0],
        [tiny, 1, tiny],
        [tiny, 0.5, rounded(tiny ** 0.5, d)],
      ] as const),
    ];
    const [x, y, z] = [0, 1, 2].map((k) => rows.map((row) => row[k] as number));
    const array = (v: readonly number[] | undefined): NDArray =>
      np.array([...(v ?? [])], { dtype: d });
    expect([...jit(np.power)(array(x), array(y)).dataSync()]).toEqual(z);
  });

  it("angles of all quadrants, zeros and infinities", () => {
    const values = [0, -0, 1, -1, tiny, -tiny, large, -large, inf, -inf];
    const pairs = values.flatMap((y) => values.map((x) => [y, x] as const));
    const array = (k: 0 | 1): NDArray =>
      np.array(
        pairs.map((p) => p[k]),
        { dtype: d },
      );
    const got = [...jit(np.arctan2)(array(0), array(1)).dataSync()];
    pairs.forEach(([y, x], i) => {
      const want = rounded(Math.atan2(rounded(y, d), rounded(x, d)), d);
      const near =
        Math.abs((got[i] as number) - want) <= Math.abs(want) * 2 ** (d === "float32" ? -24 : -52);
      expect(
        near && Object.is(Math.sign(got[i] as number), Math.sign(want)),
        `atan2(${y}, ${x}) = ${got[i]}`,
      ).toBe(true);
    });
  });
});

// ---- lanes ----

const unaryOps: readonly UnaryOp[] = [
  ...([
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
  ] as const),
  ...(["sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt"] as const),
];
const binaryOps: readonly BinaryOp[] = ["pow", "atan2"];

describe.each(["float16", "bfloat16", ...reals] as const)("lanes of %s", (d) => {
  const n = 203;
  const random = new Random(11);
  const [xs, ys] = [1, 2].map(() => filled(n, () => randomElement(d, random))) as [
    number[],
    number[],
  ];
  /** five numbers at a time are no vector */
  const apart = (list: readonly number[]): number[][] =>
    Array.from({ length: Math.ceil(n / 5) }, (_, i) => list.slice(5 * i, 5 * i + 5));
  const run = (f: (...x: Expr[]) => Expr, ...lists: readonly (readonly number[])[]): number[] =>
    runKernel(
      wasmBackend,
      elementwise(
        "f",
        lists.map(() => d),
        d,
        lists[0]?.length ?? 0,
        (...x) => f(...(x as Expr[])),
      ),
      lists,
    )[0] as number[];

  it.each(unaryOps)("%s is what the scalar is", (op) => {
    const f = (x: Expr): Expr => unary(op, x);
    expect(apart(xs).flatMap((part) => run(f, part))).toEqual(run(f, xs));
  });
  it.each(binaryOps)("%s is what the scalar is", (op) => {
    const f = (x: Expr, y: Expr): Expr => binary(op, x, y);
    const scalars = apart(xs).flatMap((part, i) => run(f, part, apart(ys)[i] as number[]));
    expect(scalars).toEqual(run(f, xs, ys));
  });
});
