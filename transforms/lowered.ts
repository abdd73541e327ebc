/** What `jit` makes of a function, to be looked at. */
import type { Executable } from "../core/backend/backend.ts";
import type { ClosedJaxpr } from "../core/ir/jaxpr.ts";
import { showJaxpr } from "../core/ir/printer.ts";
import { costOf } from "../core/program/cost.ts";
import { showBytes, showPlan, showProgram } from "../core/program/show.ts";
import type { Arrays } from "./arguments.ts";

/** A function traced and compiled for arguments of given types; nothing was run.
 *  @example jit((x: NDArray) => x.mul(2).add(1)).lower(np.zeros([100])).flops  // => 200 */
export class Lowered<A extends readonly unknown[] = readonly never[], R = unknown> {
  /** as it was traced; arrays that the function captured are its first arguments */
  readonly jaxpr: ClosedJaxpr;
  /** arithmetic operations of one run. A product of matrices counts 2·m·n·k; arithmetic on indices is not counted, and a
   *  loop whose length is known only when it runs counts once */
  readonly flops: number;
  /** bytes that kernels read and write in one run */
  readonly bytes: number;
  /** bytes of arguments, results and temporaries together; a result that takes the place of a donated argument does not count
   *  @example jit((x: NDArray) => x.mul(2).add(1)).lower(np.zeros([100])).peakBytes  // => 800 */
  readonly peakBytes: number;
  readonly #executable: Executable;
  readonly #call: (...args: A) => Arrays<R>;

  constructor(
    jaxpr: ClosedJaxpr,
    executable: Executable,
    donated: readonly boolean[] | undefined,
    call: (...args: A) => Arrays<R>,
  ) {
    this.jaxpr = jaxpr;
    this.#executable = executable;
    this.#call = call;
    const { flops, bytes, peakBytes } = costOf(executable.program, donated);
    this.flops = flops;
    this.bytes = bytes;
    this.peakBytes = peakBytes;
  }

  /** The kernels and their loops. */
  get program(): string {
    return showProgram(this.#executable.program);
  }
  /** Where temporaries lie, and when. */
  get plan(): string {
    return showPlan(this.#executable.program);
  }
  /** The WebAssembly module in the text format; null on a backend that has none. What writes it is loaded when it is asked for.
   *  @example (await jit((x: NDArray) => x.mul(2)).lower(np.zeros([2])).wat())?.slice(0, 7)  // => "(module" */
  async wat(): Promise<string | null> {
    return (await this.#executable.text?.()) ?? null;
  }
  /** The function for arguments of these types.
   *  @throws TreeError for arguments of others
   *  @example jit((x: NDArray) => x.mul(2)).lower(np.zeros([2])).compile()(np.array([1, 2])).toArray()  // => [2, 4] */
  compile(): (...args: A) => Arrays<R> {
    return this.#call;
  }
  toString(): string {
    const { flops, bytes, peakBytes } = this;
    const totals = `${flops} operations, ${showBytes(bytes)} moved, ${showBytes(peakBytes)} held`;
    return [showJaxpr(this.jaxpr), this.program, this.plan, totals].join("\n");
  }
}
