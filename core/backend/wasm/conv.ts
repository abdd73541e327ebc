/** Convolutions. Large ones are matrix products: a patch of the input is copied into the columns of a matrix, which
 *  the weights multiply. The others are loops in the kernel language. */
import { dtypes } from "../../dtype.ts";
import * as K from "../../kernel/expr.ts";
import { type Expr, KVar } from "../../kernel/expr.ts";
import type { ConvKernel, ConvSpatial, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { set, when } from "../../kernel/kernel.ts";
import { Code } from "./encoder.ts";
import { type GemmDType, hasGemm, methods } from "./gemm.ts";
import { accumulator, plus } from "./templates.ts";

// ---- positions ----

/** p·stride + r·windowDilation − low: the place in the dilated input that position r of the window sees from output p */
const seen = (s: ConvSpatial, p: Expr, r: Expr): Expr =>
  K.add(K.add(K.mul(p, K.int(s.stride)), K.mul(r, K.int(s.windowDilation))), K.int(-s.low));

/** cells of the dilated input */
const span = (s: ConvSpatial): number => (s.input === 0 ? 0 : (s.input - 1) * s.inputDilation + 1);

/** True when the window never leaves the input. */
const staysInside = (s: ConvSpatial): boolean =>
  s.low <= 0 && (s.output - 1) * s.stride + (s.window - 1) * s.windowDilation - s.low < span(s);

/** Whether cell q of the dilated input holds an element, and which one. */
function cell(s: ConvSpatial, q: Expr): { readonly holds: Expr; readonly at: Expr } {
  const holds = staysInside(s)
    ? K.lit(1, "bool")
    : K.and(K.compare("ge", q, K.int(0)), K.compare("lt", q, K.int(span(s))));
  if (s.inputDilation === 1) return { holds, at: q };
  const d = K.int(s.inputDilation);
  return { holds: K.and(holds, K.compare("eq", K.rem(q, d), K.int(0))), at: K.div(q, d) };
}

/** The smallest v ≥ 0 with v·step ≥ x. */
const firstFrom = (x: Expr, step: number): Expr =>
  K.div(K.add(K.max(x, K.int(0)), K.int(step - 1)), K.int(step));

const within = (x: Expr, least: Expr, most: Expr): Expr => K.min(K.max(x, least), most);

// ---- loops ----

export function convLoops(kernel: ConvKernel): LoopKernel {
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial, buffers, name } =
    kernel;
  const [x, w, out] = buffers;
  const acc = new KVar(accumulator(out.dtype), "acc");
  const n = new KVar("int32", "n");
  const o = new KVar("int32", "o");
  const outBatch = batch.size / batchGroups;
  const group = K.div(o, K.int(outFeatures.size / featureGroups));
  const batchGroup = K.div(o, K.int(outFeatures.size / batchGroups));
  const fromBatch = batchGroups === 1 ? n : K.add(n, K.mul(batchGroup, K.int(outBatch)));
  const p = spatial.map((_, i) => new KVar("int32", `p${i}`));
  const r = spatial.map((_, i) => new KVar("int32", `r${i}`));
  const first = spatial.map((_, i) => new KVar("int32", `first${i}`));
  const last = spatial.map((_, i) => new KVar("int32", `last${i}`));
  const at = <T>(list: readonly T[], i: number): T => list[i] as T;

  /** the feature axis of the input innermost, so that no test stands in the inner loop */
  const c = new KVar("int32", "c");
  const cells = spatial.map((s, i) => cell(s, seen(s, at(p, i), at(r, i))));
  const fromX = K.linearIndex(
    [fromBatch, K.add(K.mul(group, K.int(inFeatures.size)), c), ...cells.map((e) => e.at)],
    [batch.x, inFeatures.x, ...spatial.map((s) => s.xStride)],
  );
  const fromW = K.linearIndex(
    [o, c, ...r],
    [outFeatures.w, inFeatures.w, ...spatial.map((s) => s.wStride)],
  );
  const sum: Stmt = {
    kind: "for",
    v: c,
    from: K.int(0),
    to: K.int(inFeatures.size),
    body: [set(acc, plus(acc, K.load(0, fromX, x.dtype), K.load(1, fromW, w.dtype)))],
  };

  /** window positions of axis i and the ones after it; without input dilation those that see the input are a range */
  const window = (i: number): readonly Stmt[] => {
    const s = spatial[i];
    if (s === undefined) return [sum];
    const v = at(r, i);
    const whole = { kind: "for", v, from: K.int(0), to: K.int(s.window) } as const;
    if (staysInside(s) && s.inputDilation === 1) return [{ ...whole, body: window(i + 1) }];
    if (s.inputDilation === 1)
      return [{ ...whole, from: at(first, i), to: at(last, i), body: window(i + 1) }];
    return [{ ...whole, body: [when(at(cells, i).holds, window(i + 1))] }];
  };
  const ranges = spatial.flatMap((s, i) => {
    if (staysInside(s) || s.inputDilation !== 1) return [];
    const start = K.sub(K.int(s.low), K.mul(at(p, i), K.int(s.stride)));
    return [
      set(at(first, i), K.min(firstFrom(start, s.windowDilation), K.int(s.window))),
      set(
        at(last, i),
        K.min(firstFrom(K.add(start, K.int(s.input)), s.windowDilation), K.int(s.window)),
      ),
    ];
  });
  const whole: readonly Stmt[] = [
    set(acc, K.lit(0, acc.dtype)),
    ...ranges,
    ...window(0),
    {
      kind: "store",
      buffer: 2,
      index: K.linearIndex(
        [n, o, ...p],
        [batch.out, outFeatures.out, ...spatial.map((s) => s.outStride)],
      ),
      value: K.cast(acc, out.dtype),
    },
  ];
  const body = [n, o, ...p].reduceRight<readonly Stmt[]>((inner, v, i) => {
    const size = i === 0 ? outBatch : i === 1 ? outFeatures.size : at(spatial, i - 2).output;
    return [{ kind: "for", v, from: K.int(0), to: K.int(size), body: inner }];
  }, whole);
  return { kind: "loops", name, buffers, body };
}

