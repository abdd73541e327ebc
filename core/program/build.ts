/** From a jaxpr to a program: equations become kernels, elementwise producers melt into their readers, buffers
 *  get their places. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes } from "../dtype.ts";
import { type Atom, type Equation, isLiteral, type Jaxpr, type Var } from "../ir/jaxpr.ts";
import { div, type Expr, int, linearIndex, lit, load, rem } from "../kernel/expr.ts";
import {
  bufferView,
  type Kernel,
  type KernelBuffer,
  type Lowering,
  type LoopKernel,
  type Read,
} from "../kernel/kernel.ts";
import type { Literal } from "../ndarray.ts";
import { ruleOf } from "../primitive.ts";
import { type Shape, sizeOf, stridesOf } from "../shape.ts";
import { mapNest, reduceNest } from "./nest.ts";
import { planMemory } from "./plan.ts";
import type { Program, ProgramBuffer, Step } from "./types.ts";

/** A program and what each result of the jaxpr is: a literal, or a position in `program.outputs`. */
export interface Built {
  readonly program: Program;
  readonly results: readonly (Literal | number)[];
}

/** Arithmetic nodes that one kernel may take over from its producers before they get a kernel of their own. */
const maxInlined = 96;

/** Where the elements of a value come from. */
type Source =
  | { readonly kind: "literal"; readonly value: Literal }
  | { readonly kind: "buffer"; readonly id: number }
  | {
      readonly kind: "virtual";
      /** the element at a multi-index, loads going through the kernel under construction */
      readonly at: (index: readonly Expr[], kernel: KernelScope) => Expr;
      /** arithmetic nodes inside */
      readonly cost: number;
      readonly name: string;
    };

/** The kernel under construction: its buffers, and what it has already read. */
class KernelScope {
  readonly args: number[] = [];
  readonly buffers: KernelBuffer[] = [];
  readonly #local = new Map<number, number>();
  readonly #memo = new Map<object, { index: readonly Expr[]; value: readonly Expr[] }[]>();
  readonly #program: ProgramBuilder;

  constructor(program: ProgramBuilder) {
    this.#program = program;
  }
  /** kernel position of a program buffer that is read */
  input(id: number): number {
    let at = this.#local.get(id);
    if (at === undefined) {
      at = this.add(id, "read");
      this.#local.set(id, at);
    }
    return at;
  }
  add(id: number, access: KernelBuffer["access"]): number {
    const { dtype, length } = this.#program.spec(id);
    this.args.push(id);
    this.buffers.push({ dtype, length, access });
    return this.args.length - 1;
  }
  /** `compute()` once for each key and index, so that shared producers are shared nodes */
  once(key: object, index: readonly Expr[], compute: () => readonly Expr[]): readonly Expr[] {
    let entries = this.#memo.get(key);
    if (entries === undefined) {
      entries = [];
      this.#memo.set(key, entries);
    }
    for (const e of entries)
      if (e.index.every((x, i) => sameIndex(x, index[i] as Expr))) return e.value;
    const value = compute();
    entries.push({ index, value });
    return value;
  }
}
const sameIndex = (a: Expr, b: Expr): boolean =>
  a === b || (a.kind === "lit" && b.kind === "lit" && a.value === b.value);

/** Multi-index into `from` of the element that has index `index` in `to` (same elements, row-major).
 *  Null where that would take divisions. */
