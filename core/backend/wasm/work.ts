/** How long a kernel takes, roughly: enough to tell what is worth sharing between threads. */
import { type DType, isFloat } from "../../dtype.ts";
import { isElementary } from "../../kernel/elementary.ts";
import { type Expr, operands } from "../../kernel/expr.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { operationsOf, totalOf, type Weights } from "../../program/cost.ts";
import { half } from "./emit/types.ts";

/** Nanoseconds of one core for an instruction in a loop that goes well, of a 16-bit float, which takes a call, and for
 *  the iteration itself. */
const simple = 0.1;
const halfFloat = 2;
const iteration = 0.1;

const arithmetic = (d: DType): number => (half(d) ? halfFloat : simple);

/** Nanoseconds of one core for a node that is computed once. */
function nodeWork(e: Expr): number {
  switch (e.kind) {
    case "var":
    case "lit":
    case "bitcast":
      return 0;
    case "load":
      return simple;
    case "unary":
      if (isElementary(e.op)) return 4;
      return e.op === "sqrt" ? 1 : arithmetic(e.dtype);
    case "binary":
      switch (e.op) {
        case "hostPow":
          return 16;
        case "pow":
        case "atan2":
          return isFloat(e.dtype) ? 12 : 16;
        case "rem":
          return isFloat(e.dtype) ? 8 : 2;
        case "div":
          return isFloat(e.dtype) ? 1 : 2;
        default:
          return arithmetic(e.dtype);
      }
    case "cast":
      return Math.max(arithmetic(e.dtype), arithmetic(e.x.dtype));
    case "compare":
    case "select":
    case "cond":
      return simple;
  }
}

/** Trips times what is in a loop; a node that statements share counts for each. */
const weights: Weights = {
  of: exprWork,
  iteration,
  unknownTrips: 16,
  either: (yes, no) => (yes + no) / 2,
};

/** An affine index is kept up by the loop and costs nothing; others hold a division or a load somewhere. */
function exprWork(value: Expr, storeIndex?: Expr): number {
  const seen = new Set<Expr>();
  let total = 0;
  const visit = (e: Expr, index: boolean): void => {
    if (seen.has(e)) return;
    seen.add(e);
    const affine = e.kind === "binary" && (e.op === "add" || e.op === "sub" || e.op === "mul");
    if (!(index && affine)) total += nodeWork(e);
    for (const x of operands(e)) visit(x, e.kind === "load" || (index && affine));
  };
  if (storeIndex !== undefined) {
    total += simple;
    visit(storeIndex, true);
  }
  visit(value, false);
  return total;
}

/** Nanoseconds for a multiplication and addition in a matrix product, and in loops. */
const productWork = 0.07;

/** Estimated nanoseconds of a kernel on one core. */
export const workOf = (kernel: Kernel): number =>
  kernel.kind === "loops"
    ? totalOf(kernel.body, weights)
    : (productWork / 2) * operationsOf(kernel);

/** Below this a kernel runs on one thread. Handing a job to a thread that is awake takes 1 to 2 µs, and the last
 *  parts are not finished at the same time. */
export const leastShared = 20_000;
/** Below this nobody is woken up for a program: it takes the thread that wakes another 15 µs. */
export const worthWaking = 100_000;
/** Parts of less are not worth handing out. */
const leastPart = 4_000;

/** The least number of indices in a part, given the work of one; and parts per thread: more even out the threads'
 *  speeds, but each part of a product packs one of its operands again. */
export function partsOf(kernel: Kernel, work: number): { grain: number; perThread: number } {
  return {
    grain: Math.max(1, Math.ceil(leastPart / work)),
    perThread: kernel.kind === "loops" ? 4 : 2,
  };
}
