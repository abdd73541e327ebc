/** Samples of reductions: extrema, products, logic, positions. (Sums are in linear.ts.) */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import * as r from "../../core/ops/reduce.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
type Reduction = (x: NDArray, axes: readonly number[]) => NDArray;

const tuple = (xs: readonly number[]): string => `(${xs.map((x) => `${x},`).join("")})`;
const reduction =
  (primitive: string, f: Reduction) =>
  (name: string, x: Arg, axes: readonly number[], more: Partial<Sample> = {}): Sample => ({
    primitive,
    name,
    args: [x],
    apply: (v) => f(v as NDArray, axes),
    jax: `lax.${primitive}(a, ${tuple(axes)})`,
    ...more,
  });

const tie = { noNumericGrad: "a kink: equal elements" };
const narrow = { noNumericGrad: "16-bit floats are too coarse" };

const extrema = (["reduce_max", "reduce_min"] as const).flatMap((name) => {
  const of = reduction(name, name === "reduce_max" ? r.reduceMax : r.reduceMin);
  return [
    of("one axis", arg([2, 3]), [1]),
    of("all axes", arg([2, 3], "float64"), [0, 1]),
    of("the outer and the inner axis", arg([2, 3, 2]), [0, 2]),
    of("ties share the gradient", arg([2, 4], "float32", [1, 3, 3, 0, 2, 2, 2, 2]), [1], tie),
    of("a size-1 axis", arg([3, 1]), [1]),
    of("NaN", arg([2, 3], "float32", [1, nan, 2, nan, nan, nan]), [1]),
    of("infinities", arg([2, 2], "float32", [inf, -inf, -inf, -inf]), [1], tie),
    of("signed zeros", arg([2, 2], "float32", [0, -0, -0, -0]), [1], tie),
    of("zeros, the other way", arg([2], "float64", [-0, 0]), [0], tie),
    of("along no elements", arg([2, 0]), [1], { noNumericGrad: "the result is infinite" }),
    of("no results", arg([0, 3]), [1]),
    of("float16", arg([2, 3], "float16"), [0], narrow),
    of("bfloat16", arg([4], "bfloat16"), [0], narrow),
    of("int32", arg([2, 3], "int32"), [1]),
    of("uint8", arg([5], "uint8", [3, 200, 255, 0, 9]), [0]),
    of("int8, no elements", arg([0], "int8"), [0]),
    of("bool", arg([2, 2], "bool", [0, 1, 0, 0]), [1]),
  ];
});

const prod = reduction("reduce_prod", r.reduceProd);
const products = [
  prod("one axis", arg([2, 3]), [1]),
  prod("all axes", arg([2, 2], "float64"), [0, 1]),
  prod("five factors", arg([5], "float64"), [0]),
  prod("one zero", arg([3], "float64", [2, 0, 3]), [0]),
  prod("two zeros", arg([2, 3], "float64", [0, 0, 3, 1, 2, 3]), [1]),
  prod("along no elements", arg([2, 0]), [1]),
  prod("no results", arg([0, 2]), [1]),
  prod("NaN and infinities", arg([2, 2], "float32", [nan, 1, inf, 0]), [1]),
  prod("the first axis, size 1", arg([1, 3]), [0]),
  prod("float16", arg([3], "float16"), [0], narrow),
  prod("bfloat16", arg([2, 3], "bfloat16"), [1], narrow),
  prod("int32, wrapping", arg([3], "int32", [65536, 65536, 3]), [0]),
  prod("int8", arg([3], "int8", [20, 20, -3]), [0]),
  prod("uint32", arg([2, 2], "uint32"), [0]),
];

const logic = (["reduce_and", "reduce_or", "reduce_xor"] as const).flatMap((name) => {
  const of = reduction(
    name,
    { reduce_and: r.reduceAnd, reduce_or: r.reduceOr, reduce_xor: r.reduceXor }[name],
  );
  const bits = (d: DType): Arg => arg([2, 3], d, [12, 10, 7, 5, 1, 9]);
  return [
    of("bool", arg([2, 3], "bool", [1, 1, 1, 0, 1, 0]), [1]),
    of("bool, no elements", arg([2, 0], "bool"), [1]),
    of("int32", bits("int32"), [1]),
    of("int8, negative", arg([3], "int8", [-1, -128, 5]), [0]),
    of("uint8", bits("uint8"), [0]),
    of("uint32, all axes", bits("uint32"), [0, 1]),
    of("uint32, no elements", arg([0], "uint32"), [0]),
  ];
});

const positions = (["argmax", "argmin"] as const).flatMap((name) => {
  const f = name === "argmax" ? r.argmax : r.argmin;
  const of = (what: string, x: Arg, axis: number, index: DType = "int32"): Sample => ({
    primitive: name,
    name: what,
    args: [x],
    apply: (v) => f(v as NDArray, axis, index),
    jax: `lax.${name}(a, ${axis}, jnp.${index})`,
    noNumericGrad: "the result is an integer",
  });
  return [
    of("the inner axis", arg([2, 3]), 1),
    of("the outer axis", arg([3, 2], "float64"), 0),
    of("the first of equal ones", arg([2, 4], "float32", [1, 3, 3, 0, 2, 2, 2, 2]), 1),
    of("NaN", arg([2, 3], "float32", [1, nan, 2, nan, 5, nan]), 1),
    of("infinities", arg([3], "float32", [-inf, inf, inf]), 0),
    of("signed zeros", arg([3], "float32", [-0, 0, -0]), 0),
    of("size 1", arg([1, 2]), 0),
    of("no results", arg([0, 3]), 1),
    of("int32, uint32 positions", arg([4], "int32"), 0, "uint32"),
    of("uint8", arg([2, 3], "uint8"), 1, "uint8"),
    of("bool", arg([3], "bool", [0, 1, 1]), 0),
    of("bfloat16", arg([4], "bfloat16"), 0),
    of("float16", arg([2, 2], "float16"), 1),
  ];
});

export const samples: readonly Sample[] = [...extrema, ...products, ...logic, ...positions];
