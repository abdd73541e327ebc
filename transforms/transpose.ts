/** Transposition: a jaxpr that is linear in some inputs becomes the jaxpr of the transposed map. */
import type { Aval } from "../core/aval.ts";
import { type Atom, type ClosedJaxpr, isLiteral, type Jaxpr, type Var } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { addTangents, convert } from "../core/ops/linear.ts";
import { LinearInput, ruleOf, type Tangent, Zero } from "../core/primitive.ts";
import { bind, traceToJaxpr } from "../core/trace.ts";
import { spread } from "./jvp.ts";

/** Cotangents of the inputs for which `linear` is true, given those of the outputs; evaluated under the
 *  current interpreter. `args` holds values at the other inputs (anything at the linear ones). */
export function evalTranspose(
  jaxpr: Jaxpr,
  consts: readonly NDArray[],
  args: readonly (NDArray | null)[],
  linear: readonly boolean[],
  cotangents: readonly Tangent[],
): Tangent[] {
  const values = new Map<Var, NDArray>();
  const isLinear = new Set<Var>();
  jaxpr.constVars.forEach((v, i) => {
    values.set(v, consts[i] as NDArray);
  });
  jaxpr.inVars.forEach((v, i) => {
    if (linear[i]) isLinear.add(v);
    else values.set(v, args[i] as NDArray);
  });
  // forward: what does not depend on the linear inputs
  const backward = [];
  for (const e of jaxpr.equations) {
    if (e.inputs.some((a) => !isLiteral(a) && isLinear.has(a))) {
      for (const v of e.outputs) isLinear.add(v);
      backward.push(e);
      continue;
    }
    const x = e.inputs.map((a) => (isLiteral(a) ? a : (values.get(a) as NDArray)));
    const outs = bind(e.primitive, x, e.params);
    e.outputs.forEach((v, i) => {
      values.set(v, outs[i] as NDArray);
    });
  }
  // backward: cotangents are sums over the uses of a variable
  const gathered = new Map<Var, NDArray>();
  const give = (a: Atom, ct: Tangent | null | undefined): void => {
    if (ct === null || ct === undefined || ct instanceof Zero || isLiteral(a) || !isLinear.has(a))
      return;
    gathered.set(a, addTangents(gathered.get(a) ?? new Zero(a.aval), ct) as NDArray);
  };
  const take = (v: Var): Tangent => gathered.get(v) ?? new Zero(v.aval);
  jaxpr.outs.forEach((a, i) => {
    give(a, cotangents[i]);
  });
  for (const e of backward.reverse()) {
    if (!e.outputs.some((v) => gathered.has(v))) continue;
    const inputs = e.inputs.map((a): NDArray | LinearInput =>
      isLiteral(a) ? a : isLinear.has(a) ? new LinearInput(a.aval) : (values.get(a) as NDArray),
    );
    const cts = ruleOf(e.primitive, "transpose")(e.outputs.map(take), inputs, e.params);
    for (const v of e.outputs) gathered.delete(v);
    e.inputs.forEach((a, i) => {
      give(a, cts[i]);
    });
  }
  return jaxpr.inVars.filter((_, i) => linear[i]).map(take);
}

export interface TransposedJaxpr {
  /** values of the other inputs, then cotangents of the outputs that have one ↦ cotangents of linear inputs */
  readonly jaxpr: ClosedJaxpr;
  /** whether each linear input has a cotangent that is not zero for every input */
  readonly moving: readonly boolean[];
}

/** Transposes with respect to the inputs for which `linear` is true; `given[i]` tells whether output i has a
 *  cotangent (the others are zero). */
export function transposeJaxpr(
  { jaxpr, consts }: ClosedJaxpr,
  linear: readonly boolean[],
  given: readonly boolean[],
): TransposedJaxpr {
  const { inAvals, outAvals } = jaxpr;
  const fixed = inAvals.filter((_, i) => !linear[i]);
  let moving: boolean[] = [];
  const result = traceToJaxpr(
    "transpose",
    (all) => {
      const args = spread(
        all.slice(0, fixed.length),
        linear.map((l) => !l),
        () => null,
      );
      const cts = spread(all.slice(fixed.length), given, (i) => new Zero(outAvals[i] as Aval));
      const out = evalTranspose(jaxpr, consts, args, linear, cts);
      moving = out.map((t) => !(t instanceof Zero));
      return out.filter((t): t is NDArray => !(t instanceof Zero));
    },
    [...fixed, ...outAvals.filter((_, i) => given[i]).map((a) => a.strong)],
  );
  return { jaxpr: result, moving };
}

/** `ct` in the exact dtype of the value that it belongs to. */
export const matchDtype = (ct: NDArray, aval: Aval): NDArray =>
  ct.dtype === aval.dtype ? ct : convert(ct, aval.dtype);
