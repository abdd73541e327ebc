/** Optimizers against optax: updates and parameters over five steps on a small tree. */
import { describe, expect, it } from "vitest";
import { type NDArray, jit, np } from "../index.ts";
import * as optim from "../optim/index.ts";
import { arrayOf, compare, type Encoded, golden } from "./numpy.golden.ts";

interface Params {
  readonly w: NDArray;
  readonly b: readonly [NDArray, NDArray];
}
const treeOf = (xs: readonly Encoded[]): Params => {
  const [w, b, c] = xs.map(arrayOf) as [NDArray, NDArray, NDArray];
  return { w, b: [b, c] };
};
const flat = (p: Params): NDArray[] => [p.w, ...p.b];
const schedule = (n: NDArray): NDArray => np.divide(0.1, np.add(1, n));

/** Each step is a chain of at most 8 roundings on the update, and the parameters add one for each step; in Adam,
 *  one unit in the last place of bᵗ is 1/(1 − b) of them in 1 − bᵗ, and the root halves that. */
const roundings = 8;
const cancellation = 1 / (1 - 0.999);

describe("optimizers", () => {
  const makers = new Map(
    golden.optim.runs.map(({ js }) => {
      const [names, values] = [Object.keys(optim), Object.values(optim)];
      const build = new Function(...names, "schedule", `return ${js}`);
      return [js, build(...values, schedule) as optim.GradientTransformation];
    }),
  );
  it.each(golden.optim.runs.map((r) => [r.js, r] as const))("%s", (js, run) => {
    const optimizer = makers.get(js) as optim.GradientTransformation;
    for (const step of [optimizer.update, jit(optimizer.update)] as (typeof optimizer.update)[]) {
      let params = treeOf(golden.optim.params);
      let state = optimizer.init(params);
      run.steps.forEach((want, k) => {
        const [updates, next] = step(treeOf(golden.optim.grads[k] as Encoded[]), state, params);
        state = next;
        params = optim.applyUpdates(params, updates);
        const ulp = roundings + (/adam/i.test(js) ? cancellation / 2 : 0);
        for (const [i, u] of flat(updates).entries())
          compare(u, want.updates[i] as Encoded, { ulp });
        // the parameters are of the order of 1
        for (const [i, p] of flat(params).entries())
          compare(p, want.params[i] as Encoded, { terms: roundings * (k + 1), scale: 1 });
      });
    }
  });
  it("globalNorm", () => {
    const norm = optim.globalNorm(treeOf(golden.optim.grads[0] as Encoded[])).item() as number;
    // 17 squares are summed
    expect(Math.abs(norm - golden.optim.norm)).toBeLessThanOrEqual(
      17 * 2 ** -23 * golden.optim.norm,
    );
  });
});
