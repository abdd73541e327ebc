/** Simplification: what it removes, and that results stay the same to the last bit, for −0, NaN and ±∞ too. */
import { describe, expect, it } from "vitest";
import type { NDArray } from "../core/ndarray.ts";
import * as a from "../core/ops/arithmetic.ts";
import * as l from "../core/ops/linear.ts";
import { evalJaxpr } from "../core/trace.ts";
import { checkJaxpr, makeJaxpr, np, simplify } from "../index.ts";
import { arrayDifference } from "./kit/index.ts";

type F = (x: NDArray) => NDArray;
const edge = np.array([0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 1e-45]);
const whole = np.array([0, 1, -1, 2147483647], { dtype: "int32" });

function simplified(f: F, x: NDArray): number {
  const closed = makeJaxpr(f)(x);
  const simple = simplify(closed);
  checkJaxpr(simple);
  const [want] = evalJaxpr(closed.jaxpr, closed.consts, [x]) as [NDArray];
  const [got] = evalJaxpr(simple.jaxpr, simple.consts, [x]) as [NDArray];
  expect(arrayDifference(got, want, { signedZero: true })).toBe("");
  return simple.jaxpr.equations.length;
}

describe("leaves out", () => {
  const nothing: { readonly [name: string]: F } = {
    x·1: (x) => a.mul(x, 1),
    "1·x": (x) => a.mul(1, x),
    "x/1": (x) => a.div(x, 1),
    "x−0": (x) => a.sub(x, 0),
    "−(−x)": (x) => a.neg(a.neg(x)),
    "x + (−0)": (x) => a.add(x, -0),
    "a conversion to its own dtype": (x) => l.convert(x, x.dtype),
  };
  for (const [name, f] of Object.entries(nothing))
    it(name, () => expect(simplified(f, edge)).toBe(0));
  it("x + 0 of integers", () => expect(simplified((x) => a.add(x, 0), whole)).toBe(0));
  it("a transpose and its inverse", () =>
    expect(
      simplified((x) => l.transpose(l.transpose(x, [1, 2, 0]), [2, 0, 1]), np.ones([2, 3, 4])),
    ).toBe(0));
  it("what nothing uses, and what is computed already", () =>
    expect(
      simplified((x) => {
        np.exp(x);
        return a.add(np.sin(x), np.sin(x));
      }, edge),
    ).toBe(2));
});

describe("keeps what is no identity", () => {
  const kept: { readonly [name: string]: F } = {
    "x + 0, for −0 + 0 is 0": (x) => a.add(x, 0),
    "0 + x": (x) => a.add(0, x),
    "x − (−0)": (x) => a.sub(x, -0),
    "0 − x": (x) => a.sub(0, x),
    "x·0, for ∞·0 is NaN": (x) => a.mul(x, 0),
    "x·(−1)": (x) => a.mul(x, -1),
    "1/x": (x) => a.div(1, x),
    "x − x": (x) => a.sub(x, x),
    "x/x": (x) => a.div(x, x),
  };
  for (const [name, f] of Object.entries(kept)) it(name, () => expect(simplified(f, edge)).toBe(1));
  it("1·x where it repeats x", () =>
    expect(simplified((x) => a.mul(np.ones([2, 3]), x), np.ones([1, 3]))).toBeGreaterThan(0));
  it("a transpose and another", () =>
    expect(
      simplified((x) => l.transpose(l.transpose(x, [1, 2, 0]), [1, 2, 0]), np.ones([2, 2, 2])),
    ).toBe(2));
  it("sums of ones that differ in dtype", () =>
    expect(
      simplified((x) => l.convert(l.convert(x, "bfloat16"), "float32"), np.array([1.2345])),
    ).toBe(2));
});
