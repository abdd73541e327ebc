/** Contractions and convolutions: what samples do not say. */
import { describe, expect, test } from "vitest";
import "../core/eval.ts";
import { dataSync, fromValues } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import type { DType } from "../core/dtype.ts";
import { DTypeError, ShapeError } from "../core/errors.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import { type DotDimensionNumbers, dotGeneral, dotGeneralP } from "../core/ops/contract.ts";
import {
  conv,
  convGeneralDilated,
  convGeneralDilatedP,
  type ConvOptions,
  convTranspose,
  convWithGeneralPadding,
  type Padding,
  type PaddingKind,
} from "../core/ops/conv.ts";
import { reduceSum, reshape } from "../core/ops/linear.ts";
import { mul } from "../core/ops/arithmetic.ts";
import { broadcastTo } from "../core/numpy/promote.ts";
import { range, sizeOf } from "../core/shape.ts";
import { grad, vjp } from "../transforms/autodiff.ts";
import { jit } from "../transforms/jit.ts";
import { vmap } from "../transforms/vmap.ts";

/** Whole numbers −3 … 3: sums of their products are exact. */
const whole = (shape: readonly number[], dtype: DType = "float32", seed = 0): NDArray =>
  fromValues(
    range(sizeOf(shape)).map((i) => ((i * 5 + seed * 3) % 7) - 3),
    Aval.of(shape, dtype),
  );
const list = (x: NDArray): number[] => Array.from(dataSync(x));
const sum = (x: NDArray): NDArray => reduceSum(x, range(x.ndim));
const matmul: DotDimensionNumbers = { contract: [[1], [0]] };

