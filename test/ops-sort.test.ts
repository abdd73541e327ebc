/** Sorting and the largest elements: what the samples do not say. Values are by JAX where no law gives them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import "../core/eval.ts";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import "../core/backend/reference/index.ts";
import { withBackend } from "../core/backend/registry.ts";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import { type DType, dtypes, isFloat } from "../core/dtype.ts";
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

/** Positions 0 … n − 1 in order of `keys`, the first that differs deciding: NaN last, −0 equal to +0, ties as they stand. */
function orderOf(keys: readonly (readonly number[])[], n: number): number[] {
  const compare = (a: number, b: number): number =>
    Number.isNaN(a) || Number.isNaN(b) ? +Number.isNaN(a) - +Number.isNaN(b) : +(a > b) - +(a < b);
  return range(n).toSorted((i, j) => {
    for (const k of keys) {
      const order = compare(k[i] as number, k[j] as number);
      if (order !== 0) return order;
    }
    return i - j;
  });
}
const dtypesSorted = [
  ...["float32", "float64", "float16", "bfloat16"],
  ...["int32", "uint32", "int8", "uint8", "bool"],
] as DType[];
/** Values with many ties; what the dtype has of NaN, infinities, zeros of both signs, and its extremes. */
const valueOf = (dtype: DType): fc.Arbitrary<number> => {
  const { min, max } = dtypes[dtype];
  if (!isFloat(dtype))
    return fc
      .integer({ min: Math.max(min, -9), max: Math.min(max, 9) })
      .chain((x) => fc.constantFrom(x, min, max));
  const special = [0, -0, NaN, Infinity, -Infinity, 2 ** -14, -(2 ** -14)];
  return fc.oneof(
    fc.integer({ min: -99, max: 99 }).map((x) => x / 4),
    fc.constantFrom(...special),
  );
};
const backends = ["wasm", "reference"] as const;

describe("long slices are sorted by digits", () => {
  // from 64 elements on by digits of 8 bits, from 16384 on of 11; below by merging
  test.each(dtypesSorted)("%s: as the host sorts, on both backends", (dtype) => {
    fc.assert(
      fc.property(fc.array(valueOf(dtype), { minLength: 50, maxLength: 200 }), (values) => {
        const want = orderOf([values], values.length);
        for (const backend of backends)
          withBackend(backend, () => {
            const x = array([values.length], values, dtype);
            expect(list(argsort(x))).toEqual(want);
            expect(list(sorted(x))).toEqual(want.map((i) => values[i]));
          });
      }),
      { numRuns: 20 },
    );
  });
  test("every bit of a key counts", () => {
    const n = 20_000;
    const words = Uint32Array.from({ length: n }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0);
    for (const [dtype, values] of [
      ["uint32", words],
      ["int32", new Int32Array(words.buffer)],
      ["float32", new Float32Array(words.buffer)],
    ] as const) {
      for (const length of [1000, n]) {
        const part = Array.from(values.subarray(0, length));
        expect(list(argsort(array([length], part, dtype)))).toEqual(orderOf([part], length));
      }
    }
  });
  test("several keys, along any axis, on several threads", () => {
    const threads = wasmBackend.threads;
    const shape = [70, 300];
    const size = 70 * 300;
    const keys = [
      range(size).map((i) => (i * 7919) % 3),
      range(size).map((i) => ((i * 104729) % 11) / 2 - 2),
    ];
    try {
      for (const axis of [0, 1])
        for (const count of [1, 3]) {
          wasmBackend.threads = count;
          const [a, b] = [
            array(shape, keys[0] as number[], "uint8"),
            array(shape, keys[1] as number[]),
          ];
          const places = array(shape, range(size), "int32");
          const got = list(sort([a, b, places], { dimension: axis, numKeys: 2 })[2] as NDArray);
          const [outer, n, step] = axis === 0 ? [300, 70, 300] : [70, 300, 1];
          for (let slice = 0; slice < outer; slice++) {
            const at = range(n).map((i) => (axis === 0 ? slice + i * step : slice * n + i));
            const want = orderOf(
              keys.map((k) => at.map((i) => k[i] as number)),
              n,
            );
            expect(at.map((i) => got[i])).toEqual(want.map((i) => at[i]));
          }
        }
    } finally {
      wasmBackend.threads = threads;
    }
  });
});

describe("topK", () => {
  test.each(dtypesSorted)("%s: the first of a decreasing order, few or many", (dtype) => {
    fc.assert(
      fc.property(
        fc.array(valueOf(dtype), { minLength: 80, maxLength: 160 }),
        fc.constantFrom(0, 1, 2, 5, 9, 10, 64, 80),
        (values, k) => {
          // NaN counts as largest
          const keys = values.map((x) => (Number.isNaN(x) ? -Infinity : -x));
          const want = orderOf(
            [values.map((x) => (Number.isNaN(x) ? 0 : 1)), keys],
            values.length,
          ).slice(0, k);
          for (const backend of backends)
            withBackend(backend, () => {
              const [y, positions] = topK(array([values.length], values, dtype), k);
              expect(list(positions)).toEqual(want);
              expect(list(y)).toEqual(want.map((i) => values[i]));
            });
        },
      ),
      { numRuns: 20 },
    );
  });
  test("of what increases, decreases or is all equal, in long rows on several threads", () => {
    const [threads, n] = [wasmBackend.threads, 5000];
    const rows = [
      range(n),
      range(n).map((i) => -i),
      range(n).map(() => 7),
      range(n).map((i) => i % 3),
    ];
    const x = array([rows.length, n], rows.flat());
    try {
      for (const count of [1, 3])
        for (const k of [1, 7, 100, 256, 300]) {
          wasmBackend.threads = count;
          const got = list(topK(x, k)[1]);
          rows.forEach((row, r) => {
            const want = orderOf([row.map((v) => -v)], n).slice(0, k);
            expect(got.slice(r * k, (r + 1) * k)).toEqual(want);
          });
        }
    } finally {
      wasmBackend.threads = threads;
    }
  });
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
