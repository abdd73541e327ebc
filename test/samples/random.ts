/** Samples of the random-bit primitives. Keys are two words; results are integers, equal to the last bit. */
import type { NDArray } from "../../core/ndarray.ts";
import {
  randomBits,
  randomFoldIn,
  type RandomBitsParams,
  randomSplit,
  threefry2x32,
} from "../../core/ops/random.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const key = arg([2], "uint32", [0, 42]);
const keys = arg([3, 2], "uint32", [0, 1, 4294967295, 7, 123456789, 987654321]);

const threefry = (name: string, args: readonly Arg[]): Sample => ({
  primitive: "threefry2x32",
  name,
  args,
  apply: (...w) => threefry2x32(...(w as [NDArray, NDArray, NDArray, NDArray])),
  jax: "tuple(jax.extend.random.threefry2x32_p.bind(*jnp.broadcast_arrays(a, b, c, d)))",
});
const uint32 = (shape: readonly number[], ...values: number[]): Arg => arg(shape, "uint32", values);
const scalar = (value: number): Arg => uint32([], value);

const python: { readonly [W in RandomBitsParams["bitWidth"]]: (shape: string) => string } = {
  8: (shape) => `jax.random.bits(k, ${shape}, "uint8")`,
  16: (shape) => `jax.random.bits(k, ${shape}, "uint16").astype("uint32")`,
  32: (shape) => `jax.random.bits(k, ${shape}, "uint32")`,
  64: (shape) =>
    `(lambda r: ((r >> 32).astype("uint32"), r.astype("uint32")))(jax.random.bits(k, ${shape}, "uint64"))`,
};
const tuple = (shape: readonly number[]): string => `(${shape.map((n) => `${n},`).join("")})`;
const bits = (
  name: string,
  k: Arg,
  width: RandomBitsParams["bitWidth"],
  shape: readonly number[],
): Sample => ({
  primitive: "random_bits",
  name,
  args: [k],
  apply: (v) => randomBits(v as NDArray, width, shape),
  jax: `${k === keys ? "jax.vmap" : ""}(lambda k: ${python[width](tuple(shape))})(a)`,
});
const split = (name: string, k: Arg, shape: readonly number[]): Sample => ({
  primitive: "random_split",
  name,
  args: [k],
  apply: (v) => randomSplit(v as NDArray, shape),
  jax: `${k === keys ? "jax.vmap" : ""}(lambda k: jax.random.split(k, ${tuple(shape)}))(a)`,
});

export const samples: readonly Sample[] = [
  threefry("known answer 1", [scalar(0), scalar(0), scalar(0), scalar(0)]),
  threefry(
    "known answer 2",
    [0, 1, 2, 3].map(() => scalar(0xffffffff)),
  ),
  threefry("known answer 3", [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3].map(scalar)),
  threefry("one key, many counters", [
    scalar(0),
    scalar(9),
    uint32([2, 2], 0, 0, 1, 1),
    uint32([2, 2], 0, 1, 2, 3),
  ]),
  threefry("size-1 axes", [
    uint32([2, 1], 1, 2),
    uint32([2, 1], 3, 4),
    uint32([1, 3], 0, 0, 0),
    uint32([1, 3], 0, 1, 2),
  ]),
  threefry("no elements", [scalar(0), scalar(0), uint32([0]), uint32([0])]),
  bits("32 bits", key, 32, [3, 4]),
  bits("8 bits", key, 8, [7]),
  bits("16 bits", key, 16, [5]),
  bits("64 bits", key, 64, [2, 3]),
  bits("a scalar", key, 32, []),
  bits("no elements", key, 32, [0, 2]),
  bits("a batch of keys", keys, 32, [2]),
  split("two", key, [2]),
  split("a block", key, [2, 3]),
  split("none", key, [0]),
  split("a batch of keys", keys, [2]),
  {
    primitive: "random_fold_in",
    name: "a number",
    args: [key, scalar(7)],
    apply: (k, d) => randomFoldIn(k as NDArray, d as NDArray),
    jax: "jax.random.fold_in(a, b)",
  },
  {
    primitive: "random_fold_in",
    name: "the largest number",
    args: [key, scalar(0xffffffff)],
    apply: (k, d) => randomFoldIn(k as NDArray, d as NDArray),
    jax: "jax.random.fold_in(a, b)",
  },
  {
    primitive: "random_fold_in",
    name: "a batch of keys",
    args: [keys, uint32([3], 0, 1, 2)],
    apply: (k, d) => randomFoldIn(k as NDArray, d as NDArray),
    jax: "jax.vmap(jax.random.fold_in)(a, b)",
  },
];
