/** The equations of a jaxpr as fusion sees them: what each computes at a point, and where it reads the others.
 *
 *  A lowering is a function from indices to expressions. Evaluating it once at symbolic indices shows its cost and, for
 *  each value that it reads, which element it takes: the one at its own position (`same`), the one of its
 *  row (a pattern), or any other. */
import { type Atom, type Equation, isLiteral, type Jaxpr, type Var } from "../ir/jaxpr.ts";
import { isElementary } from "../kernel/elementary.ts";
import { eachNode, type Expr, int, KVar, lit, load } from "../kernel/expr.ts";
import type { ContractDim, Lowering, MapLowering, Read, ReduceLowering } from "../kernel/kernel.ts";
import { entry } from "../maps.ts";
import { ruleOf } from "../primitive.ts";
import { type Shape, shapesEqual, sizeOf, stridesOf } from "../shape.ts";
import {
  type Access,
  accessOf,
  axisIndex,
  direct,
  patternOf,
  positionIn,
  reindex,
} from "./access.ts";
import { affine, AffineForms } from "./affine.ts";

/** A node of elementwise work or of a reduction. */
export interface LoopNode {
  readonly kind: "map" | "reduce";
  readonly id: number;
  readonly equation: Equation;
  readonly lowering: MapLowering | ReduceLowering;
  /** axes over which it is computed, and which of them it reduces; a map none */
  readonly shape: Shape;
  readonly reduced: readonly boolean[];
  /** elements of `shape` */
  readonly points: number;
  /** for a reduction, axis of `shape` of each of its output's axes and of each of its extents; −1 for axes of one element */
  readonly outerAxes: readonly number[];
  readonly innerAxes: readonly number[];
  /** for a reduction, its pattern; null where its loops cannot be shared with other nodes */
  readonly pattern: string | null;
  readonly reads: ReadonlyMap<Var, Access>;
  /** at which positions */
  readonly places: ReadonlyMap<Var, ReadonlySet<string>>;
  /** weight of its arithmetic */
  readonly cost: number;
  /** computed anew by each reader */
  virtual: boolean;
  /** most virtual nodes on a way through it */
  readonly depth: number;
}
/** The elements of its operand under another shape. */
export interface AliasNode {
  readonly kind: "alias";
  readonly id: number;
  readonly equation: Equation;
}
/** A node whose operands must lie in memory. */
export interface WholeNode {
  readonly kind: "whole";
  readonly id: number;
  readonly equation: Equation;
  readonly lowering: Exclude<Lowering, MapLowering | ReduceLowering | { kind: "alias" }>;
  readonly reads: ReadonlyMap<Var, Access>;
}
export type Node = LoopNode | AliasNode | WholeNode;
export type ContractTemplate = Extract<WholeNode["lowering"], { kind: "contract" }>;

/** A contraction of which one buffer lies with the strides `to` along the axes that have the strides `from`. */
export function restrided(
  template: ContractTemplate,
  side: "lhs" | "rhs" | "out",
  from: readonly number[],
  to: readonly number[],
): ContractTemplate {
  const move = (dims: readonly ContractDim[]): ContractDim[] =>
    dims.map((d) => {
      const axis = d.size === 1 ? -1 : from.indexOf(d[side]);
      return axis < 0 ? d : { ...d, [side]: to[axis] as number };
    });
  const { batch, m, n, k } = template;
  return { ...template, batch: move(batch), m: move(m), n: move(n), k: move(k) };
}

/** Weight of the arithmetic of some expressions whose loads are all at `origin`. */
function weigh(roots: readonly Expr[]): number {
  const seen = new Set<Expr>();
  let sum = 0;
  for (const root of roots)
    eachNode(root, seen, (e) => {
      if (e.kind === "load" || e.kind === "var" || e.kind === "lit") return;
      sum += "op" in e ? (weights[e.op] ?? (isElementary(e.op) ? 12 : 1)) : 1;
    });
  return sum;
}
const weights: { readonly [op: string]: number } = {
  pow: 24,
  hostPow: 24,
  atan2: 24,
  div: 3,
  rem: 3,
};

