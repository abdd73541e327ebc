/** Fusion: which nodes are computed in one kernel.
 *
 *  A unit is a set of nodes over one space of points. Without reductions it is a loop that computes several values of
 *  each point. With reductions of one pattern it goes row by row: passes over the row, each of which may use what
 *  the passes before it have reduced. Nodes whose value no other unit reads are never stored. */
import type { Var } from "../ir/jaxpr.ts";
import { entry } from "../maps.ts";
import type { Graph, LoopNode, Node, WholeNode } from "./graph.ts";

export interface LoopUnit {
  /** in order */
  readonly nodes: readonly LoopNode[];
  /** kept and reduced axes of its rows; null without reductions */
  readonly pattern: string | null;
}
type UnitNode = LoopNode | WholeNode;
/** A node that needs whole operands, alone, or the nodes of a `LoopUnit`. */
export type Unit = { readonly nodes: readonly UnitNode[] } & Pick<LoopUnit, "pattern">;

/** Arithmetic of one kernel: beyond it registers run short. */
const maxCost = 400;
/** Values that one kernel may store or read. */
const maxBuffers = 24;
/** Fewer rows than this cannot be shared out among threads and vectors. */
const fewRows = 32;
/** A row that several passes go over should stay in the second-level cache. */
const longRow = 1 << 16;
/** Points below which none of this matters. */
const smallSpace = 1 << 14;
/** Work that may melt into one reader. */
const maxMelted = 96;
/** Work that is repeated by each reader rather than stored for it. */
const maxRepeated = 4;

/** True where the elements of a row lie side by side. */
export const isContiguous = (pattern: string): boolean => pattern.endsWith("r");

/** A unit in the making. */
class Draft implements Unit {
  nodes: readonly UnitNode[];
  pattern: string | null = null;
  /** of a pattern; else no number of points */
  rows = -1;
  /** points of its loops; rows × row length where it has a pattern */
  points = 0;
  cost = 0;
  /** its node cannot share its kernel: it needs whole operands, or is a reduction whose loops cannot be shared */
  readonly alone: boolean;
  /** number of the last search that met it */
  met = 0;
  /** number of the last node that it, or any unit that it needs, computes */
  reach: number;

  constructor(node: UnitNode) {
    this.nodes = [node];
    this.reach = node.id;
    this.alone = node.kind === "whole" || (node.kind === "reduce" && node.pattern === null);
    if (node.kind === "whole") return;
    this.pattern = node.pattern;
    if (node.pattern !== null) this.rows = (node.equation.outputs[0] as Var).aval.size;
    this.points = node.points;
    this.cost = node.cost + 1;
  }
  /** number of its last node */
  get last(): number {
    return (this.nodes.at(-1) as UnitNode).id;
  }
}

/** Two lists of nodes in order, as one. */
const inOrder = (a: readonly UnitNode[], b: readonly UnitNode[]): readonly UnitNode[] =>
  a.concat(b).sort((x, y) => x.id - y.id);

class Fusion {
  readonly #graph: Graph;
  /** by number of the node */
  readonly #drafts: (Draft | undefined)[] = [];
  /** nodes that compute what a node reads */
  readonly #producers: (readonly Node[])[] = [];
  #search = 0;
  /** nodes that read each value in memory */
  readonly #readers = new Map<Var, Set<UnitNode>>();
  readonly #isResult = new Set<Var>();
  /** nodes that belong to several units */
  readonly #repeated = new Set<Node>();

