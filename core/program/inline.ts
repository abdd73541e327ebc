/** Calls written out: a jaxpr without nested jaxprs, ready to be simplified and built as one program. */
import { type Atom, type ClosedJaxpr, type Equation, isLiteral, Jaxpr, Var } from "../ir/jaxpr.ts";

/** Replaces every call by the body of its callee. */
export function inlineCalls(jaxpr: Jaxpr): Jaxpr {
  if (!jaxpr.equations.some((e) => e.primitive.inline !== undefined)) return jaxpr;
  const equations: Equation[] = [];
  const visit = (j: Jaxpr, env: Map<Var, Atom>): Atom[] => {
    const read = (a: Atom): Atom => (isLiteral(a) ? a : (env.get(a) ?? a));
    for (const e of j.equations) {
      const inputs = e.inputs.map(read);
      if (e.primitive.inline !== undefined) {
        const body = (e.primitive.inline(e.params) as ClosedJaxpr).jaxpr;
        const inner = new Map<Var, Atom>(body.inVars.map((v, i) => [v, inputs[i] as Atom]));
        const outs = visit(body, inner);
        e.outputs.forEach((v, i) => {
          env.set(v, outs[i] as Atom);
        });
        continue;
      }
      // a body that is called twice is written out twice: its variables need names of their own
      const outputs = e.outputs.map((v) => new Var(v.aval));
      e.outputs.forEach((v, i) => {
        env.set(v, outputs[i] as Var);
      });
      equations.push({ ...e, inputs, outputs });
    }
    return j.outs.map(read);
  };
  const outs = visit(jaxpr, new Map());
  return new Jaxpr(jaxpr.constVars, jaxpr.inVars, equations, outs);
}
