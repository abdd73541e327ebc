/** The copy of an image that a convolution reads, as a kernel of loops. */
import * as K from "../../../kernel/expr.ts";
import { type Expr, KVar } from "../../../kernel/expr.ts";
import type { ConvKernel, LoopKernel, Stmt } from "../../../kernel/kernel.ts";
import { set, when } from "../../../kernel/kernel.ts";
import { cell, staysInside } from "./loops.ts";

/** An axis of a copied image; `at` counts the spatial ones, −1 are the input features, −2 the groups. */
export interface CopyAxis {
  readonly at: number;
  readonly size: number;
  readonly x: number;
}

/** Copies one image into a dense one of the given axes: cells of the dilated input that windows see, zero where it has no
 *  element. Its buffers are the image, the copy, and the position on the first spatial axis at which the copy begins. */
export function copyKernel(
  kernel: ConvKernel,
  order: readonly CopyAxis[],
  imageSize: number,
): LoopKernel {
  const { spatial, buffers, name } = kernel;
  const { dtype } = buffers[0];
  const row = new KVar("int32", "row");
  const begin = new KVar("int32", "begin");
  const index = new Map(order.map(({ at }) => [at, new KVar("int32", `i${at + 2}`)]));
  const zero = K.lit(0, dtype);
  /** the place on an axis, and whether an element is there */
  const cells = order.map(({ at, x }) => {
    const i = index.get(at) as KVar;
    const s = spatial[at];
    if (s === undefined) return { offset: K.mul(i, K.int(x)), holds: K.lit(1, "bool") };
    const { holds, at: q } = cell(s, K.add(at === 0 ? K.add(i, begin) : i, K.int(-s.low)));
    return { offset: K.mul(q, K.int(x)), holds };
  });
  const all = (list: typeof cells): Expr =>
    list.reduce<Expr>((e, c) => K.and(e, c.holds), K.lit(1, "bool"));
  const read = K.load(
    0,
    cells.reduce<Expr>((e, c) => K.add(e, c.offset), K.int(0)),
    dtype,
  );
  const last = order.at(-1) as CopyAxis;
  const lineSize = order.slice(0, -1).reduce((n, a) => n / a.size, imageSize);
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
