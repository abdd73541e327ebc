/** Contractions and convolutions: calls of the matrix product where it pays, loops in the kernel language
 *  elsewhere. */
import { type DType, dtypes, isFloat } from "../../dtype.ts";
import * as K from "../../kernel/expr.ts";
import { type Expr, KVar } from "../../kernel/expr.ts";
import type { ContractDim, ContractKernel, ConvKernel, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { loop, set, when } from "../../kernel/kernel.ts";
import { Code } from "./encoder.ts";

/** The dtype in which products for a result of dtype `d` are added up. */
const accumulator = (d: DType): DType => (isFloat(d) && d !== "float64" ? "float32" : d);

const plus = (sum: Expr, x: Expr, y: Expr): Expr =>
  sum.dtype === "bool"
    ? K.binary("or", sum, K.binary("and", x, y))
    : K.add(sum, K.mul(K.cast(x, sum.dtype), K.cast(y, sum.dtype)));

/** Nested loops over dims, outermost first. */
function nest(sizes: readonly number[], body: (index: readonly Expr[]) => readonly Stmt[]): readonly Stmt[] {
  const go = (at: number, index: readonly Expr[]): readonly Stmt[] => {
    if (at === sizes.length) return body(index);
    if (sizes[at] === 1) return go(at + 1, [...index, K.int(0)]);
    return [loop(sizes[at] as number, (v) => go(at + 1, [...index, v]))];
  };
  return go(0, []);
}
const place = (index: readonly Expr[], strides: readonly number[]): Expr => K.linearIndex(index, strides);

export function contractLoops(kernel: ContractKernel): LoopKernel {
  const { batch, m, n, k, buffers, name } = kernel;
  const [lhs, rhs, out] = buffers;
  const outer = [...batch, ...m, ...n];
  const acc = new KVar(accumulator(out.dtype), "acc");
  const body = nest(
    outer.map((d) => d.size),
    (index) => [
      set(acc, K.lit(0, acc.dtype)),
      ...nest(
        k.map((d) => d.size),
        (r) => {
          const at = (of: (d: ContractDim) => number): Expr => place([...index, ...r], [...outer, ...k].map(of));
          return [
            set(
              acc,
              plus(acc, K.load(0, at((d) => d.lhs), lhs.dtype), K.load(1, at((d) => d.rhs), rhs.dtype)),
            ),
          ];
        },
      ),
      {
        kind: "store",
        buffer: 2,
        index: place(index, outer.map((d) => d.out)),
        value: K.cast(acc, out.dtype),
      },
    ],
  );
  return { kind: "loops", name, buffers, body };
}

export function convLoops(kernel: ConvKernel): LoopKernel {
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial, buffers, name } = kernel;
  const [x, w, out] = buffers;
  const acc = new KVar(accumulator(out.dtype), "acc");
  const outBatch = batch.size / batchGroups;
  const perFeatureGroup = outFeatures.size / featureGroups;
  const perBatchGroup = outFeatures.size / batchGroups;
  const body = nest([outBatch, outFeatures.size, ...spatial.map((s) => s.output)], (index) => {
    const [nth, o, ...p] = index as [Expr, Expr, ...Expr[]];
    const group = K.div(o, K.int(perFeatureGroup));
    const fromBatch = batchGroups === 1 ? nth : K.add(nth, K.mul(K.div(o, K.int(perBatchGroup)), K.int(outBatch)));
    const inner = nest([...spatial.map((s) => s.window), inFeatures.size], (r) => {
      const c = r.at(-1) as Expr;
      let inside: Expr = K.lit(1, "bool");
      const at = spatial.map((s, i) => {
        const q = K.add(
          K.add(K.mul(p[i] as Expr, K.int(s.stride)), K.mul(r[i] as Expr, K.int(s.windowDilation))),
          K.int(-s.low),
        );
        const span = s.input === 0 ? 0 : (s.input - 1) * s.inputDilation + 1;
        if (s.low > 0 || (s.output - 1) * s.stride + (s.window - 1) * s.windowDilation - s.low >= span || s.low < 0)
          inside = K.and(inside, K.and(K.compare("ge", q, K.int(0)), K.compare("lt", q, K.int(span))));
        if (s.inputDilation === 1) return q;
        inside = K.and(inside, K.compare("eq", K.rem(q, K.int(s.inputDilation)), K.int(0)));
        return K.div(q, K.int(s.inputDilation));
      });
      const fromX = place(
        [fromBatch, K.add(K.mul(group, K.int(inFeatures.size)), c), ...at],
        [batch.x, inFeatures.x, ...spatial.map((s) => s.xStride)],
      );
      const fromW = place(
        [o, c, ...r.slice(0, -1)],
        [outFeatures.w, inFeatures.w, ...spatial.map((s) => s.wStride)],
      );
      const step = set(acc, plus(acc, K.load(0, fromX, x.dtype), K.load(1, fromW, w.dtype)));
      return [K.isLit(inside, 1) ? step : when(inside, [step])];
    });
    return [
      set(acc, K.lit(0, acc.dtype)),
      ...inner,
      {
        kind: "store",
        buffer: 2,
        index: place(index, [batch.out, outFeatures.out, ...spatial.map((s) => s.outStride)]),
        value: K.cast(acc, out.dtype),
      },
    ];
  });
  return { kind: "loops", name, buffers, body };
}

