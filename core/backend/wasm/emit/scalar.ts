/** Scalar expressions. */
import type { Expr } from "../../../kernel/expr.ts";
import type { Stmt } from "../../../kernel/kernel.ts";
import type { Frame } from "./frame.ts";
import { Pointers } from "./pointers.ts";
import { none, type Operand, ScalarOps } from "./scalar-ops.ts";
import { type Conditional, Sharing, scalarSlot } from "./sharing.ts";
import { valType } from "./types.ts";

export class ScalarExpressions {
  readonly #frame: Frame;
  readonly ops: ScalarOps;
  readonly pointers: Pointers;
  readonly sharing: Sharing;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.ops = new ScalarOps(frame);
    this.pointers = new Pointers(frame);
    this.sharing = new Sharing(frame, (e) => this.pointers.find(e.buffer, e.index) !== undefined);
  }

  /** Leaves the value of `e` on the stack, as a group of its own. */
  alone(e: Expr): void {
    if (e.kind === "lit" || e.kind === "var") this.expr(e);
    else
      this.sharing.group(
        () => this.sharing.count(e),
        () => this.expr(e),
      );
  }
  /** Leaves the value of `e` on the stack. */
  expr(e: Expr): void {
    if (e.kind === "lit" || e.kind === "var") {
      this.#compute(e);
      return;
    }
    const { code } = this.#frame;
    const known = this.sharing.find(e, scalarSlot);
    if (known !== undefined) {
      code.get(known);
      return;
    }
    this.#compute(e);
    if (this.sharing.uses(e, scalarSlot) > 1) code.tee(this.sharing.keep(e, scalarSlot));
  }
  store({ buffer, index, value }: Stmt & { kind: "store" }): void {
    const offset = this.address(buffer, index);
    this.expr(value);
    this.ops.store(this.#frame.buffer(buffer).dtype, offset);
  }

  /** Leaves an address on the stack; gives the constant that is to be added to it. */
  address(buffer: number, index: Expr): number {
    const { code } = this.#frame;
    const pointer = this.pointers.find(buffer, index);
    if (pointer !== undefined) {
      code.get(pointer.local);
      return pointer.offset;
    }
    const width = this.#frame.width(buffer);
    code.get(buffer);
    if (index.kind === "lit") return index.value * width;
    this.expr(index);
    if (width > 1) code.i32(Math.log2(width)).op(0x74);
    code.op(0x6a);
    return 0;
  }

  #computeCommon(e: Conditional): void {
    const { sharing } = this;
    for (const x of sharing.common(e)) {
      if (sharing.uses(x, scalarSlot) < 2 || sharing.find(x, scalarSlot) !== undefined) continue;
      this.expr(x);
      this.#frame.code.op(0x1a); // drop
    }
  }

  #compute(e: Expr): void {
    const { code } = this.#frame;
    const { ops } = this;
    const value =
      (x: Expr): Operand =>
      () =>
        this.expr(x);
    switch (e.kind) {
      case "var":
        code.get(this.#frame.variable(e));
        return;
      case "lit":
        ops.literal(e.value, e.dtype);
        return;
      case "load":
        ops.load(e.dtype, this.address(e.buffer, e.index));
        return;
      case "unary":
      case "cast":
      case "bitcast":
        ops.apply(e, value(e.x), none);
        return;
      case "binary":
      case "compare":
        ops.apply(e, value(e.x), value(e.y));
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
          () => this.sharing.scoped(() => this.expr(e.yes)),
          () => this.sharing.scoped(() => this.expr(e.no)),
        );
        return;
    }
  }
}
