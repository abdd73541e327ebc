/** Random bits: Threefry-2x32 and the counters it is fed. Bits are those of JAX with `jax_threefry_partitionable`.
 *
 *  A key is two uint32 words, an array `[…, 2]`. The block cipher encrypts a counter under a key; the bits of an
 *  array are the ciphers of its row-major positions, so that every element is computed on its own.
 *  @source Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" */
import { Aval } from "../aval.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { add, binary, cast, type Expr, int, linearIndex, lit, or, select } from "../kernel/expr.ts";
import { compare } from "../kernel/expr.ts";
import type { MapLowering, Read } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive } from "../primitive.ts";
import { type Shape, shapesEqual, showShape, sizeOf, stridesOf } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import { eachElement } from "./axes.ts";
import { batchFront } from "./linear.ts";
import { zeroJvp } from "./linearity.ts";
import { elementsOf, elementwiseBatch, elementwiseShape, onIntegers } from "./rules.ts";

// ---- the block cipher ----

const word = (value: number): Expr => lit(value >>> 0, "uint32");
const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/** Twenty rounds of Threefry-2x32. */
function threefry(k0: Expr, k1: Expr, c0: Expr, c1: Expr): readonly [Expr, Expr] {
  const keys = [k0, k1, binary("xor", binary("xor", k0, k1), word(0x1bd11bda))] as const;
  let x = add(c0, k0);
  let y = add(c1, k1);
  for (let group = 0; group < 5; group++) {
    for (const r of rotations[(group % 2) as 0 | 1]) {
      x = add(x, y);
      y = binary("xor", x, or(binary("shl", y, word(r)), binary("shrl", y, word(32 - r))));
    }
    x = add(x, keys[((group + 1) % 3) as 0 | 1 | 2]);
    y = add(add(y, keys[((group + 2) % 3) as 0 | 1 | 2]), word(group + 1));
  }
  return [x, y];
}

function needWords(op: string, avals: readonly Aval[]): void {
  for (const a of avals)
    if (a.dtype !== "uint32")
      fail(
        DTypeError,
        op,
        "keys and counters must be uint32",
        avals.join(" and "),
        "convert first",
      );
}

/** (k₀, k₁, c₀, c₁) ↦ the two words of the counter (c₀, c₁) encrypted under the key (k₀, k₁), elementwise */
export const threefry2x32P: Primitive<Record<never, never>> = definePrimitive({
  name: "threefry2x32",
  shape: (avals) => {
    needWords("threefry2x32", avals);
    const aval = Aval.of(elementwiseShape("threefry2x32", avals), "uint32");
    return [aval, aval];
  },
  jvp: zeroJvp,
  transpose: onIntegers,
  batch: elementwiseBatch,
  lower: (ins, [out]) => ({
    kind: "map",
    at: (index, read) => {
      const words = elementsOf(ins, (out as Aval).shape, index, read);
      return threefry(...(words as [Expr, Expr, Expr, Expr]));
    },
  }),
});
/** The two words of the counter (c₀, c₁) encrypted under the key (k₀, k₁).
 *  @throws DTypeError unless all are uint32, ShapeError unless their shapes agree */
export function threefry2x32(
  k0: NDArray,
  k1: NDArray,
  c0: NDArray,
  c1: NDArray,
): readonly [NDArray, NDArray] {
  return bind(threefry2x32P, [k0, k1, c0, c1], {}) as unknown as [NDArray, NDArray];
}

// ---- keys and shapes of what they give ----

/** Shape of a batch of keys. */
function keysShape(op: string, keys: Aval): Shape {
  if (keys.dtype !== "uint32" || keys.shape.at(-1) !== 2)
    fail(
      keys.dtype === "uint32" ? ShapeError : DTypeError,
      op,
      "a key must be a uint32 array of shape [2], or a batch of them",
      String(keys),
      "make one with random.key(seed)",
    );
  return keys.shape.slice(0, -1);
}
/** The cipher of a counter under the key to which an output index that begins with the key's batch index belongs. */
function cipher(
  { rank }: Aval,
  index: readonly Expr[],
  read: Read,
  counter: Expr,
): readonly [Expr, Expr] {
  const word = (k: number): Expr => read(0, [...index.slice(0, rank - 1), int(k)]);
  return threefry(word(0), word(1), lit(0, "uint32"), counter);
}
/** Row-major position of `index` in `shape`, as a uint32. */
const position = (index: readonly Expr[], shape: Shape): Expr =>
  cast(linearIndex(index, stridesOf(shape)), "uint32");

