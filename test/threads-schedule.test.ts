/** How worker threads share a kernel, with kernels written by hand; and workers that fail. */
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Code, Module } from "../core/backend/wasm/encoder.ts";
import { gemmModule, importProduct, type ProductName } from "../core/backend/wasm/gemm.ts";
import { Heap } from "../core/backend/wasm/heap.ts";
import {
  control,
  programSlots,
  reservedBytes,
  scratchAddress,
} from "../core/backend/wasm/layout.ts";
import { addSchedule, partParams } from "../core/backend/wasm/schedule.ts";
import { canShare, type SharedProgram, Threads } from "../core/backend/wasm/threads.ts";
import { Random } from "./conformance/values.ts";

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Threads of their own, with a program of one kernel that is written by hand. */
class Bench {
  readonly heap = new Heap({ reserved: reservedBytes, budget: 2 ** 26, shared: true });
  readonly threads = new Threads(this.heap);

  word(at: number): number {
    return Atomics.load(this.heap.i32, at);
  }
  /** runs a module whose kernel is `part`(kernel, table, lo, hi) */
  program(
    part: (c: Code) => void,
    extent: number,
    options: {
      readonly align?: number;
      readonly grain?: number;
      readonly bytes?: number;
      /** times that the kernel runs, by turns with all workers and with those that are awake */
      readonly times?: number;
      readonly module?: Module;
      readonly products?: readonly ProductName[];
    } = {},
  ): () => void {
    const { align = 1, grain = 1, times = 1, module = new Module(), products = [] } = options;
    const c = new Code(partParams);
    part(c);
    const share = addSchedule(module, module.add(c));
    const run = new Code(1);
    for (let k = 0; k < times; k++)
      run
        .i32(7)
        .get(0)
        .i32(extent)
        .i32(align)
        .i32(grain)
        .i32(4)
        .i32((k + 1) & 1)
        .call(share);
    module.export("run", module.add(run));
    const bytes = module.encode(true);
    const program: SharedProgram = { bytes, products: new Set(products) };
    const env = {
      memory: this.heap.memory,
      scratch: new WebAssembly.Global({ value: "i32" }, scratchAddress),
    };
    const imports: WebAssembly.Imports = { env };
    const load = (b: Uint8Array<ArrayBuffer>) =>
      new WebAssembly.Instance(new WebAssembly.Module(b), imports).exports;
    for (const d of products) imports[d] = load(gemmModule(d, true)) as WebAssembly.ModuleImports;
    const exports = load(bytes);
    const table = this.heap.reserve(options.bytes ?? 4 * extent);
    this.tables.push(table.address);
    return () => {
      this.threads.prepare(program);
      try {
        (exports.run as (table: number) => void)(table.address);
      } catch (error) {
        throw this.threads.settle(error);
      }
    };
  }
  readonly tables: number[] = [];
  async workers(n: number): Promise<void> {
    for (let i = 0; i < 500 && this.word(control.ready) !== n; i++) await pause(10);
    expect(this.word(control.ready)).toBe(n);
  }
}

/** for (i = lo; i < hi; i++) body(address of word i of the table) */
function eachIndex(c: Code, body: (address: number) => void): void {
  const address = c.local("i32");
  c.loop(() => {
    c.get(1).get(2).i32(4).op(0x6c, 0x6a).set(address);
    body(address);
    c.get(2).i32(1).op(0x6a).tee(2).get(3).op(0x48).brIf(0);
  });
}
/** keeps a thread busy for some microseconds */
function delay(c: Code, rounds = 2000): void {
  const n = c.local("i32");
  c.i32(rounds).set(n);
  c.loop(() => {
    c.get(n).i32(1).op(0x6b).tee(n).brIf(0);
  });
}

