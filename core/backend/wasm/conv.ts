/** Convolutions as matrix products that are read in place: the rows are the places (image, output position) a window is
 *  put at, the columns the output features, the summed dim runs through input feature and window. The address of an
 *  element of such a row is a sum of one number for the row and one for the place in the window, so that two tables stand
 *  for the matrix. Input that is padded or dilated is copied first, with zeros where the window sees no element. */
import { dtypes } from "../../dtype.ts";
import * as K from "../../kernel/expr.ts";
import { type Expr, KVar } from "../../kernel/expr.ts";
import type {
  ContractDim,
  ContractKernel,
  ConvKernel,
  ConvSpatial,
  LoopKernel,
  Stmt,
} from "../../kernel/kernel.ts";
import { when } from "../../kernel/kernel.ts";
import { elements, op, tileColumns, tileRows } from "./contract/element.ts";
import { span, staysInside } from "./conv-loops.ts";
import { Code } from "./encoder.ts";
import type { KernelFunction } from "./function.ts";
import { type GemmDType, hasGemm, type Products } from "./gemm.ts";

/** A convolution by windows of one element that see only input, as the contraction that it is. */
export function pointwise({
  batch,
  inFeatures,
  outFeatures,
  featureGroups,
  batchGroups,
  spatial,
  buffers,
  name,
}: ConvKernel): ContractKernel | null {
  if (spatial.some((s) => s.window !== 1 || s.low !== 0 || s.inputDilation !== 1)) return null;
  if (!spatial.every(staysInside) || (featureGroups > 1 && batchGroups > 1)) return null;
  const groups = featureGroups * batchGroups;
  const perGroup = outFeatures.size / groups;
  const outBatch = batch.size / batchGroups;
  const nextGroup: ContractDim = {
    size: groups,
    lhs: featureGroups > 1 ? inFeatures.size * inFeatures.x : outBatch * batch.x,
    rhs: perGroup * outFeatures.w,
    out: perGroup * outFeatures.out,
  };
  return {
    kind: "contract",
    name,
    buffers,
    batch: groups === 1 ? [] : [nextGroup],
    m: [
      { size: outBatch, lhs: batch.x, rhs: 0, out: batch.out },
      ...spatial.map((s) => ({
        size: s.output,
        lhs: s.stride * s.xStride,
        rhs: 0,
        out: s.outStride,
      })),
    ],
    n: [{ size: perGroup, lhs: 0, rhs: outFeatures.w, out: outFeatures.out }],
    k: [{ size: inFeatures.size, lhs: inFeatures.x, rhs: inFeatures.w, out: 0 }],
  };
}

// ---- the plan ----

/** An axis of the rows (image, output position) or of the summed dim (input feature, window). */
interface Axis {
  readonly size: number;
  /** element strides: in the input or its copy; in the weights (summed) or the output (rows) */
  readonly from: number;
  readonly other: number;
}

/** A number of columns, or of products, with the element strides between them. */
interface Multiple {
  readonly size: number;
  readonly x: number;
  readonly w: number;
  readonly out: number;
}

export interface ConvPlan {
  readonly kernel: ConvKernel;
  readonly dtype: GemmDType;
  /** the columns of a product: the features of a group, or, where those are few, the groups; `lanes`: then each column reads
   *  input of its own */
  readonly columns: Multiple;
  readonly lanes: boolean;
  /** products: the groups, or the features of a group */
  readonly repeats: Multiple;
  /** copies one image, from a position of the first spatial axis on; null where the input is read itself */
  readonly copy: LoopKernel | null;
  /** elements of a copied image */
  readonly imageSize: number;
  /** rows in order; images, positions of the first spatial axis and input features are made at most so many at a time */
  readonly rows: readonly { readonly axis: Axis; readonly role: "image" | "first" | "other" }[];
  readonly images: number;
  readonly positions: number;
  readonly features: number;
  /** axes of the summed dim, by falling stride in the weights: one by one, in chunks, whole */
  readonly outer: readonly Axis[];
  readonly chunked: { readonly axis: Axis; readonly step: number };
  readonly inner: readonly Axis[];
}

