/** The WebAssembly backend by itself: what the conformance suite, which compares it with the reference backend on
 *  small kernels, does not reach. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it } from "vitest";
import type { Storage } from "../core/backend/backend.ts";
import { referenceBackend } from "../core/backend/reference/backend.ts";
import { Allocator, type Block } from "../core/backend/wasm/allocator.ts";
import { WasmExecutable, wasmBackend as backend } from "../core/backend/wasm/backend.ts";
import { type ConvPlan, planConv } from "../core/backend/wasm/conv/plan.ts";
import { Heap, type WasmStorage } from "../core/backend/wasm/heap.ts";
import {
  allDTypes,
  castNumber,
  type DType,
  dtypes,
  isFloat,
  pack,
  unpack,
  wrapInteger,
} from "../core/dtype.ts";
import { BackendError } from "../core/errors.ts";
import * as K from "../core/kernel/expr.ts";
import {
  add,
  cast,
  compare,
  cond,
  type Expr,
  int,
  KVar,
  lit,
  load,
  mul,
  sub,
} from "../core/kernel/expr.ts";
import {
  type ContractKernel,
  type ConvKernel,
  loop,
  set,
  when,
  whileLoop,
} from "../core/kernel/kernel.ts";
import {
  bytesOf,
  elementwise,
  kernelProgram,
  loops,
  programBuffer,
  programOf,
  reads,
  runKernel,
  runProgram,
  store,
  writes,
} from "./conformance/programs.ts";
import { edges, Random } from "./conformance/values.ts";

const f32 = (...x: number[]): Uint8Array => bytesOf(new Float32Array(x));
const floatsOf = (s: Storage): number[] => [...new Float32Array(backend.readSync(s).buffer)];
const times = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
const defaultBudget = backend.budget;
afterEach(() => {
  backend.budget = defaultBudget;
});

// ---- memory ----

describe("allocator", () => {
  it("keeps blocks apart and joins all free neighbours", () => {
    const random = new Random(1);
    const total = 1 << 22;
    const a = new Allocator();
    a.extend(64, total / 2);
    a.extend(64 + total / 2, total / 2);
    const live: Block[] = [];
    for (let i = 0; i < 20_000; i++) {
      if (random.chance(0.55)) {
        const bytes = random.int(0, random.chance(0.1) ? 200_000 : 600);
        const block = a.allocate(bytes);
        if (block !== null) {
          expect(block.size).toBeGreaterThanOrEqual(Math.max(bytes, 16));
          expect(block.address % 16).toBe(0);
          live.push(block);
        }
      } else if (live.length > 0) {
        const [block] = live.splice(random.int(0, live.length), 1);
        a.release(block as Block);
      }
      if (i % 500 !== 0) continue;
      const sorted = [...live].sort((x, y) => x.address - y.address);
      sorted.forEach((b, j) => {
        const next = sorted[j + 1];
        const end = b.address + b.size;
        expect(end).toBeLessThanOrEqual(next?.address ?? 64 + total);
        // what lies between two live blocks is one free block
        if (next !== undefined && end < next.address)
          expect(b.above?.size).toBe(next.address - end);
      });
    }
    for (const b of live) a.release(b);
    expect(a.allocate(total)?.size).toBe(total);
    expect(a.allocate(16)).toBe(null);
  });

  it("takes a block of the very class when no larger one is left", () => {
    const a = new Allocator();
    a.extend(0, 16 * 1000);
    expect(a.allocate(16 * 1000)?.address).toBe(0);
  });
});

describe("heap", () => {
  const page = 65536;
  const make = (pages: number, budget: number): Heap =>
    new Heap({ reserved: 64, budget, maxPages: pages });
  const fill = (n: number, v: number): Uint8Array => new Uint8Array(n).fill(v);
  /** the byte that all of a storage's bytes are, or −1 */
  const only = (bytes: Uint8Array): number =>
    bytes.every((b) => b === bytes[0]) ? (bytes[0] as number) : -1;

  it("moves the oldest out past its budget and brings them back", () => {
    const h = make(1000, 20 * page);
    const all = times(60, (i) => h.write(backend, fill(page, i)));
    expect(h.used).toBeLessThanOrEqual(20 * page);
    expect(all[0]?.holding.host).not.toBe(null);
    expect(all[59]?.holding.host).toBe(null);
    for (const [i, s] of all.entries()) {
      h.address(s);
      expect(only(h.read(s))).toBe(i);
      expect(h.used).toBeLessThanOrEqual(20 * page);
    }
  });

  it("leaves alone what a run needs, and nothing but that", () => {
    const h = make(1000, 4 * page);
    const pinned = times(6, (i) => {
      const s = h.write(backend, fill(page, i));
      h.pin(s);
      h.address(s);
      return s;
    });
    const other = h.write(backend, fill(page, 99));
    h.write(backend, fill(page, 98));
    expect(pinned.map((s) => s.holding.host)).toEqual(pinned.map(() => null));
    expect(other.holding.host).not.toBe(null);
    h.endRun();
    h.write(backend, fill(page, 97));
    expect(pinned.some((s) => s.holding.host !== null)).toBe(true);
  });

  it("fails when its memory is full, says so, and goes on working", () => {
    const h = make(64, 1000 * page);
    const kept = h.write(backend, fill(10 * page, 7));
    expect(() => h.create(backend, 70 * page)).toThrow(BackendError);
    expect(() => h.create(backend, 70 * page)).toThrow(
      /^allocate: an array must fit into WebAssembly's memory; got 4587520 bytes, with \d+ bytes in use; use smaller/,
    );
    expect(only(h.read(kept))).toBe(7);
    // pinned blocks that leave no room
    h.pin(kept);
    h.address(kept);
    expect(() => h.create(backend, 60 * page)).toThrow(BackendError);
    expect(only(h.read(kept))).toBe(7);
    h.endRun();
    // not pinned, they are moved out of the way
    const large = h.write(backend, fill(60 * page, 8));
    expect(only(h.read(kept))).toBe(7);
    expect(only(h.read(large))).toBe(8);
    h.free(large);
    h.free(kept);
    expect(h.used).toBe(0);
  });

  it("counts exactly what is live, whatever is merged when a block is freed", () => {
    const h = make(1000, 1000 * page);
    const all = times(50, () => h.create(backend, page));
    for (const i of [3, 5, 4, 0, 1, 2, 49]) {
      const before = h.used;
      h.free(all[i] as WasmStorage);
      expect(before - h.used).toBe(page);
    }
  });

  it("is not worn out by changing sizes", () => {
    const h = make(600, 300 * page);
    for (let bytes = page; bytes < 150 * page; bytes += 3 * page + 48)
      for (let n = 0; n < 400 * page; n += bytes) h.create(backend, bytes);
    expect(h.used).toBeLessThanOrEqual(300 * page);
  });

  it("gives an arena up once only small ones are asked for", () => {
    const h = make(1000, 20 * page);
    h.arena(8 * page);
    h.endRun();
    const resident = (n: number): number => {
      const made = times(n, () => {
        h.arena(page);
        h.endRun();
        return h.create(backend, page);
      });
      return made.filter((s) => s.holding.host === null).length;
    };
    // 20 pages of budget, of which the large arena would leave 12; evicting goes down to 15 at once
    expect(resident(40)).toBeGreaterThan(12);
    // the small one is in use all the time and stays where it is
    const address = h.arena(page);
    h.endRun();
    resident(40);
    expect(h.arena(page)).toBe(address);
  });

  it("frees what is collected between tasks", async () => {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const h = make(1000, 500 * page);
    const keep = h.write(backend, fill(page, 1));
    const out = h.write(backend, fill(page, 2));
    (() => {
      for (let i = 0; i < 20; i++) h.create(backend, page);
    })();
    expect(h.used).toBe(22 * page);
    for (let i = 0; i < 50 && h.used > 2 * page; i++) {
      await new Promise((done) => setTimeout(done, 5));
      gc();
    }
    expect(h.used).toBe(2 * page);
    expect(only(h.read(keep))).toBe(1);
    expect(only(h.read(out))).toBe(2);
  });

  it("holds 64 KiB × 100,000 in a synchronous loop under a small budget", () => {
    backend.budget = 8 * 2 ** 20;
    const bytes = fill(page, 3);
    const before = backend.memory().used;
    let most = 0;
    for (let i = 0; i < 100_000; i++) {
      backend.own(backend.write(bytes), {});
      most = Math.max(most, backend.memory().used);
    }
    expect(most).toBeLessThanOrEqual(Math.max(before, backend.budget));
  }, 60_000);

  it("bounds tiny arrays by their number", () => {
    const h = make(1000, 2 ** 18);
    const all = times(50_000, (i) => h.write(backend, new Uint8Array([i & 255])));
    // 64 of them share a holding of 1 KiB, whose record counts as another
    const holdings = new Set(all.filter((s) => s.holding.host === null).map((s) => s.holding));
    expect(holdings.size).toBeLessThanOrEqual(128);
    expect(h.used).toBe(holdings.size * 1024);
    for (const i of [0, 1, 25_000, 49_999])
      expect([...h.read(all[i] as WasmStorage)]).toEqual([i & 255]);
  });

  it("keeps small storages apart that share a holding, in the heap and out of it", () => {
    const h = make(1000, 8 * page);
    const sizes = [0, 1, 15, 16, 17, 32, 33, 100, 255, 256, 257, 511, 512, 513];
    const all = sizes.flatMap((n) => times(40, (i) => h.write(backend, fill(n, i))));
    const check = (): void => {
      all.forEach((s, i) => {
        expect(h.read(s)).toEqual(fill(sizes[Math.floor(i / 40)] as number, i % 40));
        expect(h.address(s) % 16).toBe(0);
      });
      const ends = all.filter((s) => s.bytes > 0).map((s) => [h.address(s), s.bytes] as const);
      ends.sort(([p], [q]) => p - q);
      ends.forEach(([at, bytes], i) => {
        const next = ends[i + 1];
        if (next !== undefined) expect(at + bytes).toBeLessThanOrEqual(next[0]);
      });
    };
    check();
    for (let i = 0; i < 8; i++) h.create(backend, page);
    expect(all.every((s) => s.holding.host !== null)).toBe(true);
    for (const [i, s] of all.entries()) if (s.bytes > 0) expect(only(h.read(s))).toBe(i % 40);
    all.forEach((s) => {
      h.address(s);
    });
    check();
  });

  it("gives the memory of small storages back when all that share it are freed", () => {
    const h = make(1000, 8 * page);
    const all = times(128, () => h.create(backend, 4));
    expect(h.used).toBe(2048);
    const [first, second] = all.slice(0, 64);
    for (const s of all.slice(1, 64)) h.free(s);
    h.free(second as WasmStorage);
    expect(h.used).toBe(2048);
    expect(() => h.read(second as WasmStorage)).toThrow(BackendError);
    expect(() => h.pin(second as WasmStorage)).toThrow(BackendError);
    h.read(first as WasmStorage);
    h.free(first as WasmStorage);
    expect(h.used).toBe(1024);
    // the holding that is open is used again
    for (const s of all.slice(64)) h.free(s);
    for (let i = 0; i < 1000; i++) h.free(h.create(backend, 4));
    expect(h.used).toBe(1024);
  });

  it("frees small storages between tasks once none that share a holding is left", async () => {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const h = make(1000, 500 * page);
    const keep = h.write(backend, fill(256, 1));
    (() => {
      for (let i = 0; i < 2000; i++) h.create(backend, 256);
    })();
    expect(h.used).toBe(Math.ceil(2001 / 16) * 4096);
    for (let i = 0; i < 50 && h.used > 8192; i++) {
      await new Promise((done) => setTimeout(done, 5));
      gc();
    }
    // that of `keep`, and the one that is open
    expect(h.used).toBe(8192);
    expect(only(h.read(keep))).toBe(1);
  });
});

