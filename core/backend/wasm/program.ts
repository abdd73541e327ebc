/** A program as a WebAssembly module: a function for each kernel, and the entry that calls them in turn. */
import { isFloat } from "../../dtype.ts";
import { expandElementary } from "../../kernel/elementary.ts";
import { type Expr, eachNode } from "../../kernel/expr.ts";
import type { Kernel, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import type { Program, ProgramBuffer } from "../../program/types.ts";
import { convCalls } from "./conv/calls.ts";
import { convLoops } from "./conv/loops.ts";
import { type ConvPlan, planConv, pointwise } from "./conv/plan.ts";
import { emitKernel } from "./emit.ts";
import { Code, Module } from "./encoder.ts";
import type { KernelFunction, Range } from "./function.ts";
import { importListedProduct, importProduct, type ProductName } from "./gemm.ts";
import { scratchRows } from "./layout.ts";
import { hostMath, Library } from "./library.ts";
import { functionKey, rangeOf } from "./same.ts";
import { addSchedule, partParams } from "./schedule.ts";
import { type ContractPlan, contractCalls, contractLoops, planContract } from "./templates.ts";
import { leastShared, partsOf, workOf, worthWaking } from "./work.ts";

/** Host functions that a kernel calls. */
function intrinsicsOf(kernel: LoopKernel, into: Set<string>): void {
  const seen = new Set<Expr>();
  const called = (e: Expr): void => {
    if (e.kind === "unary" && Object.hasOwn(hostMath, e.op)) into.add(e.op);
    if (e.kind === "binary") {
      if (e.op === "hostPow") into.add(e.op);
      if (e.op === "rem" && isFloat(e.dtype)) into.add("fmod");
    }
  };
  const visit = (e: Expr): void => eachNode(e, seen, called);
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
  | { readonly kind: "contract"; readonly plan: ContractPlan }
  | { readonly kind: "conv"; readonly plan: ConvPlan };

function formOf(kernel: Kernel): Form {
  switch (kernel.kind) {
    case "loops":
      return { kind: "loops", loops: expandElementary(kernel) };
    case "contract": {
      const plan = planContract(kernel);
      return plan === null
        ? { kind: "loops", loops: contractLoops(kernel) }
        : { kind: "contract", plan };
    }
    case "conv": {
      const plain = pointwise(kernel);
      if (plain !== null) return formOf(plain);
      const plan = planConv(kernel);
      return plan === null ? { kind: "loops", loops: convLoops(kernel) } : { kind: "conv", plan };
    }
  }
}

interface EmittedKernel {
  readonly index: number;
  readonly range: Range | null;
  /** nanoseconds, where threads share it */
  readonly work: number | null;
}

export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** what the module imports */
  readonly math: ReadonlySet<string>;
  readonly products: ReadonlySet<ProductName>;
  /** has kernels that threads share */
  readonly parallel: boolean;
}

/** Where a program's kernels find their buffers: in the table, or in the arena that the table's last entry names. */
class Bindings {
  readonly #program: Program;
  readonly #slots = new Map<number, number>();
  constructor(program: Program) {
    this.#program = program;
    [
      ...program.inputs,
      ...program.buffers.flatMap((b, i) => (b.place === "output" ? [i] : [])),
    ].forEach((id, slot) => {
      this.#slots.set(id, slot);
    });
  }
  /** Pushes the addresses of buffers, given the local that holds the table's; empty ones are never touched. */
  push(code: Code, table: number, args: readonly number[]): void {
    for (const id of args) {
      const { place, offset, home = id } = this.#program.buffers[id] as ProgramBuffer;
      const slot = this.#slots.get(home);
      if (place === "scratch") code.scratch(scratchRows + offset);
      else {
        code.get(table).memory(0x28, 2, (slot ?? this.#slots.size) * 4);
        if (slot === undefined && offset > 0) code.i32(offset).op(0x6a);
      }
    }
  }
}

/** `shared` says that the memory is, so that kernels may be run by several threads; `ticks`, that the entry calls the import
 *  `profile.tick` with each step's number before the step, and with the number of steps at the end. */
export function emitProgram(program: Program, shared: boolean, ticks = false): Emitted {
  const module = new Module();
  const tick = ticks ? module.import("profile", "tick", 1) : -1;
  const library = new Library(module);
  // equal kernels become one function
  const keys = new Map<Kernel, string>();
  const forms = new Map<string, Form>();
  for (const { kernel } of program.steps) {
    if (keys.has(kernel)) continue;
    const key = functionKey(kernel);
    keys.set(kernel, key);
    if (!forms.has(key)) forms.set(key, formOf(kernel));
  }
  const products = new Set<ProductName>();
  for (const form of forms.values())
    if (form.kind !== "loops") {
      const { product } = form.plan;
      products.add(product);
      if (form.kind === "conv") importListedProduct(module, product);
      else importProduct(module, product);
    }
  const math = new Set<string>();
  for (const form of forms.values()) if (form.kind === "loops") intrinsicsOf(form.loops, math);
  for (const name of math) library.math(name);

  const emit = (form: Form): KernelFunction => {
    if (form.kind === "loops") return emitKernel(form.loops, library);
    if (form.kind === "contract")
      return contractCalls(form.plan, importProduct(module, form.plan.product));
    const product = importListedProduct(module, form.plan.product);
    if (form.plan.copy === null) return convCalls(form.plan, product, null);
    const { code: copy } = emitKernel(form.plan.copy, library);
    const copyIndex = module.add(copy);
    return convCalls(form.plan, product, copyIndex);
  };
  const bindings = new Bindings(program);
  const made = new Map<string, Omit<EmittedKernel, "work">>();
  for (const [key, form] of forms) {
    const { code, range } = emit(form);
    made.set(key, { index: module.add(code), range });
  }
  const functions = new Map<Kernel, EmittedKernel>();
  for (const [kernel, key] of keys) {
    const f = made.get(key) as Omit<EmittedKernel, "work">;
    const range = f.range && { ...f.range, extent: rangeOf(kernel) ?? f.range.extent };
    const work = shared && range !== null ? workOf(kernel) : 0;
    const worth = range !== null && range.extent > range.align && work >= leastShared;
    functions.set(kernel, { index: f.index, range, work: worth ? work : null });
  }

  // the steps that threads share have numbers
  const part = new Code(partParams);
  let jobs = 0;
  const jobOf = program.steps.map(({ kernel, args }) => {
    const f = functions.get(kernel) as EmittedKernel;
    if (f.work === null) return null;
    part.get(0).i32(jobs).op(0x46);
    part.if(null, () => {
      bindings.push(part, 1, args);
      part.get(2, 3).call(f.index);
    });
    return jobs++;
  });
  const share = jobs === 0 ? -1 : addSchedule(module, module.add(part));

  // from each step on, what there is to share
  let rest = 0;
  const ahead = program.steps
    .map(({ kernel }) => functions.get(kernel)?.work ?? 0)
    .reduceRight<number[]>((sums, work) => {
      rest += work;
      sums.unshift(rest);
      return sums;
    }, []);

  const entry = new Code(1);
  program.steps.forEach(({ kernel, args }, i) => {
    const { index, range, work } = functions.get(kernel) as EmittedKernel;
    const job = jobOf[i] as number | null;
    if (ticks) entry.i32(i).call(tick);
    if (job !== null && range !== null && work !== null) {
      const { extent, align } = range;
      const { grain, perThread } = partsOf(kernel, work / extent);
      const wake = (ahead[i] as number) >= worthWaking ? 1 : 0;
      entry.i32(job).get(0).i32(extent).i32(align).i32(grain).i32(perThread).i32(wake).call(share);
      return;
    }
    bindings.push(entry, 0, args);
    if (range !== null) entry.i32(0).i32(range.extent);
    entry.call(index);
  });
  if (ticks) entry.i32(program.steps.length).call(tick);
  module.export("run", module.add(entry));
  const bytes = module.encode(shared);
  return { bytes, math, products, parallel: jobs > 0 };
}