// ---- matrix products ----

/** An axis of the matrix of columns: of its rows (input feature, window) or of its columns (batch, output). A piece
 *  of it is made at a time, `step` long. */
interface Axis {
  readonly size: number;
  /** element stride in w (rows) or out (columns) */
  readonly stride: number;
  /** where its range is put for the copying kernel */
  readonly slot: number;
  step: number;
}

/** Rows or columns: `outer` axes are taken one index at a time, the `inner` ones make up one dimension of a product. */
interface Side {
  readonly outer: Axis[];
  readonly inner: Axis[];
}

export interface ConvPlan {
  readonly kernel: ConvKernel;
  readonly dtype: GemmDType;
  readonly rows: Side;
  readonly columns: Side;
  /** fills the matrix; its buffers are x, the matrix, and the ranges of all axes */
  readonly copy: LoopKernel;
}

/** Elements of a side's inner axes, by their steps. */
const extent = ({ inner }: Side): number => inner.reduce((n, a) => n * a.step, 1);

/** Axes by falling stride; those at the end that can be walked as one are the inner ones. */
function sideOf(axes: readonly Axis[]): Side {
  const order = [...axes].filter((a) => a.size > 1).sort((a, b) => b.stride - a.stride);
  let at = Math.max(0, order.length - 1);
  while (at > 0) {
    const [upper, lower] = [order[at - 1] as Axis, order[at] as Axis];
    if (upper.stride !== lower.stride * lower.size) break;
    at--;
  }
  const side = { outer: order.slice(0, at), inner: order.slice(at) };
  for (const a of side.outer) a.step = 1;
  return side;
}
/** Halves the piece that is made at a time. */
function shrink(side: Side): void {
  const first = side.inner[0] as Axis;
  if (first.step > 1) first.step = Math.ceil(first.step / 2);
  else side.outer.push(...side.inner.splice(0, 1));
}

/** Fewer output features than this in a group leave the product's tiles mostly empty. */
const leastFeatures = 4;
const leastWork = 4096;

/** How a convolution is done by matrix products with `scratch` bytes for the matrix, or null where loops serve better. */
export function planConv(kernel: ConvKernel, scratch: number): ConvPlan | null {
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial, buffers } = kernel;
  const { dtype } = buffers[2];
  if (!hasGemm(dtype) || buffers.some((b) => b.dtype !== dtype)) return null;
  if (featureGroups > 1 && batchGroups > 1) return null;
  const perGroup = outFeatures.size / (featureGroups * batchGroups);
  let slot = 0;
  const axis = (size: number, stride: number): Axis => ({ size, stride, slot: slot++, step: size });
  const columnAxes = [
    axis(batch.size / batchGroups, batch.out),
    ...spatial.map((s) => axis(s.output, s.outStride)),
  ];
  const rowAxes = [
    axis(inFeatures.size, inFeatures.w),
    ...spatial.map((s) => axis(s.window, s.wStride)),
  ];
  const work = [...columnAxes, ...rowAxes].reduce((n, a) => n * a.size, perGroup);
  if (perGroup < leastFeatures || work < leastWork) return null;
  const columns = sideOf(columnAxes);
  const rows = sideOf(rowAxes);
  while (extent(rows) * extent(columns) * dtypes[dtype].bytes > scratch)
    shrink(extent(columns) > extent(rows) ? columns : rows);
  const place = (side: Side): readonly number[] =>
    [...side.outer, ...side.inner].map((a) => a.slot);
  return {
    kernel,
    dtype,
    rows,
    columns,
    copy: copyKernel(kernel, place(rows), place(columns), slot),
  };
}

