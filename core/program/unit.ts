/** The kernel of a unit of fusion: one loop over its points or, with reductions, passes over each of its rows. */
import type { DType } from "../dtype.ts";
import { numberKey } from "../hash.ts";
import { type Atom, isLiteral, type Var } from "../ir/jaxpr.ts";
import { type Expr, int, KVar, load } from "../kernel/expr.ts";
import type { ReduceLowering, Stmt } from "../kernel/kernel.ts";
import { entry } from "../maps.ts";
import { paramsKey } from "../primitive.ts";
import { type Shape, sizeOf } from "../shape.ts";
import { isContiguous, type LoopUnit } from "./fuse.ts";
import { axisIndex, patternOf, positionIn, reindex } from "./access.ts";
import { Elements, type Graph, type LoopNode } from "./graph.ts";
import { pick } from "./pick.ts";
import { type Assignment, axesOf, type Section, sectionNest } from "./nest.ts";

/** Arithmetic that is repeated in a later pass over a row rather than kept. */
const repeatedWork = 8;
/** Elements, and arithmetic, of a reduction that is written out: the loop over its results is then the innermost. */
const fewElements = 16;
const writtenOutWork = 400;

/** A function dearer than this is a link of a chain. */
const dearWork = 12;
/** Points of a strip, and of a space that is worth cutting into strips. */
const strip = 2048;
const leastStripped = 1 << 14;

/** The node whose axes are the loops: a reduction, or the one with most axes. */
function leaderOf({ nodes }: Pick<LoopUnit, "nodes">): LoopNode {
  const reduction = nodes.find((n) => n.kind === "reduce");
  return reduction ?? nodes.reduce((best, n) => (rankOf(n) > rankOf(best) ? n : best));
}
/** Axes of more than one element. */
const rankOf = ({ shape }: LoopNode): number => shape.filter((s) => s > 1).length;

/** Memory of the kernel under construction; buffers are numbered as the kernel's. */
export interface UnitMemory {
  /** element of a value of another unit */
  load(v: Var, at: Expr): Expr;
  /** buffer to which a value is stored, or null where nobody else needs it */
  store(v: Var): number | null;
  /** a buffer of scratch memory */
  room(dtype: DType, length: number): number;
  /** a buffer for a value that later passes need again: of one row, or of all of them (its own, if it is stored) */
  keep(
    v: Var,
    rows: number,
    rowLength: number,
  ): { readonly buffer: number; readonly ofRow: boolean };
}

const once = (...assign: readonly Assignment[]): Section => ({ loop: false, assign });

/** The multi-indices of a box, in row-major order. */
const pointsOf = (extents: readonly number[]): readonly (readonly Expr[])[] =>
  extents.reduce<readonly (readonly Expr[])[]>(
    (points, n) =>
      points.flatMap((at) => Array.from({ length: n }, (_, i): readonly Expr[] => [...at, int(i)])),
    [[]],
  );

class UnitKernel {
  readonly #nodes: readonly LoopNode[];
  readonly #pattern: string | null;
  readonly #memory: UnitMemory;
  readonly #graph: Graph;
  readonly #inside = new Map<Var, LoopNode>();

  /** the space of the loops: its axes, those of the rows, and those along a row, which are reduced */
  readonly #shape: Shape;
  readonly #index: readonly Expr[];
  readonly #rowShape: Shape;
  readonly #rowIndex: readonly Expr[];
  readonly #innerShape: Shape;
  readonly #innerIndex: readonly Expr[];
  /** positions of the point and of the row */
  readonly #point: Expr;
  readonly #row: Expr;
  /** their number, if there is a pattern; else no number of points */
  readonly #rows: number;

  /** in strips: dear functions before a node */
  readonly #links = new Map<LoopNode, number>();
  readonly #indices = new Map<LoopNode, readonly Expr[]>();
  /** the pass in which a point's value can first be computed, and after how many passes a row's value is known */
  readonly #level = new Map<LoopNode, number>();
  readonly #rowValues = new Map<Var, KVar>();
  /** buffers of the values that leave the unit */
  readonly #stores = new Map<Var, number>();
  /** values of points that later passes load again */
  readonly #kept = new Map<Var, { buffer: number; at: Expr }>();
  #pass = 0;
  #elements: Elements;

