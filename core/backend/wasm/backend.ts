/** The WebAssembly backend: each program is one module with one entry. */
import type { ContractKernel, Kernel, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { type Expr, operands } from "../../kernel/expr.ts";
import type { Program, ProgramBuffer } from "../../program/types.ts";
import { isFloat } from "../../dtype.ts";
import { BackendError, fail } from "../../errors.ts";
import type { Backend, Executable, Storage } from "../backend.ts";
import { emitKernel } from "./emit.ts";
import { Code, Module } from "./encoder.ts";
import { type ConvPlan, convCalls, convLoops, planConv } from "./conv.ts";
import type { KernelFunction, Range } from "./function.ts";
import { type GemmDType, gemmModule, gemmScratch, gemmSignature } from "./gemm.ts";
import { Heap, WasmStorage } from "./heap.ts";
import { hostMath, Library } from "./library.ts";
import { contractCalls, contractLoops, contractProduct } from "./templates.ts";

// what lies below the heap: the table of a run's pointers, and scratch memory
const tableEntries = 16384;
const tableAddress = 64;
const scratchAddress = tableAddress + tableEntries * 4;
// in scratch memory: panels of the matrix product, ranges and columns of a convolution, rows of loop kernels
const gemmOffset = 0;
const rangesOffset = gemmScratch;
const columnsOffset = rangesOffset + 1024;
const columnsBytes = 4 * 2 ** 20;
const rowsOffset = columnsOffset + columnsBytes;
const scratchBytes = rowsOffset + 2 ** 18;
const convScratch = { ranges: rangesOffset, columns: columnsOffset, gemm: gemmOffset };
const defaultBudget = 256 * 2 ** 20;

const heap = new Heap({ reserved: scratchAddress + scratchBytes, budget: defaultBudget });
/** what every module imports */
const environment = {
  memory: heap.memory,
  scratch: new WebAssembly.Global({ value: "i32" }, scratchAddress),
};

const products = new Map<GemmDType, WebAssembly.ExportValue>();
function productOf(dtype: GemmDType): WebAssembly.ExportValue {
  let f = products.get(dtype);
  if (f === undefined) {
    const module = new WebAssembly.Module(gemmModule(dtype));
    f = new WebAssembly.Instance(module, { env: environment }).exports.gemm;
    products.set(dtype, f as WebAssembly.ExportValue);
  }
  return f as WebAssembly.ExportValue;
}

/** Host functions that a kernel calls. */
function intrinsicsOf(kernel: LoopKernel, into: Set<string>): void {
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "unary" && Object.hasOwn(hostMath, e.op)) into.add(e.op);
    if (e.kind === "binary") {
      if ((e.op === "pow" || e.op === "atan2") && isFloat(e.dtype)) into.add(e.op);
      if (e.op === "rem" && isFloat(e.dtype)) into.add("fmod");
    }
    operands(e).forEach(visit);
  };
  const walk = (body: readonly Stmt[]): void => {
    for (const s of body)
      switch (s.kind) {
        case "for":
          visit(s.from);
          visit(s.to);
          walk(s.body);
          break;
        case "while":
          visit(s.test);
          walk(s.body);
          break;
        case "if":
          visit(s.test);
          walk(s.yes);
          walk(s.no);
          break;
        case "set":
          visit(s.value);
          break;
        case "store":
          visit(s.index);
          visit(s.value);
          break;
      }
  };
  walk(kernel.body);
}

/** How a kernel becomes a function. */
type Form =
  | { readonly kind: "loops"; readonly loops: LoopKernel }
  | { readonly kind: "contract"; readonly kernel: ContractKernel; readonly product: GemmDType }
  | { readonly kind: "conv"; readonly plan: ConvPlan; readonly product: GemmDType };

function formOf(kernel: Kernel): Form {
  switch (kernel.kind) {
    case "loops":
      return { kind: "loops", loops: kernel };
    case "contract": {
      const product = contractProduct(kernel);
      return product === null
        ? { kind: "loops", loops: contractLoops(kernel) }
        : { kind: "contract", kernel, product };
    }
    case "conv": {
      const plan = planConv(kernel, columnsBytes);
      return plan === null
        ? { kind: "loops", loops: convLoops(kernel) }
        : { kind: "conv", plan, product: plan.dtype };
    }
  }
}

interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** what the module imports */
  readonly math: ReadonlySet<string>;
  readonly products: ReadonlyMap<GemmDType, number>;
}

function emitProgram(program: Program): Emitted {
  const module = new Module();
  const library = new Library(module);
  const forms = new Map<Kernel, Form>();
  for (const { kernel } of program.steps) if (!forms.has(kernel)) forms.set(kernel, formOf(kernel));
  const gemm = new Map<GemmDType, number>();
  for (const form of forms.values())
    if (form.kind !== "loops")
      gemm.set(form.product, module.import("gemm", form.product, gemmSignature));
  const math = new Set<string>();
  for (const form of forms.values()) if (form.kind === "loops") intrinsicsOf(form.loops, math);
  for (const name of math) library.math(name);

  const entry = new Code(["i32"]);
  const pointer = new Map<number, number>();
  [
    ...program.inputs,
    ...program.buffers.flatMap((b, i) => (b.place === "output" ? [i] : [])),
  ].forEach((id, slot) => {
    pointer.set(id, slot);
  });
  const arenaSlot = pointer.size;
  const emit = (form: Form): KernelFunction => {
    if (form.kind === "loops") return emitKernel(form.loops, library);
    const product = gemm.get(form.product) as number;
    if (form.kind === "contract")
      return { code: contractCalls(form.kernel, product, gemmOffset), range: null };
    const { code: copy } = emitKernel(form.plan.copy, library);
    const copyIndex = module.add({ params: copy.params, results: [] }, copy);
    return { code: convCalls(form.plan, product, copyIndex, convScratch), range: null };
  };
  const emitted = new Map<Kernel, { index: number; range: Range | null }>();
  for (const { kernel, args } of program.steps) {
    // buffers are passed by address; empty ones are never touched
    for (const id of args) {
      const slot = pointer.get(id);
      const { place, offset } = program.buffers[id] as ProgramBuffer;
      if (slot !== undefined) entry.get(0).memory(0x28, 2, slot * 4);
      else if (place === "scratch") entry.scratch(rowsOffset + offset);
      else {
        entry.get(0).memory(0x28, 2, arenaSlot * 4);
        if (offset > 0) entry.i32(offset).op(0x6a);
      }
    }
    let f = emitted.get(kernel);
    if (f === undefined) {
      const { code, range } = emit(forms.get(kernel) as Form);
      f = { index: module.add({ params: code.params, results: [] }, code), range };
      emitted.set(kernel, f);
    }
    if (f.range !== null) entry.i32(0).i32(f.range.extent);
    entry.call(f.index);
  }
  module.export("run", module.add({ params: ["i32"], results: [] }, entry));
  return { bytes: module.encode(), math, products: gemm };
}

/** A program as a module; `moduleBytes` is all that is needed to run it again elsewhere. */
export class WasmExecutable implements Executable {
  readonly program: Program;
  readonly moduleBytes: Uint8Array<ArrayBuffer>;
  readonly #run: (table: number) => void;
  /** program buffers that are allocated for each run */
  readonly #fresh: readonly number[];
  /** each result: position among the inputs, or among the fresh buffers */
  readonly #results: readonly { readonly input: boolean; readonly at: number }[];

