/** Keys: what randomness is made of. A key is a uint32 array of shape [2]; it is used once, or split. */
import { describe, fromValues } from "../array.ts";
import { Aval } from "../aval.ts";
import { isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import { convert, expandDims, full } from "../ops/linear.ts";
import { randomFoldIn, randomSplit } from "../ops/random.ts";
import { concatenate } from "../ops/structural.ts";
import { checkShape } from "../shape.ts";

/** Two uint32 words, shape [2]. */
export type Key = NDArray;

/** Checks a key that came from the user. */
export function checkKey(op: string, key: unknown): NDArray {
  if (!(key instanceof NDArray))
    return fail(
      DTypeError,
      op,
      "the first argument must be a key",
      describe(key),
      "make one with random.key(seed)",
    );
  if (key.dtype !== "uint32" || key.shape.at(-1) !== 2)
    fail(
      key.dtype === "uint32" ? ShapeError : DTypeError,
      op,
      "a key must be a uint32 array of shape [2]",
      key.aval,
      "make one with random.key(seed)",
    );
  if (key.ndim !== 1)
    fail(
      ShapeError,
      op,
      "takes one key",
      `a batch of keys ${key.aval}`,
      "map over the keys with vmap",
    );
  return key;
}

/** The key of a seed: its upper and its lower 32 bits. A seed between −2³¹ and 2³² is one word, (0, seed mod 2³²); a
 *  larger one is the two words of its 64-bit two's complement. An integer array `[…]` gives keys `[…, 2]`.
 *  @throws DTypeError unless the seed is a whole number of at most 53 bits or an integer array
 *  @example random.key(42) // => [0, 42] */
export function key(seed: number | NDArray): Key {
  if (seed instanceof NDArray) {
    if (!isInteger(seed.dtype))
      fail(
        DTypeError,
        "random.key",
        "a seed must be an integer",
        seed.aval,
        "convert it to uint32",
      );
    const low = expandDims(convert(seed, "uint32"), [seed.ndim]);
    return concatenate([full(low.shape, 0, "uint32"), low], seed.ndim);
  }
  if (!Number.isSafeInteger(seed))
    return fail(
      DTypeError,
      "random.key",
      "a seed must be a whole number of at most 53 bits",
      typeof seed === "number" ? seed : describe(seed),
      "hash it to an integer first",
    );
  const oneWord = seed >= -(2 ** 31) && seed < 2 ** 32;
  const high = oneWord ? 0 : Math.floor(seed / 2 ** 32) >>> 0;
  return fromValues([high, seed >>> 0], Aval.of([2], "uint32"));
}

/** New keys `[num, 2]` (or `[...num, 2]`), independent of each other and of `key`, which must not be used again.
 *  @throws ShapeError unless `num` is a count or a shape
 *  @example random.split(random.key(0)).shape // => [2, 2] */
export function split(key: Key, num: number | readonly number[] = 2): NDArray {
  return randomSplit(checkKey("random.split", key), checkShape("random.split", num));
}

/** A new key from a key and a number (a step, a layer's index), 0 ≤ data < 2³².
 *  @throws DTypeError unless `data` is a whole number in range or an integer scalar
 *  @example random.foldIn(random.key(0), 7).shape // => [2] */
export function foldIn(key: Key, data: number | NDArray): Key {
  const op = "random.foldIn";
  const k = checkKey(op, key);
  if (data instanceof NDArray) {
    if (!isInteger(data.dtype))
      fail(DTypeError, op, "data must be an integer", data.aval, "convert it to uint32");
    return randomFoldIn(k, convert(data, "uint32"));
  }
  if (!Number.isInteger(data) || data < 0 || data >= 2 ** 32)
    fail(
      DTypeError,
      op,
      "data must be a whole number between 0 and 2³² − 1",
      typeof data === "number" ? data : describe(data),
      "reduce it modulo 2³² first",
    );
  return randomFoldIn(k, new Literal(data, "uint32"));
}
