/** Arithmetic, comparisons and bits: what the samples do not say. */
import { describe, expect, it } from "vitest";
import { bytesSync, dataSync, fromBytes, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import { type DType, dtypes } from "../core/dtype.ts";
import { DTypeError, RuleError, ShapeError } from "../core/errors.ts";
import "../core/eval.ts";
import type { NDArray } from "../core/ndarray.ts";
import * as a from "../core/ops/arithmetic.ts";
import * as c from "../core/ops/compare.ts";
import { bitcastConvertType, reducePrecision } from "../core/ops/convert.ts";
import { reduceSum } from "../core/ops/linear.ts";
import { stopGradient } from "../core/ops/structural.ts";
import { range, sizeOf } from "../core/shape.ts";
import { grad } from "../transforms/autodiff.ts";
import { makeJaxpr } from "../transforms/jit.ts";
import { Random } from "./conformance/values.ts";

const array = (
  shape: readonly number[],
  values: readonly number[],
  d: DType = "float32",
): NDArray => fromValues(values, Aval.of(shape, d));
const vector = (values: readonly number[], d: DType = "float32"): NDArray =>
  array([values.length], values, d);
const list = (x: NDArray): number[] => Array.from(dataSync(x) as ArrayLike<number>);
const total = (x: NDArray): NDArray => reduceSum(x, range(x.ndim));
const slope = (f: (x: NDArray) => NDArray, at: readonly number[]): number[] =>
  list(grad((x: NDArray) => total(f(x)))(vector(at)));

describe("derivatives at edges", () => {
  it("|x| has slope 1 at both zeros", () => {
    expect(slope(a.abs, [-2, -0, 0, 3])).toEqual([-1, 1, 1, 1]);
  });
  it("max and min share ties", () => {
    const y = vector([1, 1, 1]);
    expect(slope((x) => a.max(x, y), [0, 1, 2])).toEqual([0, 0.5, 1]);
    expect(slope((x) => a.min(x, y), [0, 1, 2])).toEqual([1, 0.5, 0]);
    expect(slope((x) => a.max(x, x), [3])).toEqual([1]);
    expect(slope((x) => a.max(x, 0), [-1, 0, 1])).toEqual([0, 0.5, 1]);
  });
  it("powers at zero", () => {
    expect(slope((x) => a.pow(x, 2), [0])).toEqual([0]);
    expect(slope((x) => a.pow(x, 1), [0])).toEqual([1]);
    expect(slope((x) => a.pow(x, 0.5), [0])).toEqual([Number.POSITIVE_INFINITY]);
    // 0·0⁻¹ = 0·∞ for a float exponent, as in JAX; an integer one knows better
    expect(slope((x) => a.pow(x, 0), [0])).toEqual([Number.NaN]);
    expect(slope((x) => a.pow(x, vector([0], "int32")), [0])).toEqual([0]);
    expect(slope((x) => a.integerPow(x, 0), [0])).toEqual([0]);
    // d/dy 0ʸ = 0ʸ·log 0, with log 0 taken as 0
    expect(slope((y) => a.pow(vector([0, 0]), y), [0, 2])).toEqual([0, 0]);
    expect(slope((y) => a.pow(vector([2]), y), [3])[0]).toBeCloseTo(8 * Math.LN2, 5);
  });
  it("second derivatives of whole powers", () => {
    const second = grad((x: NDArray) => total(grad((y: NDArray) => total(a.integerPow(y, 3)))(x)));
    expect(list(second(vector([0, 2, -1])))).toEqual([0, 12, -6]);
    expect(list(grad((x: NDArray) => total(a.reciprocal(x)))(vector([2])))).toEqual([-0.25]);
  });
  it("nextafter has none, and needs none where its operands are constant", () => {
    expect(() => slope((x) => a.nextafter(x, 2), [1])).toThrow(RuleError);
    expect(slope((x) => a.mul(x, a.nextafter(stopGradient(x), 2)), [1])[0]).toBeCloseTo(1, 6);
  });
});

describe("numbers beside arrays", () => {
  it("adopt their dtype", () => {
    expect(a.add(vector([1, 2], "int8"), 3).dtype).toBe("int8");
    expect(list(a.sub(1, vector([1, 2], "float64")))).toEqual([0, -1]);
    expect(() => a.add(vector([1], "int32"), 0.5)).toThrow(
      "add: a number beside int32 must be a whole number; got 0.5",
    );
  });
  it("make a power with a float exponent", () => {
    expect(list(a.pow(vector([4, 9]), 0.5))).toEqual([2, 3]);
  });
});

describe("whole powers", () => {
  it("are the chain of products", () => {
    const x = Math.fround(1.1);
    const x2 = Math.fround(x * x);
    const x4 = Math.fround(x2 * x2);
    expect(list(a.integerPow(vector([1.1]), 6))).toEqual([Math.fround(x2 * x4)]);
    expect(list(a.integerPow(vector([1.1]), -2))).toEqual([Math.fround(1 / x2)]);
  });
  it("round 16-bit floats once", () => {
    // in float16 steps 1.001⁸ would round three times
    const x = dataSync(vector([1.0009765625], "float16"))[0] as number;
    expect(list(a.integerPow(vector([x], "float16"), 8))).toEqual(
      list(vector([x ** 8], "float16")),
    );
  });
});

describe("total order", () => {
  const sorted = [-Infinity, -1, -1e-45, -0, 0, 1e-45, 1, Infinity, NaN];
  it.each(["float32", "float64", "float16", "bfloat16"] as const)(
    "is the order of this list: %s",
    (d) => {
      const order = d.endsWith("16") ? sorted.filter((x) => Math.abs(x) !== 1e-45) : sorted;
      const n = order.length;
      const x = array([n, 1], order, d);
      const y = array([1, n], order, d);
      const want = (f: (i: number, j: number) => boolean): number[] =>
        range(n).flatMap((i) => range(n).map((j) => Number(f(i, j))));
      expect(list(c.ltTo(x, y))).toEqual(want((i, j) => i < j));
      expect(list(c.leTo(x, y))).toEqual(want((i, j) => i <= j));
      expect(list(c.eqTo(x, y))).toEqual(want((i, j) => i === j));
    },
  );
});

describe("bits", () => {
  /** Arrays of random bytes, without NaN where that loses bits. */
  const bytes = (n: number, seed: number): Uint8Array => {
    const random = new Random(seed);
    return Uint8Array.from({ length: n }, () => random.int(0, 256));
  };
  const every = Uint8Array.from({ length: 2 ** 17 }, (_, i) =>
    i % 2 === 0 ? (i >> 1) & 255 : i >> 9,
  );
  it.each(["float16", "bfloat16"] as const)("of every %s come back", (d) => {
    const x = fromBytes(every, Aval.of([2 ** 16], d));
    const taken = bitcastConvertType(x, "uint8");
    expect(taken.shape).toEqual([2 ** 16, 2]);
    const got = list(taken);
    const values = list(x);
    const wrong = range(2 ** 16).filter(
      (i) =>
        !Number.isNaN(values[i]) &&
        (got[2 * i] !== every[2 * i] || got[2 * i + 1] !== every[2 * i + 1]),
    );
    expect(wrong).toEqual([]);
    expect(list(bitcastConvertType(taken, d))).toEqual(values);
  });
  it("of float64 are its two words, all exponents and subnormals included", () => {
    const powers = range(2098).map((i) => 2 ** (i - 1074) * (i % 2 === 0 ? 1 : -1));
    const random = new Float64Array(bytes(8 * 500, 7).buffer);
    const values = [
      ...powers,
      ...random,
      0,
      -0,
      Infinity,
      -Infinity,
      Number.MAX_VALUE,
      5e-324,
    ].filter((x) => !Number.isNaN(x));
    const x = vector(values, "float64");
    const words = bitcastConvertType(x, "uint32");
    const want = new Uint32Array(new Float64Array(values).buffer);
    expect(list(words)).toEqual([...want]);
    expect(list(bitcastConvertType(words, "float64"))).toEqual(values);
  });
  it("keep their number between all pairs of number dtypes", () => {
    const names = (Object.keys(dtypes) as DType[]).filter((d) => d !== "bool");
    for (const from of names)
      for (const to of names) {
        const [m, n] = [dtypes[from].bytes, dtypes[to].bytes];
        // small exponents: no NaN in any dtype
        const data = bytes(64, 3).map((b) => b & 0x3b);
        const shape = n > m ? [64 / n, n / m] : [64 / m];
        const out = bitcastConvertType(fromBytes(data, Aval.of(shape, from)), to);
        expect(sizeOf(out.shape) * n).toBe(64);
        expect([...bytesSync(out)], `${from} to ${to}`).toEqual([...data]);
      }
  });
  it("reduced to a narrower dtype are the cast there and back", () => {
    const random = new Random(11);
    const values = range(300).map(() => (random.bits() / 2 ** 31 - 1) * 2 ** random.int(-13, 17));
    for (const [d, e] of [
      ["float16", 5],
      ["bfloat16", 8],
    ] as const) {
      const x = vector(values);
      const narrow = list(vector(list(x), d));
      // the cast keeps subnormals, which the reduction takes to zero
      const want = narrow.map((v) => (Math.abs(v) < dtypes[d].tiny ? v * 0 : v));
      expect(list(reducePrecision(x, e, dtypes[d].mantissa))).toEqual(want);
    }
    const doubles = vector(
      values.map((v) => v * 1.0000001),
      "float64",
    );
    expect(list(reducePrecision(doubles, 8, 23))).toEqual(list(doubles).map(Math.fround));
  });
});

describe("misuse", () => {
  const x = vector([1, 2]);
  const i = vector([1, 2], "int32");
  const b = vector([1, 0], "bool");
  const cases: readonly (readonly [
    typeof DTypeError | typeof ShapeError,
    () => unknown,
    string,
  ])[] = [
    [DTypeError, () => a.add(x, i), "add: operands must have one dtype; got f32[2] and i32[2]"],
    [DTypeError, () => a.mul(b, b), "mul: needs a number dtype; got bool[2] and bool[2]"],
    [
      ShapeError,
      () => a.add(x, vector([1, 2, 3])),
      "add: shapes must be equal (or of size 1, or scalars); got f32[2] and f32[3]",
    ],
    [DTypeError, () => a.floor(i), "floor: needs a float dtype; got i32[2]"],
    [DTypeError, () => a.abs(vector([1], "uint8")), "abs: needs a signed dtype; got u8[1]"],
    [DTypeError, () => a.pow(i, x), "pow: needs a float dtype; got i32[2]"],
    [
      DTypeError,
      () => a.pow(x, vector([1, 2], "float64")),
      "pow: the exponent must have the dtype of the base or be an integer; got f32[2] and f64[2]",
    ],
    [
      DTypeError,
      () => a.integerPow(i, -1),
      "integerPow: integers cannot be raised to negative powers; got i32[2] to the power -1",
    ],
    [
      DTypeError,
      () => a.integerPow(x, 0.5),
      "integerPow: the exponent must be a whole number; got 0.5; use pow",
    ],
    [
      DTypeError,
      () => a.nextafter(x, vector([1, 2], "float64")),
      "nextafter: operands must have one dtype",
    ],
    [DTypeError, () => a.mulhi(x, x), "mulhi: needs an integer dtype; got f32[2] and f32[2]"],
    [DTypeError, () => c.and(x, x), "and: needs an integer or bool dtype; got f32[2] and f32[2]"],
    [
      DTypeError,
      () => c.shiftLeft(b, b),
      "shift_left: needs an integer dtype; got bool[2] and bool[2]",
    ],
    [DTypeError, () => c.isFinite(i), "is_finite: needs a float dtype; got i32[2]"],
    [
      DTypeError,
      () => bitcastConvertType(b, "uint8"),
      "bitcastConvertType: bool has no bits of its own; got bool[2] to uint8",
    ],
    [
      ShapeError,
      () => bitcastConvertType(vector([1, 2, 3], "uint8"), "float32"),
      "bitcastConvertType: the last axis must have the 4 parts of one float32; got u8[3]",
    ],
    [
      DTypeError,
      () => reducePrecision(x, 0, 3),
      "reducePrecision: exponentBits must be a positive whole number; got 0",
    ],
    [
      DTypeError,
      () => reducePrecision(x, 5, -1),
      "reducePrecision: mantissaBits must be a whole number, at least 0; got -1",
    ],
    [
      DTypeError,
      () => reducePrecision(i, 5, 1),
      "reducePrecision: needs a float dtype; got i32[2]",
    ],
  ];
  it.each(cases)("%#", (kind, f, message) => {
    expect(f).toThrow(kind);
    expect(f).toThrow(message);
  });
});

it("the gradient of a quotient has JAX's equations", () => {
  const { jaxpr } = makeJaxpr((x: NDArray, y: NDArray) =>
    grad((v: NDArray) => total(a.div(x, v)))(y),
  )(vector([1]), vector([2]));
  expect(jaxpr.equations.map((e) => e.primitive.name)).toContain("integer_pow");
});
