/** The function under construction: its code, its locals, and what is known of the kernel. */
import { dtypes } from "../../../dtype.ts";
import type { KVar } from "../../../kernel/expr.ts";
import type { KernelBuffer, LoopKernel } from "../../../kernel/kernel.ts";
import { AffineForms } from "../../../program/affine.ts";
import { Code, type ValType } from "../encoder.ts";
import type { Library } from "../library.ts";

export class Frame {
  readonly code: Code;
  readonly kernel: LoopKernel;
  readonly library: Library;
  readonly forms = new AffineForms();
  readonly #variables = new Map<KVar, number>();
  readonly #free = new Map<ValType, number[]>();

  constructor(kernel: LoopKernel, library: Library, params: readonly ValType[]) {
    this.kernel = kernel;
    this.library = library;
    this.code = new Code(params);
  }
  buffer(n: number): KernelBuffer {
    return this.kernel.buffers[n] as KernelBuffer;
  }
  /** bytes of an element of a buffer */
  width(buffer: number): number {
    return dtypes[this.buffer(buffer).dtype].bytes;
  }

  /** the local of a kernel variable */
  variable(v: KVar, type: ValType): number {
    let local = this.#variables.get(v);
    if (local === undefined) {
      local = this.code.local(type);
      this.#variables.set(v, local);
    }
    return local;
  }
  /** A local that nobody uses, until it is released. */
  temporary(type: ValType): number {
    return this.#free.get(type)?.pop() ?? this.code.local(type);
  }
  /** A local that no code before this has used, until it is released. */
  fresh(type: ValType): number {
    return this.code.local(type);
  }
  release(type: ValType, local: number): void {
    const list = this.#free.get(type);
    if (list === undefined) this.#free.set(type, [local]);
    else list.push(local);
  }
  call(helper: string): void {
    this.code.call(this.library.function(helper));
  }
}
