/** Samples of data movement and selection. */
import type { NDArray } from "../../core/ndarray.ts";
import * as s from "../../core/ops/structural.ts";
import type { DType } from "../../core/dtype.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
type Rest = Partial<Sample>;
type Numbers = readonly number[];
const coarse = (d: string): string => `${d} is too coarse`;
const tuple = (list: readonly unknown[]): string => `(${list.map((x) => `${x},`).join(" ")})`;

const unary = (
  primitive: string,
  name: string,
  x: Arg,
  f: (x: NDArray) => NDArray | readonly NDArray[],
  jax: string,
  rest: Rest = {},
): Sample => ({ primitive, name, args: [x], apply: (a) => f(a as NDArray), jax, ...rest });

const rev = (name: string, x: Arg, axes: Numbers, rest: Rest = {}): Sample =>
  unary("rev", name, x, (a) => s.rev(a, axes), `lax.rev(a, ${tuple(axes)})`, rest);

const slice = (name: string, x: Arg, from: Numbers, to: Numbers, by?: Numbers): Sample =>
  unary(
    "slice",
    name,
    x,
    (a) => s.slice(a, from, to, by),
    `lax.slice(a, ${tuple(from)}, ${tuple(to)}${by === undefined ? "" : `, ${tuple(by)}`})`,
  );

const pad = (
  name: string,
  x: Arg,
  value: Arg,
  config: readonly s.PadAxis[],
  rest: Rest = {},
): Sample => ({
  primitive: "pad",
  name,
  args: [x, value],
  apply: (a, b) => s.pad(a as NDArray, b as NDArray, config),
  jax: `lax.pad(a, b, ${tuple(config.map(tuple))})`,
  ...rest,
});

const names = "abcdefghij";
const concatenate = (
  name: string,
  xs: readonly Arg[],
  dimension: number,
  rest: Rest = {},
): Sample => ({
  primitive: "concatenate",
  name,
  args: xs,
  apply: (...arrays) => s.concatenate(arrays, dimension),
  jax: `lax.concatenate([${[...names.slice(0, xs.length)].join(", ")}], ${dimension})`,
  ...rest,
});

const split = (name: string, x: Arg, sizes: Numbers, axis: number, rest: Rest = {}): Sample =>
  unary(
    "split",
    name,
    x,
    (a) => s.split(a, sizes, axis),
    `lax.split(a, ${tuple(sizes)}, axis=${axis})`,
    rest,
  );

const tile = (name: string, x: Arg, reps: Numbers): Sample =>
  unary("tile", name, x, (a) => s.tile(a, reps), `lax.tile(a, ${tuple(reps)})`);

const selectN = (name: string, which: Arg, cases: readonly Arg[], rest: Rest = {}): Sample => ({
  primitive: "select_n",
  name,
  args: [which, ...cases],
  apply: (w, ...arrays) => s.selectN(w as NDArray, arrays),
  jax: `lax.select_n(${[...names.slice(0, cases.length + 1)].join(", ")})`,
  ...rest,
});

// JAX itself fails to differentiate by a scalar bound
const clamp = (name: string, low: Arg, x: Arg, high: Arg, rest: Rest = {}): Sample => ({
  primitive: "clamp",
  name,
  args: [low, x, high],
  ...(low.shape.length < x.shape.length && x.dtype.includes("float") ? { grad: [1] } : {}),
  apply: (a, b, c) => s.clamp(a as NDArray, b as NDArray, c as NDArray),
  jax: "lax.clamp(a, b, c)",
  ...rest,
});

const iota = (name: string, dtype: DType, shape: Numbers, dimension: number): Sample => ({
  primitive: "iota",
  name,
  args: [],
  apply: () => s.iota({ dtype, shape, dimension }),
  jax: `lax.broadcasted_iota(jnp.${dtype}, ${tuple(shape)}, ${dimension})`,
});

const copies = (primitive: string, f: (x: NDArray) => NDArray, jax: string): Sample[] => [
  unary(primitive, "float32", arg([2, 3]), f, jax),
  unary(primitive, "float64", arg([4], "float64"), f, jax),
  unary(primitive, "special values", arg([4], "float16", [nan, inf, -0, 1]), f, jax, {
    noNumericGrad: coarse("float16"),
  }),
  unary(primitive, "bool", arg([3], "bool", [1, 0, 1]), f, jax),
  unary(primitive, "no elements", arg([0, 2], "bfloat16"), f, jax),
  unary(primitive, "a scalar", arg([], "int32"), f, jax),
];

