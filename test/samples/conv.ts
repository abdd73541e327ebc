/** Samples of convolutions. */
import type { NDArray } from "../../core/ndarray.ts";
import {
  convGeneralDilated,
  type ConvOptions,
  convTranspose,
  type ConvTransposeOptions,
  type Padding,
  type PaddingKind,
} from "../../core/ops/conv.ts";
import { eighths } from "./contract.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const tuple = (list: readonly number[]): string => `(${list.map((n) => `${n},`).join("")})`;
const python = (value: unknown): string =>
  typeof value === "string"
    ? `"${value}"`
    : typeof value === "boolean"
      ? value
        ? "True"
        : "False"
      : Array.isArray(value)
        ? `(${value.map((v) => `${python(v)},`).join("")})`
        : String(value);
/** Options as Python keywords. */
const keywords = (options: object): string =>
  Object.entries(options)
    .map(([k, v]) => `, ${k.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}=${python(v)}`)
    .join("");
type Pads = PaddingKind | readonly Padding[];
function conv(
  name: string,
  x: Arg,
  w: Arg,
  strides: readonly number[],
  padding: Pads,
  options: ConvOptions = {},
): Sample {
  return {
    primitive: "conv_general_dilated",
    name,
    args: [x, w],
    apply: (a, b) => convGeneralDilated(a as NDArray, b as NDArray, strides, padding, options),
    jax: `lax.conv_general_dilated(a, b, ${tuple(strides)}, ${python(padding)}${keywords(options)})`,
  };
}
function transposed(
  name: string,
  x: Arg,
  w: Arg,
  strides: readonly number[],
  padding: Pads,
  options: ConvTransposeOptions = {},
): Sample {
  return {
    primitive: "conv_general_dilated",
    name,
    args: [x, w],
    apply: (a, b) => convTranspose(a as NDArray, b as NDArray, strides, padding, options),
    jax: `lax.conv_transpose(a, b, ${tuple(strides)}, ${python(padding)}${keywords(options)})`,
  };
}

