/** Tracing: the current interpreter, and the one kind of tracer, which records equations. */
import type { Aval } from "./aval.ts";
import { fail, TraceError, userFrame } from "./errors.ts";
import { entry } from "./maps.ts";
import { type Atom, ClosedJaxpr, type Equation, isLiteral, Jaxpr, Var } from "./ir/jaxpr.ts";
import { Literal, NDArray } from "./ndarray.ts";
import type { Params, Primitive } from "./primitive.ts";

/** What gives meaning to `bind`: the root evaluates, a trace records. */
export interface Interpreter {
  readonly parent: Interpreter | null;
  bind(primitive: Primitive, inputs: readonly NDArray[], params: Params): readonly NDArray[];
}

let root: Interpreter;
let current: Interpreter;

/** Installs the evaluator (core/eval.ts does, once). */
export function setRoot(interpreter: Interpreter): void {
  if (current === root) current = interpreter;
  root = interpreter;
}
/** True when operations are evaluated, not recorded. */
export const isEager = (): boolean => current === root;

/** Runs `f` with another interpreter in charge. */
export function within<T>(interpreter: Interpreter, f: () => T): T {
  const saved = current;
  current = interpreter;
  try {
    return f();
  } finally {
    current = saved;
  }
}
/** Runs `f` eagerly whatever is being traced; it must not touch tracers. */
export const eagerly = <T>(f: () => T): T => within(root, f);

/** Applies a primitive under the current interpreter. */
export function bind<P extends Params>(
  primitive: Primitive<P>,
  inputs: readonly NDArray[],
  params: P,
): readonly NDArray[] {
  // a primitive meets only its own params; interpreters treat all primitives alike
  return current.bind(primitive as unknown as Primitive, inputs, params);
}
/** `bind` for a primitive with one result. */
export function bind1<P extends Params>(
  primitive: Primitive<P>,
  inputs: readonly NDArray[],
  params: P,
): NDArray {
  return bind(primitive, inputs, params)[0] as NDArray;
}

/** A value known only by its type: a variable of a jaxpr that is being recorded. */
export class Tracer extends NDArray {
  readonly trace: Trace;
  readonly variable: Var;
  constructor(trace: Trace, variable: Var) {
    super();
    this.trace = trace;
    this.variable = variable;
  }
  get aval(): Aval {
    return this.variable.aval;
  }
}

export const isTracer = (x: NDArray): x is Tracer => x instanceof Tracer;

export interface TraceOptions {
  /** values of the arguments, where the transform has them: makes `item()` and the like work inside */
  readonly known?: readonly NDArray[] | undefined;
  /** record only the equations that depend on the arguments; leave the others to the parent */
  readonly dependentOnly?: boolean;
}

/** A jaxpr that is being recorded. */
export class Trace implements Interpreter {
  readonly parent: Interpreter;
  /** the transform that traces, for messages: "jit", "vmap", "grad" … */
  readonly name: string;
  open = true;
  readonly #inVars: Var[] = [];
  readonly #equations: Equation[] = [];
  readonly #consts = new Map<NDArray, Var>();
  readonly #options: TraceOptions;
  /** values of variables, for `concretize` */
  readonly #known = new Map<Var, NDArray>();
  readonly #definitions = new Map<Var, Equation>();
  /** equations whose definitions are known */
  #defined = 0;

  constructor(name: string, options: TraceOptions = {}) {
    this.parent = current;
    this.name = name;
    this.#options = options;
  }

  /** A new argument. */
  argument(aval: Aval, known?: NDArray): Tracer {
    const v = new Var(aval);
    this.#inVars.push(v);
    if (known !== undefined) this.#known.set(v, known);
    return new Tracer(this, v);
  }

  bind(primitive: Primitive, inputs: readonly NDArray[], params: Params): readonly NDArray[] {
    if (this.#options.dependentOnly && !this.#meets(inputs))
      return this.parent.bind(primitive, inputs, params);
    const n = inputs.length;
    const atoms = new Array<Atom>(n);
    const types = new Array<Aval>(n);
    for (let i = 0; i < n; i++) {
      const a = this.atom(inputs[i] as NDArray, primitive.name);
      atoms[i] = a;
      types[i] = a.aval;
    }
    const avals = primitive.shape(types, params);
    const outputs = new Array<Var>(avals.length);
    const results = new Array<Tracer>(avals.length);
    for (let i = 0; i < avals.length; i++) {
      const v = new Var(avals[i] as Aval);
      outputs[i] = v;
      results[i] = new Tracer(this, v);
    }
    this.#equations.push({ primitive, inputs: atoms, outputs, params });
    return results;
  }
  /** True when one of `inputs` is traced here. */
  #meets(inputs: readonly NDArray[]): boolean {
    for (const x of inputs) if (x instanceof Tracer && x.trace === this) return true;
    return false;
  }