/** Copies what the ranges of the axes select into a dense matrix: row by row, and in a row along the columns, the axes
 *  of both in the given order; zero where the window sees padding. */
function copyKernel(
  kernel: ConvKernel,
  rowSlots: readonly number[],
  columnSlots: readonly number[],
  slots: number,
): LoopKernel {
  const { batch, inFeatures, spatial, buffers, name } = kernel;
  const { dtype } = buffers[0];
  const index = Array.from({ length: slots }, (_, i) => new KVar("int32", `i${i}`));
  const from = index.map((_, i) => new KVar("int32", `from${i}`));
  const to = index.map((_, i) => new KVar("int32", `to${i}`));
  const at = <T>(list: readonly T[], i: number): T => list[i] as T;
  const row = new KVar("int32", "row");
  const rank = spatial.length;
  const cells = spatial.map((s, i) => cell(s, seen(s, at(index, 1 + i), at(index, rank + 2 + i))));
  const read = K.load(
    0,
    K.linearIndex(
      [at(index, 0), at(index, rank + 1), ...cells.map((c) => c.at)],
      [batch.x, inFeatures.x, ...spatial.map((s) => s.xStride)],
    ),
    dtype,
  );
  const zero = K.lit(0, dtype);
  const along = (
    slot: number,
    body: readonly Stmt[],
    start: Expr = at(from, slot),
    end: Expr = at(to, slot),
  ): Stmt => ({
    kind: "for",
    v: at(index, slot),
    from: start,
    to: end,
    body,
  });

  // one row of the innermost column axis
  const inner = columnSlots.at(-1) ?? 0;
  const put = (value: Expr): Stmt => ({
    kind: "store",
    buffer: 1,
    index: K.add(row, K.sub(at(index, inner), at(from, inner))),
    value,
  });
  const inside = (skip: number): Expr =>
    cells.reduce<Expr>((all, c, i) => (i === skip ? all : K.and(all, c.holds)), K.lit(1, "bool"));
  const s = spatial[inner - 1];
  const line: Stmt[] = [];
  if (s === undefined || s.inputDilation !== 1)
    line.push(along(inner, [put(K.cond(inside(-1), read, zero))]));
  else {
    // the columns that see the input are a range, empty where another axis sees padding
    const first = new KVar("int32", "first");
    const last = new KVar("int32", "last");
    const start = K.sub(K.int(s.low), K.mul(at(index, rank + 1 + inner), K.int(s.windowDilation)));
    const [low, high] = [at(from, inner), at(to, inner)];
    const test = inside(inner - 1);
    line.push(
      set(first, within(firstFrom(start, s.stride), low, high)),
      set(
        last,
        K.select(
          test,
          within(firstFrom(K.add(start, K.int(s.input)), s.stride), first, high),
          first,
        ),
      ),
      along(inner, [put(zero)], low, first),
      along(inner, [put(read)], first, last),
      along(inner, [put(zero)], last, high),
    );
  }
  line.push(set(row, K.add(row, K.sub(at(to, inner), at(from, inner)))));

  const loops = (order: readonly number[], body: readonly Stmt[]): readonly Stmt[] =>
    order.reduceRight<readonly Stmt[]>((b, slot) => [along(slot, b)], body);
  const named = [...rowSlots, ...columnSlots];
  const body: Stmt[] = [
    set(row, K.int(0)),
    // axes of one element have no loop
    ...index.flatMap((v, i) => (named.includes(i) ? [] : [set(v, K.int(0))])),
    ...index.flatMap((_, i) =>
      named.includes(i) || i === inner
        ? [
            set(at(from, i), K.load(2, K.int(2 * i), "int32")),
            set(at(to, i), K.load(2, K.int(2 * i + 1), "int32")),
          ]
        : [],
    ),
    ...loops(rowSlots, loops(columnSlots.length === 0 ? [] : columnSlots.slice(0, -1), line)),
  ];
  return {
    kind: "loops",
    name: `${name} columns`,
    buffers: [
      buffers[0],
      { dtype, length: 0, access: "write" },
      { dtype: "int32", length: 2 * slots, access: "read" },
    ],
    body,
  };
}

/** Where in the instance's scratch memory a convolution keeps what it needs. */
export interface ConvScratch {
  /** ranges of the axes: up to 2·(2 + 2·rank) int32 */
  readonly ranges: number;
  readonly columns: number;
  readonly gemm: number;
}

