/** Samples of the linear backbone. */
import type { NDArray } from "../../core/ndarray.ts";
import * as l from "../../core/ops/linear.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const coarse = (d: string): string => `${d} is too coarse`;

type Rest = Partial<Sample>;
const unary =
  (primitive: string) =>
  (name: string, x: Arg, f: (x: NDArray) => NDArray, jax: string, rest: Rest = {}): Sample => ({
    primitive,
    name,
    args: [x],
    apply: (v) => f(v as NDArray),
    jax,
    ...rest,
  });

const added = (name: string, x: Arg, y: Arg, rest: Rest = {}): Sample => ({
  primitive: "add_any",
  name,
  args: [x, y],
  apply: (a, b) => l.addAny(a as NDArray, b as NDArray),
  jax: "jax._src.ad_util.add_any_p.bind(a, b)",
  ...rest,
});

const broadcast = (
  name: string,
  x: Arg,
  shape: readonly number[],
  dims: readonly number[],
  rest: Rest = {},
): Sample =>
  unary("broadcast_in_dim")(
    name,
    x,
    (v) => l.broadcastInDim(v, shape, dims),
    `lax.broadcast_in_dim(a, [${shape}], [${dims}])`,
    rest,
  );

const sum = (name: string, x: Arg, axes: readonly number[], rest: Rest = {}): Sample =>
  unary("reduce_sum")(
    name,
    x,
    (v) => l.reduceSum(v, axes),
    `lax.reduce_sum_p.bind(a, axes=(${axes.map((i) => `${i},`).join("")}), out_sharding=None)`,
    rest,
  );

const reshaped = (name: string, x: Arg, shape: readonly number[], rest: Rest = {}): Sample =>
  unary("reshape")(name, x, (v) => l.reshape(v, shape), `lax.reshape(a, [${shape}])`, rest);

const squeezed = (name: string, x: Arg, axes: readonly number[], rest: Rest = {}): Sample =>
  unary("squeeze")(name, x, (v) => l.squeeze(v, axes), `lax.squeeze(a, [${axes}])`, rest);

const transposed = (name: string, x: Arg, axes: readonly number[], rest: Rest = {}): Sample =>
  unary("transpose")(name, x, (v) => l.transpose(v, axes), `lax.transpose(a, [${axes}])`, rest);

const converted = (x: Arg, to: "bool" | Arg["dtype"], name: string, rest: Rest = {}): Sample =>
  unary("convert_element_type")(
    name,
    x,
    (v) => l.convert(v, to),
    `lax.convert_element_type(a, jnp.${to === "bool" ? "bool_" : to})`,
    rest,
  );

const extremes = [0, -0, inf, -inf, nan, 1.5, -1.5, 2.5, 3e9, -3e9, 300, -300, 1e-40, 65520];

