/** Samples of comparisons and operations on bits. */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import * as c from "../../core/ops/compare.ts";
import { arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

type Binary = (x: NDArray, y: NDArray) => NDArray;
type Unary = (x: NDArray) => NDArray;

// every pair of these
const special = [nan, inf, -inf, 0, -0, 1, -1];
const left = special.flatMap((x) => special.map(() => x));
const right = special.flatMap(() => special);

const comparison = (primitive: string, f: Binary, python: string): Sample[] => {
  const sample = (name: string, x: Sample["args"][0], y: Sample["args"][0]): Sample => ({
    primitive,
    name,
    args: [x, y],
    apply: (a, b) => f(a as NDArray, b as NDArray),
    jax: python,
    noNumericGrad: "the result is bool",
    grad: [],
  });
  return [
    sample("special values, float32", arg([7, 7], "float32", left), arg([7, 7], "float32", right)),
    sample("special values, bfloat16", arg([49], "bfloat16", left), arg([49], "bfloat16", right)),
    sample("float64, a scalar", arg([3], "float64", [0, 1, 2]), arg([3], "float64", [1, 1, 1])),
    sample("int32", arg([2, 3], "int32"), arg([2, 3], "int32")),
    sample(
      "uint32, above 2³¹",
      arg([4], "uint32", [2 ** 31, 1, 2 ** 32 - 1, 7]),
      arg([4], "uint32", [1, 2 ** 31, 2 ** 32 - 1, 8]),
    ),
    sample("int8", arg([3], "int8", [-128, 127, 0]), arg([3], "int8", [127, -128, 0])),
    sample("bool", arg([4], "bool", [0, 0, 1, 1]), arg([4], "bool", [0, 1, 0, 1])),
    sample("no elements", arg([0, 2], "float16"), arg([0, 2], "float16")),
    sample("scalars", arg([], "float64"), arg([], "float64")),
  ];
};
/** Broadcasting forms, which the jax function takes too. */
const broadcasting = (primitive: string, f: Binary, python: string): Sample[] => {
  const sample = (name: string, x: Sample["args"][0], y: Sample["args"][0]): Sample => ({
    primitive,
    name,
    args: [x, y],
    apply: (a, b) => f(a as NDArray, b as NDArray),
    jax: python,
    grad: [],
  });
  return [
    sample("a scalar beside an array", arg([], "float32", [0.5]), arg([2, 3])),
    sample("an axis of size 1", arg([2, 1], "int32"), arg([2, 3], "int32")),
  ];
};

const bits1 = (primitive: string, f: Unary, python: string, dtypes: readonly DType[]): Sample[] =>
  dtypes.map((d) => {
    const signed = [0, 1, -1, 5, -6, 64, 127, -128];
    const unsigned = [0, 1, 2, 5, 96, 128, 200, 255];
    const wide =
      d === "int32"
        ? [2 ** 31 - 1, -(2 ** 31), 65536]
        : d === "uint32"
          ? [2 ** 32 - 1, 2 ** 31, 65536]
          : [];
    const values = d === "bool" ? [0, 1] : [...(d.startsWith("u") ? unsigned : signed), ...wide];
    return {
      primitive,
      name: d,
      args: [arg([values.length], d, values)],
      apply: (a) => f(a as NDArray),
      jax: python,
    };
  });
const empty1 = (primitive: string, f: Unary, python: string): Sample => ({
  primitive,
  name: "no elements",
  args: [arg([3, 0], "int32")],
  apply: (a) => f(a as NDArray),
  jax: python,
});

const bits2 = (primitive: string, f: Binary, python: string): Sample[] => {
  const sample = (name: string, x: Sample["args"][0], y: Sample["args"][0]): Sample => ({
    primitive,
    name,
    args: [x, y],
    apply: (a, b) => f(a as NDArray, b as NDArray),
    jax: python,
  });
  return [
    sample("bool", arg([4], "bool", [0, 0, 1, 1]), arg([4], "bool", [0, 1, 0, 1])),
    sample(
      "int32",
      arg([4], "int32", [-1, 12, 2 ** 31 - 1, -(2 ** 31)]),
      arg([4], "int32", [5, 10, -2, 1]),
    ),
    sample(
      "uint32",
      arg([3], "uint32", [2 ** 32 - 1, 2 ** 31, 9]),
      arg([3], "uint32", [7, 2 ** 31, 12]),
    ),
    sample(
      "int8, an axis of size 1",
      arg([2, 1], "int8", [-128, 85]),
      arg([2, 3], "int8", [1, -1, 127, 15, 51, -86]),
    ),
    sample("uint8, a scalar", arg([], "uint8", [170]), arg([3], "uint8", [255, 15, 240])),
    sample("no elements", arg([0], "bool"), arg([0], "bool")),
  ];
};
const shift = (primitive: string, f: Binary, python: string): Sample[] => {
  const sample = (name: string, x: Sample["args"][0], y: Sample["args"][0]): Sample => ({
    primitive,
    name,
    args: [x, y],
    apply: (a, b) => f(a as NDArray, b as NDArray),
    jax: python,
  });
  const amounts = [0, 1, 7, 31, 32, 33, -1];
  return [
    sample(
      "int32",
      arg([2, 7], "int32", [...amounts.map(() => 1000003), ...amounts.map(() => -1000003)]),
      arg([2, 7], "int32", [...amounts, ...amounts]),
    ),
    sample(
      "uint32",
      arg(
        [6],
        "uint32",
        amounts.slice(0, 6).map(() => 0x90000001),
      ),
      arg([6], "uint32", amounts.slice(0, 6)),
    ),
    sample("int8", arg([5], "int8", [-100, -100, 100, -1, 1]), arg([5], "int8", [1, 8, 3, 7, 7])),
    sample("uint8, a scalar", arg([3], "uint8", [255, 128, 1]), arg([], "uint8", [4])),
    sample(
      "an axis of size 1",
      arg([2, 1], "int32", [-8, 8]),
      arg([2, 3], "int32", [0, 1, 2, 3, 4, 5]),
    ),
    sample("no elements", arg([2, 0], "int32"), arg([2, 0], "int32")),
  ];
};

const integers: readonly DType[] = ["int32", "uint32", "int8", "uint8"];
const finite = (name: string, x: Sample["args"][0]): Sample => ({
  primitive: "is_finite",
  name,
  args: [x],
  apply: (a) => c.isFinite(a as NDArray),
  jax: "lax.is_finite(a)",
  grad: [],
});

export const samples: readonly Sample[] = [
  ...(
    [
      ["eq", c.eq],
      ["ne", c.ne],
      ["lt", c.lt],
      ["le", c.le],
      ["gt", c.gt],
      ["ge", c.ge],
    ] as const
  ).flatMap(([name, f]) => [
    ...comparison(name, f, `lax.${name}(a, b)`),
    ...broadcasting(name, f, `lax.${name}(a, b)`),
  ]),
  ...comparison("eq_to", c.eqTo, "lax.eq_to_p.bind(a, b)"),
  ...comparison("lt_to", c.ltTo, "lax.lt_to_p.bind(a, b)"),
  ...comparison("le_to", c.leTo, "lax.le_to_p.bind(a, b)"),

  finite("float32", arg([7], "float32", special)),
  finite("float16, overflowed", arg([3], "float16", [65504, 65520, -65520])),
  finite("float64, near the end", arg([2], "float64", [1.7976931348623157e308, 5e-324])),
  finite("no elements", arg([0], "bfloat16")),

  ...bits2("and", c.and, "lax.bitwise_and(a, b)"),
  ...bits2("or", c.or, "lax.bitwise_or(a, b)"),
  ...bits2("xor", c.xor, "lax.bitwise_xor(a, b)"),
  ...bits1("not", c.not, "lax.bitwise_not(a)", ["bool", ...integers]),
  empty1("not", c.not, "lax.bitwise_not(a)"),
  ...shift("shift_left", c.shiftLeft, "lax.shift_left(a, b)"),
  ...shift("shift_right_arithmetic", c.shiftRightArithmetic, "lax.shift_right_arithmetic(a, b)"),
  ...shift("shift_right_logical", c.shiftRightLogical, "lax.shift_right_logical(a, b)"),
  ...bits1("population_count", c.populationCount, "lax.population_count(a)", integers),
  empty1("population_count", c.populationCount, "lax.population_count(a)"),
  ...bits1("clz", c.clz, "lax.clz(a)", integers),
  empty1("clz", c.clz, "lax.clz(a)"),
];
