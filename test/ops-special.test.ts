/** Accuracy of the special functions against exact values, and what the samples do not say about them. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import "../core/backend/reference/index.ts";
import { withBackend } from "../core/backend/registry.ts";
import { castNumber, type DType, dtypes } from "../core/dtype.ts";
import { DTypeError, RuleError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import * as special from "../core/ops/special.ts";
import { logistic, rsqrt } from "../core/ops/transcendental.ts";
import { grad, vmap } from "../index.ts";

const vector = (v: readonly number[], d: DType = "float64"): NDArray =>
  fromValues(v, Aval.of([v.length], d));
const list = (x: NDArray): number[] => Array.from(dataSync(x) as ArrayLike<number>);
const rows = JSON.parse(
  readFileSync(new URL("./golden/special_exact.json", import.meta.url), "utf8"),
) as { readonly [fn: string]: readonly (readonly number[])[] };

/** Units in the last place of float64 between x and the exact y. */
function ulps(x: number, y: number): number {
  if (x === y) return 0;
  const { eps, tiny } = dtypes.float64;
  return Math.abs(x - y) / (eps * Math.max(tiny, 2 ** Math.floor(Math.log2(Math.abs(y)))));
}

/** Functions and how many units in the last place float64 results may be off. The exact values are themselves rounded, ½. */
const functions: readonly (readonly [string, (...x: NDArray[]) => NDArray, number])[] = [
  ["logistic", (x) => logistic(x as NDArray), 2.5],
  ["rsqrt", (x) => rsqrt(x as NDArray), 2],
  ["erf", (x) => special.erf(x as NDArray), 1.5],
  ["erfc", (x) => special.erfc(x as NDArray), 4],
  ["erfInv", (x) => special.erfInv(x as NDArray), 3],
  ["lgamma", (x) => special.lgamma(x as NDArray), 4],
  ["digamma", (x) => special.digamma(x as NDArray), 4],
  // sums of some twenty powers
  ["polygamma", (m, x) => special.polygamma(m as NDArray, x as NDArray), 10],
  ["zeta", (s, q) => special.zeta(s as NDArray, q as NDArray), 10],
];

describe.each(["wasm", "reference"])("%s", (backend) => {
  it.each(functions)("%s in float64", (name, f, bound) => {
    const points = rows[name] as readonly (readonly number[])[];
    const arity = (points[0] as readonly number[]).length - 1;
    const args = Array.from({ length: arity }, (_, i) => points.map((p) => p[i] as number));
    const got = withBackend(backend, () => list(f(...args.map((a) => vector(a)))));
    const bad = points.flatMap((p, i) => {
      const e = ulps(got[i] as number, p[arity] as number);
      return e <= bound ? [] : [`${name}(${p.slice(0, arity).join()}) = ${got[i]}, ${e} ulp off`];
    });
    expect(bad).toEqual([]);
  });

  it.each(["float32", "float16", "bfloat16"] as const)(
    "%s results are the float64 ones, rounded once",
    (d) => {
      const xs = [-2.75, -0.6, -1e-3, 0.1, 0.5, 0.9, 1.2, 1.7, 2.6, 5, 9.5, 30].map((x) =>
        castNumber(x, d),
      );
      for (const [name, f] of functions.slice(0, 7)) {
        // in arithmetic of their own
        if (d === "float32" && ["logistic", "rsqrt", "erf", "erfc"].includes(name)) continue;
        const [narrow, wide] = withBackend(backend, () => [
          list(f(vector(xs, d))),
          list(f(vector(xs))),
        ]);
        // an odd tie of the float64 value is the one place where they could differ by a unit
        expect(narrow, name).toEqual((wide as number[]).map((y) => castNumber(y, d)));
      }
    },
  );
});

describe("identities", () => {
  it("erf(erfInv(x)) = x, erfInv(−x) = −erfInv(x)", () => {
    const xs = [0.01, 0.3, 0.7, 0.84, 0.86, 0.99, 0.999999];
    const y = special.erfInv(vector(xs));
    list(special.erf(y)).forEach((x, i) => {
      // dx = erf′(y)·dy ≤ 2/√π·dy: at most a few ulp of 1
      expect(Math.abs(x - (xs[i] as number))).toBeLessThan(4 * 2 ** -52);
    });
    expect(list(special.erfInv(vector(xs.map((x) => -x))))).toEqual(list(y).map((v) => -v));
  });
  it("erf + erfc = 1", () => {
    const xs = [-3, -1, -0.3, 0, 0.2, 0.5, 1, 2, 4];
    const [a, b] = [list(special.erf(vector(xs))), list(special.erfc(vector(xs)))];
    a.forEach((v, i) => {
      expect(Math.abs(v + (b[i] as number) - 1)).toBeLessThanOrEqual(2 ** -51);
    });
  });
  it("derivatives of lgamma are the polygammas", () => {
    const x = vector([0.7, 2.5, 9, -1.3]);
    const scalar = (f: (x: NDArray) => NDArray) => (v: NDArray) => f(v);
    const first = vmap(grad(scalar(special.lgamma)))(x);
    const second = vmap(grad(grad(scalar(special.lgamma))))(x);
    const third = vmap(grad(grad(grad(scalar(special.lgamma)))))(x);
    expect(list(first)).toEqual(list(special.digamma(x)));
    expect(list(second)).toEqual(list(special.polygamma(1, x)));
    expect(list(third)).toEqual(list(special.polygamma(2, x)));
  });
  it("∂ζ(s, q)/∂q = −s ζ(s + 1, q)", () => {
    const q = vector([0.5, 1, 3]);
    const slope = vmap(grad((v: NDArray) => special.zeta(2, v)))(q);
    expect(list(slope)).toEqual(list(special.zeta(3, q)).map((z) => -2 * z));
  });
});

describe("misuse", () => {
  it("integers are refused with the remedy", () => {
    expect(() => special.erf(vector([1], "int32"))).toThrow(DTypeError);
    expect(() => special.erf(vector([1], "int32"))).toThrow(
      /erf: needs a float dtype; got i32\[1\]; convert first/,
    );
  });
  it("there is no derivative in an order", () => {
    const f = (m: NDArray): NDArray => special.polygamma(m, 2);
    expect(() => vmap(grad(f))(vector([1]))).toThrow(RuleError);
    expect(() => vmap(grad(f))(vector([1]))).toThrow(/the order m/);
  });
});
