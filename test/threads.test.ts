/** Worker threads: results that do not depend on their number, errors, and processes that end. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { wasmBackend as backend } from "../core/backend/wasm/backend.ts";
import { Code, Module } from "../core/backend/wasm/encoder.ts";
import { type GemmDType, gemmModule, gemmSignature } from "../core/backend/wasm/gemm.ts";
import { Heap } from "../core/backend/wasm/heap.ts";
import {
  control,
  programSlots,
  reservedBytes,
  scratch,
  scratchAddress,
} from "../core/backend/wasm/layout.ts";
import { emitProgram } from "../core/backend/wasm/program.ts";
import { addSchedule, partSignature } from "../core/backend/wasm/schedule.ts";
import { canShare, type SharedProgram, Threads } from "../core/backend/wasm/threads.ts";
import { partsOf, workOf } from "../core/backend/wasm/work.ts";
import { BackendError } from "../core/errors.ts";
import * as K from "../core/kernel/expr.ts";
import { int, load } from "../core/kernel/expr.ts";
import { jit, lax, type NDArray, np, random } from "../index.ts";
import {
  bytesOf,
  elementwise,
  kernelProgram,
  loops,
  reads,
  store,
  writes,
} from "./conformance/programs.ts";
import { Random } from "./conformance/values.ts";

const defaultThreads = backend.threads;
afterEach(() => {
  backend.threads = defaultThreads;
});
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

// ---- the schedule itself ----

/** Threads of their own, with a program of one kernel that is written by hand. */
class Bench {
  readonly heap = new Heap({ reserved: reservedBytes, budget: 2 ** 26, shared: true });
  readonly threads = new Threads(this.heap, (d) => gemmModule(d, true));

  word(address: number): number {
    return Atomics.load(this.heap.i32, address >> 2);
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
      readonly products?: readonly GemmDType[];
    } = {},
  ): () => void {
    const { align = 1, grain = 1, times = 1, module = new Module(), products = [] } = options;
    const c = new Code(partSignature.params);
    part(c);
    const share = addSchedule(module, module.add(partSignature, c));
    const run = new Code(["i32"]);
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
    module.export("run", module.add({ params: ["i32"], results: [] }, run));
    const bytes = module.encode(true);
    const program: SharedProgram = { bytes, products: new Set(products) };
    const env = {
      memory: this.heap.memory,
      scratch: new WebAssembly.Global({ value: "i32" }, scratchAddress),
    };
    const load = (b: Uint8Array<ArrayBuffer>, gemm: WebAssembly.ModuleImports) =>
      new WebAssembly.Instance(new WebAssembly.Module(b), { env, gemm }).exports;
    const gemm: WebAssembly.ModuleImports = {};
    for (const d of products)
      gemm[d] = load(gemmModule(d, true), {}).gemm as WebAssembly.ExportValue;
    const exports = load(bytes, gemm);
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
    const product = module.import("gemm", "float32", gemmSignature);
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
        c.i32(0).scratch(scratch.gemm).call(product);
        // whose part it was
        c.get(1).get(2).i32(4).op(0x6c, 0x6a).scratch(0).memory(0x36, 2);
      },
      n,
      { align: 6, module, products: ["float32"], bytes: 4 * n * (1 + 3 * n) },
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

describe("memory", () => {
  it.runIf(canShare)("shared memory grows under the views that the heap has", () => {
    const heap = new Heap({ reserved: 64, budget: 2 ** 28, shared: true });
    const before = heap.u8.length;
    const small = heap.write(backend, new Uint8Array([1, 2, 3]));
    const large = heap.write(backend, new Uint8Array(2 * before).fill(7));
    expect(heap.u8.length).toBeGreaterThan(before);
    expect(heap.i32.length * 4).toBe(heap.u8.length);
    const bytes = heap.read(large);
    expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
    expect([bytes.length, bytes.every((b) => b === 7)]).toEqual([2 * before, true]);
    expect([...heap.read(small)]).toEqual([1, 2, 3]);
  });
  it("programs run on memory that is not shared", () => {
    const n = 50_000;
    const kernel = elementwise("twice", ["float32"], "float32", n, (x) =>
      K.add(x as K.Expr, x as K.Expr),
    );
    const [whole] = kernel.body;
    const body = whole?.kind === "for" ? [{ ...whole, parallel: true }] : [];
    const { bytes, parallel } = emitProgram(kernelProgram({ ...kernel, body }), false);
    expect(parallel).toBe(false);
    const memory = new WebAssembly.Memory({ initial: 10, maximum: 10 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory, scratch: new WebAssembly.Global({ value: "i32" }, 1024) },
    });
    new Int32Array(memory.buffer).set([1024, 1024 + 4 * n], 4);
    new Float32Array(memory.buffer, 1024, n).fill(1.5);
    (exports.run as (table: number) => void)(16);
    expect(new Float32Array(memory.buffer, 1024 + 4 * n, n).every((v) => v === 3)).toBe(true);
  });
});