/** Groups of so few features leave a tile mostly empty. */
const fewFeatures = 2;
/** Smaller ones are loops. */
const leastWork = 4096;
/** the most of the summed dim that is taken at a time */
const mostDepth = 512;
/** entries of the tables of rows */
const mostRows = 2 ** 14;

// what a convolution keeps in scratch memory: where the copy begins, tables, a tile, packed weights, copied images
const position = 0;
const places = 16;
const rowPlaces: number = places + 4 * (mostDepth + tileRows);
const outPlaces: number = rowPlaces + 4 * (mostRows + tileRows);
const tileBuffer: number = outPlaces + 4 * (mostRows + tileRows);
const block: number = tileBuffer + 128;
const blockBytes = 512 * 2 ** 10;
const imagesAt: number = block + blockBytes;
const imageBytes = 3 * 2 ** 20;
/** bytes of scratch that a convolution needs */
export const convScratch: number = imagesAt + imageBytes;

const product = (list: readonly { readonly size: number }[]): number =>
  list.reduce((p, a) => p * a.size, 1);
/** The largest step up to `most` that cuts `size` into nearly equal pieces. */
const evenStep = (size: number, most: number): number =>
  Math.ceil(size / Math.ceil(size / Math.max(1, Math.min(most, size))));

/** Cells of a dilated input that `outputs` positions of the window see. */
const reach = (s: ConvSpatial, outputs: number): number =>
  (outputs - 1) * s.stride + (s.window - 1) * s.windowDilation + 1;

/** The largest divisor of n up to `most`. */
function divisor(n: number, most: number): number {
  let d = Math.max(1, Math.min(n, Math.floor(most)));
  while (n % d !== 0) d--;
  return d;
}

/** An axis of a copied image; `at` counts the spatial ones, −1 are the input features, −2 the groups. */
interface CopyAxis {
  readonly at: number;
  readonly size: number;
  readonly x: number;
}

/** How a convolution is done by products, or null where loops serve better. */
export function planConv(kernel: ConvKernel): ConvPlan | null {
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial, buffers } = kernel;
  const { dtype } = buffers[2];
  if (!hasGemm(dtype) || buffers.some((b) => b.dtype !== dtype)) return null;
  if (featureGroups > 1 && batchGroups > 1) return null;
  const groups = featureGroups * batchGroups;
  const perGroup = outFeatures.size / groups;
  const images = batch.size / batchGroups;
  const area = spatial.reduce((p, s) => p * s.output, 1);
  const depth = spatial.reduce((p, s) => p * s.window, inFeatures.size);
  if (images * area * depth * outFeatures.size < leastWork) return null;
  if (perGroup <= fewFeatures && groups > perGroup) {
    const lanes = planProducts(kernel, dtype, true);
    if (lanes !== null) return lanes;
  }
  return planProducts(kernel, dtype, false);
}

