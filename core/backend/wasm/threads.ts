/** The worker threads: how many there are, their start, and what they know of programs. How they share a kernel
 *  is in `schedule.ts`. */
import { BackendError, fail } from "../../errors.ts";
import type { Block } from "./allocator.ts";
import { gemmModule, type ProductName, productNames } from "./gemm.ts";
import type { Heap } from "./heap.ts";
import {
  control,
  held,
  maxWorkers,
  programSlots,
  scratchAddress,
  scratchBytes,
  scratchStart,
  slotWords,
} from "./layout.ts";
import { forWorkers, type WorkerSetup, workerSource } from "./worker.ts";

/** What hosts offer, each its own part of it. */
interface Host {
  readonly process?: {
    readonly env: { readonly [name: string]: string | undefined };
    getBuiltinModule?(name: "node:worker_threads"): typeof import("node:worker_threads");
    getBuiltinModule?(name: "node:os"): typeof import("node:os");
    getBuiltinModule?(name: "node:fs"): typeof import("node:fs");
  };
  readonly Deno?: {
    readonly permissions: {
      querySync(of: { name: "env"; variable: string }): { readonly state: string };
    };
  };
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly SharedArrayBuffer?: unknown;
  readonly COTANGENT_THREADS?: unknown;
}
const host = globalThis as Host;

/** Whether memory can be shared between threads here; a page that is not cross-origin isolated has no SharedArrayBuffer. */
export const canShare: boolean = host.SharedArrayBuffer !== undefined;

const mostByDefault = 16;

const cpuLimit = "/sys/fs/cgroup/cpu.max";
/** Cores' worth of time that a Linux control group grants: "quota period" in microseconds, or "max period". Node counts the
 *  cores of the machine. */
function grantedCores(): number {
  try {
    const text = host.process?.getBuiltinModule?.("node:fs").readFileSync(cpuLimit, "utf8") ?? "";
    const [quota, period] = text.split(" ");
    const cores = Math.ceil(Number(quota) / Number(period));
    return cores >= 1 ? cores : mostByDefault;
  } catch {
    return mostByDefault;
  }
}
/** `COTANGENT_THREADS`, a global or in the environment, or else the number of cores. */
function defaultThreads(): number {
  const name = "COTANGENT_THREADS";
  // Deno asks its user about each variable that is not allowed
  const allowed =
    host.Deno === undefined ||
    host.Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
  const set = Number(host[name] ?? (allowed ? host.process?.env[name] : undefined));
  if (Number.isInteger(set) && set >= 1) return Math.min(set, maxWorkers + 1);
  const cores =
    host.navigator?.hardwareConcurrency ??
    host.process?.getBuiltinModule?.("node:os").availableParallelism() ??
    1;
  return Math.min(cores, mostByDefault, host.Deno === undefined ? grantedCores() : mostByDefault);
}

let scriptUrl: string | null = null;
/** Starts a worker that does not keep the process alive; `gone` is called when it has ended for whatever reason. */
function startWorker(setup: WorkerSetup, gone: () => void): void {
  const source = workerSource();
  const node = host.process?.getBuiltinModule?.("node:worker_threads");
  if (node !== undefined) {
    const worker = new node.Worker(
      `(${source})(require("node:worker_threads").workerData)`,
      // neither loaders nor settings of the main thread
      { eval: true, workerData: setup, execArgv: [], env: {}, name: "cotangent" },
    );
    worker.unref();
    worker.on("error", gone);
    worker.on("exit", gone);
    return;
  }
  if (scriptUrl === null) {
    const text = `onmessage = (event) => { (${source})(event.data); close(); };`;
    scriptUrl = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  }
  const worker = new Worker(scriptUrl, { name: "cotangent" });
  worker.onerror = gone;
  worker.postMessage(setup);
}

/** A program as the workers know it. */
export interface SharedProgram {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly products: ReadonlySet<ProductName>;
}

export class Threads {
  readonly #heap: Heap;
  #count: number | null = null;
  /** scratch memory of each worker; it outlives the worker, for the next one */
  readonly #scratch: Block[] = [];
  #nextWorker = 1;
  /** a worker failed: no more are started */
  #broken = false;
  // what lies in the slots
  readonly #programs: (SharedProgram | undefined)[] = [];
  readonly #blocks: (Block | undefined)[] = [];
  #nextSlot = 0;
  #nextNumber = 1;

  constructor(heap: Heap) {
    this.#heap = heap;
    if (!heap.shared) return;
    const words = heap.i32;
    try {
      // "not-equal" at once, or an error where this thread must not sleep
      Atomics.wait(words, control.done, 1, 0);
      words[control.mayWait] = 1;
    } catch {
      // it waits awake
    }
  }

