/** What a worker thread runs. */
import { productNames } from "./gemm.ts";
import { control, held, maxMessage, slotWords, wakes } from "./layout.ts";
import { hostMath } from "./library.ts";

/** What all workers are given: the layout of the memory, products in the order of their slots, and for how many milliseconds
 *  they stay awake after a job. */
export const forWorkers = {
  control,
  held,
  maxMessage,
  slotWords,
  wakes,
  products: productNames,
  awake: 0.06,
};
/** It crosses to the worker as a copy, the memory excepted. */
export type WorkerSetup = typeof forWorkers & {
  readonly memory: WebAssembly.Memory;
  readonly index: number;
  /** no other worker ever has it */
  readonly number: number;
  /** address of its scratch memory */
  readonly scratch: number;
};

/** Waits for jobs, helps with them, and leaves when the thread is not wanted any more. It is turned into text, so that
 *  it may use only its parameters and the globals of every host; and it defines no named function, for which some
 *  compilers insert calls of helpers of their own. */
function work(setup: WorkerSetup, math: WebAssembly.ModuleImports): void {
  const { memory, index, scratch, products, control: at } = setup;
  const { add, exchange, load, notify, store, sub, wait } = Atomics;
  const words = new Int32Array(memory.buffer);
  const env = { memory, scratch: new WebAssembly.Global({ value: "i32" }, scratch) };
  const imports: WebAssembly.Imports = { env, math };
  const modules: { number: number; help: ((epoch: number) => void) | null }[] = [];
  store(words, at.alive + index, setup.number);
  add(words, at.ready, 1);
  let seen = load(words, at.epoch) - 1;
  for (;;) {
    let epoch = load(words, at.epoch);
    if (epoch === seen) {
      const until = performance.now() + setup.awake;
      do for (let i = 0; i < 100 && epoch === seen; i++) epoch = load(words, at.epoch);
      while (epoch === seen && performance.now() < until);
    }
    if (epoch === seen) {
      if (index + 1 >= load(words, at.wanted)) break;
      add(words, at.sleeping, 1);
      wait(words, at.epoch, seen);
      if (sub(words, at.sleeping, 1) > 1) notify(words, at.epoch, setup.wakes);
      continue;
    }
    seen = epoch;
    const slot = load(words, at.program);
    if (slot < 0) continue;
    // the modules that are new: products that the program imports, then its own
    const needs = load(words, at.slots + slot * setup.slotWords + 3);
    for (let k = 0; k <= products.length; k++) {
      const name = products[k];
      const place = name === undefined ? slot : k;
      if (name !== undefined && ((needs >> place) & 1) === 0) continue;
      const entry = at.slots + place * setup.slotWords;
      const number = load(words, entry);
      if (modules[place]?.number === number) continue;
      const module: (typeof modules)[number] = { number, help: null };
      modules[place] = module;
      try {
        const address = (words[entry + 1] as number) >>> 0;
        const length = words[entry + 2] as number;
        // the memory may have grown since its buffer was looked at
        if (memory.buffer.byteLength < address + length) memory.grow(0);
        const bytes = new Uint8Array(memory.buffer, address, length).slice();
        // bytes that were given up meanwhile belong to a job that is over
        if (load(words, entry) !== number) continue;
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
        if (name === undefined) module.help = exports.help as (epoch: number) => void;
        else imports[name] = exports as WebAssembly.ModuleImports;
      } catch {
        // the others go on without this thread
      }
    }
    const help = modules[slot]?.help;
    if (!help) continue;
    try {
      help(epoch);
    } catch (error) {
      // what it had taken counts as done, so that nobody waits for it
      const text = String((error as { message?: string }).message ?? error);
      const length = Math.min(text.length, setup.maxMessage);
      words[at.message] = length;
      for (let i = 0; i < length; i++) words[at.message + 1 + i] = text.charCodeAt(i);
      store(words, at.failed, 1);
      add(words, at.done, exchange(words, (scratch + setup.held) >>> 2, 0));
      notify(words, at.done);
    }
  }
  sub(words, at.ready, 1);
  store(words, at.alive + index, 0);
}

/** The text of a function of the worker's setup. Host functions that are not written in JavaScript are `Math`'s. */
export function workerSource(): string {
  const math = Object.entries(hostMath).map(([name, f]) => {
    const text = String(f);
    return `${name}: ${text.includes("[native code]") ? `Math.${name}` : text}`;
  });
  return `(setup) => (${work})(setup, {${math.join(",")}})`;
}
