/** Fusion: which nodes are computed in one kernel.
 *
 *  A unit is a set of nodes over one space of points. Without reductions it is a loop that computes several values of
 *  each point. With reductions of one pattern it goes row by row: passes over the row, each of which may use what
 *  the passes before it have reduced. Nodes whose value no other unit reads are never stored. */
import { dtypes } from "../dtype.ts";
import type { Var } from "../ir/jaxpr.ts";
import type { Access } from "./access.ts";
import type { Graph, LoopNode, Node, WholeNode } from "./graph.ts";

export interface LoopUnit {
  readonly kind: "loops";
  /** in order */
  readonly nodes: readonly LoopNode[];
  /** kept and reduced axes of its rows; null without reductions */
  readonly pattern: string | null;
}
export interface WholeUnit {
  readonly kind: "whole";
  readonly node: WholeNode;
}
export type Unit = LoopUnit | WholeUnit;

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

interface Extents {
  /** products of the kept and of the reduced runs */
  readonly rows: number;
  readonly rowLength: number;
}
const extents = new Map<string, Extents>();
function extentsOf(pattern: string): Extents {
  let known = extents.get(pattern);
  if (known === undefined) {
    let [rows, rowLength] = [1, 1];
    for (const [, size, flag] of pattern.matchAll(/(\d+)([kr])/g))
      if (flag === "k") rows *= Number(size);
      else rowLength *= Number(size);
    known = { rows, rowLength };
    if (extents.size >= 4096) extents.clear();
    extents.set(pattern, known);
  }
  return known;
}
export const rowsOf = (pattern: string): number => extentsOf(pattern).rows;
export const rowLengthOf = (pattern: string): number => extentsOf(pattern).rowLength;
/** True where the elements of a row lie side by side. */
export const isContiguous = (pattern: string): boolean => pattern.endsWith("r");

const bytesOf = (v: Var): number => v.aval.size * dtypes[v.aval.dtype].bytes;

class Draft {
  nodes: LoopNode[];
  pattern: string | null;
  /** points of its loops; rows × row length where it has a pattern */
  points: number;
  cost: number;
  whole: WholeNode | null = null;
  first: number;
  last: number;
  /** contains a reduction whose loops cannot be shared */
  readonly opaque: boolean;
  /** number of the last search that met it */
  met = 0;
  get members(): readonly (LoopNode | WholeNode)[] {
    return this.whole === null ? this.nodes : [this.whole];
  }

  constructor(node: LoopNode | WholeNode) {
    this.first = node.id;
    this.last = node.id;
    this.opaque = node.kind === "reduce" && node.pattern === null;
    if (node.kind === "whole") {
      this.nodes = [];
      this.whole = node;
      this.pattern = null;
      this.points = 0;
      this.cost = 0;
    } else {
      this.nodes = [node];
      this.pattern = node.pattern;
      this.points = node.points;
      this.cost = node.cost + 1;
    }
  }
}

/** Two lists of nodes in order, as one. */
function inOrder(a: readonly LoopNode[], b: readonly LoopNode[]): LoopNode[] {
  const out: LoopNode[] = [];
  let j = 0;
  for (let i = 0; i < a.length; i++) {
    const n = a[i] as LoopNode;
    for (; j < b.length && (b[j] as LoopNode).id < n.id; j++) out.push(b[j] as LoopNode);
    out.push(n);
  }
  for (; j < b.length; j++) out.push(b[j] as LoopNode);
  return out;
}

class Fusion {
  readonly #graph: Graph;
  /** by number of the node */
  readonly #drafts: (Draft | undefined)[] = [];
  readonly #reads: ReadonlyMap<Var, Access>[] = [];
  /** nodes that compute what a node reads */
  readonly #producers: (readonly Node[])[] = [];
  #search = 0;
  /** loop nodes and whole nodes that read each value in memory */
  readonly #readers = new Map<Var, Set<Node>>();
  readonly #isResult = new Set<Var>();
  /** nodes that belong to several units */
  readonly #repeated = new Set<Node>();

