/** What a worker thread runs. */
import { productNames } from "./gemm.ts";
import { control, held, maxMessage, programSlots, slotWords, wakes } from "./layout.ts";
import { hostMath } from "./library.ts";

/** What a worker is given. It crosses to the worker as a copy, the memory excepted. */
export interface WorkerSetup {
  readonly memory: WebAssembly.Memory;
  readonly index: number;
  /** no other worker ever has it */
  readonly number: number;
  /** address of its scratch memory */
  readonly scratch: number;
  readonly control: typeof control;
  readonly held: number;
  readonly maxMessage: number;
  readonly programSlots: number;
  readonly slotWords: number;
  readonly wakes: number;
  readonly products: readonly string[];
  /** milliseconds that it stays awake after a job */
  readonly awake: number;
}

const awake = 0.06;

export const workerSetup = (
  memory: WebAssembly.Memory,
  index: number,
  number: number,
  scratch: number,
): WorkerSetup => ({
  memory,
  index,
  number,
  scratch,
  control,
  held,
  maxMessage,
  programSlots,
  slotWords,
  wakes,
  products: productNames,
  awake,
});

/** Waits for jobs, helps with them, and leaves when the thread is not wanted any more. It is turned into text, so that
 *  it may use only its parameters and the globals of every host; and it defines no named function, for which some
 *  compilers insert calls of helpers of their own. */
function work(setup: WorkerSetup, math: WebAssembly.ModuleImports): void {
  const { memory, index, scratch, products, programSlots } = setup;
  const at = setup.control;
  const words = new Int32Array(memory.buffer);
  const env = { memory, scratch: new WebAssembly.Global({ value: "i32" }, scratch) };
  const imports: WebAssembly.Imports = { env, math };
  const modules: { number: number; help: ((epoch: number) => void) | null }[] = [];
  Atomics.store(words, (at.alive >> 2) + index, setup.number);
  Atomics.add(words, at.ready >> 2, 1);
  let seen = Atomics.load(words, at.epoch >> 2) - 1;
  for (;;) {
    let epoch = Atomics.load(words, at.epoch >> 2);
    if (epoch === seen) {
      const until = performance.now() + setup.awake;
      do for (let i = 0; i < 100 && epoch === seen; i++) epoch = Atomics.load(words, at.epoch >> 2);
      while (epoch === seen && performance.now() < until);
    }
    if (epoch === seen) {
      if (index + 1 >= Atomics.load(words, at.wanted >> 2)) break;
      Atomics.add(words, at.sleeping >> 2, 1);
      Atomics.wait(words, at.epoch >> 2, seen);
      const asleep = Atomics.sub(words, at.sleeping >> 2, 1) - 1;
      if (asleep > 0) Atomics.notify(words, at.epoch >> 2, setup.wakes);
      continue;
    }
    seen = epoch;
    const slot = Atomics.load(words, at.program >> 2);
    if (slot < 0) continue;
    // the modules that are new: products that the program imports, then its own
    const needs = Atomics.load(words, (at.slots >> 2) + slot * setup.slotWords + 3);
    for (let k = 0; k <= products.length; k++) {
      if (k < products.length && ((needs >> k) & 1) === 0) continue;
      const place = k < products.length ? programSlots + k : slot;
      const entry = (at.slots >> 2) + place * setup.slotWords;
      const number = Atomics.load(words, entry);
      if (modules[place]?.number === number) continue;
      const module: (typeof modules)[number] = { number, help: null };
      modules[place] = module;
      try {
        const address = words[entry + 1] as number;
        const length = words[entry + 2] as number;
        // the memory may have grown since its buffer was looked at
        if (memory.buffer.byteLength < (address >>> 0) + length) memory.grow(0);
        const bytes = new Uint8Array(memory.buffer, address >>> 0, length).slice();
        // bytes that were given up meanwhile belong to a job that is over
        if (Atomics.load(words, entry) !== number) continue;
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
        if (k < products.length)
          imports[products[k] as string] = exports as WebAssembly.ModuleImports;
        else module.help = exports.help as (epoch: number) => void;
      } catch {
        // the others go on without this thread
      }
    }
    const help = modules[slot]?.help ?? null;
    if (help === null) continue;
    try {
      help(epoch);
    } catch (error) {
      // what it had taken counts as done, so that nobody waits for it
      const text = String((error as { message?: string }).message ?? error);
      const length = Math.min(text.length, setup.maxMessage);
      words[at.message >> 2] = length;
      for (let i = 0; i < length; i++) words[(at.message >> 2) + 1 + i] = text.charCodeAt(i);
      Atomics.store(words, at.failed >> 2, 1);
      Atomics.add(words, at.done >> 2, Atomics.exchange(words, (scratch + setup.held) >>> 2, 0));
      Atomics.notify(words, at.done >> 2);
    }
  }
  Atomics.sub(words, at.ready >> 2, 1);
  Atomics.store(words, (at.alive >> 2) + index, 0);
}

/** The text of a function of the worker's setup. Host functions that are not written in JavaScript are `Math`'s. */
export function workerSource(): string {
  const math = Object.entries(hostMath).map(([name, f]) => {
    const text = String(f);
    return `${name}: ${text.includes("[native code]") ? `Math.${name}` : text}`;
  });
  return `(setup) => (${work})(setup, {${math.join(",")}})`;
}