// ---- bits ----

export interface RandomBitsParams {
  readonly bitWidth: 8 | 16 | 32 | 64;
  readonly shape: Shape;
}
/** keys `[…, 2]` ↦ bits `[…, ...shape]`. 8 bits come as uint8, 16 bits in a uint32, 32 as uint32, 64 as two uint32 arrays: the
 *  upper and the lower word. */
export const randomBitsP: Primitive<RandomBitsParams> = definePrimitive<RandomBitsParams>({
  name: "random_bits",
  shape: ([keys], { bitWidth, shape }) => {
    const batch = keysShape("randomBits", keys as Aval);
    if (sizeOf(shape) > 2 ** 31)
      fail(ShapeError, "randomBits", "at most 2³¹ elements", showShape(shape), "draw in parts");
    const aval = Aval.of([...batch, ...shape], bitWidth === 8 ? "uint8" : "uint32");
    return bitWidth === 64 ? [aval, aval] : [aval];
  },
  jvp: zeroJvp,
  transpose: onIntegers,
  batch: batchFront(),
  lower: ([keys], _outs, { bitWidth, shape }) => ({
    kind: "map",
    at: (index, read) => {
      const a = keys as Aval;
      const words = cipher(a, index, read, position(index.slice(a.rank - 1), shape));
      if (bitWidth === 64) return words;
      const bits = binary("xor", words[0], words[1]);
      if (bitWidth === 32) return [bits];
      return [bitWidth === 8 ? cast(bits, "uint8") : binary("and", bits, word(0xffff))];
    },
  }),
});
/** Uniform bits in arrays of the given shape under one key, or a batch of keys. See `randomBitsP` for the dtypes. */
export const randomBits = (
  keys: NDArray,
  bitWidth: RandomBitsParams["bitWidth"],
  shape: Shape,
): readonly NDArray[] => bind(randomBitsP, [keys], { bitWidth, shape });

// ---- keys from keys ----

/** Lowering of new keys: the ciphers of counters, of which the last axis of the result names a word. */
const newKeys = (
  keys: Aval | undefined,
  counter: (index: readonly Expr[], read: Read) => Expr,
): MapLowering =>
  eachElement((index, read) => {
    const [first, second] = cipher(keys as Aval, index, read, counter(index, read));
    return select(compare("eq", index.at(-1) as Expr, int(0)), first, second);
  });
export interface RandomSplitParams {
  readonly shape: Shape;
}
/** keys `[…, 2]` ↦ keys `[…, ...shape, 2]`: the new key number i is the cipher of i */
export const randomSplitP: Primitive<RandomSplitParams> = definePrimitive<RandomSplitParams>({
  name: "random_split",
  shape: ([keys], { shape }) => [
    Aval.of([...keysShape("randomSplit", keys as Aval), ...shape, 2], "uint32"),
  ],
  jvp: zeroJvp,
  transpose: onIntegers,
  batch: batchFront(),
  lower: ([keys], _outs, { shape }) =>
    newKeys(keys, (index) => position(index.slice((keys as Aval).rank - 1, -1), shape)),
});
export const randomSplit = (keys: NDArray, shape: Shape): NDArray =>
  bind1(randomSplitP, [keys], { shape });

/** (keys `[…, 2]`, data uint32 `[…]`) ↦ keys `[…, 2]`: the cipher of (0, data) */
export const randomFoldInP: Primitive<Record<never, never>> = definePrimitive({
  name: "random_fold_in",
  shape: ([keys, data]) => {
    const batch = keysShape("randomFoldIn", keys as Aval);
    const d = data as Aval;
    needWords("randomFoldIn", [d]);
    if (!shapesEqual(d.shape, batch))
      fail(
        ShapeError,
        "randomFoldIn",
        "needs one number for each key",
        `${keys} and ${d}`,
        "fold in a scalar, or use vmap",
      );
    return [(keys as Aval).with({ weakType: false })];
  },
  jvp: zeroJvp,
  transpose: onIntegers,
  batch: batchFront(),
  lower: ([keys]) => newKeys(keys, (index, read) => read(1, index.slice(0, -1))),
});
export const randomFoldIn = (keys: NDArray, data: NDArray): NDArray =>
  bind1(randomFoldInP, [keys, data], {});
