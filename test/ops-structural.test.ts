/** Data movement and selection: what the samples do not say. */
import { describe, expect, it } from "vitest";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import type { DType } from "../core/dtype.ts";
import "../core/eval.ts";
import { DTypeError, ShapeError } from "../core/errors.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import { mul } from "../core/ops/arithmetic.ts";
import { full, reduceSum } from "../core/ops/linear.ts";
import * as s from "../core/ops/structural.ts";
import { range, sizeOf } from "../core/shape.ts";
import { grad, jvp, vjp } from "../transforms/autodiff.ts";
import { makeJaxpr } from "../transforms/jit.ts";
import { vmap } from "../transforms/vmap.ts";

const array = (
  shape: readonly number[],
  values: readonly number[],
  d: DType = "float32",
): NDArray => fromValues(values, Aval.of(shape, d));
const counted = (shape: readonly number[], d: DType = "float32"): NDArray =>
  array(shape, range(sizeOf(shape)), d);
const list = (x: NDArray): number[] => Array.from(dataSync(x) as ArrayLike<number>);
const total = (x: NDArray): NDArray => reduceSum(x, range(x.ndim));

describe("bounds in one dimension", () => {
  const x = counted([5]);
  it("count from the end when negative", () => {
    expect(list(s.sliceInDim(x, -3, -1))).toEqual([2, 3]);
    expect(list(s.sliceInDim(x, null, null, 2))).toEqual([0, 2, 4]);
    expect(list(s.sliceInDim(counted([2, 3]), 1, 3, 1, -1))).toEqual([1, 2, 4, 5]);
  });
  it("take one element with or without its axis", () => {
    const m = counted([2, 3]);
    expect(s.indexInDim(m, -1, 1).shape).toEqual([2, 1]);
    expect(s.indexInDim(m, -1, 1, false).shape).toEqual([2]);
    expect(list(s.indexInDim(m, -1, 1, false))).toEqual([2, 5]);
  });
  it("are checked", () => {
    expect(() => s.indexInDim(x, 5)).toThrow(
      "indexInDim: index must be a whole number between -5 and 4; got 5 on axis 0 of f32[5]",
    );
    expect(() => s.sliceInDim(x, 2, 6)).toThrow(ShapeError);
    expect(() => s.sliceInDim(x, 0, 5, 1, 1)).toThrow("axis must be an integer between -1 and 0");
  });
});

describe("composites", () => {
  it("stack and unstack undo each other along every axis", () => {
    const parts = [counted([2, 3]), array([2, 3], [9, 8, 7, 6, 5, 4])];
    for (const axis of [0, 1, 2]) {
      const stacked = s.stack(parts, axis);
      expect(stacked.shape).toEqual([2, 3].toSpliced(axis, 0, 2));
      expect(s.unstack(stacked, axis).map(list)).toEqual(parts.map(list));
    }
  });
  it("select takes the true side first", () => {
    const test = array([3], [1, 0, 1], "bool");
    expect(list(s.select(test, array([3], [1, 2, 3]), array([3], [-1, -2, -3])))).toEqual([
      1, -2, 3,
    ]);
  });
  it("a single array concatenates to itself", () => {
    const x = counted([2]);
    expect(s.concatenate([x], 0)).toBe(x);
  });
  it("many arrays concatenate", () => {
    const parts = range(37).map((i) =>
      array(
        [i % 3],
        range(i % 3).map(() => i),
      ),
    );
    expect(list(s.concatenate(parts, 0))).toEqual(
      range(37).flatMap((i) => range(i % 3).map(() => i)),
    );
  });
});

