/** The kernel language, part two: statements, kernels, and the forms in which a primitive is lowered. */
import type { DType } from "../dtype.ts";
import { type Expr, int, isLit, KVar, load } from "./expr.ts";

// ---- statements ----

export type Stmt =
  /** for (v = from; v < to; v++), v int32; `to` is evaluated once. The iterations of a `parallel` loop may run in
   *  any order and at once: none stores to what another loads or stores. */
  | {
      readonly kind: "for";
      readonly v: KVar;
      readonly from: Expr;
      readonly to: Expr;
      readonly body: readonly Stmt[];
      readonly parallel?: boolean;
    }
  | { readonly kind: "while"; readonly test: Expr; readonly body: readonly Stmt[] }
  | {
      readonly kind: "if";
      readonly test: Expr;
      readonly yes: readonly Stmt[];
      readonly no: readonly Stmt[];
    }
  /** declares or assigns a local; locals are scoped to the kernel */
  | { readonly kind: "set"; readonly v: KVar; readonly value: Expr }
  /** buffer[index] = value, with the buffer's dtype */
  | {
      readonly kind: "store";
      readonly buffer: number;
      readonly index: Expr;
      readonly value: Expr;
    };

/** Several loads of a statement are evaluated before its store; statements run in order. */
export const loop = (
  extent: Expr | number,
  body: (v: KVar) => readonly Stmt[],
  from: Expr | number = 0,
): Stmt => {
  const v = new KVar("int32", "i");
  const e = (x: Expr | number): Expr => (typeof x === "number" ? int(x) : x);
  return { kind: "for", v, from: e(from), to: e(extent), body: body(v) };
};
/** A loop whose iterations may run in any order and at once. */
export const parallel = (extent: Expr | number, body: (v: KVar) => readonly Stmt[]): Stmt => ({
  ...(loop(extent, body) as Stmt & { readonly kind: "for" }),
  parallel: true,
});
export const whileLoop = (test: Expr, body: readonly Stmt[]): Stmt => ({
  kind: "while",
  test,
  body,
});
export const when = (test: Expr, yes: readonly Stmt[], no: readonly Stmt[] = []): Stmt => ({
  kind: "if",
  test,
  yes,
  no,
});
export const set = (v: KVar, value: Expr): Stmt => {
  if (v.dtype !== value.dtype)
    throw new Error(`kernel set ${v.name}: ${v.dtype} from ${value.dtype}`);
  return { kind: "set", v, value };
};

export type ForLoop = Stmt & { readonly kind: "for" };
/** The number of iterations, where it is known. */
export const extentOf = ({ from, to }: ForLoop): number | null =>
  isLit(from) && isLit(to) ? to.value - from.value : null;

/** The expressions of a statement itself. */
export function roots(s: Stmt): readonly Expr[] {
  switch (s.kind) {
    case "for":
      return [s.from, s.to];
    case "while":
    case "if":
      return [s.test];
    case "set":
      return [s.value];
    case "store":
      return [s.index, s.value];
  }
}
/** The statements inside one. */
export function bodies(s: Stmt): readonly (readonly Stmt[])[] {
  if (s.kind === "if") return [s.yes, s.no];
  return s.kind === "for" || s.kind === "while" ? [s.body] : [];
}
/** Calls `f` for each statement, also for those inside others. */
export function eachStatement(body: readonly Stmt[], f: (s: Stmt) => void): void {
  for (const s of body) {
    f(s);
    for (const inner of bodies(s)) eachStatement(inner, f);
  }
}
/** Statements with other expressions, and other statements inside. */
export function mapStatement(
  s: Stmt,
  f: (e: Expr) => Expr,
  inner: (body: readonly Stmt[]) => readonly Stmt[] = (body) => body.map((x) => mapStatement(x, f)),
): Stmt {
  switch (s.kind) {
    case "for":
      return { ...s, from: f(s.from), to: f(s.to), body: inner(s.body) };
    case "while":
      return { ...s, test: f(s.test), body: inner(s.body) };
    case "if":
      return { ...s, test: f(s.test), yes: inner(s.yes), no: inner(s.no) };
    case "set":
      return { ...s, value: f(s.value) };
    case "store":
      return { ...s, index: f(s.index), value: f(s.value) };
  }
}

// ---- kernels: what a backend receives ----

export interface KernelBuffer {
  readonly dtype: DType;
  /** elements */
  readonly length: number;
  readonly access: "read" | "write" | "readwrite";
}

/** Positions of a buffer that a kernel writes and of one that it reads which may be the same memory. */
export interface InPlace {
  readonly out: number;
  readonly operand: number;
}

/** A loop nest, interpreted or emitted as it stands. `load`/`store` name `buffers` by position. */
export interface LoopKernel {
  readonly kind: "loops";
  readonly name: string;
  readonly buffers: readonly KernelBuffer[];
  readonly body: readonly Stmt[];
  /** (default: none) */
  readonly inPlace?: readonly InPlace[];
}

/** The loop that is all of a kernel and whose iterations are independent, so that parts of it may run at once. */
export function parallelLoop({ body }: LoopKernel): (ForLoop & { to: { kind: "lit" } }) | null {
  const [only] = body;
  return body.length === 1 &&
    only?.kind === "for" &&
    only.parallel === true &&
    isLit(only.from, 0) &&
    isLit(only.to)
    ? (only as ForLoop & { to: { kind: "lit" } })
    : null;
}

