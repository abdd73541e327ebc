/** The IR: a jaxpr is a list of equations in single-assignment form. Plain immutable data. */
import type { Aval } from "../aval.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import type { Params, Primitive } from "../primitive.ts";

let nextVar = 0;

/** A typed name, bound once. */
export class Var {
  readonly id: number;
  readonly aval: Aval;
  constructor(aval: Aval) {
    this.aval = aval;
    this.id = nextVar++;
  }
}

/** An operand: a variable, or a rank-0 constant written in place. */
export type Atom = Var | Literal;

export interface Equation {
  readonly primitive: Primitive;
  readonly inputs: readonly Atom[];
  readonly outputs: readonly Var[];
  readonly params: Params;
}

/** A function λ constVars; inVars. let equations in outs. Constants are values of an enclosing scope. */
export class Jaxpr {
  readonly constVars: readonly Var[];
  readonly inVars: readonly Var[];
  readonly equations: readonly Equation[];
  readonly outs: readonly Atom[];
  constructor(
    constVars: readonly Var[],
    inVars: readonly Var[],
    equations: readonly Equation[],
    outs: readonly Atom[],
  ) {
    this.constVars = constVars;
    this.inVars = inVars;
    this.equations = equations;
    this.outs = outs;
  }
  get inAvals(): Aval[] {
    return this.inVars.map((v) => v.aval);
  }
  get outAvals(): Aval[] {
    return this.outs.map((a) => a.aval);
  }
}

/** A jaxpr with the values of its constants. */
export class ClosedJaxpr {
  readonly jaxpr: Jaxpr;
  readonly consts: readonly NDArray[];
  constructor(jaxpr: Jaxpr, consts: readonly NDArray[]) {
    this.jaxpr = jaxpr;
    this.consts = consts;
  }
  get inAvals(): Aval[] {
    return this.jaxpr.inAvals;
  }
  get outAvals(): Aval[] {
    return this.jaxpr.outAvals;
  }
}

export const isLiteral = (a: unknown): a is Literal => a instanceof Literal;

/** Applies `f` to each jaxpr among an equation's params. */
export function subJaxprs(params: Params): Jaxpr[] {
  const found: Jaxpr[] = [];
  for (const v of Object.values(params) as unknown[])
    for (const one of Array.isArray(v) ? (v as unknown[]) : [v])
      if (one instanceof Jaxpr) found.push(one);
      else if (one instanceof ClosedJaxpr) found.push(one.jaxpr);
  return found;
}
