/** Dynamic slices, gather and scatters: what samples do not say. */
import { describe, expect, test } from "vitest";
import "../core/eval.ts";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import type { DType } from "../core/dtype.ts";
import { DTypeError, RuleError, ShapeError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import { gather, gatherAlong, type GatherMode } from "../core/ops/gather.ts";
import { dynamicSlice, dynamicUpdateSlice } from "../core/ops/indexing.ts";
import { full, reduceSum } from "../core/ops/linear.ts";
import { scatter, scatterAdd, scatterMax, scatterMin, scatterMul } from "../core/ops/scatter.ts";
import { range } from "../core/shape.ts";
import { grad, jvp, vjp } from "../transforms/autodiff.ts";
import { vmap } from "../transforms/vmap.ts";

const array = (
  shape: readonly number[],
  values: readonly number[],
  dtype: DType = "float32",
): NDArray => fromValues(values, Aval.of(shape, dtype));
const ints = (shape: readonly number[], ...values: number[]): NDArray =>
  array(shape, values, "int32");
const floats = (...values: number[]): NDArray => array([values.length], values);
const list = (x: NDArray): number[] => Array.from(dataSync(x));
const sum = (x: NDArray): NDArray => reduceSum(x, range(x.ndim));

const elements = { offsetDims: [], collapsedSliceDims: [0], startIndexMap: [0] };
const into = { updateWindowDims: [], insertedWindowDims: [0], scatterDimsToOperandDims: [0] };
const pick = (x: NDArray, i: NDArray, mode: GatherMode): NDArray =>
  gather(x, i, { dimensionNumbers: elements, sliceSizes: [1], mode });

describe("gather", () => {
  const x = floats(1, 2, 3);
  test("indices of every integer dtype address the same elements", () => {
    for (const dtype of ["int8", "uint8", "int32", "uint32"] as const)
      expect(list(pick(x, array([2, 1], [2, 0], dtype), "clip"))).toEqual([3, 1]);
  });
  test("an unsigned index above the int32 range is beyond the end, not negative", () => {
    const i = array([1, 1], [4294967295], "uint32");
    expect(list(pick(x, i, "clip"))).toEqual([3]);
    expect(list(pick(x, i, "fill"))).toEqual([Number.NaN]);
  });
  test("the derivative of a filled element is zero", () => {
    const f = (v: NDArray): NDArray => pick(v, ints([3, 1], 0, 5, 0), "fill");
    expect(list(jvp(f, [x], [floats(10, 20, 30)])[1])).toEqual([10, 0, 10]);
    expect(list(vjp(f, x)[1](floats(1, 2, 4))[0])).toEqual([5, 0, 0]);
  });
  test("index vectors without entries name the same window each", () => {
    const numbers = { offsetDims: [1], collapsedSliceDims: [], startIndexMap: [] };
    const f = (v: NDArray): NDArray =>
      gather(v, ints([2, 0]), { dimensionNumbers: numbers, sliceSizes: [3] });
    expect(list(f(x))).toEqual([1, 2, 3, 1, 2, 3]);
    expect(list(grad((v: NDArray) => sum(f(v)))(x))).toEqual([2, 2, 2]);
  });
  test("gatherAlong of an empty batch", () => {
    const out = gatherAlong(array([0, 3], []), array([0, 2], [], "int32"), 1);
    expect(out.shape).toEqual([0, 2]);
  });
  test("grad of vmap, over both operands", () => {
    const f = (v: NDArray, i: NDArray): NDArray =>
      sum(vmap((a: NDArray, b: NDArray) => pick(a, b, "fill"), [1, 0])(v, i));
    const v = array([3, 2], [1, 2, 3, 4, 5, 6]);
    expect(list(grad(f)(v, ints([2, 2, 1], 0, 0, 2, 9)))).toEqual([2, 0, 0, 0, 0, 1]);
  });
  test("vmap over a batch of no elements", () => {
    const f = vmap((a: NDArray, i: NDArray) => pick(a, i, "clip"));
    expect(f(array([0, 3], []), array([0, 2, 1], [], "int32")).shape).toEqual([0, 2]);
  });

  const refused =
    (change: object, indices = ints([2, 1], 0, 1)): (() => unknown) =>
    () =>
      gather(x, indices, { dimensionNumbers: { ...elements, ...change }, sliceSizes: [1] });
  test("dimension numbers that do not fit", () => {
    expect(refused({ startIndexMap: [0, 1] })).toThrow(
      "gather: startIndexMap must name axes between 0 and 0; got [0,1] for operand f32[3] and indices i32[2,1]; check the dimension numbers.",
    );
    expect(refused({ startIndexMap: [] })).toThrow(
      "one operand axis for each entry of an index vector (1)",
    );
    expect(refused({ collapsedSliceDims: [] })).toThrow("for the 1 operand axes");
    expect(refused({ collapsedSliceDims: [0, 0] })).toThrow("name each axis once");
    expect(refused({ offsetDims: [1, 0] })).toThrow("in increasing order");
    expect(refused({ operandBatchingDims: [0], startIndicesBatchingDims: [0] })).toThrow(
      "collapsedSliceDims must have no axis in common with operandBatchingDims",
    );
    expect(refused({ operandBatchingDims: [0] })).toThrow(ShapeError);
    expect(refused({}, floats(1))).toThrow(DTypeError);
    expect(refused({}, ints([], 0))).toThrow("indices must have a last axis");
  });
  test("slice sizes that do not fit", () => {
    const sizes =
      (sliceSizes: number[], collapsed: number[]): (() => unknown) =>
      () =>
        gather(x, ints([1, 1], 0), {
          dimensionNumbers: {
            offsetDims: collapsed.length ? [] : [1],
            collapsedSliceDims: collapsed,
            startIndexMap: [0],
          },
          sliceSizes,
        });
    expect(sizes([4], [])).toThrow("slice sizes must lie between 0 and the operand's sizes");
    expect(sizes([2], [0])).toThrow("axes in collapsedSliceDims must have slice size 1");
    expect(sizes([1, 1], [0])).toThrow("one slice size for each operand axis");
  });
});

describe("scatter", () => {
  const x = floats(1, 2, 3);
  test("updates of no dimension reach every window in order", () => {
    const numbers = { updateWindowDims: [1], insertedWindowDims: [], scatterDimsToOperandDims: [] };
    const u = array([2, 3], [1, 2, 3, 10, 20, 30]);
    expect(list(scatterAdd(x, ints([2, 0]), u, { dimensionNumbers: numbers }))).toEqual([
      12, 24, 36,
    ]);
    expect(list(scatter(x, ints([2, 0]), u, { dimensionNumbers: numbers }))).toEqual([10, 20, 30]);
  });
  test("the cotangent goes to the update that has stayed", () => {
    const i = ints([4, 1], 1, 1, 0, 7);
    const f = (v: NDArray, u: NDArray): NDArray => scatter(v, i, u, { dimensionNumbers: into });
    const pull = vjp(f, x, floats(5, 6, 7, 8))[1];
    const [dx, du] = pull(floats(10, 20, 30));
    expect(list(dx)).toEqual([0, 0, 30]);
    expect(list(du)).toEqual([0, 20, 10, 0]);
  });
  test("−0 and NaN are stored as they are", () => {
    const out = list(
      scatter(x, ints([2, 1], 0, 2), floats(-0, Number.NaN), { dimensionNumbers: into }),
    );
    expect(out).toEqual([-0, 2, Number.NaN]);
  });
  test("an operand without elements drops every update", () => {
    const i = ints([2, 1], 0, 1);
    for (const mode of ["clip", "fill"] as const) {
      const f = (v: NDArray, u: NDArray): NDArray =>
        scatterAdd(v, i, u, { dimensionNumbers: into, mode });
      const pull = vjp(f, array([0], []), floats(1, 2))[1];
      const [dx, du] = pull(array([0], []));
      expect(dx.shape).toEqual([0]);
      expect(list(du)).toEqual([0, 0]);
    }
  });
  test("derivative of scatterMul by updates that may repeat", () => {
    const f = (u: NDArray): NDArray =>
      sum(scatterMul(x, ints([2, 1], 0, 0), u, { dimensionNumbers: into }));
    expect(() => grad(f)(floats(1, 2))).toThrow(RuleError);
    expect(() => grad(f)(floats(1, 2))).toThrow("pass uniqueIndices: true");
  });
  test("scatterMax clipped from outside has the derivative of the place where it lands", () => {
    const i = ints([2, 1], 9, -4);
    const f = (v: NDArray, u: NDArray): NDArray =>
      scatterMax(v, i, u, { dimensionNumbers: into, mode: "clip" });
    const pull = vjp(f, x, floats(5, 1))[1];
    const [dx, du] = pull(floats(10, 20, 30));
    // the last element is won by the update, the first is a tie
    expect(list(dx)).toEqual([5, 20, 0]);
    expect(list(du)).toEqual([30, 5]);
  });
  test("scatterMin leaves untouched NaN its tangent", () => {
    const f = (v: NDArray): NDArray =>
      scatterMin(v, ints([1, 1], 0), floats(0), { dimensionNumbers: into });
    expect(list(jvp(f, [floats(1, Number.NaN)], [floats(3, 4)])[1])).toEqual([0, 4]);
  });
  test("scatterMax gives NaN that stays its tangent, and none to what it hides", () => {
    const f = (v: NDArray, u: NDArray): NDArray =>
      scatterMax(v, ints([2, 1], 0, 0), u, { dimensionNumbers: into });
    const pull = vjp(f, floats(Number.NaN, 1), floats(5, 6))[1];
    const [dx, du] = pull(floats(10, 20));
    expect(list(dx)).toEqual([10, 20]);
    expect(list(du)).toEqual([0, 0]);
  });
  test("vmap over updates alone repeats the operand", () => {
    const f = (u: NDArray): NDArray =>
      scatterAdd(x, ints([1, 1], 1), u, { dimensionNumbers: into });
    expect(list(vmap(f)(array([2, 1], [10, 20])))).toEqual([1, 12, 3, 1, 22, 3]);
  });
  test("second derivative through gather of scatter", () => {
    const cube = (v: NDArray): NDArray => {
      const y = pick(v, ints([2, 1], 2, 2), "clip");
      return sum(
        scatterMul(
          v,
          ints([1, 1], 2),
          scatterAdd(full([1], 0, "float32"), ints([2, 1], 0, 0), y, { dimensionNumbers: into }),
          { dimensionNumbers: into, uniqueIndices: true },
        ),
      );
    };
    // Σ v with v₂ replaced by v₂·2v₂: the second derivative by v₂ is 4
    const second = grad((v: NDArray) => sum(grad(cube)(v)))(x);
    expect(list(second)).toEqual([0, 0, 4]);
  });
  test("misuse", () => {
    const i = ints([2, 1], 0, 1);
    expect(() => scatter(x, i, floats(1), { dimensionNumbers: into })).toThrow(
      "scatter: updates must have the batch axes of the indices and the axes of a window; got updates f32[1] for indices i32[2,1] and updateWindowDims []; check the shape of the updates.",
    );
    expect(() => scatterAdd(x, i, ints([2], 1, 2), { dimensionNumbers: into })).toThrow(DTypeError);
    const windows = {
      updateWindowDims: [1],
      insertedWindowDims: [],
      scatterDimsToOperandDims: [0],
    };
    expect(() => scatterAdd(x, i, array([2, 4], range(8)), { dimensionNumbers: windows })).toThrow(
      "a window must not be larger than the operand",
    );
    expect(() =>
      scatterAdd(array([1], [1], "bool"), i, array([2], [1, 1], "bool"), {
        dimensionNumbers: into,
      }),
    ).toThrow(DTypeError);
  });
});

describe("dynamic slices", () => {
  const x = array([2, 3], range(6));
  test("numbers and arrays as starts", () => {
    expect(list(dynamicSlice(x, [ints([], 1), 5], [1, 2]))).toEqual([4, 5]);
    expect(list(dynamicUpdateSlice(x, array([1, 1], [9]), [0, ints([], 1)]))).toEqual([
      0, 9, 2, 3, 4, 5,
    ]);
  });
  test("vmap over starts alone, over all, and over none of them", () => {
    const at = ints([3], -1, 1, 7);
    const f = (v: NDArray, s: NDArray): NDArray => dynamicSlice(v, [0, s], [2, 1]);
    expect(list(vmap(f, [null, 0])(x, at))).toEqual([0, 3, 1, 4, 2, 5]);
    expect(list(vmap(f, [1, 0])(array([2, 2, 3], range(12)), ints([2], 0, 2)))).toEqual([
      0, 6, 5, 11,
    ]);
    expect(list(vmap(f, [2, null])(array([2, 3, 2], range(12)), ints([], 1)))).toEqual([
      2, 8, 3, 9,
    ]);
    const g = (u: NDArray, s: NDArray): NDArray => dynamicUpdateSlice(floats(1, 2, 3), u, [s]);
    expect(list(vmap(g)(array([2, 2], [7, 8, 9, 10]), ints([2], 0, 9)))).toEqual([
      7, 8, 3, 1, 9, 10,
    ]);
  });
  test("grad of vmap over starts adds up where slices overlap", () => {
    const f = (v: NDArray): NDArray =>
      sum(vmap((s: NDArray) => dynamicSlice(v, [s], [2]))(ints([3], 0, 1, 1)));
    expect(list(grad(f)(floats(1, 2, 3)))).toEqual([1, 3, 2]);
  });
  test("misuse", () => {
    expect(() => dynamicSlice(x, [0], [1, 1])).toThrow(
      "dynamicSlice: there must be one start index for each axis of the operand; got 1 for f32[2,3]; give as many start indices as the operand has axes.",
    );
    expect(() => dynamicSlice(x, [0, 0], [1, 4])).toThrow(
      "slice sizes must lie between 0 and the operand's sizes",
    );
    expect(() => dynamicSlice(x, [0, ints([1], 0)], [1, 1])).toThrow(
      "start indices must be scalars",
    );
    expect(() => dynamicSlice(x, [array([], [1]), array([], [1])], [1, 1])).toThrow(DTypeError);
    expect(() => dynamicUpdateSlice(x, floats(1), [0, 0])).toThrow(
      "the update must have the rank of the operand",
    );
    expect(() => dynamicUpdateSlice(x, ints([1, 1], 1), [0, 0])).toThrow(DTypeError);
  });
});
