/** The WebAssembly backend: each program is one module with one entry. */
import { BackendError, fail } from "../../errors.ts";
import type { Program, ProgramBuffer } from "../../program/types.ts";
import type { Backend, Executable, Storage, Tick } from "../backend.ts";
import { gemmModule, type ProductName } from "./gemm.ts";
import { Heap, type WasmStorage } from "./heap.ts";
import { reservedBytes, scratchAddress, tableAddress, tableEntries } from "./layout.ts";
import { hostMath } from "./library.ts";
import { type Emitted, emitProgram } from "./program.ts";
import { canShare, type SharedProgram, Threads } from "./threads.ts";
import { workOf, worthWaking } from "./work.ts";

const defaultBudget = 256 * 2 ** 20;

const heap = new Heap({ reserved: reservedBytes, budget: defaultBudget, shared: canShare });
const productCode = new Map<ProductName, Uint8Array<ArrayBuffer>>();
/** The module of a product, for this thread and for the workers. */
function productBytes(name: ProductName): Uint8Array<ArrayBuffer> {
  const bytes = productCode.get(name) ?? gemmModule(name, heap.shared);
  productCode.set(name, bytes);
  return bytes;
}
const threads = new Threads(heap, productBytes);
/** what every module imports */
const environment = {
  memory: heap.memory,
  scratch: new WebAssembly.Global({ value: "i32" }, scratchAddress),
};

const products = new Map<ProductName, WebAssembly.ModuleImports>();
function productOf(name: ProductName): WebAssembly.ModuleImports {
  let f = products.get(name);
  if (f === undefined) {
    const module = new WebAssembly.Module(productBytes(name));
    f = new WebAssembly.Instance(module, { env: environment }).exports as WebAssembly.ModuleImports;
    products.set(name, f);
  }
  return f;
}

/** The entry of a program's module. */
function entryOf({ bytes, math, products }: Emitted, tick?: Tick): (table: number) => void {
  const imports: WebAssembly.Imports = {
    env: environment,
    math: Object.fromEntries(
      [...math].map((name) => [name, hostMath[name] as WebAssembly.ImportValue]),
    ),
  };
  if (tick !== undefined) imports.profile = { tick };
  for (const name of products) imports[name] = productOf(name);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  return instance.exports.run as (table: number) => void;
}

/** A program as a module; `moduleBytes` is all that is needed to run it again elsewhere. */
export class WasmExecutable implements Executable {
  readonly program: Program;
  readonly moduleBytes: Uint8Array<ArrayBuffer>;
  readonly #run: (table: number) => void;
  /** the same with ticks, made for the first profile; workers need not know it */
  #profiled: ((table: number) => void) | null = null;
  /** who is told of the steps of the present run */
  #tick: Tick | undefined;
  /** for the workers, if they can help */
  readonly #shared: SharedProgram | null;
  /** program buffers that are allocated for each run */
  readonly #fresh: readonly number[];
  /** for each of them, the argument whose storage it may take when that is donated, or −1 */
  readonly #takes: readonly number[];
  /** each result: position among the inputs, or among the fresh buffers */
  readonly #results: readonly { readonly input: boolean; readonly at: number }[];
  /** the results are the fresh buffers, in order */
  readonly #plain: boolean;

