/** Convolutions as loops in the kernel language. */
import * as K from "../../../kernel/expr.ts";
import { type Expr, KVar } from "../../../kernel/expr.ts";
import type { ConvKernel, ConvSpatial, LoopKernel, Stmt } from "../../../kernel/kernel.ts";
import { set, when } from "../../../kernel/kernel.ts";
import { accumulator, nest, plus } from "../templates.ts";

// ---- positions ----

/** p·stride + r·windowDilation − low: the place in the dilated input that position r of the window sees from output p */
const seen = (s: ConvSpatial, p: Expr, r: Expr): Expr =>
  K.add(K.add(K.mul(p, K.int(s.stride)), K.mul(r, K.int(s.windowDilation))), K.int(-s.low));

/** cells of the dilated input */
const span = (s: ConvSpatial): number => (s.input === 0 ? 0 : (s.input - 1) * s.inputDilation + 1);

/** True when the window never leaves the input. */
export const staysInside = (s: ConvSpatial): boolean =>
  s.low <= 0 && (s.output - 1) * s.stride + (s.window - 1) * s.windowDilation - s.low < span(s);

/** Whether cell q of the dilated input holds an element, and which one. */
export function cell(s: ConvSpatial, q: Expr): { readonly holds: Expr; readonly at: Expr } {
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
  const axes = spatial.map((s, i) => {
    const local = (name: string): KVar => new KVar("int32", name + i);
    const [p, r] = [local("p"), local("r")];
    const ends = [local("first"), local("last")] as const;
    return {
      s,
      p,
      r,
      ends,
      cell: cell(s, seen(s, p, r)),
      ranged: !staysInside(s) && s.inputDilation === 1,
    };
  });

  /** the feature axis of the input innermost, so that no test stands in the inner loop */
  const c = new KVar("int32", "c");
  const fromX = K.linearIndex(
    [fromBatch, K.add(K.mul(group, K.int(inFeatures.size)), c), ...axes.map((a) => a.cell.at)],
    [batch.x, inFeatures.x, ...spatial.map((s) => s.xStride)],
  );
  const fromW = K.linearIndex(
    [o, c, ...axes.map((a) => a.r)],
    [outFeatures.w, inFeatures.w, ...spatial.map((s) => s.wStride)],
  );
  const sum = nest([{ v: c, size: inFeatures.size }], false, [
    set(acc, plus(acc, K.load(0, fromX, x.dtype), K.load(1, fromW, w.dtype))),
  ]);

  /** positions of the window; without input dilation those that see the input are a range */
  const window = axes.reduceRight<readonly Stmt[]>(
    (inner, { s, r, ends, cell: { holds }, ranged }) => {
      const [from, to] = ranged ? ends : [K.int(0), K.int(s.window)];
      const body = s.inputDilation === 1 ? inner : [when(holds, inner)];
      return [{ kind: "for", v: r, from, to, body }];
    },
    sum,
  );
  const ranges = axes.flatMap(({ s, p, ends, ranged }) => {
    if (!ranged) return [];
    const start = K.sub(K.int(s.low), K.mul(p, K.int(s.stride)));
    return [start, K.add(start, K.int(s.input))].map((x, i) =>
      set(ends[i] as KVar, K.min(firstFrom(x, s.windowDilation), K.int(s.window))),
    );
  });
  const whole: readonly Stmt[] = [
    set(acc, K.lit(0, acc.dtype)),
    ...ranges,
    ...window,
    {
      kind: "store",
      buffer: 2,
      index: K.linearIndex(
        [n, o, ...axes.map((a) => a.p)],
        [batch.out, outFeatures.out, ...spatial.map((s) => s.outStride)],
      ),
      value: K.cast(acc, out.dtype),
    },
  ];
  const images = { v: n, size: outBatch };
  const features = { v: o, size: outFeatures.size };
  const outermost = outBatch > 1 ? [images, features] : [features, images];
  const places = axes.map(({ p, s }) => ({ v: p, size: s.output }));
  const body = nest([...outermost, ...places], true, whole);
  return { kind: "loops", name, buffers, body };
}
