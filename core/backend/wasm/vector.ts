/** Loops four iterations at a time: a lane for each. An expression that does not depend on the loop is computed as a
 *  scalar and splat; any other is a list of 128-bit registers: one of four 32-bit lanes, or for float64 two of two
 *  lanes. A bool is a mask of 32-bit lanes (all ones for true), integers are kept wrapped in theirs.
 *
 *  Each lane does what the scalar loop does, operation by operation, so that its bits do not depend on where an
 *  element falls. Only reductions are reordered, in a way that depends on the number of iterations alone. */
import { castNumber, type DType, dtypes } from "../../dtype.ts";
import {
  binary,
  type CompareOp,
  type Expr,
  isLit,
  KVar,
  lit,
  operands,
  unary,
} from "../../kernel/expr.ts";
import type { LoopKernel, Stmt } from "../../kernel/kernel.ts";
import type { AffineForms } from "../../program/affine.ts";
import type { Code, ValType } from "./encoder.ts";

export const lanes = 4;
type Regs = readonly number[];
type For = Stmt & { readonly kind: "for" };
type Assign = Stmt & { readonly kind: "set" | "store" };

/** What the scalar emitter does for this one. */
export interface ScalarEmitter {
  readonly code: Code;
  readonly kernel: LoopKernel;
  readonly forms: AffineForms;
  /** leaves the value on the stack */
  expr(e: Expr): void;
  /** runs `f`, within which `expr` may be called */
  fresh(roots: readonly Expr[], f: () => void): void;
  variable(v: KVar): number;
  /** leaves an address on the stack; gives the constant offset to it */
  address(buffer: number, index: Expr): number;
  /** nodes that are evaluated whichever branch is taken, outer ones first */
  common(e: Expr & { kind: "cond" }): ReadonlySet<Expr>;
  /** groups of statements that may share what they have in common; any but sets and stores stand alone */
  groups(body: readonly Stmt[]): readonly (readonly Stmt[])[];
  loadScalar(dtype: DType, offset: number): void;
  storeScalar(dtype: DType, offset: number): void;
}

// ---- which loops ----

/** A reduction by an associative operation: v = v op x. */
interface Accumulator {
  readonly v: KVar;
  readonly op: "add" | "mul" | "min" | "max" | "and" | "or" | "xor";
  readonly x: Expr;
}
export interface VectorPlan {
  readonly loop: For;
  readonly accumulators: readonly Accumulator[];
  /** independent copies of the body in one round */
  readonly copies: number;
}

const associative: ReadonlySet<string> = new Set(["add", "mul", "min", "max", "and", "or", "xor"]);
const half = (d: DType): boolean => d === "float16" || d === "bfloat16";
const simple = (s: Stmt): s is Assign => s.kind === "set" || s.kind === "store";

function mentions(e: Expr, v: KVar, seen = new Set<Expr>()): boolean {
  if (e === v) return true;
  if (seen.has(e)) return false;
  seen.add(e);
  return operands(e).some((x) => mentions(x, v, seen));
}
function eachNode(roots: readonly Expr[], f: (e: Expr) => void): void {
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    f(e);
    operands(e).forEach(visit);
  };
  roots.forEach(visit);
}
/** All statements of some loops that have only loops inside, or null. */
function flat(body: readonly Stmt[], loops: For[] = []): Assign[] | null {
  const out: Assign[] = [];
  for (const s of body) {
    if (simple(s)) out.push(s);
    else if (s.kind === "for" && isLit(s.from) && isLit(s.to)) {
      loops.push(s);
      const inner = flat(s.body, loops);
      if (inner === null) return null;
      out.push(...inner);
    } else return null;
  }
  return out;
}

