/** Contractions: calls of the matrix product where it pays, loops in the kernel language elsewhere. */
import { type DType, dtypes, isFloat } from "../../dtype.ts";
import * as K from "../../kernel/expr.ts";
import { type Expr, KVar } from "../../kernel/expr.ts";
import type { ContractDim, ContractKernel, LoopKernel, Stmt } from "../../kernel/kernel.ts";
import { collapse, set } from "../../kernel/kernel.ts";
import { elements, tileColumns, tileRows } from "./contract/element.ts";
import * as op from "./i32.ts";
import { Code } from "./encoder.ts";
import type { KernelFunction } from "./function.ts";
import { type GemmDType, hasGemm, type Method, mostDirectDepth, type ProductName } from "./gemm.ts";

/** The dtype in which products for a result of dtype `d` are added up. */
export const accumulator = (d: DType): DType => (isFloat(d) && d !== "float64" ? "float32" : d);

/** sum + x·y; for bool, sum ∨ (x ∧ y) */
export const plus = (sum: Expr, x: Expr, y: Expr): Expr =>
  sum.dtype === "bool"
    ? K.binary("or", sum, K.binary("and", x, y))
    : K.add(sum, K.mul(K.cast(x, sum.dtype), K.cast(y, sum.dtype)));

/** Loops over dims, outermost first. */
export const nest = (
  dims: readonly { readonly v: KVar; readonly size: number }[],
  parallel: boolean,
  body: readonly Stmt[],
): readonly Stmt[] =>
  dims.reduceRight<readonly Stmt[]>(
    (inner, { v, size }, i) => [
      {
        kind: "for",
        v,
        from: K.int(0),
        to: K.int(size),
        body: inner,
        parallel: parallel && i === 0,
      },
    ],
    body,
  );

export function contractLoops(kernel: ContractKernel): LoopKernel {
  const { batch, m, n, buffers, name } = kernel;
  const [lhs, rhs, out] = buffers;
  const counted = (dims: readonly ContractDim[]) =>
    dims.filter((d) => d.size !== 1).map((d) => ({ ...d, v: new KVar("int32", "i") }));
  const outer = counted([...batch, ...m, ...n]);
  const summed = counted(kernel.k);
  const place = (dims: typeof outer, operand: "lhs" | "rhs" | "out"): Expr =>
    K.linearIndex(
      dims.map((d) => d.v),
      dims.map((d) => d[operand]),
    );
  const all = [...outer, ...summed];
  const acc = new KVar(accumulator(out.dtype), "acc");
  const x = K.load(0, place(all, "lhs"), lhs.dtype);
  const y = K.load(1, place(all, "rhs"), rhs.dtype);
  const body = nest(outer, true, [
    set(acc, K.lit(0, acc.dtype)),
    ...nest(summed, false, [set(acc, plus(acc, x, y))]),
    { kind: "store", buffer: 2, index: place(outer, "out"), value: K.cast(acc, out.dtype) },
  ]);
  return { kind: "loops", name, buffers, body };
}

const sizeOf = (dims: readonly ContractDim[]): number => dims.reduce((p, d) => p * d.size, 1);
const one: ContractDim = { size: 1, lhs: 0, rhs: 0, out: 0 };
/** Products below this size are not worth a call. */
const smallProduct = 256;

/** Matrix products: C = A·B. */
interface Product {
  /** A is the rhs of the contraction */
  readonly flip: boolean;
  readonly rows: ContractDim;
  readonly columns: ContractDim;
  /** rows that are products by themselves */
  readonly apart: readonly ContractDim[];
  readonly depth: ContractDim;
  readonly method: Method;
  /** the most of the summed dim that is taken at a time */
  readonly depthBlock: number;
}

/** bytes of B that the first-level cache holds beside the rest */
const smallOperand = 2 ** 15;
/** Products of fewer rows than this do not earn a copy of B, … */
const fewRows = 12;
/** … and up to so many rows are quicker one by one, without and with sums along vectors. */
const singleRows = { sumOfRows: 2, rowSums: 5 } as const;

