/** Loop nests of the `map` and `reduce` lowering forms.
 *
 *  Every axis starts as a loop of its own. Two adjacent axes a, b become one where no access can tell them
 *  apart: every index is affine and its coefficient of a is extent(b) times that of b, so that it depends
 *  on a·extent(b) + b alone. A contiguous elementwise kernel is then a single loop whatever its rank.
 *  Indices are put in affine form on the way, which also takes out divisions that cancel. */
import { type Expr, int, KVar, load, operands, rewrite, eachNode } from "../kernel/expr.ts";
import type { DType } from "../dtype.ts";
import { type Stmt, set } from "../kernel/kernel.ts";
import { entry } from "../maps.ts";
import type { Shape } from "../shape.ts";
import { axisIndex, positionIn } from "./access.ts";
import { type Axis, columnNest, loops, type Pass, tiled } from "./blocks.ts";
import { type Affine, AffineForms, affine, fromAffine } from "./affine.ts";

/** A value and the buffer that it goes to. */
export interface Result {
  readonly buffer: number;
  readonly value: Expr;
}

/** out[index] = finish(fold of step over r, from init), as in `ReduceLowering`, its reads bound. */
export interface ReduceParts {
  init(index: readonly Expr[]): readonly Expr[];
  step(acc: readonly Expr[], index: readonly Expr[], r: readonly Expr[]): readonly Expr[];
  finish?(acc: readonly Expr[]): readonly Expr[];
}

// ---- axes ----

/** The loops over an index: one for each axis of more than one element. */
export const axesOf = (index: readonly Expr[], shape: Shape): Axis[] =>
  index.flatMap((v, i) => (v instanceof KVar ? [{ v, extent: shape[i] as number }] : []));

// ---- merging ----

type Rewrite = (e: Expr) => Expr;

/** How the expressions of a nest use its loop variables. */
class Accesses {
  readonly #forms = new AffineForms();
  /** indices of loads and stores */
  readonly #indices = new Set<Affine>();
  /** variables that occur outside them, or in them otherwise than with a constant coefficient */
  readonly #others = new Set<Expr>();
  readonly #seen = new Set<Expr>();

