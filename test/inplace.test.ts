/** Working in place: which results may take an operand's memory, what the plan makes of it, and what a donated argument's
 *  storage becomes. That values stay the same is for the fuzz test. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import { compiledJaxpr } from "../core/eval.ts";
import type { LoopKernel } from "../core/kernel/kernel.ts";
import type { Program } from "../core/program/types.ts";
import { grad, jit, makeJaxpr, type NDArray, np, random } from "../index.ts";
import * as nn from "../nn/index.ts";
import { adam, applyUpdates } from "../optim/index.ts";
import { arb } from "./kit/index.ts";

const programOf = (f: (...args: never[]) => unknown, ...args: unknown[]): Program =>
  compiledJaxpr("f", makeJaxpr(f as (...a: unknown[]) => unknown)(...args).jaxpr).executable
    .program;
/** Pairs of result and argument, by their numbers. */
const handovers = (p: Program): string[] =>
  (p.handovers ?? []).map((h) => `${p.outputs.indexOf(h.output)}<-${p.inputs.indexOf(h.input)}`);
const x = random.normal(random.key(0), [64, 256]);
const tall = random.normal(random.key(2), [256, 64]);
const row = random.normal(random.key(1), [256]);

describe("a result may take the memory of an argument", () => {
  it.each<[string, (a: NDArray, b: NDArray) => unknown, string[]]>([
    ["that it reads at its own place", (a) => a.mul(2), ["0<-0"]],
    ["under another shape", (a) => np.tanh(a).reshape([256, 64]), ["0<-0"]],
    ["of another dtype as wide", (a) => a.astype("int32"), ["0<-0"]],
    ["of whose rows it needs the sum", (a) => nn.softmax(a, -1), ["0<-0"]],
    ["that another result has read before", (a) => [np.exp(a), np.exp(a).add(a)], ["0<-0"]],
    ["beside one that is transposed", (a) => a.add(tall.T), ["0<-1"]],
    ["once", (a, b) => [a.add(b), a.sub(b)], ["0<-0"]],
  ])("%s", (_, f, want) => {
    expect(handovers(programOf(f, x, row))).toEqual(want);
  });

  it.each<[string, (a: NDArray, b: NDArray) => unknown]>([
    ["is read at other places", (a) => np.flip(a, 0)],
    ["is read at its place and another", (a) => a.add(np.roll(a, 1, 1))],
    ["is transposed", (a) => a.T],
    ["is smaller", (_, b) => np.broadcastTo(b, [64, 256]).add(1)],
    ["is wider", (a) => a.astype("float16")],
    ["is returned", (a) => [a, a.mul(2)]],
    ["is needed by a later kernel", (a) => [a.mul(2), a.matmul(a.T)]],
    ["is the operand of a product", (a) => a.reshape([128, 128]).matmul(np.eye(128))],
  ])("not where it %s", (_, f) => {
    expect(handovers(programOf(f, x, row))).toEqual([]);
  });

  it("in an optimizer's update: the parameter and both moments", () => {
    const optimizer = adam(1e-3);
    const params = { w: x };
    const state = optimizer.init(params);
    const step = (q: typeof params, s: typeof state, g: typeof params): unknown => {
      const [updates, next] = optimizer.update(g, s, q);
      return [applyUpdates(q, updates), next];
    };
    const wide = (p: Program): number =>
      (p.handovers ?? []).filter((h) => p.buffers[h.input]?.length === x.size).length;
    expect(wide(programOf(step as (...a: never[]) => unknown, params, state, params))).toBe(3);
  });
});