export const samples: readonly Sample[] = [
  conv("1-d", eighths([2, 3, 7]), eighths([4, 3, 3], "float32", 1), [1], "VALID"),
  conv(
    "1-d, every option",
    eighths([1, 2, 5], "float64"),
    eighths([2, 2, 2], "float64", 1),
    [2],
    [[2, 1]],
    { lhsDilation: [3], rhsDilation: [2] },
  ),
  conv("2-d", eighths([2, 2, 5, 4]), eighths([3, 2, 3, 2], "float32", 1), [1, 1], "VALID"),
  conv(
    "2-d, SAME with strides",
    eighths([1, 2, 5, 6]),
    eighths([2, 2, 3, 2], "float32", 1),
    [2, 3],
    "SAME",
  ),
  conv(
    "2-d, SAME_LOWER",
    eighths([1, 1, 4, 5]),
    eighths([1, 1, 2, 4], "float32", 1),
    [1, 2],
    "SAME_LOWER",
  ),
  conv(
    "2-d, channels last",
    eighths([2, 4, 4, 2]),
    eighths([3, 3, 2, 3], "float32", 1),
    [1, 2],
    "SAME",
    { dimensionNumbers: ["NHWC", "HWIO", "NHWC"] },
  ),
  conv(
    "2-d, mixed layouts",
    eighths([2, 3, 4, 2]),
    eighths([2, 2, 3, 3], "float32", 1),
    [2, 1],
    [
      [1, 0],
      [0, 2],
    ],
    { dimensionNumbers: ["CHWN", "WIOH", "HNWC"] },
  ),
  conv(
    "2-d, negative padding",
    eighths([1, 2, 6, 6], "float64"),
    eighths([2, 2, 2, 3], "float64", 1),
    [1, 2],
    [
      [-1, 2],
      [1, -2],
    ],
  ),
  conv(
    "2-d, dilated on both sides",
    eighths([1, 2, 3, 4], "float64"),
    eighths([2, 2, 2, 2], "float64", 1),
    [2, 1],
    [
      [1, 2],
      [0, 3],
    ],
    { lhsDilation: [2, 3], rhsDilation: [3, 2] },
  ),
  conv("3-d", eighths([1, 2, 3, 4, 3]), eighths([2, 2, 2, 2, 3], "float32", 1), [1, 2, 1], "SAME"),
  conv("no spatial axes", eighths([3, 2]), eighths([4, 2], "float32", 1), [], []),
  conv("feature groups", eighths([2, 4, 5]), eighths([6, 2, 3], "float32", 1), [2], [[1, 1]], {
    featureGroupCount: 2,
  }),
  conv("depthwise", eighths([1, 3, 4, 4]), eighths([6, 1, 3, 3], "float32", 1), [1, 1], "SAME", {
    featureGroupCount: 3,
  }),
  conv(
    "depthwise, channels last",
    eighths([1, 4, 4, 3]),
    eighths([2, 2, 1, 3], "float32", 1),
    [1, 1],
    "VALID",
    { featureGroupCount: 3, dimensionNumbers: ["NHWC", "HWIO", "NHWC"] },
  ),
  conv(
    "batch groups",
    eighths([4, 2, 5], "float64"),
    eighths([6, 2, 2], "float64", 1),
    [1],
    [[0, 1]],
    { batchGroupCount: 2, rhsDilation: [2] },
  ),
  conv(
    "a window of size 1",
    eighths([2, 3, 2, 2]),
    eighths([2, 3, 1, 1], "float32", 1),
    [1, 1],
    "VALID",
  ),
  conv(
    "a window larger than the input",
    eighths([1, 1, 2]),
    eighths([1, 1, 4], "float32", 1),
    [1],
    "VALID",
  ),
  conv(
    "a window over padding alone",
    eighths([1, 1, 2]),
    eighths([1, 1, 3], "float32", 1),
    [1],
    [[3, 3]],
  ),
  conv("no batch", eighths([0, 2, 4]), eighths([3, 2, 2], "float32", 1), [1], "VALID"),
  {
    ...conv(
      "rounded products",
      arg([1, 2, 6], "float32", { range: [1, 2] }),
      arg([2, 2, 3], "float32", { range: [1, 2] }),
      [1],
      "SAME",
    ),
    // sums of 6 positive products (8 in the gradient of the rhs), each step rounded
    ulp: 8,
  },
  conv("float16", eighths([1, 2, 6], "float16"), eighths([2, 2, 3], "float16", 1), [1], "SAME"),
  conv(
    "bfloat16 into float32",
    eighths([1, 2, 6], "bfloat16"),
    eighths([2, 2, 3], "bfloat16", 1),
    [1],
    "SAME",
    { preferredElementType: "float32" },
  ),
  conv("integers", arg([1, 2, 5], "int32"), arg([2, 2, 2], "int32"), [2], "VALID"),
  transposed(
    "transposed, SAME",
    eighths([1, 3, 3, 2]),
    eighths([3, 3, 2, 3], "float32", 1),
    [2, 2],
    "SAME",
  ),
  transposed(
    "transposed, VALID, the kernel flipped",
    eighths([1, 4, 2]),
    eighths([3, 4, 2], "float32", 1),
    [3],
    "VALID",
    { transposeKernel: true },
  ),
  transposed(
    "transposed, padding of the forward convolution",
    eighths([1, 4, 2]),
    eighths([3, 2, 3], "float32", 1),
    [2],
    [[1, 0]],
    { useConsistentPadding: true, rhsDilation: [2] },
  ),
  transposed(
    "transposed, its own padding",
    eighths([1, 4, 2]),
    eighths([3, 2, 3], "float32", 1),
    [2],
    [[1, 3]],
  ),
];
