/** The reference backend: interprets kernels in JavaScript, checking everything it is given. It is meant to
 *  be simple enough to trust, and to be the judge of the others. */
import { dtypes, type PackedArray } from "../../dtype.ts";
import { BackendError, fail } from "../../errors.ts";
import type { Kernel, KernelBuffer } from "../../kernel/kernel.ts";
import type { Program, ProgramBuffer } from "../../program/types.ts";
import type { Backend, Executable, Storage, Tick } from "../backend.ts";
import { expandElementary } from "../../kernel/elementary.ts";
import { interpretLoops, type RunKernel } from "./loops.ts";
import { interpretContract, interpretConv } from "./templates.ts";

// ---- storage ----

/** Bytes in JavaScript memory; `data` is null once they were given back. */
class ReferenceStorage implements Storage {
  readonly backend: Backend;
  readonly bytes: number;
  data: Uint8Array<ArrayBuffer> | null;
  /** objects whose collection is awaited before the memory is given back */
  owners = 0;
  constructor(backend: Backend, data: Uint8Array<ArrayBuffer>) {
    this.backend = backend;
    this.bytes = data.byteLength;
    this.data = data;
  }
}

let used = 0;
let peak = 0;

function hold(data: Uint8Array<ArrayBuffer>): ReferenceStorage {
  used += data.byteLength;
  peak = Math.max(peak, used);
  return new ReferenceStorage(referenceBackend, data);
}

function release(storage: ReferenceStorage): void {
  if (storage.data === null) return;
  storage.data = null;
  used -= storage.bytes;
}

function checked(op: string, storage: Storage): ReferenceStorage {
  if (storage instanceof ReferenceStorage) return storage;
  return fail(
    BackendError,
    op,
    "storage must be the reference backend's",
    `storage of backend ${storage.backend.name}`,
    "copy it to the reference backend first",
  );
}

function live(op: string, storage: Storage): Uint8Array<ArrayBuffer> {
  return (
    checked(op, storage).data ??
    fail(
      BackendError,
      op,
      "storage must be live",
      `${storage.bytes} bytes that were disposed or donated`,
      "use the array before it is disposed, or do not donate it",
    )
  );
}

const owners = new FinalizationRegistry<ReferenceStorage>((storage) => {
  storage.owners--;
  if (storage.owners === 0) release(storage);
});

// ---- programs ----

function interpret(kernel: Kernel): RunKernel {
  switch (kernel.kind) {
    case "loops":
      return interpretLoops(expandElementary(kernel));
    case "contract":
      return interpretContract(kernel);
    case "conv":
      return interpretConv(kernel);
  }
}

