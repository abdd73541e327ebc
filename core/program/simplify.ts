/** Simplification: a jaxpr that computes the same results with fewer equations. Every rewrite is exact, bit
 *  for bit. */
import { isFloat } from "../dtype.ts";
import { type Atom, ClosedJaxpr, type Equation, isLiteral, Jaxpr, type Var } from "../ir/jaxpr.ts";
import type { Literal } from "../ndarray.ts";
import { paramsKey } from "../primitive.ts";

type Rule = (e: Equation, definition: (a: Atom) => Equation | undefined) => Atom | null;

const sameType = (a: Atom, e: Equation): boolean => a.aval.strong === e.outputs[0]?.aval.strong;
const is = (a: Atom | undefined, value: number): a is Literal =>
  a !== undefined && isLiteral(a) && Object.is(a.value, value);

/** An equation that gives one of its operands, by primitive. */
const identities: { readonly [primitive: string]: Rule } = {
  // x·1 = x and x/1 = x for every x, NaN included
  mul: ({ inputs: [x, y] }) => (is(y, 1) ? (x as Atom) : is(x, 1) ? (y as Atom) : null),
  div: ({ inputs: [x, y] }) => (is(y, 1) ? (x as Atom) : null),
  // x − 0 = x; x + 0 is not x for x = −0, but x + (−0) is
  sub: ({ inputs: [x, y] }) => (is(y, 0) ? (x as Atom) : null),
  add: ({ inputs: [x, y], outputs: [out] }) => {
    const zero = isFloat((out as Var).aval.dtype) ? -0 : 0;
    return is(y, zero) ? (x as Atom) : is(x, zero) ? (y as Atom) : null;
  },
  convert_element_type: ({ inputs: [x] }) => x as Atom,
  copy: ({ inputs: [x] }) => x as Atom,
  stop_gradient: ({ inputs: [x] }) => x as Atom,
  broadcast_in_dim: ({ inputs: [x] }) => x as Atom,
  reshape: ({ inputs: [x] }) => x as Atom,
  // −(−x) = x
  neg: ({ inputs: [x] }, definition) => {
    const inner = definition(x as Atom);
    return inner?.primitive.name === "neg" ? (inner.inputs[0] as Atom) : null;
  },
  transpose: ({ inputs: [x], params }, definition) => {
    const inner = definition(x as Atom);
    if (inner?.primitive.name !== "transpose") return null;
    const p = (inner.params as { permutation: number[] }).permutation;
    const q = (params as { permutation: number[] }).permutation;
    return q.every((i, at) => p[i] === at) ? (inner.inputs[0] as Atom) : null;
  },
};

/** Removes equations that are dead, repeated or do nothing. Constants and arguments stay as they are. */
export function simplify(jaxpr: Jaxpr): Jaxpr {
  const renamed = new Map<Var, Atom>();
  const definitions = new Map<Atom, Equation>();
  const seen = new Map<string, Equation>();
  const numbers = new Map<Var, number>();
  const resolve = (a: Atom): Atom => (isLiteral(a) ? a : (renamed.get(a) ?? a));
  const number = (v: Var): number => {
    let n = numbers.get(v);
    if (n === undefined) {
      n = numbers.size;
      numbers.set(v, n);
    }
    return n;
  };
  const kept: Equation[] = [];
  for (const original of jaxpr.equations) {
    const inputs = original.inputs.map(resolve);
    const e = { ...original, inputs };
    const out = e.outputs[0] as Var;
    const same = identities[e.primitive.name]?.(e, (a) => definitions.get(a)) ?? null;
    // an identity must keep the shape and dtype, which x·1 with a broadcast x does not
    if (same !== null && sameType(same, e)) {
      renamed.set(out, same);
      continue;
    }
    const key = `${e.primitive.id}(${inputs
      .map((a) =>
        isLiteral(a) ? `#${a.aval.id}:${Object.is(a.value, -0) ? "-0" : a.value}` : number(a),
      )
      .join()})${paramsKey(e.params)}`;
    const twin = seen.get(key);
    if (twin !== undefined) {
      e.outputs.forEach((v, i) => {
        renamed.set(v, twin.outputs[i] as Var);
      });
      continue;
    }
    seen.set(key, e);
    for (const v of e.outputs) definitions.set(v, e);
    kept.push(e);
  }
  const outs = jaxpr.outs.map(resolve);
  const needed = new Set<Atom>(outs);
  const alive: Equation[] = [];
  for (let i = kept.length - 1; i >= 0; i--) {
    const e = kept[i] as Equation;
    if (!e.outputs.some((v) => needed.has(v))) continue;
    alive.push(e);
    for (const a of e.inputs) needed.add(a);
  }
  return new Jaxpr(jaxpr.constVars, jaxpr.inVars, alive.reverse(), outs);
}

/** `simplify` of a closed jaxpr. */
export const simplifyClosed = ({ jaxpr, consts }: ClosedJaxpr): ClosedJaxpr =>
  new ClosedJaxpr(simplify(jaxpr), consts);