  constructor(program: Program) {
    this.program = program;
    // workers take longer to start than programs to compile
    if (heap.shared && program.steps.reduce((ns, s) => ns + workOf(s.kernel), 0) >= worthWaking)
      threads.start();
    const emitted = emitProgram(program, heap.shared);
    const { bytes, products, parallel } = emitted;
    this.moduleBytes = bytes;
    this.#shared = parallel ? { bytes, products } : null;
    this.#run = entryOf(emitted);
    this.#fresh = program.buffers.flatMap((b, i) => (b.place === "output" ? [i] : []));
    const { handovers = [] } = program;
    this.#takes = this.#fresh.map((id) => {
      const from = handovers.find((h) => h.output === id);
      return from === undefined ? -1 : program.inputs.indexOf(from.input);
    });
    this.#results = program.outputs.map((id) => {
      const input = program.inputs.indexOf(id);
      return input >= 0
        ? { input: true, at: input }
        : { input: false, at: this.#fresh.indexOf(id) };
    });
    this.#plain =
      this.#results.length === this.#fresh.length &&
      this.#results.every(({ input, at }, i) => !input && at === i);
    if (program.inputs.length + this.#fresh.length + 1 > tableEntries)
      fail(
        BackendError,
        "compile",
        `a program may have at most ${tableEntries} arguments and results`,
        String(program.inputs.length + this.#fresh.length),
        "split it",
      );
  }

  async text(): Promise<string> {
    // a page that never looks does not load it
    const { disassemble } = await import("./disassemble.ts");
    return disassemble(this.moduleBytes);
  }

  #withTicks(): (table: number) => void {
    this.#profiled ??= entryOf(emitProgram(this.program, heap.shared, true), (step) =>
      this.#tick?.(step),
    );
    return this.#profiled;
  }

  run(inputs: readonly Storage[], donated?: readonly boolean[], tick?: Tick): Storage[] {
    this.#tick = tick;
    const entry = tick === undefined ? this.#run : this.#withTicks();
    const fresh: WasmStorage[] = [];
    let started = false;
    try {
      this.#pin(inputs);
      this.#allocate(fresh, inputs, donated);
      this.#bind(inputs, fresh);
      started = true;
      entry(tableAddress);
    } catch (error) {
      const cause = this.#shared === null ? error : threads.settle(error);
      // a donated argument that was overwritten in part is lost; before the start it is whole
      fresh.forEach((s, i) => {
        if (started || !donated?.[this.#takes[i] as number]) heap.free(s);
      });
      throw cause;
    } finally {
      heap.endRun();
    }
    const out = this.#plain ? fresh : this.#collect(inputs, fresh);
    if (donated !== undefined) freeDonated(inputs, donated, out);
    return out;
  }

  /** Checks the inputs, and keeps them in the heap for this run. */
  #pin(inputs: readonly Storage[]): void {
    const { name, inputs: ids, buffers } = this.program;
    if (inputs.length !== ids.length)
      throw new Error(`program ${name}: takes ${ids.length} inputs, got ${inputs.length}`);
    for (let i = 0; i < inputs.length; i++) {
      const s = ours(name, inputs[i] as Storage);
      const { bytes } = buffers[ids[i] as number] as ProgramBuffer;
      if (s.bytes !== bytes)
        throw new Error(`program ${name}: input ${i} has ${s.bytes} bytes, not ${bytes}`);
      heap.pin(s);
    }
  }

  /** Storage for the results, added to `fresh` one by one: new, or that of a donated argument. */
  #allocate(
    fresh: WasmStorage[],
    inputs: readonly Storage[],
    donated: readonly boolean[] | undefined,
  ): void {
    const { buffers } = this.program;
    for (let i = 0; i < this.#fresh.length; i++) {
      const from = this.#takes[i] as number;
      if (donated?.[from]) fresh.push(inputs[from] as WasmStorage);
      else {
        const s = heap.create(
          wasmBackend,
          (buffers[this.#fresh[i] as number] as ProgramBuffer).bytes,
        );
        heap.pin(s);
        fresh.push(s);
      }
    }
  }

  /** Writes the table of addresses, and tells the workers of the program. */
  #bind(inputs: readonly Storage[], fresh: readonly WasmStorage[]): void {
    if (this.#shared !== null) threads.prepare(this.#shared);
    const { arenaBytes } = this.program;
    const arena = arenaBytes > 0 ? heap.arena(arenaBytes) : 0;
    // pinned storages stay where they are, though to bring back another may make the memory grow
    let word = tableAddress >> 2;
    for (let i = 0; i < inputs.length; i++) {
      const address = heap.address(inputs[i] as WasmStorage);
      heap.i32[word++] = address;
    }
    const table = heap.i32;
    for (let i = 0; i < fresh.length; i++) table[word++] = (fresh[i] as WasmStorage).address;
    table[word] = arena;
  }

  #collect(inputs: readonly Storage[], fresh: readonly Storage[]): Storage[] {
    return this.#results.map(({ input, at }) => (input ? inputs[at] : fresh[at]) as Storage);
  }
}

/** Frees the donated inputs that are no results. */
function freeDonated(
  inputs: readonly Storage[],
  donated: readonly boolean[],
  results: readonly Storage[],
): void {
  const returned = new Set(results);
  inputs.forEach((s, i) => {
    if (donated[i] && !returned.has(s)) heap.free(s as WasmStorage);
  });
}

function ours(op: string, s: Storage): WasmStorage {
  if (s.backend === wasmBackend) return s as WasmStorage;
  return fail(
    BackendError,
    op,
    "storage must be the wasm backend's",
    `storage of backend ${s.backend.name}`,
    "copy it to the wasm backend first",
  );
}

/** The default backend: programs as WebAssembly, bytes in one memory for the process.
 *
 *  `budget` bytes stay in that memory before old arrays are moved out (default 256 MiB). Large kernels are shared by
 *  `threads` threads: COTANGENT_THREADS, in the environment or a global, or else as many as there are cores. The
 *  results do not depend on their number.
 *  @throws BackendError when storage is used after it was freed or donated, or belongs to another backend, or
 *  when the memory cannot hold it
 *  For example wasmBackend.readSync(wasmBackend.write(new Uint8Array([1, 2]))) gives Uint8Array [1, 2] */
export const wasmBackend: Backend & { budget: number; threads: number } = {
  name: "wasm",
  compile: (program) => new WasmExecutable(program),
  write: (bytes) => heap.write(wasmBackend, bytes),
  readSync: (s) => heap.read(ours("read", s)),
  read: async (s) => {
    const bytes = heap.read(ours("read", s));
    await heap.breathe();
    return bytes;
  },
  // a program has run when its executable returns
  ready: async (s) => {
    heap.checkAlive(ours("ready", s));
    await heap.breathe();
  },
  free: (s) => heap.free(ours("free", s)),
  // a storage lives as long as anything refers to it, which its owners do
  own: (s) => void ours("own", s),
  memory: () => ({ used: heap.used, peak: heap.peak }),
  get budget() {
    return heap.budget;
  },
  set budget(bytes: number) {
    heap.budget = bytes;
  },
  get threads() {
    return threads.count;
  },
  set threads(n: number) {
    threads.count = n;
  },
};