/** How a loop is done by vectors, or null where it is not. `outside` tells whether a variable is used elsewhere. */
export function planVectors(
  loop: For,
  kernel: LoopKernel,
  forms: AffineForms,
  outside: (v: KVar, loop: For) => boolean,
): VectorPlan | null {
  if (isLit(loop.from) && isLit(loop.to) && loop.to.value - loop.from.value < 2 * lanes)
    return null;
  const inner: For[] = [];
  const body = flat(loop.body, inner);
  if (body === null || body.length === 0) return null;
  const nested = inner.length > 0;
  // an outer loop is taken for the columns of reductions along a leading axis
  if (nested && (loop.parallel !== true || inner.some((l) => l.parallel === true))) return null;
  const roots = body.flatMap((s) => (s.kind === "store" ? [s.index, s.value] : [s.value]));
  let fits = true;
  let work = 0;
  eachNode(roots, (e) => {
    if (half(e.dtype)) fits = false;
    if (e.kind === "bitcast" && dtypes[e.dtype].bytes !== 4 && e.dtype !== e.x.dtype) fits = false;
    work++;
  });
  if (!fits) return null;

  const coefficient = (index: Expr): number | null => {
    const form = forms.of(index);
    for (const atom of form.terms.keys())
      if (atom !== loop.v && mentions(atom, loop.v)) return null;
    return form.terms.get(loop.v) ?? 0;
  };
  // stores: each iteration writes elsewhere, and reads nothing that another one writes
  const stored = new Map<number, string>();
  let unit = 0;
  let strided = 0;
  for (const s of body) {
    if (s.kind !== "store") continue;
    if (half((kernel.buffers[s.buffer] as LoopKernel["buffers"][number]).dtype)) return null;
    const c = coefficient(s.index);
    if (c === null || c === 0) return null;
    if (c === 1) unit++;
    else strided++;
    const key = forms.key(forms.of(s.index));
    if ((stored.get(s.buffer) ?? key) !== key && loop.parallel !== true) return null;
    stored.set(s.buffer, key);
  }
  eachNode(roots, (e) => {
    if (e.kind !== "load") return;
    const c = coefficient(e.index);
    if (c === 1) unit++;
    else if (c !== 0) strided++;
    const key = stored.get(e.buffer);
    if (key !== undefined && loop.parallel !== true && key !== forms.key(forms.of(e.index)))
      fits = false;
  });
  if (!fits || (strided > unit && work < 24 * strided)) return null;
  if (nested && (strided > 0 || unit === 0)) return null;

  // locals: set before they are used, or accumulators
  const accumulators: Accumulator[] = [];
  const defined = new Set<KVar>();
  const reads = (s: Stmt): readonly Expr[] =>
    s.kind === "store" ? [s.index, s.value] : s.kind === "set" ? [s.value] : [];
  const targets = new Set(body.flatMap((s) => (s.kind === "set" ? [s.v] : [])));
  for (const v of targets) if (outside(v, loop) && nested) return null;
  if (nested) {
    // every local must be set at the top of the body before a loop or a statement reads it
    const check = (list: readonly Stmt[]): boolean =>
      list.every((s) => {
        if (s.kind === "for") return check(s.body);
        for (const e of reads(s))
          for (const v of targets) if (!defined.has(v) && mentions(e, v)) return false;
        if (s.kind === "set") defined.add(s.v);
        return true;
      });
    return check(loop.body) ? { loop, accumulators, copies: 4 } : null;
  }
  for (const s of body) {
    const e = s.kind === "set" ? s.value : null;
    if (s.kind === "set" && !defined.has(s.v) && e !== null && mentions(e, s.v)) {
      if (e.kind !== "binary" || !associative.has(e.op)) return null;
      const x = e.x === s.v ? e.y : e.y === s.v ? e.x : null;
      if (x === null || mentions(x, s.v)) return null;
      const uses = body.filter(
        (t) =>
          t !== s && (reads(t).some((r) => mentions(r, s.v)) || (t.kind === "set" && t.v === s.v)),
      );
      if (uses.length > 0) return null;
      accumulators.push({ v: s.v, op: e.op as Accumulator["op"], x });
      continue;
    }
    for (const r of reads(s))
      for (const v of targets)
        if (!defined.has(v) && mentions(r, v) && !accumulators.some((a) => a.v === v)) return null;
    if (s.kind === "set") {
      if (outside(s.v, loop)) return null;
      defined.add(s.v);
    }
  }
  const copies = accumulators.length > 0 && work < 40 ? 4 : work < 16 ? 2 : 1;
  return { loop, accumulators, copies };
}

// ---- instructions ----

const op = {
  load: 0,
  store: 11,
  i32Splat: 17,
  f32Splat: 19,
  f64Splat: 20,
  i32Extract: 27,
  i32Replace: 28,
  f32Extract: 31,
  f32Replace: 32,
  f64Extract: 33,
  f64Replace: 34,
  shuffle: 13,
  not: 77,
  and: 78,
  or: 80,
  xor: 81,
  bitselect: 82,
  anyTrue: 83,
  allTrue: 163,
  store32Lane: 90,
  load32Zero: 92,
} as const;
/** f32x4 and f64x2 opcodes */
const float: { readonly [op: string]: readonly [f32: number, f64: number] } = {
  abs: [224, 236],
  neg: [225, 237],
  sqrt: [227, 239],
  add: [228, 240],
  sub: [229, 241],
  mul: [230, 242],
  div: [231, 243],
  min: [232, 244],
  max: [233, 245],
  ceil: [103, 116],
  floor: [104, 117],
  trunc: [105, 122],
  round: [106, 148],
};
const integer: { readonly [op: string]: readonly [signed: number, unsigned: number] } = {
  add: [174, 174],
  sub: [177, 177],
  mul: [181, 181],
  min: [182, 183],
  max: [184, 185],
  and: [78, 78],
  or: [80, 80],
  xor: [81, 81],
};
const unsigned = (d: DType): boolean => d === "bool" || d === "uint8" || d === "uint32";
type Kind = "f32" | "f64" | "i32" | "mask";
const kindOf = (d: DType): Kind =>
  d === "float64" ? "f64" : d === "float32" ? "f32" : d === "bool" ? "mask" : "i32";
