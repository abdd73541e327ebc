/** Samples of arithmetic. */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import * as a from "../../core/ops/arithmetic.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
type Rest = Partial<Sample>;
type Binary = (x: NDArray, y: NDArray) => NDArray;
type Unary = (x: NDArray) => NDArray;
const coarse = (d: string): Rest => ({ noNumericGrad: `${d} is too coarse` });
const kink: Rest = { noNumericGrad: "a kink at a sample point" };
const edge: Rest = { noNumericGrad: "at the ends of the domain" };

const two =
  (primitive: string, f: Binary, jax = `lax.${primitive}(a, b)`) =>
  (name: string, x: Arg, y: Arg, rest: Rest = {}): Sample => ({
    primitive,
    name,
    args: [x, y],
    apply: (p, q) => f(p as NDArray, q as NDArray),
    jax,
    ...rest,
  });
const one =
  (primitive: string, f: Unary, jax = `lax.${primitive}(a)`) =>
  (name: string, x: Arg, rest: Rest = {}): Sample => ({
    primitive,
    name,
    args: [x],
    apply: (p) => f(p as NDArray),
    jax,
    ...rest,
  });

/** Forms that every binary operation on numbers has; the second operand away from 0. */
const forms = (
  sample: ReturnType<typeof two>,
  away: readonly [number, number] = [0.5, 2],
): Sample[] => {
  const y = (shape: readonly number[], d: DType): Arg => arg(shape, d, { range: away });
  return [
    sample("float32", arg([2, 3]), y([2, 3], "float32")),
    sample("float64", arg([4], "float64"), y([4], "float64")),
    sample("a scalar on the left", arg([], "float32"), y([2, 2], "float32")),
    sample("a scalar on the right", arg([2, 2], "float64"), y([], "float64")),
    sample("axes of size 1", arg([2, 1], "float64"), y([1, 3], "float64")),
    sample("no elements", arg([0, 2]), y([0, 2], "float32")),
    sample("no elements by size 1", arg([1, 2]), y([0, 2], "float32")),
    sample("float16", arg([4], "float16"), y([4], "float16"), coarse("float16")),
    sample("bfloat16", arg([2, 2], "bfloat16"), y([2, 2], "bfloat16"), coarse("bfloat16")),
  ];
};

// every pair of these
const special = [nan, inf, -inf, 0, -0, 1, -2.5];
const pairs = [
  special.flatMap((x) => special.map(() => x)),
  special.flatMap(() => special),
] as const;
const specials = (sample: ReturnType<typeof two>): Sample =>
  sample(
    "special values",
    arg([7, 7], "float32", pairs[0]),
    arg([7, 7], "float32", pairs[1]),
    edge,
  );

const top = 2 ** 31 - 1;
const bottom = -(2 ** 31);
const int32s = [top, bottom, bottom, 7, -7, 7, -7, 0];
const others = [1, -1, 1, 4, 4, -4, -4, 3];
const integers = (sample: ReturnType<typeof two>): Sample[] => [
  sample("int32", arg([8], "int32", int32s), arg([8], "int32", others)),
  sample(
    "uint32",
    arg([4], "uint32", [2 ** 32 - 1, 2 ** 31, 5, 0]),
    arg([4], "uint32", [1, 2, 7, 3]),
  ),
  sample("int8", arg([4], "int8", [127, -128, 100, -7]), arg([4], "int8", [2, 1, 3, 4])),
  sample("uint8", arg([2, 2], "uint8", [255, 0, 200, 3]), arg([2, 2], "uint8", [1, 1, 100, 2])),
];

const neg = one("neg", a.neg);
const add = two("add", a.add);
const sub = two("sub", a.sub);
const mul = two("mul", a.mul);
const div = two("div", a.div);
const rem = two("rem", a.rem);
const max = two("max", a.max);
const min = two("min", a.min);
const pow = two("pow", a.pow);
const nextafter = two("nextafter", a.nextafter);
const mulhi = two("mulhi", a.mulhi);
const square = one("square", a.square);
const sign = one("sign", a.sign);
const abs = one("abs", a.abs);
const floor = one("floor", a.floor);
const ceil = one("ceil", a.ceil);
const awayFromZero = one(
  "round",
  (x) => a.round(x, "awayFromZero"),
  "lax.round(a, lax.RoundingMethod.AWAY_FROM_ZERO)",
);
const toEven = one(
  "round",
  (x) => a.round(x, "toNearestEven"),
  "lax.round(a, lax.RoundingMethod.TO_NEAREST_EVEN)",
);
const power = (y: number) =>
  one("integer_pow", (x) => a.integerPow(x, y), `lax.integer_pow(a, ${y})`);

