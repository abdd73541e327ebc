/** Samples of the cumulative operations. */
import type { NDArray } from "../../core/ndarray.ts";
import * as c from "../../core/ops/cumulative.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const rows = [
  { name: "cumsum", f: c.cumsum },
  { name: "cumprod", f: c.cumprod },
  { name: "cummax", f: c.cummax },
  { name: "cummin", f: c.cummin },
  { name: "cumlogsumexp", f: c.cumlogsumexp },
] as const;
const narrow = { noNumericGrad: "16-bit floats are too coarse" };

export const samples: readonly Sample[] = rows.flatMap(({ name, f }) => {
  const of = (
    what: string,
    x: Arg,
    axis: number,
    reverse: boolean,
    more: Partial<Sample> = {},
  ): Sample => ({
    primitive: name,
    name: what,
    args: [x],
    apply: (v) => f(v as NDArray, { axis, reverse }),
    jax: `lax.${name}(a, axis=${axis}, reverse=${reverse ? "True" : "False"})`,
    ...more,
  });
  const kink =
    name === "cummax" || name === "cummin" ? { noNumericGrad: "a kink: equal elements" } : {};
  // its gradient is a sum of softmax weights times cotangents, terms near 1 that here cancel to 1/24
  const cancelling = name === "cumlogsumexp" ? { ulp: 2 * 24 } : {};
  const floats = [
    of("a vector", arg([5]), 0, false),
    of("a vector, from the end", arg([5], "float64"), 0, true),
    of("the inner axis", arg([2, 4], "float64"), 1, false),
    of("the outer axis, from the end", arg([4, 2]), 0, true, cancelling),
    of("the middle axis", arg([2, 3, 2]), 1, false),
    of("size 1", arg([1, 2]), 0, false),
    of("along no elements", arg([2, 0]), 1, false),
    of("no results", arg([0, 3]), 1, true),
    of("equal elements", arg([4], "float64", [1, 1, 1, 1]), 0, false, { ...kink, ...cancelling }),
    of("zeros", arg([4], "float64", [2, 0, 3, 0]), 0, false, kink),
    of("NaN", arg([4], "float32", [1, nan, 2, 3]), 0, false),
    of("infinities", arg([3], "float32", [1, inf, 2]), 0, false),
    of("minus infinity", arg([3], "float32", [-inf, 1, -inf]), 0, true),
    of("float16", arg([4], "float16"), 0, false, narrow),
    of("bfloat16", arg([2, 2], "bfloat16"), 1, true, narrow),
  ];
  const integers = [
    of("int32", arg([2, 3], "int32"), 1, false),
    of("uint8, wrapping", arg([3], "uint8", [200, 100, 3]), 0, false),
    of("int8, from the end", arg([4], "int8"), 0, true),
    of("uint32", arg([3], "uint32"), 0, false),
  ];
  return name === "cumlogsumexp" ? floats : [...floats, ...integers];
});
