/** A program: the kernels of one executable, the buffers they work on, and where those live. Plain data. */
import type { DType } from "../dtype.ts";
import type { Kernel } from "../kernel/kernel.ts";

export interface ProgramBuffer {
  readonly dtype: DType;
  /** elements */
  readonly length: number;
  readonly bytes: number;
  /** `input`: the caller's, read only. `output`: allocated by the backend for the result.
   *  `temp`: in the arena at `offset`. `scratch`: in memory that one thread uses during one step, at `offset`. */
  readonly place: "input" | "output" | "temp" | "scratch";
  /** byte offset in the arena, or in scratch memory; a multiple of 16 */
  readonly offset: number;
  /** the result in whose memory a temporary lies until that is written over it (default: none, it is in the arena) */
  readonly home?: number | undefined;
}

export interface Step {
  readonly kernel: Kernel;
  /** program buffers bound to the kernel's buffers, by position */
  readonly args: readonly number[];
}

/** Buffers of a result and of an argument whose memory it may take if the caller gives it away. */
export interface Handover {
  readonly output: number;
  readonly input: number;
}

export interface Program {
  readonly name: string;
  readonly buffers: readonly ProgramBuffer[];
  /** buffer ids of the arguments, in order */
  readonly inputs: readonly number[];
  /** buffer id of each result: an output buffer, or an input that is returned as it came. May repeat. */
  readonly outputs: readonly number[];
  /** no result, and no argument, occurs twice (default: none) */
  readonly handovers?: readonly Handover[];
  readonly steps: readonly Step[];
  readonly arenaBytes: number;
}