  /** Threads in all, the main one included. */
  get count(): number {
    if (!this.#heap.shared) return 1;
    this.#count ??= defaultThreads();
    return this.#count;
  }
  set count(n: number) {
    if (!Number.isInteger(n) || n < 1 || n > maxWorkers + 1)
      fail(
        BackendError,
        "threads",
        `the number of threads must be an integer from 1 to ${maxWorkers + 1}`,
        String(n),
        "set wasmBackend.threads to the number of cores, or 1 for none but the main thread",
      );
    this.#count = n;
    if (!this.#heap.shared) return;
    // workers that are too many see it when they wake up, or before they fall asleep: for them it is a job of no program
    const words = this.#heap.i32;
    Atomics.store(words, control.wanted, n);
    Atomics.store(words, control.program, -1);
    Atomics.add(words, control.epoch, 1);
    Atomics.notify(words, control.epoch);
  }

  /** Starts workers that are missing; they take part when they are ready. */
  start(): void {
    const words = this.#heap.i32;
    const workers = this.count - 1;
    if (this.#broken || Atomics.load(words, control.ready) >= workers) return;
    Atomics.store(words, control.wanted, workers + 1);
    for (let i = 0; i < workers; i++) {
      const alive = control.alive + i;
      if (Atomics.load(words, alive) !== 0) continue;
      try {
        const block = this.#scratch[i] ?? this.#heap.reserve(scratchBytes);
        this.#scratch[i] = block;
        const number = this.#nextWorker++;
        Atomics.store(words, alive, -number);
        const scratch = block.address + scratchStart;
        const { memory } = this.#heap;
        startWorker({ ...forWorkers, memory, index: i, number, scratch }, () =>
          this.#gone(i, number),
        );
      } catch {
        // no memory or no workers here: go on with those that there are
        Atomics.store(words, alive, 0);
        this.#broken = true;
        return;
      }
    }
  }
  /** Before a run of a program with kernels to share: tells the workers of the program. */
  prepare(program: SharedProgram): void {
    this.start();
    let slot = -1;
    if (this.count > 1 && this.#scratch.length > 0)
      try {
        const at = this.#programs.indexOf(program);
        slot = productNames.length + (at < 0 ? this.#publish(program) : at);
      } catch {
        // no memory left for it: the main thread runs it alone
      }
    Atomics.store(this.#heap.i32, control.program, slot);
  }

  /** After a trap: ends the job, waits for the parts that workers have begun, and gives the error to throw. */
  settle(error: unknown): unknown {
    const words = this.#heap.i32;
    const state = new BigInt64Array(this.#heap.memory.buffer, 4 * control.state, 1);
    const extent = Atomics.load(words, control.extent);
    const epoch = BigInt(Atomics.load(words, control.epoch));
    const before = Atomics.exchange(state, 0, (epoch << 32n) | BigInt(extent));
    const mine = (scratchAddress + held) >> 2;
    const begun = Number(BigInt.asUintN(32, before)) - (words[mine] as number);
    words[mine] = 0;
    while (Atomics.load(words, control.done) !== begun);
    Atomics.store(words, control.done, extent);
    if (Atomics.exchange(words, control.failed, 0) === 0) return error;
    const at = control.message;
    const characters = words.slice(at + 1, at + 1 + (words[at] as number));
    return new WebAssembly.RuntimeError(String.fromCharCode(...characters));
  }

  /** A worker that has ended without leaving has failed. */
  #gone(index: number, number: number): void {
    const words = this.#heap.i32;
    const alive = control.alive + index;
    const helped = Atomics.compareExchange(words, alive, number, 0) === number;
    if (helped) Atomics.sub(words, control.ready, 1);
    else if (Atomics.compareExchange(words, alive, -number, 0) !== -number) return;
    this.#broken = true;
  }

  /** Puts a program into a slot, the oldest one's where all are taken. */
  #publish(program: SharedProgram): number {
    let needs = 0;
    productNames.forEach((name, k) => {
      if (!program.products.has(name)) return;
      needs |= 1 << k;
      if (this.#blocks[k] === undefined) this.#put(k, gemmModule(name, true), 0);
    });
    const at = this.#nextSlot;
    this.#nextSlot = (at + 1) % programSlots;
    this.#programs[at] = undefined;
    this.#put(productNames.length + at, program.bytes, needs);
    this.#programs[at] = program;
    return at;
  }
  #put(slot: number, bytes: Uint8Array, needs: number): void {
    const entry = control.slots + slot * slotWords;
    // a worker that still reads the bytes finds afterwards that they were given up
    Atomics.store(this.#heap.i32, entry, 0);
    const old = this.#blocks[slot];
    if (old !== undefined) this.#heap.release(old);
    this.#blocks[slot] = undefined;
    const block = this.#heap.reserve(bytes.length);
    this.#blocks[slot] = block;
    this.#heap.u8.set(bytes, block.address);
    const words = this.#heap.i32;
    words[entry + 1] = block.address;
    words[entry + 2] = bytes.length;
    words[entry + 3] = needs;
    Atomics.store(words, entry, this.#nextNumber++);
  }
}
