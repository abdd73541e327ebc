/** Forward mode: a jaxpr becomes the jaxpr of (x, dx) ↦ (f(x), f′(x)·dx). */
import type { Aval } from "../core/aval.ts";
import type { Atom, ClosedJaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { type JvpRule, type Params, ruleOf, type Tangent, Zero } from "../core/primitive.ts";
import { assign, bind, environment, traceToJaxpr } from "../core/trace.ts";

export interface Dual {
  readonly outs: readonly NDArray[];
  readonly tangents: readonly Tangent[];
}

/** Evaluates a jaxpr on dual numbers under the current interpreter. With `split`, primitives that can are
 *  asked to keep their primal part apart from their linear part (see linearize). */
export function evalJvp(
  { jaxpr, consts }: ClosedJaxpr,
  primals: readonly NDArray[],
  tangents: readonly Tangent[],
  split = false,
): Dual {
  const { define, read } = environment(jaxpr, consts, primals);
  const known = new Map<Atom, Tangent>();
  assign(known, jaxpr.inVars, tangents);
  const tangent = (a: Atom): Tangent => known.get(a) ?? new Zero(a.aval);
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const x = inputs.map(read);
    const dx = inputs.map(tangent);
    if (!dx.some(isMoving)) {
      define(outputs, bind(primitive, x, params));
      continue;
    }
    const rule: JvpRule<Params> =
      (split ? primitive.linearize : undefined) ?? ruleOf(primitive, "jvp");
    const dual = rule(x, dx, params, primitive);
    define(outputs, dual.outs);
    assign(known, outputs, dual.tangents);
  }
  return { outs: jaxpr.outs.map(read), tangents: jaxpr.outs.map(tangent) };
}

/** A differentiated jaxpr: its outputs are those of the original, then the tangents of those outputs for
 *  which `moving` is true (the others are zero for every input). */
export interface JvpJaxpr {
  readonly jaxpr: ClosedJaxpr;
  readonly moving: readonly boolean[];
}

/** Inputs of the result: the primals, then a tangent for each input for which `moving` is true. */
export function jvpJaxpr(of: ClosedJaxpr, moving: readonly boolean[]): JvpJaxpr {
  const { inAvals } = of;
  const n = inAvals.length;
  let outMoving: boolean[] = [];
  const jaxpr = traceToJaxpr(
    "jvp",
    (args) => {
      const dual = evalJvp(of, args.slice(0, n), withZeros(args.slice(n), moving, inAvals));
      outMoving = dual.tangents.map(isMoving);
      return [...dual.outs, ...dual.tangents.filter(isMoving)];
    },
    [...inAvals, ...inAvals.filter((_, i) => moving[i])],
  );
  return { jaxpr, moving: outMoving };
}

export const isMoving = (t: Tangent): t is NDArray => !(t instanceof Zero);

/** Puts `some` back at the positions where `mask` is true, `other` elsewhere. */
export function spread<T, U>(
  some: readonly T[],
  mask: readonly boolean[],
  other: (i: number) => U,
): (T | U)[] {
  let k = 0;
  return mask.map((m, i) => (m ? (some[k++] as T) : other(i)));
}

/** Puts `some` back at the positions where `mask` is true, with zeros of the types `avals` elsewhere. */
export const withZeros = (
  some: readonly Tangent[],
  mask: readonly boolean[],
  avals: readonly Aval[],
): Tangent[] => spread(some, mask, (i) => new Zero(avals[i] as Aval));
