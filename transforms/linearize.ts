/** Linearization: f at a point becomes what is computed now and a linear jaxpr of the tangents. */
import type { Aval } from "../core/aval.ts";
import { ClosedJaxpr, Jaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { Zero } from "../core/primitive.ts";
import { Trace, traceToJaxpr, within } from "../core/trace.ts";
import { evalJvp, isMoving } from "./jvp.ts";

export interface Linearized {
  readonly outs: readonly NDArray[];
  readonly linear: ClosedJaxpr;
  readonly moving: readonly boolean[];
}

/** Evaluates a jaxpr at `primals` under the current interpreter and records what happens to tangents.
 *  `linear` has one input for each moving input and one output for each moving output; its constants are
 *  the residuals. */
export function linearizeEval(
  of: ClosedJaxpr,
  primals: readonly NDArray[],
  moving: readonly boolean[] = primals.map(() => true),
): Linearized {
  const trace = new Trace("linearize", { dependentOnly: true });
  const avals = of.inAvals;
  const tangents = moving.map((m, i) =>
    m ? trace.argument((avals[i] as Aval).strong) : new Zero(avals[i] as Aval),
  );
  return within(trace, () => {
    const dual = evalJvp(of, primals, tangents, true);
    const linear = trace.finish(dual.tangents.filter(isMoving));
    return { outs: dual.outs, linear, moving: dual.tangents.map(isMoving) };
  });
}

export interface LinearizedJaxpr {
  /** inputs ↦ outputs and residuals */
  readonly jaxpr: ClosedJaxpr;
  /** residuals and moving tangents ↦ moving output tangents */
  readonly linear: ClosedJaxpr;
  readonly moving: readonly boolean[];
}

/** The two halves of a jaxpr's derivative. */
export function linearizeJaxpr(of: ClosedJaxpr, moving: readonly boolean[]): LinearizedJaxpr {
  let at: Linearized | undefined;
  const jaxpr = traceToJaxpr(
    "linearize",
    (args) => {
      at = linearizeEval(of, args, moving);
      return [...at.outs, ...at.linear.consts];
    },
    of.inAvals,
  );
  // traceToJaxpr has called its function
  const { linear, moving: outMoving } = at as Linearized;
  return { jaxpr, linear: closeOver(linear), moving: outMoving };
}

/** The same function with its constants as leading arguments. */
export function closeOver({ jaxpr }: ClosedJaxpr): ClosedJaxpr {
  const { constVars, inVars, equations, outs } = jaxpr;
  return new ClosedJaxpr(
    constVars.length === 0 ? jaxpr : new Jaxpr([], [...constVars, ...inVars], equations, outs),
    [],
  );
}