  constructor(graph: Graph) {
    this.#graph = graph;
    for (const a of graph.results) for (const v of graph.leaves(a)) this.#isResult.add(v);
    for (const n of graph.nodes) {
      if (n.kind === "alias" || (n.kind !== "whole" && n.virtual)) continue;
      this.#drafts[n.id] = new Draft(n);
      const reads = [...n.reads.keys()];
      this.#producers[n.id] = reads.flatMap((v) => graph.definition(v) ?? []);
      for (const v of reads) entry(this.#readers, v, () => new Set()).add(n);
    }
  }
  #all(): Set<Draft> {
    return new Set(this.#drafts.filter((d) => d !== undefined));
  }
  #draftOf(v: Var): Draft | undefined {
    const node = this.#graph.definition(v);
    return node && this.#drafts[node.id];
  }
  /** True for results, and for values that a node reads which is not inside. */
  #leaves(v: Var, isInside: (n: Node) => boolean): boolean {
    if (this.#isResult.has(v)) return true;
    for (const r of this.#readers.get(v) ?? []) if (!isInside(r)) return true;
    return false;
  }

  run(): readonly Unit[] {
    for (const n of this.#graph.nodes) {
      if (n.kind === "alias") continue;
      for (const v of n.reads.keys()) {
        if (n.reads.get(v) === "other") continue;
        const producer = this.#draftOf(v);
        const own = this.#drafts[n.id];
        if (producer && own && producer !== own) this.#merge(producer, own);
      }
    }
    this.#siblings();
    this.#rematerialize();
    this.#melt();
    return this.#ordered();
  }

  /** Units that read the same large value point by point, though none reads the other. */
  #siblings(): void {
    for (const [v, readers] of this.#readers) {
      if (v.aval.size < smallSpace || readers.size < 2) continue;
      let first: Draft | undefined;
      for (const n of readers) {
        if (n.reads.get(v) !== "same") continue;
        const d = this.#drafts[n.id] as Draft;
        if (first === undefined || first === d || !this.#merge(first, d)) first = d;
      }
    }
  }

  #merge(a: Draft, b: Draft): boolean {
    if (a.alone || b.alone || a.cost + b.cost > maxCost) return false;
    const [rows, plain] = a.pattern === null ? [b, a] : [a, b];
    const { pattern } = rows;
    if (plain.pattern === null) {
      if (plain.points !== rows.points && plain.points !== rows.rows) return false;
    } else if (plain.pattern !== pattern) return false;
    if (!this.#sound(a, b, rows)) return false;
    if (this.#between(a, b) || this.#between(b, a)) return false;

    // b joins a
    a.pattern = pattern;
    a.rows = rows.rows;
    a.points = Math.max(a.points, b.points);
    a.cost += b.cost;
    for (const n of b.nodes) this.#drafts[n.id] = a;
    a.nodes = inOrder(a.nodes, b.nodes);
    const reach = Math.max(a.reach, b.reach);
    const pending = [a];
    for (let d = pending.pop(); d !== undefined; d = pending.pop()) {
      d.reach = reach;
      for (const n of d.nodes)
        for (const v of n.equation.outputs)
          for (const r of this.#readers.get(v) ?? []) {
            const user = this.#drafts[r.id] as Draft;
            if (user.reach < reach) pending.push(user);
          }
    }
    return true;
  }

  /** True when the values that nodes of a ∪ b read of each other are at hand where they are read, and the kernel, of the
   *  given rows, is a sensible one. */
  #sound(a: Draft, b: Draft, { pattern, rows }: Draft): boolean {
    const isInside = (n: Node): boolean => {
      const d = this.#drafts[n.id];
      return d === a || d === b;
    };
    let stored = 0;
    let passes = false;
    let storesPoints = false;
    const outside = new Set<Var>();
    for (const n of a.nodes.concat(b.nodes) as readonly LoopNode[]) {
      const row = n.kind === "map" && n.points === rows;
      for (const v of n.reads.keys()) {
        const access = n.reads.get(v);
        const p = this.#graph.definition(v) as LoopNode | undefined;
        if (p === undefined || !isInside(p)) {
          outside.add(v);
          continue;
        }
        const rowValue = p.kind === "reduce" || p.points === rows;
        if (row ? !rowValue || access !== "same" : access !== (rowValue ? pattern : "same"))
          return false;
        if (!row && rowValue) passes = true;
      }
      for (const v of n.equation.outputs) {
        if (!this.#leaves(v, isInside)) continue;
        stored++;
        if (n.kind === "map" && !row) storesPoints = true;
      }
    }
    if (stored + outside.size > maxBuffers) return false;
    if (pattern === null) return true;
    const points = Math.max(a.points, b.points);
    if (points <= smallSpace || (!passes && !storesPoints)) return true;
    return isContiguous(pattern) && rows >= fewRows && points / rows <= longRow;
  }

  /** True when something outside of both needs `from` and is needed by `to`. */
  #between(from: Draft, to: Draft): boolean {
    const search = ++this.#search;
    const first = (from.nodes[0] as UnitNode).id;
    to.met = search;
    from.met = search;
    const pending: Draft[] = [to];
    for (let d = pending.pop(); d !== undefined; d = pending.pop())
      for (const n of d.nodes)
        for (const producer of this.#producers[n.id] as readonly Node[]) {
          const p = this.#drafts[producer.id] as Draft;
          if (p === d) continue;
          if (p === from && d !== to) return true;
          if (p.met === search || p.reach < first) continue;
          p.met = search;
          pending.push(p);
        }
    return false;
  }

  /** Cheap values that leave their unit are computed anew where they are read, from values that are in memory already:
   *  memory is slower than arithmetic. Later values first, so that whole chains move. */
  #rematerialize(): void {
    // units that need a value which they do not compute
    const users = new Map<Var, Set<Draft>>();
    const use = (v: Var, d: Draft): void => void entry(users, v, () => new Set()).add(d);
    for (const d of this.#all())
      for (const n of d.nodes)
        for (const v of n.reads.keys()) if (this.#draftOf(v) !== d) use(v, d);
    const isStored = (v: Var): boolean =>
      this.#isResult.has(v) || users.has(v) || this.#draftOf(v) === undefined;
    for (const n of this.#graph.nodes.toReversed()) {
      if (n.kind !== "map" || n.virtual || n.cost > maxRepeated) continue;
      const [v, ...others] = n.equation.outputs as [Var, ...Var[]];
      const outside = [...(users.get(v) ?? [])];
      if (others.length > 0 || outside.length === 0 || v.aval.size < smallSpace) continue;
      if (this.#isResult.has(v)) continue;
      const operands = [...n.reads.keys()];
      if (!operands.every(isStored)) continue;
      const fits = outside.every((d) => {
        // a node that needs whole operands has no points
        if (d.points !== v.aval.size || d.cost + n.cost > maxCost) return false;
        if (d.nodes.some((r) => (r.reads.get(v) ?? "same") !== "same")) return false;
        const read = new Set(d.nodes.flatMap((r) => [...r.reads.keys()]));
        const bytes = operands.reduce((sum, x) => sum + (read.has(x) ? 0 : x.aval.bytes), 0);
        return bytes <= v.aval.bytes;
      });
      if (!fits) continue;
      for (const d of outside) {
        d.nodes = inOrder(d.nodes, [n]);
        d.cost += n.cost;
        for (const x of operands) {
          const producer = this.#graph.definition(x) as UnitNode | undefined;
          if (producer === undefined || !d.nodes.includes(producer)) use(x, d);
        }
      }
      users.delete(v);
      this.#repeated.add(n);
    }
  }
  /** A unit with one value that only one node reads, and not more often than it is stored, melts into the reader. */
  #melt(): void {
    for (const [v, readers] of this.#readers) {
      const [reader] = readers;
      const draft = this.#draftOf(v);
      if (draft === undefined || readers.size !== 1 || this.#isResult.has(v)) continue;
      if (reader === undefined || reader.kind === "whole") continue;
      if (draft.pattern !== null || draft.cost > maxMelted) continue;
      if (this.#drafts[reader.id] === draft || this.#repeated.has(reader)) continue;
      const isPlain = (n: UnitNode): n is LoopNode =>
        n.kind === "map" && n.equation.outputs.length === 1 && !this.#repeated.has(n);
      const { nodes } = draft;
      if (!nodes.every(isPlain)) continue;
      if (reader.points > v.aval.size || reader.reads.get(v) !== "other") continue;
      const outputs = nodes.filter((n) =>
        this.#leaves(n.equation.outputs[0] as Var, (r) => this.#drafts[r.id] === draft),
      );
      const into = this.#drafts[reader.id] as Draft;
      // computed anew at each position: a chain of readers at two would double from each to the next
      const cost = draft.cost * (reader.places.get(v)?.size ?? 1);
      if (outputs.length !== 1 || into.cost + cost > maxMelted) continue;
      into.cost += cost;
      this.#graph.melt(nodes);
      for (const n of nodes) this.#drafts[n.id] = undefined;
    }
  }

  /** Units in an order in which each comes after those that it reads. */
  #ordered(): readonly Unit[] {
    const needs = (d: Draft): Set<Draft> => {
      const found = new Set<Draft>();
      for (const n of d.nodes)
        for (const v of n.reads.keys())
          for (const leaf of this.#graph.leaves(v)) {
            const p = this.#draftOf(leaf);
            const producer = this.#graph.definition(leaf) as UnitNode;
            if (p !== undefined && p !== d && !d.nodes.includes(producer)) found.add(p);
          }
      return found;
    };
    const lastFirst = (drafts: Set<Draft>): Draft[] => [...drafts].sort((a, b) => b.last - a.last);
    // depth first without recursion: long programs are deeper than the stack
    const pending = lastFirst(this.#all());
    const open = new Set<Draft>();
    const done = new Set<Draft>();
    for (let d = pending.at(-1); d !== undefined; d = pending.at(-1))
      if (open.has(d)) {
        pending.pop();
        done.add(d);
      } else {
        open.add(d);
        pending.push(...lastFirst(needs(d)).filter((p) => !open.has(p)));
      }
    return [...done];
  }
}

/** The kernels of a graph, in an order in which they can run. Some nodes of the graph become virtual. */
export const fuse = (graph: Graph): readonly Unit[] => new Fusion(graph).run();
