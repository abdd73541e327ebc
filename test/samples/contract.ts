/** Samples of contractions. */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { type DotDimensionNumbers, dotGeneral } from "../../core/ops/contract.ts";
import { sizeOf } from "../../core/shape.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

/** Small multiples of 1/8: sums of their products are exact, so that they do not depend on the order. */
export const eighths = (shape: readonly number[], dtype: DType = "float32", seed = 0): Arg =>
  arg(
    shape,
    dtype,
    Array.from({ length: sizeOf(shape) }, (_, i) => (((i + seed) * 13 + 5 * seed) % 31) - 15).map(
      (n) => n / 8,
    ),
  );

const tuple = (list: readonly number[]): string => `(${list.map((n) => `${n},`).join("")})`;
function dot(
  name: string,
  x: Arg,
  y: Arg,
  { contract, batch = [[], []] }: DotDimensionNumbers,
  preferredElementType?: DType,
): Sample {
  const pair = (p: readonly [readonly number[], readonly number[]]): string =>
    `(${tuple(p[0])}, ${tuple(p[1])})`;
  const preferred =
    preferredElementType === undefined ? "" : `, preferred_element_type="${preferredElementType}"`;
  return {
    primitive: "dot_general",
    name,
    args: [x, y],
    apply: (a, b) =>
      dotGeneral(a as NDArray, b as NDArray, { contract, batch }, { preferredElementType }),
    jax: `lax.dot_general(a, b, (${pair(contract)}, ${pair(batch)})${preferred})`,
  };
}
const matmul: DotDimensionNumbers = { contract: [[1], [0]] };
const outer: DotDimensionNumbers = { contract: [[], []] };
const batched: DotDimensionNumbers = { contract: [[2], [1]], batch: [[0], [0]] };

export const samples: readonly Sample[] = [
  dot("matrices", eighths([3, 4]), eighths([4, 2], "float32", 1), matmul),
  dot("vectors", eighths([5]), eighths([5], "float32", 1), { contract: [[0], [0]] }),
  dot("the lhs transposed", eighths([4, 3], "float64"), eighths([4, 2], "float64", 1), {
    contract: [[0], [0]],
  }),
  dot("the rhs transposed", eighths([3, 4], "float64"), eighths([2, 4], "float64", 1), {
    contract: [[1], [1]],
  }),
  dot("outer product", eighths([3]), eighths([2], "float32", 1), outer),
  dot("scalars", eighths([]), eighths([], "float32", 1), outer),
  dot("a scalar and a matrix", eighths([]), eighths([2, 3], "float32", 1), outer),
  dot("a batch of matrices", eighths([2, 3, 4]), eighths([2, 4, 2], "float32", 1), batched),
  dot("batch axes last, in another order", eighths([3, 2, 4]), eighths([4, 3, 2], "float32", 1), {
    contract: [[], []],
    batch: [
      [1, 2],
      [2, 0],
    ],
  }),
  dot(
    "two contracted axes, in another order",
    eighths([2, 3, 4]),
    eighths([4, 5, 2], "float32", 1),
    {
      contract: [
        [0, 2],
        [2, 0],
      ],
    },
  ),
  dot(
    "batch and two free axes on both sides",
    eighths([3, 2, 4, 2]),
    eighths([2, 3, 2, 4], "float32", 1),
    { contract: [[2], [3]], batch: [[1], [2]] },
  ),
  dot("nothing but batch axes", eighths([2, 3]), eighths([2, 3], "float32", 1), {
    contract: [[], []],
    batch: [
      [0, 1],
      [0, 1],
    ],
  }),
  dot("axes of size 1", eighths([1, 4]), eighths([4, 1], "float32", 1), matmul),
  dot("nothing to sum", eighths([3, 0]), eighths([0, 2], "float32", 1), matmul),
  dot("no elements", eighths([0, 3]), eighths([3, 2], "float32", 1), matmul),
  dot("an empty batch", eighths([0, 2, 3]), eighths([0, 3, 2], "float32", 1), batched),
  {
    ...dot(
      "NaN and infinities",
      arg([2, 2], "float32", [1, NaN, Infinity, 0]),
      arg([2, 2], "float32", [0, 1, 0, -1]),
      matmul,
    ),
    noNumericGrad: "NaN has no derivative",
  },
  {
    ...dot(
      "rounded products",
      arg([2, 8], "float32", { range: [1, 2] }),
      arg([8, 2], "float32", { range: [1, 2] }),
      matmul,
    ),
    // a sum of 8 positive products, each step rounded
    ulp: 8,
  },
  dot("float16", eighths([2, 8], "float16"), eighths([8, 2], "float16", 1), matmul),
  dot("bfloat16", eighths([2, 8], "bfloat16"), eighths([8, 2], "bfloat16", 1), matmul),
  dot(
    "bfloat16 into float32",
    eighths([2, 8], "bfloat16"),
    eighths([8, 2], "bfloat16", 1),
    matmul,
    "float32",
  ),
  dot("float32 into float64", eighths([2, 8]), eighths([8, 2], "float32", 1), matmul, "float64"),
  dot("integers", arg([2, 3], "int32"), arg([3, 2], "int32"), matmul),
  dot("integers wrap", arg([1, 2], "int8", [100, 100]), arg([2, 1], "int8", [2, 1]), matmul),
  dot(
    "int8 into int32",
    arg([1, 2], "int8", [100, 100]),
    arg([2, 1], "int8", [2, 1]),
    matmul,
    "int32",
  ),
  dot("unsigned", arg([2, 3], "uint32", { range: [0, 4294967295] }), arg([3, 2], "uint32"), matmul),
];
