/** Linearization: f at a point becomes what is computed now and a linear jaxpr of the tangents. */
import { ClosedJaxpr, Jaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { type Tangent, Zero } from "../core/primitive.ts";
import { Trace, traceToJaxpr, within } from "../core/trace.ts";
import { evalJvp } from "./jvp.ts";

/** Evaluates `jaxpr` at `primals` under the current interpreter and records what happens to tangents.
 *  `linear` has one input for each moving input and one output for each moving output; its constants are
 *  the residuals. */
export function linearizeEval(
  jaxpr: Jaxpr,
  consts: readonly NDArray[],
  primals: readonly NDArray[],
  moving: readonly boolean[],
): { outs: readonly NDArray[]; linear: ClosedJaxpr; moving: readonly boolean[] } {
  const trace = new Trace("linearize", { dependentOnly: true });
  const avals = jaxpr.inAvals;
  const tangents = moving.map(
    (m, i): Tangent =>
      m
        ? trace.argument((avals[i] as NDArray["aval"]).strong)
        : new Zero(avals[i] as NDArray["aval"]),
  );
  return within(trace, () => {
    const dual = evalJvp(jaxpr, consts, primals, tangents, true);
    const out = dual.tangents.filter((t): t is NDArray => !(t instanceof Zero));
    return {
      outs: dual.outs,
      linear: trace.finish(out),
      moving: dual.tangents.map((t) => !(t instanceof Zero)),
    };
  });
}

export interface LinearizedJaxpr {
  /** inputs ↦ outputs and residuals */
  readonly primal: ClosedJaxpr;
  /** number of residuals */
  readonly residuals: number;
  /** residuals and moving tangents ↦ moving output tangents */
  readonly linear: ClosedJaxpr;
  readonly moving: readonly boolean[];
}

/** The two halves of a jaxpr's derivative. */
export function linearizeJaxpr(
  { jaxpr, consts }: ClosedJaxpr,
  moving: readonly boolean[],
): LinearizedJaxpr {
  let at: ReturnType<typeof linearizeEval> | undefined;
  const primal = traceToJaxpr(
    "linearize",
    (args) => {
      at = linearizeEval(jaxpr, consts, args, moving);
      return [...at.outs, ...at.linear.consts];
    },
    jaxpr.inAvals,
  );
  // traceToJaxpr has called its function
  const { linear, moving: outMoving } = at as ReturnType<typeof linearizeEval>;
  const { jaxpr: body, consts: residuals } = linear;
  const open = new Jaxpr([], [...body.constVars, ...body.inVars], body.equations, body.outs);
  return {
    primal,
    residuals: residuals.length,
    linear: new ClosedJaxpr(open, []),
    moving: outMoving,
  };
}