// ---- programs ----

describe("threads", () => {
  const big = (shape: readonly number[], seed = 0): NDArray =>
    random.normal(random.key(seed), [...shape]);
  const programs: { readonly [name: string]: () => NDArray[] } = {
    elementwise: () => {
      const [x, y] = [big([300_007]), big([300_007], 1)];
      const f = jit((a: NDArray, b: NDArray) => np.exp(a.mul(b)).sub(np.sin(b)).div(a.add(3)));
      return [f(x, y), np.floor(x.mul(100)).astype("int8"), x.greater(y), x.astype("float16")];
    },
    broadcasts: () => {
      const x = big([513, 1, 257]);
      return [x.add(big([1, 7, 1])), x.mul(big([7, 257])).transpose()];
    },
    softmax: () => {
      const x = big([1000, 333]);
      return [
        jit((a: NDArray) => {
          const e = np.exp(a.sub(a.max(-1, { keepdims: true })));
          return e.div(e.sum(-1, { keepdims: true }));
        })(x),
      ];
    },
    reductions: () => {
      const x = big([700, 431]);
      return [x.sum(), x.sum(0), x.sum(1), x.argmax(1), x.std(0), np.cumsum(x, 1)];
    },
    products: () => {
      const [x, y] = [big([257, 301]), big([301, 203], 1)];
      return [
        x.matmul(y),
        y.transpose().matmul(x.transpose()),
        big([9, 65, 65]).matmul(big([65, 65])),
      ];
    },
    convolution: () => {
      const [x, w] = [big([5, 13, 30, 30]), big([24, 13, 3, 3], 1)];
      return [lax.convGeneralDilated(x, w, [1, 1], "SAME")];
    },
    random: () => [
      random.uniform(random.key(5), [123_457]),
      random.permutation(random.key(6), 5000),
    ],
  };
  const bits = (arrays: readonly NDArray[]): Promise<Buffer[]> =>
    Promise.all(arrays.map(async (a) => Buffer.from((await a.data()).buffer)));
  for (const [name, run] of Object.entries(programs))
    it(`${name}: every bit the same with 1, 2, 3 and 4`, async () => {
      backend.threads = 1;
      const expected = await bits(run());
      for (const n of [2, 3, 4]) {
        backend.threads = n;
        run();
        // workers come up
        await pause(150);
        for (let round = 0; round < 3; round++)
          for (const [i, bytes] of (await bits(run())).entries())
            expect(bytes.equals(expected[i] as Buffer)).toBe(true);
      }
    });

  it("are set to a number from 1", () => {
    for (const n of [0, -1, 1.5, Number.NaN, 1000])
      expect(() => {
        backend.threads = n;
      }).toThrow(BackendError);
    backend.threads = 3;
    expect(backend.threads).toBe(canShare ? 3 : 1);
  });

  it("throw what a kernel throws, and then run the next", async () => {
    backend.threads = 3;
    const far = 2 ** 28;
    const n = 100_000;
    // element i is read `far` words up the memory from the last thousand indices on
    const index = (i: K.Expr): K.Expr =>
      K.select(K.compare("lt", i, int(n - 1000)), i, K.add(i, int(far)));
    const { buffers, body } = elementwise("f", ["float32"], "float32", n, (x) => K.unary("exp", x));
    const [whole] = body;
    if (whole?.kind !== "for") throw new Error("a loop is expected");
    const bad = loops("bad", buffers, [
      {
        ...whole,
        parallel: true,
        body: [store(1, whole.v, K.unary("exp", load(0, index(whole.v), "float32")))],
      },
    ]);
    const good = loops("good", buffers, [{ ...whole, parallel: true }]);
    const x = backend.write(bytesOf(new Float32Array(n).fill(1)));
    const [f, g] = [backend.compile(kernelProgram(bad)), backend.compile(kernelProgram(good))];
    for (let i = 0; i < 20; i++) {
      expect(() => f.run([x])).toThrow(WebAssembly.RuntimeError);
      const [y] = g.run([x]);
      const values = new Float32Array(backend.readSync(y as typeof x).buffer);
      expect(values.every((v) => v === values[0])).toBe(true);
      await pause(10);
    }
  });
});

