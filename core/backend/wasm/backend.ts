/** The WebAssembly backend: each program is one module with one entry. */
import type { Kernel, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { type Expr, operands } from "../../kernel/expr.ts";
import type { Program } from "../../program/types.ts";
import { isFloat } from "../../dtype.ts";
import { BackendError, fail } from "../../errors.ts";
import type { Backend, Executable, Storage } from "../backend.ts";
import { emitKernel } from "./emit.ts";
import { Code, Module } from "./encoder.ts";
import { gemmModule, gemmScratch, gemmSignature } from "./gemm.ts";
import { Heap, WasmStorage } from "./heap.ts";
import { hostMath, Library } from "./library.ts";
import { contractCalls, contractLoops, convLoops } from "./templates.ts";

/** Pointers that a run passes in memory; larger programs pass them in a block of their own. */
const tableEntries = 16384;
const tableAddress = 64;
const scratchAddress = tableAddress + tableEntries * 4;
const defaultBudget = 256 * 2 ** 20;

const heap = new Heap(scratchAddress + gemmScratch + 64, defaultBudget);

let gemm: WebAssembly.ExportValue | null = null;
function gemmFunction(): WebAssembly.ExportValue {
  gemm ??= new WebAssembly.Instance(new WebAssembly.Module(gemmModule()), {
    env: { memory: heap.memory },
  }).exports.gemm as WebAssembly.ExportValue;
  return gemm;
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

/** The bytes of a program's module, and what they import. */
function emitProgram(program: Program): { bytes: Uint8Array<ArrayBuffer>; math: Set<string>; gemm: boolean } {
  const module = new Module();
  const library = new Library(module);
  const steps = program.steps.map(({ kernel, args }) => {
    const product = kernel.kind === "contract" ? contractCalls(kernel, 0, scratchAddress) : null;
    const loops = product === null ? asLoops(kernel) : null;
    return { kernel, args, product: product !== null, loops };
  });
  const usesGemm = steps.some((s) => s.product);
  const gemmIndex = usesGemm ? module.import("gemm", "gemm", gemmSignature) : -1;
  const math = new Set<string>();
  for (const s of steps) if (s.loops !== null) intrinsicsOf(s.loops, math);
  for (const name of math) library.math(name);

  const entry = new Code(["i32"]);
  const pointer = new Map<number, number>();
  [...program.inputs, ...program.buffers.flatMap((b, i) => (b.place === "output" ? [i] : []))].forEach((id, slot) => {
    pointer.set(id, slot);
  });
  const arenaSlot = pointer.size;
  const emitted = new Map<object, number>();
  for (const { kernel, args, loops } of steps) {
    // buffers are passed by address; empty ones are never touched
    for (const id of args) {
      const slot = pointer.get(id);
      if (slot !== undefined) entry.get(0).memory(0x28, 2, slot * 4);
      else {
        entry.get(0).memory(0x28, 2, arenaSlot * 4);
        const { offset } = program.buffers[id] as Program["buffers"][number];
        if (offset > 0) entry.i32(offset).op(0x6a);
      }
    }
    let f = emitted.get(kernel);
    if (f === undefined) {
      const code =
        loops !== null
          ? emitKernel(loops, library)
          : (contractCalls(kernel as Kernel & { kind: "contract" }, gemmIndex, scratchAddress) as Code);
      f = module.add({ params: code.params, results: [] }, code);
      emitted.set(kernel, f);
    }
    entry.call(f);
  }
  module.export("run", module.add({ params: ["i32"], results: [] }, entry));
  return { bytes: module.encode(), math, gemm: usesGemm };
}
function asLoops(kernel: Kernel): LoopKernel {
  switch (kernel.kind) {
    case "loops":
      return kernel;
    case "contract":
      return contractLoops(kernel);
    case "conv":
      return convLoops(kernel);
  }
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
    const { bytes, math, gemm: needsGemm } = emitProgram(program);
    this.moduleBytes = bytes;
    const imports: WebAssembly.Imports = {
      env: { memory: heap.memory },
      math: Object.fromEntries([...math].map((name) => [name, hostMath[name] as WebAssembly.ImportValue])),
    };
    if (needsGemm) imports.gemm = { gemm: gemmFunction() };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
    this.#run = instance.exports.run as (table: number) => void;
    this.#fresh = program.buffers.flatMap((b, i) => (b.place === "output" ? [i] : []));
    this.#results = program.outputs.map((id) => {
      const input = program.inputs.indexOf(id);
      return input >= 0 ? { input: true, at: input } : { input: false, at: this.#fresh.indexOf(id) };
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
    const fresh = new Array<WasmStorage>(this.#fresh.length);
    const keep = (s: WasmStorage): boolean => inputs.includes(s) || fresh.includes(s);
    for (let i = 0; i < n; i++) {
      const s = inputs[i] as Storage;
      if (!(s instanceof WasmStorage))
        fail(BackendError, "run", "arguments must live on the wasm backend", s.backend.name, "transfer them first");
    }
    try {
      for (let i = 0; i < fresh.length; i++)
        fresh[i] = heap.create(wasmBackend, (program.buffers[this.#fresh[i] as number] as Program["buffers"][number]).bytes, keep);
      const arena = program.arenaBytes > 0 ? heap.arena(program.arenaBytes, keep) : 0;
      // allocation may have evicted; nothing allocates once the first address has been read, except to bring an
      // argument back, which keeps all the others
      for (let i = 0; i < n; i++) heap.address(inputs[i] as WasmStorage, keep);
      const table = heap.i32;
      const base = tableAddress >> 2;
      for (let i = 0; i < n; i++) table[base + i] = (inputs[i] as WasmStorage).address;
      for (let i = 0; i < fresh.length; i++) table[base + n + i] = (fresh[i] as WasmStorage).address;
      table[base + n + fresh.length] = arena;
      this.#run(tableAddress);
    } catch (error) {
      for (const f of fresh) if (f !== undefined) heap.release(f);
      throw error;
    }
    if (donated !== undefined)
      for (let i = 0; i < n; i++)
        if (donated[i] && !this.#results.some((r) => r.input && r.at === i))
          heap.release(inputs[i] as WasmStorage);
    const out = new Array<Storage>(this.#results.length);
    for (let i = 0; i < out.length; i++) {
      const r = this.#results[i] as { input: boolean; at: number };
      out[i] = (r.input ? inputs[r.at] : fresh[r.at]) as Storage;
    }
    return out;
  }
}

/** The default backend. `budget` bytes stay in WebAssembly's memory before old arrays are moved out. */
export const wasmBackend: Backend & { budget: number } = {
  name: "wasm",
  compile: (program) => new WasmExecutable(program),
  write(bytes) {
    const s = heap.create(wasmBackend, bytes.byteLength);
    heap.u8.set(bytes, s.address);
    return s;
  },
  readSync: (s) => heap.read(s as WasmStorage),
  read: (s) => Promise.resolve(heap.read(s as WasmStorage)),
  free: (s) => heap.release(s as WasmStorage),
  own: (s, owner) => heap.own(s as WasmStorage, owner),
  memory: () => ({ used: heap.used, peak: heap.peak }),
  get budget() {
    return heap.budget;
  },
  set budget(bytes: number) {
    heap.budget = bytes;
  },
};
