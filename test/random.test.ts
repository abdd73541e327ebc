/** Randomness: Random123's known answers, JAX's numbers, errors, and the shapes of the distributions. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import { type DType, dtypes } from "../core/dtype.ts";
import { DTypeError, ShapeError } from "../core/errors.ts";
import "../core/eval.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import { threefry2x32 } from "../core/ops/random.ts";
import * as random from "../core/random/index.ts";
import { grad, jit, vmap } from "../index.ts";

const list = (x: NDArray): number[] => Array.from(dataSync(x) as ArrayLike<number>);
const x234 = (): NDArray =>
  fromValues(
    Array.from({ length: 24 }, (_, i) => i),
    Aval.of([2, 3, 4], "float32"),
  );
const logits = (): NDArray =>
  fromValues([0, 1, 2, -1, 3, 0, 0, 0, -9, 0, 1, 0.5], Aval.of([3, 4], "float32"));
const vector = (v: readonly number[], d: DType): NDArray => fromValues(v, Aval.of([v.length], d));

describe("threefry2x32", () => {
  // kat_vectors of Random123 1.14, "threefry2x32 20": counter, key, result
  it.each([
    ["00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"],
    ["ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"],
    ["243f6a88 85a308d3", "13198a2e 03707344", "c4923a9c 483df7a0"],
  ])("counter %s, key %s", (counter, key, result) => {
    const read = (s: string) =>
      s.split(" ").map((h) => new Literal(Number.parseInt(h, 16), "uint32"));
    const [k0, k1] = read(key) as [Literal, Literal];
    const [c0, c1] = read(counter) as [Literal, Literal];
    const words = threefry2x32(k0, k1, c0, c1).map((w) => (list(w)[0] as number).toString(16));
    expect(words.map((h) => h.padStart(8, "0")).join(" ")).toBe(result);
  });
});

// ---- JAX's numbers ----

interface Case {
  readonly fn: string;
  // each row of the table below knows its own
  readonly args: readonly unknown[];
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}
const { cases } = JSON.parse(
  readFileSync(new URL("./golden/random.json", import.meta.url), "utf8"),
) as { cases: readonly Case[] };

type FloatCall = readonly [number, number[], DType];
// biome-ignore lint/suspicious/noExplicitAny: the types of the arguments are known by the call's name only
const calls: { [fn: string]: (args: readonly any[]) => NDArray } = {
  key: ([seed]) => random.key(seed as number),
  split: ([seed, num]) => random.split(random.key(seed as number), num),
  foldIn: ([seed, data]) => random.foldIn(random.key(seed as number), data as number),
  bits: ([seed, shape]) => random.bits(random.key(seed as number), shape),
  "bits uint8": ([seed, shape]) =>
    random.bits(random.key(seed as number), shape, { dtype: "uint8" }),
  uniform: (a) => {
    const [seed, shape, dtype] = a as unknown as FloatCall;
    return random.uniform(random.key(seed), shape, { dtype });
  },
  "uniform -3 5": (a) => {
    const [seed, shape, dtype] = a as unknown as FloatCall;
    return random.uniform(random.key(seed), shape, { dtype, minval: -3, maxval: 5 });
  },
  truncatedNormal: (a) => {
    const [seed, shape, dtype] = a as unknown as FloatCall;
    return random.truncatedNormal(random.key(seed), -1, 2, shape, { dtype });
  },
  bernoulli: ([seed, p, shape]) => random.bernoulli(random.key(seed as number), p, shape),
  rademacher: ([seed, shape]) => random.rademacher(random.key(seed as number), shape),
  randint: ([seed, shape, low, high, dtype]) => {
    const bound = (b: number | number[]) => (Array.isArray(b) ? vector(b, "int32") : b);
    return random.randint(random.key(seed as number), shape, bound(low), bound(high), { dtype });
  },
  permutation: ([seed, n]) => random.permutation(random.key(seed as number), n as number),
  "permutation of x": ([seed, axis, independent]) =>
    random.permutation(random.key(seed as number), x234(), { axis, independent }),
  choice: ([seed, n, shape]) => random.choice(random.key(seed as number), n as number, shape),
  "choice no replacement": ([seed, n, shape]) =>
    random.choice(random.key(seed as number), n as number, shape, { replace: false }),
  "choice p": ([seed, p, shape]) => random.choice(random.key(seed as number), 5, shape, { p }),
  "choice p no replacement": ([seed, p, shape]) =>
    random.choice(random.key(seed as number), 5, shape, { p, replace: false }),
  "choice of x": ([seed, axis, shape]) =>
    random.choice(random.key(seed as number), x234(), shape, { axis }),
  "choice of x no replacement": ([seed, axis, shape]) =>
    random.choice(random.key(seed as number), x234(), shape, { axis, replace: false }),
  categorical: ([seed, axis, shape, replace]) =>
    random.categorical(random.key(seed as number), logits(), { axis, shape, replace }),
};
const { normal, exponential, gumbel, laplace, logistic } = random;
for (const [fn, draw] of Object.entries({ normal, exponential, gumbel, laplace, logistic }))
  calls[fn] = (a) => {
    const [seed, shape, dtype] = a as unknown as FloatCall;
    return draw(random.key(seed), shape, { dtype });
  };

/** How far a draw may be from the exact function of the same uniform draw, in units of ε·max(1, |value|): float32 and narrower
 *  with every step rounded to half a unit, float64 with elementary functions good to one unit and erfInv to two. A half unit
 *  of a factor may be a whole one of the product. */