/** Most virtual nodes that one expression may go through: evaluation recurses. */
const maxDepth = 32;
/** Work worth repeating for each reader of a value that depends on nothing but its index. */
const freeWork = 8;

/** an index where it does not matter */
const origin = int(0);

const sameIndex = (a: Expr, b: Expr): boolean =>
  a === b || (a.kind === "lit" && b.kind === "lit" && a.value === b.value);

/** The element of a value in memory at an index, which may belong to another shape of as many elements. */
export type Leaf = (v: Var, index: readonly Expr[], shape: Shape) => Expr;

/** Elements of values at indices. Virtual values are computed; `leaf` gives those of others. */
export class Elements {
  readonly #graph: Graph;
  readonly #leaf: Leaf;
  readonly #memo = new Map<LoopNode, { index: readonly Expr[]; values: readonly Expr[] }[]>();

  constructor(graph: Graph, leaf: Leaf) {
    this.#graph = graph;
    this.#leaf = leaf;
  }

  at(a: Atom, index: readonly Expr[]): Expr {
    const root = this.#graph.root(a);
    if (isLiteral(root)) return lit(root.value, root.aval.dtype);
    const node = this.#graph.virtual(root);
    const { shape } = a.aval;
    if (node === undefined) return this.#leaf(root, index, shape);
    const own = root === a ? index : reindex(root.aval.shape, shape, index);
    return this.map(node, own)[0] as Expr;
  }
  /** The results of a map at an index over its shape. */
  map(node: LoopNode, index: readonly Expr[]): readonly Expr[] {
    const known = entry(this.#memo, node, () => []);
    for (const k of known)
      if (k.index.every((e, i) => sameIndex(e, index[i] as Expr))) return k.values;
    const values = (node.lowering as MapLowering).at(index, this.reader(node.equation));
    values.forEach((value, j) => {
      const want = (node.equation.outputs[j] as Var).aval.dtype;
      if (value.dtype !== want)
        throw new Error(
          `${node.equation.primitive.name}: its lowering gives ${value.dtype} for a result of ${want}`,
        );
    });
    known.push({ index, values });
    return values;
  }
  /** What the lowering of an equation reads through. */
  reader =
    (e: Equation): Read =>
    (i, index) =>
      this.at(e.inputs[i] as Atom, index);
}

/** The value of which `at` gives an element as it is, and the strides along the axes of `shape` with which that lies; null where `at` does
 *  more than to copy, or not with strides. */
export function viewOf(
  shape: Shape,
  at: (index: readonly Expr[], leaf: Leaf) => Expr,
): { readonly of: Var; readonly strides: readonly number[] } | null {
  const index = axisIndex(shape, "i");
  const found: { of: Var; position: Expr }[] = [];
  const value = at(index, (of, to, own) => {
    const position = positionIn(to, own);
    found.push({ of, position });
    return load(0, position, of.aval.dtype);
  });
  const [only] = found;
  if (only === undefined || found.length > 1 || value.kind !== "load") return null;
  const form = affine(only.position);
  if (form === null || form.constant !== 0) return null;
  return { of: only.of, strides: index.map((e) => form.terms.get(e as KVar) ?? 0) };
}

type Survey = Pick<LoopNode, "cost" | "reads" | "places">;

/** The nodes of a jaxpr, in order. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly results: ReadonlySet<Atom>;
  readonly #definitions = new Map<Atom, Node>();
  /** readers of each variable, by equation */
  readonly #readers = new Map<Var, Equation[]>();
  readonly #lowerings = new Map<Equation, Lowering>();
  readonly #leaves = new Map<Var, ReadonlySet<Var>>();
  readonly #forms = new AffineForms();

  constructor({ equations, outs }: Jaxpr) {
    this.results = new Set(outs);
    for (const e of equations) {
      for (const a of new Set(e.inputs)) {
        if (isLiteral(a)) continue;
        entry(this.#readers, a, () => []).push(e);
      }
      this.#lowerings.set(
        e,
        ruleOf(e.primitive, "lower")(
          e.inputs.map((a) => a.aval),
          e.outputs.map((v) => v.aval),
          e.params,
        ),
      );
    }
    const absorbed = new Set<Equation>();
    for (const original of equations) {
      if (absorbed.has(original)) continue;
      let e = original;
      let lowering = this.#lowerings.get(e) as Lowering;
      if (lowering.kind === "contract") {
        const moved = this.#transposedProduct(e, lowering);
        if (moved !== null) {
          absorbed.add(moved.reader);
          e = { ...e, outputs: moved.reader.outputs };
          lowering = moved.lowering;
        }
      }
      const node = this.#node(e, lowering);
      this.nodes.push(node);
      for (const v of e.outputs) this.#definitions.set(v, node);
    }
  }