const scalarType = (d: DType): ValType =>
  d === "float64" ? "f64" : d === "float32" ? "f32" : "i32";

function comparison(c: CompareOp, d: DType): number {
  const at = ["eq", "ne", "lt", "gt", "le", "ge"].indexOf(c);
  if (d === "float32") return 65 + at;
  if (d === "float64") return 71 + at;
  return at < 2 ? 55 + at : 57 + (at - 2) * 2 + (unsigned(d) ? 1 : 0);
}
const identityOf = (o: Accumulator["op"], d: DType): number => {
  const { kind, min, max } = dtypes[d];
  const isFloat = kind === "float";
  switch (o) {
    case "add":
      return isFloat ? -0 : 0;
    case "mul":
      return 1;
    case "min":
      return isFloat ? Number.POSITIVE_INFINITY : max;
    case "max":
      return isFloat ? Number.NEGATIVE_INFINITY : min;
    case "and":
      return d === "bool" ? 1 : -1;
    default:
      return 0;
  }
};
/** Branches that cost more than this are skipped when no lane takes them. */
const dearBranch = 12;

// ---- emission ----

/** The body of one planned loop. */
export class VectorBody {
  readonly code: Code;
  readonly #s: ScalarEmitter;
  readonly #plan: VectorPlan;
  /** what changes during the loop: its variable, inner ones, locals that are set */
  readonly #changing = new Set<Expr>();
  readonly #storedBuffers = new Set<number>();
  readonly #varyingLocals = new Set<Expr>();
  readonly #varying = new Map<Expr, boolean>();
  readonly #invariants = new Map<Expr, Regs>();
  readonly #constants = new Map<string, Regs>();
  readonly #locals: Map<KVar, Regs>[];
  #memo: Map<Expr, Regs>[] = [new Map()];
  #copy = 0;
  /** mask of the lanes that run, inside of a branch that loads */
  #guard: number | null = null;