const bounds: { readonly [fn: string]: readonly [narrow: number, float64: number] } = {
  // √2, erf⁻¹ and their product
  normal: [3, 6],
  // three roundings of u, each of at most ε, times the slope √(π/2)·e^(y²/2) ≤ 9.3 on (−1, 2); then as normal
  truncatedNormal: [31, 34],
  exponential: [1, 2],
  // the inner logarithm's relative error is an absolute one of the outer
  gumbel: [1.5, 3],
  laplace: [1, 2],
  // two logarithms and their difference; where they cancel both are below 1
  logistic: [2, 4],
};

describe("JAX's numbers", () => {
  it.each(cases.map((c) => [`${c.fn} ${JSON.stringify(c.args)}`, c] as const))("%s", (_name, c) => {
    const call = calls[c.fn] as (args: readonly unknown[]) => NDArray;
    const got = call(c.args);
    expect(got.shape).toEqual(c.shape);
    expect(got.dtype).toBe(c.dtype);
    const bound = bounds[c.fn];
    if (bound === undefined) expect(list(got)).toEqual(c.values);
    else {
      const unit = dtypes[c.dtype].eps;
      const errors = list(got).map((x, i) => {
        const exact = c.values[i] as number;
        return Math.abs(x - exact) / (unit * Math.max(1, Math.abs(exact)));
      });
      expect(Math.max(...errors)).toBeLessThanOrEqual(bound[c.dtype === "float64" ? 1 : 0]);
    }
  });
});

// ---- keys and errors ----

describe("keys", () => {
  it("an integer array of seeds gives one key for each", () => {
    const keys = random.key(vector([0, 42, -1], "int32"));
    expect(keys.shape).toEqual([3, 2]);
    expect(list(keys)).toEqual([0, 0, 0, 42, 0, 2 ** 32 - 1]);
  });
  it("keys that were split or folded differ from each other and from their parent", () => {
    const k = random.key(3);
    const rows = list(random.split(k, 100));
    const seen = new Set(
      Array.from({ length: 100 }, (_, i) => `${rows[2 * i]},${rows[2 * i + 1]}`),
    );
    for (let i = 0; i < 100; i++) seen.add(String(list(random.foldIn(k, 1000 + i))));
    seen.add(String(list(k)));
    expect(seen.size).toBe(201);
  });
  it("a draw does not depend on what is drawn beside it", () => {
    // the element at a position is the cipher of the position alone
    expect(list(random.bits(random.key(1), [4]))).toEqual(
      list(random.bits(random.key(1), [9])).slice(0, 4),
    );
  });
  it("0, 1, … in other shapes are the same numbers", () => {
    expect(list(random.bits(random.key(1), [2, 3]))).toEqual(list(random.bits(random.key(1), [6])));
  });
});

