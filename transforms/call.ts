/** `jit` as a primitive: a call of a jaxpr. Its rules transform the callee and call the result. */
import { entry } from "../core/maps.ts";
import type { ClosedJaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import {
  definePrimitive,
  LinearInput,
  noRule,
  type Primitive,
  type Tangent,
} from "../core/primitive.ts";
import { bind } from "../core/trace.ts";
import { batchJaxpr } from "./batch.ts";
import { isMoving, jvpJaxpr, spread, withZeros } from "./jvp.ts";
import { closeOver, linearizeJaxpr } from "./linearize.ts";
import { transposeJaxpr } from "./transpose.ts";

export interface CallParams {
  readonly name: string;
  /** without constants: whatever the function captured is an argument */
  readonly jaxpr: ClosedJaxpr;
}

/** Transforms of callees by their keys, kept as long as the callee lives: the same call differentiated twice gives the
 *  same callee, so it is compiled once. */
const derived = new WeakMap<ClosedJaxpr, Map<string, { of: unknown; body: ClosedJaxpr }>>();

/** Calls what `derive` makes of a callee, once for each `key`. The constants that it captured (from outside the callee) are
 *  arguments of the call. */
function callDerived<T extends { readonly jaxpr: ClosedJaxpr }>(
  { name, jaxpr }: CallParams,
  key: string,
  derive: (of: ClosedJaxpr) => T,
  args: readonly NDArray[],
): T & { readonly outs: readonly NDArray[] } {
  const known = entry(derived, jaxpr, () => new Map());
  const { of, body } = entry(known, key, () => {
    const of = derive(jaxpr);
    return { of, body: closeOver(of.jaxpr) };
  }) as { of: T; body: ClosedJaxpr };
  return { ...of, outs: call(name, body, [...of.jaxpr.consts, ...args]) };
}

export const jitP: Primitive<CallParams> = definePrimitive<CallParams>({
  name: "jit",
  shape: (_inputs, { jaxpr }) => jaxpr.outAvals,
  inline: ({ jaxpr }) => jaxpr,
  jvp: (primals, tangents, params) => {
    const mask = tangents.map(isMoving);
    const args = [...primals, ...tangents.filter(isMoving)];
    const { outs, moving } = callDerived(params, `jvp ${mask}`, (of) => jvpJaxpr(of, mask), args);
    const { outAvals } = params.jaxpr;
    const n = outAvals.length;
    return { outs: outs.slice(0, n), tangents: withZeros(outs.slice(n), moving, outAvals) };
  },
  linearize: (primals, tangents, params) => {
    const mask = tangents.map(isMoving);
    const derive = (of: ClosedJaxpr) => linearizeJaxpr(of, mask);
    const { outs, moving, linear } = callDerived(params, `linearize ${mask}`, derive, primals);
    const { outAvals } = params.jaxpr;
    const n = outAvals.length;
    const pushed = call(params.name, linear, [...outs.slice(n), ...tangents.filter(isMoving)]);
    return { outs: outs.slice(0, n), tangents: withZeros(pushed, moving, outAvals) };
  },
  transpose: (cotangents, inputs, params) => {
    const linear = inputs.map((x) => x instanceof LinearInput);
    const given = cotangents.map(isMoving);
    const values = inputs.filter((x): x is NDArray => !(x instanceof LinearInput));
    const { outs, moving } = callDerived(
      params,
      `transpose ${linear};${given}`,
      (of) => transposeJaxpr(of, linear, given),
      [...values, ...cotangents.filter(isMoving)],
    );
    const avals = inputs.filter((_, i) => linear[i]).map((x) => x.aval);
    return spread<Tangent, null>(withZeros(outs, moving, avals), linear, () => null);
  },
  batch: (size, inputs, dims, params) =>
    callDerived(params, `batch ${size};${dims}`, (of) => batchJaxpr(of, size, dims), inputs),
  lower: noRule("a call is written out where it stands"),
});

/** Applies a callee. */
export const call = (
  name: string,
  jaxpr: ClosedJaxpr,
  args: readonly NDArray[],
): readonly NDArray[] => bind(jitP, args, { name, jaxpr });
