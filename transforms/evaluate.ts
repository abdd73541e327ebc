/** What transforms do with their jaxprs when nothing is traced: a structure that comes by for the first time is
 *  evaluated equation by equation, the second time it is compiled whole. */
import { compiledJaxpr, run } from "../core/eval.ts";
import { type Atom, ClosedJaxpr, isLiteral, Jaxpr, subJaxprs, Var } from "../core/ir/jaxpr.ts";
import type { Literal, NDArray } from "../core/ndarray.ts";
import { paramsKey } from "../core/primitive.ts";
import { evalJaxpr, isEager, Tracer, traceToJaxpr } from "../core/trace.ts";

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
  const { code, literals } = structureOf(jaxpr);
  const hash = hashOf(code);
  const known = programs.get(hash);
  programs.delete(hash);
  if (programs.size >= programLimit) programs.delete(programs.keys().next().value as number);
  if (known === undefined || !sameNumbers(known.code, code)) {
    programs.set(hash, { code: code.slice(), literals, varying: [], jaxpr: null });
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

// ---- what a jaxpr computes, as a list of numbers ----

interface Structure {
  /** equal for jaxprs that differ in nothing but their literals */
  readonly code: readonly number[];
  /** the literals of the outermost equations, in order */
  readonly literals: readonly Literal[];
}

const float = new Float64Array(1);
const words = new Int32Array(float.buffer);

function structureOf(jaxpr: Jaxpr): Structure {
  const code: number[] = [];
  const literals: Literal[] = [];
  const numbers = new Map<Var, number>();
  const define = (v: Var): void => {
    numbers.set(v, numbers.size);
    code.push(v.aval.id);
  };
  const atom = (a: Atom, outermost: boolean): void => {
    if (!isLiteral(a)) {
      code.push(numbers.get(a) as number);
      return;
    }
    code.push(-1 - a.aval.id);
    if (outermost) literals.push(a);
    else {
      float[0] = a.value;
      code.push(words[0] as number, words[1] as number);
    }
  };
  const visit = (j: Jaxpr, outermost: boolean): void => {
    code.push(j.constVars.length, j.inVars.length, j.equations.length, j.outs.length);
    for (const v of j.constVars) define(v);
    for (const v of j.inVars) define(v);
    for (const e of j.equations) {
      code.push(e.primitive.id, e.inputs.length, e.outputs.length);
      for (const a of e.inputs) atom(a, outermost);
      for (const v of e.outputs) define(v);
      if (subJaxprs(e.params).length === 0) code.push(paramsKey(e.params));
      else
        for (const k in e.params) {
          code.push(paramsKey(k));
          param((e.params as Record<string, unknown>)[k]);
        }
    }
    for (const a of j.outs) atom(a, outermost);
  };
  const param = (value: unknown): void => {
    if (value instanceof ClosedJaxpr) {
      visit(value.jaxpr, false);
      for (const c of value.consts) code.push(paramsKey(c));
    } else if (value instanceof Jaxpr) visit(value, false);
    else if (Array.isArray(value)) {
      code.push(value.length);
      value.forEach(param);
    } else code.push(paramsKey(value));
  };
  visit(jaxpr, true);
  return { code, literals };
}

function hashOf(code: readonly number[]): number {
  let hash = code.length;
  for (let i = 0; i < code.length; i++)
    hash = (Math.imul(hash, 0x9e3779b1) ^ (code[i] as number)) | 0;
  return hash;
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
