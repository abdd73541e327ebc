/** From a jaxpr to a program: units of fusion become kernels, values that leave them get buffers. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes } from "../dtype.ts";
import { type Atom, isLiteral, type Jaxpr, type Var } from "../ir/jaxpr.ts";
import { type Expr, load } from "../kernel/expr.ts";
import {
  bufferView,
  type ContractDim,
  type Kernel,
  type KernelBuffer,
  maxScratch,
} from "../kernel/kernel.ts";
import type { Literal } from "../ndarray.ts";
import { stridesOf } from "../shape.ts";
import { affine } from "./affine.ts";
import { fuse, type LoopUnit, type Unit } from "./fuse.ts";
import { axisIndex, positionIn } from "./access.ts";
import { inPlacePairs } from "./inplace.ts";
import { type ContractTemplate, Elements, Graph, type Leaf, type WholeNode } from "./graph.ts";
import { type Assignment, axesOf, sectionNest } from "./nest.ts";
import { type BufferSpec, planMemory } from "./plan.ts";
import type { Program, Step } from "./types.ts";
import { unitKernel, unitKey } from "./unit.ts";

/** A program and what each result of the jaxpr is: a literal, or a position in `program.outputs`. */
export interface Built {
  readonly program: Program;
  readonly results: readonly (Literal | number)[];
}

/** What a kernel's buffer is: a value, by its number in the unit's key, or room for one. */
type Binding =
  | { readonly kind: "load" | "store"; readonly variable: number }
  | {
      readonly kind: "room";
      readonly dtype: DType;
      readonly length: number;
      readonly place: "temp" | "scratch";
    };

/** The kernel under construction. */
class KernelScope {
  readonly args: number[] = [];
  readonly buffers: KernelBuffer[] = [];
  readonly #local = new Map<number, number>();
  readonly #spec: (id: number) => BufferSpec;
  constructor(spec: (id: number) => BufferSpec) {
    this.#spec = spec;
  }
  /** kernel position of a program buffer */
  use(id: number, access: KernelBuffer["access"]): number {
    let at = this.#local.get(id);
    const { dtype, length } = this.#spec(id);
    if (at === undefined) {
      at = this.args.push(id) - 1;
      this.#local.set(id, at);
      this.buffers.push({ dtype, length, access });
    } else if ((this.buffers[at] as KernelBuffer).access !== access)
      this.buffers[at] = { dtype, length, access: "readwrite" };
    return at;
  }
}

class ProgramBuilder {
  readonly #name: string;
  readonly #graph: Graph;
  readonly #specs: BufferSpec[] = [];
  readonly #steps: Step[] = [];
  /** the buffers of values in memory */
  readonly #places = new Map<Var, number>();
  readonly #spec = (id: number): BufferSpec => this.#specs[id] as BufferSpec;

  constructor(name: string, graph: Graph) {
    this.#name = name;
    this.#graph = graph;
  }

