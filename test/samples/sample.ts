/** Samples: every primitive arrives with some. Value, gradient, batching and conformance tests derive from them. */
import type { DType } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";

/** One argument: explicit values, or seeded ones. */
export interface Arg {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** row-major values; may hold NaN, ±Infinity and −0 */
  readonly values?: readonly number[];
  /** interval of the seeded values (default [−2, 2], integers [−5, 5], unsigned [0, 9]) */
  readonly range?: readonly [number, number];
}

export interface Sample {
  /** name of the primitive in the IR */
  readonly primitive: string;
  /** unique among the samples of the primitive: what is special here */
  readonly name: string;
  readonly args: readonly Arg[];
  /** the operation, by the functions of core/ops */
  apply(...xs: NDArray[]): NDArray | readonly NDArray[];
  /** the same in Python on arrays a, b, c, … with `jax`, `jnp`, `lax`, `np` in scope: a value or a tuple */
  readonly jax: string;
  /** arguments to differentiate (default: every float argument); [] for none */
  readonly grad?: readonly number[];
  /** where derivatives are not checked numerically (a kink at a sample point, a float16 result, …): the reason */
  readonly noNumericGrad?: string;
  /** allowed distance from JAX in units in the last place of the result's dtype (default 2), with the reason
   *  beside it in the sample where it is larger */
  readonly ulp?: number;
}

/** `arg([2, 3])`, `arg([2, 3], "int32")`, `arg([2], "float32", [1, NaN])`, `arg([2], "float32", { range: [0, 1] })` */
export function arg(
  shape: readonly number[],
  dtype: DType = "float32",
  given?: readonly number[] | { readonly range: readonly [number, number] },
): Arg {
  if (given === undefined) return { shape, dtype };
  return "range" in given ? { shape, dtype, range: given.range } : { shape, dtype, values: given };
}