/** The function of a planned convolution, given the indices of the product and of the copying kernel. */
export function convCalls(plan: ConvPlan, gemm: number, copy: number, scratch: ConvScratch): Code {
  const { kernel, rows, columns } = plan;
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups } = kernel;
  const width = dtypes[plan.dtype].bytes;
  const c = new Code(["i32", "i32", "i32"]);
  const [x, w, out] = [0, 1, 2] as const;
  const groups = featureGroups * batchGroups;
  const perGroup = outFeatures.size / groups;
  const starts = new Map<Axis, number>();
  const ends = new Map<Axis, number>();

  const range = (slot: number, from: () => void, to: () => void): void => {
    c.scratch(scratch.ranges);
    from();
    c.memory(0x36, 2, slot * 8);
    c.scratch(scratch.ranges);
    to();
    c.memory(0x36, 2, slot * 8 + 4);
  };
  /** runs `body` for each piece of the axes that are not made whole */
  const pieces = (axes: readonly Axis[], body: () => void): void => {
    const [a, ...rest] = axes;
    if (a === undefined) {
      body();
      return;
    }
    const start = c.local("i32");
    const end = c.local("i32");
    starts.set(a, start);
    ends.set(a, end);
    c.i32(0).set(start);
    c.loop(() => {
      c.get(start)
        .i32(a.step)
        .op(0x6a)
        .tee(end)
        .i32(a.size)
        .get(end)
        .i32(a.size)
        .op(0x48, 0x1b)
        .set(end);
      range(
        a.slot,
        () => c.get(start),
        () => c.get(end),
      );
      pieces(rest, body);
      c.get(end).tee(start).i32(a.size).op(0x48).brIf(0);
    });
  };
  const split = (side: Side): Axis[] =>
    [...side.outer, ...side.inner].filter((a) => a.step < a.size);
  /** elements of the piece at hand */
  const size = (side: Side): void => {
    c.i32(side.inner.filter((a) => !starts.has(a)).reduce((n, a) => n * a.size, 1));
    for (const a of side.inner) {
      const start = starts.get(a);
      if (start !== undefined)
        c.get(ends.get(a) as number)
          .get(start)
          .op(0x6b, 0x6c);
    }
  };
  /** address of the first element of the piece at hand */
  const address = (base: number, side: Side): void => {
    c.get(base);
    for (const a of [...side.outer, ...side.inner]) {
      const start = starts.get(a);
      if (start !== undefined)
        c.get(start)
          .i32(a.stride * width)
          .op(0x6c, 0x6a);
    }
  };

  for (let slot = 0; slot < 2 * (1 + kernel.spatial.length); slot++)
    range(
      slot,
      () => c.i32(0),
      () => c.i32(1),
    );
  for (const a of [...rows.inner, ...columns.inner])
    range(
      a.slot,
      () => c.i32(0),
      () => c.i32(a.size),
    );
  const group = c.local("i32");
  c.i32(groups).set(group);
  c.loop(() => {
    pieces(split(columns), () =>
      pieces(split(rows), () => {
        c.get(x).scratch(scratch.columns).scratch(scratch.ranges).call(copy);
        const rowStride = (rows.inner.at(-1)?.stride ?? 0) * width;
        const columnStride = (columns.inner.at(-1)?.stride ?? 0) * width;
        const weights = (): void => address(w, rows);
        const matrix = (): void => void c.scratch(scratch.columns);
        const nextRow = (): void => {
          size(columns);
          c.i32(width).op(0x6c);
        };
        // whole vectors are written along the columns of the product: those of the output that are contiguous
        const flip = columnStride !== width && outFeatures.out === 1;
        if (flip) {
          matrix();
          weights();
        } else {
          weights();
          matrix();
        }
        address(out, columns);
        if (flip) {
          size(columns);
          c.i32(perGroup);
          size(rows);
          c.i32(width);
          nextRow();
          c.i32(rowStride).i32(outFeatures.w * width);
          c.i32(columnStride).i32(outFeatures.out * width);
        } else {
          c.i32(perGroup);
          size(columns);
          size(rows);
          c.i32(outFeatures.w * width).i32(rowStride);
          nextRow();
          c.i32(width);
          c.i32(outFeatures.out * width).i32(columnStride);
        }
        // pieces of the rows after the first add to what is there
        c.i32(0);
        for (const a of split(rows)) c.get(starts.get(a) as number).op(0x72);
        c.i32(methods.packed).i32(0).scratch(scratch.gemm).call(gemm);
      }),
    );
    const toNext =
      featureGroups > 1 ? inFeatures.size * inFeatures.x : (batch.size / batchGroups) * batch.x;
    c.get(x)
      .i32(toNext * width)
      .op(0x6a)
      .set(x);
    c.get(w)
      .i32(perGroup * outFeatures.w * width)
      .op(0x6a)
      .set(w);
    c.get(out)
      .i32(perGroup * outFeatures.out * width)
      .op(0x6a)
      .set(out);
    c.get(group).i32(1).op(0x6b).tee(group).brIf(0);
  });
  return c;
}
