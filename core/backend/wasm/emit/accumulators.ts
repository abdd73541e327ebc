/** Accumulators of a vector loop: each lane folds its own iterations; afterwards lanes are combined in a fixed order. */
import { binary, type Expr, KVar } from "../../../kernel/expr.ts";
import { type Stmt, set } from "../../../kernel/kernel.ts";
import type { Frame } from "./frame.ts";
import { type Lanes, lanesPerBlock, partsOf } from "./lanes.ts";
import { combine } from "./position.ts";
import { identityOf, type Reductions } from "./reduction.ts";
import type { VectorOps } from "./vector-ops.ts";

/** Sets every lane. */
export function start(
  { folds, positions }: Reductions,
  { code, variable }: Frame,
  lanes: Lanes,
  ops: VectorOps,
): void {
  const fill = (acc: KVar, identity: number | null): void => {
    for (const register of lanes.registers(acc)) {
      if (identity !== null) ops.literal(identity, acc.dtype);
      else {
        code.get(variable(acc));
        ops.splat(acc.dtype);
      }
      code.set(register);
    }
  };
  for (const { acc, op } of folds) fill(acc, identityOf(op, acc));
  for (const { best, at } of positions) {
    fill(best, null);
    fill(at, null);
  }
}

/** Combines all lanes into the scalar accumulators: registers in halves, then lanes from first to last. `emit` emits scalar
 *  statements. */
export function finish(
  { folds, positions }: Reductions,
  { code, variable }: Frame,
  lanes: Lanes,
  ops: VectorOps,
  emit: (body: readonly Stmt[]) => void,
): void {
  /** One lane, counted through all blocks, in a variable of its own. */
  const extract = (acc: KVar, lane: number): KVar => {
    const perRegister = lanesPerBlock / partsOf(acc.dtype);
    const value = new KVar(acc.dtype, `lane${lane}`);
    code.get(lanes.registers(acc)[Math.floor(lane / perRegister)] as number);
    ops.extract(acc.dtype, lane % perRegister);
    code.set(variable(value));
    return value;
  };
  for (const { acc, op } of folds) {
    const registers = lanes.registers(acc);
    for (let n = registers.length >> 1; n > 0; n >>= 1)
      for (let i = 0; i < n; i++) {
        const [x, y] = [registers[i] as number, registers[i + n] as number];
        ops.binary(
          op,
          acc.dtype,
          () => code.get(x),
          () => code.get(y),
          null,
        );
        code.set(x);
      }
    let total: Expr = extract(acc, 0);
    for (let lane = 1; lane < lanesPerBlock / partsOf(acc.dtype); lane++)
      total = binary(op, total, extract(acc, lane));
    emit([set(acc, binary(op, acc, total))]);
  }
  for (const position of positions)
    for (let lane = 0; lane < lanesPerBlock * lanes.blocks; lane++) {
      const { best, at } = position;
      const [x, i] = [extract(best, lane), extract(at, lane)];
      // every lane has found something
      emit(lane === 0 ? [set(best, x), set(at, i)] : combine(position, x, i));
    }
}
