/** Sorting and the largest elements: what the samples do not say. Values are by JAX where no law gives them. */
import { describe, expect, test } from "vitest";
import "../core/eval.ts";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import type { DType } from "../core/dtype.ts";
import { ShapeError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import { mul } from "../core/ops/field.ts";
import { reduceSum, transpose } from "../core/ops/linear.ts";
import { argsort, sort, topK } from "../core/ops/sort.ts";
import { stack } from "../core/ops/structural.ts";
import { range } from "../core/shape.ts";
import { grad, jvp, vjp } from "../transforms/autodiff.ts";
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
const ints = (...values: number[]): NDArray => array([values.length], values, "int32");
const sorted = (x: NDArray): NDArray => sort([x])[0] as NDArray;

describe("sort", () => {
  test("every length, against the host's sort", () => {
    for (let n = 0; n <= 33; n++) {
      const values = range(n).map((i) => (i * 37 + 11) % 17);
      const x = array([n], values, "float64");
      expect(list(sorted(x))).toEqual(values.toSorted((a, b) => a - b));
      // the host's sort is stable too
      expect(list(argsort(x))).toEqual(
        range(n).toSorted((i, j) => (values[i] as number) - (values[j] as number)),
      );
    }
  });
  test("several keys: a later one decides among equals; −0 equals +0; NaN is last", () => {
    const keys = [ints(1, 0, 1, 0), floats(NaN, -0, 2, 0), ints(0, 1, 2, 3)];
    const [a, b, c] = sort(keys, { numKeys: 2 }) as [NDArray, NDArray, NDArray];
    expect([list(a), list(b), list(c)]).toEqual([
      [0, 0, 1, 1],
      [-0, 0, 2, NaN],
      [1, 3, 2, 0],
    ]);
  });
  test("tangents follow their elements, also of operands that are no keys", () => {
    const f = (k: NDArray, v: NDArray): NDArray => sort([k, v])[1] as NDArray;
    const [, back] = vjp(f, floats(2, 1, 2, 1), floats(5, 6, 7, 8));
    expect(back(floats(1, 2, 4, 8)).map(list)).toEqual([
      [0, 0, 0, 0],
      [4, 1, 8, 2],
    ]);
  });
  test("second order", () => {
    const f = (v: NDArray): NDArray => {
      const y = sorted(v);
      return total(mul(mul(y, y), floats(1, 2, 4)));
    };
    const hvp = jit((v: NDArray) => jvp(grad(f), [v], [floats(1, 10, 100)])[1]);
    expect(list(hvp(floats(3, 1, 2)))).toEqual([8, 20, 400]);
  });
  test("grad of vmap along a trailing axis", () => {
    const w = array([3, 2], [1, 2, 4, 8, 16, 32]);
    const f = (v: NDArray): NDArray => total(mul(vmap(sorted, 1, { outAxes: 1 })(v), w));
    expect(list(grad(f)(array([3, 2], [3, 1, 1, 2, 2, 0])))).toEqual([16, 8, 1, 32, 4, 2]);
  });
  test("one operand batched", () => {
    const f = (k: NDArray, v: NDArray): NDArray => sort([k, v])[1] as NDArray;
    const keys = array([3, 2], [3, 1, 1, 2, 2, 0]);
    expect(list(vmap(f, [1, null])(keys, ints(7, 8, 9)))).toEqual([8, 9, 7, 9, 7, 8]);
  });
});

describe("topK", () => {
  const x = array([3, 3], [1, 5, 2, 3, 5, 0, 2, 9, 7]);
  test("along the first axis", () => {
    expect(topK(x, 2, 0).map(list)).toEqual([
      [3, 9, 7, 2, 5, 2],
      [1, 2, 2, 2, 0, 0],
    ]);
    expect(topK(x, 2, -2).map(list)).toEqual(topK(x, 2, 0).map(list));
  });
  test("along the first axis = along the last of the transposed", () => {
    const [values, positions] = topK(transpose(x, [1, 0]), 3);
    expect(topK(x, 3, 0).map(list)).toEqual(
      [values, positions].map((y) => list(transpose(y, [1, 0]))),
    );
  });
  test("the gradient goes to where the elements stood", () => {
    const [, back] = vjp((v: NDArray) => topK(v, 2, 0)[0], x);
    expect(list(back(array([2, 3], [1, 2, 4, 8, 16, 32]))[0])).toEqual([
      0, 16, 32, 1, 0, 0, 8, 2, 4,
    ]);
  });
  test("the batch axis may be any", () => {
    for (const at of [0, 1, 2]) {
      const both = stack([x, mul(x, -1)], at);
      const got = vmap((v: NDArray) => topK(v, 2, 0), at)(both).map(list);
      const [a, b] = [topK(x, 2, 0), topK(mul(x, -1), 2, 0)];
      expect(got).toEqual([0, 1].map((i) => [...list(a[i] as NDArray), ...list(b[i] as NDArray)]));
    }
  });
});

describe("errors", () => {
  const x = floats(1, 2, 3);
  test("sort", () => {
    expect(() => sort([])).toThrow("sort: needs an operand");
    expect(() => sort([x, floats(1)])).toThrow("operands must have one shape");
    expect(() => sort([x], { numKeys: 2 })).toThrow("numKeys must be between 1 and 1");
    expect(() => sort([x], { dimension: 1 })).toThrow(ShapeError);
    expect(() => sort([array([], [1])])).toThrow("a scalar has no axes");
    expect(() => argsort(x, -2)).toThrow("argsort: axis must be an integer between -1 and 0");
  });
  test("topK", () => {
    expect(() => topK(x, 4)).toThrow(
      "topK: k must be between 0 and the size of the axis; got k = 4",
    );
    expect(() => topK(x, -1)).toThrow(ShapeError);
    expect(() => topK(x, 1.5)).toThrow(ShapeError);
    expect(() => topK(x, 1, 1)).toThrow("axis must be an integer between -1 and 0");
    expect(() => topK(array([], [1]), 1)).toThrow("a scalar has no axes");
  });
});
