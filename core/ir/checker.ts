/** The executable specification of the IR: scoping, single assignment, types. */
import { CotangentError } from "../errors.ts";
import { NDArray } from "../ndarray.ts";
import { type Atom, ClosedJaxpr, isLiteral, type Jaxpr, subJaxprs, type Var } from "./jaxpr.ts";
import { showJaxpr } from "./printer.ts";

/** Throws unless every variable is bound once and before its use, every equation's outputs have the types
 *  that its primitive's shape rule gives, and constants match their variables. Recurses into params. */
export function checkJaxpr(closed: Jaxpr | ClosedJaxpr): void {
  const jaxpr = closed instanceof ClosedJaxpr ? closed.jaxpr : closed;
  const bad = (what: string): never => {
    throw new CotangentError(`checkJaxpr: ${what} in\n${showJaxpr(jaxpr)}`);
  };
  if (closed instanceof ClosedJaxpr) {
    if (closed.consts.length !== jaxpr.constVars.length)
      bad("constants and variables differ in number");
    closed.consts.forEach((c, i) => {
      const v = jaxpr.constVars[i] as Var;
      if (!(c instanceof NDArray) || c.aval.strong !== v.aval.strong)
        bad(`constant ${i} is ${String(c.aval)}, its variable ${v.aval}`);
    });
  }
  const bound = new Set<Var>();
  const bind = (v: Var): void => {
    if (bound.has(v)) bad(`variable #${v.id}:${v.aval} is bound twice`);
    bound.add(v);
  };
  const use = (a: Atom): void => {
    if (!isLiteral(a) && !bound.has(a))
      bad(`variable #${a.id}:${a.aval} is used before it is bound`);
  };
  jaxpr.constVars.forEach(bind);
  jaxpr.inVars.forEach(bind);
  for (const e of jaxpr.equations) {
    e.inputs.forEach(use);
    const avals = e.primitive.shape(
      e.inputs.map((a) => a.aval),
      e.params,
    );
    if (avals.length !== e.outputs.length) bad(`${e.primitive.name} gives ${avals.length} results`);
    e.outputs.forEach((v, i) => {
      if (avals[i]?.strong !== v.aval.strong)
        bad(`${e.primitive.name} gives ${String(avals[i])}, bound as ${v.aval}`);
      bind(v);
    });
    for (const sub of subJaxprs(e.params)) checkJaxpr(sub);
  }
  jaxpr.outs.forEach(use);
}
