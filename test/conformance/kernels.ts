/** Kernels with loops in vector registers, held against the reference backend, which runs one iteration after the other. Results are equal bit for
 *  bit, but for float sums and products over a loop: those are added up in another order. */
import { expect } from "vitest";
import { referenceBackend } from "../../core/backend/reference/backend.ts";
import { wasmBackend } from "../../core/backend/wasm/backend.ts";
import { emitKernel } from "../../core/backend/wasm/emit.ts";
import { Module } from "../../core/backend/wasm/encoder.ts";
import { hostMath, Library } from "../../core/backend/wasm/library.ts";
import { allDTypes, type DType, dtypes, isFloat, isInteger, pack } from "../../core/dtype.ts";
import { expandElementary } from "../../core/kernel/elementary.ts";
import {
  add,
  type BinaryOp,
  type CompareOp,
  type Expr,
  int,
  load,
  type UnaryOp,
} from "../../core/kernel/expr.ts";
import { type LoopKernel, loop, type Stmt } from "../../core/kernel/kernel.ts";
import { kernelProgram, loops, reads, runProgram, store, writes } from "./programs.ts";
import { disagreements, edges, filled, numbersOf, Random, randomElement } from "./values.ts";

type Tolerance = NonNullable<Parameters<typeof disagreements>[4]>;

/** Both backends give the same. */
export function same(
  kernel: LoopKernel,
  inputs: readonly (readonly number[])[],
  tolerance: Tolerance = {},
): void {
  const program = kernelProgram(kernel);
  const dtypeOf = (id: number): DType => (program.buffers[id] as { dtype: DType }).dtype;
  const packed = inputs.map((x, i) => pack(x, dtypeOf(program.inputs[i] as number)));
  const shown = packed.map((a, i) => numbersOf(a, dtypeOf(program.inputs[i] as number)));
  const wanted = runProgram(referenceBackend, program, packed);
  const got = runProgram(wasmBackend, program, packed);
  program.outputs.forEach((id, j) => {
    const wrong = disagreements(
      got[j] as Uint8Array,
      wanted[j] as Uint8Array,
      dtypeOf(id),
      shown,
      tolerance,
    );
    expect(wrong, `${kernel.name}, output ${j}`).toEqual([]);
  });
}
export const emitted = (kernel: LoopKernel) => {
  const module = new Module();
  const library = new Library(module);
  for (const name of Object.keys(hostMath)) library.math(name);
  return { module, f: emitKernel(expandElementary(kernel), library) };
};
/** True if there is a 128-bit instruction: all begin with 0xfd. */
export const isVector = (kernel: LoopKernel): boolean =>
  emitted(kernel).f.code.bytes.view().includes(0xfd);

export const parallel = (s: Stmt): Stmt => (s.kind === "for" ? { ...s, parallel: true } : s);
export const random = (d: DType, n: number, seed = 1): number[] => {
  const r = new Random(seed);
  return filled(n, () => randomElement(d, r));
};
/** edge values and random ones, mixed */
export const mixed = (d: DType, n: number, seed = 1): number[] => {
  const r = new Random(seed);
  return filled(n, () => (r.chance(0.3) ? r.pick(edges(d)) : randomElement(d, r)));
};
/** moderate values, whose sums do not overflow */
export const moderate = (d: DType, n: number, seed = 1): number[] => {
  const r = new Random(seed);
  const { kind, min, max } = dtypes[d];
  if (kind === "bool") return filled(n, () => r.int(0, 2));
  if (kind !== "float") return filled(n, () => r.int(Math.max(min, -1000), Math.min(max, 1000)));
  return filled(n, () => r.int(-64, 65) / 16);
};

export const floats = allDTypes.filter(isFloat);
export const integers = allDTypes.filter(isInteger);
export const unaryOps = (d: DType): readonly UnaryOp[] =>
  d === "bool"
    ? ["not"]
    : isFloat(d)
      ? ["neg", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "isFinite"]
      : ["neg", "abs", "sign", "not", "popcount", "clz"];
export const binaryOps = (d: DType): readonly BinaryOp[] =>
  d === "bool"
    ? ["min", "max", "and", "or", "xor"]
    : isFloat(d)
      ? ["add", "sub", "mul", "div", "rem", "min", "max", "nextafter"]
      : [
          ...(["add", "sub", "mul", "div", "rem", "min", "max", "pow"] as const),
          ...(["and", "or", "xor", "shl", "shr", "shrl", "mulhi"] as const),
        ];
export const compareOps: readonly CompareOp[] = ["eq", "ne", "lt", "le", "gt", "ge"];
export const extents = filled(20, (n) => n);

/** Loops of 0 to 19 iterations, one after the other and not aligned, each in an order of its own: out[i] = f(x[i], y[i]). */
export function ragged(
  name: string,
  inputs: readonly DType[],
  output: DType,
  f: (...x: Expr[]) => Expr,
): LoopKernel {
  const total = extents.reduce((a, n) => a + n, 0);
  let at = 0;
  const body = extents.map((n) => {
    const from = at;
    at += n;
    return loop(n, (i) => {
      const index = add(i, int(from));
      return [store(inputs.length, index, f(...inputs.map((d, k) => load(k, index, d))))];
    });
  });
  return loops(name, [...inputs.map((d) => reads(d, total)), writes(output, total)], body);
}
export const raggedLength = extents.reduce((a, n) => a + n, 0);