describe("derivatives", () => {
  it("of the padding value sum over the padding only", () => {
    const f = (v: NDArray): NDArray =>
      total(s.pad(full([2], Number.POSITIVE_INFINITY, "float32"), v, [[1, 2, 3]]));
    // 8 elements, of which 2 are infinite operands: their cotangents must not leak in
    expect(grad(f)(new Literal(0, "float32")).aval.shape).toEqual([]);
    expect(list(grad(f)(array([], [0])))).toEqual([6]);
  });
  it("stay zero through stopGradient and integers", () => {
    const f = (x: NDArray): NDArray => total(mul(x, s.stopGradient(x)));
    expect(list(grad(f)(array([2], [3, 4])))).toEqual([3, 4]);
    const { jaxpr } = makeJaxpr((x: NDArray) => jvp(s.stopGradient, [x], [x])[1])(counted([2]));
    expect(jaxpr.equations.map((e) => e.primitive.name)).not.toContain("mul");
  });
  it("of select: NaN in the case that is not taken does no harm", () => {
    const which = array([2], [1, 0], "bool");
    const nan = full([2], Number.NaN, "float32");
    const f = (x: NDArray): NDArray => total(s.selectN(which, [nan, x]));
    expect(list(grad(f)(counted([2])))).toEqual([1, 0]);
  });
  it("of an out-of-range selector belong to the case that was picked", () => {
    const which = array([3], [-1, 1, 9], "int32");
    const cases = range(3).map(() => counted([3]));
    const [, pull] = vjp((...xs: NDArray[]) => s.selectN(which, xs), ...cases);
    const cts = pull(array([3], [5, 6, 7])) as unknown as NDArray[];
    expect(cts.map(list)).toEqual([
      [5, 0, 0],
      [0, 6, 0],
      [0, 0, 7],
    ]);
  });
  it("of clamp by scalar bounds collect what was cut off", () => {
    const x = array([5], [-3, -1, 0.5, 1, 4]);
    const f = (low: NDArray, high: NDArray): NDArray => total(s.clamp(low, x, high));
    const bounds = [array([], [-1]), array([], [1])] as const;
    expect(grad(f, { argnums: [0, 1] })(...bounds).map(list)).toEqual([[1], [1]]);
  });
  it("of a concatenation with a constant need one slice", () => {
    const f = (x: NDArray): NDArray => s.concatenate([counted([3]), x], 0);
    const { jaxpr } = makeJaxpr((x: NDArray, ct: NDArray) => vjp(f, x)[1](ct))(
      counted([2]),
      counted([5]),
    );
    const names = jaxpr.equations.map((e) => e.primitive.name);
    expect(names).toContain("slice");
    expect(names).not.toContain("split");
  });
});

describe("batching", () => {
  it("commutes with differentiation", () => {
    const f = (x: NDArray, v: NDArray): NDArray =>
      total(mul(s.pad(x, v, [[1, -1, 1]]), counted([5])));
    const x = counted([4, 3]);
    const v = array([4], [1, 2, 3, 4]);
    const both = vmap(grad(f, { argnums: [0, 1] }))(x, v) as unknown as NDArray[];
    const one = grad(f, { argnums: [0, 1] })(
      s.indexInDim(x, 2, 0, false),
      s.indexInDim(v, 2, 0, false),
    );
    expect(both.map((g) => list(s.indexInDim(g, 2, 0, false)))).toEqual(one.map(list));
  });
  it("of a scalar selector repeats it, of array cases it does not", () => {
    const which = array([2], [1, 0], "bool");
    const cases = [counted([3]), array([3], [-1, -2, -3])];
    const out = vmap((w: NDArray) => s.selectN(w, cases))(which);
    expect(list(out)).toEqual([-1, -2, -3, 0, 1, 2]);
    const { jaxpr } = makeJaxpr(vmap((w: NDArray, x: NDArray) => s.selectN(w, [x, x]), [null, 0]))(
      array([], [1], "bool"),
      counted([2, 3]),
    );
    expect(jaxpr.equations.map((e) => e.primitive.name)).toEqual(["select_n"]);
  });
});