describe("a plan", () => {
  /** Positions of temporaries that share memory while both are in use, other than a kernel's pairs. */
  function conflicts({ buffers, steps }: Program): string[] {
    const uses = new Map<number, number[]>();
    steps.forEach(({ args }, i) => {
      for (const id of new Set(args))
        if (buffers[id]?.place === "temp" && buffers[id].home === undefined)
          uses.set(id, [...(uses.get(id) ?? []), i]);
    });
    const found: string[] = [];
    const temps = [...uses].map(([id, at]) => {
      const { offset, bytes } = buffers[id] as Program["buffers"][number];
      return { id, offset, end: offset + bytes, first: at[0] as number, last: at.at(-1) as number };
    });
    for (const a of temps)
      for (const b of temps) {
        if (a.id === b.id || a.end <= b.offset || b.end <= a.offset) continue;
        if (a.first > b.first || b.first > a.last) continue;
        const step = steps[b.first] as Program["steps"][number];
        const pairs = (step.kernel as LoopKernel).inPlace ?? [];
        const handed =
          a.last === b.first &&
          a.offset === b.offset &&
          pairs.some((p) => step.args[p.out] === b.id && step.args[p.operand] === a.id);
        if (!handed) found.push(`${a.id} and ${b.id}`);
      }
    return found;
  }
  it("keeps apart what is alive at once, but for what a kernel may overwrite", () => {
    let shared = 0;
    fc.assert(
      fc.property(arb.program(), (p) => {
        const program = programOf(p.apply as (...a: never[]) => unknown, ...p.args("float32"));
        expect(conflicts(program)).toEqual([]);
        const temps = program.buffers.filter((b) => b.place === "temp");
        if (temps.reduce((sum, b) => sum + b.bytes, 0) > program.arenaBytes) shared++;
      }),
      { numRuns: 200, seed: 7 },
    );
    expect(shared).toBeGreaterThan(10);
  });
  it("puts temporaries where a result lies only until a kernel writes that over them", () => {
    let found = 0;
    fc.assert(
      fc.property(arb.program(), (p) => {
        const program = programOf(p.apply as (...a: never[]) => unknown, ...p.args("float32"));
        const { buffers, steps } = program;
        const used = (id: number): number[] =>
          steps.flatMap(({ args }, i) => (args.includes(id) ? [i] : []));
        const tenants = buffers.flatMap(({ home }, id) =>
          home === undefined ? [] : [{ id, home }],
        );
        found += tenants.length;
        for (const { id, home } of tenants) {
          // whoever comes next into that memory
          const last = used(id).at(-1) as number;
          const later = [home, ...tenants.filter((t) => t.home === home).map((t) => t.id)].filter(
            (other) => other !== id && (used(other)[0] as number) >= last,
          );
          const next = later.filter((other) => used(other)[0] === last);
          expect(next).toHaveLength(1);
          const { kernel, args } = steps[last] as Program["steps"][number];
          const pairs = (kernel as LoopKernel).inPlace ?? [];
          expect(
            pairs.some(({ out, operand }) => args[out] === next[0] && args[operand] === id),
          ).toBe(true);
          // and nobody is there at the same time
          for (const other of [home, ...tenants.filter((t) => t.home === home).map((t) => t.id)])
            if (other !== id)
              expect(
                (used(other)[0] as number) >= last ||
                  (used(other).at(-1) as number) <= (used(id)[0] as number),
              ).toBe(true);
        }
      }),
      { numRuns: 200, seed: 7 },
    );
    expect(found).toBeGreaterThan(10);
  });
  it("computes a product where its activation will lie, as what goes before it", () => {
    const f = (a: NDArray, w: NDArray): NDArray => nn.relu(a.matmul(w).add(row));
    const square = random.normal(random.key(2), [256, 256]);
    const p = programOf(f, x, square);
    expect([p.arenaBytes, p.buffers.filter((b) => b.home === p.outputs[0]).length]).toEqual([0, 1]);
    const lowered = jit(f).lower(x, square);
    expect(lowered.peakBytes).toBe(4 * (2 * x.size + square.size + row.size));
    expect(jit(f)(x, square).toArray()).toEqual(f(x, square).toArray());
  });
  it("puts a sum in the place of one of its terms", () => {
    const f = (a: NDArray, b: NDArray): NDArray => np.tanh(a.matmul(b).add(b.matmul(a))).matmul(a);
    const square = random.normal(random.key(2), [64, 64]);
    expect(programOf(f, square, square.T).arenaBytes).toBe(2 * 4 * square.size);
  });
});

describe("a donated argument", () => {
  const bytes = 4 * 64 * 256;
  const f = jit((a: NDArray) => a.mul(2).add(1), { donateArgnums: 0 });
  it("becomes the result: no memory is taken", async () => {
    let a = np.ones([64, 256]);
    a = f(a);
    const before = wasmBackend.memory().used;
    for (let i = 0; i < 3; i++) a = f(a);
    expect(wasmBackend.memory().used).toBe(before);
    expect(new Set(await a.data())).toEqual(new Set([31]));
  });
  it("becomes the result by way of a temporary", () => {
    const g = (a: NDArray): NDArray => np.tanh(np.cumsum(a.mul(2).add(1), 0)).mul(a.sum());
    const h = (a: NDArray): NDArray =>
      nn.relu(
        np
          .sin(a)
          .matmul(np.ones([256, 256]))
          .mul(0.1),
      );
    for (const k of [g, h]) {
      const want = k(x);
      const donated = jit(k, { donateArgnums: 0 });
      expect(donated(x.add(0)).toArray()).toEqual(jit(k)(x).toArray());
      expect(
        np
          .abs(donated(x.add(0)).sub(want))
          .max()
          .item(),
      ).toBeLessThan(1e-5);
    }
  });
  it("counts once in the peak", () => {
    expect(f.lower(x).peakBytes).toBe(bytes);
    expect(jit((a: NDArray) => a.mul(2).add(1)).lower(x).peakBytes).toBe(2 * bytes);
  });
  it("that is kept all the same is not overwritten", () => {
    const a = np.ones([64, 256]);
    const column = a.reshape([256, 64]);
    expect(f(a).sum().item()).toBe(3 * a.size);
    expect(column.sum().item()).toBe(a.size);
  });
  it("gives the gradient step its memory", () => {
    const loss = (w: NDArray): NDArray => np.sum(np.square(w.matmul(row)));
    const step = jit((w: NDArray) => w.sub(grad(loss)(w).mul(1e-6)), { donateArgnums: 0 });
    const want = x.sub(grad(loss)(x).mul(1e-6));
    const got = step(x.add(0));
    expect(Array.from(got.dataSync())).toEqual(Array.from(want.dataSync()));
  });
});