describe.runIf(canShare)("the schedule", () => {
  it("computes every index once, on several threads", async () => {
    const bench = new Bench();
    bench.threads.count = 4;
    // each index adds the kernel's number to its own word, and writes whose it was into the upper half
    const extent = 1000;
    const run = bench.program((c) => {
      eachIndex(c, (address) => {
        delay(c);
        c.get(address).get(address).memory(0x28, 2).get(0).op(0x6a);
        c.scratch(0).i32(8).op(0x74, 0x72).memory(0x36, 2);
      });
    }, extent);
    run();
    await bench.workers(3);
    const [at] = bench.tables as [number];
    const owners = new Set<number>();
    for (let round = 0; round < 100 || (owners.size < 2 && round < 2000); round++) {
      bench.heap.i32.fill(0, at >> 2, (at >> 2) + extent);
      run();
      for (const w of bench.heap.i32.slice(at >> 2, (at >> 2) + extent)) {
        if ((w & 255) !== 7) expect(w & 255).toBe(7);
        owners.add(w >>> 8);
      }
    }
    // whether every worker gets a turn is up to the system
    expect(owners.size).toBeGreaterThanOrEqual(2);
    expect(owners.has(scratchAddress & 0xffffff)).toBe(true);
    bench.threads.count = 1;
    await bench.workers(0);
  });

  it("keeps jobs apart that follow one another at once", async () => {
    const bench = new Bench();
    bench.threads.count = 4;
    const random = new Random(1);
    const extents = Array.from({ length: 60 }, () => random.int(1, 300));
    const programs = extents.map((extent, k) =>
      bench.program(
        (c) =>
          eachIndex(c, (address) => {
            if (k % 4 > 1) delay(c, k % 4 === 2 ? 20 : 300);
            c.get(address).get(address).memory(0x28, 2).get(0).op(0x6a).memory(0x36, 2);
          }),
        extent,
        { align: 1 + (k % 5), times: 3 },
      ),
    );
    programs[0]?.();
    await bench.workers(3);
    for (let round = 0; round < 20_000; round++) {
      const k = random.int(0, round % 1000 < 500 ? 4 : 60);
      const at = (bench.tables[k] as number) >> 2;
      const extent = extents[k] as number;
      bench.heap.i32.fill(0, at, at + extent);
      programs[k]?.();
      const words = bench.heap.i32.subarray(at, at + extent);
      if (words.some((w) => w !== 21)) expect([...words]).toEqual(extents.map(() => 21));
    }
    bench.threads.count = 1;
    await bench.workers(0);
  });

  it("cuts at multiples of the alignment, not below the grain", async () => {
    const bench = new Bench();
    bench.threads.count = 2;
    const extent = 1003;
    // word lo: where the part ends
    const run = bench.program(
      (c) => {
        c.get(1).get(2).i32(4).op(0x6c, 0x6a).get(3).memory(0x36, 2);
      },
      extent,
      { align: 8, grain: 30 },
    );
    run();
    await bench.workers(1);
    const [at] = bench.tables as [number];
    bench.heap.i32.fill(0, at >> 2, (at >> 2) + extent);
    run();
    const words = bench.heap.i32.slice(at >> 2, (at >> 2) + extent);
    const ends: number[] = [];
    for (let lo = 0; lo < extent; lo = words[lo] as number) ends.push(words[lo] as number);
    // ⌈1003 / 8⌉ = 126 → 128
    expect(ends).toEqual([128, 256, 384, 512, 640, 768, 896, 1003]);
    bench.threads.count = 1;
    await bench.workers(0);
  });

  it("hands a trap to the main thread, whoever trapped, and goes on", async () => {
    const bench = new Bench();
    bench.threads.count = 3;
    const extent = 64;
    // traps at the index that word 0 of the table names
    const run = bench.program((c) => {
      eachIndex(c, () => {
        delay(c);
        c.get(1).memory(0x28, 2).get(2).op(0x46);
        c.if(null, () => c.i32(-8).memory(0x28, 2).op(0x1a));
      });
    }, extent);
    const [at] = bench.tables as [number];
    bench.heap.i32[at >> 2] = -1;
    run();
    await bench.workers(2);
    for (let i = 0; i < 2 * extent; i++) {
      bench.heap.i32[at >> 2] = i % extent;
      expect(run).toThrow(/memory access out of bounds|out of bounds memory/);
      bench.heap.i32[at >> 2] = -1;
      run();
      expect(bench.word(control.done)).toBe(extent);
    }
    bench.threads.count = 1;
    await bench.workers(0);
  });

  it("knows more programs than there are slots", async () => {
    const bench = new Bench();
    bench.threads.count = 2;
    const programs = Array.from({ length: programSlots + 3 }, (_, k) =>
      bench.program((c) => {
        eachIndex(c, (address) => c.get(address).i32(k).get(2).op(0x6a).memory(0x36, 2));
      }, 64),
    );
    programs[0]?.();
    await bench.workers(1);
    for (let round = 0; round < 2; round++)
      for (const [k, run] of programs.entries()) {
        run();
        run();
        const at = (bench.tables[k] as number) >> 2;
        const words = [...bench.heap.i32.slice(at, at + 64)];
        expect(words).toEqual(words.map((_, i) => k + i));
      }
    bench.threads.count = 1;
    await bench.workers(0);
  });

  it("gives workers the products that a program imports", async () => {
    const bench = new Bench();
    bench.threads.count = 3;
    // C = A·B for matrices of n × n that follow the table; each part is some rows
    const n = 120;
    const module = new Module();
    const product = importProduct(module, "float32.packed");
    const run = bench.program(
      (c) => {
        const [a, b, out] = [0, 1, 2].map((k) => 4 * n * (1 + k * n)) as [number, number, number];
        const row = (at: number): Code =>
          c
            .get(1)
            .i32(at)
            .op(0x6a)
            .get(2)
            .i32(4 * n)
            .op(0x6c, 0x6a);
        row(a);
        c.get(1).i32(b).op(0x6a);
        row(out);
        c.get(3).get(2).op(0x6b).i32(n).i32(n);
        for (const stride of [4 * n, 4, 4 * n, 4, 4 * n, 4]) c.i32(stride);
        c.i32(0).i32(0).scratch(0).call(product);
        // whose part it was
        c.get(1).get(2).i32(4).op(0x6c, 0x6a).scratch(0).memory(0x36, 2);
      },
      n,
      { align: 6, module, products: ["float32.packed"], bytes: 4 * n * (1 + 3 * n) },
    );
    const at = (bench.tables[0] as number) >> 2;
    const floats = (): Float32Array =>
      new Float32Array(bench.heap.memory.buffer, 4 * (at + n), 3 * n * n);
    floats().fill(0);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        floats()[i * n + j] = (i * 7 + j) % 5;
        floats()[n * n + i * n + j] = (i + 3 * j) % 4;
      }
    const result = (): Float32Array => {
      floats().fill(-1, 2 * n * n);
      run();
      return floats().slice(2 * n * n);
    };
    const expected = result();
    for (const [i, j] of [
      [0, 0],
      [3, 100],
      [119, 119],
    ] as const) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += ((i * 7 + k) % 5) * ((k + 3 * j) % 4);
      expect(expected[i * n + j]).toBe(sum);
    }
    await bench.workers(2);
    const owners = new Set<number>();
    for (let round = 0; round < 100 || (owners.size < 2 && round < 20_000); round++) {
      bench.heap.i32.fill(0, at, at + n);
      expect(Buffer.from(result().buffer).equals(Buffer.from(expected.buffer))).toBe(true);
      for (const owner of bench.heap.i32.slice(at, at + n)) if (owner !== 0) owners.add(owner);
    }
    expect(owners.size).toBeGreaterThanOrEqual(2);
    expect(bench.word(control.failed)).toBe(0);
    bench.threads.count = 1;
    await bench.workers(0);
  });

  it("brings workers back when they are wanted again", async () => {
    const bench = new Bench();
    const run = bench.program((c) => eachIndex(c, () => delay(c)), 200);
    for (const n of [3, 1, 2, 4, 1]) {
      bench.threads.count = n;
      run();
      // those that were about to leave are started by a later run
      for (let i = 0; i < 500 && bench.word(control.ready) !== n - 1; i++) {
        await pause(10);
        run();
      }
      expect(bench.word(control.ready)).toBe(n - 1);
    }
  });
});

