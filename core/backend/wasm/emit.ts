/** The kernel language in WebAssembly: one function for each loop kernel.
 *
 *  bool and integers live in i32 locals (narrow ones kept wrapped), 16-bit floats in f32 locals (rounded after
 *  every operation), float32 in f32, float64 in f64. */
import { castNumber, type DType, dtypes, isFloat } from "../../dtype.ts";
import { type CompareOp, type Expr, isLit, KVar, operands } from "../../kernel/expr.ts";
import { type LoopKernel, parallelLoop, type Stmt } from "../../kernel/kernel.ts";
import { type Affine, AffineForms } from "../../program/affine.ts";
import { Code, type ValType } from "./encoder.ts";
import { lanes, planVectors, type ScalarEmitter, VectorBody, type VectorPlan } from "./vector.ts";
import type { KernelFunction } from "./function.ts";
import type { Library } from "./library.ts";

export const valType = (d: DType): ValType =>
  d === "float64" ? "f64" : isFloat(d) ? "f32" : "i32";
const half = (d: DType): boolean => d === "float16" || d === "bfloat16";
const unsigned = (d: DType): boolean => d === "bool" || d === "uint8" || d === "uint32";

const loads: { readonly [D in DType]: readonly [opcode: number, align: number] } = {
  bool: [0x2d, 0],
  int8: [0x2c, 0],
  uint8: [0x2d, 0],
  int32: [0x28, 2],
  uint32: [0x28, 2],
  float16: [0x2f, 1],
  bfloat16: [0x2f, 1],
  float32: [0x2a, 2],
  float64: [0x2b, 3],
};
const stores: { readonly [D in DType]: readonly [opcode: number, align: number] } = {
  bool: [0x3a, 0],
  int8: [0x3a, 0],
  uint8: [0x3a, 0],
  int32: [0x36, 2],
  uint32: [0x36, 2],
  float16: [0x3b, 1],
  bfloat16: [0x3b, 1],
  float32: [0x38, 2],
  float64: [0x39, 3],
};

/** Largest distance in bytes between accesses through one pointer. The pointer itself may be out of the buffer while
 *  an access at a distance is in it, and a constant offset is added without wrapping; so it must not fall
 *  below address 0, and it does not, for buffers lie above the tables at the bottom of the memory. */
const maxDistance = 4096;

/** A pointer that moves with the innermost loop: the address of one affine index. */
interface Pointer {
  readonly local: number;
  /** bytes from it to the element */
  readonly offset: number;
}

type Conditional = Expr & { kind: "cond" };
type ForLoop = Stmt & { readonly kind: "for" };
type Lit = Expr & { kind: "lit" };

class Emitter implements ScalarEmitter {
  readonly code: Code;
  readonly kernel: LoopKernel;
  readonly forms = new AffineForms();
  readonly #library: Library;
  readonly #locals = new Map<KVar, number>();
  /** uses of each node in the statement at hand, and where shared ones are kept */
  #uses = new Map<Expr, number>();
  #kept: Map<Expr, number>[] = [new Map()];
  #commons = new Map<Conditional, ReadonlySet<Expr>>();
  /** by buffer and index */
  #pointers = new Map<number, Map<Expr, Pointer>>();
  readonly #free = new Map<ValType, number[]>();
  /** the loop whose range the caller gives */
  readonly #whole: Stmt | null;

  constructor(kernel: LoopKernel, library: Library) {
    this.kernel = kernel;
    this.#library = library;
    this.#whole = parallelLoop(kernel);
    const range = this.#whole === null ? 0 : 2;
    this.code = new Code(new Array<ValType>(kernel.buffers.length + range).fill("i32"));
  }