  constructor(graph: Graph) {
    this.#graph = graph;
    for (const a of graph.results) for (const v of graph.leaves(a)) this.#isResult.add(v);
    for (const n of graph.nodes) {
      if (n.kind === "alias" || (n.kind !== "whole" && n.virtual)) continue;
      this.#drafts[n.id] = new Draft(n);
      const reads = this.#readsOf(n);
      this.#reads[n.id] = reads;
      this.#producers[n.id] = [...reads.keys()].flatMap((v) => graph.definition(v) ?? []);
      for (const v of reads.keys()) {
        const readers = this.#readers.get(v);
        if (readers === undefined) this.#readers.set(v, new Set([n]));
        else readers.add(n);
      }
    }
  }
  #readsOf(n: Node): ReadonlyMap<Var, Access> {
    if (n.kind === "map" || n.kind === "reduce") return n.reads;
    const reads = new Map<Var, Access>();
    for (const a of n.equation.inputs) for (const v of this.#graph.leaves(a)) reads.set(v, "other");
    return reads;
  }
  #all(): Set<Draft> {
    const all = new Set<Draft>();
    for (const d of this.#drafts) if (d !== undefined) all.add(d);
    return all;
  }
  #draftOf(v: Var): Draft | undefined {
    const node = this.#graph.definition(v);
    return node === undefined ? undefined : this.#drafts[node.id];
  }

  run(): Unit[] {
    for (const n of this.#graph.nodes) {
      if (n.kind !== "map" && n.kind !== "reduce") continue;
      if (n.virtual) continue;
      for (const v of n.reads.keys()) {
        if (n.reads.get(v) === "other") continue;
        const producer = this.#draftOf(v);
        const own = this.#drafts[n.id] as Draft;
        if (producer !== undefined && producer !== own) this.#merge(producer, own);
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
        if (n.kind === "whole" || n.kind === "alias" || n.reads.get(v) !== "same") continue;
        const d = this.#drafts[n.id] as Draft;
        if (first === undefined || first === d || !this.#merge(first, d)) first = d;
      }
    }
  }

  #merge(a: Draft, b: Draft): boolean {
    if (a.whole !== null || b.whole !== null) return false;
    if (a.cost + b.cost > maxCost) return false;
    if (a.opaque || b.opaque) return false;
    const pattern = a.pattern ?? b.pattern;
    if (pattern === null) {
      if (a.points !== b.points) return false;
    } else if (a.pattern !== null && b.pattern !== null) {
      if (a.pattern !== b.pattern) return false;
    } else {
      const [rows, plain] = a.pattern === null ? [b, a] : [a, b];
      if (plain.points !== rows.points && plain.points !== rowsOf(pattern)) return false;
    }
    if (!this.#sound(a, b, pattern)) return false;
    if (this.#between(a, b) || this.#between(b, a)) return false;

    // b joins a
    a.nodes = inOrder(a.nodes, b.nodes);
    a.points = Math.max(a.points, b.points);
    a.pattern = pattern;
    a.cost += b.cost;
    a.first = Math.min(a.first, b.first);
    a.last = Math.max(a.last, b.last);
    for (const n of b.nodes) this.#drafts[n.id] = a;
    return true;
  }

  /** True when the values that nodes of a ∪ b read of each other are at hand where they are read, and the kernel is a
   *  sensible one. */
  #sound(a: Draft, b: Draft, pattern: string | null): boolean {
    const isInside = (n: Node): boolean => {
      const d = this.#drafts[n.id];
      return d === a || d === b;
    };
    const rows = pattern === null ? -1 : rowsOf(pattern);
    let stored = 0;
    let passes = false;
    let storesPoints = false;
    const outside = new Set<Var>();
    for (const n of a.nodes.concat(b.nodes)) {
      const row = pattern !== null && n.kind === "map" && n.points === rows;
      for (const v of n.reads.keys()) {
        const producer = this.#graph.definition(v);
        if (producer === undefined || !isInside(producer)) {
          outside.add(v);
          continue;
        }
        const access = n.reads.get(v);
        const p = producer as LoopNode;
        const rowValue = pattern !== null && (p.kind === "reduce" || p.points === rows);
        if (row ? !rowValue || access !== "same" : access !== (rowValue ? pattern : "same"))
          return false;
        if (!row && rowValue) passes = true;
      }
      for (const v of n.equation.outputs) {
        const readers = this.#readers.get(v);
        let leaves = this.#isResult.has(v);
        if (!leaves && readers !== undefined)
          for (const r of readers) if (!isInside(r)) leaves = true;
        if (!leaves) continue;
        stored++;
        if (pattern !== null && n.kind === "map" && !row) storesPoints = true;
      }
    }
    if (stored + outside.size > maxBuffers) return false;
    if (pattern === null) return true;
    const points = Math.max(a.points, b.points);
    if (points <= smallSpace) return true;
    if (!passes && !storesPoints) return true;
    return isContiguous(pattern) && rowsOf(pattern) >= fewRows && rowLengthOf(pattern) <= longRow;
  }

  /** True when something outside of both needs `from` and is needed by `to`. */
  #between(from: Draft, to: Draft): boolean {
    const search = ++this.#search;
    to.met = search;
    from.met = search;
    const pending: Draft[] = [to];
    for (let d = pending.pop(); d !== undefined; d = pending.pop())
      for (const n of d.members)
        for (const producer of this.#producers[n.id] as readonly Node[]) {
          const p = this.#drafts[producer.id] as Draft;
          if (p === d) continue;
          if (p === from && d !== to) return true;
          // what is before all of `from` cannot need it
          if (p.met === search || p.last < from.first) continue;
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
    const use = (v: Var, d: Draft): void => {
      const known = users.get(v);
      if (known === undefined) users.set(v, new Set([d]));
      else known.add(d);
    };
    for (const d of this.#all())
      for (const n of d.members)
        for (const v of (this.#reads[n.id] as ReadonlyMap<Var, Access>).keys())
          if (this.#draftOf(v) !== d) use(v, d);
    const isStored = (v: Var): boolean => {
      const producer = this.#draftOf(v);
      return (
        producer === undefined ||
        producer.whole !== null ||
        this.#isResult.has(v) ||
        (users.get(v)?.size ?? 0) > 0
      );
    };
    for (const n of this.#graph.nodes.toReversed()) {
      if (n.kind !== "map" || n.virtual || n.cost > maxRepeated) continue;
      const [v, ...others] = n.equation.outputs as [Var, ...Var[]];
      const outside = [...(users.get(v) ?? [])];
      if (others.length > 0 || outside.length === 0 || v.aval.size < smallSpace) continue;
      if (this.#isResult.has(v)) continue;
      const operands = [...n.reads.keys()];
      if (!operands.every(isStored)) continue;
      const fits = outside.every((d) => {
        if (d.whole !== null || d.points !== v.aval.size || d.cost + n.cost > maxCost) return false;
        if (d.nodes.some((r) => (r.reads.get(v) ?? "same") !== "same")) return false;
        const read = new Set(d.nodes.flatMap((r) => [...r.reads.keys()]));
        const bytes = operands.reduce((sum, x) => sum + (read.has(x) ? 0 : bytesOf(x)), 0);
        return bytes <= bytesOf(v);
      });
      if (!fits) continue;
      for (const d of outside) {
        d.nodes = inOrder(d.nodes, [n]);
        d.cost += n.cost;
        for (const x of operands) {
          const producer = this.#graph.definition(x);
          if (producer === undefined || !d.nodes.includes(producer as LoopNode)) use(x, d);
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
      if (reader === undefined || reader.kind === "whole" || reader.kind === "alias") continue;
      if (draft.whole !== null || draft.pattern !== null || draft.cost > maxMelted) continue;
      if (this.#drafts[reader.id] === draft || this.#repeated.has(reader)) continue;
      if (draft.nodes.some((n) => this.#repeated.has(n))) continue;
      if (draft.nodes.some((n) => n.kind === "reduce" || n.equation.outputs.length > 1)) continue;
      if (reader.points > v.aval.size || reader.reads.get(v) !== "other") continue;
      const outputs = draft.nodes.filter((n) => {
        const out = n.equation.outputs[0] as Var;
        if (this.#isResult.has(out)) return true;
        for (const r of this.#readers.get(out) ?? []) if (this.#drafts[r.id] !== draft) return true;
        return false;
      });
      const into = this.#drafts[reader.id] as Draft;
      // computed anew at each position: a chain of readers at two would double from each to the next
      const cost = draft.cost * (reader.places.get(v) ?? 1);
      if (outputs.length !== 1 || into.cost + cost > maxMelted) continue;
      into.cost += cost;
      this.#graph.melt(draft.nodes);
      for (const n of draft.nodes) this.#drafts[n.id] = undefined;
    }
  }

  /** Units in an order in which each comes after those that it reads. */
  #ordered(): Unit[] {
    const drafts = [...this.#all()].sort((a, b) => a.last - b.last);
    const out: Unit[] = [];
    const state = new Map<Draft, "open" | "done">();
    const needs = (d: Draft): Draft[] => {
      const found = new Set<Draft>();
      const add = (v: Var): void => {
        for (const leaf of this.#graph.leaves(v)) {
          const p = this.#draftOf(leaf);
          const producer = this.#graph.definition(leaf) as LoopNode;
          if (p !== undefined && p !== d && !d.nodes.includes(producer)) found.add(p);
        }
      };
      for (const n of d.members)
        for (const v of (this.#reads[n.id] as ReadonlyMap<Var, Access>).keys()) add(v);
      return [...found].sort((x, y) => x.last - y.last);
    };
    for (const root of drafts) {
      // depth first without recursion: long programs are deeper than the stack
      const pending = [root];
      while (pending.length > 0) {
        const d = pending[pending.length - 1] as Draft;
        const at = state.get(d);
        if (at !== undefined) {
          pending.pop();
          if (at === "done") continue;
          state.set(d, "done");
          out.push(
            d.whole !== null
              ? { kind: "whole", node: d.whole }
              : { kind: "loops", nodes: d.nodes, pattern: d.pattern },
          );
          continue;
        }
        state.set(d, "open");
        for (const p of needs(d).reverse()) if (!state.has(p)) pending.push(p);
      }
    }
    return out;
  }
}

/** The kernels of a graph, in an order in which they can run. Some nodes of the graph become virtual. */
export const fuse = (graph: Graph): Unit[] => new Fusion(graph).run();
