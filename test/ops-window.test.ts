/** Windows: what the samples do not say. Values are by JAX where no law gives them. */
import { describe, expect, test } from "vitest";
import "../core/eval.ts";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import type { DType } from "../core/dtype.ts";
import { DTypeError, ShapeError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import { mul } from "../core/ops/field.ts";
import { full, reduceSum } from "../core/ops/linear.ts";
import { stack } from "../core/ops/structural.ts";
import {
  reduceWindow,
  reduceWindowMax,
  reduceWindowMin,
  reduceWindowSum,
  windowParams,
} from "../core/ops/window.ts";
import { selectAndGatherAddP, selectAndScatterAddP } from "../core/ops/window-select.ts";
import { range } from "../core/shape.ts";
import { bind1 } from "../core/trace.ts";
import { grad, jvp } from "../transforms/autodiff.ts";
import { jit } from "../transforms/jit.ts";
import { vmap } from "../transforms/vmap.ts";

const array = (
  shape: readonly number[],
  values: readonly number[],
  dtype: DType = "float32",
): NDArray => fromValues(values, Aval.of(shape, dtype));
const floats = (...values: number[]): NDArray => array([values.length], values);
const list = (x: NDArray): number[] => Array.from(dataSync(x));
const total = (x: NDArray): NDArray => reduceSum(x, range(x.ndim));
const neg = (x: NDArray): NDArray => mul(x, -1);

describe("pooling", () => {
  const image = array([4, 4], [1, 5, 2, 2, 5, 0, 2, 2, 0, 0, -1, -3, 0, 0, -2, -1]);
  const halves = { windowDimensions: [2, 2], windowStrides: [2, 2] };
  const pool = (v: NDArray): NDArray => reduceWindowMax(v, halves);
  test("the gradient goes to the first maximum of each window, row by row", () => {
    const w = array([2, 2], [1, 2, 4, 8]);
    expect(list(grad((v: NDArray) => total(mul(pool(v), w)))(image))).toEqual([
      0, 1, 2, 0, 0, 0, 0, 0, 4, 0, 8, 0, 0, 0, 0, 0,
    ]);
    const least = (v: NDArray): NDArray => total(mul(reduceWindowMin(v, halves), w));
    expect(list(grad(least)(neg(image)))).toEqual([0, 1, 2, 0, 0, 0, 0, 0, 4, 0, 8, 0, 0, 0, 0, 0]);
  });
  test("jvp picks the same elements as grad", () => {
    const t = array([4, 4], range(16));
    expect(list(jvp(pool, [image], [t])[1])).toEqual([1, 2, 8, 10]);
  });
  test("second order: the hessian of Σ max³ times ones", () => {
    const f = (v: NDArray): NDArray => {
      const y = pool(v);
      return total(mul(mul(y, y), y));
    };
    const ones = full([4, 4], 1, "float32");
    expect(list(jit((v: NDArray) => jvp(grad(f), [v], [ones])[1])(image))).toEqual([
      0, 30, 12, 0, 0, 0, 0, 0, 0, 0, -6, 0, 0, 0, 0, 0,
    ]);
  });
  test("the batch axis may be any, in and out", () => {
    for (const at of [0, 1, 2]) {
      const both = stack([image, neg(image)], at);
      const out = vmap(pool, at, { outAxes: 1 })(both);
      expect(out.shape).toEqual([2, 2, 2]);
      expect(list(out).map((v) => v + 0)).toEqual([5, 2, 0, -2, 0, -1, 0, 3]);
    }
  });
  test("grad of vmap = vmap of grad, whatever axis is batched", () => {
    for (const at of [0, 1, 2]) {
      const both = stack([image, neg(image)], at);
      const one = (v: NDArray): NDArray => total(mul(pool(v), pool(v)));
      const outside = grad((v: NDArray) => total(vmap(one, at)(v)))(both);
      expect(list(outside)).toEqual(list(vmap(grad(one), at, { outAxes: at })(both)));
    }
  });
  test("one operand batched: tangents over one image", () => {
    const ts = stack([full([4, 4], 1, "float32"), array([4, 4], range(16))], 2);
    const p = { ...windowParams([4, 4], halves), select: "ge" } as const;
    const f = (t: NDArray): NDArray => bind1(selectAndGatherAddP, [t, image], p);
    expect(list(vmap(f, 2)(ts))).toEqual([1, 1, 1, 1, 1, 2, 8, 10]);
    const g = (s: NDArray): NDArray => bind1(selectAndScatterAddP, [s, image], p);
    const sources = stack([array([2, 2], [1, 2, 4, 8]), array([2, 2], [2, 4, 8, 16])], 2);
    const once = [0, 1, 2, 0, 0, 0, 0, 0, 4, 0, 8, 0, 0, 0, 0, 0];
    expect(list(vmap(g, 2)(sources))).toEqual([...once, ...once.map((v) => 2 * v)]);
  });
});

describe("padding", () => {
  const x = floats(1, 2, 3, 4);
  const pairs = { windowDimensions: [2] };
  test("negative amounts take elements away", () => {
    expect(list(reduceWindowSum(x, { ...pairs, padding: [[-1, 1]] }))).toEqual([5, 7, 4]);
    expect(list(reduceWindowMax(x, { ...pairs, padding: [[-1, -1]] }))).toEqual([3]);
    const f = (v: NDArray): NDArray => total(reduceWindowSum(v, { ...pairs, padding: [[-1, 1]] }));
    expect(list(grad(f)(x))).toEqual([0, 1, 2, 2]);
  });
  test("the odd element goes after, or before", () => {
    expect(list(reduceWindowSum(x, { ...pairs, padding: "SAME" }))).toEqual([3, 5, 7, 4]);
    expect(list(reduceWindowSum(x, { ...pairs, padding: "SAME_LOWER" }))).toEqual([1, 3, 5, 7]);
  });
  test("a window that sees padding only gives the neutral element", () => {
    const far = { windowDimensions: [1], padding: [[0, 1]] } as const;
    expect(list(reduceWindowMax(x, far)).at(-1)).toBe(-Infinity);
    expect(list(reduceWindowMin(array([1], [7], "int8"), far)).at(-1)).toBe(127);
    expect(list(grad((v: NDArray) => total(reduceWindowSum(v, far)))(x))).toEqual([1, 1, 1, 1]);
  });
});

describe("reduceWindow", () => {
  const x = floats(1, 3, 2);
  const one = { windowDimensions: [1], padding: [[0, 1]] } as const;
  test("starts from init", () => {
    expect(list(reduceWindow(x, 2.5, "max", one))).toEqual([2.5, 3, 2.5, 2.5]);
    expect(list(reduceWindow(x, 2.5, "min", one))).toEqual([1, 2.5, 2, 2.5]);
    const two = { windowDimensions: [2], padding: [[0, 1]] } as const;
    expect(list(reduceWindow(x, 2.5, "add", two))).toEqual([6.5, 7.5, 4.5]);
  });
  test("neutral inits are the plain reductions, for integers too", () => {
    const n = array([2], [-5, 5], "int8");
    const both = { windowDimensions: [2] };
    expect(list(reduceWindow(n, -Infinity, "max", both))).toEqual([5]);
    expect(list(reduceWindow(n, 127, "min", both))).toEqual([-5]);
    expect(list(reduceWindow(n, 0, "add", both))).toEqual([0]);
    expect(list(reduceWindow(array([2], [0, 1], "bool"), 0, "max", both))).toEqual([1]);
  });
  test("is differentiated where an element beats init", () => {
    const f = (v: NDArray): NDArray => total(reduceWindow(v, 2.5, "max", one));
    expect(list(grad(f)(x))).toEqual([0, 1, 0]);
  });
});

describe("errors", () => {
  const x = floats(1, 2, 3);
  test("parameters", () => {
    expect(() => reduceWindowSum(x, { windowDimensions: [1, 1] })).toThrow(
      "must have one entry for each axis",
    );
    expect(() => reduceWindowMax(x, { windowDimensions: [0] })).toThrow("whole numbers ≥ 1");
    expect(() => reduceWindowMax(x, { windowDimensions: [1], windowStrides: [0] })).toThrow(
      ShapeError,
    );
    expect(() => reduceWindowMin(x, { windowDimensions: [1], padding: [[0.5, 0]] })).toThrow(
      "padding must be whole numbers",
    );
  });
  test("dtypes", () => {
    const bits = array([2], [0, 1], "bool");
    expect(() => reduceWindowSum(bits, { windowDimensions: [1] })).toThrow(DTypeError);
    const whole = array([2], [1, 2], "int32");
    expect(() => reduceWindow(whole, 0.5, "max", { windowDimensions: [1] })).toThrow(DTypeError);
  });
  test("tangents and sources of another shape", () => {
    const p = { ...windowParams([3], { windowDimensions: [2] }), select: "ge" } as const;
    expect(() => bind1(selectAndGatherAddP, [floats(1), x], p)).toThrow("the tangent must have");
    expect(() => bind1(selectAndScatterAddP, [x, x], p)).toThrow(
      "the source must have the shape [2]",
    );
  });
});
