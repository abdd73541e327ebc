/** The function under construction: its code, its locals, and what is known of the kernel. */
import { dtypes } from "../../../dtype.ts";
import { type KVar, memoized } from "../../../kernel/expr.ts";
import type { KernelBuffer, LoopKernel } from "../../../kernel/kernel.ts";
import { AffineForms } from "../../../program/affine.ts";
import { Code, type ValType } from "../encoder.ts";
import type { Library } from "../library.ts";
import { valType } from "./types.ts";

export class Frame {
  readonly code: Code;
  readonly kernel: LoopKernel;
  readonly library: Library;
  readonly forms = new AffineForms();
  /** the local of a kernel variable */
  readonly variable = memoized((v: KVar) => this.code.local(valType(v.dtype)));
  readonly #free: { readonly [T in ValType]: number[] } = {
    i32: [],
    i64: [],
    f32: [],
    f64: [],
    v128: [],
  };

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

  /** A local that nobody uses, until it is released. */
  temporary(type: ValType = "v128"): number {
    return this.#free[type].pop() ?? this.code.local(type);
  }
  release(...locals: readonly number[]): void {
    for (const local of locals) this.#free[this.code.typeOf(local)].push(local);
  }
  call(helper: string): void {
    this.code.call(this.library.function(helper));
  }
}
