/** Accumulators of a vector loop: each lane folds its own iterations; afterwards lanes are combined in a fixed order. */
import { binary, type Expr, KVar } from "../../../kernel/expr.ts";
import type { Frame } from "./frame.ts";
import { type Lanes, lanesPerBlock, partsOf } from "./lanes.ts";
import { identityOf, type Reduction } from "./reduction.ts";
import type { ScalarExpressions } from "./scalar.ts";
import { valType } from "./types.ts";
import type { VectorOps } from "./vector-ops.ts";

export class Accumulators {
  readonly #frame: Frame;
  readonly #scalar: ScalarExpressions;
  readonly #lanes: Lanes;
  readonly #ops: VectorOps;
  readonly #reductions: readonly Reduction[];

  constructor(
    frame: Frame,
    scalar: ScalarExpressions,
    lanes: Lanes,
    ops: VectorOps,
    reductions: readonly Reduction[],
  ) {
    this.#frame = frame;
    this.#scalar = scalar;
    this.#lanes = lanes;
    this.#ops = ops;
    this.#reductions = reductions;
  }

  #registers(acc: KVar): number[] {
    const parts = partsOf(acc.dtype);
    return Array.from({ length: this.#lanes.blocks * parts }, (_, i) =>
      this.#lanes.local(acc, Math.floor(i / parts), i % parts),
    );
  }
  /** Sets every lane. */
  start(): void {
    const { code } = this.#frame;
    for (const { acc, op } of this.#reductions) {
      const identity = identityOf(op, acc);
      for (const register of this.#registers(acc)) {
        if (identity !== null) this.#ops.literal(identity, acc.dtype);
        else {
          code.get(this.#frame.variable(acc, valType(acc.dtype)));
          this.#ops.splat(acc.dtype);
        }
        code.set(register);
      }
    }
  }
  /** Combines all lanes into the scalar accumulators: registers in halves, then lanes from first to last. */
  finish(): void {
    const { code } = this.#frame;
    for (const { acc, op } of this.#reductions) {
      const d = acc.dtype;
      const registers = this.#registers(acc);
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
      let total: Expr | null = null;
      for (let lane = 0; lane < lanesPerBlock / partsOf(d); lane++) {
        const value = new KVar(d, `lane${lane}`);
        code.get(registers[0] as number);
        this.#ops.extract(d, lane);
        code.set(this.#frame.variable(value, valType(d)));
        total = total === null ? value : binary(op, total, value);
      }
      this.#scalar.alone(binary(op, acc, total as Expr));
      code.set(this.#frame.variable(acc, valType(d)));
    }
  }
}
