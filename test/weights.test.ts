/** What the garbage collector is told of arrays, and when finalizers get a chance to run. */
import { describe, expect, it } from "vitest";
import { wasmBackend as backend } from "../core/backend/wasm/backend.ts";
import { Heap } from "../core/backend/wasm/heap.ts";
import { Weights } from "../core/backend/wasm/weights.ts";

const mega = 2 ** 20;

describe("weights", () => {
  it("are as large as the arrays; small arrays share one", () => {
    const weights = new Weights();
    expect(weights.of(3 * mega)?.byteLength).toBe(3 * mega);
    expect(weights.of(mega - 8)).toBe(null);
    expect(weights.of(16)?.byteLength).toBe(mega + 8);
    expect(weights.of(16)).toBe(null);
  });
  it("take no memory", () => {
    const weights = new Weights();
    const before = process.memoryUsage().rss;
    const all = Array.from({ length: 8 }, () => weights.of(128 * mega));
    expect(all.reduce((sum, w) => sum + (w?.byteLength ?? 0), 0)).toBe(1024 * mega);
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * mega);
  });
  it("of arrays that were freed are used again", () => {
    const weights = new Weights();
    const first = weights.of(2 * mega) as ArrayBuffer;
    weights.back(first);
    expect(weights.of(4 * mega)).not.toBe(first);
    expect(weights.of(2 * mega)).toBe(first);
    expect(weights.of(2 * mega)).not.toBe(first);
  });
});

describe("a loop that awaits its results", () => {
  const budget = 16 * mega;
  const heap = (): Heap => new Heap({ reserved: 64, budget });
  /** True where another task ran before the promise was kept. */
  async function letsTasksRun(wait: () => Promise<void>): Promise<boolean> {
    let ran = false;
    setImmediate(() => {
      ran = true;
    });
    await wait();
    return ran;
  }
  it("lets finalizers run once it has made a quarter of the budget", async () => {
    const h = heap();
    const kept = [h.create(backend, 3 * mega)];
    expect(await letsTasksRun(() => h.breathe())).toBe(false);
    kept.push(h.create(backend, 3 * mega));
    expect(await letsTasksRun(() => h.breathe())).toBe(true);
    expect(await letsTasksRun(() => h.breathe())).toBe(false);
    expect(kept.every((s) => !s.freed)).toBe(true);
  });
  it("need not where it frees them itself", async () => {
    const h = heap();
    for (let i = 0; i < 100; i++) h.free(h.create(backend, mega));
    expect(await letsTasksRun(() => h.breathe())).toBe(false);
  });
});
