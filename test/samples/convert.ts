/** Samples of bit casts and reduced precision. */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { bitcastConvertType, reducePrecision } from "../../core/ops/convert.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const bits = (name: string, x: Arg, to: DType): Sample => ({
  primitive: "bitcast_convert_type",
  name,
  args: [x],
  apply: (a) => bitcastConvertType(a as NDArray, to),
  jax: `lax.bitcast_convert_type(a, jnp.${to})`,
  noNumericGrad: "bits have no derivative",
});
const floats = [0, -0, 1, -1.5, inf, -inf, 3.140625, 0.1, 6e-8, 60000];
// subnormals of each dtype among them
const doubles = [
  0,
  -0,
  1,
  -1.5,
  inf,
  -inf,
  Math.PI,
  5e-324,
  -1e-310,
  2 ** -1022,
  Number.MAX_VALUE,
  1e-300,
  -12345.678,
];
const bytes = [0, 1, 2, 60, 0, 128, 63, 191, 255, 64, 18, 127, 77, 200, 9, 61];
const words = [
  0,
  0,
  0,
  2 ** 31,
  0,
  0x3ff00000,
  0x54442d18,
  0x400921fb,
  1,
  0,
  0xffffffff,
  0x7fefffff,
  7,
  0x80000001,
];

const reduced = (name: string, x: Arg, e: number, m: number): Sample => ({
  primitive: "reduce_precision",
  name,
  args: [x],
  apply: (a) => reducePrecision(a as NDArray, e, m),
  jax: `lax.reduce_precision(a, ${e}, ${m})`,
  noNumericGrad: "rounding is a step function",
});
const rounding = [
  0,
  -0,
  nan,
  inf,
  -inf,
  1.1,
  -1.1,
  1 + 2 ** -8,
  1 + 3 * 2 ** -8,
  65519,
  65520,
  1e-8,
  3e-5,
  1.4e30,
  2 ** -14,
];

export const samples: readonly Sample[] = [
  bits("float32 to int32", arg([2, 5], "float32", floats), "int32"),
  bits("float32 to uint32", arg([10], "float32", floats), "uint32"),
  bits("int32 to float32", arg([4], "int32", [0, 0x3f800000, -(2 ** 31), 0x7f7fffff]), "float32"),
  bits("int8 to uint8", arg([3], "int8", [-1, -128, 5]), "uint8"),
  bits("uint32 to int32", arg([2], "uint32", [2 ** 32 - 1, 5]), "int32"),
  bits("float16 to bfloat16", arg([10], "float16", floats), "bfloat16"),
  bits(
    "bfloat16 to float16",
    arg(
      [10],
      "bfloat16",
      floats.map((x) => (x === 0.1 ? 2 ** -12 : x)),
    ),
    "float16",
  ),
  bits("the same dtype", arg([3], "bool", [1, 0, 1]), "bool"),
  bits("float32 to uint8: an axis more", arg([2, 5], "float32", floats), "uint8"),
  bits("float32 to float16: an axis more", arg([3], "float32", [1, -2.5, 1e10]), "float16"),
  bits("int32 to int8: an axis more", arg([3], "int32", [1, -2, 0x12345678]), "int8"),
  bits(
    "float16 to uint8: an axis more",
    arg([10], "float16", [...floats.slice(0, 9), 2 ** -24]),
    "uint8",
  ),
  bits("bfloat16 to int8: an axis more", arg([10], "bfloat16", floats), "int8"),
  bits("float64 to uint32: an axis more", arg([13], "float64", doubles), "uint32"),
  bits("float64 to float32: an axis more", arg([2], "float64", [Math.PI, 1]), "float32"),
  bits("float64 to bfloat16: an axis more", arg([2], "float64", [Math.PI, -2]), "bfloat16"),
  bits("float64 to uint8: an axis more", arg([13], "float64", doubles), "uint8"),
  bits("uint8 to float32: an axis less", arg([4, 4], "uint8", bytes), "float32"),
  bits(
    "uint8 to float16: an axis less",
    arg(
      [2, 4, 2],
      "uint8",
      bytes.map((b, i) => (i % 2 ? b & 0x7b : b)),
    ),
    "float16",
  ),
  bits("uint8 to float64: an axis less", arg([2, 8], "uint8", bytes), "float64"),
  bits("uint32 to float64: an axis less", arg([7, 2], "uint32", words), "float64"),
  bits("float16 to int32: an axis less", arg([5, 2], "float16", floats), "int32"),
  bits("bfloat16 to float64: an axis less", arg([1, 4], "bfloat16", [1, 2, 3, 4]), "float64"),
  bits("no elements, an axis more", arg([0, 2]), "uint8"),
  bits("no elements, an axis less", arg([0, 4], "int8"), "float32"),
  bits("a scalar", arg([], "float64", [1.5]), "int32"),

  reduced("float32 to the precision of bfloat16", arg([15], "float32", rounding), 8, 7),
  reduced("float32 to float16", arg([15], "float32", rounding), 5, 10),
  reduced("float32 to 8 bits", arg([3, 5], "float32", rounding), 4, 3),
  reduced("float32, no significand", arg([15], "float32", rounding), 8, 0),
  reduced("float32, more bits than there are", arg([15], "float32", rounding), 11, 52),
  reduced("float64 to float32", arg([15], "float64", rounding), 8, 23),
  reduced("float64, all of the lower word", arg([15], "float64", rounding), 11, 20),
  reduced("float64, into the upper word", arg([15], "float64", rounding), 6, 5),
  reduced(
    "float64, one bit less",
    arg([6], "float64", [
      1 + 2 ** -52,
      1 + 3 * 2 ** -52,
      Number.MAX_VALUE,
      1 + 2 ** -20,
      5e-324,
      1,
    ]),
    11,
    51,
  ),
  reduced("float16", arg([15], "float16", rounding), 5, 3),
  reduced("bfloat16", arg([15], "bfloat16", rounding), 5, 4),
  reduced("no elements", arg([2, 0]), 5, 10),
  reduced("a scalar", arg([], "float32", [0.3]), 5, 2),
];
