/** From a jaxpr to a program: units of fusion become kernels, values that leave them get buffers. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes } from "../dtype.ts";
import { type Atom, isLiteral, type Jaxpr, type Var } from "../ir/jaxpr.ts";
import { lit, load } from "../kernel/expr.ts";
import {
  bufferView,
  collapse,
  type KernelBuffer,
  type LoopKernel,
  maxScratch,
} from "../kernel/kernel.ts";
import { entry } from "../maps.ts";
import type { Literal } from "../ndarray.ts";
import { stridesOf } from "../shape.ts";
import { fuse, type LoopUnit, type Unit } from "./fuse.ts";
import { inPlacePairs } from "./inplace.ts";
import {
  type ContractTemplate,
  Elements,
  Graph,
  restrided,
  viewOf,
  type WholeNode,
} from "./graph.ts";
import { mapNest } from "./nest.ts";
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

class ProgramBuilder {
  readonly #graph: Graph;
  readonly #specs: BufferSpec[] = [];
  readonly #steps: Step[] = [];
  /** the buffers of values in memory */
  readonly #places = new Map<Var, number>();
  readonly #spec = (id: number): BufferSpec => this.#specs[id] as BufferSpec;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  build(name: string, jaxpr: Jaxpr): Built {
    const inputs = [...jaxpr.constVars, ...jaxpr.inVars].map((v) => {
      const id = this.#buffer(v.aval, "input");
      this.#places.set(v, id);
      return id;
    });
    const units = fuse(this.#graph);
    const stored = this.#stored(units, jaxpr.outs);
    // a repeated node's value is stored by the first unit that computes it, if at all
    const stores = (v: Var): boolean => stored.has(v) && !this.#places.has(v);
    for (const unit of units) {
      const [n] = unit.nodes;
      if (n?.kind === "whole") this.#whole(n);
      else this.#loops(unit as LoopUnit, stores);
    }

    const outputs: number[] = [];
    const results = jaxpr.outs.map((a) => {
      if (isLiteral(a)) return a;
      const id = this.#materialize(a);
      const spec = this.#spec(id);
      if (spec.place === "temp") spec.place = "output";
      return outputs.push(id) - 1;
    });
    const plan = planMemory(this.#specs, this.#steps, outputs);
    return { results, program: { name, inputs, outputs, steps: this.#steps, ...plan } };
  }

  #add(dtype: DType, length: number, place: BufferSpec["place"]): number {
    return this.#specs.push({ dtype, length, place }) - 1;
  }
  #buffer(aval: Aval, place: BufferSpec["place"]): number {
    return this.#add(aval.dtype, aval.size, place);
  }

  /** The buffer that holds the elements of a value; a virtual one is computed now. */
  #materialize(a: Atom): number {
    const root = this.#graph.root(a);
    // a reshaped literal has to be an array all the same
    const of = isLiteral(root) ? a : root;
    if (!isLiteral(of)) {
      const node = this.#graph.virtual(of);
      if (node !== undefined && !this.#places.has(of))
        this.#loops({ nodes: [node], pattern: null }, (v) => v === of);
      const place = this.#places.get(of);
      if (place !== undefined) return place;
    }
    const { dtype, size: length } = of.aval;
    const id = this.#buffer(of.aval, "temp");
    const value = lit((root as Literal).value, dtype);
    const body = mapNest([length], () => [{ buffer: 0, value }]);
    const buffers = [{ dtype, length, access: "write" }] as const;
    if (length > 0)
      this.#steps.push({ kernel: { kind: "loops", name: "constant", buffers, body }, args: [id] });
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

  #loops(unit: LoopUnit, stores: (v: Var) => boolean): void {
    const { key, numbers } = unitKey(this.#graph, unit, stores);
    const twin = entry(this.#kernels, key, () => this.#kernel(unit, numbers, stores));
    const variables = [...numbers.keys()];
    const args = twin.bindings.map((b): number => {
      if (b.kind === "room") return this.#add(b.dtype, b.length, b.place);
      const v = variables[b.variable] as Var;
      if (b.kind === "load") return this.#places.get(v) as number;
      const id = this.#buffer(v.aval, "temp");
      this.#places.set(v, id);
      return id;
    });
    if (twin.kernel.body.length > 0) this.#steps.push({ kernel: twin.kernel, args });
  }
  /** kernels of units by what they compute: the layers of a network share theirs */
  readonly #kernels = new Map<string, { kernel: LoopKernel; bindings: readonly Binding[] }>();

  #kernel(
    unit: LoopUnit,
    numbers: ReadonlyMap<Var, number>,
    stores: (v: Var) => boolean,
  ): { kernel: LoopKernel; bindings: readonly Binding[] } {
    const bindings: Binding[] = [];
    const buffers: KernelBuffer[] = [];
    const local = new Map<Var, number>();
    const bind = (b: Binding, buffer: KernelBuffer): number => {
      bindings.push(b);
      return buffers.push(buffer) - 1;
    };
    const use = (v: Var, kind: "load" | "store"): number => {
      const { dtype, size: length } = v.aval;
      const access = kind === "load" ? "read" : "write";
      return entry(local, v, () =>
        bind({ kind, variable: numbers.get(v) as number }, { dtype, length, access }),
      );
    };
    const room = (dtype: DType, length: number, place: "temp" | "scratch" = "scratch"): number =>
      bind({ kind: "room", dtype, length, place }, { dtype, length, access: "readwrite" });
    let scratch = 0;
    const { body, name } = unitKernel(this.#graph, unit, {
      load: (v, at) => load(use(v, "load"), at, v.aval.dtype),
      store: (v) => (stores(v) ? use(v, "store") : null),
      room: (dtype, length) => room(dtype, length),
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
        const buffer = ofRow ? room(dtype, rowLength) : room(dtype, rows * rowLength, "temp");
        return { buffer, ofRow };
      },
    });
    const inPlace = inPlacePairs(body, buffers);
    return { kernel: { kind: "loops", name, buffers, body, inPlace }, bindings };
  }

  // ---- kernels over whole operands ----

  #whole({ equation: e, lowering }: WholeNode): void {
    const { name } = e.primitive;
    if (lowering.kind === "routine") {
      const ins = e.inputs.map((a) => this.#materialize(a));
      const ids = e.outputs.map((v) => this.#buffer(v.aval, "temp"));
      const temps = (lowering.temps ?? []).map((t) =>
        this.#add(t.dtype, t.length, t.scratch === true ? "scratch" : "temp"),
      );
      const args: number[] = [];
      const buffers: KernelBuffer[] = [];
      const view = (access: KernelBuffer["access"]) => (id: number) => {
        const { dtype, length } = this.#spec(id);
        let at = args.indexOf(id);
        if (at < 0) {
          at = args.push(id) - 1;
          buffers.push({ dtype, length, access });
        }
        return bufferView(at, dtype, length);
      };
      const body = lowering.build(
        ins.map(view("read")),
        ids.map(view("readwrite")),
        temps.map(view("readwrite")),
      );
      this.#steps.push({ kernel: { kind: "loops", name, buffers, body }, args });
      e.outputs.forEach((v, j) => {
        this.#places.set(v, ids[j] as number);
      });
      return;
    }
    const out = e.outputs[0] as Var;
    let template = lowering;
    // a transposed or broadcast operand of a contraction is read where it lies, with other strides
    const operands = e.inputs.map((a, i) => {
      const view = template.kind === "contract" ? this.#view(a) : null;
      if (view === null || template.kind !== "contract") return this.#materialize(a);
      const side = i === 0 ? "lhs" : "rhs";
      const moved = withStrides(template, side, stridesOf(a.aval.shape), view.strides);
      template = moved ?? template;
      return this.#materialize(moved === null ? a : view.of);
    });
    const id = this.#buffer(out.aval, "temp");
    // one buffer may be both operands: positions count here
    const args = [...operands, id];
    const buffers = args.map((b, i): KernelBuffer => {
      const { dtype, length } = this.#spec(b);
      return { dtype, length, access: i === 2 ? "write" : "read" };
    }) as [KernelBuffer, KernelBuffer, KernelBuffer];
    this.#steps.push({ kernel: { ...template, name, buffers }, args });
    this.#places.set(out, id);
  }

  /** A virtual value whose elements lie in one buffer, and their strides there. */
  #view(a: Atom): ReturnType<typeof viewOf> {
    const root = this.#graph.root(a);
    return this.#graph.virtual(root) === undefined || this.#places.has(root as Var)
      ? null
      : viewOf(a.aval.shape, (index, leaf) => new Elements(this.#graph, leaf).at(a, index));
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
  const moved = restrided(template, side, from, to);
  const splits = (["m", "n", "k"] as const).some(
    (kind) => collapse(moved[kind]).length > Math.max(1, collapse(template[kind]).length),
  );
  return splits ? null : moved;
}

/** Compiles a jaxpr without calls to a program; arguments are its constants followed by its inputs. */
export const buildProgram = (name: string, jaxpr: Jaxpr): Built =>
  new ProgramBuilder(new Graph(jaxpr)).build(name, jaxpr);