describe("misuse", () => {
  const k = () => random.key(0);
  const any = (x: unknown) => x as never;
  it.each<readonly [string, new (m: string) => Error, () => unknown, RegExp]>([
    ["a fractional seed", DTypeError, () => random.key(1.5), /whole number.*got 1\.5/],
    [
      "a float array as seed",
      DTypeError,
      () => random.key(vector([1], "float32")),
      /must be an integer/,
    ],
    [
      "a seed as key",
      DTypeError,
      () => random.normal(any(0), [2]),
      /must be a key; got the number 0/,
    ],
    [
      "a float key",
      DTypeError,
      () => random.normal(vector([0, 0], "float32"), [2]),
      /uint32 array/,
    ],
    ["a batch of keys", ShapeError, () => random.normal(random.split(k()), [2]), /one key.*vmap/],
    ["a negative fold", DTypeError, () => random.foldIn(k(), -1), /between 0 and/],
    ["a float fold", DTypeError, () => random.foldIn(k(), vector([1], "float32")), /integer/],
    ["a bad shape", ShapeError, () => random.uniform(k(), [2, -1]), /non-negative/],
    [
      "an integer uniform",
      DTypeError,
      () => random.uniform(k(), [2], { dtype: "int32" }),
      /must be a float/,
    ],
    [
      "bounds wider than the draw",
      ShapeError,
      () => random.uniform(k(), [2], { minval: [0, 0, 0] }),
      /broadcast/,
    ],
    [
      "ragged bounds",
      ShapeError,
      () => random.uniform(k(), [2, 2], { minval: [[0, 1], [2]] }),
      /full block; got \[2\] at values\[0\] and \[1\] at values\[1\]/,
    ],
    [
      "int32 bits",
      DTypeError,
      () => random.bits(k(), [2], { dtype: any("int32") }),
      /uint32 or uint8/,
    ],
    ["float bounds", DTypeError, () => random.randint(k(), [2], 0, 1.5), /whole numbers/],
    ["unsigned signs", DTypeError, () => random.rademacher(k(), [2], { dtype: "uint8" }), /signed/],
    [
      "more draws than entries",
      ShapeError,
      () => random.choice(k(), 3, [4], { replace: false }),
      /4 draws from 3/,
    ],
    ["no entries", ShapeError, () => random.choice(k(), 0, [1]), /entry/],
    [
      "weights of another length",
      ShapeError,
      () => random.choice(k(), 3, [1], { p: [0.5, 0.5] }),
      /each of the 3/,
    ],
    ["a missing axis", ShapeError, () => random.permutation(k(), x234(), { axis: 3 }), /axis/],
    [
      "draws of another batch",
      ShapeError,
      () => random.categorical(k(), logits(), { shape: [4] }),
      /must end with/,
    ],
  ])("%s", (_name, kind, misuse, message) => {
    expect(misuse).toThrow(kind);
    expect(misuse).toThrow(message);
  });
});

// ---- under the transforms ----

describe("traced", () => {
  const draws: readonly (readonly [string, (k: NDArray) => NDArray])[] = [
    ["split", (k) => random.split(k, 3)],
    ["foldIn", (k) => random.foldIn(k, 9)],
    ["bits", (k) => random.bits(k, [2, 3], { dtype: "uint8" })],
    ["uniform", (k) => random.uniform(k, [5], { minval: -1, maxval: [1, 2, 3, 4, 5] })],
    ["normal", (k) => random.normal(k, [2, 2], { dtype: "float64" })],
    ["truncatedNormal", (k) => random.truncatedNormal(k, -1, [[1], [2]], [2, 3])],
    ["randint", (k) => random.randint(k, [2, 3], 0, [5, 50, 500])],
    ["permutation", (k) => random.permutation(k, 11)],
    ["permutation of x", (k) => random.permutation(k, x234(), { axis: 1 })],
    ["choice", (k) => random.choice(k, x234(), [2, 2], { axis: 1, p: [0.2, 0.3, 0.5] })],
    ["choice without replacement", (k) => random.choice(k, 9, [4], { replace: false })],
    ["categorical", (k) => random.categorical(k, logits(), { axis: 0, shape: [2, 4] })],
  ];
  it.each(draws)("%s: jit is eager, and vmap over keys is a loop over keys", (_name, draw) => {
    const keys = random.split(random.key(17), 3);
    const rows = list(keys);
    const each = [0, 1, 2].map((i) => list(draw(vector(rows.slice(2 * i, 2 * i + 2), "uint32"))));
    expect(list(jit(draw)(vector(rows.slice(0, 2), "uint32")))).toEqual(each[0]);
    expect(list(vmap(draw)(keys))).toEqual(each.flat());
    expect(list(jit(vmap(draw))(keys))).toEqual(each.flat());
  });
  it("seeds and folded numbers may be traced", () => {
    const seeds = vector([3, 4], "uint32");
    expect(list(vmap((s: NDArray) => random.key(s))(seeds))).toEqual([0, 3, 0, 4]);
    const folded = vmap((s: NDArray) => random.foldIn(random.key(0), s))(seeds);
    expect(list(folded)).toEqual([3, 4].flatMap((i) => list(random.foldIn(random.key(0), i))));
  });
  it("a draw is differentiable in its bounds: uniform in minval has slope 1 − u, in maxval u", () => {
    const k = random.key(2);
    const draw = (a: NDArray, b: NDArray) => random.uniform(k, [], { minval: a, maxval: b });
    const at = [new Literal(1, "float32"), new Literal(3, "float32")] as const;
    const u = list(random.uniform(k))[0] as number;
    const [da, db] = grad(draw, { argnums: [0, 1] })(...at) as unknown as readonly [
      NDArray,
      NDArray,
    ];
    expect(list(da)[0]).toBeCloseTo(1 - u, 6);
    expect(list(db)[0]).toBeCloseTo(u, 6);
  });
  it("the derivative of a truncated normal in its bounds is that of its inverse distribution function", () => {
    const k = random.key(2);
    const f = (a: NDArray) => random.truncatedNormal(k, a, 2, [], { dtype: "float64" });
    const at = (a: number) => list(f(new Literal(a, "float64")))[0] as number;
    const slope = list(grad(f)(new Literal(-1, "float64")))[0] as number;
    // central difference: error h²f‴/6 ≈ 1e-9, rounding 1e-16/h
    const h = 1e-5;
    expect(slope).toBeCloseTo((at(-1 + h) - at(-1 - h)) / (2 * h), 8);
  });
});