describe.runIf(canShare)("workers that fail", () => {
  const run = (bench: Bench): void => {
    const job = bench.program((c) => {
      eachIndex(c, (address) => c.get(address).get(2).memory(0x36, 2));
    }, 500);
    const at = (bench.tables.at(-1) as number) >> 2;
    for (let i = 0; i < 20; i++) {
      bench.heap.i32.fill(-1, at, at + 500);
      job();
      const words = [...bench.heap.i32.slice(at, at + 500)];
      expect(words).toEqual(words.map((_, k) => k));
    }
  };
  const real = process.getBuiltinModule;
  const withWorkers = (Class: typeof Worker): void => {
    vi.spyOn(process, "getBuiltinModule").mockImplementation(((name: string) =>
      name === "node:worker_threads"
        ? { Worker: Class }
        : real(name)) as typeof process.getBuiltinModule);
  };
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("are done without where there are none", () => {
    withWorkers(
      class extends Worker {
        constructor() {
          super("", { eval: true });
          throw new Error("not allowed");
        }
      },
    );
    const bench = new Bench();
    bench.threads.count = 4;
    run(bench);
    expect(bench.word(control.alive)).toBe(0);
  });
  it("are done without when they do not start", async () => {
    let failed = 0;
    withWorkers(
      class extends Worker {
        constructor() {
          super("throw new Error('no')", { eval: true });
          this.on("error", () => failed++);
        }
      },
    );
    const bench = new Bench();
    bench.threads.count = 3;
    run(bench);
    for (let i = 0; i < 500 && failed < 2; i++) await pause(10);
    expect(failed).toBe(2);
    run(bench);
    expect([bench.word(control.alive), bench.word(control.ready)]).toEqual([0, 0]);
  });
  it("are done without when they have died", async () => {
    const all: Worker[] = [];
    withWorkers(
      class extends Worker {
        constructor(...args: ConstructorParameters<typeof Worker>) {
          super(...args);
          all.push(this);
        }
      },
    );
    const bench = new Bench();
    bench.threads.count = 3;
    run(bench);
    await bench.workers(2);
    await all[1]?.terminate();
    await bench.workers(1);
    run(bench);
    bench.threads.count = 1;
    await bench.workers(0);
  });
});
