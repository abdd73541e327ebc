/** The WebAssembly backend: each program is one module with one entry. */
import { BackendError, fail } from "../../errors.ts";
import type { Program, ProgramBuffer } from "../../program/types.ts";
import type { Backend, Executable, Storage, Tick } from "../backend.ts";
import { gemmModule } from "./gemm.ts";
import { Heap, WasmStorage } from "./heap.ts";
import { reservedBytes, scratchAddress, tableAddress, tableEntries } from "./layout.ts";
import { hostMath } from "./library.ts";
import { type Emitted, emitProgram, inTable } from "./program.ts";
import { canShare, type SharedProgram, Threads } from "./threads.ts";
import { workOf, worthWaking } from "./work.ts";

const defaultBudget = 256 * 2 ** 20;

const heap = new Heap({ reserved: reservedBytes, budget: defaultBudget, shared: canShare });
const threads = new Threads(heap);
/** What modules import, products once they are needed. */
const imports: WebAssembly.Imports = {
  env: {
    memory: heap.memory,
    scratch: new WebAssembly.Global({ value: "i32" }, scratchAddress),
  },
  math: hostMath,
};
const instantiate = (
  bytes: Uint8Array<ArrayBuffer>,
  tick?: WebAssembly.ModuleImports,
): WebAssembly.ModuleImports =>
  new WebAssembly.Instance(
    new WebAssembly.Module(bytes),
    tick === undefined ? imports : { ...imports, profile: tick },
  ).exports as WebAssembly.ModuleImports;

/** The entry of a program's module. */
function entryOf({ bytes, products }: Emitted, tick?: Tick): (table: number) => void {
  for (const name of products) imports[name] ??= instantiate(gemmModule(name, heap.shared));
  return instantiate(bytes, tick && { tick }).run as (table: number) => void;
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
  /** each result: position among the inputs and, after them, the fresh buffers */
  readonly #results: readonly number[];

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
    const { inputs, outputs, handovers = [] } = program;
    const table = inTable(program);
    this.#fresh = table.slice(inputs.length);
    this.#takes = this.#fresh.map((id) => {
      const from = handovers.find((h) => h.output === id);
      return from === undefined ? -1 : inputs.indexOf(from.input);
    });
    this.#results = outputs.map((id) => table.indexOf(id));
    if (table.length >= tableEntries)
      fail(
        BackendError,
        "compile",
        `a program may have at most ${tableEntries} arguments and results`,
        String(table.length),
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
    const { program } = this;
    this.#tick = tick;
    const entry = tick === undefined ? this.#run : this.#withTicks();
    const n = inputs.length;
    const results = this.#results;
    const fresh = new Array<WasmStorage>(this.#fresh.length);
    let made = 0;
    let started = false;
    try {
      this.#pin(inputs);
      for (; made < fresh.length; made++) {
        if (donated !== undefined) {
          const from = this.#takes[made] as number;
          if (donated[from]) {
            fresh[made] = inputs[from] as WasmStorage;
            continue;
          }
        }
        const { bytes } = program.buffers[this.#fresh[made] as number] as ProgramBuffer;
        const s = heap.create(wasmBackend, bytes);
        heap.pin(s);
        fresh[made] = s;
      }
      if (this.#shared !== null) threads.prepare(this.#shared);
      const arena = program.arenaBytes > 0 ? heap.arena(program.arenaBytes) : 0;
      // pinned storages stay where they are, though to bring back another may make the memory grow
      let word = tableAddress >> 2;
      for (let i = 0; i < n; i++) {
        const address = heap.address(inputs[i] as WasmStorage);
        heap.i32[word++] = address;
      }
      const table = heap.i32;
      for (let i = 0; i < made; i++) table[word++] = (fresh[i] as WasmStorage).address;
      table[word] = arena;
      started = true;
      entry(tableAddress);
    } catch (error) {
      const cause = this.#shared === null ? error : threads.settle(error);
      // a donated argument that was overwritten in part is lost; before the start it is whole
      for (let i = 0; i < made; i++)
        if (started || !donated?.[this.#takes[i] as number]) heap.free(fresh[i] as WasmStorage);
      throw cause;
    } finally {
      heap.endRun();
    }
    const out = new Array<Storage>(results.length);
    for (let i = 0; i < out.length; i++) {
      const at = results[i] as number;
      out[i] = (at < n ? inputs[at] : fresh[at - n]) as Storage;
    }
    if (donated !== undefined) {
      const returned = new Set(out);
      for (let i = 0; i < n; i++)
        if (donated[i] && !returned.has(inputs[i] as Storage)) heap.free(inputs[i] as WasmStorage);
    }
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
}

function ours(op: string, s: Storage): WasmStorage {
  if (s instanceof WasmStorage) return s;
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