function planProducts(kernel: ConvKernel, dtype: GemmDType, lanes: boolean): ConvPlan | null {
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial } = kernel;
  const groups = featureGroups * batchGroups;
  const perGroup = outFeatures.size / groups;
  const images = batch.size / batchGroups;
  const area = spatial.reduce((p, s) => p * s.output, 1);
  const { bytes } = dtypes[dtype];
  const ofGroups: Multiple = {
    size: groups,
    x: featureGroups > 1 ? inFeatures.size * inFeatures.x : images * batch.x,
    w: perGroup * outFeatures.w,
    out: perGroup * outFeatures.out,
  };
  const ofFeatures: Multiple = { size: perGroup, x: 0, w: outFeatures.w, out: outFeatures.out };

  const copied = lanes || spatial.some((s) => !staysInside(s) || s.inputDilation !== 1);
  const first = spatial[0]?.output ?? 1;
  /** an image, with so many positions of the first axis and input features at a time */
  const layout = (positions: number, features: number) => {
    const axes: CopyAxis[] = [
      { at: -1, size: features, x: inFeatures.x },
      ...spatial.map((s, at) => ({
        at,
        size: reach(s, at === 0 ? positions : s.output),
        x: s.xStride,
      })),
    ].sort((a, b) => b.x - a.x);
    // groups lie side by side, in whole tiles
    if (lanes) axes.push({ at: -2, size: groups, x: ofGroups.x });
    const width = tileColumns(elements[dtype]);
    const strides = new Map<number, number>();
    let imageSize = 1;
    for (const { at, size } of [...axes].reverse()) {
      strides.set(at, imageSize);
      imageSize *= at === -2 ? Math.ceil(size / width) * width : size;
    }
    return { axes, strides, imageSize };
  };
  const fits = (positions: number, features: number): boolean =>
    (area / first) * positions <= mostRows &&
    (!copied || layout(positions, features).imageSize * bytes <= imageBytes);
  let [positions, features] = [first, inFeatures.size];
  while (!fits(positions, features)) {
    if (positions > 8 || (positions > 1 && features === 1)) positions = Math.ceil(positions / 2);
    else if (features > 1) features = divisor(inFeatures.size, features - 1);
    else return null;
  }
  const { axes, strides, imageSize } = layout(positions, features);
  const atOnce = Math.min(
    Math.floor(mostRows / area),
    copied ? Math.floor(imageBytes / (imageSize * bytes)) : mostRows,
  );

  const stride = (at: number): number =>
    copied
      ? (strides.get(at) as number)
      : at < 0
        ? inFeatures.x
        : (spatial[at] as ConvSpatial).xStride;
  const rows: ConvPlan["rows"] = [
    {
      role: "image" as const,
      axis: { size: images, from: copied ? imageSize : batch.x, other: batch.out },
    },
    ...spatial
      .map((s, i) => ({
        role: i === 0 ? ("first" as const) : ("other" as const),
        axis: { size: s.output, from: s.stride * stride(i), other: s.outStride },
      }))
      .sort((a, b) => b.axis.other - a.axis.other),
  ];
  const summed = [
    { size: features, from: stride(-1), other: inFeatures.w },
    ...spatial.map((s, i) => ({
      size: s.window,
      from: s.windowDilation * stride(i),
      other: s.wStride,
    })),
  ]
    .filter((a) => a.size > 1)
    .sort((a, b) => b.other - a.other);
  if (summed.length === 0) summed.push({ size: 1, from: 0, other: 0 });
  let at = summed.length - 1;
  while (at > 0 && product(summed.slice(at)) * 2 <= mostDepth) at--;
  const inner = summed.slice(at + 1);
  const chunked = summed[at] as Axis;
  return {
    kernel,
    dtype,
    columns: lanes ? ofGroups : ofFeatures,
    lanes,
    repeats: lanes ? ofFeatures : ofGroups,
    copy: copied ? copyKernel(kernel, axes, imageSize) : null,
    imageSize,
    rows,
    images: positions < first ? 1 : evenStep(images, atOnce),
    positions,
    features,
    outer: summed.slice(0, at),
    chunked: {
      axis: chunked,
      step: evenStep(chunked.size, Math.floor(mostDepth / product(inner))),
    },
    inner,
  };
}

/** Copies one image into a dense one of the given axes: cells of the dilated input that windows see, zero where it has no
 *  element. Its buffers are the image, the copy, and the position on the first spatial axis at which the copy begins. */
