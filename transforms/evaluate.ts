/** What transforms do when nothing is traced: a transform of a structure that comes by for the first time is evaluated
 *  equation by equation, the second time it is recorded and compiled whole, and from then on it only runs. */
import { compiledJaxpr, run } from "../core/eval.ts";
import { keepAmong } from "../core/maps.ts";
import { type Atom, ClosedJaxpr, isLiteral, Jaxpr, Var } from "../core/ir/jaxpr.ts";
import type { Literal, NDArray } from "../core/ndarray.ts";
import { paramsKey } from "../core/primitive.ts";
import { shapesEqual } from "../core/shape.ts";
import { checkAlive, isEager, isTracer, traceToJaxpr } from "../core/trace.ts";
import { hashOf, structureOf } from "./structure.ts";

/** What a transform gives: arrays, and what it knows from the structure alone. */
export interface Transformed<N> {
  readonly outs: readonly NDArray[];
  readonly note?: N;
}

/** A transform of a jaxpr, evaluated on arguments under the current interpreter. It must depend on the jaxpr, on the
 *  types of the arguments and on what `settings` tells, and on nothing else. */
export type Transform<N> = (of: ClosedJaxpr, args: readonly NDArray[]) => Transformed<N>;

/** Equations that are worth compiling together. Beyond the larger number compiling takes longer than many evaluations. */
const fewest = 2;
const most = 8192;

/** Applies a transform. `settings` are its own name and all else that it goes by; `name` is the user's. */
export function evaluate<N>(
  name: string,
  settings: readonly unknown[],
  of: ClosedJaxpr,
  args: readonly NDArray[],
  transform: Transform<N>,
): Transformed<N> {
  const { jaxpr, consts } = of;
  if (!isEager()) return transform(of, args);
  // nothing is traced: a tracer has leaked
  for (const x of [...consts, ...args]) if (isTracer(x)) checkAlive(x, name);
  const { length } = jaxpr.equations;
  if (length < fewest || length > most) return transform(of, args);
  const { code, literals } = structureOf(jaxpr);
  code.push(paramsKey([name, settings]));
  for (const x of args) code.push(x.aval.id);
  const hash = hashOf(code);
  const known = programs.get(hash);
  if (known === undefined || !shapesEqual(known.code, code)) {
    keepAmong(programs, programLimit, hash, { code, literals, varying: [], program: null });
    return transform(of, args);
  }
  keepAmong(programs, programLimit, hash, known);
  const { varying } = known;
  const before = varying.length;
  literals.forEach((l, i) => {
    if (!Object.is(l.value, known.literals[i]?.value) && !varying.includes(i)) varying.push(i);
  });
  if (known.program === null || varying.length !== before)
    known.program = record(name, lift(jaxpr, varying), args, transform);
  const { jaxpr: body, consts: captured, note } = known.program;
  const changed = varying.map((i) => literals[i] as Literal);
  const outs = run(compiledJaxpr(name, body), [...captured, ...consts, ...changed, ...args]);
  return { outs, note: note as N };
}

/** A structure that came by. */
interface Known {
  readonly code: readonly number[];
  /** the numbers in it, as they were the first time */
  readonly literals: readonly Literal[];
  /** positions of the numbers that have changed since: these are arguments of the program */
  readonly varying: number[];
  /** from the second time on */
  program: Program | null;
}
interface Program {
  /** constants of the transform, those of the function, numbers that vary, and arguments ↦ results */
  readonly jaxpr: Jaxpr;
  readonly consts: readonly NDArray[];
  readonly note: unknown;
}
const programLimit = 256;
/** by hash; of two structures with the same one the later is kept */
const programs = new Map<number, Known>();

function record<N>(
  name: string,
  jaxpr: Jaxpr,
  args: readonly NDArray[],
  transform: Transform<N>,
): Program {
  const n = jaxpr.constVars.length;
  let note: unknown;
  const recorded = traceToJaxpr(
    name,
    (all) => {
      const result = transform(new ClosedJaxpr(jaxpr, all.slice(0, n)), all.slice(n));
      note = result.note;
      return result.outs;
    },
    [...jaxpr.constVars, ...args].map((x) => x.aval),
  );
  return { ...recorded, note };
}

/** The jaxpr with the literals at `positions` as further constants. */
function lift(jaxpr: Jaxpr, positions: readonly number[]): Jaxpr {
  const vars = new Map<number, Var>();
  let at = 0;
  const replace = (a: Atom): Atom => {
    if (!isLiteral(a)) return a;
    const position = at++;
    if (!positions.includes(position)) return a;
    const v = new Var(a.aval);
    vars.set(position, v);
    return v;
  };
  const equations = jaxpr.equations.map((e) => ({ ...e, inputs: e.inputs.map(replace) }));
  const outs = jaxpr.outs.map(replace);
  const lifted = positions.map((p) => vars.get(p) as Var);
  return new Jaxpr([...jaxpr.constVars, ...lifted], jaxpr.inVars, equations, outs);
}
