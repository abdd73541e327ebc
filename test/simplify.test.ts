/** Simplification: what it removes, and that results stay the same to the last bit, for −0, NaN and ±∞ too. */
import { describe, expect, it } from "vitest";
import { allDTypes } from "../core/dtype.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import * as a from "../core/ops/arithmetic.ts";
import * as c from "../core/ops/compare.ts";
import { dynamicSlice } from "../core/ops/indexing.ts";
import * as l from "../core/ops/linear.ts";
import { select } from "../core/ops/select.ts";
import * as s from "../core/ops/slicing.ts";
import { evalJaxpr } from "../core/trace.ts";
import { checkJaxpr } from "../core/ir/checker.ts";
import { makeJaxpr, np, simplify } from "../index.ts";
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
    "a conversion to a wider dtype and back": (x) => l.convert(l.convert(x, "float64"), "float32"),
    "max(x, x)": (x) => a.max(x, x),
    "a reshape and the way back": (x) => l.reshape(l.reshape(x, [2, 1, 4]), [8]),
    "a squeeze after a reshape": (x) => l.squeeze(l.reshape(x, [1, 8]), [0]),
    "a flip and another": (x) => s.rev(s.rev(x, [0]), [0]),
    "a pad by nothing": (x) => s.pad(x, np.array(0), [[0, 0, 0]]),
    "a slice of everything": (x) => s.slice(x, [0], [8]),
    "a dynamic slice of everything": (x) => dynamicSlice(x, [3], [8]),
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

describe("writes in fewer equations", () => {
  const fewer: { readonly [name: string]: readonly [F, number] } = {
    "|−x| = |x|": [(x) => a.abs(a.neg(x)), 1],
    "||x|| = |x|": [(x) => a.abs(a.abs(x)), 1],
    "⌊⌊x⌋⌋ = ⌊x⌋": [(x) => a.floor(a.floor(x)), 1],
    "⌈⌈x⌉⌉ = ⌈x⌉": [(x) => a.ceil(a.ceil(x)), 1],
    "sign of a sign": [(x) => a.sign(a.sign(x)), 1],
    "x + (−y) = x − y": [(x) => a.add(x, a.neg(s.rev(x, [0]))), 2],
    "x − (−y) = x + y": [(x) => a.sub(x, a.neg(s.rev(x, [0]))), 2],
    "x/8 = x·2⁻³": [(x) => a.div(x, 8), 1],
    "x/2⁻³ = x·8": [(x) => a.div(x, 0.125), 1],
    "a choice between equals": [(x) => select(c.lt(x, 0), np.exp2(x), np.exp2(x)), 1],
    "a reshape of a reshape": [(x) => l.reshape(l.reshape(x, [2, 4]), [4, 2]), 1],
  };
  for (const [name, [f, count]] of Object.entries(fewer))
    it(name, () => {
      const simple = simplify(makeJaxpr(f)(edge));
      expect(simplified(f, edge)).toBe(count);
      expect(simple.jaxpr.equations.some((e) => ["neg", "div"].includes(e.primitive.name))).toBe(
        false,
      );
    });
  it("x & x and x | x", () => {
    for (const f of [c.and, c.or]) expect(simplified((x) => f(x, x), whole)).toBe(0);
    expect(simplified((x) => c.not(c.not(x)), whole)).toBe(0);
  });
  it("quotients by powers of two at the ends of the range, in every float dtype", () => {
    for (const dtype of ["float16", "bfloat16", "float32", "float64"] as const) {
      const x = np.array([1, -2.71875, 65504, 6e-8, 1e-38, 3e38, -0, NaN, -Infinity], { dtype });
      for (const n of [-1074, -149, -127, -126, -25, -15, -14, -1, 1, 14, 15, 126, 127, 1023])
        for (const y of [2 ** n, -(2 ** n), 3 * 2 ** n])
          simplified((v) => a.div(v, new Literal(y, dtype)), x);
    }
  });
  it("conversions on the way to another dtype, where no value is changed", () => {
    const values = [0, -0, 1, -1, 2, 127, 128, 255, 256, -128, -129, 2049, 65504, 65537, 2147483647]
      .concat([4294967295, -2147483648, 16777217, 0.1, 1e-7, 1e30, 1e300, -1e300, 0.49999997])
      .concat([NaN, Infinity, -Infinity, 2147483584, 33554433, 1.00048828125, 65519.99]);
    let left = 0;
    for (const from of allDTypes) {
      const x = np.array(values, { dtype: "float64" }).astype(from);
      for (const by of allDTypes)
        for (const to of allDTypes)
          if (from !== by && by !== to)
            left += 2 - simplified((v) => l.convert(l.convert(v, by), to), x);
    }
    expect(left).toBeGreaterThan(150);
  });
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
    "x/3": (x) => a.div(x, 3),
    "a slice of a part": (x) => s.slice(x, [0], [7]),
    "a pad that shifts": (x) => s.pad(x, np.array(0), [[1, -1, 0]]),
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
  it("whole numbers that wrap one way and saturate the other", () =>
    expect(
      simplified(
        (x) => l.convert(l.convert(x, "float32"), "uint8"),
        np.array([-1, 5]).astype("int8"),
      ),
    ).toBe(2));
});
