/** Samples of sort and top_k. */
import type { NDArray } from "../../core/ndarray.ts";
import { sort, topK } from "../../core/ops/sort.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const narrow = { noNumericGrad: "16-bit floats are too coarse" };
const tie = { noNumericGrad: "a kink: equal elements" };

const sorted = (
  name: string,
  args: readonly Arg[],
  dimension: number,
  { numKeys = 1, ...more }: { numKeys?: number } & Partial<Sample> = {},
): Sample => ({
  primitive: "sort",
  name,
  args,
  apply: (...xs) => sort(xs, { dimension, numKeys }),
  jax: `lax.sort((${args.map((_, i) => `${"abc"[i]},`).join("")}), dimension=${dimension}, num_keys=${numKeys})`,
  ...more,
});

const top = (name: string, x: Arg, k: number, more: Partial<Sample> = {}): Sample => ({
  primitive: "top_k",
  name,
  args: [x],
  apply: (v) => topK(v as NDArray, k),
  jax: `lax.top_k(a, ${k})`,
  ...more,
});

const special = [1, nan, -inf, 0, -0, inf, -1, nan, 0];

export const samples: readonly Sample[] = [
  sorted("a vector", [arg([6])], 0),
  sorted("the inner axis", [arg([2, 4], "float64")], 1),
  sorted("the outer axis", [arg([4, 2])], 0),
  sorted("the middle axis", [arg([2, 3, 2])], 1),
  sorted("size 1", [arg([1])], 0),
  sorted("along no elements", [arg([2, 0])], 1),
  sorted("no results", [arg([0, 3])], 1),
  sorted("NaN, infinities, signed zeros", [arg([9], "float32", special)], 0, tie),
  sorted("the same in float64", [arg([9], "float64", special)], 0, tie),
  sorted(
    "equal elements keep their order",
    [arg([6], "int32", [2, 1, 2, 1, 2, 1]), arg([6], "int32", [0, 1, 2, 3, 4, 5])],
    0,
  ),
  sorted("a key and a float value", [arg([5], "int32"), arg([5])], 0),
  sorted("a float key and a float value", [arg([2, 3]), arg([2, 3])], 1),
  sorted(
    "two keys",
    [arg([6], "int32", [1, 0, 1, 0, 1, 0]), arg([6], "float32"), arg([6], "int32")],
    0,
    { numKeys: 2 },
  ),
  sorted("float16", [arg([5], "float16")], 0, narrow),
  sorted("bfloat16", [arg([2, 3], "bfloat16")], 1, narrow),
  sorted("int8", [arg([5], "int8", [3, -128, 127, 0, -1])], 0),
  sorted("uint8", [arg([4], "uint8", [200, 3, 255, 0])], 0),
  sorted("uint32", [arg([4], "uint32", [4294967295, 3, 2147483648, 0])], 0),
  sorted("bool", [arg([4], "bool", [1, 0, 1, 0])], 0),
  sorted("many", [arg([40], "float64")], 0),

  top("a vector", arg([6]), 3),
  top("the last axis", arg([2, 4], "float64"), 2),
  top("all of them", arg([3]), 3),
  top("none", arg([3]), 0),
  top("size 1", arg([2, 1]), 1),
  top("no results", arg([0, 3]), 2),
  top("the first of equal ones", arg([5], "float32", [1, 2, 2, 1, 2]), 4, tie),
  top("infinities", arg([4], "float32", [-inf, inf, 1, inf]), 3, tie),
  top("NaN", arg([4], "float32", [1, nan, 3, 2]), 3),
  top("float16", arg([4], "float16"), 2, narrow),
  top("bfloat16", arg([4], "bfloat16"), 2, narrow),
  top("int32", arg([2, 3], "int32"), 2),
  top("uint8", arg([4], "uint8", [200, 3, 255, 0]), 2),
];