function reindex(from: Shape, to: Shape, index: readonly Expr[], divide: boolean): Expr[] | null {
  const out: Expr[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    // the smallest group of axes with equal products on both sides
    const fromStart = i;
    const toStart = j;
    let p = i < from.length ? (from[i++] as number) : 1;
    let q = j < to.length ? (to[j++] as number) : 1;
    while (p !== q) {
      if (p < q && i < from.length) p *= from[i++] as number;
      else if (j < to.length) q *= to[j++] as number;
      else p *= from[i++] as number;
    }
    const group = from.slice(fromStart, i);
    const position = linearIndex(index.slice(toStart, j), stridesOf(to.slice(toStart, j)));
    const wide = group.filter((s) => s !== 1).length;
    if (wide > 1 && !divide) return null;
    const strides = stridesOf(group);
    let first = true;
    group.forEach((size, k) => {
      if (size === 1) out.push(int(0));
      else if (wide === 1) out.push(position);
      else {
        const q = div(position, int(strides[k] as number));
        out.push(first ? q : rem(q, int(size)));
        first = false;
      }
    });
  }
  return out;
}

interface Spec {
  readonly dtype: DType;
  readonly length: number;
  place: ProgramBuffer["place"];
}

class ProgramBuilder {
  readonly #specs: Spec[] = [];
  readonly #steps: Step[] = [];
  readonly #sources = new Map<Var, Source>();
  readonly #readers = new Map<Var, Set<number>>();
  readonly #results = new Set<Atom>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }
  spec(id: number): Spec {
    return this.#specs[id] as Spec;
  }
  #buffer(aval: Aval, place: ProgramBuffer["place"]): number {
    this.#specs.push({ dtype: aval.dtype, length: aval.size, place });
    return this.#specs.length - 1;
  }
  #source(a: Atom): Source {
    return isLiteral(a) ? { kind: "literal", value: a } : (this.#sources.get(a) as Source);
  }

  /** Element of a value at a multi-index over `shape`. */
  #read(source: Source, aval: Aval, index: readonly Expr[], scope: KernelScope): Expr {
    switch (source.kind) {
      case "literal":
        return lit(source.value.value, aval.dtype);
      case "buffer":
        return scope.once(source, index, () => [
          load(scope.input(source.id), linearIndex(index, stridesOf(aval.shape)), aval.dtype),
        ])[0] as Expr;
      case "virtual":
        return scope.once(source, index, () => [source.at(index, scope)])[0] as Expr;
    }
  }

  /** The buffer that holds a value; one that was virtual is computed here. */
  #materialize(a: Atom): number {
    const source = this.#source(a);
    if (source.kind === "buffer") return source.id;
    const scope = new KernelScope(this);
    const id = this.#buffer(a.aval, "temp");
    this.#mapKernel(
      source.kind === "virtual" ? source.name : "constant",
      a.aval,
      scope,
      (index) => [{ id, value: this.#read(source, a.aval, index, scope) }],
    );
    if (!isLiteral(a)) this.#sources.set(a, { kind: "buffer", id });
    return id;
  }

  #mapKernel(
    name: string,
    aval: Aval,
    scope: KernelScope,
    at: (index: readonly Expr[]) => readonly { id: number; value: Expr }[],
  ): void {
    const outputs = new Map<number, number>();
    const body = mapNest(aval.shape, (index) =>
      at(index).map(({ id, value }) => {
        let buffer = outputs.get(id);
        if (buffer === undefined) {
          buffer = scope.add(id, "write");
          outputs.set(id, buffer);
        }
        return { buffer, value };
      }),
    );
    this.#emit({ kind: "loops", name, buffers: scope.buffers, body }, scope.args);
  }

  #emit(kernel: Kernel, args: readonly number[]): void {
    this.#steps.push({ kernel, args });
  }

  build(jaxpr: Jaxpr): Built {
    const { equations, outs } = jaxpr;
    const inputs = [...jaxpr.constVars, ...jaxpr.inVars].map((v) => {
      const id = this.#buffer(v.aval, "input");
      this.#sources.set(v, { kind: "buffer", id });
      return id;
    });
    for (const a of outs) this.#results.add(a);
    const lowered = equations.map((e, i) => {
      for (const a of e.inputs) {
        if (isLiteral(a)) continue;
        const readers = this.#readers.get(a);
        if (readers === undefined) this.#readers.set(a, new Set([i]));
        else readers.add(i);
      }
      return ruleOf(e.primitive, "lower")(
        e.inputs.map((a) => a.aval),
        e.outputs.map((v) => v.aval),
        e.params,
      );
    });
    equations.forEach((e, i) => {
      this.#lower(e, lowered[i] as Lowering, (reader) => ({
        equation: equations[reader] as Equation,
        lowering: lowered[reader] as Lowering,
      }));
    });

    const outputs: number[] = [];
    const results = outs.map((a) => {
      if (isLiteral(a)) return a;
      const id = this.#materialize(a);
      const spec = this.spec(id);
      if (spec.place === "temp") spec.place = "output";
      outputs.push(id);
      return outputs.length - 1;
    });
    return { results, program: this.#finish(inputs, outputs) };
  }

  #finish(inputs: readonly number[], outputs: readonly number[]): Program {
    const sized = this.#specs.map((s) => ({ ...s, bytes: s.length * dtypes[s.dtype].bytes }));
    const { offsets, arenaBytes } = planMemory(sized, this.#steps);
    return {
      name: this.#name,
      buffers: sized.map((s, i) => ({ ...s, offset: offsets[i] as number })),
      inputs,
      outputs,
      steps: this.#steps,
      arenaBytes,
    };
  }

  /** True when the readers of `v` may compute it themselves. */
  #melts(
    v: Var,
    cost: number,
    reader: (i: number) => { equation: Equation; lowering: Lowering },
  ): boolean {
    if (this.#results.has(v)) return false;
    const readers = [...(this.#readers.get(v) ?? [])].map(reader);
    const fusible = readers.every(
      ({ lowering: { kind } }) => kind === "map" || kind === "reduce" || kind === "alias",
    );
    if (!fusible) return false;
    if (cost === 0) return true;
    const only = readers[0];
    if (cost > maxInlined || readers.length !== 1 || only === undefined) return false;
    const out = sizeOf((only.equation.outputs[0] as Var).aval.shape);
    const { lowering } = only;
    // the reader must not compute an element more often than it is stored now (twice, where it only moves data)
    if (lowering.kind === "reduce") return out * sizeOf(lowering.extents) <= v.aval.size;
    return out <= v.aval.size * (lowering.kind === "map" && lowering.moves === true ? 2 : 1);
  }

  #lower(
    e: Equation,
    lowering: Lowering,
    reader: (i: number) => { equation: Equation; lowering: Lowering },
  ): void {
    const avals = e.inputs.map((a) => a.aval);
    const name = e.primitive.name;
    const out = e.outputs[0] as Var;
    switch (lowering.kind) {
      case "alias": {
        const input = e.inputs[0] as Atom;
        const from = avals[0] as Aval;
        const source = this.#source(input);
        if (source.kind === "literal") {
          this.#sources.set(out, {
            kind: "virtual",
            cost: 0,
            name,
            at: () => lit(source.value.value, from.dtype),
          });
          return;
        }
        const direct =
          source.kind === "virtual" &&
          reindex(
            from.shape,
            out.aval.shape,
            out.aval.shape.map(() => int(0)),
            false,
          ) !== null;
        if (source.kind === "virtual" && direct && this.#melts(out, source.cost, reader)) {
          this.#sources.set(out, {
            kind: "virtual",
            cost: source.cost,
            name: source.name,
            at: (index, scope) =>
              this.#read(
                source,
                from,
                reindex(from.shape, out.aval.shape, index, true) as Expr[],
                scope,
              ),
          });
          return;
        }
        this.#sources.set(out, { kind: "buffer", id: this.#materialize(input) });
        return;
      }
      case "map": {
        const sources = e.inputs.map((a) => this.#source(a));
        const inherited = sources.reduce((n, s) => n + (s.kind === "virtual" ? s.cost : 0), 0);
        const cost = inherited + (lowering.moves === true ? 0 : 1);
        const at = (index: readonly Expr[], scope: KernelScope): readonly Expr[] =>
          scope.once(e, index, () => {
            const read: Read = (i, at) =>
              this.#read(sources[i] as Source, avals[i] as Aval, at, scope);
            const values = lowering.at(index, read);
            values.forEach((value, j) => {
              const want = (e.outputs[j] as Var).aval.dtype;
              if (value.dtype !== want)
                throw new Error(
                  `${name}: its lowering gives ${value.dtype} for a result of ${want}`,
                );
            });
            return values;
          });
        if (e.outputs.length === 1 && this.#melts(out, cost, reader)) {
          this.#sources.set(out, {
            kind: "virtual",
            cost,
            name,
            at: (index, scope) => at(index, scope)[0] as Expr,
          });
          return;
        }
        const scope = new KernelScope(this);
        const ids = e.outputs.map((v) => this.#buffer(v.aval, "temp"));
        this.#mapKernel(name, out.aval, scope, (index) =>
          at(index, scope).map((value, j) => ({ id: ids[j] as number, value })),
        );
        this.#place(e, ids);
        return;
      }
      case "reduce": {
        const scope = new KernelScope(this);
        const ids = e.outputs.map((v) => this.#buffer(v.aval, "temp"));
        const outs = ids.map((id) => scope.add(id, "write"));
        const sources = e.inputs.map((a) => this.#source(a));
        const read: Read = (i, at) => this.#read(sources[i] as Source, avals[i] as Aval, at, scope);
        const finish = lowering.finish?.bind(lowering) ?? ((acc: readonly Expr[]) => acc);
        const body = reduceNest(
          out.aval.shape,
          lowering.extents,
          {
            init: (index) => lowering.init(index),
            step: (acc, index, r) => lowering.step(acc, index, r, read),
            finish,
          },
          outs,
        );
        this.#emit({ kind: "loops", name, buffers: scope.buffers, body }, scope.args);
        this.#place(e, ids);
        return;
      }
      case "routine": {
        const ins = e.inputs.map((a) => this.#materialize(a));
        const ids = e.outputs.map((v) => this.#buffer(v.aval, "temp"));
        const temps = (lowering.temps ?? []).map(({ dtype, length }) => {
          this.#specs.push({ dtype, length, place: "temp" });
          return this.#specs.length - 1;
        });
        const scope = new KernelScope(this);
        const view = (access: KernelBuffer["access"]) => (id: number) => {
          const { dtype, length } = this.spec(id);
          return bufferView(scope.add(id, access), dtype, length);
        };
        const body = lowering.build(
          ins.map(view("read")),
          ids.map(view("readwrite")),
          temps.map(view("readwrite")),
        );
        const kernel: LoopKernel = { kind: "loops", name, buffers: scope.buffers, body };
        this.#emit(kernel, scope.args);
        this.#place(e, ids);
        return;
      }
      case "contract":
      case "conv": {
        const scope = new KernelScope(this);
        const [lhs, rhs] = e.inputs.map((a) => this.#materialize(a)) as [number, number];
        const id = this.#buffer(out.aval, "temp");
        scope.add(lhs, "read");
        scope.add(rhs, "read");
        scope.add(id, "write");
        const buffers = scope.buffers as [KernelBuffer, KernelBuffer, KernelBuffer];
        this.#emit({ ...lowering, name, buffers }, scope.args);
        this.#place(e, [id]);
        return;
      }
    }
  }

  #place(e: Equation, ids: readonly number[]): void {
    e.outputs.forEach((v, j) => {
      this.#sources.set(v, { kind: "buffer", id: ids[j] as number });
    });
  }
}

/** Compiles a jaxpr without calls to a program; arguments are its constants followed by its inputs. */
export const buildProgram = (name: string, jaxpr: Jaxpr): Built =>
  new ProgramBuilder(name).build(jaxpr);