/** Whether two buffers, given by number, share memory. */
function overlap({ buffers }: Program, i: number, j: number): boolean {
  const [a, b] = [buffers[i], buffers[j]] as [ProgramBuffer, ProgramBuffer];
  if ((a.home ?? i) === (b.home ?? j)) return a.bytes > 0;
  const inArena = [a, b].every(({ place, home }) => place === "temp" && home === undefined);
  return inArena && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

/** Memory that holds nothing before a run nor after it. */
const isScratch = ({ place }: ProgramBuffer): boolean => place === "temp" || place === "scratch";

/** Throws an internal error unless the program keeps its own rules. */
function checkProgram(program: Program): void {
  const wrong = (message: string): never => {
    throw new Error(`program ${program.name}: ${message}`);
  };
  const buffer = (id: number): ProgramBuffer =>
    program.buffers[id] ?? wrong(`unknown buffer ${id}`);
  for (const [id, b] of program.buffers.entries()) {
    if (b.bytes !== b.length * dtypes[b.dtype].bytes)
      wrong(`buffer ${id} of ${b.length} ${b.dtype} has ${b.bytes} bytes`);
    if (b.home !== undefined) {
      const { place, bytes, dtype } = buffer(b.home);
      if (b.place !== "temp" || place !== "output" || bytes !== b.bytes || dtype !== b.dtype)
        wrong(`buffer ${id} cannot lie in buffer ${b.home}`);
    }
    if (b.place !== "temp" || b.home !== undefined) continue;
    if (b.offset % 16 !== 0) wrong(`buffer ${id} is at unaligned offset ${b.offset}`);
    if (b.offset < 0 || b.offset + b.bytes > program.arenaBytes)
      wrong(
        `buffer ${id} ends at ${b.offset + b.bytes}, outside an arena of ${program.arenaBytes}`,
      );
  }
  for (const id of program.inputs)
    if (buffer(id).place !== "input") wrong(`input ${id} is a ${buffer(id).place} buffer`);
  if (new Set(program.inputs).size !== program.inputs.length) wrong("an input is listed twice");
  for (const id of program.outputs)
    if (isScratch(buffer(id))) wrong(`output ${id} is a ${buffer(id).place} buffer`);
  const bound = new Set([...program.inputs, ...program.outputs]);
  for (const { kernel, args } of program.steps) {
    const inKernel = (message: string): never => wrong(`kernel ${kernel.name}: ${message}`);
    if (args.length !== kernel.buffers.length)
      inKernel(`${args.length} arguments for ${kernel.buffers.length} buffers`);
    for (const [i, id] of args.entries()) {
      const given = buffer(id);
      const wanted = kernel.buffers[i] as KernelBuffer;
      if (given.dtype !== wanted.dtype || given.length !== wanted.length)
        inKernel(
          `buffer ${i} is ${wanted.length} ${wanted.dtype}, argument ${id} is ${given.length} ${given.dtype}`,
        );
      if (given.place === "input" && wanted.access !== "read") inKernel(`writes input ${id}`);
      if (!isScratch(given) && !bound.has(id))
        inKernel(`argument ${id} is neither an input nor an output of the program`);
    }
    if (kernel.kind === "loops") continue;
    const [lhs, rhs, out] = args as readonly [number, number, number];
    for (const id of [lhs, rhs])
      if (overlap(program, id, out)) inKernel(`argument ${out} overlaps operand ${id}`);
  }
}

/** Memory whose contents are undefined is filled with ones, which are NaN in every float dtype and out of
 *  range as an index, so that a read of what nobody wrote is seen. */
const undefinedBytes = (bytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(bytes).fill(255);

function view(bytes: Uint8Array<ArrayBuffer>, b: ProgramBuffer): PackedArray {
  return new dtypes[b.dtype].packed(bytes.buffer, 0, b.length);
}

function compile(program: Program): Executable {
  checkProgram(program);
  const compiled = new Map<Kernel, RunKernel>();
  const steps = program.steps.map(({ kernel, args }) => {
    let run = compiled.get(kernel);
    if (run === undefined) {
      run = interpret(kernel);
      compiled.set(kernel, run);
    }
    return { run, args };
  });

  const run = (
    inputs: readonly Storage[],
    donated: readonly boolean[] = [],
    tick?: Tick,
  ): Storage[] => {
    if (inputs.length !== program.inputs.length)
      throw new Error(
        `program ${program.name}: takes ${program.inputs.length} inputs, got ${inputs.length}`,
      );
    const memory = new Map<number, Uint8Array<ArrayBuffer>>();
    const storageOf = new Map<number, Storage>();
    for (const [i, id] of program.inputs.entries()) {
      const storage = inputs[i] as Storage;
      const bytes = live(program.name, storage);
      const wanted = (program.buffers[id] as ProgramBuffer).bytes;
      if (bytes.byteLength !== wanted)
        throw new Error(
          `program ${program.name}: input ${i} has ${bytes.byteLength} bytes, not ${wanted}`,
        );
      memory.set(id, bytes);
      storageOf.set(id, storage);
    }
    for (const id of program.outputs)
      if (!memory.has(id))
        memory.set(id, undefinedBytes((program.buffers[id] as ProgramBuffer).bytes));
    const views = program.buffers.map((b, id) => {
      const bytes = isScratch(b) ? undefinedBytes(b.bytes) : memory.get(id);
      return bytes && view(bytes, b);
    });
    for (const [i, step] of steps.entries()) {
      tick?.(i);
      step.run(step.args.map((id) => views[id] as PackedArray));
    }
    tick?.(steps.length);

    const results = program.outputs.map((id) => {
      let storage = storageOf.get(id);
      if (storage === undefined) {
        storage = hold(memory.get(id) as Uint8Array<ArrayBuffer>);
        storageOf.set(id, storage);
      }
      return storage;
    });
    for (const [i, storage] of inputs.entries())
      if (donated[i] && !results.includes(storage)) release(checked(program.name, storage));
    return results;
  };
  return { program, run };
}

// ---- the backend ----

/** Interprets kernels in JavaScript. Every load and store is checked against the length of its buffer.
 *
 *  Floats are computed in double and rounded after each operation, contractions and convolutions in double
 *  and rounded once.
 *  @throws BackendError when storage is used after it was freed or donated
 *  For example referenceBackend.readSync(referenceBackend.write(new Uint8Array([1, 2]))) gives Uint8Array [1, 2] */
export const referenceBackend: Backend = {
  name: "reference",
  compile,
  write: (bytes) => hold(new Uint8Array(bytes)),
  readSync: (storage) => live("read", storage).slice(),
  read: async (storage) => live("read", storage).slice(),
  // a program has run when its executable returns
  ready: async (storage) => void live("ready", storage),
  free: (storage) => release(checked("free", storage)),
  own: (storage, owner) => {
    const s = checked("own", storage);
    s.owners++;
    owners.register(owner, s);
  },
  memory: () => ({ used, peak }),
};