  constructor(graph: Graph, unit: LoopUnit, memory: UnitMemory) {
    this.#graph = graph;
    this.#memory = memory;
    for (const n of unit.nodes) for (const v of n.equation.outputs) this.#inside.set(v, n);
    const space = unit.pattern === null ? this.#strips(unit) : null;
    const { shape, reduced } = space ?? leaderOf(unit);
    this.#nodes = unit.nodes;
    this.#pattern = space === null ? unit.pattern : patternOf(shape, (k) => reduced[k]);
    this.#shape = shape;
    this.#index = axisIndex(shape, "i");
    this.#rowShape = shape.filter((_, i) => !reduced[i]);
    this.#rowIndex = this.#index.filter((_, i) => !reduced[i]);
    this.#innerShape = shape.filter((_, i) => reduced[i]);
    this.#innerIndex = this.#index.filter((_, i) => reduced[i]);
    this.#point = positionIn(this.#index, shape);
    this.#row = positionIn(this.#rowIndex, this.#rowShape);
    this.#rows = this.#pattern === null ? -1 : sizeOf(this.#rowShape);
    this.#elements = this.#newElements();
  }
  /** A long chain of dear functions is taken in strips, one function after the other: the processor looks ahead by a few
   *  hundred instructions, too few to overlap the chains of several points. Null where there is none. */
  #strips({ nodes }: LoopUnit): { shape: Shape; reduced: readonly boolean[] } | null {
    const links = new Map<LoopNode, number>();
    let longest = 0;
    for (const n of nodes) {
      let before = 0;
      for (const v of n.reads.keys()) {
        const p = this.#inside.get(v);
        if (p !== undefined) before = Math.max(before, links.get(p) as number);
      }
      const own = before + (n.cost >= dearWork ? 1 : 0);
      links.set(n, own);
      longest = Math.max(longest, own);
    }
    const { shape, points } = leaderOf({ nodes });
    if (longest < 2 || points < leastStripped || nodes.some((n) => n.kind === "reduce"))
      return null;
    const last = shape.at(-1) ?? 1;
    let space: Shape | null = last >= strip / 4 && last <= 4 * strip ? shape : null;
    // a vector is cut up where it can be
    if (space === null && nodes.every((n) => rankOf(n) === 1))
      for (let k = strip; k >= strip / 4 && space === null; k--)
        if (points % k === 0) space = [points / k, k];
    if (space === null) return null;
    for (const [n, link] of links) this.#links.set(n, Math.max(0, link - 1));
    const rank = space.length;
    return { shape: space, reduced: space.map((_, k) => k === rank - 1) };
  }

  #isRow(n: LoopNode): boolean {
    return n.kind === "map" && n.points === this.#rows;
  }
  /** The index of a node's own axes at the point (or row) at hand. */
  #indexOf(n: LoopNode): readonly Expr[] {
    return entry(this.#indices, n, () => {
      const [shape, at] = this.#isRow(n)
        ? [this.#rowShape, this.#rowIndex]
        : [this.#shape, this.#index];
      return reindex(n.shape, shape, at);
    });
  }

  #newElements(): Elements {
    return new Elements(this.#graph, (v, index, shape) => {
      const row = this.#rowValues.get(v);
      if (row !== undefined) return row;
      const node = this.#inside.get(v);
      if (node === undefined || node.kind === "reduce")
        return this.#memory.load(v, positionIn(index, shape));
      const kept = this.#kept.get(v);
      if (kept !== undefined && this.#pass > (this.#level.get(node) as number))
        return load(kept.buffer, kept.at, v.aval.dtype);
      return this.#value(node, v);
    });
  }
  #value(n: LoopNode, v: Var): Expr {
    return this.#elements.map(n, this.#indexOf(n))[n.equation.outputs.indexOf(v)] as Expr;
  }

  build(): { body: readonly Stmt[]; name: string } {
    const passes = this.#levels();
    this.#findKept(passes);
    const sections: Section[] = [];
    this.#rowNodes(0, sections);
    for (let pass = 0; pass < passes; pass++) {
      this.#pass = pass;
      this.#elements = this.#newElements();
      const start: Assignment[] = [];
      const steps: Assignment[] = [];
      const after: Section[] = [];
      for (const n of this.#nodes) {
        if (this.#level.get(n) !== pass || this.#isRow(n)) continue;
        if (n.kind === "reduce") this.#reduction(n, start, steps, after);
        else
          for (const v of n.equation.outputs) {
            const buffer = this.#stores.get(v);
            const kept = this.#kept.get(v);
            if (buffer === undefined && kept === undefined) continue;
            const value = this.#value(n, v);
            if (buffer !== undefined)
              steps.push({ kind: "store", buffer, index: this.#point, value });
            if (kept !== undefined && kept.buffer !== buffer)
              steps.push({ kind: "store", buffer: kept.buffer, index: kept.at, value });
          }
      }
      if (this.#pattern === null && start.length + after.length === 0) {
        sections.push(once(...steps));
        continue;
      }
      sections.push(once(...start), { loop: true, assign: steps }, ...after);
      this.#rowNodes(pass + 1, sections);
    }
    const outer = axesOf(this.#rowIndex, this.#rowShape);
    const inner = axesOf(this.#innerIndex, this.#innerShape);
    return {
      body: this.#rowShape.includes(0)
        ? []
        : sectionNest(outer, inner, sections, this.#memory.room),
      name: this.#kernelName(),
    };
  }

  #reduction(n: LoopNode, start: Assignment[], steps: Assignment[], after: Section[]): void {
    const lowering = n.lowering as ReduceLowering;
    const own = this.#indexOf(n);
    const along = (axes: readonly number[]): Expr[] =>
      axes.map((k) => (k < 0 ? int(0) : (own[k] as Expr)));
    const [index, r] = [along(n.outerAxes), along(n.innerAxes)];
    const read = this.#elements.reader(n.equation);
    const initial = lowering.init(index);
    let accs = initial;
    if (this.#isWrittenOut(n))
      for (const at of pointsOf(lowering.extents)) accs = lowering.step(accs, index, at, read);
    else {
      const folded = initial.map((e, j) => new KVar(e.dtype, `acc${n.id}_${j}`));
      const next = lowering.extents.includes(0) ? [] : lowering.step(folded, index, r, read);
      const [along, ...others] = r.filter((e) => e.kind !== "lit");
      const single = along instanceof KVar && others.length + next.length === 1 ? along : null;
      accs = folded.map((acc, j) => {
        const [value, init] = [next[j], initial[j] as Expr];
        const picked =
          single === null || value === undefined
            ? null
            : pick(value, acc, init, single, sizeOf(lowering.extents));
        if (picked !== null) return picked;
        start.push({ kind: "set", v: acc, value: init });
        if (value !== undefined) steps.push({ kind: "set", v: acc, value });
        return acc;
      });
    }
    this.#setRow(n, lowering.finish?.(accs) ?? accs, after);
  }

  /** A reduction over a small box that shares its loops with no other node. */
  #isWrittenOut({ lowering, cost }: LoopNode): boolean {
    const count = sizeOf((lowering as ReduceLowering).extents);
    return this.#pattern === null && count <= fewElements && count * cost <= writtenOutWork;
  }

  /** Values of rows that are known after `level` passes. */
  #rowNodes(level: number, sections: Section[]): void {
    this.#pass = level;
    for (const n of this.#nodes) {
      if (!this.#isRow(n) || this.#level.get(n) !== level) continue;
      this.#elements = this.#newElements();
      this.#setRow(n, this.#elements.map(n, this.#indexOf(n)), sections);
    }
  }
  /** Sets variables to the results of a node, and stores those that leave the unit. */
  #setRow(n: LoopNode, values: readonly Expr[], sections: Section[]): void {
    n.equation.outputs.forEach((out, j) => {
      const v = new KVar(out.aval.dtype, `row${n.id}_${j}`);
      this.#rowValues.set(out, v);
      sections.push(once({ kind: "set", v, value: values[j] as Expr }));
      const buffer = this.#stores.get(out);
      if (buffer !== undefined)
        sections.push(once({ kind: "store", buffer, index: this.#row, value: v }));
    });
  }

  /** Levels of all nodes, where values are stored, and the number of passes. */
  #levels(): number {
    let passes = 1;
    for (const n of this.#nodes) {
      let level = this.#links.get(n) ?? 0;
      for (const v of n.reads.keys()) {
        const p = this.#inside.get(v);
        if (p === undefined) continue;
        level = Math.max(level, (this.#level.get(p) as number) + (p.kind === "reduce" ? 1 : 0));
      }
      this.#level.set(n, level);
      if (!this.#isRow(n)) passes = Math.max(passes, level + 1);
      for (const v of n.equation.outputs) {
        const buffer = this.#memory.store(v);
        if (buffer !== null) this.#stores.set(v, buffer);
      }
    }
    return passes;
  }

  /** Finds values that several passes need and that are dear: they are computed once and loaded again. */
  #findKept(passes: number): void {
    if (passes < 2 || this.#pattern === null) return;
    const contiguous = isContiguous(this.#pattern);
    const cost = new Map<LoopNode, number>();
    for (const n of this.#nodes) {
      let sum = n.cost;
      for (const v of n.reads.keys()) {
        const p = this.#inside.get(v);
        if (p !== undefined && p.kind === "map" && !this.#isRow(p) && !this.#kept.has(v))
          sum += cost.get(p) as number;
      }
      cost.set(n, sum);
    }
    const seen = new Set<string>();
    const demand = (n: LoopNode, pass: number): void => {
      const key = `${n.id}:${pass}`;
      if (seen.has(key)) return;
      seen.add(key);
      for (const v of n.reads.keys()) {
        const p = this.#inside.get(v);
        if (p === undefined || p.kind === "reduce" || this.#isRow(p)) continue;
        const level = this.#level.get(p) as number;
        const stored = this.#stores.get(v);
        if (
          level < pass &&
          (cost.get(p) as number) >= repeatedWork &&
          (contiguous || stored !== undefined)
        ) {
          if (!this.#kept.has(v)) this.#kept.set(v, this.#place(v));
          demand(p, level);
        } else demand(p, pass);
      }
    };
    for (const n of this.#nodes)
      if (
        !this.#isRow(n) &&
        (n.kind === "reduce" || n.equation.outputs.some((v) => this.#stores.has(v)))
      )
        demand(n, this.#level.get(n) as number);
  }
  #place(v: Var): { buffer: number; at: Expr } {
    const [index, inner] = [this.#innerIndex, this.#innerShape];
    const { buffer, ofRow } = this.#memory.keep(v, this.#rows, sizeOf(inner));
    return { buffer, at: ofRow ? positionIn(index, inner) : this.#point };
  }

  /** The primitives, in order, a few of them. */
  #kernelName(): string {
    const names = [...new Set(this.#nodes.map((n) => n.equation.primitive.name))];
    return names.length > 4 ? `${names.slice(0, 3).join("+")}+…+${names.at(-1)}` : names.join("+");
  }
}

/** The loops of a unit, and a name for them. */
export const unitKernel = (
  graph: Graph,
  unit: LoopUnit,
  memory: UnitMemory,
): { readonly body: readonly Stmt[]; readonly name: string } =>
  new UnitKernel(graph, unit, memory).build();

/** What a unit computes, as a string: units with equal keys have the same kernel, with the variables of the one in place
 *  of those of the other. */
export function unitKey(
  graph: Graph,
  unit: LoopUnit,
  stores: (v: Var) => boolean,
): { readonly key: string; readonly numbers: ReadonlyMap<Var, number> } {
  const numbers = new Map<Var, number>();
  const number = (v: Var): number => entry(numbers, v, () => numbers.size);
  const virtual = new Map<Var, string>();
  const parts: string[] = [];
  const atomKey = (a: Atom): string => {
    const root = graph.root(a);
    const shape = a.aval.id;
    if (isLiteral(root)) return `#${shape}:${numberKey(root.value)}`;
    const definition = graph.virtual(root);
    if (definition === undefined) return `${number(root)}:${root.aval.id}:${shape}`;
    const name = entry(virtual, root, () => {
      const text = equationKey(definition);
      return `v${parts.push(text)}`;
    });
    return `${name}:${shape}`;
  };
  const equationKey = ({ equation: e }: LoopNode): string =>
    `${e.primitive.id}.${paramsKey(e.params)}(${e.inputs.map(atomKey).join()})${e.outputs[0]?.aval.id}`;
  for (const n of unit.nodes) {
    const text = equationKey(n);
    const outs = n.equation.outputs.map((v) => `${number(v)}${stores(v) ? "!" : ""}`);
    parts.push(`${outs.join()}=${text}`);
  }
  return { key: `${unit.pattern}|${parts.join(";")}`, numbers };
}
