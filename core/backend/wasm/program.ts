/** A program as a WebAssembly module: a function for each kernel, and the entry that calls them in turn. */
import { expandElementary } from "../../kernel/elementary.ts";
import { type Expr, eachNode, memoized } from "../../kernel/expr.ts";
import { eachStatement, type Kernel, type LoopKernel, roots } from "../../kernel/kernel.ts";
import { entry } from "../../maps.ts";
import type { Program, ProgramBuffer } from "../../program/types.ts";
import { convCalls } from "./conv/calls.ts";
import { convLoops } from "./conv/loops.ts";
import { planConv, pointwise } from "./conv/plan.ts";
import { emitKernel } from "./emit.ts";
import { isCall } from "./emit/per-lane.ts";
import { Code, Module } from "./encoder.ts";
import type { KernelFunction, Range } from "./function.ts";
import { importListedProduct, importProduct, type ProductName } from "./gemm.ts";
import { scratchRows } from "./layout.ts";
import { Library } from "./library.ts";
import { functionKey, rangeOf } from "./same.ts";
import { addSchedule, partParams } from "./schedule.ts";
import { contractCalls, contractLoops, planContract } from "./templates.ts";
import { leastShared, partsOf, workOf, worthWaking } from "./work.ts";

/** Imports the host functions that a kernel calls. */
function importMath(kernel: LoopKernel, library: Library): void {
  const seen = new Set<Expr>();
  eachStatement(kernel.body, (s) => {
    for (const root of roots(s))
      eachNode(root, seen, (e) => {
        if (isCall(e)) library.math(e.op);
      });
  });
}

/** The order of buffers in the table of a run: arguments, and what is allocated for results. */
export const inTable = ({ inputs, buffers }: Program): readonly number[] => [
  ...inputs,
  ...buffers.flatMap((b, i) => (b.place === "output" ? [i] : [])),
];

interface EmittedKernel {
  readonly index: number;
  readonly range: Range | null;
  /** nanoseconds, where threads share it */
  readonly work: number | null;
}

export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** what the module imports */
  readonly products: ReadonlySet<ProductName>;
  /** has kernels that threads share */
  readonly parallel: boolean;
}

/** `shared` says that the memory is, so that kernels may be run by several threads; `ticks`, that the entry calls the import
 *  `profile.tick` with each step's number before the step, and with the number of steps at the end. */
export function emitProgram(program: Program, shared: boolean, ticks = false): Emitted {
  const { steps, buffers } = program;
  const module = new Module();
  const tick = ticks ? module.import("profile", "tick", 1) : -1;
  const library = new Library(module);
  const products = new Set<ProductName>();

  /** Declares what a kernel's function imports, which must come before all functions; then gives the function. */
  const declare = (kernel: Kernel): (() => KernelFunction) => {
    const asLoops = (loops: LoopKernel): (() => KernelFunction) => {
      importMath(loops, library);
      return () => emitKernel(loops, library);
    };
    switch (kernel.kind) {
      case "loops":
        return asLoops(expandElementary(kernel));
      case "contract": {
        const plan = planContract(kernel);
        if (plan === null) return asLoops(contractLoops(kernel));
        products.add(plan.product);
        const gemm = importProduct(module, plan.product);
        return () => contractCalls(plan, gemm);
      }
      case "conv": {
        const plain = pointwise(kernel);
        if (plain !== null) return declare(plain);
        const plan = planConv(kernel);
        if (plan === null) return asLoops(convLoops(kernel));
        products.add(plan.product);
        const listed = importListedProduct(module, plan.product);
        return () => {
          const copy = plan.copy && module.add(emitKernel(plan.copy, library).code);
          return convCalls(plan, listed, copy);
        };
      }
    }
  };
  // equal kernels become one function
  const keyOf = memoized(functionKey);
  const declared = new Map<string, () => KernelFunction>();
  for (const { kernel } of steps) entry(declared, keyOf(kernel), () => declare(kernel));
  const made = new Map<string, Omit<EmittedKernel, "work">>();
  for (const [key, emit] of declared) {
    const { code, range } = emit();
    made.set(key, { index: module.add(code), range });
  }
  const functionOf = memoized((kernel: Kernel): EmittedKernel => {
    const f = made.get(keyOf(kernel)) as Omit<EmittedKernel, "work">;
    const range = f.range && { ...f.range, extent: rangeOf(kernel) ?? f.range.extent };
    const work = shared && range !== null && range.extent > range.align ? workOf(kernel) : 0;
    return { index: f.index, range, work: work >= leastShared ? work : null };
  });

  const table = inTable(program);
  const slots = new Map(table.map((id, slot) => [id, slot]));
  /** Pushes the addresses of buffers, given the local that holds the table's: they are in the table, or in the arena that its
   *  last entry names; empty ones are never touched. */
  const push = (code: Code, local: number, args: readonly number[]): void => {
    for (const id of args) {
      const { place, offset, home = id } = buffers[id] as ProgramBuffer;
      const slot = slots.get(home);
      if (place === "scratch") code.scratch(scratchRows + offset);
      else {
        code.get(local).memory(0x28, 2, (slot ?? table.length) * 4);
        if (slot === undefined && offset > 0) code.i32(offset).op(0x6a);
      }
    }
  };

  // the steps that threads share have numbers
  const part = new Code(partParams);
  const jobs = steps.filter((step) => functionOf(step.kernel).work !== null);
  jobs.forEach((step, job) => {
    part.get(0).i32(job).op(0x46);
    part.if(null, () => {
      push(part, 1, step.args);
      part.get(2, 3).call(functionOf(step.kernel).index);
    });
  });
  const share = jobs.length === 0 ? -1 : addSchedule(module, module.add(part));

  /** nanoseconds of what there is to share from a step on */
  let ahead = jobs.reduce((ns, step) => ns + (functionOf(step.kernel).work ?? 0), 0);
  let job = 0;
  const run = new Code(1);
  steps.forEach((step, i) => {
    const { index, range, work } = functionOf(step.kernel);
    if (ticks) run.i32(i).call(tick);
    if (range !== null && work !== null) {
      const { extent, align } = range;
      const { grain, perThread } = partsOf(step.kernel, work / extent);
      const wake = ahead >= worthWaking ? 1 : 0;
      ahead -= work;
      run.i32(job++).get(0);
      for (const n of [extent, align, grain, perThread, wake]) run.i32(n);
      run.call(share);
      return;
    }
    push(run, 0, step.args);
    if (range !== null) run.i32(0).i32(range.extent);
    run.call(index);
  });
  if (ticks) run.i32(steps.length).call(tick);
  module.export("run", module.add(run));
  return { bytes: module.encode(shared), products, parallel: jobs.length > 0 };
}