  constructor(program: Program) {
    this.program = program;
    const { bytes, math, products } = emitProgram(program);
    this.moduleBytes = bytes;
    const imports: WebAssembly.Imports = {
      env: environment,
      math: Object.fromEntries(
        [...math].map((name) => [name, hostMath[name] as WebAssembly.ImportValue]),
      ),
    };
    if (products.size > 0)
      imports.gemm = Object.fromEntries([...products.keys()].map((d) => [d, productOf(d)]));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
    this.#run = instance.exports.run as (table: number) => void;
    this.#fresh = program.buffers.flatMap((b, i) => (b.place === "output" ? [i] : []));
    this.#results = program.outputs.map((id) => {
      const input = program.inputs.indexOf(id);
      return input >= 0
        ? { input: true, at: input }
        : { input: false, at: this.#fresh.indexOf(id) };
    });
    if (program.inputs.length + this.#fresh.length + 1 > tableEntries)
      fail(
        BackendError,
        "compile",
        `a program may have at most ${tableEntries} arguments and results`,
        String(program.inputs.length + this.#fresh.length),
        "split it",
      );
  }

  run(inputs: readonly Storage[], donated?: readonly boolean[]): Storage[] {
    const { program } = this;
    const n = inputs.length;
    const results = this.#results;
    const fresh = new Array<WasmStorage>(this.#fresh.length);
    let made = 0;
    try {
      this.#checkInputs(inputs);
      // the first address is read when nothing is allocated any more but to bring another argument back
      for (let i = 0; i < n; i++) heap.pin(inputs[i] as WasmStorage);
      for (; made < fresh.length; made++) {
        const { bytes } = program.buffers[this.#fresh[made] as number] as ProgramBuffer;
        const s = heap.create(wasmBackend, bytes);
        heap.pin(s);
        fresh[made] = s;
      }
      const arena = program.arenaBytes > 0 ? heap.arena(program.arenaBytes) : 0;
      for (let i = 0; i < n; i++) heap.address(inputs[i] as WasmStorage);
      const table = heap.i32;
      const base = tableAddress >> 2;
      for (let i = 0; i < n; i++) table[base + i] = (inputs[i] as WasmStorage).holding.address;
      for (let i = 0; i < made; i++)
        table[base + n + i] = (fresh[i] as WasmStorage).holding.address;
      table[base + n + made] = arena;
      this.#run(tableAddress);
    } catch (error) {
      for (let i = 0; i < made; i++) heap.free(fresh[i] as WasmStorage);
      throw error;
    } finally {
      heap.endRun();
    }
    const out = new Array<Storage>(results.length);
    for (let i = 0; i < out.length; i++) {
      const { input, at } = results[i] as { input: boolean; at: number };
      out[i] = (input ? inputs[at] : fresh[at]) as Storage;
    }
    if (donated !== undefined)
      for (let i = 0; i < n; i++)
        if (donated[i] && !out.includes(inputs[i] as Storage)) heap.free(inputs[i] as WasmStorage);
    return out;
  }

  #checkInputs(inputs: readonly Storage[]): void {
    const { name, inputs: ids, buffers } = this.program;
    if (inputs.length !== ids.length)
      throw new Error(`program ${name}: takes ${ids.length} inputs, got ${inputs.length}`);
    for (let i = 0; i < inputs.length; i++) {
      const s = ours(name, inputs[i] as Storage);
      const { bytes } = buffers[ids[i] as number] as ProgramBuffer;
      if (s.bytes !== bytes)
        throw new Error(`program ${name}: input ${i} has ${s.bytes} bytes, not ${bytes}`);
    }
  }
}

function ours(op: string, s: Storage): WasmStorage {
  if (s instanceof WasmStorage) return s;
  return fail(
    BackendError,
    op,
    "storage must be the wasm backend's",
    `storage of backend ${s.backend.name}`,
    "copy it to the wasm backend first",
  );
}

/** The default backend: programs as WebAssembly, bytes in one memory for the process.
 *
 *  `budget` bytes stay in that memory before old arrays are moved out (default 256 MiB).
 *  @throws BackendError when storage is used after it was freed or donated, or belongs to another backend, or
 *  when the memory cannot hold it
 *  For example wasmBackend.readSync(wasmBackend.write(new Uint8Array([1, 2]))) gives Uint8Array [1, 2] */
export const wasmBackend: Backend & { budget: number } = {
  name: "wasm",
  compile: (program) => new WasmExecutable(program),
  write: (bytes) => heap.write(wasmBackend, bytes),
  readSync: (s) => heap.read(ours("read", s)),
  read: async (s) => heap.read(ours("read", s)),
  free: (s) => heap.free(ours("free", s)),
  // a storage lives as long as anything refers to it, which its owners do
  own: (s) => void ours("own", s),
  memory: () => ({ used: heap.used, peak: heap.peak }),
  get budget() {
    return heap.budget;
  },
  set budget(bytes: number) {
    heap.budget = bytes;
  },
};