function copyKernel(kernel: ConvKernel, order: readonly CopyAxis[], imageSize: number): LoopKernel {
  const { spatial, buffers, name } = kernel;
  const { dtype } = buffers[0];
  const row = new KVar("int32", "row");
  const begin = new KVar("int32", "begin");
  const index = new Map(order.map(({ at }) => [at, new KVar("int32", `i${at + 2}`)]));
  const zero = K.lit(0, dtype);
  /** the place on an axis, and whether an element is there; `least` is the first cell that is copied */
  const cells = order.map(({ at, x }) => {
    const i = index.get(at) as KVar;
    const s = spatial[at];
    if (s === undefined) return { offset: K.mul(i, K.int(x)), holds: K.lit(1, "bool") };
    const q = K.add(at === 0 ? K.add(i, begin) : i, K.int(-s.low));
    const d = K.int(s.inputDilation);
    const inside = staysInside(s)
      ? K.lit(1, "bool")
      : K.and(K.compare("ge", q, K.int(0)), K.compare("lt", q, K.int(span(s))));
    const holds =
      s.inputDilation === 1 ? inside : K.and(inside, K.compare("eq", K.rem(q, d), K.int(0)));
    return { offset: K.mul(K.div(q, d), K.int(x)), holds };
  });
  const all = (list: typeof cells): Expr =>
    list.reduce<Expr>((e, c) => K.and(e, c.holds), K.lit(1, "bool"));
  const read = K.load(
    0,
    cells.reduce<Expr>((e, c) => K.add(e, c.offset), K.int(0)),
    dtype,
  );
  const last = order.at(-1) as CopyAxis;
  const lineSize = imageSize / product(order.slice(0, -1));
  const along = (
    a: CopyAxis,
    body: readonly Stmt[],
    from: Expr = K.int(0),
    to: Expr = K.int(a.size),
  ): Stmt => ({ kind: "for", v: index.get(a.at) as KVar, from, to, body });
  const put = (value: Expr): Stmt => ({
    kind: "store",
    buffer: 1,
    index: K.add(row, index.get(last.at) as KVar),
    value,
  });
  // the elements of a line are a range of it, where there are no holes in between
  const s = spatial[last.at];
  const clamp = (x: Expr): Expr => K.min(K.max(x, K.int(0)), K.int(last.size));
  const origin = last.at === 0 ? K.sub(K.int(s?.low ?? 0), begin) : K.int(s?.low ?? 0);
  const [from, to] =
    s === undefined || staysInside(s)
      ? [K.int(0), K.int(last.size)]
      : [clamp(origin), clamp(K.add(origin, K.int(s.input)))];
  const [start, end] = [new KVar("int32", "start"), new KVar("int32", "end")];
  const line: readonly Stmt[] =
    s !== undefined && s.inputDilation !== 1
      ? [along(last, [put(K.cond(all(cells), read, zero))])]
      : [
          when(
            all(cells.slice(0, -1)),
            [
              along(last, [put(zero)], K.int(0), start),
              along(last, [put(read)], start, end),
              along(last, [put(zero)], end, K.int(last.size)),
            ],
            [along(last, [put(zero)])],
          ),
        ];
  const set = (v: KVar, value: Expr): Stmt => ({ kind: "set", v, value });
  return {
    kind: "loops",
    name: `${name} input`,
    buffers: [
      buffers[0],
      { dtype, length: 0, access: "write" },
      { dtype: "int32", length: 1, access: "read" },
    ],
    body: [
      set(row, K.int(0)),
      set(begin, K.load(2, K.int(0), "int32")),
      set(start, from),
      set(end, to),
      ...order
        .slice(0, -1)
        .reduceRight<readonly Stmt[]>(
          (body, a) => [along(a, body)],
          [...line, set(row, K.add(row, K.int(lineSize)))],
        ),
    ],
  };
}

// ---- the calls ----

/** What threads share out. */
type Shared = "repeats" | "images" | "columns" | "positions";
const manyParts = 8;