// ---- executables ----

describe("executables", () => {
  const double = elementwise("double", ["float32"], "float32", 2, (x) => add(x as Expr, x as Expr));

  it("may have no steps", () => {
    const buffers = [programBuffer("float32", 2, "input"), programBuffer("float32", 0, "input")];
    const identity = backend.compile({ ...programOf("identity", buffers, []), outputs: [1, 0, 0] });
    const [x, empty] = [backend.write(f32(1, 2)), backend.write(new Uint8Array(0))];
    expect(identity.run([x, empty])).toEqual([empty, x, x]);
    expect(backend.compile(programOf("nothing", [], [])).run([])).toEqual([]);
  });

  it("are plain data: the bytes are a module that runs elsewhere", () => {
    const { moduleBytes } = new WasmExecutable(kernelProgram(double));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65535, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes), {
      env: { memory, scratch: new WebAssembly.Global({ value: "i32" }, 4096) },
    });
    new Int32Array(memory.buffer).set([1024, 2048, 0], 4);
    new Float32Array(memory.buffer).set([1.5, -3], 256);
    (exports.run as (table: number) => void)(16);
    expect([...new Float32Array(memory.buffer, 2048, 2)]).toEqual([3, -6]);
  });

  it("emit a kernel once however often it runs", () => {
    const chain = (n: number): number => {
      const temps = times(n - 1, (i) => programBuffer("float32", 2, "temp", (i % 2) * 64));
      const buffers = [
        programBuffer("float32", 2, "input"),
        ...temps,
        programBuffer("float32", 2, "output"),
      ];
      const steps = times(n, (i) => ({ kernel: double, args: [i, i + 1] }));
      const e = new WasmExecutable(programOf("chain", buffers, steps, 128));
      expect(floatsOf(e.run([backend.write(f32(1, -1))])[0] as Storage)).toEqual([
        2 ** n,
        -(2 ** n),
      ]);
      return e.moduleBytes.length;
    };
    // three more calls, each of two addresses
    expect(chain(5) - chain(2)).toBeLessThan(3 * 24);
  });

  it("refuse storage of another backend, or of another size", () => {
    const run = backend.compile(kernelProgram(double));
    const foreign = referenceBackend.write(f32(1, 2));
    const message = /got storage of backend reference; copy it to the wasm backend first\.$/;
    for (const f of [
      () => run.run([foreign]),
      () => backend.readSync(foreign),
      () => backend.free(foreign),
      () => backend.own(foreign, {}),
    ]) {
      expect(f).toThrow(BackendError);
      expect(f).toThrow(message);
    }
    expect(() => run.run([backend.write(f32(1))])).toThrow(
      "program double: input 0 has 4 bytes, not 8",
    );
    expect(() => run.run([])).toThrow("program double: takes 1 inputs, got 0");
  });

  it("run on arguments that were moved out, and on the same one twice", () => {
    backend.budget = 1;
    const n = 5000;
    const k = elementwise("add", ["float32", "float32"], "float32", n, (x, y) =>
      add(x as Expr, y as Expr),
    );
    const e = backend.compile(kernelProgram(k));
    const x = backend.write(bytesOf(new Float32Array(times(n, (i) => i))));
    const y = backend.write(bytesOf(new Float32Array(times(n, (i) => 2 * i))));
    expect(floatsOf(e.run([x, y])[0] as Storage)).toEqual(times(n, (i) => 3 * i));
    expect(floatsOf(e.run([x, x])[0] as Storage)).toEqual(times(n, (i) => 2 * i));
  });

  it("free donated arguments, once", () => {
    const e = backend.compile(kernelProgram(double));
    const x = backend.write(f32(1, 2));
    const before = backend.memory().used;
    const [y] = e.run([x], [true]);
    expect(backend.memory().used).toBe(before);
    expect(() => e.run([x])).toThrow(
      /^array: an array must not be used after it is disposed or donated; got 8 bytes/,
    );
    backend.free(x);
    backend.free(x);
    expect(backend.memory().used).toBe(before);
    expect(floatsOf(y as Storage)).toEqual([2, 4]);
  });
});

