/** Programs of one hand-built kernel, for tests below the level of primitives. */
import type { Backend } from "../../core/backend/backend.ts";
import { type DType, dtypes, type PackedArray, pack, unpack } from "../../core/dtype.ts";
import type { Expr } from "../../core/kernel/expr.ts";
import { int, load } from "../../core/kernel/expr.ts";
import {
  type Kernel,
  type KernelBuffer,
  type LoopKernel,
  loop,
  type Stmt,
} from "../../core/kernel/kernel.ts";
import type { Program, ProgramBuffer, Step } from "../../core/program/types.ts";

export const reads = (dtype: DType, length: number): KernelBuffer => ({
  dtype,
  length,
  access: "read",
});
export const writes = (dtype: DType, length: number): KernelBuffer => ({
  dtype,
  length,
  access: "write",
});
export const updates = (dtype: DType, length: number): KernelBuffer => ({
  dtype,
  length,
  access: "readwrite",
});

export const loops = (
  name: string,
  buffers: readonly KernelBuffer[],
  body: readonly Stmt[],
): LoopKernel => ({ kind: "loops", name, buffers, body });

export const store = (buffer: number, index: Expr, value: Expr): Stmt => ({
  kind: "store",
  buffer,
  index,
  value,
});

export function programBuffer(
  dtype: DType,
  length: number,
  place: ProgramBuffer["place"],
  offset = 0,
): ProgramBuffer {
  return { dtype, length, bytes: length * dtypes[dtype].bytes, place, offset };
}

/** A program over given buffers: inputs and outputs are taken in order of their place. */
export function programOf(
  name: string,
  buffers: readonly ProgramBuffer[],
  steps: readonly Step[],
  arenaBytes = 0,
): Program {
  const at = (place: ProgramBuffer["place"]): number[] =>
    buffers.flatMap((b, i) => (b.place === place ? [i] : []));
  return { name, buffers, inputs: at("input"), outputs: at("output"), steps, arenaBytes };
}

/** The program that runs one kernel: what it only reads are inputs, the rest outputs. */
export function kernelProgram(kernel: Kernel): Program {
  return programOf(
    kernel.name,
    kernel.buffers.map((b) =>
      programBuffer(b.dtype, b.length, b.access === "read" ? "input" : "output"),
    ),
    [{ kernel, args: kernel.buffers.map((_, i) => i) }],
  );
}

export const bytesOf = (a: PackedArray): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** Runs a program on packed inputs; gives the bytes of its outputs. */
export function runProgram(
  backend: Backend,
  program: Program,
  inputs: readonly PackedArray[],
): Uint8Array[] {
  const storages = inputs.map((a) => backend.write(bytesOf(a)));
  const outputs = backend.compile(program).run(storages);
  const bytes = outputs.map((s) => backend.readSync(s));
  for (const s of new Set([...storages, ...outputs])) backend.free(s);
  return bytes;
}

/** Runs a kernel on numbers; gives the values of its outputs. */
export function runKernel(
  backend: Backend,
  kernel: Kernel,
  inputs: readonly (readonly number[])[],
): number[][] {
  const isInput = (b: KernelBuffer): boolean => b.access === "read";
  const ins = kernel.buffers.filter(isInput);
  const packed = inputs.map((values, i) => pack(values, (ins[i] as KernelBuffer).dtype));
  const outs = kernel.buffers.filter((b) => !isInput(b));
  return runProgram(backend, kernelProgram(kernel), packed).map((bytes, j) =>
    Array.from(unpack(bytes, (outs[j] as KernelBuffer).dtype)),
  );
}

/** out[i] = f(x₀[i], x₁[i], …) */
export function elementwise(
  name: string,
  inputs: readonly DType[],
  output: DType,
  length: number,
  f: (...x: Expr[]) => Expr,
): LoopKernel {
  return loops(
    name,
    [...inputs.map((d) => reads(d, length)), writes(output, length)],
    [
      loop(int(length), (i) => [
        store(inputs.length, i, f(...inputs.map((d, k) => load(k, i, d)))),
      ]),
    ],
  );
}