/** One loop dimension of a contraction, with its stride in elements in each operand (0 where absent). */
export interface ContractDim {
  readonly size: number;
  readonly lhs: number;
  readonly rhs: number;
  readonly out: number;
}

/** Dims that are walked as one: adjacent ones whose strides fit, in all operands. */
export function collapse(dims: readonly ContractDim[]): ContractDim[] {
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

/** out[b…, m…, n…] = Σ_k lhs·rhs; buffers: lhs, rhs, out. Float sums are accumulated at least in float32. */
export interface ContractKernel {
  readonly kind: "contract";
  readonly name: string;
  readonly buffers: readonly [KernelBuffer, KernelBuffer, KernelBuffer];
  /** dims in both operands and the output */
  readonly batch: readonly ContractDim[];
  /** dims of lhs and output */
  readonly m: readonly ContractDim[];
  /** dims of rhs and output */
  readonly n: readonly ContractDim[];
  /** summed dims of lhs and rhs */
  readonly k: readonly ContractDim[];
}

/** Cross-correlation in the canonical layout: x [N, C, …in], w [O, C/groups, …window], out [N, O, …out].
 *  out[n,o,p] = Σ_{c,r} x[n, c, (p·stride + r·windowDilation − low) / inputDilation] · w[o,c,r], where positions that are
 *  outside the input or between dilated elements count as zero. Strides place any memory layout. */
export interface ConvSpatial {
  readonly input: number;
  readonly window: number;
  readonly output: number;
  readonly stride: number;
  readonly low: number;
  readonly inputDilation: number;
  readonly windowDilation: number;
  /** element strides of this spatial axis in x, w and out */
  readonly xStride: number;
  readonly wStride: number;
  readonly outStride: number;
}
export interface ConvKernel {
  readonly kind: "conv";
  readonly name: string;
  readonly buffers: readonly [KernelBuffer, KernelBuffer, KernelBuffer];
  readonly batch: { readonly size: number; readonly x: number; readonly out: number };
  /** `size` input features per group; strides of the feature axis in x and w */
  readonly inFeatures: { readonly size: number; readonly x: number; readonly w: number };
  /** `size` output features in all; strides in w and out */
  readonly outFeatures: { readonly size: number; readonly w: number; readonly out: number };
  readonly featureGroups: number;
  /** batch groups: output feature o of group g reads batches g·N/groups …, JAX's batch_group_count */
  readonly batchGroups: number;
  readonly spatial: readonly ConvSpatial[];
}

export type Kernel = LoopKernel | ContractKernel | ConvKernel;

// ---- lowerings: what a primitive gives ----

/** Element of input `i` at a multi-index over that input's shape. */
export type Read = (input: number, index: readonly Expr[]) => Expr;

/** out_j[index] = at(index)[j]. All outputs have one shape. */
export interface MapLowering {
  readonly kind: "map";
  at(index: readonly Expr[], read: Read): readonly Expr[];
}

/** out[index] = finish(fold of step over r in the box `extents`, from init). The accumulators have the dtypes
 *  of `init` and may be wider than the outputs; `finish` (identity by default) narrows. */
export interface ReduceLowering {
  readonly kind: "reduce";
  readonly extents: readonly number[];
  init(index: readonly Expr[]): readonly Expr[];
  step(
    acc: readonly Expr[],
    index: readonly Expr[],
    r: readonly Expr[],
    read: Read,
  ): readonly Expr[];
  finish?(acc: readonly Expr[]): readonly Expr[];
}

/** A buffer as routines see it: elements by linear position (row-major). */
export interface Buf {
  readonly dtype: DType;
  readonly length: number;
  at(index: Expr): Expr;
  store(index: Expr, value: Expr): Stmt;
}

/** Room that a routine needs. */
export interface Temp {
  readonly dtype: DType;
  /** elements */
  readonly length: number;
  /** what it holds is of one iteration of the outermost loop, so that each thread has room of its own; of these a routine may
   *  have `maxScratch` bytes */
  readonly scratch?: boolean;
}
/** Scratch memory of one kernel, in bytes. */
export const maxScratch: number = 2 ** 17;

/** An imperative kernel over whole buffers: sort, scatter, cumulative sums, factorisations. */
export interface RoutineLowering {
  readonly kind: "routine";
  readonly temps?: readonly Temp[];
  build(inputs: readonly Buf[], outputs: readonly Buf[], temps: readonly Buf[]): readonly Stmt[];
}

/** A contraction or convolution; buffers are filled in from the equation (lhs, rhs, out). */
export type TemplateLowering =
  | Omit<ContractKernel, "name" | "buffers">
  | Omit<ConvKernel, "name" | "buffers">;

/** The output has the elements of input 0, in order: no work. */
export interface AliasLowering {
  readonly kind: "alias";
}

export type Lowering =
  | MapLowering
  | ReduceLowering
  | RoutineLowering
  | TemplateLowering
  | AliasLowering;

/** A routine's view of kernel buffer number `buffer`. */
export function bufferView(buffer: number, dtype: DType, length: number): Buf {
  return {
    dtype,
    length,
    at: (index) => load(buffer, index, dtype),
    store: (index, value) => {
      if (value.dtype !== dtype) throw new Error(`kernel store: ${dtype} from ${value.dtype}`);
      return { kind: "store", buffer, index, value };
    },
  };
}
