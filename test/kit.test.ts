/** The test kit finds what is wrong and lets pass what is right. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataSync } from "../core/array.ts";
import type { Aval } from "../core/aval.ts";
import { CotangentError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import * as l from "../core/ops/linear.ts";
import { linearJvp } from "../core/ops/linearity.ts";
import { elementwiseBatch } from "../core/ops/rules.ts";
import { floatFunction } from "../core/ops/transcendental.ts";
import * as K from "../core/kernel/expr.ts";
import { definePrimitive, noRule, type Primitive } from "../core/primitive.ts";
import { bind1 } from "../core/trace.ts";
import { np, tree } from "../index.ts";
import {
  arb,
  checkGrads,
  gradientsAgree,
  transformsAgree,
  ulpAt,
  ulpDistance,
} from "./kit/index.ts";

// the same programs and arrays every time
fc.configureGlobal({ seed: 20_260 });

const message = (f: () => unknown): string => {
  try {
    f();
  } catch (e) {
    if (e instanceof Error) return e.message;
  }
  return "nothing was thrown";
};

// sin with a derivative that is off by one part in a million
const slightlyWrongP = floatFunction(
  "test_slightly_wrong",
  (x) => K.unary("sin", x),
  (t, x) => np.multiply(np.multiply(t, np.cos(x)), 1.000001),
);
const slightlyWrong = (x: NDArray): NDArray => bind1(slightlyWrongP, [x], {});

describe("checkGrads", () => {
  it("accepts right derivatives of functions on pytrees, to the third order", () => {
    const params = {
      w: np.array([
        [0.5, -1],
        [2, 0.25],
      ]),
      b: [np.array([0.1, 0.2])],
    };
    const f = (p: typeof params, x: NDArray): NDArray =>
      np.sum(np.tanh(np.add(np.matmul(p.w, x), p.b[0] as NDArray)));
    checkGrads(f, [params, np.array([1, -0.5])], { order: 3 });
  });
  it("names the argument, the mode and the order", () => {
    const f = (p: { a: NDArray; b: NDArray }): NDArray => np.sum(np.add(p.a, slightlyWrong(p.b)));
    const text = message(() => checkGrads(f, [{ a: np.array([1, 2]), b: np.array([0.5, 0.7]) }]));
    expect(text).toContain(
      "derivative 1 of the function with respect to args[0].b must be right in mode fwd",
    );
  });
  it("finds a transpose that is not the transpose", () => {
    const twice = (x: K.Expr): K.Expr => K.mul(x, K.lit(2, x.dtype));
    const p: Primitive = definePrimitive({
      name: "test_wrong_transpose",
      shape: ([x]) => [x as Aval],
      jvp: linearJvp,
      transpose: ([ct]) => [np.multiply(ct as NDArray, 2.5)],
      batch: elementwiseBatch,
      lower: () => ({ kind: "map", at: (index, read) => [twice(read(0, index))] }),
    });
    expect(
      message(() => checkGrads((x: NDArray) => bind1(p, [x], {}), [np.array([1, 2])])),
    ).toContain("with respect to args[0] must be right in mode rev");
  });
  it("finds a wrong second derivative only where it looks for it", () => {
    // the derivative is right, the derivative of the derivative is off
    const q = floatFunction(
      "test_wrong_second",
      (x) => K.unary("sin", x),
      (t, x) => np.multiply(t, bind1(cosP, [x], {})),
    );
    const cosP = floatFunction(
      "test_wrong_cos",
      (x) => K.unary("cos", x),
      (t, x) => np.multiply(t, np.sin(x)),
    );
    const f = (x: NDArray): NDArray => bind1(q, [x], {});
    checkGrads(f, [np.array([0.5])], { order: 1 });
    expect(message(() => checkGrads(f, [np.array([0.5])]))).toContain("derivative 2");
  });
  it("refuses kinks", () => {
    expect(message(() => checkGrads((x: NDArray) => np.maximum(x, 0), [np.array([0])]))).toContain(
      "checkGrads",
    );
    checkGrads((x: NDArray) => np.maximum(x, 0), [np.array([0.5, -0.5])]);
  });
  it("holds integer arguments fixed and wants a float among the arguments", () => {
    checkGrads(
      (x: NDArray, i: NDArray) => np.take(x, i),
      [np.array([1, 2, 3]), np.array([0, 2], { dtype: "int32" })],
    );
    expect(() => checkGrads((i: NDArray) => i, [np.array([1], { dtype: "int32" })])).toThrow(
      CotangentError,
    );
  });
});

describe("gradientsAgree", () => {
  it("is three lines for a model", () => {
    const f = (x: NDArray): NDArray => np.sum(np.multiply(np.sin(x), x));
    fc.assert(gradientsAgree(f, arb.float32Array({ shape: [3] })), { numRuns: 10 });
  });
  it("shrinks to a small counterexample", () => {
    const f = (x: NDArray): NDArray => np.sum(slightlyWrong(x));
    const text = message(() =>
      fc.assert(gradientsAgree(f, arb.float32Array({ shape: [2] })), { numRuns: 10 }),
    );
    expect(text).toMatch(/Counterexample: \[f32\[2\]\(.*\)\]/);
  });
});

describe("transformsAgree", () => {
  const lawful = (apply: (...xs: NDArray[]) => NDArray[]) => ({
    apply,
    args: (dtype: "float32" | "float64" = "float32") => [
      np.array([0.3, -0.8], { dtype }),
      np.array(
        [
          [1, 2],
          [0.5, 0],
        ],
        { dtype },
      ),
    ],
  });
  it("accepts functions that obey the laws", () => {
    expect(
      transformsAgree(lawful((x, y) => [np.multiply(np.sin(x as NDArray), y as NDArray)]))
        .differences,
    ).toBe(10);
  });
  it("finds a wrong derivative, and a batch rule that mixes examples", () => {
    expect(message(() => transformsAgree(lawful((x) => [slightlyWrong(x as NDArray)])))).toContain(
      "law jvp f = lim",
    );
    const mixing: Primitive = definePrimitive({
      name: "test_mixing",
      shape: ([x]) => [x as NDArray["aval"]],
      jvp: ([x], [t]) => ({ outs: [bind1(mixing, [x as NDArray], {})], tangents: [t as NDArray] }),
      transpose: ([ct]) => [ct as NDArray],
      batch: (_size, [x], [d]) => ({
        outs: [np.flip(x as NDArray, d as number)],
        dims: [d as number],
      }),
      lower: () => ({ kind: "map", at: (index, read) => [read(0, index)] }),
    });
    expect(
      message(() => transformsAgree(lawful((x) => [bind1(mixing, [x as NDArray], {})]))),
    ).toContain("law vmap f = stack ∘ map f");
  });
  it("says so where a primitive has no rule", () => {
    const stuck: Primitive = definePrimitive({
      name: "test_stuck",
      shape: ([x]) => [x as Aval],
      jvp: linearJvp,
      transpose: noRule("this test leaves it out"),
      batch: elementwiseBatch,
      lower: () => ({ kind: "alias" }),
    });
    expect(
      message(() => transformsAgree(lawful((x) => [bind1(stuck, [x as NDArray], {})]))),
    ).toContain("this test leaves it out");
  });
});

describe("arbitraries", () => {
  it("arrays have the shape, dtype and bounds asked for", () => {
    fc.assert(
      fc.property(arb.shape({ maxRank: 2 }), arb.dtype(), (shape, dtype) => {
        const [x] = fc.sample(arb.array({ shape, dtype, min: 0, max: 1 }), 1) as [NDArray];
        expect([x.shape, x.dtype]).toEqual([shape, dtype]);
        for (const v of dataSync(x)) expect(v >= 0 && v <= 1).toBe(true);
      }),
    );
  });
  it("special values occur when asked for", () => {
    const some = fc
      .sample(arb.array({ shape: [8], dtype: "float16", special: true }), 20)
      .flatMap((x) => [...dataSync(x)]);
    expect(some.some(Number.isNaN) && some.includes(Infinity)).toBe(true);
  });
  it("broadcastable shapes broadcast", () => {
    fc.assert(
      fc.property(arb.broadcastable(3), (shapes) => {
        const sum = shapes.map((s) => np.zeros(s)).reduce((a, b) => np.add(a, b));
        expect(sum.ndim).toBe(Math.max(...shapes.map((s) => s.length)));
      }),
    );
  });
  it("pytrees flatten and come back", () => {
    fc.assert(
      fc.property(arb.pytree(fc.integer()), (t) => {
        const [leaves, def] = tree.flatten(t);
        expect(tree.unflatten(def, leaves)).toEqual(t);
      }),
    );
  });
  it("programs are deep, print themselves, and give the same result each time", () => {
    const programs = fc.sample(arb.program({ maxDepth: 12 }), 50);
    expect(Math.max(...programs.map((p) => p.depth))).toBeGreaterThan(9);
    for (const p of programs) {
      expect(p.depth).toBeLessThanOrEqual(12);
      expect(String(p)).toMatch(/^program\(.*\) \{[\s\S]*return .*\n\}$/);
      const [a, b] = [p.apply(...p.args()), p.apply(...p.args())];
      expect(a.map((x) => [...dataSync(x)])).toEqual(b.map((x) => [...dataSync(x)]));
    }
  });
  it("every operation occurs", () => {
    const seen = new Set(
      fc
        .sample(arb.program(), { numRuns: 400, seed: 3 })
        .flatMap((p) => p.steps.map((s) => s.text.split(/[ (]/)[0])),
    );
    for (const name of [
      "dotGeneral",
      "conv",
      "select",
      "sort",
      "dynamicUpdateSlice",
      "jit",
      "argmax",
      "reduceProd",
    ])
      expect(seen).toContain(name);
  });
});

describe("ulps", () => {
  it("count floats", () => {
    expect(ulpDistance(1, 1 + 2 ** -23, "float32")).toBe(1);
    expect(ulpDistance(-(2 ** -149), 2 ** -149, "float32")).toBe(2);
    expect(ulpDistance(1, 1 + 2 ** -52, "float64")).toBe(1);
    expect(ulpDistance(1, 1.0078125, "bfloat16")).toBe(1);
    expect(ulpDistance(0, -0, "float16")).toBe(0);
    expect(ulpDistance(Number.NaN, Number.NaN, "float32")).toBe(0);
    expect(ulpDistance(Number.NaN, 1, "float32")).toBe(Infinity);
    expect(ulpDistance(65504, Infinity, "float16")).toBe(Infinity);
    expect(ulpAt(1, "float32")).toBe(2 ** -23);
    expect(ulpAt(l.full([], 0, "float32").size - 1, "float32")).toBe(2 ** -149);
  });
});