  variable(v: KVar): number {
    let local = this.#locals.get(v);
    if (local === undefined) {
      local = this.code.local(valType(v.dtype));
      this.#locals.set(v, local);
    }
    return local;
  }
  #temporary(type: ValType): number {
    return this.#free.get(type)?.pop() ?? this.code.local(type);
  }

  // ---- statements ----

  statements(body: readonly Stmt[]): void {
    for (const group of this.groups(body)) this.#group(group);
  }
  /** Neighbouring stores and assignments share what they have in common; any other statement stands alone. */
  groups(body: readonly Stmt[]): readonly (readonly Stmt[])[] {
    const groups: (readonly Stmt[])[] = [];
    for (let i = 0; i < body.length; ) {
      const changed = new Set<number | KVar>();
      let end = i;
      for (let next = body[end]; next !== undefined; next = body[++end]) {
        if (end > i && !this.#unaffected(next, changed)) break;
        if (next.kind === "store") changed.add(next.buffer);
        else if (next.kind === "set") changed.add(next.v);
        else {
          end++;
          break;
        }
      }
      groups.push(body.slice(i, end));
      i = end;
    }
    return groups;
  }
  /** True for a store or assignment that reads none of these buffers and variables. */
  #unaffected(s: Stmt, changed: ReadonlySet<number | KVar>): boolean {
    if (s.kind !== "store" && s.kind !== "set") return false;
    const seen = new Set<Expr>();
    const clean = (e: Expr): boolean => {
      if (seen.has(e)) return true;
      seen.add(e);
      if (e.kind === "load" && changed.has(e.buffer)) return false;
      if (e.kind === "var" && changed.has(e)) return false;
      return operands(e).every(clean);
    };
    return clean(s.value) && (s.kind === "set" || clean(s.index));
  }

  #group(group: readonly Stmt[]): void {
    const first = group[0] as Stmt;
    switch (first.kind) {
      case "for":
        this.#for(first);
        return;
      case "while":
        this.code.block(() => {
          this.code.loop(() => {
            this.fresh([first.test], () => this.expr(first.test));
            this.code.op(0x45).brIf(1);
            this.statements(first.body);
            this.code.br(0);
          });
        });
        return;
      case "if":
        this.fresh([first.test], () => this.expr(first.test));
        this.code.if(
          null,
          () => this.statements(first.yes),
          first.no.length > 0 ? () => this.statements(first.no) : undefined,
        );
        return;
      default:
        this.fresh(
          group.flatMap((s) =>
            s.kind === "store" ? [s.index, s.value] : s.kind === "set" ? [s.value] : [],
          ),
          () => {
            for (const s of group)
              if (s.kind === "store") this.#store(s);
              else if (s.kind === "set") {
                this.expr(s.value);
                this.code.set(this.variable(s.v));
              }
          },
        );
    }
  }

  /** Counts uses below `roots`, runs `f`, and gives the locals of shared nodes back. */
  fresh(roots: readonly Expr[], f: () => void): void {
    const uses = new Map<Expr, number>();
    const count = (e: Expr): void => {
      const n = uses.get(e) ?? 0;
      uses.set(e, n + 1);
      if (n === 0 && !(e.kind === "load" && this.#pointer(e.buffer, e.index)))
        operands(e).forEach(count);
    };
    roots.forEach(count);
    const [savedUses, savedKept, savedTaken] = [this.#uses, this.#kept, this.#taken];
    this.#uses = uses;
    this.#kept = [new Map()];
    this.#commons = new Map();
    this.#taken = [];
    f();
    for (const [type, local] of this.#taken) {
      const list = this.#free.get(type);
      if (list === undefined) this.#free.set(type, [local]);
      else list.push(local);
    }
    this.#uses = savedUses;
    this.#kept = savedKept;
    this.#taken = savedTaken;
  }
  #taken: [ValType, number][] = [];

  #for(loop: ForLoop): void {
    const { code } = this;
    const v = this.variable(loop.v);
    let to: number | null = null;
    if (loop === this.#whole) {
      const lo = this.kernel.buffers.length;
      code.get(lo).set(v);
      to = lo + 1;
    } else {
      this.fresh([loop.from], () => this.expr(loop.from));
      code.set(v);
    }
    if (to === null && loop.to.kind !== "lit") {
      to = code.local("i32");
      this.fresh([loop.to], () => this.expr(loop.to));
      code.set(to);
    }
    const limit = (): void => {
      if (to === null) code.i32((loop.to as Expr & { kind: "lit" }).value);
      else code.get(to);
    };
    const extent =
      loop !== this.#whole && isLit(loop.from) && isLit(loop.to)
        ? loop.to.value - loop.from.value
        : null;
    const plan = planVectors(loop, this.kernel, this.forms, (x) => this.#usedOutside(x, loop));
    if (plan !== null) {
      let rest = extent;
      for (const copies of plan.copies > 1 ? [plan.copies, 1] : [1]) {
        if (rest !== null && rest < lanes * copies) continue;
        this.#vectors({ ...plan, copies }, limit);
        if (rest !== null) rest %= lanes * copies;
      }
      if (rest === 0) return;
    }
    code.get(v);
    limit();
    code.op(0x48); // i32.lt_s
    code.if(null, () => this.#rounds(loop, 1, limit, () => this.statements(loop.body)));
  }
  /** Rounds of a loop, at least one: `step` iterations at a time, below `limit`. */
  #rounds(loop: ForLoop, step: number, limit: () => void, body: () => void): void {
    const { code } = this;
    const v = this.variable(loop.v);
    const inner = !loop.body.some((s) => s.kind === "for" || s.kind === "while" || s.kind === "if");
    const moving = inner ? this.#startPointers(loop) : [];
    code.loop(() => {
      body();
      for (const { local, step: bytes } of moving)
        if (bytes !== 0)
          code
            .get(local)
            .i32(bytes * step)
            .op(0x6a)
            .set(local);
      code.get(v).i32(step).op(0x6a).tee(v);
      limit();
      code.op(0x48).brIf(0);
    });
    if (inner) this.#pointers = new Map();
  }
  /** As many rounds of whole vectors as fit. */
  #vectors(plan: VectorPlan, limit: () => void): void {
    const { code } = this;
    const { loop } = plan;
    const v = this.variable(loop.v);
    const end = code.local("i32");
    const step = lanes * plan.copies;
    limit();
    code.get(v).op(0x6b).i32(-step).op(0x71).get(v).op(0x6a).tee(end); // v + (limit − v rounded down)
    code.get(v).op(0x4a);
    code.if(null, () => {
      const body = new VectorBody(this, plan);
      body.prepare();
      const inside = (inner: ForLoop, f: () => void): void => {
        // bounds of loops inside are constants
        const [from, to] = [inner.from, inner.to] as [Lit, Lit];
        if (from.value >= to.value) return;
        code.i32(from.value).set(this.variable(inner.v));
        this.#rounds(inner, 1, () => void code.i32(to.value), f);
      };
      this.#rounds(
        loop,
        step,
        () => void code.get(end),
        () => body.statements(loop.body, inside),
      );
      body.finish();
    });
  }
  /** True for a variable that is read or set anywhere but in the loop. */
  #usedOutside(v: KVar, loop: ForLoop): boolean {
    return (
      (this.#references(this.kernel.body).get(v) ?? 0) > (this.#references(loop.body).get(v) ?? 0)
    );
  }
  readonly #referenceCounts = new Map<readonly Stmt[], ReadonlyMap<KVar, number>>();
  /** How many statements mention each variable. */
  #references(body: readonly Stmt[]): ReadonlyMap<KVar, number> {
    let counts = this.#referenceCounts.get(body);
    if (counts !== undefined) return counts;
    const found = new Map<KVar, number>();
    const add = (v: KVar, n = 1): void => void found.set(v, (found.get(v) ?? 0) + n);
    const mention = (roots: readonly Expr[]): void => {
      const seen = new Set<Expr>();
      const visit = (e: Expr): void => {
        if (seen.has(e)) return;
        seen.add(e);
        if (e.kind === "var") add(e);
        operands(e).forEach(visit);
      };
      roots.forEach(visit);
    };
    const inside = (list: readonly Stmt[]): void => {
      for (const [v, n] of this.#references(list)) add(v, n);
    };
    for (const s of body)
      switch (s.kind) {
        case "for":
          mention([s.from, s.to]);
          inside(s.body);
          break;
        case "while":
          mention([s.test]);
          inside(s.body);
          break;
        case "if":
          mention([s.test]);
          inside(s.yes);
          inside(s.no);
          break;
        case "set":
          add(s.v);
          mention([s.value]);
          break;
        case "store":
          mention([s.index, s.value]);
      }
    counts = found;
    this.#referenceCounts.set(body, counts);
    return counts;
  }

  /** Sets up a pointer for every affine load and store of an innermost loop, so that the loop adds a constant
   *  instead of multiplying out each index. */
  #startPointers(loop: ForLoop): { local: number; step: number }[] {
    const assigned = new Set<KVar>();
    const accesses: { buffer: number; index: Expr }[] = [];
    const seen = new Set<Expr>();
    const visit = (e: Expr): void => {
      if (seen.has(e)) return;
      seen.add(e);
      if (e.kind === "load") accesses.push(e);
      operands(e).forEach(visit);
    };
    for (const s of loop.body) {
      if (s.kind === "set") {
        assigned.add(s.v);
        visit(s.value);
      } else if (s.kind === "store") {
        accesses.push(s);
        visit(s.index);
        visit(s.value);
      }
    }
    const pointers = new Map<string, { local: number; constant: number }>();
    const found: [buffer: number, index: Expr, Pointer][] = [];
    const moving: { local: number; step: number }[] = [];
    for (const { buffer, index } of accesses) {
      const form = this.forms.of(index);
      if (!this.#steady(form, loop.v, assigned)) continue;
      const { dtype } = this.kernel.buffers[buffer] as LoopKernel["buffers"][number];
      const width = dtypes[dtype].bytes;
      const key = `${buffer}:${this.forms.key({ constant: 0, terms: form.terms })}`;
      const known = pointers.get(key);
      const distance = known === undefined ? -1 : (form.constant - known.constant) * width;
      if (known !== undefined && distance >= 0 && distance <= maxDistance) {
        found.push([buffer, index, { local: known.local, offset: distance }]);
        continue;
      }
      const local = this.code.local("i32");
      this.code.get(buffer);
      this.fresh([index], () => this.expr(index));
      this.code.i32(width).op(0x6c, 0x6a).set(local);
      pointers.set(key, { local, constant: form.constant });
      moving.push({ local, step: (form.terms.get(loop.v) ?? 0) * width });
      found.push([buffer, index, { local, offset: 0 }]);
    }
    for (const [buffer, index, pointer] of found) {
      const ofBuffer = this.#pointers.get(buffer);
      if (ofBuffer === undefined) this.#pointers.set(buffer, new Map([[index, pointer]]));
      else ofBuffer.set(index, pointer);
    }
    return moving;
  }
  /** True for an affine form whose atoms, but for the loop variable, stay the same during the loop. */
  #steady(form: Affine, v: KVar, assigned: ReadonlySet<KVar>): boolean {
    for (const atom of form.terms.keys()) {
      if (atom === v) continue;
      if (!(atom instanceof KVar) || assigned.has(atom)) return false;
    }
    return true;
  }

  #pointer(buffer: number, index: Expr): Pointer | undefined {
    return this.#pointers.get(buffer)?.get(index);
  }
  address(buffer: number, index: Expr): number {
    const pointer = this.#pointer(buffer, index);
    if (pointer !== undefined) {
      this.code.get(pointer.local);
      return pointer.offset;
    }
    const width =
      dtypes[(this.kernel.buffers[buffer] as LoopKernel["buffers"][number]).dtype].bytes;
    this.code.get(buffer);
    if (index.kind === "lit") return index.value * width;
    this.expr(index);
    if (width > 1) this.code.i32(Math.log2(width)).op(0x74);
    this.code.op(0x6a);
    return 0;
  }
  #store({ buffer, index, value }: Stmt & { kind: "store" }): void {
    const { dtype } = this.kernel.buffers[buffer] as LoopKernel["buffers"][number];
    const offset = this.address(buffer, index);
    this.expr(value);
    this.storeScalar(dtype, offset);
  }
  loadScalar(dtype: DType, offset: number): void {
    this.code.memory(...loads[dtype], offset);
    if (dtype === "float16") this.code.call(this.#library.function("f16_to_f32"));
    if (dtype === "bfloat16") this.code.i32(16).op(0x74, 0xbe);
  }
  storeScalar(dtype: DType, offset: number): void {
    if (dtype === "float16") this.code.call(this.#library.function("f32_to_f16"));
    if (dtype === "bfloat16") this.code.op(0xbc).i32(16).op(0x76); // bits >>> 16: the value is rounded already
    this.code.memory(...stores[dtype], offset);
  }

  // ---- expressions ----

  /** Leaves the value of `e` on the stack. */
  expr(e: Expr): void {
    if (e.kind === "lit" || e.kind === "var") {
      this.#compute(e);
      return;
    }
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      const local = this.#kept[i]?.get(e);
      if (local !== undefined) {
        this.code.get(local);
        return;
      }
    }
    this.#compute(e);
    if ((this.#uses.get(e) ?? 0) > 1) {
      const type = valType(e.dtype);
      const local = this.#temporary(type);
      this.#taken.push([type, local]);
      this.code.tee(local);
      this.#kept.at(-1)?.set(e, local);
    }
  }
  /** An expression whose shared nodes are not known outside. */
  #scoped(e: Expr): void {
    this.#kept.push(new Map());
    this.expr(e);
    this.#kept.pop();
  }

  /** Computes what both branches of `e` need whatever happens in them. Otherwise each would compute it for
   *  itself, and a chain of n such conditionals would take 2ⁿ instructions. */
  #computeCommon(e: Conditional): void {
    for (const x of this.common(e)) {
      if ((this.#uses.get(x) ?? 0) < 2 || this.#kept.some((scope) => scope.has(x))) continue;
      this.expr(x);
      this.code.op(0x1a); // drop
    }
  }
  /** Nodes that are evaluated whichever branch is taken. */
  common(e: Conditional): ReadonlySet<Expr> {
    let common = this.#commons.get(e);
    if (common === undefined) {
      const no = this.#always(e.no);
      common = new Set([...this.#always(e.yes)].filter((x) => no.has(x)));
      this.#commons.set(e, common);
    }
    return common;
  }
  /** Nodes that are evaluated whenever `e` is, outer ones first. */
  #always(e: Expr): ReadonlySet<Expr> {
    const seen = new Set<Expr>();
    const visit = (x: Expr): void => {
      if (seen.has(x) || x.kind === "lit" || x.kind === "var") return;
      seen.add(x);
      if (x.kind === "load" && this.#pointer(x.buffer, x.index) !== undefined) return;
      if (x.kind !== "cond") operands(x).forEach(visit);
      else {
        visit(x.test);
        for (const y of this.common(x)) seen.add(y);
      }
    };
    visit(e);
    return seen;
  }

  #compute(e: Expr): void {
    const { code } = this;
    switch (e.kind) {
      case "var":
        code.get(this.variable(e));
        return;
      case "lit":
        this.#literal(e.value, e.dtype);
        return;
      case "load": {
        this.loadScalar(e.dtype, this.address(e.buffer, e.index));
        return;
      }
      case "unary":
        this.#unary(e);
        return;
      case "binary":
        this.#binary(e);
        return;
      case "compare":
        this.expr(e.x);
        this.expr(e.y);
        code.op(comparison(e.op, e.x.dtype));
        return;
      case "select":
        this.expr(e.yes);
        this.expr(e.no);
        this.expr(e.test);
        code.op(0x1b);
        return;
      case "cond":
        this.#computeCommon(e);
        this.expr(e.test);
        code.if(
          valType(e.dtype),
          () => this.#scoped(e.yes),
          () => this.#scoped(e.no),
        );
        return;
      case "cast":
        this.expr(e.x);
        this.#cast(e.x.dtype, e.dtype);
        return;
      case "bitcast":
        this.#bitcast(e.x, e.dtype);
        return;
    }
  }

  #literal(value: number, d: DType): void {
    const type = valType(d);
    if (type === "f64") this.code.f64(value);
    else if (type === "f32") this.code.f32(castNumber(value, d));
    else this.code.i32(value | 0);
  }

  /** Brings the top of the stack back into the range of its dtype. */
  #wrap(d: DType): void {
    if (d === "int8")
      this.code.op(0xc0); // i32.extend8_s
    else if (d === "uint8") this.code.i32(255).op(0x71);
    else if (half(d))
      this.code.call(this.#library.function(d === "float16" ? "round_f16" : "round_bf16"));
  }

  #unary({ op, x, dtype }: Expr & { kind: "unary" }): void {
    const { code } = this;
    const type = valType(x.dtype);
    const float = (f32: number, f64: number): void => {
      this.expr(x);
      code.op(type === "f64" ? f64 : f32);
      this.#wrap(dtype);
    };
    switch (op) {
      case "neg":
        if (type === "i32") {
          code.i32(0);
          this.expr(x);
          code.op(0x6b);
          this.#wrap(dtype);
        } else float(0x8c, 0x9a);
        return;
      case "abs":
        if (type !== "i32") float(0x8b, 0x99);
        else if (unsigned(x.dtype)) this.expr(x);
        else {
          // (x ^ s) − s with s = x >> 31
          const local = this.#temporary("i32");
          this.expr(x);
          code.tee(local).get(local).i32(31).op(0x75, 0x73).get(local).i32(31).op(0x75, 0x6b);
          this.#free.set("i32", [...(this.#free.get("i32") ?? []), local]);
          this.#wrap(dtype);
        }
        return;
      case "sign":
        this.expr(x);
        code.call(
          this.#library.function(
            type === "i32" ? (unsigned(x.dtype) ? "sign_u32" : "sign_i32") : `sign_${type}`,
          ),
        );
        return;
      case "not":
        this.expr(x);
        if (x.dtype === "bool") code.op(0x45);
        else {
          code.i32(-1).op(0x73);
          this.#wrap(dtype);
        }
        return;
      case "floor":
        float(0x8e, 0x9c);
        return;
      case "ceil":
        float(0x8d, 0x9b);
        return;
      case "trunc":
        float(0x8f, 0x9d);
        return;
      case "round":
        float(0x90, 0x9e);
        return;
      case "sqrt":
        float(0x91, 0x9f);
        return;
      case "popcount":
        this.expr(x);
        if (x.dtype === "int8") code.i32(255).op(0x71);
        code.op(0x69);
        return;
      case "clz":
        this.expr(x);
        if (dtypes[x.dtype].bytes === 1) code.i32(255).op(0x71);
        code.op(0x67);
        if (dtypes[x.dtype].bytes === 1) code.i32(24).op(0x6b);
        return;
      case "isFinite":
        this.expr(x);
        code.call(this.#library.function(`finite_${type}`));
        return;
      default: {
        const f = this.#library.math(op);
        this.expr(x);
        if (type === "f32") code.op(0xbb);
        code.call(f);
        if (type === "f32") {
          if (dtype === "float16") code.call(this.#library.function("f64_round_f16"));
          else if (dtype === "bfloat16") code.call(this.#library.function("f64_round_bf16"));
          else code.op(0xb6);
        }
      }
    }
  }

  #binary({ op, x, y, dtype: d }: Expr & { kind: "binary" }): void {
    const { code } = this;
    const type = valType(d);
    const both = (): void => {
      this.expr(x);
      this.expr(y);
    };
    const arithmetic = (i32: number, f32: number, f64: number): void => {
      both();
      code.op(type === "i32" ? i32 : type === "f32" ? f32 : f64);
      this.#wrap(d);
    };
    const narrow = dtypes[d].bytes === 1;
    switch (op) {
      case "add":
        arithmetic(0x6a, 0x92, 0xa0);
        return;
      case "sub":
        arithmetic(0x6b, 0x93, 0xa1);
        return;
      case "mul":
        arithmetic(0x6c, 0x94, 0xa2);
        return;
      case "div":
        if (type !== "i32") arithmetic(0, 0x95, 0xa3);
        else {
          both();
          code.call(this.#library.function(unsigned(d) ? "div_u" : "div_s"));
          this.#wrap(d);
        }
        return;
      case "rem":
        both();
        if (type === "i32") code.call(this.#library.function(unsigned(d) ? "rem_u" : "rem_s"));
        else code.call(this.#library.function(`fmod_${type}`));
        this.#wrap(d);
        return;
      case "min":
      case "max":
        if (type === "i32") {
          both();
          code.call(this.#library.function(`${op}_${unsigned(d) ? "u" : "s"}`));
        } else arithmetic(0, op === "min" ? 0x96 : 0x97, op === "min" ? 0xa4 : 0xa5);
        return;
      case "and":
        both();
        code.op(0x71);
        return;
      case "or":
        both();
        code.op(0x72);
        return;
      case "xor":
        both();
        code.op(0x73);
        return;
      case "shl":
      case "shr":
      case "shrl": {
        this.expr(x);
        if (op === "shrl" && narrow) code.i32(255).op(0x71);
        this.expr(y);
        const arithmeticShift = op === "shr" && !unsigned(d);
        code.call(
          this.#library.function(op === "shl" ? "shl" : arithmeticShift ? "shr_s" : "shr_u"),
        );
        // a shift by the narrow width or more moves everything out of an 8-bit value by itself
        this.#wrap(d);
        return;
      }
      case "mulhi":
        both();
        if (narrow) {
          code
            .op(0x6c)
            .i32(8)
            .op(unsigned(d) ? 0x76 : 0x75);
          this.#wrap(d);
        } else code.call(this.#library.function(unsigned(d) ? "mulhi_u" : "mulhi_s"));
        return;
      case "nextafter":
        both();
        code.call(
          this.#library.function(
            half(d) ? (d === "float16" ? "nextafter_f16" : "nextafter_bf16") : `nextafter_${type}`,
          ),
        );
        return;
      case "pow":
      case "atan2": {
        if (type === "i32") {
          both();
          code.call(this.#library.function(unsigned(d) ? "pow_u" : "pow_s"));
          this.#wrap(d);
          return;
        }
        const f = this.#library.math(op);
        this.expr(x);
        if (type === "f32") code.op(0xbb);
        this.expr(y);
        if (type === "f32") code.op(0xbb);
        code.call(f);
        if (d === "float16") code.call(this.#library.function("f64_round_f16"));
        else if (d === "bfloat16") code.call(this.#library.function("f64_round_bf16"));
        else if (type === "f32") code.op(0xb6);
        return;
      }
    }
  }

  #cast(from: DType, to: DType): void {
    const { code } = this;
    const [a, b] = [valType(from), valType(to)];
    if (to === "bool") {
      if (a === "i32") code.i32(0).op(0x47);
      else if (a === "f32") code.f32(0).op(0x5c);
      else code.f64(0).op(0x62);
      return;
    }
    if (a === "i32" && b === "i32") {
      this.#wrap(to);
      return;
    }
    if (a === "i32") {
      if (b === "f64") code.op(unsigned(from) ? 0xb8 : 0xb7);
      else if (to === "float32") code.op(unsigned(from) ? 0xb3 : 0xb2);
      else {
        // through float64, which holds every 32-bit integer, so that it is rounded once
        code.op(unsigned(from) ? 0xb8 : 0xb7);
        code.call(this.#library.function(to === "float16" ? "f64_round_f16" : "f64_round_bf16"));
      }
      return;
    }
    if (b === "i32") {
      if (dtypes[to].bytes === 1) {
        code.op(0xfc, a === "f32" ? 0x00 : 0x02); // i32.trunc_sat_…_s
        const { min, max } = dtypes[to];
        code
          .i32(min)
          .call(this.#library.function("max_s"))
          .i32(max)
          .call(this.#library.function("min_s"));
      } else code.op(0xfc, (a === "f32" ? 0x00 : 0x02) + (to === "uint32" ? 1 : 0));
      return;
    }
    if (a === "f64" && b === "f32") {
      if (to === "float16") code.call(this.#library.function("f64_round_f16"));
      else if (to === "bfloat16") code.call(this.#library.function("f64_round_bf16"));
      else code.op(0xb6);
      return;
    }
    if (a === "f32" && b === "f64") code.op(0xbb);
    else this.#wrap(to);
  }

  #bitcast(x: Expr, to: DType): void {
    const { code } = this;
    const from = x.dtype;
    this.expr(x);
    // to bits
    if (from === "float16") code.call(this.#library.function("f32_to_f16"));
    else if (from === "bfloat16") code.op(0xbc).i32(16).op(0x76);
    else if (from === "float32" && to !== "float32") code.op(0xbc);
    // from bits
    if (to === "float16") code.call(this.#library.function("f16_to_f32"));
    else if (to === "bfloat16") code.i32(16).op(0x74, 0xbe);
    else if (to === "float32" && from !== "float32") code.op(0xbe);
    else this.#wrap(to);
  }
}

function comparison(op: CompareOp, d: DType): number {
  const type = valType(d);
  const at = ["eq", "ne", "lt", "gt", "le", "ge"].indexOf(op);
  if (type === "f32") return 0x5b + at;
  if (type === "f64") return 0x61 + at;
  // i32: eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
  return at < 2 ? 0x46 + at : 0x48 + (at - 2) * 2 + (unsigned(d) ? 1 : 0);
}

/** The function of a loop kernel: its parameters are the addresses of its buffers and, where it is one parallel loop,
 *  the part of the loop's range that is to be computed. */
export function emitKernel(kernel: LoopKernel, library: Library): KernelFunction {
  const emitter = new Emitter(kernel, library);
  emitter.statements(kernel.body);
  const whole = parallelLoop(kernel);
  return {
    code: emitter.code,
    range: whole === null ? null : { extent: whole.to.value, align: 1 },
  };
}
