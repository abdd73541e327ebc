/** Parameter initialisation: descriptions that take their keys from a State monad, so that no key is split by
 *  hand and none is used twice. */
import * as S from "fp-ts/lib/State.js";
import type { DType } from "../core/dtype.ts";
import type { NDArray } from "../core/ndarray.ts";
import { split } from "../core/random/index.ts";
import type { Shape } from "../core/shape.ts";
import type { Initializer } from "./initializers.ts";

/** A description of parameters: given a key, the parameters and the key that is left. */
export type Init<A> = S.State<NDArray, A>;

/** One parameter array. Takes one key.
 *  @example initialize(param(initializers.zeros, [2]), random.key(0)).shape  // => [2] */
export const param =
  (initializer: Initializer, shape: Shape, dtype: DType = "float32"): Init<NDArray> =>
  (key) => {
    const keys = split(key);
    return [initializer(keys.get(0), shape, dtype), keys.get(1)];
  };

/** Parameters that need no randomness. */
export const constant = <A>(value: A): Init<A> => S.of(value);

/** A record of parameters from a record of descriptions, in the order of its keys. */
export const struct =
  <const R extends { readonly [name: string]: Init<unknown> }>(
    fields: R,
  ): Init<{ [K in keyof R]: R[K] extends Init<infer A> ? A : never }> =>
  (key) => {
    let rest = key;
    const out: { [name: string]: unknown } = {};
    for (const name of Object.keys(fields)) {
      const [value, next] = (fields[name] as Init<unknown>)(rest);
      out[name] = value;
      rest = next;
    }
    return [out as { [K in keyof R]: R[K] extends Init<infer A> ? A : never }, rest];
  };

/** A list of parameters from a list of descriptions. */
export const list = <A>(items: readonly Init<A>[]): Init<A[]> =>
  S.sequenceArray(items) as unknown as Init<A[]>;

/** The parameters that a description gives for a key.
 *  @example initialize(struct({ w: param(initializers.ones, [2]), b: param(initializers.zeros, []) }), random.key(0)).w.toArray()  // => [1, 1] */
export const initialize = <A>(init: Init<A>, key: NDArray): A => init(key)[0];
