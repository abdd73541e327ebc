/** Loops that go through memory in blocks: transpositions in tiles, and reductions across rows of memory, many columns at
 *  a time. */
import type { DType } from "../dtype.ts";
import { add, eachNode, type Expr, int, KVar, load, mul, rewrite } from "../kernel/expr.ts";
import { type Stmt, set } from "../kernel/kernel.ts";

export interface Axis {
  readonly v: KVar;
  readonly extent: number;
}

/** `body` inside one loop per axis; `independent` says that no two iterations touch the same element. */
export function loops(
  axes: readonly Axis[],
  body: readonly Stmt[],
  independent: boolean,
): readonly Stmt[] {
  return axes.reduceRight<readonly Stmt[]>((inner, { v, extent }) => {
    const loop: Stmt = { kind: "for", v, from: int(0), to: int(extent), body: inner };
    return [independent ? { ...loop, parallel: true } : loop];
  }, body);
}
const points = (axes: readonly Axis[]): number => axes.reduce((n, a) => n * a.extent, 1);

/** Cuts an axis into blocks, of a size from the first to the last; null where none fits. */
function cut(
  { v, extent }: Axis,
  [first, last]: readonly [number, number],
): { outer: Axis; inner: Axis; at: Expr } | null {
  let size = first;
  while (extent % size !== 0)
    if (size === last) return null;
    else size += Math.sign(last - first);
  const outer: Axis = { v: new KVar("int32", `${v.name}b`), extent: extent / size };
  const inner: Axis = { v: new KVar("int32", v.name), extent: size };
  return { outer, inner, at: add(mul(outer.v, int(size)), inner.v) };
}

/** Assignments with other names. */
function renamed(body: readonly Stmt[], names: ReadonlyMap<Expr, Expr>): Stmt[] {
  const memo = new Map<Expr, Expr>();
  const to = (e: Expr): Expr => rewrite(e, (x) => names.get(x) ?? null, memo);
  return body.map((s): Stmt => {
    if (s.kind === "set") return { ...s, v: to(s.v) as KVar, value: to(s.value) };
    return s.kind === "store" ? { ...s, index: to(s.index), value: to(s.value) } : s;
  });
}

// ---- transpositions ----

/** Points of a space that is worth tiles. */
const leastTiled = 1 << 14;
const leastRows = 64;
/** Iterations of the two loops of a tile, the best first: the accesses of the inner one are as many lines as have room in one
 *  place of the first-level cache, those of the outer one as in the second-level cache. */
const tileColumns = [8, 16] as const;
const tileRows = [128, 32] as const;

/** The loops of a transposition, in tiles: each line of the cache that the innermost loop meets is still there for its
 *  neighbours `along` another axis. Null where there is nothing to gain. */
export function tiled(
  axes: readonly Axis[],
  along: Axis | undefined,
  body: readonly Stmt[],
): readonly Stmt[] | null {
  const last = axes.at(-1) as Axis;
  if (along === undefined || along.extent < leastRows || points(axes) < leastTiled) return null;
  const columns = cut(last, tileColumns);
  if (columns === null) return null;
  const rows = cut(along, tileRows);
  const names = new Map<Expr, Expr>([[last.v, columns.at]]);
  if (rows !== null) names.set(along.v, rows.at);
  return loops(
    [
      ...axes.filter((a) => a !== along && a !== last),
      ...(rows === null ? [] : [rows.outer]),
      columns.outer,
      rows?.inner ?? along,
      columns.inner,
    ],
    renamed(body, names),
    true,
  );
}

// ---- reductions across rows ----

/** Assignments at every column or, along `axes`, at every element of it. */
export interface Pass {
  readonly axes: readonly Axis[];
  readonly body: readonly Stmt[];
}

/** Elements of a space that is worth blocks of columns: beyond the second-level cache. */
const leastBlocked = 1 << 18;
const mostColumns = 256;
const fewestColumns = 16;
/** Rows of a block: their lines stay in the second-level cache, and pages at hand. */
const blockRows = [64, 16] as const;
/** Threads share out the blocks. */
const parts = 4;

function expressionsIn(body: readonly Stmt[]): ReadonlySet<Expr> {
  const found = new Set<Expr>();
  const visit = (e: Expr): void => eachNode(e, found, () => {});
  for (const s of body) {
    if (s.kind === "set" || s.kind === "store") visit(s.value);
    if (s.kind === "store") visit(s.index);
  }
  return found;
}

/** The passes, one after the other, for each block of columns, the columns innermost: memory is read in its order. What a pass
 *  leaves to later ones, of each column one value, is a row of scratch memory, which `room` gives. Null where
 *  there is nothing to gain. */
export function columnNest(
  outer: readonly Axis[],
  reduced: readonly Axis[],
  passes: readonly Pass[],
  room: (dtype: DType, length: number) => number,
): readonly Stmt[] | null {
  const column = outer.at(-1) as Axis;
  if (points(reduced) * column.extent < leastBlocked || column.extent < fewestColumns) return null;
  const most = Math.max(fewestColumns, Math.min(mostColumns, Math.floor(column.extent / parts)));
  const block = cut(column, [most, fewestColumns]);
  const [row, ...others] = reduced;
  const part = row === undefined || others.length > 0 ? null : cut(row, blockRows);
  if (block === null || row === undefined || part === null) return null;
  const uses = passes.map(({ body }) => expressionsIn(body));
  const rows = new Map<KVar, number>();
  const { inner, at } = block;
  const nest = passes.flatMap(({ axes, body }, p): readonly Stmt[] => {
    const own = new Set(body.flatMap((s) => (s.kind === "set" ? [s.v] : [])));
    const names = new Map<Expr, Expr>([[column.v, at]]);
    if (axes.length > 0) names.set(row.v, part.at);
    const name = (v: KVar): KVar => {
      const local = new KVar(v.dtype, v.name);
      names.set(v, local);
      return local;
    };
    const start = [...rows].flatMap(([v, buffer]) =>
      uses[p]?.has(v) ? [set(name(v), load(buffer, inner.v, v.dtype))] : [],
    );
    const end = [...own].flatMap((v): Stmt[] => {
      const value = (names.get(v) as KVar | undefined) ?? name(v);
      // the next block of rows goes on from it, or a later pass reads it
      const goesOn = axes.length > 0 && rows.has(v);
      if (!goesOn && !uses.some((later, q) => q > p && later.has(v))) return [];
      const buffer = rows.get(v) ?? room(v.dtype, inner.extent);
      rows.set(v, buffer);
      return [{ kind: "store", buffer, index: inner.v, value }];
    });
    const [around, along] = axes.length > 0 ? [[part.outer], [part.inner]] : [[], []];
    const whole = [...start, ...loops(along, renamed(body, names), false), ...end];
    return loops(around, loops([inner], whole, true), false);
  });
  return loops([...outer.slice(0, -1), block.outer], nest, true);
}
