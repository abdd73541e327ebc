/** Derivatives that many primitives share: of operations linear in operands, and of those whose derivative is zero. */
import type { Aval } from "../aval.ts";
import type { NDArray } from "../ndarray.ts";
import {
  type JvpRule,
  LinearInput,
  noRule,
  type Params,
  type Tangent,
  type TransposeRule,
  Zero,
} from "../primitive.ts";
import { bind } from "../trace.ts";

export const nonlinear = noRule("it is not linear");

/** What a jvp rule gives for one result: its tangent is zero if none is given. */
export const dual = (
  out: NDArray,
  tangent: Tangent = new Zero(out.aval),
): { readonly outs: readonly NDArray[]; readonly tangents: readonly Tangent[] } => ({
  outs: [out],
  tangents: [tangent],
});

/** jvp of an operation whose derivative is zero, or whose results are not floats. */
export const zeroJvp: JvpRule<Params> = (inputs, _tangents, params, primitive) => {
  const outs = bind(primitive, inputs, params);
  return { outs, tangents: outs.map((out) => new Zero(out.aval)) };
};

/** jvp of an operation that is linear in its first operand; the others are indices and the like. */
export const linearJvp: JvpRule<Params> = ([x, ...others], [t], params, primitive) => {
  const outs = bind(primitive, [x as NDArray, ...others], params);
  return {
    outs,
    tangents:
      t instanceof Zero
        ? outs.map((out) => new Zero(out.aval))
        : bind(primitive, [t as NDArray, ...others], params),
  };
};

/** Transpose of an operation with one result: gives the cotangent of each operand in which it is linear, from its
 *  type and its number `i`. Of those operands the aval is known and no more. */
export const transposed =
  <P>(
    cotangent: (ct: NDArray, x: Aval, params: P, inputs: readonly NDArray[], i: number) => Tangent,
  ): TransposeRule<P> =>
  ([ct], inputs, params) =>
    inputs.map((x, i) =>
      x instanceof LinearInput
        ? cotangent(ct as NDArray, x.aval, params, inputs as readonly NDArray[], i)
        : null,
    );
