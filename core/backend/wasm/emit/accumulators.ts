/** Accumulators of a vector loop: each lane folds its own iterations; afterwards lanes are combined in a fixed order. */
import type { DType } from "../../../dtype.ts";
import { type BinaryOp, binary, type Expr, KVar } from "../../../kernel/expr.ts";
import { type Stmt, set } from "../../../kernel/kernel.ts";
import type { Frame } from "./frame.ts";
import { type Lanes, lanesPerBlock, partsOf } from "./lanes.ts";
import { combine } from "./position.ts";
import { identityOf, type Reductions } from "./reduction.ts";
import type { VectorOps } from "./vector-ops.ts";

export class Accumulators {
  readonly #frame: Frame;
  readonly #lanes: Lanes;
  readonly #ops: VectorOps;
  readonly #reductions: Reductions;
  /** emits scalar statements */
  readonly #emit: (body: readonly Stmt[]) => void;

  constructor(
    frame: Frame,
    lanes: Lanes,
    ops: VectorOps,
    reductions: Reductions,
    emit: (body: readonly Stmt[]) => void,
  ) {
    this.#frame = frame;
    this.#lanes = lanes;
    this.#ops = ops;
    this.#reductions = reductions;
    this.#emit = emit;
  }

  /** Sets every lane. */
  start(): void {
    const { code } = this.#frame;
    const fill = (acc: KVar, identity: number | null): void => {
      for (const register of this.#lanes.registers(acc)) {
        if (identity !== null) this.#ops.literal(identity, acc.dtype);
        else {
          code.get(this.#frame.variable(acc));
          this.#ops.splat(acc.dtype);
        }
        code.set(register);
      }
    };
    for (const { acc, op } of this.#reductions.folds) fill(acc, identityOf(op, acc));
    for (const { best, at } of this.#reductions.positions) {
      fill(best, null);
      fill(at, null);
    }
  }
  /** Combines all lanes into the scalar accumulators: registers in halves, then lanes from first to last. */
  finish(): void {
    for (const { acc, op } of this.#reductions.folds) {
      this.#halve(op, acc.dtype, this.#lanes.registers(acc));
      let total: Expr | null = null;
      for (let lane = 0; lane < lanesPerBlock / partsOf(acc.dtype); lane++) {
        const value = this.#lane(acc, lane);
        total = total === null ? value : binary(op, total, value);
      }
      this.#emit([set(acc, binary(op, acc, total as Expr))]);
    }
    for (const position of this.#reductions.positions)
      for (let lane = 0; lane < lanesPerBlock * this.#lanes.blocks; lane++) {
        const { best, at } = position;
        const [x, i] = [this.#lane(best, lane), this.#lane(at, lane)];
        // every lane has found something
        this.#emit(lane === 0 ? [set(best, x), set(at, i)] : combine(position, x, i));
      }
  }
  #halve(op: BinaryOp, d: DType, registers: readonly number[]): void {
    const { code } = this.#frame;
    for (let n = registers.length >> 1; n > 0; n >>= 1)
      for (let i = 0; i < n; i++) {
        const [x, y] = [registers[i] as number, registers[i + n] as number];
        this.#ops.binary(
          op,
          d,
          () => code.get(x),
          () => code.get(y),
          null,
        );
        code.set(x);
      }
  }
  /** One lane, counted through all blocks, in a variable of its own. */
  #lane(acc: KVar, lane: number): KVar {
    const perRegister = lanesPerBlock / partsOf(acc.dtype);
    const value = new KVar(acc.dtype, `lane${lane}`);
    this.#frame.code.get(this.#lanes.registers(acc)[Math.floor(lane / perRegister)] as number);
    this.#ops.extract(acc.dtype, lane % perRegister);
    this.#frame.code.set(this.#frame.variable(value));
    return value;
  }
}