describe("dot", () => {
  test("an operand that is broadcast is read where it lies, with steps of 0", () => {
    for (const [m, n, k] of [
      [1, 24, 24],
      [2, 24, 24],
      [24, 1, 24],
      [8, 8, 8],
      [40, 33, 70],
      [3, 9000, 40],
    ] as const) {
      const row = whole([n], "float32", 1);
      const column = whole([k], "float32", 2);
      const left = whole([m, k]);
      const byRow = jit((x: NDArray, v: NDArray) => dotGeneral(x, broadcastTo(v, [k, n]), matmul))(
        left,
        row,
      );
      const byColumn = jit((x: NDArray, v: NDArray) =>
        dotGeneral(x, broadcastTo(reshape(v, [k, 1]), [k, n]), matmul),
      )(left, column);
      const [a, b, c] = [list(left), list(row), list(column)];
      const rowSum = (i: number, factor: (p: number) => number): number =>
        range(k).reduce((sum, p) => sum + (a[i * k + p] as number) * factor(p), 0);
      const wantRow = range(m).flatMap((i) => {
        const s = rowSum(i, () => 1);
        return b.map((y) => s * y + 0);
      });
      const wantColumn = range(m).flatMap((i) => {
        const s = rowSum(i, (p) => c[p] as number);
        return range(n).map(() => s + 0);
      });
      expect(list(byRow).map((x) => x + 0)).toEqual(wantRow);
      expect(list(byColumn).map((x) => x + 0)).toEqual(wantColumn);
    }
  });
  test("the cotangent has the dtype of the operand, whatever the result's", () => {
    for (const [dtype, preferred] of [
      ["bfloat16", "float32"],
      ["float32", "bfloat16"],
      ["bfloat16", "float16"],
      ["float32", "float64"],
    ] as const) {
      const f = (a: NDArray, b: NDArray): NDArray =>
        dotGeneral(a, b, matmul, { preferredElementType: preferred });
      const [x, y] = [whole([2, 3], dtype), whole([3, 2], dtype, 1)];
      const [out, pull] = vjp(f, x, y);
      expect(out.dtype).toBe(preferred);
      const [dx, dy] = pull(whole([2, 2], preferred, 2));
      const [ex, ey] = vjp(
        (a: NDArray, b: NDArray) => dotGeneral(a, b, matmul),
        whole([2, 3], "float64"),
        whole([3, 2], "float64", 1),
      )[1](whole([2, 2], "float64", 2));
      expect([dx.dtype, dy.dtype]).toEqual([dtype, dtype]);
      expect([list(dx), list(dy)]).toEqual([list(ex), list(ey)]);
    }
  });
  test("weakly typed operands give a weak result, beside a strong one they do not", () => {
    const numbers: DotDimensionNumbers = { contract: [[], []] };
    const weak = new Literal(2, "float32", true);
    expect(dotGeneral(weak, weak, numbers).weakType).toBe(true);
    expect(dotGeneral(weak, whole([2]), numbers).weakType).toBe(false);
  });
  test("a mapped axis becomes a batch axis, or a free axis of its operand", () => {
    const [avals, p] = [
      [Aval.of([2, 3], "float32"), Aval.of([3, 4], "float32")] as const,
      {
        dimensionNumbers: { contract: [[1], [0]], batch: [[], []] },
        preferredElementType: null,
      } as const,
    ];
    expect(String(dotGeneralP.shape(avals, p)[0])).toBe("f32[2,4]");
    const f = (a: NDArray, b: NDArray): NDArray => dotGeneral(a, b, matmul);
    const [x, y] = [whole([2, 5, 3]), whole([3, 4], "float32", 1)];
    const out = vmap(f, [1, null], { outAxes: 2 })(x, y);
    expect(out.shape).toEqual([2, 4, 5]);
    expect(vmap(f, [1, 0])(x, whole([5, 3, 4])).shape).toEqual([5, 2, 4]);
    expect(vmap(f, [null, 2])(whole([2, 3]), whole([3, 4, 0])).shape).toEqual([0, 2, 4]);
  });
  test("second derivative of a quadratic form is its symmetrised matrix", () => {
    const a = whole([3, 3]);
    const dot = (x: NDArray, y: NDArray): NDArray => dotGeneral(x, y, { contract: [[0], [0]] });
    const form = (x: NDArray): NDArray => dot(x, dotGeneral(a, x, { contract: [[1], [0]] }));
    const hessian = vmap((e: NDArray) => grad((x: NDArray) => dot(grad(form)(x), e))(whole([3])))(
      fromValues([1, 0, 0, 0, 1, 0, 0, 0, 1], Aval.of([3, 3], "float32")),
    );
    const v = list(a);
    expect(list(hessian)).toEqual(
      range(9).map((k) => (v[k] as number) + (v[(k % 3) * 3 + Math.floor(k / 3)] as number)),
    );
  });
  test("misuse", () => {
    const dot =
      (x: NDArray, y: NDArray, d: DotDimensionNumbers): (() => unknown) =>
      () =>
        dotGeneral(x, y, d);
    expect(dot(whole([2, 3]), whole([4, 5]), matmul)).toThrow(
      new ShapeError(
        "dot: contracted sizes must match; got lhs f32[2,3] axis 1 = 3, rhs f32[4,5] axis 0 = 4; check operand order.",
      ),
    );
    expect(dot(whole([2, 3]), whole([4, 3]), { contract: [[1], [1]], batch: [[0], [0]] })).toThrow(
      "batch sizes must match",
    );
    expect(dot(whole([2, 3]), whole([3, 2]), { contract: [[2], [0]] })).toThrow(
      "contracted and batch axes must be distinct axes of the lhs",
    );
    expect(dot(whole([2, 3]), whole([3, 2]), { contract: [[1], [0]], batch: [[0], [0]] })).toThrow(
      "axes of the rhs",
    );
    expect(dot(whole([2, 3]), whole([3, 2]), { contract: [[0, 1], [1]] })).toThrow(
      "both operands must have the same number of contracted axes",
    );
    expect(dot(whole([2, 3]), whole([3, 2], "float64"), matmul)).toThrow(DTypeError);
    const preferred =
      (dtype: DType, to: DType): (() => unknown) =>
      () =>
        dotGeneral(whole([1, 1], dtype), whole([1, 1], dtype), matmul, {
          preferredElementType: to,
        });
    expect(preferred("float32", "int32")).toThrow(DTypeError);
    expect(preferred("int32", "int8")).toThrow(DTypeError);
  });
});

