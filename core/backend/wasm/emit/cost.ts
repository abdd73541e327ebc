/** Estimates, in instructions: the cost of one iteration, or of a block of four at once. */
import { dtypes } from "../../../dtype.ts";
import { type Expr, memoized, operands } from "../../../kernel/expr.ts";
import { bodies, roots, type Stmt } from "../../../kernel/kernel.ts";
import type { Frame } from "./frame.ts";
import { type Lanes, lanesPerBlock, partsOf } from "./lanes.ts";
import { half } from "./types.ts";
import { isCall, isPerLane } from "./per-lane.ts";

const callCost = 25;
const helperCost = 5;
/** an access of one lane: the access, and moving the value from or to its place in the register */
const laneCost = 1.75;
const wholeCost = 1.25;
/** a branch that is mispredicted now and then */
const branchCost = 10;
/** how often a side is taken that calls the host, which the other is there to avoid */
const rarely = 1 / 16;
/** how often some lane takes a side */
const someLane = 5 / 8;

/** Cost of statements, inner loops by `loop`; where `lanes` is given, of a block. */
export function cost(
  body: readonly Stmt[],
  frame: Frame,
  lanes: Lanes | null,
  loop: (s: Stmt & { kind: "for" }) => number,
): number {
  let sum = 0;
  const seen = new Set<Expr>();
  /** Adds what `e` takes, which is evaluated in this share of the iterations. */
  const visit = (e: Expr, share = 1): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "load") sum += share * access(e.buffer, e.index, e.dtype, "load");
    else if (e.kind === "cond") {
      const branches = lanes === null || lanes.uniform(e.test);
      const calls = [e.yes, e.no].map(hasCall);
      const rare = calls[0] !== calls[1];
      sum += share * (branches && !rare ? branchCost : node(e, lanes));
      visit(e.test, share);
      [e.yes, e.no].forEach((side, i) => {
        visit(side, share * (rare ? (calls[i] ? rarely : 1) : branches ? 1 / 2 : someLane));
      });
    } else {
      sum += share * node(e, lanes);
      for (const x of operands(e)) visit(x, share);
    }
  };
  const access = (
    buffer: number,
    index: Expr,
    d: Expr["dtype"],
    kind: "load" | "store",
  ): number => {
    if (lanes === null) {
      const affine = [...frame.forms.of(index).terms.keys()].every((atom) => atom.kind === "var");
      if (!affine) visit(index);
      return 1 + conversion(d, false);
    }
    if (lanes.uniform(index)) return lanes.invariant(index) ? 0 : 1;
    const stride = lanes.stride(buffer, index);
    if (stride === null) visit(index);
    if (stride === 8 && frame.width(buffer) === 4 && kind === "load") return 3 * wholeCost;
    return stride !== null && Math.abs(stride) === frame.width(buffer)
      ? partsOf(d) * wholeCost + conversion(d, true)
      : lanesPerBlock * (laneCost + conversion(d, false));
  };
  for (const s of body) {
    if (s.kind === "for") {
      sum += loop(s);
      continue;
    }
    if (s.kind === "store") {
      visit(s.value);
      sum += access(s.buffer, s.index, s.value.dtype, "store");
    } else for (const e of roots(s)) visit(e);
    sum += Math.max(0, ...bodies(s).map((inner) => cost(inner, frame, lanes, loop)));
  }
  return sum;
}

/** from and to memory */
const conversion = (d: Expr["dtype"], vector: boolean): number =>
  d === "float16"
    ? vector
      ? 9
      : helperCost
    : half(d) || (vector && dtypes[d].bytes === 1)
      ? 2
      : 0;

function node(e: Expr, lanes: Lanes | null): number {
  if (e.kind === "lit" || e.kind === "var" || e.kind === "load") return 0;
  if (lanes === null) return scalarNode(e);
  if (lanes.uniform(e)) return lanes.invariant(e) ? 0 : scalarNode(e);
  if (isPerLane(e)) return lanesPerBlock * (scalarNode(e) + laneCost);
  const rounding = e.dtype === "float16" ? 16 : e.dtype === "bfloat16" ? 7 : 0;
  const arithmetic = e.kind === "binary" || e.kind === "cast" ? rounding : 0;
  return partsOf(e.dtype) * (isDivision(e) ? 5 : 1) + arithmetic;
}
function scalarNode(e: Expr): number {
  if (isCall(e)) return callCost;
  if (isPerLane(e) || (half(e.dtype) && (e.kind === "binary" || e.kind === "cast")))
    return helperCost;
  return isDivision(e) ? 5 : 1;
}
const isDivision = (e: Expr): boolean =>
  (e.kind === "binary" && (e.op === "div" || e.op === "rem")) ||
  (e.kind === "unary" && e.op === "sqrt");
const hasCall = memoized(
  (e: Expr): boolean => isCall(e) || operands(e).some(hasCall),
  new WeakMap<Expr, boolean>(),
);