// ---- distributions ----

/** sup |F̂ − F|·√n of a sample: by Kolmogorov above 1.95 once in a thousand samples; the keys here are fixed. */
function kolmogorov(sample: readonly number[], cdf: (x: number) => number): number {
  const x = [...sample].sort((p, q) => p - q);
  const n = x.length;
  return (
    Math.sqrt(n) *
    Math.max(...x.map((v, i) => Math.max(Math.abs(cdf(v) - i / n), Math.abs(cdf(v) - (i + 1) / n))))
  );
}
/** Φ by its Taylor series about 0, exact to 1e-12 for |x| < 6. */
function normalCdf(x: number): number {
  let term = x / Math.sqrt(2 * Math.PI);
  let total = term;
  for (let k = 1; k < 120; k++) {
    term *= (-x * x) / (2 * k);
    total += term / (2 * k + 1);
  }
  return 0.5 + total;
}
const [lowest, highest] = [normalCdf(-1), normalCdf(2)];

describe("distributions", () => {
  const n = 4000;
  it.each<readonly [string, (k: NDArray) => NDArray, (x: number) => number]>([
    ["uniform", (k) => random.uniform(k, [n]), (x) => x],
    ["uniform float64", (k) => random.uniform(k, [n], { dtype: "float64" }), (x) => x],
    ["normal", (k) => random.normal(k, [n]), normalCdf],
    [
      "truncatedNormal",
      (k) => random.truncatedNormal(k, -1, 2, [n]),
      (x) => (normalCdf(x) - lowest) / (highest - lowest),
    ],
    ["exponential", (k) => random.exponential(k, [n]), (x) => 1 - Math.exp(-x)],
    ["gumbel", (k) => random.gumbel(k, [n]), (x) => Math.exp(-Math.exp(-x))],
    [
      "laplace",
      (k) => random.laplace(k, [n]),
      (x) => (x < 0 ? Math.exp(x) / 2 : 1 - Math.exp(-x) / 2),
    ],
    ["logistic", (k) => random.logistic(k, [n]), (x) => 1 / (1 + Math.exp(-x))],
  ])("%s follows its distribution function", (_name, draw, cdf) => {
    for (const seed of [1, 2, 3])
      expect(kolmogorov(list(draw(random.key(seed))), cdf)).toBeLessThan(1.95);
  });

  /** Σ (observed − expected)²/expected below its mean plus five standard deviations */
  const even = (draws: readonly number[], weights: readonly number[]): void => {
    const counts = weights.map((_, i) => draws.filter((d) => d === i).length);
    expect(counts.reduce((a, b) => a + b)).toBe(draws.length);
    let chi = 0;
    weights.forEach((w, i) => {
      const expected = w * draws.length;
      if (w === 0) expect(counts[i]).toBe(0);
      else chi += ((counts[i] as number) - expected) ** 2 / expected;
    });
    const freedom = weights.filter((w) => w > 0).length - 1;
    expect(chi).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
  };
  it("randint, choice and categorical have the right frequencies", () => {
    even(list(random.randint(random.key(5), [n], 0, 7)), new Array<number>(7).fill(1 / 7));
    const p = [0.1, 0, 0.2, 0.7];
    even(list(random.choice(random.key(6), 4, [n], { p })), p);
    even(list(random.categorical(random.key(7), p.map(Math.log), { shape: [n] })), p);
    even(list(random.bernoulli(random.key(8), 0.3, [n])), [0.7, 0.3]);
  });
  it("a permutation holds every entry once, and every entry visits every place", () => {
    const places = Array.from({ length: 300 }, (_, seed) =>
      list(random.permutation(random.key(seed), 6)),
    );
    for (const order of places) expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    for (let i = 0; i < 6; i++)
      even(
        places.map((o) => o[i] as number),
        new Array<number>(6).fill(1 / 6),
      );
  });
  it("truncatedNormal stays strictly inside narrow bounds, far out too", () => {
    for (const [low, high] of [
      [0.5, 0.5000001],
      [4, 5],
      [-6, -5.5],
    ] as const) {
      const [a, b] = [Math.fround(low), Math.fround(high)];
      for (const x of list(random.truncatedNormal(random.key(0), a, b, [200]))) {
        expect(x).toBeGreaterThan(a);
        expect(x).toBeLessThan(b);
      }
    }
  });
});
