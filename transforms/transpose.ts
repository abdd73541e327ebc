/** Transposition: a jaxpr that is linear in some inputs becomes the jaxpr of the transposed map. */
import type { Atom, ClosedJaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { addTangents } from "../core/ops/linear.ts";
import { LinearInput, ruleOf, type Tangent, Zero } from "../core/primitive.ts";
import { bind, environment, traceToJaxpr } from "../core/trace.ts";
import { isMoving, spread, withZeros } from "./jvp.ts";

/** Cotangents of the inputs for which `linear` is true, given those of the outputs; evaluated under the
 *  current interpreter. `args` holds values at the other inputs (anything at the linear ones). */
export function evalTranspose(
  { jaxpr, consts }: ClosedJaxpr,
  args: readonly (NDArray | null)[],
  linear: readonly boolean[],
  cotangents: readonly Tangent[],
): Tangent[] {
  const { define, read } = environment(jaxpr, consts, args);
  const linearVars = jaxpr.inVars.filter((_, i) => linear[i]);
  const isLinear = new Set<Atom>(linearVars);
  // forward: what does not depend on the linear inputs
  const backward = [];
  for (const e of jaxpr.equations) {
    if (e.inputs.some((a) => isLinear.has(a))) {
      for (const v of e.outputs) isLinear.add(v);
      backward.push(e);
    } else define(e.outputs, bind(e.primitive, e.inputs.map(read), e.params));
  }
  // backward: cotangents are sums over the uses of a variable
  const gathered = new Map<Atom, Tangent>();
  const take = (a: Atom): Tangent => gathered.get(a) ?? new Zero(a.aval);
  const give = (a: Atom, ct: Tangent | null | undefined): void => {
    if (ct && isMoving(ct) && isLinear.has(a)) gathered.set(a, addTangents(take(a), ct));
  };
  jaxpr.outs.forEach((a, i) => {
    give(a, cotangents[i]);
  });
  for (const e of backward.reverse()) {
    if (!e.outputs.some((v) => gathered.has(v))) continue;
    const inputs = e.inputs.map((a) => (isLinear.has(a) ? new LinearInput(a.aval) : read(a)));
    const cts = ruleOf(e.primitive, "transpose")(e.outputs.map(take), inputs, e.params);
    for (const v of e.outputs) gathered.delete(v);
    e.inputs.forEach((a, i) => {
      give(a, cts[i]);
    });
  }
  return linearVars.map(take);
}

export interface TransposedJaxpr {
  readonly jaxpr: ClosedJaxpr;
  /** whether each linear input has a cotangent that is not zero for every input */
  readonly moving: readonly boolean[];
}

/** Transposes with respect to the inputs for which `linear` is true; `given[i]` tells whether output i has a
 *  cotangent (the others are zero). */
export function transposeJaxpr(
  of: ClosedJaxpr,
  linear: readonly boolean[],
  given: readonly boolean[],
): TransposedJaxpr {
  const { inAvals, outAvals } = of;
  const fixed = inAvals.filter((_, i) => !linear[i]);
  let moving: boolean[] = [];
  const jaxpr = traceToJaxpr(
    "transpose",
    (all) => {
      const isFixed = linear.map((l) => !l);
      const args = spread(all.slice(0, fixed.length), isFixed, () => null);
      const cts = withZeros(all.slice(fixed.length), given, outAvals);
      const out = evalTranspose(of, args, linear, cts);
      moving = out.map(isMoving);
      return out.filter(isMoving);
    },
    [...fixed, ...outAvals.filter((_, i) => given[i]).map((a) => a.strong)],
  );
  return { jaxpr, moving };
}