// ---- kernels ----

describe("kernels", () => {
  it.each(allDTypes)("cast %s to every dtype", (from) => {
    for (const to of allDTypes) {
      const xs = [...edges(from), ...times(200, (i) => castNumber((i - 100) * 3.7, from))];
      const held = [...unpack(bytesOf(pack(xs, from)), from)];
      const integral = !isFloat(from) && from !== "bool" && !isFloat(to) && to !== "bool";
      const wanted = held.map((x) => (integral ? wrapInteger(x, to) : castNumber(x, to)));
      const k = elementwise("cast", [from], to, xs.length, (x) => cast(x as Expr, to));
      expect(runKernel(backend, k, [xs])[0], `${from} to ${to}`).toEqual(wanted);
    }
  });

  it("reduce rows in a wider dtype", () => {
    const [rows, columns] = [7, 33];
    const acc = new KVar("float64", "acc");
    const k = loops(
      "sum",
      [reads("float32", rows * columns), writes("float32", rows)],
      [
        loop(rows, (i) => [
          set(acc, lit(0, "float64")),
          loop(columns, (j) => [
            set(acc, add(acc, cast(load(0, add(mul(i, int(columns)), j), "float32"), "float64"))),
          ]),
          store(1, i, cast(acc, "float32")),
        ]),
      ],
    );
    const xs = times(rows * columns, (i) => Math.fround(Math.sin(i)));
    const sums = times(rows, (i) =>
      Math.fround(xs.slice(i * columns, (i + 1) * columns).reduce((a, b) => a + b, 0)),
    );
    expect(runKernel(backend, k, [xs])[0]).toEqual(sums);
  });

  it("evaluate only the branch that is taken", () => {
    // 2³⁰ elements are past the end of any memory here
    const far = load(0, add(load(0, int(0), "int32"), int(2 ** 29)), "int32");
    const none = load(0, int(-1), "int32");
    const yes = compare("gt", load(0, int(0), "int32"), int(0));
    const k = loops(
      "lazy",
      [reads("int32", 1), writes("int32", 3)],
      [
        store(1, int(0), cond(yes, int(5), far)),
        store(1, int(1), cond(yes, cond(yes, int(6), add(far, far)), none)),
        when(yes, [store(1, int(2), int(7))], [store(1, int(2), far)]),
      ],
    );
    expect(runKernel(backend, k, [[3]])[0]).toEqual([5, 6, 7]);
  });

  it("do not use outside a branch what was computed in it", () => {
    const x = load(0, int(0), "float64");
    const shared = mul(x, x);
    const positive = compare("gt", x, lit(0, "float64"));
    const e = add(
      cond(positive, add(shared, lit(1, "float64")), lit(0, "float64")),
      add(shared, shared),
    );
    const k = loops("scope", [reads("float64", 1), writes("float64", 1)], [store(1, int(0), e)]);
    expect(runKernel(backend, k, [[3]])[0]).toEqual([28]);
    expect(runKernel(backend, k, [[-3]])[0]).toEqual([18]);
  });

  it("share what both branches need: code grows with the expression, not with its paths", () => {
    const build = (depth: number) => {
      let e: Expr = load(0, int(0), "float32");
      for (let i = 0; i < depth; i++) {
        const test = compare("gt", load(0, int(i), "float32"), lit(0, "float32"));
        e = cond(test, add(e, lit(1, "float32")), sub(e, lit(1, "float32")));
      }
      return loops("chain", [reads("float32", 64), writes("float32", 1)], [store(1, int(0), e)]);
    };
    const size = (depth: number): number =>
      new WasmExecutable(kernelProgram(build(depth))).moduleBytes.length;
    expect(size(60) - size(30)).toBeLessThan(2 * (size(30) - size(10)));
    const xs = times(64, (i) => (i % 3 === 0 ? -1 : 1));
    const ups = xs.slice(0, 60).reduce((n, x) => n + (x > 0 ? 1 : -1), 0);
    expect(runKernel(backend, build(60), [xs])[0]).toEqual([-1 + ups]);
  });

  it("reach far to both sides of a moving index", () => {
    // x[i − n] starts n elements below the buffer, which may lie near the bottom of the memory
    const n = 3 << 19;
    const length = n + 4;
    const k = loops(
      "far",
      [reads("int32", length), writes("int32", length)],
      [
        loop(length, (i) => [
          store(
            1,
            i,
            add(
              cond(compare("ge", i, int(n)), load(0, add(i, int(-n)), "int32"), int(0)),
              load(0, i, "int32"),
            ),
          ),
        ]),
      ],
    );
    const xs = bytesOf(new Int32Array(length).map((_, i) => i));
    const [bytes] = runProgram(backend, kernelProgram(k), [xs]);
    const got = new Int32Array((bytes as Uint8Array<ArrayBuffer>).buffer);
    expect([got[0], got[n - 1], got[n], got[n + 3]]).toEqual([0, n - 1, n, n + 6]);
  });

  it("keep assignments in order while they share values", () => {
    const [a, b] = [new KVar("int32", "a"), new KVar("int32", "b")];
    const x = load(0, int(0), "int32");
    const next = add(a, b);
    const k = loops(
      "fibonacci",
      [reads("int32", 1), writes("int32", 2)],
      [
        set(a, int(0)),
        set(b, int(1)),
        whileLoop(compare("lt", next, x), [
          set(b, next),
          set(a, sub(b, a)),
          store(1, int(0), a),
          store(1, int(1), b),
        ]),
      ],
    );
    expect(runKernel(backend, k, [[100]])[0]).toEqual([55, 89]);
  });

  it("round elementary functions of 16-bit floats as if once", () => {
    const xs = times(500, (i) => (i - 250) / 17);
    for (const d of ["float16", "bfloat16"] as const) {
      const held = [...unpack(bytesOf(pack(xs, d)), d)];
      const k = elementwise("tanh", [d], d, xs.length, (x) => K.unary("tanh", x as Expr));
      expect(runKernel(backend, k, [xs])[0]).toEqual(held.map((x) => castNumber(Math.tanh(x), d)));
    }
  });
});

