/** Fusion: which equations share a kernel. That results stay the same is for the laws and the conformance suite. */
import { describe, expect, it } from "vitest";
import "../core/backend/reference/index.ts";
import { withBackend } from "../core/backend/registry.ts";
import { compiledJaxpr } from "../core/eval.ts";
import type { Program } from "../core/program/types.ts";
import { showProgram } from "../core/program/show.ts";
import { grad, jit, lax, makeJaxpr, type NDArray, np, random, slice } from "../index.ts";
import * as nn from "../nn/index.ts";
import { adam, applyUpdates } from "../optim/index.ts";
import { arrayDifference } from "./kit/index.ts";

const programOf = (f: (...args: never[]) => unknown, ...args: unknown[]): Program =>
  compiledJaxpr("f", makeJaxpr(f as (...a: unknown[]) => unknown)(...args).jaxpr).executable
    .program;
const kernels = (p: Program): string[] => p.steps.map(({ kernel }) => kernel.name);
const loopsOf = (p: Program): number => showProgram(p).match(/^ +for /gm)?.length ?? 0;
const x = random.normal(random.key(0), [64, 256]);

describe("one kernel for", () => {
  it("a chain of elementwise operations, and all that is stored of it", () => {
    const p = programOf((v: NDArray) => [np.exp(v).mul(2), np.exp(v).add(1)], x);
    expect(kernels(p)).toHaveLength(1);
    expect(showProgram(p).match(/exp/g)).toHaveLength(2); // the name and one evaluation
  });
  it("softmax: three passes over a row, which stays in scratch memory", () => {
    const p = programOf((v: NDArray) => nn.softmax(v, -1), x);
    expect(kernels(p)).toEqual(["reduce_max+sub+exp+…+div"]);
    expect(loopsOf(p)).toBe(4);
    expect(p.buffers.filter((b) => b.place === "scratch")).toHaveLength(1);
    expect(p.arenaBytes).toBe(0);
  });
  it("layer norm", () => {
    expect(kernels(programOf((v: NDArray) => nn.standardize(v).mul(2), x))).toHaveLength(1);
  });
  it("rows under another shape", () => {
    const f = (v: NDArray): NDArray => nn.softmax(v.reshape([4, 16, 256]), -1).reshape([64, 256]);
    expect(kernels(programOf(f, x))).toHaveLength(1);
  });
  it("a chain of dear functions: strips, one function after the other", () => {
    const long = random.normal(random.key(0), [1 << 16]);
    const f = (v: NDArray): NDArray => np.tanh(np.tanh(v).mul(2));
    const p = programOf(f, long);
    expect(kernels(p)).toHaveLength(1);
    expect(loopsOf(p)).toBe(3);
    expect(loopsOf(programOf((v: NDArray) => np.tanh(v).mul(2), long))).toBe(1);
    expect(Array.from(jit(f)(long).dataSync())).toEqual(Array.from(f(long).dataSync()));
  });
  it("an optimizer's update of a parameter", () => {
    const optimizer = adam(1e-3);
    const params = { w: x };
    const p = programOf(
      (q: typeof params, s: unknown, g: typeof params) => {
        const [updates, next] = optimizer.update(g, s, q);
        return [applyUpdates(q, updates), next];
      },
      params,
      optimizer.init(params),
      params,
    );
    // the bias corrections, then the parameter with its moments
    expect(kernels(p)).toHaveLength(2);
  });
  it("a product of transposed operands, whose result is transposed", () => {
    expect(kernels(programOf((v: NDArray) => v.T.matmul(v), x))).toEqual(["dot_general"]);
    const y = random.normal(random.key(1), [256, 32]);
    expect(kernels(programOf((v: NDArray, w: NDArray) => v.matmul(w).T, x, y))).toEqual([
      "dot_general",
    ]);
  });
  it("the layers of a network that are alike", () => {
    const w = random.normal(random.key(1), [256, 256]);
    const p = programOf((v: NDArray) => {
      let h = v;
      for (let i = 0; i < 4; i++) h = np.tanh(h.matmul(w));
      return h;
    }, x);
    const tanhs = p.steps.filter(({ kernel }) => kernel.kind === "loops");
    expect(tanhs).toHaveLength(4);
    expect(new Set(tanhs.map(({ kernel }) => kernel)).size).toBe(1);
  });
});