const halves = [
  0.5,
  -0.5,
  1.5,
  -1.5,
  2.5,
  -2.5,
  0.49999997,
  -0.3,
  0,
  -0,
  inf,
  -inf,
  nan,
  8388609,
  1e10,
  0.7,
];
const step: Rest = { noNumericGrad: "a step function" };
const steps = (sample: ReturnType<typeof one>): Sample[] => [
  sample("halves and special values", arg([2, 8], "float32", halves), step),
  sample("float64", arg([5], "float64", { range: [-9, 9] }), step),
  sample(
    "float64, halves",
    arg([4], "float64", [0.5, 0.49999999999999994, 4503599627370498, -1.5]),
    step,
  ),
  sample("float16", arg([4], "float16", { range: [-9, 9] }), step),
  sample("bfloat16", arg([16], "bfloat16", halves), step),
  sample("no elements", arg([3, 0]), step),
  sample("a scalar", arg([], "float32", { range: [-9, 9] }), step),
];

export const samples: readonly Sample[] = [
  neg("float32", arg([2, 3])),
  neg("float64, special values", arg([7], "float64", special), edge),
  neg("int32", arg([3], "int32", [bottom, 5, -5])),
  neg("uint8", arg([3], "uint8", [0, 1, 255])),
  neg("float16", arg([3], "float16"), coarse("float16")),
  neg("no elements", arg([0])),
  neg("a scalar", arg([], "bfloat16"), coarse("bfloat16")),

  ...forms(add),
  ...integers(add),
  specials(add),
  ...forms(sub),
  ...integers(sub),
  specials(sub),
  ...forms(mul),
  ...integers(mul),
  specials(mul),
  ...forms(div),
  ...integers(div),
  specials(div),
  div("int32 by zero", arg([3], "int32", [5, -5, 0]), arg([3], "int32", [0, 0, 0])),
  div("uint8 by zero", arg([2], "uint8", [5, 0]), arg([2], "uint8", [0, 0])),

  ...forms(rem, [0.3, 0.9]).map((s) => ({ ...s, noNumericGrad: "jumps at the multiples" })),
  ...integers(rem),
  specials(rem),
  rem("int32 by zero", arg([3], "int32", [5, -5, 0]), arg([3], "int32", [0, 0, 0])),
  rem("signs", arg([4], "float64", [7.5, -7.5, 7.5, -7.5]), arg([4], "float64", [2, 2, -2, -2])),

  ...forms(max),
  ...integers(max),
  specials(max),
  max("ties", arg([4], "float32", [1, 2, 0, 3]), arg([4], "float32", [1, 1, -0, 3]), kink),
  max("a scalar tie", arg([3], "float64", [1, 0, 2]), arg([], "float64", [1]), kink),
  max("bool", arg([4], "bool", [0, 0, 1, 1]), arg([4], "bool", [0, 1, 0, 1])),
  ...forms(min),
  ...integers(min),
  specials(min),
  min("ties", arg([4], "float32", [1, 2, 0, 3]), arg([4], "float32", [1, 1, -0, 3]), kink),
  min("a scalar tie", arg([3], "float64", [1, 0, 2]), arg([], "float64", [1]), kink),
  min("bool", arg([4], "bool", [0, 0, 1, 1]), arg([4], "bool", [0, 1, 0, 1])),

  pow("float32", arg([2, 3], "float32", { range: [0.2, 3] }), arg([2, 3])),
  pow("float64", arg([5], "float64", { range: [0.2, 3] }), arg([5], "float64")),
  pow(
    "negative bases, whole exponents",
    arg([4], "float64", [-2, -1.5, -3, -1]),
    arg([4], "float64", [2, 3, -1, 0]),
    {
      grad: [0],
    },
  ),
  pow(
    "at zero",
    arg([2, 6], "float32", [0, 0, 0, 0, 0, 0, -0, -0, -0, -0, -0, -0]),
    arg([2, 6], "float32", [0, 1, 2, 3, 0.5, -1, 0, 1, 2, 3, 0.5, -1]),
    edge,
  ),
  pow("special values", arg([7, 7], "float32", pairs[0]), arg([7, 7], "float32", pairs[1]), edge),
  pow(
    "ones",
    arg([5], "float64", [1, 1, -1, -1, 1]),
    arg([5], "float64", [nan, inf, inf, -inf, -inf]),
    edge,
  ),
  pow(
    "int32 exponents",
    arg([2, 3], "float32", { range: [0.5, 2] }),
    arg([2, 3], "int32", [0, 1, 2, -1, -3, 7]),
  ),
  pow(
    "int32 exponents at zero",
    arg([4], "float64", [0, 0, 0, -0]),
    arg([4], "int32", [0, 1, 2, 3]),
  ),
  pow("an int32 exponent, a scalar", arg([3], "float64", [-1.5, 0.5, 2]), arg([], "int32", [3])),
  pow("a scalar base, int8 exponents", arg([], "float32", [1.5]), arg([3], "int8", [0, 2, -2])),
  pow("a scalar base", arg([], "float64", [2.5]), arg([4], "float64")),
  pow("a scalar exponent", arg([2, 2], "float64", { range: [0.2, 3] }), arg([], "float64", [0.5])),
  pow("axes of size 1", arg([2, 1], "float64", { range: [0.2, 3] }), arg([1, 3], "float64")),
  pow("no elements", arg([0]), arg([0])),
  pow("float16", arg([4], "float16", { range: [0.5, 2] }), arg([4], "float16"), coarse("float16")),
  pow(
    "bfloat16",
    arg([4], "bfloat16", { range: [0.5, 2] }),
    arg([4], "bfloat16"),
    coarse("bfloat16"),
  ),

  power(0)("y = 0", arg([7], "float32", special), edge),
  power(1)("y = 1", arg([3], "float64")),
  power(2)("y = 2", arg([2, 3])),
  power(3)("y = 3, special values", arg([7], "float32", special), edge),
  power(3)("y = 3", arg([3], "float64")),
  power(-1)("y = −1", arg([4], "float64", { range: [0.5, 2] })),
  power(-2)("y = −2", arg([4], "float32", { range: [0.5, 2] })),
  power(-3)("y = −3, special values", arg([7], "float32", special), edge),
  power(7)("y = 7", arg([4], "float32", { range: [-1.5, 1.5] })),
  power(-5)("y = −5", arg([2, 2], "float64", { range: [0.5, 2] })),
  power(5)("y = 5, int32", arg([4], "int32", [3, -3, 1000, 0])),
  power(3)("y = 3, uint8", arg([3], "uint8", [2, 7, 255])),
  power(0)("y = 0, int8", arg([2], "int8", [0, 5])),
  power(4)("y = 4, float16", arg([4], "float16"), coarse("float16")),
  power(3)("y = 3, bfloat16", arg([4], "bfloat16"), coarse("bfloat16")),
  power(2)("no elements", arg([2, 0])),
  power(6)("a scalar", arg([], "float64", [1.25])),

  square("float32", arg([2, 3])),
  square("float64, special values", arg([7], "float64", special), edge),
  square("int32, wrapping", arg([3], "int32", [46341, -3, 65536])),
  square("uint8", arg([3], "uint8", [15, 16, 255])),
  square("float16", arg([4], "float16"), coarse("float16")),
  square("no elements", arg([0, 1])),

  sign("float32", arg([8], "float32", [...special, 1e-30]), step),
  sign("float64", arg([3], "float64", [-0.5, 0.5, -0]), step),
  sign("int32", arg([4], "int32", [bottom, -1, 0, top])),
  sign("uint32", arg([3], "uint32", [0, 1, 2 ** 32 - 1])),
  sign("int8", arg([3], "int8", [-128, 0, 5])),
  sign("bfloat16", arg([2, 2], "bfloat16"), step),
  sign("no elements", arg([0]), step),

  abs("float32", arg([2, 3])),
  abs("at zero and special values", arg([7], "float32", special), kink),
  abs("float64", arg([4], "float64")),
  abs("int32", arg([4], "int32", [bottom, -5, 0, 5])),
  abs("int8", arg([3], "int8", [-128, -1, 127])),
  abs("float16", arg([3], "float16", [-0, -2, 65504]), coarse("float16")),
  abs("no elements", arg([2, 0])),
  abs("a scalar", arg([], "bfloat16", [-1.5]), coarse("bfloat16")),

  ...steps(floor),
  ...steps(ceil),
  ...steps(awayFromZero).map((s) => ({ ...s, name: `away from zero, ${s.name}` })),
  ...steps(toEven).map((s) => ({ ...s, name: `to even, ${s.name}` })),

  ...(["float32", "float64", "float16", "bfloat16"] as const).map((d) =>
    nextafter(
      d,
      arg([12], d, [1, 1, -1, -1, 0, -0, 0, inf, -inf, nan, 1, 2]),
      arg([12], d, [2, 0, 0, -2, 1, -1, -0, 0, 0, 1, nan, 2]),
      { grad: [] },
    ),
  ),
  nextafter("a scalar target", arg([3]), arg([], "float32", [inf]), { grad: [] }),
  nextafter("no elements", arg([0]), arg([0]), { grad: [] }),

  mulhi(
    "int32",
    arg([6], "int32", [top, bottom, bottom, -1, 1 << 20, 0]),
    arg([6], "int32", [top, bottom, 2, 5, 1 << 20, 7]),
  ),
  mulhi(
    "uint32",
    arg([4], "uint32", [2 ** 32 - 1, 2 ** 31, 65536, 3]),
    arg([4], "uint32", [2 ** 32 - 1, 2, 65536, 5]),
  ),
  mulhi("int8", arg([3], "int8", [127, -128, -1]), arg([3], "int8", [127, -128, 1])),
  mulhi("uint8, a scalar", arg([], "uint8", [255]), arg([3], "uint8", [255, 2, 1])),
  mulhi("no elements", arg([0, 2], "int32"), arg([0, 2], "int32")),
];