function planProduct(m: ContractDim, n: ContractDim, k: ContractDim, bytes: number): Product {
  const plan = (flip: boolean, method: Method, depthBlock = k.size): Product => {
    const [rows, columns] = flip ? [n, m] : [m, n];
    const single = method === "rowSums" || method === "sumOfRows";
    return {
      flip,
      rows: single ? one : rows,
      columns,
      apart: single ? [rows] : [],
      depth: k,
      method,
      depthBlock,
    };
  };
  for (const flip of [false, true]) {
    const [rows, columns] = flip ? [n, m] : [m, n];
    const b = flip ? "lhs" : "rhs";
    if (rows.size > columns.size) continue;
    if (rows.size <= singleRows.rowSums && k[b] === 1) return plan(flip, "rowSums");
    if (rows.size <= singleRows.sumOfRows && columns[b] === 1 && columns.out === 1)
      return plan(flip, "sumOfRows");
  }
  // products write whole vectors along their columns: (A·B)ᵀ = Bᵀ·Aᵀ where what is contiguous are the rows
  const flip = n.size === 1 || (m.size !== 1 && n.out !== 1 && m.out === 1);
  const [rows, columns, b] = flip ? ([n, m, "lhs"] as const) : ([m, n, "rhs"] as const);
  // rows of B are told apart by their addresses; those of a broadcast row have one
  if (k[b] === 0) return plan(flip, "packed");
  const small = columns.size * k.size * bytes <= smallOperand;
  if (small && k.size <= mostDirectDepth) return plan(flip, "direct");
  if (columns[b] === 1 && rows.size <= fewRows) return plan(flip, "direct", 32);
  return plan(flip, "packed");
}

/** The address of the buffers of a kernel, which loops move along. */
interface Base {
  readonly local: number;
  /** bytes from one index of a dim to the next */
  readonly stride: (d: ContractDim) => number;
}

/** base += sign · count · stride, for each base */
function moveAlong(c: Code, bases: readonly Base[], d: ContractDim, count: () => void): void {
  for (const { local, stride } of bases) {
    const by = stride(d);
    if (by === 0) continue;
    c.get(local);
    count();
    c.i32(by).op(op.mul, op.add).set(local);
  }
}

/** Runs `body` for the indices of `dims` counted through, the last dim fastest: for all, or from one local to another. */
function around(
  c: Code,
  bases: readonly Base[],
  dims: readonly ContractDim[],
  body: () => void,
  part?: readonly [lo: number, hi: number],
): void {
  if (dims.length === 0 && part === undefined) {
    body();
    return;
  }
  const fastestFirst = dims.map((d) => ({ d, i: c.local("i32") })).reverse();
  const left = c.local("i32");
  if (part === undefined) c.i32(sizeOf(dims)).set(left);
  else {
    c.get(part[0]).set(left);
    for (const { d, i } of fastestFirst) {
      c.get(left).i32(d.size).op(op.rem).set(i);
      c.get(left).i32(d.size).op(op.div).set(left);
      moveAlong(c, bases, d, () => c.get(i));
    }
    c.get(part[1], part[0]).op(op.sub).set(left);
  }
  c.until(
    () => c.get(left).i32(0).op(op.le),
    () => {
      body();
      // one further; after the last, all are back at the first
      c.block(() => {
        for (const { d, i } of fastestFirst) {
          moveAlong(c, bases, d, () => c.i32(1));
          c.get(i).i32(1).op(op.add).tee(i).i32(d.size).op(op.lt).brIf(0);
          moveAlong(c, bases, d, () => c.i32(-d.size));
          c.i32(0).set(i);
        }
      });
      c.get(left).i32(1).op(op.sub).set(left);
    },
  );
}

/** Dims from this size on are equally good for a product. */
const longDim = 64;

/** From as many products on, it is those that are shared out, not the rows or columns of each. */
const manyProducts = 8;