describe("a transposition", () => {
  const add1 = (v: NDArray): NDArray => v.T.add(1);
  it("of a large matrix goes in tiles, of others row by row", () => {
    const loops = (shape: number[]): number => loopsOf(programOf(add1, np.zeros(shape)));
    expect(loops([256, 256])).toBe(4);
    // no rows of tiles that fit: strips
    expect(loops([512, 131])).toBe(3);
    expect(loops([509, 512])).toBe(2);
    expect(loops([64, 64])).toBe(2);
    // lines of so short a column stay in the cache
    expect(loops([64, 300])).toBe(2);
  });
  it("is the same in tiles", () => {
    for (const shape of [
      [256, 256],
      [512, 131],
      [200, 330],
      [1000, 72],
      [3, 96, 320],
      [320, 2, 96],
    ]) {
      const v = np.arange(shape.reduce((p, n) => p * n)).reshape(shape);
      const got = jit(add1)(v).dataSync();
      const strides = shape.map((_, k) => shape.slice(k + 1).reduce((p, n) => p * n, 1)).reverse();
      const sizes = [...shape].reverse();
      const wrong = got.findIndex((value, at) => {
        let [rest, from] = [at, 0];
        for (let k = sizes.length - 1; k >= 0; k--) {
          const size = sizes[k] as number;
          from += (rest % size) * (strides[k] as number);
          rest = Math.floor(rest / size);
        }
        return value !== from + 1;
      });
      expect(wrong).toBe(-1);
    }
  });
});

describe("a reduction over the first axis", () => {
  const large = random.normal(random.key(3), [256, 1024]);
  const forms: { readonly [name: string]: (v: NDArray) => unknown } = {
    sum: (v) => v.sum(0),
    "maximum and its place": (v) => [v.max(0), v.argmax(0)],
    "mean and variance": (v) => [v.mean(0), np.var(v, 0)],
    "softmax, with the sum of another": (v) => [nn.softmax(v, 0), np.square(v).sum(0).mul(2)],
  };
  for (const [name, f] of Object.entries(forms))
    it(`of a large matrix goes by blocks of rows and columns: ${name}`, () => {
      const p = programOf(f, large);
      // blocks of columns, blocks of rows, columns, rows
      expect(showProgram(p)).toMatch(/for .*parallel\n(.*\n)* {4}for .*0\.\.4\n {6}for .*0\.\.256/);
      const leaves = (g: () => unknown): number[][] =>
        [g()].flat().map((y) => Array.from((y as NDArray).dataSync()));
      expect(leaves(() => jit(f)(large))).toEqual(
        withBackend("reference", () => leaves(() => jit(f)(large))),
      );
    });
  it("goes on from block to block with what only it reads: the maximum of an argmax", () => {
    const rows = jit((v: NDArray) => v.T)(large);
    expect(large.argmax(0).toArray()).toEqual(rows.argmax(1).toArray());
    expect(large.argmin(0).toArray()).toEqual(rows.argmin(1).toArray());
  });
  it("goes column by column where it is small, or has no blocks", () => {
    const sum = forms.sum as (v: NDArray) => unknown;
    for (const shape of [
      [64, 1024],
      [257, 1024],
      [1024, 263],
      [32768, 8],
    ])
      expect(loopsOf(programOf(sum, np.zeros(shape)))).toBe(2);
    expect(loopsOf(programOf(sum, large))).toBeGreaterThan(2);
  });
});