  /** A contraction that only a transposition reads writes its result transposed. */
  #transposedProduct(
    e: Equation,
    lowering: ContractTemplate,
  ): { reader: Equation; lowering: ContractTemplate } | null {
    const out = e.outputs[0] as Var;
    const [reader, ...others] = this.#readers.get(out) ?? [];
    if (reader === undefined || others.length > 0 || this.results.has(out)) return null;
    const moves = this.#lowerings.get(reader);
    if (moves?.kind !== "map" || reader.inputs.length !== 1 || reader.outputs.length !== 1)
      return null;
    const to = (reader.outputs[0] as Var).aval;
    const { shape, size } = out.aval;
    const view = viewOf(
      to.shape,
      (index, leaf) => moves.at(index, (_, at) => leaf(out, at, shape))[0] as Expr,
    );
    if (view === null || to.size !== size) return null;
    const { strides } = view;
    const isMoved = (stride: number, k: number): boolean =>
      shape[k] === 1 || shape[k] === to.shape[strides.indexOf(stride)];
    return stridesOf(shape).every(isMoved)
      ? { reader, lowering: restrided(lowering, "out", strides, stridesOf(to.shape)) }
      : null;
  }

  /** What computes a value; nothing where that is an argument or a number. */
  definition(a: Atom): Node | undefined {
    return this.#definitions.get(a);
  }
  /** The node of a value that each reader computes; it has no other result. */
  virtual(a: Atom): LoopNode | undefined {
    const node = this.#definitions.get(a);
    return node !== undefined && "virtual" in node && node.virtual ? node : undefined;
  }
  /** What holds the elements of `a`: itself, unless it is an alias. */
  root(a: Atom): Atom {
    for (let at = a; ; ) {
      const node = this.#definitions.get(at);
      if (node?.kind !== "alias") return at;
      at = node.equation.inputs[0] as Atom;
    }
  }
  /** Values in memory that an atom is made from. */
  leaves(a: Atom): ReadonlySet<Var> {
    const root = this.root(a);
    if (isLiteral(root)) return new Set();
    const node = this.virtual(root);
    if (node === undefined) return new Set([root]);
    return entry(
      this.#leaves,
      root,
      () => new Set(node.equation.inputs.flatMap((x) => [...this.leaves(x)])),
    );
  }
  /** Makes values virtual that were not; what is known of leaves is forgotten. */
  melt(nodes: readonly LoopNode[]): void {
    for (const n of nodes) n.virtual = true;
    this.#leaves.clear();
  }

  #node(equation: Equation, lowering: Lowering): Node {
    const id = this.nodes.length;
    switch (lowering.kind) {
      case "alias":
        return { kind: "alias", id, equation };
      case "map":
        return this.#map(id, equation, lowering);
      case "reduce":
        return this.#reduce(id, equation, lowering);
      default:
        return { kind: "whole", id, equation, lowering, reads: this.#all(equation) };
    }
  }

  /** Evaluates at symbolic indices, recording what is read. */
  #survey(
    index: readonly Expr[],
    shape: Shape,
    evaluate: (elements: Elements) => readonly Expr[],
  ): Survey {
    const reads = new Map<Var, Access>();
    const places = new Map<Var, Set<string>>();
    const elements = new Elements(this, (v, at, own) => {
      let access: Access = "same";
      let place: string = access;
      if (at !== index || !shapesEqual(own, shape)) {
        const position = positionIn(at, own);
        access = accessOf(position, v.aval.size, index, shape, this.#forms);
        place = access === "other" ? this.#forms.key(this.#forms.of(position)) : access;
      }
      reads.set(v, (reads.get(v) ?? access) === access ? access : "other");
      entry(places, v, () => new Set()).add(place);
      return load(0, origin, v.aval.dtype);
    });
    return { cost: weigh(evaluate(elements)), reads, places };
  }

  #depth(e: Equation): number {
    let depth = 0;
    for (const a of e.inputs) {
      const node = this.virtual(this.root(a));
      if (node !== undefined) depth = Math.max(depth, node.depth + 1);
    }
    return depth;
  }

  #map(id: number, equation: Equation, lowering: MapLowering): LoopNode {
    const out = equation.outputs[0] as Var;
    const { shape } = out.aval;
    const index = axisIndex(shape, "i");
    const survey = this.#survey(index, shape, (elements) =>
      lowering.at(index, elements.reader(equation)),
    );
    const depth = this.#depth(equation);
    const virtual =
      survey.cost <= (survey.reads.size === 0 ? freeWork : 0) &&
      depth < maxDepth &&
      equation.outputs.length === 1 &&
      !this.results.has(out) &&
      this.#aliasesAreDirect(out);
    return {
      kind: "map",
      id,
      equation,
      lowering,
      shape,
      reduced: [],
      points: out.aval.size,
      outerAxes: [],
      innerAxes: [],
      pattern: null,
      ...survey,
      virtual,
      depth,
    };
  }
  /** True when `v` is read under other shapes only where that takes no divisions. */
  #aliasesAreDirect(v: Var): boolean {
    return (this.#readers.get(v) ?? []).every((e) => {
      if (this.#lowerings.get(e)?.kind !== "alias") return true;
      const to = e.outputs[0] as Var;
      return (
        direct(v.aval.shape, to.aval.shape) && !this.results.has(to) && this.#aliasesAreDirect(to)
      );
    });
  }

  #reduce(id: number, equation: Equation, lowering: ReduceLowering): LoopNode {
    const out = equation.outputs[0] as Var;
    const outer = axisIndex(out.aval.shape, "i");
    const inner = axisIndex(lowering.extents, "r");
    // the operand that is read at every point of the loops shows how the axes lie
    let shape: Shape = [...out.aval.shape, ...lowering.extents];
    let index: readonly Expr[] = [...outer, ...inner];
    const extents = new Map(index.map((e, k) => [e, shape[k] as number]));
    const full = sizeOf(shape);
    const vars = index.filter((e) => e.kind === "var");
    let simple = false;
    const accs = lowering.init(outer).map((e, j) => new KVar(e.dtype, `acc${j}`));
    const run = (elements: Elements): readonly Expr[] => {
      const read = elements.reader(equation);
      return lowering.step(accs, outer, inner, (i, at) => {
        const a = equation.inputs[i] as Atom;
        const found = at.filter((e) => e.kind === "var");
        if (
          !simple &&
          found.length === vars.length &&
          at.every((e, k) => (extents.get(e) ?? 1) === a.aval.shape[k]) &&
          vars.every((v) => at.includes(v))
        ) {
          simple = true;
          shape = a.aval.shape;
          index = at;
        }
        return read(i, at);
      });
    };
    if (full > 0) run(new Elements(this, (v) => load(0, origin, v.aval.dtype)));
    const survey: Survey =
      full > 0
        ? this.#survey(index, shape, run)
        : { cost: 0, reads: this.#all(equation), places: new Map() };
    const axis = (e: Expr): number => (e.kind === "var" ? index.indexOf(e) : -1);
    const reduced = index.map((e) => inner.includes(e) && e.kind === "var");
    const pattern = patternOf(shape, (k) => reduced[k]);
    return {
      kind: "reduce",
      id,
      equation,
      lowering,
      shape,
      reduced,
      points: full,
      outerAxes: outer.map(axis),
      innerAxes: inner.map(axis),
      pattern: simple && pattern.includes("r") ? pattern : null,
      ...survey,
      virtual: false,
      depth: 0,
    };
  }
  #all(e: Equation): ReadonlyMap<Var, Access> {
    const reads = new Map<Var, Access>();
    for (const a of e.inputs) for (const v of this.leaves(a)) reads.set(v, "other");
    return reads;
  }
}
