/** Gradient transformations: pairs of pure functions, and how they combine. */
import type { Monoid } from "fp-ts/lib/Monoid.js";
import { concatAll } from "fp-ts/lib/Monoid.js";
import type { NDArray } from "../core/ndarray.ts";
import { convert } from "../core/ops/linear.ts";
import * as tree from "../core/tree.ts";

/** (updates, state, params) ↦ (updates, state). State is a tree of arrays, so that it goes through `jit`.
 *  @source optax, "Gradient transformations" */
export interface GradientTransformation<S = unknown> {
  init<P>(params: P): S;
  update<P>(updates: P, state: S, params: P): readonly [P, S];
}

/** Applies `f` to the arrays of trees of one structure. */
export function mapArrays<P>(
  f: (...leaves: NDArray[]) => NDArray,
  first: P,
  ...rest: unknown[]
): P {
  // tree.map infers leaf types from a known tree; here P is any tree of arrays
  const map = tree.map as unknown as (f: unknown, ...trees: unknown[]) => unknown;
  return map(f, first, ...rest) as P;
}

/** Does nothing. */
export const identity: GradientTransformation<null> = {
  init: () => null,
  update: (updates, state) => [updates, state],
};

/** Transformations form a monoid: one after the other, with `identity` as the neutral element. */
export const monoidTransformation: Monoid<GradientTransformation> = {
  empty: identity as GradientTransformation,
  concat: (first, second) => {
    // ∘ with identity is the other one, so that states do not nest around nothing
    if (first === identity) return second;
    if (second === identity) return first;
    return {
      init: (params) => [first.init(params), second.init(params)],
      update: (updates, state, params) => {
        const [a, b] = state as readonly [unknown, unknown];
        const [middle, nextA] = first.update(updates, a, params);
        const [last, nextB] = second.update(middle, b, params);
        return [last, [nextA, nextB]];
      },
    };
  },
};

/** One transformation after the other: the monoid's `concatAll`.
 *  @example chain(clipByGlobalNorm(1), adam(1e-3)) */
export const chain = (...parts: readonly GradientTransformation[]): GradientTransformation =>
  concatAll(monoidTransformation)(parts);

/** params + updates, each leaf in the dtype of its parameter. */
export const applyUpdates = <P>(params: P, updates: P): P =>
  mapArrays(
    (p, u) => convert((p as NDArray).add(u as NDArray), (p as NDArray).dtype),
    params,
    updates,
  );