// ---- contractions ----

/** C = A·B with A stored [m, k] or [k, m], B [k, n] or [n, k], C [m, n] or [n, m]. */
function matmul(
  d: DType,
  m: number,
  n: number,
  k: number,
  flips: readonly boolean[] = [],
): ContractKernel {
  const [a, b, c] = flips;
  return {
    kind: "contract",
    name: `matmul ${m} ${n} ${k}`,
    buffers: [reads(d, m * k), reads(d, k * n), writes(d, m * n)],
    batch: [],
    m: [{ size: m, lhs: a ? 1 : k, rhs: 0, out: c ? 1 : n }],
    n: [{ size: n, lhs: 0, rhs: b ? k : 1, out: c ? m : 1 }],
    k: [{ size: k, lhs: a ? m : 1, rhs: b ? 1 : n, out: 0 }],
  };
}

describe("matrix products", () => {
  const blocks = [
    [97, 9, 257],
    [6, 8, 256],
    [5, 515, 30],
    [101, 7, 513],
    [1, 64, 64],
    [64, 1, 64],
    [200, 261, 3],
  ] as const;
  for (const d of ["float32", "float64"] as const)
    it.each(blocks)(`in ${d} of %i × %i over %i, in every layout`, (m, n, k) => {
      const random = new Random(m + n + k);
      for (let layout = 0; layout < 8; layout++) {
        const kernel = matmul(d, m, n, k, [(layout & 1) > 0, (layout & 2) > 0, (layout & 4) > 0]);
        const {
          m: [dm],
          n: [dn],
          k: [dk],
        } = kernel as unknown as { [s in "m" | "n" | "k"]: [ContractKernel["m"][0]] };
        // integers of up to 3 bits: every sum is exact
        const [x, y] = [m * k, k * n].map((size) => times(size, () => random.int(-4, 5))) as [
          number[],
          number[],
        ];
        const wanted = new Array<number>(m * n);
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++) {
            let sum = 0;
            for (let p = 0; p < k; p++)
              sum +=
                (x[i * dm.lhs + p * dk.lhs] as number) * (y[p * dk.rhs + j * dn.rhs] as number);
            wanted[i * dm.out + j * dn.out] = sum + 0;
          }
        expect(runKernel(backend, kernel, [x, y])[0]).toEqual(wanted);
      }
    });

  it("are within the bound of their rounding, and the same every time", () => {
    const [m, n, k] = [50, 70, 700];
    for (const d of ["float32", "float64"] as const) {
      const x = times(m * k, (i) => castNumber(Math.sin(i), d));
      const y = times(k * n, (i) => castNumber(Math.cos(3 * i), d));
      const first = runKernel(backend, matmul(d, m, n, k), [x, y])[0] as number[];
      expect(runKernel(backend, matmul(d, m, n, k), [x, y])[0]).toEqual(first);
      for (let i = 0; i < m; i += 7)
        for (let j = 0; j < n; j += 5) {
          let [sum, size] = [0, 0];
          for (let p = 0; p < k; p++) {
            const term = (x[i * k + p] as number) * (y[p * n + j] as number);
            sum += term;
            size += Math.abs(term);
          }
          // k products and k sums are each off by half an ε at most; in float64 so is the sum here
          const bound = (k + 1) * dtypes[d].eps * size;
          expect(Math.abs((first[i * n + j] as number) - sum)).toBeLessThanOrEqual(bound);
        }
    }
  });

  it("over nothing give zeros, and of nothing nothing", () => {
    for (const d of allDTypes) {
      expect(runKernel(backend, matmul(d, 2, 3, 0), [[], []])[0]).toEqual([0, 0, 0, 0, 0, 0]);
      expect(runKernel(backend, matmul(d, 0, 3, 2), [[], times(6, () => 1)])[0]).toEqual([]);
    }
  });

  it("over several axes that cannot be walked as one add up", () => {
    const [m, n, k1, k2] = [20, 24, 5, 6];
    const kernel: ContractKernel = {
      kind: "contract",
      name: "twice",
      buffers: [
        reads("float32", m * k1 * k2),
        reads("float32", k1 * k2 * n),
        writes("float32", m * n),
      ],
      batch: [],
      m: [{ size: m, lhs: k1 * k2, rhs: 0, out: n }],
      n: [{ size: n, lhs: 0, rhs: 1, out: 1 }],
      k: [
        { size: k1, lhs: 1, rhs: k2 * n, out: 0 },
        { size: k2, lhs: k1, rhs: n, out: 0 },
      ],
    };
    const x = times(m * k1 * k2, (i) => (i % 7) - 3);
    const y = times(k1 * k2 * n, (i) => (i % 5) - 2);
    const wanted = times(m * n, (c) => {
      let sum = 0;
      for (let p = 0; p < k1; p++)
        for (let q = 0; q < k2; q++)
          sum +=
            (x[Math.floor(c / n) * k1 * k2 + q * k1 + p] as number) *
            (y[(p * k2 + q) * n + (c % n)] as number);
      return sum + 0;
    });
    expect(runKernel(backend, kernel, [x, y])[0]).toEqual(wanted);
  });
});