const scalar = (dtype: DType, value: number): Arg => arg([], dtype, [value]);

export const samples: readonly Sample[] = [
  rev("one axis", arg([4]), [0]),
  rev("two axes of three", arg([2, 3, 4], "float64"), [0, 2]),
  rev("the inner axis, int8", arg([2, 3], "int8"), [1]),
  rev("no axis", arg([2]), []),
  rev("no elements", arg([0, 3]), [0, 1]),
  rev("bfloat16, size 1", arg([1, 3], "bfloat16"), [0, 1], { noNumericGrad: coarse("bfloat16") }),

  slice("a box", arg([4, 5]), [1, 2], [3, 5]),
  slice("strides", arg([7, 5], "float64"), [1, 0], [7, 5], [2, 3]),
  slice("a stride beyond the end", arg([5]), [3], [5], [4]),
  slice("an empty part", arg([4, 3]), [2, 0], [2, 3]),
  slice("an empty part with strides", arg([4, 3]), [2, 1], [2, 3], [3, 2]),
  slice("of no elements", arg([0, 3]), [0, 1], [0, 2]),
  slice("the whole, bool", arg([2, 2], "bool", [1, 0, 0, 1]), [0, 0], [2, 2]),
  slice("int32", arg([2, 3, 4], "int32"), [0, 1, 1], [2, 2, 4], [1, 1, 2]),
  slice("a scalar", arg([]), [], []),

  pad("around", arg([2, 3]), scalar("float32", 0.5), [
    [1, 2, 0],
    [0, 1, 0],
  ]),
  pad("between", arg([3, 2], "float64"), scalar("float64", -1), [
    [0, 0, 2],
    [1, 1, 1],
  ]),
  pad("taking away", arg([5, 4]), scalar("float32", 9), [
    [-1, -2, 0],
    [2, -3, 0],
  ]),
  pad("taking away between", arg([5]), scalar("float32", 9), [[-2, -1, 2]]),
  pad("moved outside", arg([3], "float64"), scalar("float64", 2), [[-4, 6, 0]]),
  pad("nothing but padding", arg([0, 2]), scalar("float32", 3), [
    [2, 1, 4],
    [0, 0, 0],
  ]),
  pad("to nothing", arg([2, 2]), scalar("float32", 3), [
    [-1, -1, 0],
    [0, 0, 0],
  ]),
  pad("with NaN", arg([2], "float32", [1, -0]), scalar("float32", nan), [[1, 1, 1]], {
    noNumericGrad: "the padding is NaN",
  }),
  pad("int32", arg([2, 2], "int32"), scalar("int32", -7), [
    [0, 1, 1],
    [1, 0, 0],
  ]),
  pad("bool", arg([2], "bool", [0, 0]), scalar("bool", 1), [[1, 2, 0]]),
  pad("float16", arg([3], "float16"), scalar("float16", 1), [[0, 2, 0]], {
    noNumericGrad: coarse("float16"),
  }),
  pad("a scalar", arg([]), scalar("float32", 1), []),

  concatenate("two", [arg([2, 3]), arg([1, 3])], 0),
  concatenate("the inner axis", [arg([2, 1]), arg([2, 3]), arg([2, 2])], 1),
  concatenate(
    "five, one empty",
    [2, 0, 3, 1, 1].map((n) => arg([n, 2], "float64")),
    0,
  ),
  concatenate("all empty", [arg([0, 2]), arg([0, 2])], 0),
  concatenate("no elements in another axis", [arg([2, 0]), arg([3, 0])], 0),
  concatenate("three axes, int32", [arg([2, 1, 2], "int32"), arg([2, 2, 2], "int32")], 1),
  concatenate("bool", [arg([2], "bool", [1, 0]), arg([1], "bool", [1])], 0),
  concatenate("one", [arg([2, 2], "bfloat16")], 1, { noNumericGrad: coarse("bfloat16") }),
  concatenate("a constant among them", [arg([2, 2]), arg([1, 2])], 0, { grad: [0] }),

  split("three parts", arg([6]), [1, 2, 3], 0),
  split("the inner axis", arg([2, 5], "float64"), [2, 3], 1),
  split("the middle axis, int32", arg([2, 3, 2], "int32"), [1, 2], 1),
  split("an empty part", arg([4, 2]), [0, 4, 0], 0),
  split("no elements", arg([4, 0]), [1, 3], 0),
  split("one part, bfloat16", arg([2, 2], "bfloat16"), [2], 1, {
    noNumericGrad: coarse("bfloat16"),
  }),

  tile("both axes", arg([2, 3]), [2, 3]),
  tile("once", arg([2, 2], "float64"), [1, 1]),
  tile("no times", arg([2, 3]), [0, 2]),
  tile("of no elements", arg([0, 3]), [4, 2]),
  tile("size 1", arg([1, 2]), [3, 1]),
  tile("int8", arg([3], "int8"), [2]),

  selectN("bool", arg([2, 3], "bool", [1, 0, 0, 1, 1, 0]), [arg([2, 3]), arg([2, 3])]),
  selectN("bool, a scalar", arg([], "bool", [1]), [arg([2, 2], "float64"), arg([2, 2], "float64")]),
  selectN(
    "int32, four cases",
    arg([5], "int32", [0, 1, 2, 3, 1]),
    [0, 1, 2, 3].map(() => arg([5])),
  ),
  selectN(
    "int32, three cases, a scalar",
    arg([], "int32", [2]),
    [0, 1, 2].map(() => arg([3])),
  ),
  // JAX's gradient drops what an index out of range picks; here it belongs to the case that was picked
  selectN(
    "int32, out of range",
    arg([4], "int32", [-5, 0, 2, 7]),
    [0, 1, 2].map(() => arg([4])),
    { grad: [] },
  ),
  selectN(
    "NaN in the case that is not taken",
    arg([3], "bool", [1, 0, 1]),
    [arg([3], "float32", [nan, 1, inf]), arg([3], "float32", [2, nan, -0])],
    { noNumericGrad: "beside NaN" },
  ),
  selectN("one case", arg([2], "int32", [0, 0]), [arg([2])]),
  selectN("cases of int8", arg([2], "bool", [1, 0]), [arg([2], "int8"), arg([2], "int8")]),
  selectN("cases of bool", arg([2, 2], "bool", [1, 0, 0, 1]), [
    arg([2, 2], "bool"),
    arg([2, 2], "bool"),
  ]),
  selectN("no elements", arg([0, 2], "bool"), [arg([0, 2]), arg([0, 2])]),
  selectN("scalars", arg([], "bool", [0]), [arg([], "bfloat16"), arg([], "bfloat16")], {
    noNumericGrad: coarse("bfloat16"),
  }),

  clamp("scalar bounds", scalar("float32", -1), arg([3, 3]), scalar("float32", 1)),
  clamp(
    "full bounds",
    arg([4], "float64", { range: [-2, 0] }),
    arg([4], "float64"),
    arg([4], "float64", { range: [0.1, 1] }),
  ),
  clamp("one of each", scalar("float32", -0.5), arg([4]), arg([4], "float32", { range: [0, 1] })),
  clamp(
    "at the bounds",
    scalar("float32", -1),
    arg([5], "float32", [-1, 1, 0, -3, 3]),
    scalar("float32", 1),
    {
      noNumericGrad: "kinks at the bounds",
    },
  ),
  clamp(
    "bounds the wrong way round",
    scalar("float32", 1),
    arg([3], "float32", [0, 5, -5]),
    scalar("float32", -1),
    {
      noNumericGrad: "the bounds are equal in effect",
    },
  ),
  clamp(
    "special values",
    arg([6], "float32", [nan, -1, -1, -inf, -1, 0]),
    arg([6], "float32", [1, nan, 2, inf, -inf, -0]),
    arg([6], "float32", [2, 2, nan, 1, 1, 0]),
    { noNumericGrad: "beside NaN" },
  ),
  clamp("int32", scalar("int32", -2), arg([5], "int32"), scalar("int32", 2)),
  clamp("no elements", scalar("float32", 0), arg([0, 3]), scalar("float32", 1)),
  clamp("a scalar", scalar("float64", 0), arg([], "float64", [0.25]), scalar("float64", 1)),

  iota("int32", "int32", [5], 0),
  iota("the first axis of two", "float32", [3, 2], 0),
  iota("the last axis of three", "float64", [2, 1, 3], 2),
  iota("uint8, wrapping", "uint8", [300], 0),
  iota("int8, wrapping", "int8", [200], 0),
  iota("bfloat16, rounding", "bfloat16", [600], 0),
  iota("float16", "float16", [2, 3], 1),
  iota("no elements", "uint32", [0, 3], 1),

  ...copies("copy", s.copy, "lax.copy_p.bind(a)"),
  ...copies("stop_gradient", s.stopGradient, "lax.stop_gradient(a)").map((sample) => ({
    ...sample,
    noNumericGrad: "its derivative is zero by definition",
  })),
];
