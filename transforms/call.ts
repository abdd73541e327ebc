/** `jit` as a primitive: a call of a jaxpr. Its rules transform the callee and call the result. */
import type { Aval } from "../core/aval.ts";
import { ClosedJaxpr, Jaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import {
  definePrimitive,
  LinearInput,
  noRule,
  type Primitive,
  type Tangent,
  Zero,
} from "../core/primitive.ts";
import { bind } from "../core/trace.ts";
import { batchJaxpr } from "./batch.ts";
import { jvpJaxpr, spread } from "./jvp.ts";
import { linearizeJaxpr } from "./linearize.ts";
import { transposeJaxpr } from "./transpose.ts";

export interface CallParams {
  readonly name: string;
  /** without constants: whatever the function captured is an argument */
  readonly jaxpr: ClosedJaxpr;
}

/** The same function with its constants as leading arguments. */
export function closeOver({ jaxpr }: ClosedJaxpr): ClosedJaxpr {
  if (jaxpr.constVars.length === 0) return new ClosedJaxpr(jaxpr, []);
  return new ClosedJaxpr(
    new Jaxpr([], [...jaxpr.constVars, ...jaxpr.inVars], jaxpr.equations, jaxpr.outs),
    [],
  );
}

/** Results of a transform of a callee, kept as long as the callee lives: the same call differentiated twice
 *  gives the same callee, so it is compiled once. */
class Derived<T> {
  readonly #kept = new WeakMap<ClosedJaxpr, Map<string, T>>();
  get(of: ClosedJaxpr, key: string, make: () => T): T {
    let entries = this.#kept.get(of);
    if (entries === undefined) {
      entries = new Map();
      this.#kept.set(of, entries);
    }
    let value = entries.get(key);
    if (value === undefined) {
      value = make();
      entries.set(key, value);
    }
    return value;
  }
}

/** A derived callee, and the constants that it captured while it was derived (from outside the callee). */
const called = <T extends { jaxpr: ClosedJaxpr }>(derived: T): T & { body: ClosedJaxpr } => ({
  ...derived,
  body: closeOver(derived.jaxpr),
});

const isMoving = (t: unknown): t is NDArray => !(t instanceof Zero);
const jvps = new Derived<ReturnType<typeof called<ReturnType<typeof jvpJaxpr>>>>();
const batches = new Derived<ReturnType<typeof called<ReturnType<typeof batchJaxpr>>>>();
const transposes = new Derived<ReturnType<typeof called<ReturnType<typeof transposeJaxpr>>>>();
const halves = new Derived<ReturnType<typeof linearizeJaxpr> & { body: ClosedJaxpr }>();

export const jitP: Primitive<CallParams> = definePrimitive<CallParams>({
  name: "jit",
  shape: (_inputs, { jaxpr }) => jaxpr.outAvals,
  inline: ({ jaxpr }) => jaxpr,
  jvp: (primals, tangents, { name, jaxpr }) => {
    const moving = tangents.map(isMoving);
    const d = jvps.get(jaxpr, moving.join(), () => called(jvpJaxpr(jaxpr, moving)));
    const outs = call(name, d.body, [...d.jaxpr.consts, ...primals, ...tangents.filter(isMoving)]);
    const n = jaxpr.jaxpr.outs.length;
    return {
      outs: outs.slice(0, n),
      tangents: spread(outs.slice(n), d.moving, (i) => new Zero(jaxpr.outAvals[i] as Aval)),
    };
  },
  linearize: (primals, tangents, { name, jaxpr }) => {
    const moving = tangents.map(isMoving);
    const d = halves.get(jaxpr, moving.join(), () => {
      const both = linearizeJaxpr(jaxpr, moving);
      return { ...both, body: closeOver(both.primal) };
    });
    const n = jaxpr.jaxpr.outs.length;
    const outs = call(name, d.body, [...d.primal.consts, ...primals]);
    const linear = call(name, d.linear, [...outs.slice(n), ...tangents.filter(isMoving)]);
    return {
      outs: outs.slice(0, n),
      tangents: spread(linear, d.moving, (i) => new Zero(jaxpr.outAvals[i] as Aval)),
    };
  },
  transpose: (cotangents, inputs, { name, jaxpr }) => {
    const linear = inputs.map((x) => x instanceof LinearInput);
    const given = cotangents.map(isMoving);
    const d = transposes.get(jaxpr, `${linear.join()};${given.join()}`, () =>
      called(transposeJaxpr(jaxpr, linear, given)),
    );
    const values = inputs.filter((x): x is NDArray => !(x instanceof LinearInput));
    const outs = call(name, d.body, [...d.jaxpr.consts, ...values, ...cotangents.filter(isMoving)]);
    const avals = inputs.filter((_, i) => linear[i]).map((x) => x.aval);
    const cts = spread(outs, d.moving, (i): Tangent => new Zero(avals[i] as Aval));
    return spread(cts, linear, () => null);
  },
  batch: (size, inputs, dims, { name, jaxpr }) => {
    const d = batches.get(jaxpr, `${size};${dims.join()}`, () =>
      called(batchJaxpr(jaxpr, size, dims)),
    );
    return { outs: call(name, d.body, [...d.jaxpr.consts, ...inputs]), dims: d.dims };
  },
  lower: noRule("a call is written out where it stands"),
});

/** Applies a callee. */
export const call = (
  name: string,
  jaxpr: ClosedJaxpr,
  args: readonly NDArray[],
): readonly NDArray[] => bind(jitP, args, { name, jaxpr });