// ---- convolutions ----

interface ConvShape {
  readonly n: number;
  readonly c: number;
  readonly o: number;
  readonly featureGroups: number;
  readonly batchGroups: number;
  readonly spatial: readonly {
    readonly input: number;
    readonly window: number;
    readonly stride: number;
    readonly low: number;
    readonly high: number;
    readonly inputDilation: number;
    readonly windowDilation: number;
  }[];
}
const outputOf = (s: ConvShape["spatial"][number]): number =>
  Math.floor(
    ((s.input - 1) * s.inputDilation + 1 + s.low + s.high - (s.window - 1) * s.windowDilation - 1) /
      s.stride,
  ) + 1;

/** Strides of an array whose axes lie in memory in the given order. */
function stridesOf(sizes: readonly number[], order: readonly number[]): number[] {
  const strides = new Array<number>(sizes.length);
  let step = 1;
  for (const axis of [...order].reverse()) {
    strides[axis] = step;
    step *= sizes[axis] as number;
  }
  return strides;
}

/** A convolution in the given memory orders of x [N, C, …], w [O, C, …] and out [N, O, …]. `n` counts output batches. */
function conv(d: DType, s: ConvShape, orders?: readonly (readonly number[])[]): ConvKernel {
  const natural = times(s.spatial.length + 2, (i) => i);
  const shapes = [
    [s.n * s.batchGroups, s.c * s.featureGroups, ...s.spatial.map((a) => a.input)],
    [s.o, s.c, ...s.spatial.map((a) => a.window)],
    [s.n, s.o, ...s.spatial.map(outputOf)],
  ];
  const [x, w, out] = shapes.map((shape, i) => stridesOf(shape, orders?.[i] ?? natural)) as [
    number[],
    number[],
    number[],
  ];
  const lengths = shapes.map((shape) => shape.reduce((p, v) => p * v, 1)) as [
    number,
    number,
    number,
  ];
  const at = (l: readonly number[], i: number): number => l[i] as number;
  return {
    kind: "conv",
    name: "conv",
    buffers: [reads(d, lengths[0]), reads(d, lengths[1]), writes(d, lengths[2])],
    batch: { size: s.n * s.batchGroups, x: at(x, 0), out: at(out, 0) },
    inFeatures: { size: s.c, x: at(x, 1), w: at(w, 1) },
    outFeatures: { size: s.o, w: at(w, 0), out: at(out, 1) },
    featureGroups: s.featureGroups,
    batchGroups: s.batchGroups,
    spatial: s.spatial.map(({ high: _, ...a }, i) => ({
      ...a,
      output: outputOf({ ...a, high: _ }),
      xStride: at(x, i + 2),
      wStride: at(w, i + 2),
      outStride: at(out, i + 2),
    })),
  };
}

