/** What a jaxpr computes, as a list of numbers: equal structures are found again whatever their variables are. */
import { mix } from "../core/hash.ts";
import { keepAmong } from "../core/maps.ts";
import { type Atom, ClosedJaxpr, isLiteral, type Jaxpr, type Var } from "../core/ir/jaxpr.ts";
import type { Literal } from "../core/ndarray.ts";
import { paramsKey } from "../core/primitive.ts";
import { shapesEqual } from "../core/shape.ts";

export interface Structure {
  /** equal for jaxprs that differ in nothing but the literals kept apart */
  readonly code: number[];
  /** the literals of the outermost equations, in order */
  readonly literals: readonly Literal[];
}

/** With `apart` the literals of the outermost equations are kept apart from the code. */
export function structureOf(jaxpr: Jaxpr, apart = true): Structure {
  const code: number[] = [];
  const literals: Literal[] = [];
  const numbers = new Map<Var, number>();
  const define = (v: Var): void => {
    numbers.set(v, numbers.size);
    code.push(v.aval.id);
  };
  const atom = (a: Atom, apart: boolean): void => {
    if (!isLiteral(a)) {
      code.push(numbers.get(a) as number);
      return;
    }
    code.push(-1 - a.aval.id);
    if (apart) literals.push(a);
    else code.push(paramsKey(a.value));
  };
  const visit = (j: Jaxpr, apart: boolean): void => {
    code.push(j.constVars.length, j.inVars.length, j.equations.length, j.outs.length);
    for (const v of j.constVars) define(v);
    for (const v of j.inVars) define(v);
    for (const e of j.equations) {
      code.push(e.primitive.id, e.inputs.length, e.outputs.length);
      for (const a of e.inputs) atom(a, apart);
      for (const v of e.outputs) define(v);
      if (e.primitive.inline === undefined) code.push(paramsKey(e.params));
      else
        for (const k in e.params) {
          const value = (e.params as Record<string, unknown>)[k];
          code.push(paramsKey(k));
          // a callee has no constants
          if (value instanceof ClosedJaxpr) visit(value.jaxpr, false);
          else code.push(paramsKey(value));
        }
    }
    for (const a of j.outs) atom(a, apart);
  };
  visit(jaxpr, apart);
  return { code, literals };
}

export function hashOf(code: readonly number[]): number {
  let hash = code.length;
  for (let i = 0; i < code.length; i++) hash = mix(hash, code[i] as number);
  return hash;
}

// ---- jaxprs met before ----

const metLimit = 1024;
const met = new Map<number, WeakRef<Jaxpr>>();

/** A living jaxpr that computes the same, literals included, or the jaxpr itself: what is compiled for one of them
 *  serves all, as when `jit` is called anew in a loop. */
export function canonical(jaxpr: Jaxpr): Jaxpr {
  const { code } = structureOf(jaxpr, false);
  const hash = hashOf(code);
  const known = met.get(hash)?.deref();
  if (known !== undefined && shapesEqual(structureOf(known, false).code, code)) return known;
  keepAmong(met, metLimit, hash, new WeakRef(jaxpr));
  return jaxpr;
}