describe("misuse", () => {
  const x = counted([2, 3]);
  const zero = new Literal(0, "float32");
  const cases: readonly (readonly [string, () => unknown, string])[] = [
    [
      "rev",
      () => s.rev(x, [0, 0]),
      "rev: dimensions must be distinct and between 0 and 1; got [0,0] for f32[2,3]",
    ],
    ["rev", () => s.rev(x, [-1]), "got [-1] for f32[2,3]"],
    [
      "slice",
      () => s.slice(x, [0], [1]),
      "slice: startIndices must name each of the 2 axes once; got [0] for f32[2,3]",
    ],
    [
      "slice",
      () => s.slice(x, [0, 2], [2, 1]),
      "slice: bounds must satisfy 0 ≤ start ≤ limit ≤ size; got start 2, limit 1 on axis 1",
    ],
    [
      "slice",
      () => s.slice(x, [0, 0], [2, 3], [1, 0]),
      "slice: strides must be positive; got stride 0 on axis 1",
    ],
    [
      "slice",
      () => s.slice(x, [0, 0.5], [2, 3]),
      "slice: startIndices must be whole numbers; got [0,0.5]",
    ],
    [
      "pad",
      () =>
        s.pad(x, x, [
          [0, 0, 0],
          [0, 0, 0],
        ]),
      "pad: the padding value must be a scalar; got f32[2,3]",
    ],
    [
      "pad",
      () => s.pad(x, zero, [[0, 0, 0]]),
      "pad: needs [low, high, interior] for each of the 2 axes; got 1",
    ],
    [
      "pad",
      () =>
        s.pad(x, zero, [
          [0, 0, -1],
          [0, 0, 0],
        ]),
      "pad: interior must not be negative",
    ],
    [
      "pad",
      () =>
        s.pad(x, zero, [
          [-2, -1, 0],
          [0, 0, 0],
        ]),
      "pad: no more can be taken away than there is; got [-2,-1,0] on axis 0",
    ],
    ["concatenate", () => s.concatenate([], 0), "concatenate: needs at least one operand"],
    [
      "concatenate",
      () => s.concatenate([zero, zero], 0),
      "concatenate: scalars have no axis to be joined along; got dimension 0 for f32[]; use stack",
    ],
    [
      "concatenate",
      () => s.concatenate([x, counted([2, 2])], 0),
      "concatenate: shapes must agree except along axis 0; got f32[2,3] and f32[2,2]",
    ],
    [
      "split",
      () => s.split(x, [1, 1], 1),
      "split: sizes must not be negative and must add up to the size of the axis; got [1,1] on axis 1",
    ],
    [
      "tile",
      () => s.tile(x, [2]),
      "tile: reps must be a non-negative whole number for each of the 2 axes; got [2]",
    ],
    [
      "iota",
      () => s.iota({ dtype: "float32", shape: [3], dimension: 1 }),
      "iota: dimension must be between 0 and 0; got dimension 1 for shape [3]",
    ],
    [
      "select",
      () => s.selectN(counted([2], "bool"), [x, x]),
      "selectN: which must be a scalar or have the shape of the cases; got bool[2] and f32[2,3]",
    ],
    [
      "select",
      () => s.selectN(counted([2, 3], "bool"), [x, counted([2])]),
      "selectN: the cases must have one shape and dtype; got f32[2,3] and f32[2]",
    ],
    [
      "clamp",
      () => s.clamp(counted([3]), x, zero),
      "clamp: a bound must be a scalar or have the shape of the operand; got f32[3] and f32[2,3] and f32[]",
    ],
  ];
  it.each(cases)("%s %#", (_op, f, message) => {
    expect(f).toThrow(ShapeError);
    expect(f).toThrow(message);
  });
  const wrongTypes: readonly (readonly [string, () => unknown, string])[] = [
    [
      "pad",
      () =>
        s.pad(x, new Literal(0, "int32"), [
          [0, 0, 0],
          [0, 0, 0],
        ]),
      "pad: the operand and the padding value must have one dtype; got f32[2,3] and i32[]",
    ],
    [
      "concatenate",
      () => s.concatenate([x, counted([2, 3], "int32")], 0),
      "concatenate: operands must have one dtype; got f32[2,3] and i32[2,3]",
    ],
    [
      "iota",
      () => s.iota({ dtype: "bool", shape: [3], dimension: 0 }),
      "iota: needs a number dtype; got bool",
    ],
    [
      "select",
      () => s.selectN(x, [x, x]),
      "selectN: which must be bool or an integer; got f32[2,3]",
    ],
    [
      "select",
      () => s.selectN(counted([2, 3], "bool"), [x, x, x]),
      "selectN: a bool chooses between two cases; got bool[2,3] and 3 cases",
    ],
    [
      "select",
      () => s.selectN(counted([2, 3], "bool"), [x, counted([2, 3], "int32")]),
      "got f32[2,3] and i32[2,3]",
    ],
    [
      "clamp",
      () => s.clamp(new Literal(0, "int32"), x, zero),
      "clamp: operands must have one dtype",
    ],
  ];
  it.each(wrongTypes)("%s %#, dtypes", (_op, f, message) => {
    expect(f).toThrow(DTypeError);
    expect(f).toThrow(message);
  });
  it("the message is the same under vmap", () => {
    expect(() => vmap((v: NDArray) => s.rev(v, [1]))(x)).toThrow(
      "rev: dimensions must be distinct and between 0 and 0; got [1] for f32[3]",
    );
  });
});