/** Dims that are walked as one: adjacent ones whose strides fit, in all operands. */
function collapse(dims: readonly ContractDim[]): ContractDim[] {
  const out: ContractDim[] = [];
  for (const d of dims.filter((x) => x.size !== 1)) {
    const last = out.at(-1);
    if (
      last !== undefined &&
      last.lhs === d.lhs * d.size &&
      last.rhs === d.rhs * d.size &&
      last.out === d.out * d.size
    )
      out[out.length - 1] = { ...d, size: last.size * d.size };
    else out.push(d);
  }
  return out;
}

const one: ContractDim = { size: 1, lhs: 0, rhs: 0, out: 0 };
/** Products below this size are not worth packing. */
const smallProduct = 2048;

/** A float32 contraction as matrix products, or null where loops serve better. */
export function contractCalls(kernel: ContractKernel, gemm: number, scratch: number): Code | null {
  const sizes = [kernel.batch, kernel.m, kernel.n, kernel.k].map((dims) => dims.reduce((p, d) => p * d.size, 1)) as [number, number, number, number];
  const [, m, n, k] = sizes;
  if (kernel.buffers.some((b) => b.dtype !== "float32") || sizes.includes(0) || m * n * k < smallProduct)
    return null;
  const width = dtypes.float32.bytes;
  // the longest dim of each kind is the product's own; the others are loops around it
  const split = (dims: readonly ContractDim[]): { own: ContractDim; loops: ContractDim[] } => {
    const all = collapse(dims);
    const own = all.reduce((best, d) => (d.size > best.size ? d : best), one);
    return { own, loops: all.filter((d) => d !== own) };
  };
  const [mm, nn, kk] = [split(kernel.m), split(kernel.n), split(kernel.k)];
  const c = new Code(["i32", "i32", "i32"]);
  const bases = [0, 1, 2].map((p) => ({ param: p, local: c.local("i32") }));
  for (const { param, local } of bases) c.get(param).set(local);
  const strides = (d: ContractDim): readonly [number, number, number] => [d.lhs * width, d.rhs * width, d.out * width];
  /** runs `body` for each index of `dims`, the bases moved along */
  const around = (dims: readonly ContractDim[], body: () => void, first?: () => void): void => {
    const [d, ...rest] = dims;
    if (d === undefined) {
      body();
      return;
    }
    const i = c.local("i32");
    c.i32(0).set(i);
    c.loop(() => {
      around(rest, body, first);
      strides(d).forEach((s, p) => {
        const { local } = bases[p] as (typeof bases)[number];
        if (s !== 0) c.get(local).i32(s).op(0x6a).set(local);
      });
      first?.();
      c.get(i).i32(1).op(0x6a).tee(i).i32(d.size).op(0x48).brIf(0);
    });
    strides(d).forEach((s, p) => {
      const { local } = bases[p] as (typeof bases)[number];
      if (s !== 0) c.get(local).i32(s * d.size).op(0x6b).set(local);
    });
  };
  const add = c.local("i32");
  around([...collapse(kernel.batch), ...mm.loops, ...nn.loops], () => {
    c.i32(0).set(add);
    around(
      kk.loops,
      () => {
        for (const { local } of bases) c.get(local);
        for (const v of [
          mm.own.size,
          nn.own.size,
          kk.own.size,
          mm.own.lhs * width,
          kk.own.lhs * width,
          kk.own.rhs * width,
          nn.own.rhs * width,
          mm.own.out * width,
          nn.own.out * width,
        ])
          c.i32(v);
        c.get(add).i32(scratch).call(gemm);
      },
      () => c.i32(1).set(add),
    );
  });
  return c;
}