  /** The operand that stands for `x` here. Values from outside become constants. */
  atom(x: NDArray, op: string): Atom {
    if (x instanceof Literal) return x;
    if (x instanceof Tracer) {
      if (x.trace === this) return x.variable;
      checkAlive(x, op, this);
    }
    return entry(this.#consts, x, () => new Var(x.aval));
  }

  /** Ends the recording. */
  finish(outs: readonly NDArray[]): ClosedJaxpr {
    const atoms = outs.map((x) => this.atom(x, this.name));
    this.open = false;
    return new ClosedJaxpr(
      new Jaxpr([...this.#consts.values()], this.#inVars, this.#equations, atoms),
      [...this.#consts.keys()],
    );
  }

  /** The concrete value of a tracer, by evaluating the recorded equations that it needs, once. */
  concretize(x: Tracer, op: string): NDArray {
    const known = this.#known;
    if (this.#options.known === undefined)
      return fail(
        TraceError,
        op,
        `a concrete value is needed, but under ${this.name} only shapes and dtypes are known`,
        `a traced ${x.aval}${userFrame(" at ")}`,
        "use where or lax.select instead of a branch, mark the argument static in jit, or move this out of the traced function",
      );
    const definitions = this.#definitions;
    for (; this.#defined < this.#equations.length; this.#defined++) {
      const e = this.#equations[this.#defined] as Equation;
      for (const v of e.outputs) definitions.set(v, e);
    }
    for (const [value, v] of this.#consts) known.set(v, value);
    const read = (a: Atom): NDArray => (isLiteral(a) ? a : concrete(known.get(a) as NDArray, op));
    // depth-first without recursion: long programs are deeper than the stack
    const pending: Var[] = [x.variable];
    while (pending.length > 0) {
      const v = pending[pending.length - 1] as Var;
      const e = definitions.get(v);
      if (known.has(v) || e === undefined) {
        pending.pop();
        continue;
      }
      const missing = e.inputs.filter(
        (a): a is Var => !isLiteral(a) && !known.has(a) && definitions.has(a),
      );
      if (missing.length > 0) {
        pending.push(...missing);
        continue;
      }
      const results = eagerly(() => bind(e.primitive, e.inputs.map(read), e.params));
      assign(known, e.outputs, results);
    }
    return read(x.variable);
  }
}

/** Throws when `x` is used after its function has returned, or in a place that its trace does not enclose. */
export function checkAlive(x: Tracer, op: string, user: Interpreter = current): void {
  if (x.trace.open)
    for (let i: Interpreter | null = user; i !== null; i = i.parent) if (i === x.trace) return;
  fail(
    TraceError,
    op,
    "a traced value may be used only inside the function that is being traced",
    `a ${x.aval} that leaked out of ${x.trace.name}${userFrame(", used at ")}`,
    "return it from the function (with hasAux where the transform offers it) instead of storing it",
  );
}

/** The concrete array behind `x`. Throws TraceError where there can be none. */
export function concrete(x: NDArray, op: string): NDArray {
  if (!(x instanceof Tracer)) return x;
  if (!x.trace.open) checkAlive(x, op);
  return x.trace.concretize(x, op);
}

/** Records `f` at the given types. `name` is the transform's, for messages. */
export function traceToJaxpr(
  name: string,
  f: (args: readonly NDArray[]) => readonly NDArray[],
  avals: readonly Aval[],
  options: TraceOptions = {},
): ClosedJaxpr {
  const trace = new Trace(name, options);
  const args = avals.map((a, i) => trace.argument(a, options.known?.[i]));
  try {
    return within(trace, () => trace.finish(f(args)));
  } finally {
    trace.open = false;
  }
}

/** The values of a jaxpr's variables while it is evaluated: `define` gives variables theirs, `read` looks one up. */
export interface Environment {
  readonly define: (vars: readonly Var[], values: readonly (NDArray | null)[]) => void;
  readonly read: (a: Atom) => NDArray;
}

export function environment(
  jaxpr: Jaxpr,
  consts: readonly NDArray[],
  args: readonly (NDArray | null)[],
): Environment {
  const values = new Map<Atom, NDArray | null>();
  const define: Environment["define"] = (vars, given) => assign(values, vars, given);
  define(jaxpr.constVars, consts);
  define(jaxpr.inVars, args);
  return { define, read: (a) => (isLiteral(a) ? a : (values.get(a) as NDArray)) };
}

/** Puts `values` under `keys`, one by one. */
export function assign<K, V>(map: Map<K, V>, keys: readonly K[], values: readonly V[]): void {
  keys.forEach((k, i) => {
    map.set(k, values[i] as V);
  });
}

/** Evaluates a jaxpr under the current interpreter, equation by equation. */
export function evalJaxpr(
  jaxpr: Jaxpr,
  consts: readonly NDArray[],
  args: readonly NDArray[],
): NDArray[] {
  const { define, read } = environment(jaxpr, consts, args);
  for (const e of jaxpr.equations)
    define(e.outputs, bind(e.primitive, e.inputs.map(read), e.params));
  return jaxpr.outs.map(read);
}