// ---- estimates ----

describe("work", () => {
  const e = (n: number) => elementwise("e", ["float32"], "float32", n, (x) => K.unary("exp", x));
  it("grows with the trips and with what is in them", () => {
    expect(workOf(e(2000)) / workOf(e(1000))).toBeCloseTo(2, 10);
    const add = elementwise("a", ["float32"], "float32", 1000, (x) =>
      K.add(x as K.Expr, x as K.Expr),
    );
    expect(workOf(e(1000))).toBeGreaterThan(3 * workOf(add));
  });
  it("cuts into parts of a few microseconds", () => {
    const { grain } = partsOf(e(1000), workOf(e(1000)) / 1000);
    expect(grain).toBeGreaterThan(50);
    expect(grain).toBeLessThan(10_000);
  });
  it("takes linear time for expressions that share", () => {
    let x: K.Expr = load(0, int(0), "int32");
    for (let i = 0; i < 200; i++) x = K.add(x, x);
    const kernel = loops("k", [reads("int32", 1), writes("int32", 1)], [store(1, x, x)]);
    expect(workOf(kernel)).toBeLessThan(1000);
  });
});

// ---- processes ----

describe("a process with threads", () => {
  const root = join(import.meta.dirname, "..");
  let folder = "";
  beforeAll(() => {
    mkdirSync(join(root, "out"), { recursive: true });
    folder = mkdtempSync(join(root, "out", "threads-"));
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const options = ["-p", "tsconfig.build.json", "--noCheck", "--declaration", "false"];
    execFileSync(process.execPath, [tsc, ...options, "--outDir", folder], { cwd: root });
    writeFileSync(
      join(folder, "run.mjs"),
      `import { jit, np } from ${JSON.stringify(pathToFileURL(join(folder, "index.js")).href)};
       const f = jit((x) => np.exp(x).add(1));
       const x = np.ones([1 << 18]);
       const busy = (ms) => { const end = performance.now() + ms; while (performance.now() < end) f(x).dispose(); };
       const how = process.argv[2];
       f(x);
       if (how !== "starting") busy(200);
       const end = Date.now();
       process.on("exit", () => console.log("ended", f(x).mean().item() > 3));
       process.on("exit", () => process.stderr.write(String(Date.now())));
       if (how === "asleep") setTimeout(() => {}, 50);
       if (how === "exit") process.exit(3);
       if (how === "throw") throw new Error("on purpose");`,
    );
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const end = (how: string): { status: number | null; stdout: string; ms: number } => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, "run.mjs"), how], {
      encoding: "utf8",
      timeout: 20_000,
      env: { ...process.env, COTANGENT_THREADS: "4" },
    });
    return { status, stdout, ms: Date.now() - Number(/\d{13}$/.exec(stderr)?.[0]) };
  };
  it.each([
    ["starting", 0],
    ["awake", 0],
    ["asleep", 0],
    ["exit", 3],
    ["throw", 1],
  ])("ends at once: %s", (how, code) => {
    const { status, stdout, ms } = end(how);
    expect(status).toBe(code);
    expect(stdout).toBe("ended true\n");
    // from the exit handlers to the end; far below any time that something might wait for
    if (how !== "throw") expect(ms).toBeLessThan(2000);
  });
});