describe("convolution", () => {
  test("with a window as large as the input it is a contraction", () => {
    const [x, w] = [whole([2, 3, 4, 2]), whole([5, 3, 4, 2], "float32", 1)];
    const out = convGeneralDilated(x, w, [1, 1], "VALID");
    expect(out.shape).toEqual([2, 5, 1, 1]);
    expect(list(out)).toEqual(
      list(
        dotGeneral(x, w, {
          contract: [
            [1, 2, 3],
            [1, 2, 3],
          ],
        }),
      ),
    );
  });
  test("a convolution of long filters is a polynomial product", () => {
    const out = convGeneralDilated(
      fromValues([1, 2, 3], Aval.of([1, 1, 3], "float64")),
      fromValues([5, 4], Aval.of([1, 1, 2], "float64")),
      [1],
      [[1, 1]],
    );
    // (1 + 2x + 3x²)(4 + 5x)
    expect(list(out)).toEqual([4, 13, 22, 15]);
  });
  test("wrappers", () => {
    const [x, w] = [whole([1, 2, 7]), whole([3, 2, 3], "float32", 1)];
    const options: ConvOptions = { lhsDilation: [2], rhsDilation: [3] };
    expect(list(conv(x, w, [2], "SAME"))).toEqual(list(convGeneralDilated(x, w, [2], "SAME")));
    expect(list(convWithGeneralPadding(x, w, [2], [[3, 1]], [2], [3]))).toEqual(
      list(convGeneralDilated(x, w, [2], [[3, 1]], options)),
    );
    expect(conv(x, w, [2], "SAME", { preferredElementType: "float64" }).dtype).toBe("float64");
  });
  test("convTranspose with the kernel transposed is the gradient of a convolution", () => {
    const layouts = ["NHWC", "HWIO", "NHWC"] as const;
    const w = whole([3, 2, 2, 4]);
    for (const [padding, strides] of [
      ["SAME", [2, 1]],
      ["VALID", [1, 2]],
      [
        [
          [1, 0],
          [1, 1],
        ],
        [1, 1],
      ],
    ] as const) {
      const forward = (x: NDArray): NDArray =>
        convGeneralDilated(x, w, strides, padding, { dimensionNumbers: layouts });
      const x = whole([1, 6, 6, 2]);
      const [y, pull] = vjp(forward, x);
      const ct = whole(y.shape, "float32", 3);
      const back = convTranspose(ct, w, strides, padding, {
        transposeKernel: true,
        useConsistentPadding: true,
      });
      expect(back.shape).toEqual(x.shape);
      expect(list(back)).toEqual(list(pull(ct)[0]));
    }
  });
  test("each kind of group under each kind of vmap, and its derivative", () => {
    for (const groups of [{}, { featureGroupCount: 2 }, { batchGroupCount: 2 }]) {
      const features = "featureGroupCount" in groups ? 2 : 1;
      const f = (x: NDArray, w: NDArray): NDArray =>
        convGeneralDilated(x, w, [2], [[2, -1]], { lhsDilation: [2], rhsDilation: [2], ...groups });
      const [x, w] = [whole([3, 4, 2, 5]), whole([4, 3, 2 / features, 2], "float32", 1)];
      for (const axes of [
        [0, 1],
        [0, null],
        [null, 1],
      ] as const) {
        const args = [
          axes[0] === null ? whole([4, 2, 5]) : x,
          axes[1] === null ? whole([4, 2 / features, 2]) : w,
        ] as const;
        const part = (v: NDArray, axis: number | null, k: number): NDArray => {
          if (axis === null) return v;
          const n = v.shape[axis] as number;
          const inner = sizeOf(v.shape.slice(axis + 1));
          return fromValues(
            list(v).filter((_, i) => Math.floor(i / inner) % n === k),
            v.aval.with({ shape: v.shape.filter((_, i) => i !== axis) }),
          );
        };
        const each = range(3).map(
          (k) => [part(args[0], axes[0], k), part(args[1], axes[1], k)] as const,
        );
        expect(list(vmap(f, axes)(...args))).toEqual(each.flatMap(([a, b]) => list(f(a, b))));
        const square = (a: NDArray, b: NDArray): NDArray => sum(mul(f(a, b), f(a, b)));
        const both = grad(square, { argnums: [0, 1] });
        const batched = vmap(both, axes)(...args) as readonly NDArray[];
        const single = each.map(([a, b]) => both(a, b) as readonly NDArray[]);
        batched.forEach((g, i) => {
          expect(list(g)).toEqual(single.flatMap((s) => list(s[i] as NDArray)));
        });
      }
    }
  });
  test("vmap over a batch of no elements", () => {
    const f = (x: NDArray, w: NDArray): NDArray => convGeneralDilated(x, w, [1], "VALID");
    expect(vmap(f)(whole([0, 1, 2, 5]), whole([0, 3, 2, 2])).shape).toEqual([0, 1, 3, 4]);
    expect(vmap(f, [null, 0])(whole([1, 2, 5]), whole([0, 3, 2, 2])).shape).toEqual([0, 1, 3, 4]);
  });
  test("the gradient of a result without elements is zero", () => {
    const f = (x: NDArray, w: NDArray): NDArray => convGeneralDilated(x, w, [1], "VALID");
    const [dx, dw] = vjp(f, whole([1, 1, 2]), whole([1, 1, 3]))[1](whole([1, 1, 0]));
    expect([list(dx), list(dw)]).toEqual([
      [0, 0],
      [0, 0, 0],
    ]);
  });
  test("a layout by letters is a layout by axes", () => {
    const p = convGeneralDilatedP.shape(
      [Aval.of([3, 8, 9, 2], "float32"), Aval.of([3, 3, 2, 4], "float32")],
      {
        windowStrides: [1, 2],
        padding: [
          [0, 0],
          [0, 0],
        ],
        lhsDilation: [1, 1],
        rhsDilation: [1, 1],
        dimensionNumbers: { lhsSpec: [0, 3, 1, 2], rhsSpec: [3, 2, 0, 1], outSpec: [0, 3, 1, 2] },
        featureGroupCount: 1,
        batchGroupCount: 1,
        preferredElementType: null,
      },
    )[0];
    expect(String(p)).toBe("f32[3,6,4,4]");
    const y = convGeneralDilated(whole([3, 8, 9, 2]), whole([3, 3, 2, 4]), [1, 2], "VALID", {
      dimensionNumbers: ["NHWC", "HWIO", "NHWC"],
    });
    expect(y.shape).toEqual([3, 6, 4, 4]);
  });
  test("misuse", () => {
    const x = whole([2, 4, 5]);
    const w = whole([6, 4, 3]);
    const run =
      (
        change: ConvOptions,
        padding: PaddingKind | readonly Padding[] = "VALID",
        strides: readonly number[] = [1],
        rhs = w,
      ): (() => unknown) =>
      () =>
        convGeneralDilated(x, rhs, strides, padding, change);
    expect(run({}, "VALID", [1], whole([6, 3, 3]))).toThrow(
      "convGeneralDilated: the lhs features of a group must match the rhs input features; got lhs f32[2,4,5] axis 1 = 4 in 1 group, rhs f32[6,3,3] axis 1 = 3; check dimensionNumbers and featureGroupCount.",
    );
    expect(run({}, "VALID", [1], whole([6, 4]))).toThrow("lhs and rhs must have the same rank");
    expect(run({}, "VALID", [1, 1])).toThrow(
      "windowStrides must have a positive integer for each of the 1 spatial axes",
    );
    expect(run({}, "VALID", [0])).toThrow(ShapeError);
    expect(run({}, [[-3, -3]])).toThrow("negative padding must not cut off more than there is");
    expect(run({}, [])).toThrow(
      "padding must have a pair of integers for each of the 1 spatial axes",
    );
    expect(run({}, "FULL" as PaddingKind)).toThrow(
      'padding must be "SAME", "SAME_LOWER", "VALID" or a list of pairs',
    );
    expect(run({ lhsDilation: [2] }, "SAME")).toThrow(
      "padding must be given as pairs where the lhs is dilated",
    );
    expect(run({ featureGroupCount: 4 }, "VALID", [1], whole([6, 1, 3]))).toThrow(
      "must divide the rhs output features",
    );
    expect(run({ batchGroupCount: 3 })).toThrow("batchGroupCount must divide the lhs batch");
    expect(run({ batchGroupCount: 0 })).toThrow("batchGroupCount must be a positive integer");
    expect(run({ batchGroupCount: 2, featureGroupCount: 2 })).toThrow(
      "only one of featureGroupCount and batchGroupCount",
    );
    expect(run({ dimensionNumbers: ["NCW", "OIH", "NCW"] })).toThrow(
      "all layouts must have the same spatial letters",
    );
    expect(run({ dimensionNumbers: ["NCWH", "OIW", "NCW"] })).toThrow("one letter for each axis");
    expect(run({ dimensionNumbers: ["NXW", "OIW", "NCW"] })).toThrow(
      "a layout must name the axes N and C",
    );
    expect(run({ dimensionNumbers: ["NCC", "OIW", "NCW"] })).toThrow(
      "the letters of a layout must be distinct",
    );
    expect(
      run({ dimensionNumbers: { lhsSpec: [0, 1, 1], rhsSpec: [0, 1, 2], outSpec: [0, 1, 2] } }),
    ).toThrow("lhsSpec must name each of the 3 axes once");
    expect(run({}, "VALID", [1], whole([6, 4, 3], "float64"))).toThrow(DTypeError);
    expect(() =>
      convTranspose(whole([1, 2, 3, 4, 5, 6]), whole([1, 2, 3, 4, 5, 6]), [1, 1, 1, 1], "SAME"),
    ).toThrow("between 2 and 5 without dimensionNumbers");
  });
});
