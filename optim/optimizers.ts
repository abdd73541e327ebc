/** Optimizers and the transformations that they are made of. */
import type { NDArray } from "../core/ndarray.ts";
import * as np from "../core/numpy/index.ts";
import * as tree from "../core/tree.ts";
import { chain, type GradientTransformation, mapArrays } from "./transformation.ts";

/** A learning rate: a number, or a function of the step (an int32 scalar counted from 0). */
export type ScalarOrSchedule = number | ((count: NDArray) => NDArray | number);

const zerosLike = <P>(params: P): P => mapArrays((p) => np.zerosLike(p as NDArray), params);
const one = (): NDArray => np.array(1, { dtype: "int32" });
const zero = (): NDArray => np.array(0, { dtype: "int32" });

/** u ↦ factor·u */
export const scale = (factor: number): GradientTransformation<null> => ({
  init: () => null,
  update: (updates, state) => [mapArrays((u) => (u as NDArray).mul(factor), updates), state],
});

/** u ↦ schedule(step)·u */
export const scaleBySchedule = (
  schedule: (count: NDArray) => NDArray | number,
): GradientTransformation<{ count: NDArray }> => ({
  init: () => ({ count: zero() }),
  update: (updates, { count }) => {
    const factor = np.array(schedule(count));
    return [
      mapArrays((u) => (u as NDArray).mul(factor.astype((u as NDArray).dtype)), updates),
      { count: count.add(one()) },
    ];
  },
});

/** u ↦ −rate·u: descent instead of ascent */
export const scaleByLearningRate = (rate: ScalarOrSchedule): GradientTransformation =>
  (typeof rate === "number"
    ? scale(-rate)
    : scaleBySchedule((count) => np.negative(rate(count)))) as GradientTransformation;

/** m ← decay·m + u; gives m, or u + decay·m with Nesterov's look-ahead */
export const trace = (
  decay: number,
  { nesterov = false }: { readonly nesterov?: boolean } = {},
): GradientTransformation<{ trace: unknown }> => ({
  init: (params) => ({ trace: zerosLike(params) }),
  update: (updates, state) => {
    const blend = (u: NDArray, m: NDArray): NDArray => u.add(m.mul(decay));
    const next = mapArrays((u, m) => blend(u as NDArray, m as NDArray), updates, state.trace);
    const out = nesterov
      ? mapArrays((u, m) => blend(u as NDArray, m as NDArray), updates, next)
      : next;
    return [out, { trace: next }];
  },
});

export interface AdamOptions {
  /** decay of the mean of gradients (default 0.9) */
  readonly b1?: number;
  /** decay of the mean of squared gradients (default 0.999) */
  readonly b2?: number;
  /** added to the root (default 1e-8) */
  readonly eps?: number;
  /** added under the root (default 0) */
  readonly epsRoot?: number;
}
export interface AdamState {
  readonly count: NDArray;
  readonly mu: unknown;
  readonly nu: unknown;
}
/** m ← b₁m + (1−b₁)g, v ← b₂v + (1−b₂)g²; gives m̂/(√(v̂ + ε_root) + ε) with m̂ = m/(1−b₁ᵗ), v̂ = v/(1−b₂ᵗ)
 *  @source Kingma and Ba 2015, arXiv:1412.6980 */
export const scaleByAdam = ({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-8,
  epsRoot = 0,
}: AdamOptions = {}): GradientTransformation<AdamState> => ({
  init: (params) => ({ count: zero(), mu: zerosLike(params), nu: zerosLike(params) }),
  update: (updates, state) => {
    const decay = (old: unknown, by: number, f: (g: NDArray) => NDArray): typeof updates =>
      mapArrays(
        (g, m) =>
          f(g as NDArray)
            .mul(1 - by)
            .add((m as NDArray).mul(by)),
        updates,
        old,
      );
    const mu = decay(state.mu, b1, (g) => g);
    const nu = decay(state.nu, b2, (g) => g.square());
    const count = state.count.add(one());
    const t = count.astype("float32");
    const c1 = np.subtract(1, np.power(b1, t));
    const c2 = np.subtract(1, np.power(b2, t));
    const out = mapArrays(
      (m, v) => {
        const { dtype } = m as NDArray;
        const mean = (m as NDArray).div(c1.astype(dtype));
        const square = (v as NDArray).div(c2.astype(dtype));
        return mean.div(square.add(epsRoot).sqrt().add(eps));
      },
      mu,
      nu,
    );
    return [out, { count, mu, nu }];
  },
});

/** u ↦ u·min(1, limit/‖u‖), where ‖u‖ is the norm of all leaves together */
export const clipByGlobalNorm = (limit: number): GradientTransformation<null> => ({
  init: () => null,
  update: (updates, state) => {
    const norm = globalNorm(updates);
    const factor = np.where(norm.less(limit), 1, np.divide(limit, norm));
    return [
      mapArrays((u) => (u as NDArray).mul(factor.astype((u as NDArray).dtype)), updates),
      state,
    ];
  },
});
/** √Σu² over all leaves */
export const globalNorm = (updates: unknown): NDArray =>
  np.sqrt(
    (tree.leaves(updates) as NDArray[]).reduce<NDArray>(
      (sum, u) => sum.add(u.square().sum()),
      np.array(0),
    ),
  );
/** u ↦ u + decay·p */
export const addDecayedWeights = (decay: number): GradientTransformation<null> => ({
  init: () => null,
  update: (updates, state, params) => [
    mapArrays((u, p) => (u as NDArray).add((p as NDArray).mul(decay)), updates, params),
    state,
  ],
});

/** p ← p − rate·g
 *  @example sgd(0.1).update(np.array([1]), sgd(0.1).init(np.array([0])), np.array([0]))[0].toArray()  // => [-0.10000000149011612] */
export const sgd = (rate: ScalarOrSchedule): GradientTransformation => scaleByLearningRate(rate);
/** m ← decay·m + g, p ← p − rate·m
 *  @source Polyak 1964; Sutskever et al. 2013 */
export const momentum = (
  rate: ScalarOrSchedule,
  decay = 0.9,
  options: { readonly nesterov?: boolean } = {},
): GradientTransformation =>
  chain(trace(decay, options) as GradientTransformation, scaleByLearningRate(rate));
/** p ← p − rate·m̂/(√v̂ + ε)
 *  @source Kingma and Ba 2015, arXiv:1412.6980 */
export const adam = (rate: ScalarOrSchedule, options: AdamOptions = {}): GradientTransformation =>
  chain(scaleByAdam(options) as GradientTransformation, scaleByLearningRate(rate));
/** adam with decoupled weight decay
 *  @source Loshchilov and Hutter 2019, arXiv:1711.05101 */
export const adamw = (
  rate: ScalarOrSchedule,
  { weightDecay = 1e-4, ...options }: AdamOptions & { readonly weightDecay?: number } = {},
): GradientTransformation =>
  chain(
    scaleByAdam(options) as GradientTransformation,
    addDecayedWeights(weightDecay) as GradientTransformation,
    scaleByLearningRate(rate),
  );
