/** nn against jax.nn and optax; layers and descriptions of weights. */
import { describe, expect, it } from "vitest";
import { np, random } from "../index.ts";
import * as nn from "../nn/index.ts";
import { check, golden } from "./numpy.golden.ts";

describe("functions", () => {
  it.each(golden.nn.map((c) => [c.js, c] as const))("%s", (_js, c) => check(c));
});

/** Mean and standard deviation of a sample. */
const moments = (x: ArrayLike<number>): [number, number] => {
  const list = Array.from(x);
  const mean = list.reduce((s, v) => s + v, 0) / list.length;
  return [mean, Math.sqrt(list.reduce((s, v) => s + (v - mean) ** 2, 0) / list.length)];
};

describe("initializers have the variance that their names promise", () => {
  const [fanIn, fanOut] = [100, 60];
  const n = fanIn * fanOut;
  const fanAvg = (fanIn + fanOut) / 2;
  it.each<readonly [string, nn.Initializer, number]>([
    ["lecunNormal", nn.initializers.lecunNormal(), 1 / fanIn],
    ["lecunUniform", nn.initializers.lecunUniform(), 1 / fanIn],
    ["heNormal", nn.initializers.heNormal(), 2 / fanIn],
    ["heUniform", nn.initializers.heUniform(), 2 / fanIn],
    ["glorotNormal", nn.initializers.glorotNormal(), 1 / fanAvg],
    ["glorotUniform", nn.initializers.glorotUniform(), 1 / fanAvg],
    ["fanOut normal", nn.initializers.varianceScaling(3, "fanOut", "normal"), 3 / fanOut],
    ["normal", nn.initializers.normal(0.2), 0.04],
  ])("%s", (_name, init, variance) => {
    const [mean, deviation] = moments(init(random.key(1), [fanIn, fanOut]).dataSync());
    const sigma = Math.sqrt(variance);
    // five standard deviations of the sample's mean and of its deviation (at most σ/√(2n) for these distributions)
    expect(Math.abs(mean)).toBeLessThan((5 * sigma) / Math.sqrt(n));
    expect(Math.abs(deviation - sigma)).toBeLessThan((5 * sigma) / Math.sqrt(2 * n));
  });
  it("a vector has no fans", () => {
    expect(() => nn.initializers.heNormal()(random.key(0), [3])).toThrow(/at least two axes/);
  });
});

describe("layers", () => {
  const key = random.key(3);
  it("dense is x·w + b", () => {
    const layer = nn.initialize(nn.denseInit(3, 2, { bias: nn.initializers.ones }), key);
    expect([layer.w.shape, layer.b.toArray()]).toEqual([
      [3, 2],
      [1, 1],
    ]);
    const x = np.eye(3);
    expect(nn.dense(layer, x).toArray()).toEqual(layer.w.add(1).toArray());
    expect(() => nn.dense(layer, np.ones([4]))).toThrow(/matmul: contracted sizes must match/);
  });
  it("mlp puts the activation between layers, not after the last", () => {
    const layers = nn.initialize(nn.mlpInit([3, 4, 2]), key);
    const x = np.array([[1, -2, 3]]);
    const [first, last] = layers as [nn.Dense, nn.Dense];
    expect(nn.mlp(layers, x).toArray()).toEqual(
      nn.dense(last, nn.relu(nn.dense(first, x))).toArray(),
    );
    expect(nn.mlp(layers, x, nn.tanh).toArray()).toEqual(
      nn.dense(last, nn.tanh(nn.dense(first, x))).toArray(),
    );
  });
  it("every parameter has a key of its own, and the same key gives the same parameters", () => {
    const layers = nn.initialize(nn.mlpInit([5, 5, 5]), key) as nn.Dense[];
    const again = nn.initialize(nn.mlpInit([5, 5, 5]), key) as nn.Dense[];
    expect(layers.map((l) => l.w.toArray())).toEqual(again.map((l) => l.w.toArray()));
    expect(layers[0]?.w.toArray()).not.toEqual(layers[1]?.w.toArray());
  });
  it("constant takes no key", () => {
    const [value, rest] = nn.constant(7)(key);
    expect(value).toBe(7);
    expect(rest).toBe(key);
  });
});
