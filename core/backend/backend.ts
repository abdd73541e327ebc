/** The contract of a backend: it stores bytes and runs programs. */
import type { Program } from "../program/types.ts";

/** Bytes on a backend. Immutable once written, shared freely between arrays. */
export interface Storage {
  readonly backend: Backend;
  readonly bytes: number;
}

/** Is told of each step of a program before it begins, and of their number after the last. */
export type Tick = (step: number) => void;

/** A compiled program. */
export interface Executable {
  readonly program: Program;
  /** Runs on arguments in the order of `program.inputs`; gives one storage per `program.outputs` (an output
   *  that is an input returns that very storage). `donated[i]` allows the executable to overwrite and
   *  keep the storage of argument i. `tick` is for profiles; a run without it costs nothing more. */
  run(inputs: readonly Storage[], donated?: readonly boolean[], tick?: Tick): Storage[];
  /** The machine code as text, where there is any. */
  text?(): Promise<string>;
}

export interface Backend {
  readonly name: string;
  compile(program: Program): Executable;
  /** Copies bytes in. */
  write(bytes: Uint8Array): Storage;
  /** Copies bytes out, once everything that produces them has run. */
  readSync(storage: Storage): Uint8Array<ArrayBuffer>;
  read(storage: Storage): Promise<Uint8Array<ArrayBuffer>>;
  /** Resolves once everything that produces the bytes has run; copies nothing. */
  ready(storage: Storage): Promise<void>;
  /** Gives the memory back; the storage must not be used again. */
  free(storage: Storage): void;
  /** Ties the storage to the life of `owner`: when the owner is collected the memory is given back.
   *  Storage whose owners are many is freed when the last is gone. */
  own(storage: Storage, owner: object): void;
  /** bytes now held in device memory, and the most ever held */
  memory(): { readonly used: number; readonly peak: number };
}