  index(e: Expr): void {
    const form = this.#forms.of(e);
    if (this.#indices.has(form)) return;
    this.#indices.add(form);
    for (const atom of form.terms.keys()) if (atom.kind !== "var") this.value(atom);
  }

  value(e: Expr): void {
    if (this.#seen.has(e)) return;
    this.#seen.add(e);
    if (e.kind === "var") this.#others.add(e);
    else if (e.kind === "load") this.index(e.index);
    else for (const x of operands(e)) this.value(x);
  }

  /** Whether `outer` and `inner` occur only as outer·extent(inner) + inner. */
  #mergeable(outer: Axis, inner: Axis): boolean {
    if (this.#others.has(outer.v) || this.#others.has(inner.v)) return false;
    for (const { terms } of this.#indices)
      if ((terms.get(outer.v) ?? 0) !== (terms.get(inner.v) ?? 0) * inner.extent) return false;
    return true;
  }

  /** Merges neighbours; a merged run of axes goes on under the variable of its innermost. */
  merge(axes: readonly Axis[]): readonly Axis[] {
    const merged: Axis[] = [];
    let previous: Axis | undefined;
    for (const axis of axes) {
      const run = merged.at(-1);
      if (run !== undefined && previous !== undefined && this.#mergeable(previous, axis))
        merged[merged.length - 1] = { v: axis.v, extent: run.extent * axis.extent };
      else merged.push(axis);
      previous = axis;
    }
    return merged;
  }

  /** Rewrites indices and values for loops over `kept` alone: terms of the axes merged away drop out. Equal
   *  indices become one node, and so do equal loads. */
  rewriter(
    all: readonly Axis[],
    kept: readonly Axis[],
  ): { readonly index: Rewrite; readonly value: Rewrite } {
    const gone = new Set<Expr>(all.map((a) => a.v));
    for (const a of kept) gone.delete(a.v);
    const rebuilt = new Map<string, Expr>();
    const memo = new Map<Expr, Expr>();
    const index: Rewrite = (e) => {
      const form = this.#forms.of(e);
      const key = this.#forms.key(form);
      return entry(rebuilt, key, () =>
        fromAffine(form, (atom) => (gone.has(atom) ? int(0) : value(atom))),
      );
    };
    const loads = new Map<string, Expr>();
    const loadOf = (e: Expr & { kind: "load" }): Expr => {
      const key = `${e.buffer}:${this.#forms.key(this.#forms.of(e.index))}`;
      return entry(loads, key, () => load(e.buffer, index(e.index), e.dtype));
    };
    const value: Rewrite = (e) => rewrite(e, (x) => (x.kind === "load" ? loadOf(x) : null), memo);
    return { index, value };
  }

  /** The axis along which some access goes element by element, while it goes far along `inner`. */
  turned(axes: readonly Axis[], inner: Axis): Axis | undefined {
    for (const { terms } of this.#indices) {
      const stride = Math.abs(terms.get(inner.v) ?? 0);
      if (stride < farApart || (inner.extent <= manyLines && stride % samePlace !== 0)) continue;
      const found = axes.find(({ v }) => Math.abs(terms.get(v) ?? 0) === 1);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Elements: accesses as far apart need a cache line each. */
const farApart = 64;
/** Lines that stay in the first-level cache, unless they are as far apart that they have to share a place there. */
const manyLines = 128;
const samePlace = 256;
// ---- several values of one point ----

/** Nodes of a list of expressions that are worth a local: they belong to several of the expressions, and are evaluated
 *  whatever `cond` decides. */
function sharedNodes(roots: readonly Expr[]): readonly Expr[] {
  const rootsOf = new Map<Expr, number>();
  const users = new Map<Expr, number>();
  const always = new Set<Expr>();
  const order: Expr[] = [];
  const forms = new AffineForms();

  const markAlways = (e: Expr): void => {
    if (always.has(e)) return;
    always.add(e);
    if (e.kind === "cond") markAlways(e.test);
    else for (const x of operands(e)) markAlways(x);
  };
  for (const root of roots) {
    markAlways(root);
    users.set(root, (users.get(root) ?? 0) + 1);
    const seen = new Set<Expr>();
    const visit = (e: Expr): void => {
      if (seen.has(e)) return;
      seen.add(e);
      const first = !rootsOf.has(e);
      rootsOf.set(e, (rootsOf.get(e) ?? 0) + 1);
      for (const x of new Set(operands(e))) {
        if (first) users.set(x, (users.get(x) ?? 0) + 1);
        visit(x);
      }
      if (first) order.push(e);
    };
    visit(root);
  }
  return order.filter(
    (e) =>
      e.kind !== "var" &&
      e.kind !== "lit" &&
      (rootsOf.get(e) as number) > 1 &&
      // with a single user it is computed as part of that user
      (users.get(e) as number) > 1 &&
      always.has(e) &&
      affine(e, forms) === null,
  );
}

/** Variables and buffers that an expression reads. */
export function sourcesOf(e: Expr): ReadonlySet<KVar | number> {
  const found = new Set<KVar | number>();
  eachNode(e, new Set(), (x) => {
    if (x.kind === "var") found.add(x);
    else if (x.kind === "load") found.add(x.buffer);
  });
  return found;
}
const targetOf = (a: Assignment): KVar | number => (a.kind === "set" ? a.v : a.buffer);

/** Statements that compute all the values before any assignment takes effect, each shared part once. */
function simultaneously(assignments: readonly Assignment[]): readonly Stmt[] {
  if (assignments.length === 1) return assignments;
  const body: Stmt[] = [];
  const locals = new Map<Expr, Expr>();
  const local = (e: Expr): Expr | null => locals.get(e) ?? null;
  const toLocal = (e: Expr): KVar => {
    const v = new KVar(e.dtype, `t${body.length}`);
    body.push(set(v, e));
    return v;
  };
  for (const e of sharedNodes(assignments.map((a) => a.value)))
    locals.set(e, toLocal(rewrite(e, local)));
  const memo = new Map<Expr, Expr>();
  const done = new Set<KVar | number>();
  const ready = assignments.map((a): Assignment => {
    const value = rewrite(a.value, local, memo);
    const sources = sourcesOf(value);
    const late = [...done].some((target) => sources.has(target));
    done.add(targetOf(a));
    return { ...a, value: late ? toLocal(value) : value };
  });
  return [...body, ...ready];
}

// ---- nests ----

/** An assignment at a point of a nest. */
export type Assignment = Stmt & { readonly kind: "set" | "store" };
/** Assignments that all see the state before any of them, made at every point of the outer axes or, in a `loop`, of the
 *  outer and inner axes. */
export interface Section {
  readonly loop: boolean;
  readonly assign: readonly Assignment[];
}

const none: readonly Axis[] = [];

/** The sections, in order, at every point of the outer axes, which are independent of each other. */
export function sectionNest(
  outer: readonly Axis[],
  inner: readonly Axis[],
  sections: readonly Section[],
  room?: (dtype: DType, length: number) => number,
): readonly Stmt[] {
  const accesses = new Accesses();
  for (const { assign } of sections)
    for (const a of assign) {
      if (a.kind === "store") accesses.index(a.index);
      accesses.value(a.value);
    }
  const keptOuter = accesses.merge(outer);
  const keptInner = accesses.merge(inner);
  const to = accesses.rewriter([...outer, ...inner], [...keptOuter, ...keptInner]);
  const isEmpty = inner.some((a) => a.extent === 0);
  const passes: Pass[] = [];
  for (const { loop, assign } of sections) {
    if (assign.length === 0 || (loop && isEmpty)) continue;
    const body = simultaneously(
      assign.map(
        (a): Assignment =>
          a.kind === "store"
            ? { ...a, index: to.index(a.index), value: to.value(a.value) }
            : { ...a, value: to.value(a.value) },
      ),
    );
    const before = passes.at(-1);
    if (loop) passes.push({ axes: keptInner, body });
    else if (before === undefined || before.axes !== none) passes.push({ axes: none, body });
    else passes[passes.length - 1] = { axes: none, body: [...before.body, ...body] };
  }
  const [only] = passes;
  const column = keptOuter.at(-1);
  const row = keptInner.at(-1);
  return (
    (only !== undefined && column !== undefined && inner.length === 0
      ? tiled(keptOuter, accesses.turned(keptOuter.slice(0, -1), column), only.body)
      : null) ??
    (room !== undefined && row !== undefined && accesses.turned(keptOuter.slice(-1), row)
      ? columnNest(keptOuter, keptInner, passes, room)
      : null) ??
    loops(
      keptOuter,
      passes.flatMap(({ axes, body }) => loops(axes, body, false)),
      true,
    )
  );
}

/** out_j[index] = at(index)[j] for every index of `shape`, stored row-major.
 *  @returns no statements where the shape has no elements
 *  @example mapNest([4, 5], (i) => [{ buffer: 1, value: read(0, i) }])  // one loop of 20 */
export function mapNest(
  shape: readonly number[],
  at: (index: readonly Expr[]) => readonly Result[],
): readonly Stmt[] {
  if (shape.includes(0)) return [];
  const index = axisIndex(shape, "i");
  const out = positionIn(index, shape);
  const assign = at(index).map(
    ({ buffer, value }): Assignment => ({ kind: "store", buffer, index: out, value }),
  );
  return sectionNest(axesOf(index, shape), [], [{ loop: false, assign }]);
}

/** out_j[index] = finish(fold of step over r in the box `extents`, from init)[j] for every index of `shape`, stored row-major
 *  to buffer outs[j]. Reduced axes are the inner loops, in order.
 *  @returns no statements where the shape has no elements; finish(init) where `extents` has none */
export function reduceNest(
  shape: readonly number[],
  extents: readonly number[],
  parts: ReduceParts,
  outs: readonly number[],
): readonly Stmt[] {
  if (shape.includes(0)) return [];
  const outer = axisIndex(shape, "i");
  const inner = axisIndex(extents, "r");
  const initial = parts.init(outer);
  const accs = initial.map((e, j) => new KVar(e.dtype, `acc${j}`));
  const next = extents.includes(0) ? [] : parts.step(accs, outer, inner);
  const final = parts.finish ? parts.finish(accs) : accs;
  const out = positionIn(outer, shape);
  const assign = (values: readonly Expr[]): Assignment[] =>
    values.map((value, j) => ({ kind: "set", v: accs[j] as KVar, value }));
  return sectionNest(axesOf(outer, shape), axesOf(inner, extents), [
    { loop: false, assign: assign(initial) },
    { loop: true, assign: assign(next) },
    {
      loop: false,
      assign: outs.map((buffer, j) => ({
        kind: "store",
        buffer,
        index: out,
        value: final[j] as Expr,
      })),
    },
  ]);
}