/** The sum of the definition, term by term. */
function naiveConv(k: ConvKernel, x: ArrayLike<number>, w: ArrayLike<number>): number[] {
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial } = k;
  const out = new Array<number>(k.buffers[2].length).fill(0);
  const outBatch = batch.size / batchGroups;
  for (let n = 0; n < outBatch; n++)
    for (let o = 0; o < outFeatures.size; o++) {
      const fg = Math.floor(o / (outFeatures.size / featureGroups));
      const bg = Math.floor(o / (outFeatures.size / batchGroups));
      const xBase = (bg * outBatch + n) * batch.x + fg * inFeatures.size * inFeatures.x;
      const walk = (axis: number, xAt: number, wAt: number, outAt: number): void => {
        const s = spatial[axis];
        if (s === undefined) {
          for (let c = 0; c < inFeatures.size; c++)
            out[outAt] =
              (out[outAt] as number) +
              (x[xAt + c * inFeatures.x] as number) * (w[wAt + c * inFeatures.w] as number);
          return;
        }
        for (let p = 0; p < s.output; p++)
          for (let r = 0; r < s.window; r++) {
            const q = p * s.stride + r * s.windowDilation - s.low;
            const i = q / s.inputDilation;
            if (!Number.isInteger(i) || i < 0 || i >= s.input) continue;
            walk(axis + 1, xAt + i * s.xStride, wAt + r * s.wStride, outAt + p * s.outStride);
          }
      };
      walk(0, xBase, o * outFeatures.w, n * batch.out + o * outFeatures.out);
    }
  return out.map((v) => v + 0);
}

