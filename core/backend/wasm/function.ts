/** What a kernel becomes: a WebAssembly function. */
import type { Code } from "./encoder.ts";

/** The outermost extent of a kernel, when its parts may be computed at once and in any order, with results that
 *  do not depend on how it is cut. */
export interface Range {
  readonly extent: number;
  /** parts begin at multiples of this */
  readonly align: number;
}

/** A kernel's function. Its parameters are the addresses of the kernel's buffers and, where it has a range, the
 *  ends lo ≤ hi of the part that a call computes. */
export interface KernelFunction {
  readonly code: Code;
  readonly range: Range | null;
}
