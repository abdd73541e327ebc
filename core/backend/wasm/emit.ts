/** The kernel language in WebAssembly: one function for each loop kernel. */
import { type LoopKernel, parallelLoop } from "../../kernel/kernel.ts";
import type { ValType } from "./encoder.ts";
import { quickExtrema } from "./emit/extrema.ts";
import { Frame } from "./emit/frame.ts";
import { Statements } from "./emit/statements.ts";
import { unroll } from "./emit/unroll.ts";
import type { KernelFunction } from "./function.ts";
import type { Library } from "./library.ts";

/** The function of a loop kernel: its parameters are the addresses of its buffers and, where it is one parallel loop,
 *  the part of the loop's range that is to be computed. */
export function emitKernel(given: LoopKernel, library: Library): KernelFunction {
  const kernel = { ...given, body: quickExtrema(unroll(given.body, parallelLoop(given))) };
  const whole = parallelLoop(kernel);
  const params = new Array<ValType>(kernel.buffers.length + (whole === null ? 0 : 2)).fill("i32");
  const frame = new Frame(kernel, library, params);
  const statements = new Statements(frame, whole);
  statements.emit(kernel.body);
  return {
    code: frame.code,
    range: whole === null ? null : { extent: whole.to.value, align: statements.align },
  };
}
