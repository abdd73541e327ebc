/** Convolutions as functions: copies of the input, tables, packed weights, products. */
import { dtypes } from "../../../dtype.ts";
import type { ConvSpatial } from "../../../kernel/kernel.ts";
import { elements, locals, tileColumns, tileRows } from "../contract/element.ts";
import * as op from "../i32.ts";
import { Code } from "../encoder.ts";
import type { KernelFunction } from "../function.ts";
import type { ListedProduct } from "../gemm.ts";
import { type Axis, type ConvPlan, imageBytes, mostDepth, mostRows, product } from "./plan.ts";

// what a convolution keeps in scratch memory: where the copy begins, tables, a tile, packed weights, copied images
const position = 0;
const places = 16;
const rowPlaces: number = places + 4 * (mostDepth + tileRows);
const outPlaces: number = rowPlaces + 4 * (mostRows + tileRows);
const tileBuffer: number = outPlaces + 4 * (mostRows + tileRows);
const block: number = tileBuffer + 128;
const blockBytes = 512 * 2 ** 10;
const imagesAt: number = block + blockBytes;
/** bytes of scratch that a convolution needs */
export const convScratch: number = imagesAt + imageBytes;

/** What threads share out. */
type Shared = "repeats" | "images" | "columns" | "positions";
const manyParts = 8;

/** The function of a planned convolution, given the index of its copying kernel. */
export function convCalls(
  plan: ConvPlan,
  listed: ListedProduct,
  copy: number | null,
): KernelFunction {
  const { kernel, rows, outer, chunked, inner, columns, repeats } = plan;
  const { batch, inFeatures, batchGroups, spatial } = kernel;
  const { bytes } = dtypes[plan.dtype];
  const width = tileColumns(elements[plan.dtype]);
  const images = batch.size / batchGroups;
  const first = spatial[0] as ConvSpatial;
  const range = {
    repeats: { extent: repeats.size, align: 1 },
    images: { extent: images, align: 1 },
    columns: { extent: columns.size, align: width },
    positions: { extent: first.output, align: 1 },
  };
  // what has enough parts, and next to nothing to be done for each of them
  const parts = (s: Shared): number => Math.ceil(range[s].extent / range[s].align);
  const inOrder = ["repeats", "images", "columns", "positions"] as const;
  const shared: Shared =
    inOrder.find((s) => parts(s) >= manyParts) ??
    inOrder.reduce((best, s) => (parts(s) > parts(best) ? s : best));

  const c = new Code(5);
  const [X, W, OUT, LO, HI] = [0, 1, 2, 3, 4] as const;
  /** for (v = from; v < to; v = end) with end = min(v + step, to), over what this call has of an extent */
  const pieces = (
    kind: Shared | null,
    extent: number,
    step: number,
    body: (start: number, count: number) => void,
  ): void => {
    const [v, to, count] = locals(c, 3);
    if (kind === shared) c.get(LO).set(v).get(HI).set(to);
    else c.i32(0).set(v).i32(extent).set(to);
    c.until(
      () => c.get(v, to).op(op.ge),
      () => {
        c.get(to, v).op(op.sub).tee(count).i32(step).get(count).i32(step);
        c.op(op.lt, op.select).set(count);
        body(v, count);
        c.get(v, count).op(op.add).set(v);
      },
    );
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
        c.get(at, sum).memory(0x36, 2).get(at).i32(4).op(op.add).set(at);
        return;
      }
      const [left, next] = locals(c, 2);
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
      c.get(at, at).i32(4).op(op.sub).memory(0x28, 2).memory(0x36, 2);
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
  const [x, w, out, source, target, add] = locals(c, 6);
  pieces("repeats", repeats.size, 1, (repeat) =>
    pieces(null, inFeatures.size, plan.features, (feature) => {
      offset(X, [repeat, repeats.x], [feature, inFeatures.x]).set(x);
      offset(W, [repeat, repeats.w], [feature, inFeatures.w]).set(w);
      offset(OUT, [repeat, repeats.out]).set(out);
      pieces("images", images, plan.images, (image, imageCount) =>
        pieces("positions", first.output, plan.positions, (from, positionCount) => {
          offset(out, [image, batch.out], [from, first.outStride]).set(target);
          if (copy === null) {
            offset(x, [image, batch.x], [from, first.stride * first.xStride]);
            c.i32(spatial.reduce((n, s) => n - s.low * s.xStride, 0) * bytes)
              .op(op.add)
              .set(source);
          } else {
            c.scratch(position).get(from).i32(first.stride).op(op.mul).memory(0x36, 2);
            const [i, image1] = locals(c, 2);
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
        c.get(add).scratch(tileBuffer).call(listed.run);
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
        c.get(to, rowsOfB);
        if (at === 0) c.get(depth);
        else c.i32(length);
        c.i32(columns.w * bytes).i32((axes.at(-1) as Axis).other * bytes);
        c.get(depth)
          .i32(width * bytes)
          .op(op.mul)
          .call(listed.pack);
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
