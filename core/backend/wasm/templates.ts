/** Contractions: calls of the matrix product where it pays, loops in the kernel language elsewhere. */
import { type DType, dtypes, isFloat } from "../../dtype.ts";
import * as K from "../../kernel/expr.ts";
import { type Expr, KVar } from "../../kernel/expr.ts";
import type { ContractDim, ContractKernel, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { loop, set } from "../../kernel/kernel.ts";
import { Code } from "./encoder.ts";
import { type GemmDType, hasGemm } from "./gemm.ts";

/** The dtype in which products for a result of dtype `d` are added up. */
export const accumulator = (d: DType): DType => (isFloat(d) && d !== "float64" ? "float32" : d);

/** sum + x·y; for bool, sum ∨ (x ∧ y) */
export const plus = (sum: Expr, x: Expr, y: Expr): Expr =>
  sum.dtype === "bool"
    ? K.binary("or", sum, K.binary("and", x, y))
    : K.add(sum, K.mul(K.cast(x, sum.dtype), K.cast(y, sum.dtype)));

/** Nested loops over dims, outermost first. */
function nest(
  sizes: readonly number[],
  body: (index: readonly Expr[]) => readonly Stmt[],
): readonly Stmt[] {
  const go = (at: number, index: readonly Expr[]): readonly Stmt[] => {
    if (at === sizes.length) return body(index);
    if (sizes[at] === 1) return go(at + 1, [...index, K.int(0)]);
    return [loop(sizes[at] as number, (v) => go(at + 1, [...index, v]))];
  };
  return go(0, []);
}
const place = (index: readonly Expr[], strides: readonly number[]): Expr =>
  K.linearIndex(index, strides);

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
          const at = (of: (d: ContractDim) => number): Expr =>
            place([...index, ...r], [...outer, ...k].map(of));
          return [
            set(
              acc,
              plus(
                acc,
                K.load(
                  0,
                  at((d) => d.lhs),
                  lhs.dtype,
                ),
                K.load(
                  1,
                  at((d) => d.rhs),
                  rhs.dtype,
                ),
              ),
            ),
          ];
        },
      ),
      {
        kind: "store",
        buffer: 2,
        index: place(
          index,
          outer.map((d) => d.out),
        ),
        value: K.cast(acc, out.dtype),
      },
    ],
  );
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

/** The dtype of the matrix products that make up a contraction, or null where loops serve better. */
export function contractProduct({ buffers, batch, m, n, k }: ContractKernel): GemmDType | null {
  const { dtype } = buffers[2];
  const size = (dims: readonly ContractDim[]): number => dims.reduce((p, d) => p * d.size, 1);
  if (!hasGemm(dtype) || buffers.some((b) => b.dtype !== dtype) || size(batch) === 0) return null;
  return size(m) * size(n) * size(k) < smallProduct ? null : dtype;
}

/** A contraction as calls of the matrix product, with `scratch` bytes into the instance's memory for packing. */
export function contractCalls(kernel: ContractKernel, gemm: number, scratch: number): Code {
  const width = dtypes[kernel.buffers[2].dtype].bytes;
  // the longest dim of each kind is the product's own; the others are loops around it
  const split = (dims: readonly ContractDim[]): { own: ContractDim; loops: ContractDim[] } => {
    const all = collapse(dims);
    const own = all.reduce((best, d) => (d.size > best.size ? d : best), one);
    return { own, loops: all.filter((d) => d !== own) };
  };
  const [mm, nn, kk] = [split(kernel.m), split(kernel.n), split(kernel.k)];
  // the product writes whole vectors along its columns: (A·B)ᵀ = Bᵀ·Aᵀ where the rows are what is contiguous
  const flip = nn.own.out !== 1 && mm.own.out === 1;
  const c = new Code(["i32", "i32", "i32"]);
  const bases = [0, 1, 2].map((p) => ({ param: p, local: c.local("i32") }));
  for (const { param, local } of bases) c.get(param).set(local);
  const strides = (d: ContractDim): readonly [number, number, number] => [
    d.lhs * width,
    d.rhs * width,
    d.out * width,
  ];
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
      if (s !== 0)
        c.get(local)
          .i32(s * d.size)
          .op(0x6b)
          .set(local);
    });
  };
  const add = c.local("i32");
  around([...collapse(kernel.batch), ...mm.loops, ...nn.loops], () => {
    c.i32(0).set(add);
    around(
      kk.loops,
      () => {
        for (const p of flip ? [1, 0, 2] : [0, 1, 2])
          c.get((bases[p] as (typeof bases)[number]).local);
        const [rows, columns, depth] = flip ? [nn.own, mm.own, kk.own] : [mm.own, nn.own, kk.own];
        const [left, right] = flip ? (["rhs", "lhs"] as const) : (["lhs", "rhs"] as const);
        for (const v of [rows.size, columns.size, depth.size]) c.i32(v);
        for (const v of [
          rows[left],
          depth[left],
          depth[right],
          columns[right],
          rows.out,
          columns.out,
        ])
          c.i32(v * width);
        c.get(add).scratch(scratch).call(gemm);
      },
      () => c.i32(1).set(add),
    );
  });
  return c;
}