  build(jaxpr: Jaxpr): Built {
    const inputs = [...jaxpr.constVars, ...jaxpr.inVars].map((v) => {
      const id = this.#buffer(v.aval, "input");
      this.#places.set(v, id);
      return id;
    });
    const units = fuse(this.#graph);
    const stored = this.#stored(units, jaxpr.outs);
    for (const unit of units) {
      const [n] = unit.nodes;
      if (n?.kind === "whole") this.#whole(n);
      else this.#loops(unit as LoopUnit, stored);
    }

    const outputs: number[] = [];
    const results = jaxpr.outs.map((a) => {
      if (isLiteral(a)) return a;
      const root = this.#graph.root(a);
      // a reshaped literal has to be an array all the same
      const id = this.#materialize(isLiteral(root) ? a : root);
      const spec = this.#spec(id);
      if (spec.place === "temp") spec.place = "output";
      return outputs.push(id) - 1;
    });
    const plan = planMemory(this.#specs, this.#steps, outputs);
    return { results, program: { name: this.#name, inputs, outputs, steps: this.#steps, ...plan } };
  }

  #add(dtype: DType, length: number, place: BufferSpec["place"]): number {
    return this.#specs.push({ dtype, length, place }) - 1;
  }
  #buffer(aval: Aval, place: BufferSpec["place"]): number {
    return this.#add(aval.dtype, aval.size, place);
  }
  #scope(): KernelScope {
    return new KernelScope(this.#spec);
  }
  #emit(kernel: Kernel, args: readonly number[]): void {
    this.#steps.push({ kernel, args });
  }

  /** Elements of values that lie in memory, as loads of the kernel under construction. */
  #loads(scope: KernelScope): Leaf {
    return (v, index, shape) =>
      load(
        scope.use(this.#places.get(v) as number, "read"),
        positionIn(index, shape),
        v.aval.dtype,
      );
  }

  /** The buffer that holds the elements of a value; a virtual one is computed now. */
  #materialize(a: Atom): number {
    const root = this.#graph.root(a);
    if (!isLiteral(root)) {
      const place = this.#places.get(root);
      if (place !== undefined) return place;
    }
    const of = isLiteral(root) ? a : root;
    const { aval } = of;
    const id = this.#buffer(aval, "temp");
    if (aval.size > 0) {
      const scope = this.#scope();
      const elements = new Elements(this.#graph, this.#loads(scope));
      const index = axisIndex(aval.shape, "i");
      const value = elements.at(of, index);
      const store: Assignment = {
        kind: "store",
        buffer: scope.use(id, "write"),
        index: positionIn(index, aval.shape),
        value,
      };
      const body = sectionNest(axesOf(index, aval.shape), [], [{ loop: false, assign: [store] }]);
      const definition = isLiteral(of) ? undefined : this.#graph.definition(of);
      const name = definition === undefined ? "constant" : definition.equation.primitive.name;
      this.#emit({ kind: "loops", name, buffers: scope.buffers, body }, scope.args);
    }
    if (!isLiteral(of)) this.#places.set(of, id);
    return id;
  }

  /** Values that must lie in memory: results, operands of whole nodes, and what units read of each other. */
  #stored(units: readonly Unit[], outs: readonly Atom[]): ReadonlySet<Var> {
    const stored = new Set<Var>();
    const need = (a: Atom, { nodes }: Pick<Unit, "nodes">): void => {
      for (const v of this.#graph.leaves(a))
        if (!nodes.includes(this.#graph.definition(v) as WholeNode)) stored.add(v);
    };
    for (const a of outs) need(a, { nodes: [] });
    for (const unit of units)
      for (const n of unit.nodes) for (const v of n.reads.keys()) need(v, unit);
    return stored;
  }

  // ---- kernels of loops ----

  #loops(unit: LoopUnit, stored: ReadonlySet<Var>): void {
    // a repeated node's value is stored by the first unit that computes it, if at all
    const stores = (v: Var): boolean => stored.has(v) && !this.#places.has(v);
    const { key, variables } = unitKey(this.#graph, unit, stores);
    let twin = this.#kernels.get(key);
    if (twin === undefined) {
      twin = this.#kernel(unit, new Map(variables.map((v, i) => [v, i])), stores);
      this.#kernels.set(key, twin);
    }
    const args = twin.bindings.map((b): number => {
      if (b.kind === "room") return this.#add(b.dtype, b.length, b.place);
      const v = variables[b.variable] as Var;
      if (b.kind === "load") return this.#places.get(v) as number;
      const id = this.#buffer(v.aval, "temp");
      this.#places.set(v, id);
      return id;
    });
    this.#emit(twin.kernel, args);
  }
  /** kernels of units by what they compute: the layers of a network share theirs */
  readonly #kernels = new Map<string, { kernel: Kernel; bindings: readonly Binding[] }>();

  #kernel(
    unit: LoopUnit,
    numbers: ReadonlyMap<Var, number>,
    stores: (v: Var) => boolean,
  ): { kernel: Kernel; bindings: readonly Binding[] } {
    const bindings: Binding[] = [];
    const buffers: KernelBuffer[] = [];
    const local = new Map<Var, number>();
    const bind = (b: Binding, buffer: KernelBuffer): number => {
      bindings.push(b);
      return buffers.push(buffer) - 1;
    };
    const use = (v: Var, kind: "load" | "store"): number => {
      let at = local.get(v);
      if (at === undefined) {
        const { dtype, size: length } = v.aval;
        const access = kind === "load" ? "read" : "write";
        at = bind({ kind, variable: numbers.get(v) as number }, { dtype, length, access });
        local.set(v, at);
      }
      return at;
    };
    let scratch = 0;
    const { body, name } = unitKernel(this.#graph, unit, {
      load: (v, at) => load(use(v, "load"), at, v.aval.dtype),
      store: (v) => (stores(v) ? use(v, "store") : null),
      room: (dtype, length) =>
        bind(
          { kind: "room", dtype, length, place: "scratch" },
          { dtype, length, access: "readwrite" },
        ),
      keep: (v, rows, rowLength) => {
        const own = local.get(v);
        if (own !== undefined) {
          buffers[own] = { ...(buffers[own] as KernelBuffer), access: "readwrite" };
          return { buffer: own, ofRow: false };
        }
        const { dtype } = v.aval;
        const bytes = rowLength * dtypes[dtype].bytes;
        const ofRow = scratch + bytes <= maxScratch;
        if (ofRow) scratch += Math.ceil(bytes / 16) * 16;
        const length = ofRow ? rowLength : rows * rowLength;
        const place = ofRow ? "scratch" : "temp";
        const buffer = bind(
          { kind: "room", dtype, length, place },
          { dtype, length, access: "readwrite" },
        );
        return { buffer, ofRow };
      },
    });
    const inPlace = inPlacePairs(body, buffers);
    return { kernel: { kind: "loops", name, buffers, body, inPlace }, bindings };
  }

  // ---- kernels over whole operands ----

  #whole({ equation: e, lowering }: WholeNode): void {
    const name = e.primitive.name;
    const scope = this.#scope();
    if (lowering.kind === "routine") {
      const ins = e.inputs.map((a) => this.#materialize(a));
      const ids = e.outputs.map((v) => this.#buffer(v.aval, "temp"));
      const temps = (lowering.temps ?? []).map((t) =>
        this.#add(t.dtype, t.length, t.scratch === true ? "scratch" : "temp"),
      );
      const view = (access: KernelBuffer["access"]) => (id: number) => {
        const { dtype, length } = this.#spec(id);
        return bufferView(scope.use(id, access), dtype, length);
      };
      const body = lowering.build(
        ins.map(view("read")),
        ids.map(view("readwrite")),
        temps.map(view("readwrite")),
      );
      this.#emit({ kind: "loops", name, buffers: scope.buffers, body }, scope.args);
      e.outputs.forEach((v, j) => {
        this.#places.set(v, ids[j] as number);
      });
      return;
    }
    const out = e.outputs[0] as Var;
    const [lhs, rhs] = e.inputs as [Atom, Atom];
    let template = lowering;
    let operands: [number, number];
    if (template.kind === "contract") {
      const viewed = this.#contractOperands(template, lhs, rhs);
      template = viewed.template;
      operands = viewed.operands;
    } else operands = [this.#materialize(lhs), this.#materialize(rhs)];
    const id = this.#buffer(out.aval, "temp");
    // one buffer may be both operands: positions count here
    const args = [...operands, id];
    const buffers = args.map((b, i): KernelBuffer => {
      const { dtype, length } = this.#spec(b);
      return { dtype, length, access: i === 2 ? "write" : "read" };
    }) as [KernelBuffer, KernelBuffer, KernelBuffer];
    this.#emit({ ...template, name, buffers }, args);
    this.#places.set(out, id);
  }

  /** Operands of a contraction; a transposed or broadcast one is read where it lies, with other strides. */
  #contractOperands(
    template: ContractTemplate,
    lhs: Atom,
    rhs: Atom,
  ): { template: ContractTemplate; operands: [number, number] } {
    let dims = template;
    const operands = (["lhs", "rhs"] as const).map((side) => {
      const a = side === "lhs" ? lhs : rhs;
      const view = this.#view(a);
      if (view !== null) {
        const moved = withStrides(dims, side, stridesOf(a.aval.shape), view.strides);
        if (moved !== null) {
          dims = moved;
          return this.#materialize(view.of);
        }
      }
      return this.#materialize(a);
    }) as [number, number];
    return { template: dims, operands };
  }
  /** A virtual value whose elements lie in one buffer, and their strides there. */
  #view(a: Atom): { of: Var; strides: readonly number[] } | null {
    const root = this.#graph.root(a);
    if (isLiteral(root) || this.#places.has(root) || this.#graph.virtual(root) === undefined)
      return null;
    const { shape } = a.aval;
    const index = axisIndex(shape, "i");
    const found: { v: Var; at: Expr }[] = [];
    const value = new Elements(this.#graph, (v, to, own) => {
      const at = positionIn(to, own);
      found.push({ v, at });
      return load(0, at, v.aval.dtype);
    }).at(a, index);
    const [only] = found;
    if (only === undefined || found.length !== 1 || value.kind !== "load") return null;
    const form = affine(only.at);
    if (form === null || form.constant !== 0) return null;
    return {
      of: only.v,
      strides: index.map((e) => (e.kind === "var" ? (form.terms.get(e) ?? 0) : 0)),
    };
  }
}

/** A contraction whose operand lies with other strides than row-major ones. Null where that splits a dimension that
 *  was one: a copy is cheaper than many thin products. */
function withStrides(
  template: ContractTemplate,
  side: "lhs" | "rhs",
  from: readonly number[],
  to: readonly number[],
): ContractTemplate | null {
  const move = (dims: readonly ContractDim[]): ContractDim[] =>
    dims.map((d) => {
      const axis = d.size === 1 ? -1 : from.indexOf(d[side]);
      return axis < 0 ? d : { ...d, [side]: to[axis] as number };
    });
  const merged = (dims: readonly ContractDim[]): number => {
    const wide = dims.filter((d) => d.size > 1);
    return wide.filter((d, i) => {
      const next = wide[i + 1];
      return (
        next === undefined ||
        d.lhs !== next.lhs * next.size ||
        d.rhs !== next.rhs * next.size ||
        d.out !== next.out * next.size
      );
    }).length;
  };
  for (const kind of ["m", "n", "k"] as const)
    if (merged(move(template[kind])) > Math.max(1, merged(template[kind]))) return null;
  return {
    ...template,
    batch: move(template.batch),
    m: move(template.m),
    n: move(template.n),
    k: move(template.k),
  };
}

/** Compiles a jaxpr without calls to a program; arguments are its constants followed by its inputs. */
export const buildProgram = (name: string, jaxpr: Jaxpr): Built =>
  new ProgramBuilder(name, new Graph(jaxpr)).build(jaxpr);