describe("what is read at several positions", () => {
  it("melts a few times, for each step doubles the work", () => {
    const steps = 24;
    const chain =
      (step: (v: NDArray) => NDArray) =>
      (v: NDArray): NDArray => {
        let y = v;
        for (let i = 0; i < steps; i++) y = step(y);
        return y;
      };
    const row = random.normal(random.key(4), [64]);
    const differences = chain((v) => {
      const n = v.shape[0] as number;
      return lax.slice(v, [1], [n]).sub(lax.slice(v, [0], [n - 1]));
    });
    for (const f of [chain((v) => v.add(np.flip(v))), differences]) {
      const p = programOf(f, row);
      expect(p.steps.length).toBeGreaterThan(2);
      expect(p.steps.length).toBeLessThan(steps);
      expect(showProgram(p).length).toBeLessThan(20_000);
      expect(jit(f)(row).toArray()).toEqual(f(row).toArray());
    }
  });
});

describe("kernels of their own for", () => {
  it("values that are read at other positions by several", () => {
    const p = programOf((v: NDArray) => [np.exp(v), np.exp(v).T], x);
    expect(kernels(p)).toHaveLength(2);
  });
  it("what depends on what lies between", () => {
    // exp(v) is needed by the product, and by the sum after it
    const f = (v: NDArray): NDArray => np.exp(v).matmul(np.exp(v).T).add(np.exp(v).sum());
    const names = kernels(programOf(f, x));
    expect(names.indexOf("dot_general")).toBeGreaterThan(0);
    expect(names.filter((n) => n === "dot_general")).toHaveLength(1);
  });
});

describe("values of no elements", () => {
  it("may be read under shapes that have no axes in common", () => {
    const f = grad((v: NDArray): NDArray => np.tile(v, [0, 2]).reshape([2, 0, 3]).mul(2).sum());
    expect(jit(f)(x).toArray()).toEqual(np.zeros(x.shape).toArray());
  });
});

describe("units whose nodes are far apart", () => {
  it("never wait for each other", () => {
    const part = (a: NDArray, b: NDArray): NDArray =>
      np.concatenate([a.at(slice(0, 2)).get(), b.at(slice(2)).get()], 0);
    const clip = (z: NDArray): NDArray => np.clip(z, -20, 20);
    const noise = (n: number): NDArray => random.uniform(random.key(n), [4, 6]);
    const f = (v: NDArray, w: NDArray): NDArray => {
      const bounded = clip(v);
      clip(np.add(bounded, np.sum(clip(np.add(w, noise(583))), 1, { keepdims: true })));
      const turned = clip(np.flip(clip(w), 0));
      const squared = clip(np.square(clip(np.add(bounded, noise(681)))));
      const shares = np.divide(np.exp(squared), np.sum(np.exp(squared), -1, { keepdims: true }));
      const mixed = np.add(part(turned, turned), shares);
      return np.add(np.sum(np.sin(mixed)), np.sum(part(clip(w), squared)));
    };
    const args = [310, 311].map((n) => random.normal(random.key(n), [4, 6])) as [NDArray, NDArray];
    const options = { argnums: [0, 1] };
    const want = grad(f, options)(...args) as unknown as NDArray[];
    const got = grad(jit(f), options)(...args) as unknown as NDArray[];
    got.forEach((g, i) => {
      expect(arrayDifference(g, want[i] as NDArray)).toBe("");
    });
  });
});

describe("memory", () => {
  it("cheap values are computed again rather than kept for the backward pass", () => {
    const big = random.normal(random.key(0), [256, 256]);
    const loss = (v: NDArray): NDArray => np.sin(np.sin(v.mul(2)).mul(3)).sum();
    const stored = programOf(grad(loss), big).buffers.filter(
      (b) => b.place === "temp" && b.length === big.size,
    );
    expect(stored).toEqual([]);
  });
  it("a jitted function with a scratch row gives what eager evaluation gives", () => {
    const f = (v: NDArray): NDArray => nn.softmax(np.sin(v), 0).add(nn.softmax(v, 1));
    const want = f(x).dataSync();
    expect(
      [...jit(f)(x).dataSync()].every((v, i) => Math.abs(v - (want[i] as number)) < 1e-6),
    ).toBe(true);
  });
});