  constructor(scalar: ScalarEmitter, plan: VectorPlan) {
    this.#s = scalar;
    this.code = scalar.code;
    this.#plan = plan;
    this.#locals = Array.from({ length: plan.copies }, () => new Map());
    const walk = (body: readonly Stmt[]): void => {
      for (const s of body)
        if (s.kind === "set") {
          this.#changing.add(s.v);
          this.#varyingLocals.add(s.v);
        } else if (s.kind === "store") this.#storedBuffers.add(s.buffer);
        else if (s.kind === "for") {
          this.#changing.add(s.v);
          walk(s.body);
        }
    };
    this.#changing.add(plan.loop.v);
    walk(plan.loop.body);
  }
  #registers(kind: Kind): Regs {
    return Array.from({ length: kind === "f64" ? 2 : 1 }, () => this.code.local("v128"));
  }

  /** Constants, values that stay the same, and empty accumulators: before the loop. */
  prepare(): void {
    for (const { v, op: o } of this.#plan.accumulators)
      this.#locals.forEach((locals) => {
        const regs = this.#registers(kindOf(v.dtype));
        this.#splatLiteral(identityOf(o, v.dtype), v.dtype);
        for (const r of regs.slice(1)) this.code.tee(r);
        this.code.set(regs[0] as number);
        locals.set(v, regs);
      });
    const seen = new Set<Expr>();
    const hoist = (e: Expr): void => {
      if (this.#isVarying(e)) {
        visit(e);
        return;
      }
      if (e.kind === "lit") {
        const key = keyOf(e);
        if (!this.#constants.has(key)) this.#constants.set(key, this.#literal(e));
        return;
      }
      if (this.#invariants.has(e) || !this.#stays(e)) return;
      this.#invariants.set(e, this.#splat(e));
    };
    const visit = (e: Expr): void => {
      if (seen.has(e)) return;
      seen.add(e);
      if (e.kind === "load") return;
      if (e.kind === "cond") {
        hoist(e.test);
        // what only one branch loads may be out of range
        for (const b of [e.yes, e.no]) if (!loadsSomething(b)) hoist(b);
        return;
      }
      operands(e).forEach(hoist);
    };
    const walk = (body: readonly Stmt[]): void => {
      for (const s of body)
        if (s.kind === "for") walk(s.body);
        else if (simple(s)) hoist(s.value);
    };
    this.#s.fresh([], () => walk(this.#plan.loop.body));
  }
  #stays(e: Expr): boolean {
    let stays = true;
    eachNode([e], (x) => {
      if (this.#changing.has(x) || (x.kind === "load" && this.#storedBuffers.has(x.buffer)))
        stays = false;
    });
    return stays;
  }
  #isVarying(e: Expr): boolean {
    let known = this.#varying.get(e);
    if (known === undefined) {
      known =
        e === this.#plan.loop.v ||
        this.#varyingLocals.has(e) ||
        operands(e).some((x) => this.#isVarying(x));
      this.#varying.set(e, known);
    }
    return known;
  }

  /** The statements of the body for all copies. `inner` emits a loop inside, given how to emit its body. */
  statements(body: readonly Stmt[], inner: (loop: For, body: () => void) => void): void {
    for (const group of this.#s.groups(body)) {
      const [first] = group;
      if (first?.kind === "for") {
        inner(first, () => this.statements(first.body, inner));
        continue;
      }
      for (this.#copy = 0; this.#copy < this.#plan.copies; this.#copy++) {
        this.#memo = [new Map()];
        this.#s.fresh([], () => {
          for (const s of group)
            if (s.kind === "store") this.#store(s);
            else if (s.kind === "set") this.#set(s.v, s.value);
        });
      }
    }
  }
  #set(v: KVar, value: Expr): void {
    const from = this.#vector(value);
    const locals = this.#locals[this.#copy] as Map<KVar, Regs>;
    let to = locals.get(v);
    if (to === undefined) {
      to = this.#registers(kindOf(v.dtype));
      locals.set(v, to);
    }
    to.forEach((r, i) => void this.code.get(from[i] as number).set(r));
  }

  /** Folds the lanes of the accumulators into their variables. */
  finish(): void {
    const { code } = this;
    for (const { v, op: o } of this.#plan.accumulators) {
      const parts = this.#locals.map((l) => l.get(v) as Regs);
      const kind = kindOf(v.dtype);
      // lane by lane over the copies, then over the lanes, in pairs
      const fold = (list: readonly Expr[]): Expr => {
        if (list.length === 1) return list[0] as Expr;
        const mid = list.length >> 1;
        return binary(o, fold(list.slice(0, mid)), fold(list.slice(mid)));
      };
      const vars = parts.flatMap((regs) =>
        Array.from({ length: lanes }, (_, lane) => {
          const x = new KVar(v.dtype, "lane");
          this.#extract(regs, kind, lane);
          code.set(this.#s.variable(x));
          return x;
        }),
      );
      const sum = fold(vars);
      this.#s.fresh([sum], () => this.#s.expr(binary(o, v, sum)));
      code.set(this.#s.variable(v));
    }
  }

  // ---- registers and lanes ----

  #extract(regs: Regs, kind: Kind, lane: number): void {
    const { code } = this;
    if (kind === "f64")
      code
        .get(regs[lane >> 1] as number)
        .simd(op.f64Extract)
        .arg(lane & 1);
    else {
      code
        .get(regs[0] as number)
        .simd(kind === "f32" ? op.f32Extract : op.i32Extract)
        .arg(lane);
      if (kind === "mask") code.i32(1).op(0x71);
    }
  }
  /** The scalar on the stack becomes a lane. */
  #insert(regs: Regs, kind: Kind, lane: number, scalar: number): void {
    const { code } = this;
    code.set(scalar);
    const r = regs[kind === "f64" ? lane >> 1 : 0] as number;
    code.get(r);
    if (kind === "mask") code.i32(0).get(scalar).op(0x6b);
    else code.get(scalar);
    code
      .simd(kind === "f64" ? op.f64Replace : kind === "f32" ? op.f32Replace : op.i32Replace)
      .arg(kind === "f64" ? lane & 1 : lane)
      .set(r);
  }
  #zero(regs: Regs): void {
    for (const r of regs) this.code.i32(0).simd(op.i32Splat).set(r);
  }
  #splatLiteral(value: number, d: DType): void {
    const { code } = this;
    if (d === "float64") code.f64(value).simd(op.f64Splat);
    else if (d === "float32") code.f32(castNumber(value, d)).simd(op.f32Splat);
    else code.i32(d === "bool" ? -value : value | 0).simd(op.i32Splat);
  }
  #literal(e: Expr & { kind: "lit" }): Regs {
    const r = this.code.local("v128");
    this.#splatLiteral(e.value, e.dtype);
    this.code.set(r);
    return kindOf(e.dtype) === "f64" ? [r, r] : [r];
  }
  /** All lanes are a scalar. */
  #splat(e: Expr): Regs {
    const { code } = this;
    const kind = kindOf(e.dtype);
    const r = code.local("v128");
    this.#s.fresh([e], () => {
      if (kind === "mask") code.i32(0);
      this.#s.expr(e);
      if (kind === "mask") code.op(0x6b);
    });
    code.simd(kind === "f64" ? op.f64Splat : kind === "f32" ? op.f32Splat : op.i32Splat).set(r);
    return kind === "f64" ? [r, r] : [r];
  }
  /** A result of one instruction for each register. */
  #each(count: number, f: (i: number) => void): Regs {
    return Array.from({ length: count }, (_, i) => {
      f(i);
      const r = this.code.local("v128");
      this.code.set(r);
      return r;
    });
  }
  #shuffle(a: number, b: number, bytes: readonly number[]): void {
    this.code
      .get(a)
      .get(b)
      .simd(op.shuffle)
      .op(...bytes);
  }
  /** The upper half of a register, moved down. */
  #high(r: number): void {
    this.#shuffle(r, r, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
  }
  /** The lower halves of two registers. */
  #join(a: number, b: number): void {
    this.#shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
  }
  /** 32-bit masks for the two registers of float64. */
  #wideMask(mask: number): Regs {
    return [
      ...this.#each(1, () => void this.code.get(mask).simd(199)),
      ...this.#each(1, () => void this.code.get(mask).simd(200)),
    ];
  }

  // ---- expressions ----

  #vector(e: Expr): Regs {
    if (e.kind === "lit")
      return this.#constants.get(keyOf(e)) ?? this.#remember(e, () => this.#literal(e));
    if (e instanceof KVar) {
      const local = this.#locals[this.#copy]?.get(e);
      if (local !== undefined) return local;
    }
    const hoisted = this.#invariants.get(e);
    if (hoisted !== undefined) return hoisted;
    return this.#remember(e, () => (this.#isVarying(e) ? this.#compute(e) : this.#splat(e)));
  }
  #remember(e: Expr, compute: () => Regs): Regs {
    for (const memo of this.#memo) {
      const known = memo.get(e);
      if (known !== undefined) return known;
    }
    const regs = compute();
    this.#memo.at(-1)?.set(e, regs);
    return regs;
  }

  #compute(e: Expr): Regs {
    const { code } = this;
    switch (e.kind) {
      case "var": {
        // the loop variable: base, base + 1, …
        const first = this.#copy * lanes;
        code.get(this.#s.variable(e)).simd(op.i32Splat);
        return this.#each(1, () => {
          code.simd(12);
          const view = new Uint8Array(new Int32Array([0, 1, 2, 3].map((i) => first + i)).buffer);
          code.op(...view).simd(174);
        });
      }
      case "lit":
        return this.#literal(e);
      case "load":
        return this.#load(e);
      case "unary":
        return this.#unary(e);
      case "binary":
        return this.#binary(e);
      case "compare":
        return this.#compare(e);
      case "select": {
        const extremum = this.#pseudoExtremum(e);
        if (extremum !== null) return extremum;
        const [test, yes, no] = [e.test, e.yes, e.no].map((x) => this.#vector(x)) as [
          Regs,
          Regs,
          Regs,
        ];
        return this.#select(test, yes, no, e.dtype);
      }
      case "cond":
        return this.#cond(e);
      case "cast":
        return this.#cast(e.x, e.dtype);
      case "bitcast":
        return this.#vector(e.x);
    }
  }
  /** y < x ? y : x and x < y ? y : x are single instructions, unlike the extrema that keep NaN. */
  #pseudoExtremum({ test, yes, no, dtype }: Expr & { kind: "select" }): Regs | null {
    if (test.kind !== "compare" || test.op !== "lt") return null;
    const kind = kindOf(dtype);
    if (kind !== "f32" && kind !== "f64") return null;
    const least = test.x === yes && test.y === no;
    if (!least && (test.x !== no || test.y !== yes)) return null;
    const [x, y] = [this.#vector(no), this.#vector(yes)];
    const opcode = (kind === "f32" ? 234 : 246) + (least ? 0 : 1);
    return this.#each(x.length, (i) => {
      this.code
        .get(x[i] as number)
        .get(y[i] as number)
        .simd(opcode);
    });
  }
  #select(test: Regs, yes: Regs, no: Regs, d: DType): Regs {
    const masks = kindOf(d) === "f64" ? this.#wideMask(test[0] as number) : test;
    return this.#each(masks.length, (i) => {
      this.code
        .get(yes[i] as number)
        .get(no[i] as number)
        .get(masks[i] as number)
        .simd(op.bitselect);
    });
  }

  /** Runs `f` where what it computes is forgotten afterwards. */
  #scoped(f: () => void): void {
    this.#memo.push(new Map());
    f();
    this.#memo.pop();
  }
  #cond(e: Expr & { kind: "cond" }): Regs {
    const { code } = this;
    const kind = kindOf(e.dtype);
    const out = this.#registers(kind);
    const take = (regs: Regs): void =>
      out.forEach((r, i) => void code.get(regs[i] as number).set(r));
    for (const x of this.#s.common(e)) this.#vector(x);
    if (!this.#isVarying(e.test)) {
      this.#s.expr(e.test);
      code.if(
        null,
        () => this.#scoped(() => take(this.#vector(e.yes))),
        () => this.#scoped(() => take(this.#vector(e.no))),
      );
      return out;
    }
    const test = this.#vector(e.test);
    const mask = test[0] as number;
    const loads = [e.yes, e.no].map(loadsSomething);
    const dear = [e.yes, e.no].map((b) => weight(b) > dearBranch);
    /** one side, for the lanes of `lanesOf` */
    const side = (branch: Expr, which: number, lanesOf: () => void): Regs => {
      if (!loads[which] && !dear[which]) return this.#vector(branch);
      const result = this.#registers(kind);
      const active = this.code.local("v128");
      lanesOf();
      if (this.#guard !== null) code.get(this.#guard).simd(op.and);
      code.tee(active).simd(op.anyTrue);
      code.if(null, () =>
        this.#scoped(() => {
          const saved = this.#guard;
          if (loads[which]) this.#guard = active;
          const value = this.#vector(branch);
          result.forEach((r, i) => void code.get(value[i] as number).set(r));
          this.#guard = saved;
        }),
      );
      return result;
    };
    const yes = side(e.yes, 0, () => code.get(mask));
    const no = side(e.no, 1, () => code.get(mask).simd(op.not));
    return this.#select(test, yes, no, e.dtype);
  }

  /** The operation of a node, lane by lane. */
  #perLane(e: Expr, make: (args: readonly Expr[]) => Expr): Regs {
    const { code } = this;
    const args = operands(e);
    const regs = args.map((x) => this.#vector(x));
    const kind = kindOf(e.dtype);
    const out = this.#registers(kind);
    this.#zero(out);
    const scalar = code.local(scalarType(e.dtype));
    const vars = args.map((x) => new KVar(x.dtype, "lane"));
    for (let lane = 0; lane < lanes; lane++) {
      args.forEach((x, i) => {
        this.#extract(regs[i] as Regs, kindOf(x.dtype), lane);
        code.set(this.#s.variable(vars[i] as KVar));
      });
      const value = make(vars);
      this.#s.fresh([value], () => this.#s.expr(value));
      this.#insert(out, kind, lane, scalar);
    }
    return out;
  }

  #wrap(regs: Regs, d: DType): Regs {
    const { code } = this;
    if (d === "int8")
      return this.#each(1, () =>
        code
          .get(regs[0] as number)
          .i32(24)
          .simd(171)
          .i32(24)
          .simd(172),
      );
    if (d === "uint8")
      return this.#each(1, () =>
        code
          .get(regs[0] as number)
          .i32(255)
          .simd(op.i32Splat)
          .simd(op.and),
      );
    return regs;
  }

  #unary(e: Expr & { kind: "unary" }): Regs {
    const { code } = this;
    const d = e.x.dtype;
    const kind = kindOf(d);
    const isFloat = kind === "f32" || kind === "f64";
    const at = kind === "f64" ? 1 : 0;
    const known = float[e.op];
    if (isFloat && known !== undefined) {
      const x = this.#vector(e.x);
      return this.#each(x.length, (i) => void code.get(x[i] as number).simd(known[at] as number));
    }
    if (isFloat && e.op === "sign") {
      // x where it is 0 or NaN
      const one = lit(1, d);
      const minus = lit(-1, d);
      const zero = lit(0, d);
      const below: Expr = { kind: "compare", dtype: "bool", op: "lt", x: e.x, y: zero };
      const above: Expr = { kind: "compare", dtype: "bool", op: "gt", x: e.x, y: zero };
      const inner = this.#select(this.#compare(below), this.#vector(minus), this.#vector(e.x), d);
      return this.#select(this.#compare(above), this.#vector(one), inner, d);
    }
    if (isFloat && e.op === "isFinite")
      return this.#compare({
        kind: "compare",
        dtype: "bool",
        op: "lt",
        x: unary("abs", e.x),
        y: lit(Number.POSITIVE_INFINITY, d),
      });
    if (kind === "i32") {
      const x = this.#vector(e.x);
      const r = x[0] as number;
      if (e.op === "neg")
        return this.#wrap(
          this.#each(1, () => void code.get(r).simd(161)),
          d,
        );
      if (e.op === "abs")
        return unsigned(d)
          ? x
          : this.#wrap(
              this.#each(1, () => void code.get(r).simd(160)),
              d,
            );
      if (e.op === "not")
        return this.#wrap(
          this.#each(1, () => void code.get(r).simd(op.not)),
          d,
        );
    }
    if (kind === "mask" && e.op === "not") {
      const x = this.#vector(e.x);
      return this.#each(1, () => void code.get(x[0] as number).simd(op.not));
    }
    return this.#perLane(e, ([x]) => unary(e.op, x as Expr));
  }

  #binary(e: Expr & { kind: "binary" }): Regs {
    const { code } = this;
    const d = e.dtype;
    const kind = kindOf(d);
    const two = (opcode: number): Regs => {
      const [x, y] = [this.#vector(e.x), this.#vector(e.y)];
      return this.#each(x.length, (i) => {
        code
          .get(x[i] as number)
          .get(y[i] as number)
          .simd(opcode);
      });
    };
    if (kind === "f32" || kind === "f64") {
      const known = float[e.op];
      if (known !== undefined) return two(known[kind === "f64" ? 1 : 0] as number);
    } else if (kind === "mask") {
      if (e.op === "and" || e.op === "min" || e.op === "mul") return two(op.and);
      if (e.op === "or" || e.op === "max" || e.op === "add") return two(op.or);
      if (e.op === "xor") return two(op.xor);
    } else {
      const known = integer[e.op];
      if (known !== undefined) return this.#wrap(two(known[unsigned(d) ? 1 : 0] as number), d);
      const wide = dtypes[d].bytes === 4;
      if (wide && isLit(e.y) && e.y.value >= 0 && e.y.value < 32) {
        const shift =
          e.op === "shl"
            ? 171
            : e.op === "shrl" || (e.op === "shr" && unsigned(d))
              ? 173
              : e.op === "shr"
                ? 172
                : -1;
        const count = e.y.value;
        if (shift > 0) {
          const x = this.#vector(e.x);
          return this.#each(
            1,
            () =>
              void code
                .get(x[0] as number)
                .i32(count)
                .simd(shift),
          );
        }
      }
    }
    return this.#perLane(e, ([x, y]) => binary(e.op, x as Expr, y as Expr));
  }

  #compare(e: Expr & { kind: "compare" }): Regs {
    const { code } = this;
    const d = e.x.dtype;
    const kind = kindOf(d);
    let [x, y] = [this.#vector(e.x), this.#vector(e.y)];
    if (kind === "mask" && e.op !== "eq" && e.op !== "ne") {
      const bit = (r: Regs): Regs => this.#each(1, () => void code.get(r[0] as number).simd(161));
      [x, y] = [bit(x), bit(y)];
    }
    const opcode = comparison(e.op, d);
    const masks = this.#each(x.length, (i) => {
      code
        .get(x[i] as number)
        .get(y[i] as number)
        .simd(opcode);
    });
    if (kind !== "f64") return masks;
    return this.#each(1, () =>
      this.#shuffle(
        masks[0] as number,
        masks[1] as number,
        [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27],
      ),
    );
  }

  #cast(x: Expr, to: DType): Regs {
    const { code } = this;
    const from = x.dtype;
    const [a, b] = [kindOf(from), kindOf(to)];
    let v = this.#vector(x);
    const one = (f: () => void): Regs => this.#each(1, f);
    if (b === "mask") {
      if (a === "mask") return v;
      return this.#compare({ kind: "compare", dtype: "bool", op: "ne", x, y: lit(0, from) });
    }
    if (a === "mask") {
      v = one(() => void code.get(v[0] as number).simd(161));
      if (b === "i32") return v;
    }
    const signedFrom = !unsigned(from);
    if (a === "i32" || a === "mask") {
      const r = v[0] as number;
      if (b === "i32") return this.#wrap(v, to);
      if (b === "f32") return one(() => void code.get(r).simd(signedFrom ? 250 : 251));
      const convert = signedFrom ? 254 : 255;
      const high = one(() => this.#high(r))[0] as number;
      return this.#each(2, (i) => void code.get(i === 0 ? r : high).simd(convert));
    }
    if (b === "i32") {
      const narrow = dtypes[to].bytes === 1;
      const toUnsigned = to === "uint32";
      let whole: Regs;
      if (a === "f32")
        whole = one(() => void code.get(v[0] as number).simd(toUnsigned ? 249 : 248));
      else {
        const parts = this.#each(
          2,
          (i) => void code.get(v[i] as number).simd(toUnsigned ? 253 : 252),
        );
        whole = one(() => this.#join(parts[0] as number, parts[1] as number));
      }
      if (!narrow) return whole;
      const { min, max } = dtypes[to];
      return one(() => {
        code
          .get(whole[0] as number)
          .i32(min)
          .simd(op.i32Splat)
          .simd(184)
          .i32(max)
          .simd(op.i32Splat)
          .simd(182);
      });
    }
    if (a === b) return v;
    if (b === "f64") {
      const high = one(() => this.#high(v[0] as number))[0] as number;
      return this.#each(2, (i) => void code.get(i === 0 ? (v[0] as number) : high).simd(95));
    }
    const parts = this.#each(2, (i) => void code.get(v[i] as number).simd(94));
    return one(() => this.#join(parts[0] as number, parts[1] as number));
  }

  // ---- memory ----

  /** Elements from one lane to the next, where the index is affine in the loop. */
  #stride(index: Expr): number | null {
    const { v } = this.#plan.loop;
    const form = this.#s.forms.of(index);
    for (const atom of form.terms.keys()) if (atom !== v && this.#isVarying(atom)) return null;
    return form.terms.get(v) ?? 0;
  }
  #load(e: Expr & { kind: "load" }): Regs {
    const { code } = this;
    const { dtype } = e;
    const stride = this.#stride(e.index);
    const kind = kindOf(dtype);
    const out = this.#registers(kind);
    const guard = this.#guard;
    const lane = (i: number, address: () => number): void => {
      const offset = address();
      this.#s.loadScalar(dtype, offset);
      this.#insert(out, kind, i, scalar());
    };
    let scalarLocal: number | null = null;
    const scalar = (): number => {
      scalarLocal ??= code.local(scalarType(dtype));
      return scalarLocal;
    };
    /** all lanes at their own addresses */
    const gather = (): void => {
      this.#zero(out);
      const at = this.#addresses(e.buffer, e.index, stride);
      for (let i = 0; i < lanes; i++) {
        if (guard === null) lane(i, () => at(i));
        else {
          code.get(guard).simd(op.i32Extract).arg(i);
          code.if(null, () => lane(i, () => at(i)));
        }
      }
    };
    if (stride !== 1) {
      gather();
      return out;
    }
    if (guard === null) this.#loadRow(e.buffer, e.index, dtype, out);
    else {
      code.get(guard).simd(op.allTrue);
      code.if(null, () => this.#loadRow(e.buffer, e.index, dtype, out), gather);
    }
    return out;
  }
  /** Four elements side by side. */
  #loadRow(buffer: number, index: Expr, d: DType, out: Regs): void {
    const { code } = this;
    const width = dtypes[d].bytes;
    const address = code.local("i32");
    const offset = this.#s.address(buffer, index) + this.#copy * lanes * width;
    if (d === "float64") {
      code
        .tee(address)
        .simd(op.load)
        .arg(3)
        .arg(offset)
        .set(out[0] as number);
      code
        .get(address)
        .simd(op.load)
        .arg(3)
        .arg(offset + 16)
        .set(out[1] as number);
      return;
    }
    if (width === 4) code.simd(op.load).arg(2).arg(offset);
    else {
      const signed = d === "int8";
      code
        .simd(op.load32Zero)
        .arg(0)
        .arg(offset)
        .simd(signed ? 135 : 137)
        .simd(signed ? 167 : 169);
      if (d === "bool") code.simd(161);
    }
    code.set(out[0] as number);
  }
  /** The address of each lane: leaves it on the stack, gives a constant offset. */
  #addresses(buffer: number, index: Expr, stride: number | null): (lane: number) => number {
    const { code } = this;
    const { dtype } = this.#s.kernel.buffers[buffer] as LoopKernel["buffers"][number];
    const width = dtypes[dtype].bytes;
    const base = code.local("i32");
    if (stride !== null) {
      const offset = this.#s.address(buffer, index);
      code.set(base);
      return (lane) => {
        code
          .get(base)
          .i32((this.#copy * lanes + lane) * stride * width)
          .op(0x6a);
        return offset;
      };
    }
    const at = this.#vector(index);
    return (lane) => {
      code.get(buffer);
      this.#extract(at, "i32", lane);
      if (width > 1) code.i32(Math.log2(width)).op(0x74);
      code.op(0x6a);
      return 0;
    };
  }

  #store({ buffer, index, value }: Stmt & { kind: "store" }): void {
    const { code } = this;
    const { dtype } = this.#s.kernel.buffers[buffer] as LoopKernel["buffers"][number];
    const width = dtypes[dtype].bytes;
    const kind = kindOf(dtype);
    const regs = this.#vector(value);
    const stride = this.#stride(index);
    if (stride !== 1) {
      const at = this.#addresses(buffer, index, stride);
      for (let i = 0; i < lanes; i++) {
        const offset = at(i);
        this.#extract(regs, kind, i);
        this.#s.storeScalar(dtype, offset);
      }
      return;
    }
    const offset = this.#s.address(buffer, index) + this.#copy * lanes * width;
    const r = regs[0] as number;
    if (dtype === "float64") {
      const address = code.local("i32");
      code.tee(address).get(r).simd(op.store).arg(3).arg(offset);
      code
        .get(address)
        .get(regs[1] as number)
        .simd(op.store)
        .arg(3)
        .arg(offset + 16);
    } else if (width === 4) code.get(r).simd(op.store).arg(2).arg(offset);
    else {
      code.get(r);
      if (dtype === "bool") code.simd(161);
      const signed = dtype === "int8";
      const words = code.local("v128");
      code
        .tee(words)
        .get(words)
        .simd(signed ? 133 : 134);
      code
        .tee(words)
        .get(words)
        .simd(signed ? 101 : 102);
      code.simd(op.store32Lane).arg(0).arg(offset).arg(0);
    }
  }
}

const keyOf = (e: Expr & { kind: "lit" }): string =>
  `${e.dtype}${Object.is(e.value, -0) ? "-0" : e.value}`;
function loadsSomething(e: Expr): boolean {
  let found = false;
  eachNode([e], (x) => {
    if (x.kind === "load") found = true;
  });
  return found;
}
/** Nodes of an expression, imported functions for several. */
function weight(e: Expr): number {
  let n = 0;
  eachNode([e], (x) => {
    n += x.kind === "unary" && !(x.op in float) ? 20 : x.kind === "lit" || x.kind === "var" ? 0 : 1;
  });
  return n;
}
