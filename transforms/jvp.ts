/** Forward mode: a jaxpr becomes the jaxpr of (x, dx) ↦ (f(x), f′(x)·dx). */
import { type Atom, type ClosedJaxpr, isLiteral, type Jaxpr, type Var } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { instantiate } from "../core/ops/linear.ts";
import { type JvpRule, type Params, ruleOf, type Tangent, Zero } from "../core/primitive.ts";
import { bind, traceToJaxpr } from "../core/trace.ts";

export interface Dual {
  readonly outs: readonly NDArray[];
  readonly tangents: readonly Tangent[];
}

/** Evaluates a jaxpr on dual numbers under the current interpreter. With `split`, primitives that can are
 *  asked to keep their primal part apart from their linear part (see linearize). */
export function evalJvp(
  jaxpr: Jaxpr,
  consts: readonly NDArray[],
  primals: readonly NDArray[],
  tangents: readonly Tangent[],
  split = false,
): Dual {
  const values = new Map<Var, NDArray>();
  const moving = new Map<Var, NDArray>();
  jaxpr.constVars.forEach((v, i) => {
    values.set(v, consts[i] as NDArray);
  });
  jaxpr.inVars.forEach((v, i) => {
    values.set(v, primals[i] as NDArray);
    const t = tangents[i] as Tangent;
    if (!(t instanceof Zero)) moving.set(v, t);
  });
  const value = (a: Atom): NDArray => (isLiteral(a) ? a : (values.get(a) as NDArray));
  const tangent = (a: Atom): Tangent =>
    (isLiteral(a) ? undefined : moving.get(a)) ?? new Zero(a.aval);
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const x = inputs.map(value);
    if (!inputs.some((a) => !isLiteral(a) && moving.has(a))) {
      const outs = bind(primitive, x, params);
      outputs.forEach((v, i) => {
        values.set(v, outs[i] as NDArray);
      });
      continue;
    }
    const rule: JvpRule<Params> =
      (split ? primitive.linearize : undefined) ?? ruleOf(primitive, "jvp");
    const dual = rule(x, inputs.map(tangent), params);
    outputs.forEach((v, i) => {
      values.set(v, dual.outs[i] as NDArray);
      const t = dual.tangents[i] as Tangent;
      if (!(t instanceof Zero)) moving.set(v, t);
    });
  }
  return { outs: jaxpr.outs.map(value), tangents: jaxpr.outs.map(tangent) };
}

/** A differentiated jaxpr: its outputs are those of the original, then the tangents of those outputs for
 *  which `moving` is true (the others are zero for every input). */
export interface JvpJaxpr {
  readonly jaxpr: ClosedJaxpr;
  readonly moving: readonly boolean[];
}

/** Inputs of the result: the primals, then a tangent for each input for which `moving` is true. */
export function jvpJaxpr({ jaxpr, consts }: ClosedJaxpr, moving: readonly boolean[]): JvpJaxpr {
  const { inAvals } = jaxpr;
  const movingAvals = inAvals.filter((_, i) => moving[i]);
  let outMoving: boolean[] = [];
  const result = traceToJaxpr(
    "jvp",
    (args) => {
      const primals = args.slice(0, inAvals.length);
      const dual = evalJvp(
        jaxpr,
        consts,
        primals,
        spread(args.slice(inAvals.length), moving, (i) => new Zero(inAvals[i] as NDArray["aval"])),
      );
      outMoving = dual.tangents.map((t) => !(t instanceof Zero));
      return [...dual.outs, ...dual.tangents.filter((t): t is NDArray => !(t instanceof Zero))];
    },
    [...inAvals, ...movingAvals],
  );
  return { jaxpr: result, moving: outMoving };
}

/** Puts `some` back at the positions where `mask` is true, `other` elsewhere. */
export function spread<T, U>(
  some: readonly T[],
  mask: readonly boolean[],
  other: (i: number) => U,
): (T | U)[] {
  let k = 0;
  return mask.map((m, i) => (m ? (some[k++] as T) : other(i)));
}

export const instantiateAll = (ts: readonly Tangent[]): NDArray[] => ts.map(instantiate);