export const samples: readonly Sample[] = [
  added("float32", arg([2, 3]), arg([2, 3])),
  added(
    "int32, wrapping",
    arg([3], "int32", [2 ** 31 - 1, -(2 ** 31), 5]),
    arg([3], "int32", [1, -1, 7]),
  ),
  added(
    "special values",
    arg([5], "float64", [nan, inf, inf, -0, 1]),
    arg([5], "float64", [1, -inf, inf, -0, -1]),
    {
      noNumericGrad: "at infinities",
    },
  ),
  added("no elements", arg([0, 3], "float16"), arg([0, 3], "float16")),
  added("bfloat16", arg([4], "bfloat16"), arg([4], "bfloat16"), {
    noNumericGrad: coarse("bfloat16"),
  }),

  broadcast("a scalar", arg([], "float32"), [2, 3], []),
  broadcast("a new first axis", arg([3]), [2, 3], [1]),
  broadcast("an axis of size 1", arg([2, 1], "float64"), [2, 4], [0, 1]),
  broadcast("size 1 and new axes", arg([1, 3]), [2, 4, 3], [1, 2]),
  broadcast("to no elements", arg([1, 3]), [0, 3], [0, 1]),
  broadcast("from no elements", arg([0]), [2, 0], [1]),
  broadcast("bool", arg([2], "bool", [1, 0]), [3, 2], [1]),
  broadcast("int8", arg([2, 1], "int8"), [2, 2, 3], [0, 2]),

  sum("one axis", arg([2, 3]), [0]),
  sum("the last axis, long", arg([3, 257]), [1]),
  sum("two axes of three", arg([2, 3, 4], "float64"), [0, 2]),
  sum("all axes", arg([2, 3]), [0, 1]),
  sum("an empty axis", arg([2, 0]), [1]),
  sum("no elements left", arg([0, 3]), [1]),
  sum("size 1", arg([1, 3]), [0]),
  sum("int32, wrapping", arg([3], "int32", [2 ** 31 - 1, 1, 1]), [0]),
  sum("uint8, wrapping", arg([2, 2], "uint8", [200, 100, 3, 4]), [1]),
  sum("float16, long", arg([500], "float16", { range: [0, 1] }), [0], {
    noNumericGrad: coarse("float16"),
  }),
  sum("bfloat16, long", arg([2, 300], "bfloat16", { range: [0, 1] }), [1], {
    noNumericGrad: coarse("bfloat16"),
  }),
  sum("special values", arg([4, 2], "float32", [nan, 1, inf, -inf, inf, inf, -0, -0]), [1], {
    noNumericGrad: "at infinities",
  }),

  reshaped("to a vector", arg([2, 3]), [6]),
  reshaped("to other axes", arg([4, 3], "float64"), [2, 6]),
  reshaped("to a scalar", arg([1, 1]), []),
  reshaped("no elements", arg([0, 3]), [5, 0]),
  reshaped("int8", arg([2, 3, 2], "int8"), [3, 4]),
  reshaped("bool", arg([4], "bool"), [2, 2]),

  squeezed("the first axis", arg([1, 3]), [0]),
  squeezed("two axes", arg([1, 3, 1], "float64"), [0, 2]),
  squeezed("to a scalar", arg([1], "bfloat16"), [0], { noNumericGrad: coarse("bfloat16") }),
  squeezed("no elements", arg([0, 1]), [1]),

  transposed("a matrix", arg([2, 3]), [1, 0]),
  transposed("a cycle", arg([2, 3, 4], "float64"), [1, 2, 0]),
  transposed("a swap", arg([2, 3, 4], "int32"), [0, 2, 1]),
  transposed("no elements", arg([0, 2, 3]), [2, 0, 1]),
  transposed("size 1", arg([1, 3, 1]), [2, 1, 0]),
  transposed("bool", arg([2, 2], "bool", [1, 0, 0, 0]), [1, 0]),

  converted(arg([2, 3]), "float64", "float32 to float64"),
  converted(arg([6], "float64"), "float32", "float64 to float32", {
    noNumericGrad: "the differences are rounded to float32",
  }),
  converted(arg([14], "float32", extremes), "float16", "float32 to float16, special values", {
    noNumericGrad: coarse("float16"),
  }),
  converted(arg([14], "float64", extremes), "bfloat16", "float64 to bfloat16, special values", {
    noNumericGrad: coarse("bfloat16"),
  }),
  converted(
    arg([6], "float16", [1, -2.5, inf, nan, 2 ** -24, -0]),
    "float32",
    "float16 to float32",
    {
      noNumericGrad: coarse("float16"),
    },
  ),
  converted(arg([14], "float32", extremes), "int32", "float32 to int32: truncated and saturated"),
  converted(arg([14], "float32", extremes), "uint8", "float32 to uint8: truncated and saturated"),
  converted(arg([14], "float64", extremes), "int8", "float64 to int8: truncated and saturated"),
  converted(arg([14], "float64", extremes), "uint32", "float64 to uint32: truncated and saturated"),
  // JAX counts subnormals as zero
  converted(
    arg(
      [14],
      "float32",
      extremes.map((x) => (x === 1e-40 ? 1e-30 : x)),
    ),
    "bool",
    "float32 to bool: not zero",
  ),
  converted(arg([4], "int32", [300, -300, 2 ** 31 - 1, -1]), "int8", "int32 to int8: wrapped"),
  converted(arg([4], "int32", [300, -300, 2 ** 31 - 1, -1]), "uint32", "int32 to uint32: wrapped"),
  converted(arg([3], "uint32", [2 ** 32 - 1, 5, 2 ** 31]), "int32", "uint32 to int32: wrapped"),
  converted(arg([3], "uint32", [2 ** 32 - 1, 5, 2 ** 31]), "float32", "uint32 to float32: rounded"),
  converted(arg([2, 2], "bool", [1, 0, 0, 1]), "float32", "bool to float32"),
  converted(arg([4], "int8", [0, 1, -1, 64]), "bool", "int8 to bool"),
  converted(arg([0, 2]), "bfloat16", "no elements"),
  converted(arg([], "bfloat16"), "float32", "a scalar", { noNumericGrad: coarse("bfloat16") }),
];
