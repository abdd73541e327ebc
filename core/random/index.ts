/** Random numbers from explicit keys: the same key gives the same numbers, everywhere and under every transform.
 *  The bits are those of JAX (Threefry-2x32, partitionable).
 *  @example random.normal(random.key(0), [2, 3]).shape // => [2, 3] */
export { bits, uniform, type UniformOptions } from "./bits.ts";
export {
  bernoulli,
  exponential,
  type FloatOptions,
  gumbel,
  laplace,
  logistic,
  normal,
  rademacher,
  truncatedNormal,
} from "./distributions.ts";
export { foldIn, type Key, key, split } from "./key.ts";
export type { Parameter } from "./operand.ts";
export { categorical, choice, type ChoiceOptions, permutation, randint } from "./selection.ts";
