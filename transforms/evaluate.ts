/** What transforms do with their jaxprs when nothing is traced: a structure that comes by for the first time is
 *  evaluated equation by equation, the second time it is compiled whole. */
import { compiledJaxpr, run } from "../core/eval.ts";
import { type Atom, type ClosedJaxpr, isLiteral, Jaxpr, Var } from "../core/ir/jaxpr.ts";
import type { Literal, NDArray } from "../core/ndarray.ts";
import { evalJaxpr, isEager, Tracer, traceToJaxpr } from "../core/trace.ts";
import { sameCode, structureOf } from "./structure.ts";

/** Runs `f` on arrays under the current interpreter. Eagerly it is first recorded whole, so that a structure
 *  that comes by again runs compiled. */
export function evaluate(
  name: string,
  f: (args: readonly NDArray[]) => readonly NDArray[],
  args: readonly NDArray[],
): readonly NDArray[] {
  if (!isEager()) return f(args);
  const closed = traceToJaxpr(
    name,
    f,
    args.map((x) => x.aval),
  );
  return evalClosed(closed, args, name);
}

/** Evaluates a closed jaxpr. */
export function evalClosed(
  { jaxpr, consts }: ClosedJaxpr,
  args: readonly NDArray[],
  name: string,
): NDArray[] {
  const all = consts.length === 0 ? args : [...consts, ...args];
  if (!isEager() || jaxpr.equations.length < 2 || all.some((x) => x instanceof Tracer))
    return evalJaxpr(jaxpr, consts, args);
  const { code, hash, literals } = structureOf(jaxpr);
  const known = programs.get(hash);
  programs.delete(hash);
  if (programs.size >= programLimit) programs.delete(programs.keys().next().value as number);
  if (known === undefined || !sameCode(known.code, code)) {
    programs.set(hash, { code, literals, varying: [], jaxpr: null });
    return evalJaxpr(jaxpr, consts, args);
  }
  programs.set(hash, known);
  const before = known.varying.length;
  literals.forEach((l, i) => {
    if (!Object.is(l.value, known.literals[i]?.value) && !known.varying.includes(i))
      known.varying.push(i);
  });
  if (known.jaxpr === null || known.varying.length !== before)
    known.jaxpr = withArguments(jaxpr, known.varying);
  const varying = known.varying.map((i) => literals[i] as Literal);
  return run(compiledJaxpr(name, known.jaxpr), varying.length === 0 ? all : [...all, ...varying]);
}

/** A structure that came by. */
interface Known {
  readonly code: readonly number[];
  /** the numbers in it, as they were the first time */
  readonly literals: readonly Literal[];
  /** positions of the numbers that have changed since: these are arguments of the program */
  readonly varying: number[];
  /** what is compiled, from the second time on */
  jaxpr: Jaxpr | null;
}
const programLimit = 256;
/** by hash; of two structures with the same one the later is kept */
const programs = new Map<number, Known>();

/** The jaxpr with the numbers at `positions` as further arguments. */
function withArguments(jaxpr: Jaxpr, positions: readonly number[]): Jaxpr {
  if (positions.length === 0) return jaxpr;
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
  const added = positions.map((p) => vars.get(p) as Var);
  return new Jaxpr(jaxpr.constVars, [...jaxpr.inVars, ...added], equations, outs);
}