describe("convolutions", () => {
  const axis = (
    input: number,
    window: number,
    more: Partial<ConvShape["spatial"][number]> = {},
  ) => ({
    input,
    window,
    stride: 1,
    low: 0,
    high: 0,
    inputDilation: 1,
    windowDilation: 1,
    ...more,
  });
  const plain = { featureGroups: 1, batchGroups: 1 };
  const agree = (k: ConvKernel, seed: number): void => {
    const random = new Random(seed);
    const [x, w] = [k.buffers[0], k.buffers[1]].map((b) =>
      times(b.length, () => random.int(-3, 4)),
    ) as [number[], number[]];
    expect(runKernel(backend, k, [x, w])[0]).toEqual(naiveConv(k, x, w));
  };
  const isProduct = (k: ConvKernel): boolean => planConv(k) !== null;

  it("are matrix products when they are large", () => {
    const big = { n: 2, c: 3, o: 8, ...plain, spatial: [axis(12, 3), axis(12, 3)] };
    expect(isProduct(conv("float32", big))).toBe(true);
    expect(isProduct(conv("float64", big))).toBe(true);
    expect(isProduct(conv("float16", big))).toBe(false);
    expect(isProduct(conv("float32", { ...big, spatial: [axis(4, 3), axis(4, 3)] }))).toBe(false);
  });

  for (const d of ["float32", "float64", "int32"] as const)
    it(`of random shapes and layouts are exact in ${d}`, () => {
      const random = new Random(40);
      // until both ways have been taken often enough
      let [products, others] = [0, 0];
      for (let trial = 0; products < 40 || others < 40; trial++) {
        const rank = random.int(0, 4);
        const [featureGroups, batchGroups] = random.pick([
          [1, 1],
          [1, 1],
          [2, 1],
          [1, 2],
          [9, 1],
          [1, 11],
        ] as const);
        const spatial = times(rank, () => {
          for (;;) {
            const a = axis(random.int(1, rank === 3 ? 6 : 14), random.int(1, 5), {
              stride: random.int(1, 4),
              low: random.int(-2, 5),
              high: random.int(-2, 5),
              inputDilation: random.chance(0.3) ? random.int(2, 4) : 1,
              windowDilation: random.int(1, 3),
            });
            if (outputOf(a) > 0) return a;
          }
        });
        const shape = {
          n: random.int(1, 4),
          c: random.int(1, 6),
          o: random.int(1, 9) * featureGroups * batchGroups,
          featureGroups,
          batchGroups,
          spatial,
        };
        const orders = times(3, () => random.shuffle(times(rank + 2, (i) => i)));
        const k = conv(d, shape, trial % 3 === 0 ? undefined : orders);
        if (isProduct(k)) products++;
        else others++;
        agree(k, trial);
      }
    });

  it("are made in pieces when they are larger than the scratch memory", () => {
    // 12 images of 40·42·40 are 3.2 MB
    const images = {
      n: 12,
      c: 40,
      o: 4,
      ...plain,
      spatial: [axis(40, 3, { low: 1, high: 1 }), axis(40, 1)],
    };
    // an image of 24·202·200 is 3.9 MB: pieces of its rows
    const large = {
      n: 1,
      c: 24,
      o: 4,
      ...plain,
      spatial: [axis(200, 3, { low: 1, high: 1 }), axis(200, 1)],
    };
    // 40·1600 products to a sum, as in the gradient of a weight
    const deep = { n: 2, c: 40, o: 4, ...plain, spatial: [axis(42, 40), axis(42, 40)] };
    // the last features first, as in an image of [N, H, W, C]
    const channelsLast = [0, 2, 3, 1];
    const featuresFirst = [1, 0, 2, 3];
    const kernels = [images, large].flatMap((shape) =>
      [undefined, times(3, () => channelsLast)].map((orders) => conv("float32", shape, orders)),
    );
    for (const orders of [undefined, times(3, () => featuresFirst)])
      kernels.push(conv("float64", deep, orders));
    const plans = kernels.map((k) => planConv(k) as ConvPlan);
    expect(plans.map((p) => p.images)).toEqual([6, 6, 1, 1, 2, 2]);
    expect(plans.map((p) => p.positions)).toEqual([40, 40, 50, 50, 3, 3]);
    for (const k of kernels) agree(k, 1);
  }, 60_000);

  it("of nothing are zero", () => {
    for (const d of ["float32", "int8"] as const) {
      const none = conv(d, { n: 2, c: 0, o: 4, ...plain, spatial: [axis(5, 2)] });
      expect(runKernel(backend, none, [[], []])[0]).toEqual(times(32, () => 0));
      const empty = conv(d, { n: 0, c: 2, o: 4, ...plain, spatial: [axis(5, 2)] });
      expect(runKernel(backend, empty, [[], times(16, () => 1)])[0]).toEqual([]);
    }
  });
});