/** The function of a planned convolution, given the index of its copying kernel. */
export function convCalls(plan: ConvPlan, products: Products, copy: number | null): KernelFunction {
  const { kernel, rows, outer, chunked, inner, columns, repeats } = plan;
  const { batch, inFeatures, batchGroups, spatial } = kernel;
  const { bytes } = dtypes[plan.dtype];
  const width = tileColumns(elements[plan.dtype]);
  const images = batch.size / batchGroups;
  const first = spatial[0]?.output ?? 1;
  const range = {
    repeats: { extent: repeats.size, align: 1 },
    images: { extent: images, align: 1 },
    columns: { extent: columns.size, align: width },
    positions: { extent: first, align: 1 },
  };
  // what has enough parts, and next to nothing to be done for each of them
  const parts = (s: Shared): number => Math.ceil(range[s].extent / range[s].align);
  const inOrder = ["repeats", "images", "columns", "positions"] as const;
  const shared: Shared =
    inOrder.find((s) => parts(s) >= manyParts) ??
    inOrder.reduce((best, s) => (parts(s) > parts(best) ? s : best));

  const c = new Code(["i32", "i32", "i32", "i32", "i32"]);
  const [X, W, OUT, LO, HI] = [0, 1, 2, 3, 4] as const;
  /** for (v = from; v < to; v = end) with end = min(v + step, to), over what this call has of an extent */
  const pieces = (
    kind: Shared | null,
    extent: number,
    step: number,
    body: (start: number, count: number) => void,
  ): void => {
    const [v, to, count] = [c.local("i32"), c.local("i32"), c.local("i32")] as const;
    if (kind === shared) c.get(LO).set(v).get(HI).set(to);
    else c.i32(0).set(v).i32(extent).set(to);
    c.block(() => {
      c.loop(() => {
        c.get(v).get(to).op(op.ge).brIf(1);
        c.get(to).get(v).op(op.sub).tee(count).i32(step).get(count).i32(step);
        c.op(op.lt, op.select).set(count);
        body(v, count);
        c.get(v).get(count).op(op.add).set(v).br(0);
      });
    });
  };
  /** pushes base + index·elements */
  const offset = (base: number, ...terms: (readonly [index: number, elements: number])[]): Code => {
    c.get(base);
    for (const [i, n] of terms)
      if (n !== 0)
        c.get(i)
          .i32(n * bytes)
          .op(op.mul, op.add);
    return c;
  };
  /** into `table`, the sums of the indices of axes times their strides; `count` is the size of an axis, or the local that
   *  has it */
  const fill = (
    table: number,
    axes: readonly { readonly stride: number; readonly count: () => void }[],
  ): void => {
    const at = c.local("i32");
    const go = (depth: number, sum: number): void => {
      const axis = axes[depth];
      if (axis === undefined) {
        c.get(at).get(sum).memory(0x36, 2).get(at).i32(4).op(op.add).set(at);
        return;
      }
      const [left, next] = [c.local("i32"), c.local("i32")] as const;
      c.get(sum).set(next);
      axis.count();
      c.set(left);
      c.loop(() => {
        go(depth + 1, next);
        c.get(next)
          .i32(axis.stride * bytes)
          .op(op.add)
          .set(next);
        c.get(left).i32(1).op(op.sub).tee(left).brIf(0);
      });
    };
    const zero = c.local("i32");
    c.i32(0).set(zero);
    c.scratch(table).set(at);
    go(0, zero);
    // the last entry stands for rows of a tile that are missing
    for (let i = 0; i < tileRows - 1; i++) {
      c.get(at).get(at).i32(4).op(op.sub).memory(0x28, 2).memory(0x36, 2);
      c.get(at).i32(4).op(op.add).set(at);
    }
  };

  fill(
    places,
    [{ ...chunked.axis, size: chunked.step }, ...inner].map((a) => ({
      stride: a.from,
      count: () => void c.i32(a.size),
    })),
  );
  const [x, w, out, source, target, add] = Array.from({ length: 6 }, () => c.local("i32")) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  pieces("repeats", repeats.size, 1, (repeat) =>
    pieces(null, inFeatures.size, plan.features, (feature) => {
      offset(X, [repeat, repeats.x], [feature, inFeatures.x]).set(x);
      offset(W, [repeat, repeats.w], [feature, inFeatures.w]).set(w);
      offset(OUT, [repeat, repeats.out]).set(out);
      pieces("images", images, plan.images, (image, imageCount) =>
        pieces("positions", first, plan.positions, (from, positionCount) => {
          offset(out, [image, batch.out], [from, spatial[0]?.outStride ?? 0]).set(target);
          if (copy === null) {
            offset(
              x,
              [image, batch.x],
              [from, (spatial[0]?.stride ?? 0) * (spatial[0]?.xStride ?? 0)],
            );
            c.i32(spatial.reduce((n, s) => n - s.low * s.xStride, 0) * bytes)
              .op(op.add)
              .set(source);
          } else {
            c.scratch(position)
              .get(from)
              .i32(spatial[0]?.stride ?? 0)
              .op(op.mul)
              .memory(0x36, 2);
            const [i, image1] = [c.local("i32"), c.local("i32")] as const;
            c.scratch(imagesAt).tee(source).set(image1);
            c.i32(0).set(i);
            c.loop(() => {
              offset(x, [image, batch.x], [i, batch.x]).get(image1).scratch(position).call(copy);
              c.get(image1)
                .i32(plan.imageSize * bytes)
                .op(op.add)
                .set(image1);
              c.get(i).i32(1).op(op.add).tee(i).get(imageCount).op(op.lt).brIf(0);
            });
          }
          const count =
            ({ role, axis }: ConvPlan["rows"][number]) =>
            (): void =>
              void (role === "image"
                ? c.get(imageCount)
                : role === "first"
                  ? c.get(positionCount)
                  : c.i32(axis.size));
          fill(
            rowPlaces,
            rows.map((r) => ({ stride: r.axis.from, count: count(r) })),
          );
          fill(
            outPlaces,
            rows.map((r) => ({ stride: r.axis.other, count: count(r) })),
          );
          const rowCount = c.local("i32");
          c.i32(1);
          for (const r of rows) {
            count(r)();
            c.op(op.mul);
          }
          c.set(rowCount).get(feature).set(add);
          blocks(rowCount);
        }),
      );
    }),
  );
  return { code: c, range: range[shared] };

  /** The products of the rows in the tables with all features, over all of the summed dim. */
  function blocks(rowCount: number): void {
    const held = product(inner);
    const starts: (readonly [number, Axis])[] = [];
    const go = (at: number): void => {
      const axis = outer[at];
      if (axis !== undefined) {
        pieces(null, axis.size, 1, (i) => {
          starts.push([i, axis]);
          go(at + 1);
          starts.pop();
        });
        return;
      }
      pieces(null, chunked.axis.size, chunked.step, (start, count) => {
        starts.push([start, chunked.axis]);
        block1(count);
        starts.pop();
        c.i32(1).set(add);
      });
    };
    const block1 = (count: number): void => {
      const depth = c.local("i32");
      c.get(count).i32(held).op(op.mul).set(depth);
      const mostColumns = Math.floor(blockBytes / (chunked.step * held * bytes * width));
      pieces("columns", columns.size, Math.max(1, mostColumns) * width, (column, length) => {
        packWeights(column, length, count, depth);
        const own = plan.lanes ? ([[column, 1]] as const) : [];
        offset(source, ...starts.map(([i, a]) => [i, a.from] as const), ...own);
        c.scratch(rowPlaces).scratch(outPlaces).get(rowCount).scratch(places).get(depth);
        c.scratch(block).get(length);
        offset(target, [column, columns.out]);
        c.i32((rows.at(-1) as ConvPlan["rows"][number]).axis.other * bytes);
        c.i32(columns.out * bytes);
        c.get(add)
          .scratch(tileBuffer)
          .call(plan.lanes ? products.lanes : products.patches);
      });
    };
    /** Packs the weights of a block: as much at once as lies in memory at equal distances. */
    const packWeights = (column: number, rowsOfB: number, count: number, depth: number): void => {
      const axes = [chunked.axis, ...inner];
      let at = axes.length - 1;
      while (at > 0) {
        const [a, b] = [axes[at - 1] as Axis, axes[at] as Axis];
        if (a.other !== b.other * b.size) break;
        at--;
      }
      const to = c.local("i32");
      c.scratch(block).set(to);
      const length = product(axes.slice(Math.max(1, at)));
      const one = (indices: readonly (readonly [number, Axis])[]): void => {
        offset(
          w,
          [column, columns.w],
          ...[...starts, ...indices].map(([i, a]) => [i, a.other] as const),
        );
        c.get(to).get(rowsOfB);
        if (at === 0) c.get(depth);
        else c.i32(length);
        c.i32(columns.w * bytes).i32((axes.at(-1) as Axis).other * bytes);
        c.get(depth)
          .i32(width * bytes)
          .op(op.mul)
          .call(products.pack);
        if (at > 0)
          c.get(to)
            .i32(length * width * bytes)
            .op(op.add)
            .set(to);
      };
      const around = (level: number, indices: readonly (readonly [number, Axis])[]): void => {
        if (level >= at) {
          one(indices);
          return;
        }
        const axis = axes[level] as Axis;
        const i = c.local("i32");
        c.i32(0).set(i);
        c.loop(() => {
          around(level + 1, [...indices, [i, axis]]);
          c.get(i).i32(1).op(op.add).tee(i);
          if (level === 0) c.get(count);
          else c.i32(axis.size);
          c.op(op.lt).brIf(0);
        });
      };
      around(0, []);
    };
    go(0);
  }
}
