/** Interprets loop kernels. Each expression and statement becomes a closure, once per kernel. */
import {
  castNumber,
  type DType,
  dtypes,
  isInteger,
  type PackedArray,
  wrapInteger,
} from "../../dtype.ts";
import { type Expr, type KVar, operands } from "../../kernel/expr.ts";
import type { KernelBuffer, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { binaryOf, bitcastOf, castOf, compareOf, decoder, encoder, unaryOf } from "./scalar.ts";

/** Runs a kernel on packed arrays, one per kernel buffer. */
export type RunKernel = (buffers: readonly PackedArray[]) => void;

type Eval = () => number;
type Exec = () => void;

/** Compiles one kernel. Shared nodes are remembered for the length of one statement: `epoch` numbers the
 *  evaluations, and a remembered value counts only if it was made in the present one. What is inside an
 *  untaken side of `cond` is then neither evaluated nor remembered. */
class LoopCompiler {
  private readonly kernel: LoopKernel;
  private readonly slots = new Map<KVar, number>();
  private readonly openLoops = new Set<KVar>();
  private readonly locals: number[] = [];
  private buffers: readonly PackedArray[] = [];
  private epoch = 0;

  constructor(kernel: LoopKernel) {
    this.kernel = kernel;
  }

  compile(): RunKernel {
    const body = this.block(this.kernel.body);
    return (buffers) => {
      this.buffers = buffers;
      this.locals.fill(Number.NaN);
      body();
      this.buffers = [];
    };
  }

  private error(message: string): Error {
    return new Error(`kernel ${this.kernel.name}: ${message}`);
  }

  private expectDType(what: string, found: DType, wanted: DType): void {
    if (found !== wanted) throw this.error(`${what} must be ${wanted}, is ${found}`);
  }

  private buffer(number: number, use: "load" | "store", dtype: DType): KernelBuffer {
    const buffer = this.kernel.buffers[number];
    if (buffer === undefined) throw this.error(`${use} of unknown buffer ${number}`);
    this.expectDType(`${use} of buffer ${number}`, dtype, buffer.dtype);
    if (buffer.access === (use === "load" ? "write" : "read"))
      throw this.error(`${use} of buffer ${number}, whose access is ${buffer.access}`);
    return buffer;
  }

  // ---- statements ----

  private block(body: readonly Stmt[]): Exec {
    const list = body.map((s) => this.stmt(s));
    if (list.length === 1) return list[0] as Exec;
    return () => {
      for (const exec of list) exec();
    };
  }

  private stmt(s: Stmt): Exec {
    switch (s.kind) {
      case "for": {
        const { locals } = this;
        this.expectDType(`loop variable ${s.v.name}`, s.v.dtype, "int32");
        const from = this.root(s.from, "int32");
        const to = this.root(s.to, "int32");
        if (this.openLoops.has(s.v)) throw this.error(`loop variable ${s.v.name} is in use`);
        const slot = this.slot(s.v);
        this.openLoops.add(s.v);
        const body = this.block(s.body);
        this.openLoops.delete(s.v);
        // the index has no value after its loop
        this.slots.delete(s.v);
        return () => {
          const start = from();
          const end = to();
          for (let i = start; i < end; i++) {
            locals[slot] = i;
            body();
          }
        };
      }
      case "while": {
        const test = this.root(s.test, "bool");
        const body = this.block(s.body);
        return () => {
          while (test() !== 0) body();
        };
      }
      case "if": {
        const test = this.root(s.test, "bool");
        const yes = this.block(s.yes);
        const no = this.block(s.no);
        return () => (test() !== 0 ? yes() : no());
      }
      case "set": {
        const { locals } = this;
        const value = this.root(s.value, s.v.dtype);
        if (this.openLoops.has(s.v)) throw this.error(`assigns loop variable ${s.v.name}`);
        const slot = this.slot(s.v);
        return () => {
          locals[slot] = value();
        };
      }
      case "store": {
        const { length } = this.buffer(s.buffer, "store", s.value.dtype);
        const evaluate = this.roots([s.index, s.value], ["int32", s.value.dtype]);
        const [index, value] = evaluate as [Eval, Eval];
        const encode = encoder(s.value.dtype);
        return () => {
          this.epoch++;
          const i = index();
          const x = value();
          if (!(i >= 0 && i < length)) throw this.outOfRange("store", s.buffer, i, length);
          (this.buffers[s.buffer] as PackedArray)[i] = encode(x);
        };
      }
    }
  }

  private slot(v: KVar): number {
    let slot = this.slots.get(v);
    if (slot === undefined) {
      slot = this.locals.length;
      this.locals.push(Number.NaN);
      this.slots.set(v, slot);
    }
    return slot;
  }

  private outOfRange(use: string, buffer: number, index: number, length: number): Error {
    return this.error(`${use} of buffer ${buffer} at ${index}, outside its length ${length}`);
  }

  // ---- expressions ----

  /** An expression that is evaluated on its own. */
  private root(e: Expr, dtype: DType): Eval {
    const [evaluate] = this.roots([e], [dtype]) as [Eval];
    return () => {
      this.epoch++;
      return evaluate();
    };
  }

  /** Expressions of one statement, which share their nodes. */
  private roots(list: readonly Expr[], dtypesOf: readonly DType[]): Eval[] {
    const uses = new Map<Expr, number>();
    const count = (e: Expr): void => {
      const n = uses.get(e) ?? 0;
      uses.set(e, n + 1);
      if (n === 0) for (const x of operands(e)) count(x);
    };
    for (const e of list) count(e);

    const built = new Map<Expr, Eval>();
    const build = (e: Expr): Eval => {
      let f = built.get(e);
      if (f === undefined) {
        f = this.node(e, build);
        if ((uses.get(e) ?? 0) > 1 && e.kind !== "var" && e.kind !== "lit") f = this.remember(f);
        built.set(e, f);
      }
      return f;
    };
    return list.map((e, i) => {
      this.expectDType("expression", e.dtype, dtypesOf[i] as DType);
      return build(e);
    });
  }

  private remember(f: Eval): Eval {
    let value = Number.NaN;
    let made = -1;
    return () => {
      if (made !== this.epoch) {
        // f starts no evaluation of its own, so the epoch stays
        value = f();
        made = this.epoch;
      }
      return value;
    };
  }

  private node(e: Expr, build: (e: Expr) => Eval): Eval {
    switch (e.kind) {
      case "var": {
        const { locals } = this;
        const slot = this.slots.get(e);
        if (slot === undefined) throw this.error(`${e.name} is read before it is set`);
        return () => locals[slot] as number;
      }
      case "lit": {
        const d = e.dtype;
        const value = isInteger(d) ? wrapInteger(e.value, d) : castNumber(e.value, d);
        return () => value;
      }
      case "load": {
        const { length } = this.buffer(e.buffer, "load", e.dtype);
        this.expectDType(`index of buffer ${e.buffer}`, e.index.dtype, "int32");
        const index = build(e.index);
        const decode = decoder(e.dtype);
        return () => {
          const i = index();
          if (!(i >= 0 && i < length)) throw this.outOfRange("load", e.buffer, i, length);
          return decode((this.buffers[e.buffer] as PackedArray)[i] as number);
        };
      }
      case "unary": {
        const f = unaryOf(e.op, e.x.dtype);
        const x = build(e.x);
        return () => f(x());
      }
      case "binary": {
        this.expectDType(`right operand of ${e.op}`, e.y.dtype, e.x.dtype);
        const f = binaryOf(e.op, e.x.dtype);
        const x = build(e.x);
        const y = build(e.y);
        return () => f(x(), y());
      }
      case "compare": {
        this.expectDType(`right operand of ${e.op}`, e.y.dtype, e.x.dtype);
        const f = compareOf(e.op);
        const x = build(e.x);
        const y = build(e.y);
        return () => f(x(), y());
      }
      case "select": {
        const { test, yes, no } = this.branches(e, build);
        return () => {
          const a = yes();
          const b = no();
          return test() !== 0 ? a : b;
        };
      }
      case "cond": {
        const { test, yes, no } = this.branches(e, build);
        return () => (test() !== 0 ? yes() : no());
      }
      case "cast": {
        const f = castOf(e.x.dtype, e.dtype);
        const x = build(e.x);
        return () => f(x());
      }
      case "bitcast": {
        if (dtypes[e.x.dtype].bytes !== dtypes[e.dtype].bytes)
          throw this.error(`bitcast from ${e.x.dtype} to ${e.dtype} changes width`);
        const f = bitcastOf(e.x.dtype, e.dtype);
        const x = build(e.x);
        return () => f(x());
      }
    }
  }

  private branches(
    e: Expr & { kind: "select" | "cond" },
    build: (e: Expr) => Eval,
  ): { test: Eval; yes: Eval; no: Eval } {
    this.expectDType(`test of ${e.kind}`, e.test.dtype, "bool");
    this.expectDType(`yes of ${e.kind}`, e.yes.dtype, e.dtype);
    this.expectDType(`no of ${e.kind}`, e.no.dtype, e.dtype);
    return { test: build(e.test), yes: build(e.yes), no: build(e.no) };
  }
}

export function interpretLoops(kernel: LoopKernel): RunKernel {
  return new LoopCompiler(kernel).compile();
}
