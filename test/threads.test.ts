/** Worker threads: results that do not depend on their number, errors, and processes that end. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { wasmBackend as backend } from "../core/backend/wasm/backend.ts";
import { Heap } from "../core/backend/wasm/heap.ts";
import { emitProgram } from "../core/backend/wasm/program.ts";
import { canShare } from "../core/backend/wasm/threads.ts";
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

const defaultThreads = backend.threads;
afterEach(() => {
  backend.threads = defaultThreads;
});
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

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
    blocks: () => {
      const x = big([640, 512]);
      const f = jit((a: NDArray) => [a.T.add(1), a.sum(0), a.argmax(0), np.var(a, 0)]);
      return [...f(x), big([4, 256, 320]).max(1)];
    },
    "16-bit products": () => {
      const [x, y] = [big([257, 301]).astype("bfloat16"), big([301, 203], 1).astype("bfloat16")];
      return [x.matmul(y).astype("float32"), jit((a: NDArray) => a.T.matmul(a))(x)];
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