/** A contraction as matrix products. */
export interface ContractPlan {
  readonly kernel: ContractKernel;
  readonly product: ProductName;
  readonly own: Product;
  /** dims around the product, and further ones of the sum */
  readonly outer: readonly ContractDim[];
  readonly depths: readonly ContractDim[];
}

/** How a contraction is done by products, or null where loops serve better. */
export function planContract(kernel: ContractKernel): ContractPlan | null {
  const { buffers, batch, m, n, k } = kernel;
  const { dtype } = buffers[2];
  if (!hasGemm(dtype) || buffers.some((b) => b.dtype !== dtype) || sizeOf(batch) === 0) return null;
  if (sizeOf(m) * sizeOf(n) * sizeOf(k) < smallProduct) return null;
  // the longest dim of each kind is the product's own, of long ones the one whose elements lie nearest; the others are
  // loops around it
  const length = (d: ContractDim): number => Math.min(d.size, longDim);
  const distance = (d: ContractDim): number => d.lhs + d.rhs + d.out;
  const split = (dims: readonly ContractDim[]): { own: ContractDim; loops: ContractDim[] } => {
    const all = collapse(dims);
    const [own = one] = all.toSorted((x, y) => length(y) - length(x) || distance(x) - distance(y));
    return { own, loops: all.filter((d) => d !== own) };
  };
  const [mm, nn, kk] = [split(m), split(n), split(k)];
  const own = planProduct(mm.own, nn.own, kk.own, dtypes[dtype].bytes);
  return {
    kernel,
    product: `${dtype}.${own.method}`,
    own,
    outer: [...collapse(batch), ...mm.loops, ...nn.loops, ...own.apart],
    depths: kk.loops,
  };
}

/** A contraction as calls of its product, the function `gemm`. */
export function contractCalls(plan: ContractPlan, gemm: number): KernelFunction {
  const { kernel, depths } = plan;
  const { bytes } = dtypes[kernel.buffers[2].dtype];
  const { flip, rows, columns, depth, depthBlock } = plan.own;
  const { outer } = plan;
  const products = sizeOf(outer);

  const c = new Code(5);
  const [lo, hi] = [3, 4] as const;
  const [lhs, rhs, out] = (["lhs", "rhs", "out"] as const).map(
    (operand, local): Base => ({ local, stride: (d) => d[operand] * bytes }),
  ) as [Base, Base, Base];
  const bases = [lhs, rhs, out];
  const [a, b] = flip ? [rhs, lhs] : [lhs, rhs];
  const add = c.local("i32");
  /** the products of one index of `outer`, with the sizes of rows and columns as given */
  const product = (m: () => void, n: () => void): void => {
    c.i32(0).set(add);
    around(c, bases, depths, () => {
      for (const { local } of [a, b, out]) c.get(local);
      m();
      n();
      c.i32(depth.size);
      for (const stride of [
        a.stride(rows),
        a.stride(depth),
        b.stride(depth),
        b.stride(columns),
        out.stride(rows),
        out.stride(columns),
      ])
        c.i32(stride);
      c.get(add).i32(depthBlock);
      c.scratch(0).call(gemm).i32(1).set(add);
    });
  };
  const whole = (d: ContractDim) => () => void c.i32(d.size);
  const part = (): void => void c.get(hi, lo).op(op.sub);
  const shared = rows.size > columns.size ? rows : columns;
  const align =
    shared === rows ? tileRows : tileColumns(elements[kernel.buffers[2].dtype as GemmDType]);
  if (products >= manyProducts || shared.size <= align) {
    around(c, bases, outer, () => product(whole(rows), whole(columns)), [lo, hi]);
    return { code: c, range: { extent: products, align: 1 } };
  }
  moveAlong(c, bases, shared, () => c.get(lo));
  around(c, bases, outer, () =>
    shared === rows ? product(part, whole(columns)) : product(whole(rows), part),
  );
  return { code: c, range: { extent: shared.size, align } };
}
