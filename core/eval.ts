/** The evaluator: what `bind` means when nothing is being traced. An equation is a program of one kernel,
 *  compiled once for each signature. */
import { DeviceArray, literalBytes } from "./array.ts";
import type { Aval } from "./aval.ts";
import type { Backend, Executable, Storage, Tick } from "./backend/backend.ts";
import { activeBackend } from "./backend/registry.ts";
import { mix, numberKey } from "./hash.ts";
import { entry, keepAmong } from "./maps.ts";
import { type ClosedJaxpr, Jaxpr, Var } from "./ir/jaxpr.ts";
import type { Literal, NDArray } from "./ndarray.ts";
import { type Params, paramsKey, type Primitive } from "./primitive.ts";
import { buildProgram } from "./program/build.ts";
import { inlineCalls } from "./program/inline.ts";
import { simplify } from "./program/simplify.ts";
import type { Program } from "./program/types.ts";
import { widenProducts } from "./program/widen.ts";
import { checkAlive, setRoot, Tracer } from "./trace.ts";

/** A jaxpr ready to run on a backend. */
export interface Compiled {
  readonly backend: Backend;
  readonly executable: Executable;
  readonly outAvals: readonly Aval[];
  /** each result: a literal, or the number of an argument returned as it came or of an output */
  readonly results: readonly Result[];
  /** the results are the outputs, in order, each with a storage of its own */
  readonly plain: boolean;
}
type Result =
  | { readonly kind: "literal"; readonly value: Literal }
  | { readonly kind: "argument"; readonly index: number }
  | { readonly kind: "output"; readonly index: number; readonly shared: boolean };

function compile(backend: Backend, name: string, jaxpr: Jaxpr): Compiled {
  const small = simplify(widenProducts(inlineCalls(jaxpr)));
  const { program, results: built } = buildProgram(name, small);
  const outAvals = jaxpr.outAvals;
  const args = [...small.constVars, ...small.inVars];
  const seen = new Set<number>();
  const results = built.map((r, i): Result => {
    if (typeof r !== "number") return { kind: "literal", value: r };
    const atom = small.outs[i];
    const index = args.indexOf(atom as Var);
    if (index >= 0 && atom?.aval === outAvals[i]) return { kind: "argument", index };
    const buffer = program.outputs[r] as number;
    const shared = seen.has(buffer) || program.buffers[buffer]?.place === "input";
    seen.add(buffer);
    return { kind: "output", index: r, shared };
  });
  return {
    backend,
    executable: backend.compile(program),
    outAvals,
    results,
    plain: results.every((r, i) => r.kind === "output" && r.index === i && !r.shared),
  };
}

// ---- what is kept for each backend ----

class Kept {
  /** storage of constants by type and value */
  readonly literals: Map<number | string, DeviceArray>[] = [];
  /** programs of one equation, by primitive and hash; of two signatures with the same one the later is kept */
  readonly equations: Map<number, Signature>[] = [];
  /** programs of whole jaxprs, as long as these live */
  readonly bodies = new WeakMap<Jaxpr, Compiled>();
}
const keptBy = new WeakMap<Backend, Kept>();
let lastBackend: Backend | null = null;
let lastKept = new Kept();
function keptFor(backend: Backend): Kept {
  if (backend !== lastBackend) {
    lastKept = entry(keptBy, backend, () => new Kept());
    lastBackend = backend;
  }
  return lastKept;
}

// ---- literals as storage ----

const literalLimit = 512;
/** Storage of a constant. Recent ones are kept, so that a loop that multiplies by 0.5 writes it once. */
function literalStorage(x: Literal, backend: Backend): Storage {
  const { literals } = keptFor(backend);
  const type = x.aval.strong;
  literals[type.id] ??= new Map();
  const values = literals[type.id] as Map<number | string, DeviceArray>;
  const key = numberKey(x.value);
  let array = values.get(key);
  if (array === undefined) {
    array = new DeviceArray(type, backend.write(literalBytes(x)), true);
    keepAmong(values, literalLimit, key, array);
  }
  return array.storageOn(backend);
}

// ---- runs ----

/** Gives who is to be told of the steps of a run that begins. */
export type Observer = (program: Program) => Tick;
let observer: Observer | null = null;
/** Has every run observed from now on, or none. False, and nothing is changed, where another observes. */
export function observeRuns(next: Observer | null): boolean {
  const busy = next !== null && observer !== null;
  if (!busy) observer = next;
  return !busy;
}

/** What is no array must be a constant. */
function constant(x: NDArray, op: string): Literal {
  if (x instanceof Tracer) checkAlive(x, op);
  return x as Literal;
}

/** Runs on concrete arrays. `donated` arguments give up their storage. */
export function run(
  compiled: Compiled,
  args: readonly NDArray[],
  donated?: readonly boolean[],
): NDArray[] {
  const { backend, executable, outAvals } = compiled;
  const inputs = new Array<Storage>(args.length);
  for (let i = 0; i < args.length; i++) {
    const x = args[i] as NDArray;
    inputs[i] =
      x instanceof DeviceArray
        ? x.storageOn(backend)
        : literalStorage(constant(x, executable.program.name), backend);
  }
  const give = donated === undefined ? undefined : givenAway(compiled, args, inputs, donated);
  const outputs = executable.run(inputs, give, observer?.(executable.program));
  if (give !== undefined)
    for (let i = 0; i < give.length; i++) if (give[i]) (args[i] as DeviceArray).release();
  if (!compiled.plain) return assemble(compiled, args, outputs);
  const out = new Array<NDArray>(outputs.length);
  for (let i = 0; i < out.length; i++)
    out[i] = new DeviceArray(outAvals[i] as Aval, outputs[i] as Storage);
  return out;
}

/** The results, where not each is an output with a storage of its own. */
function assemble(
  { results, outAvals }: Compiled,
  args: readonly NDArray[],
  outputs: readonly Storage[],
): NDArray[] {
  return results.map((r, i) => {
    if (r.kind === "literal") return r.value;
    if (r.kind === "argument") return args[r.index] as NDArray;
    const storage = outputs[r.index] as Storage;
    if (r.shared)
      for (const a of args)
        if (a instanceof DeviceArray && !a.disposed && a.storage === storage) a.share();
    return new DeviceArray(outAvals[i] as Aval, storage, r.shared);
  });
}

/** Which of the arguments may give up their storage: it must have no other owner, and must not come back. */
function givenAway(
  { executable, results }: Compiled,
  args: readonly NDArray[],
  inputs: readonly Storage[],
  donated: readonly boolean[],
): boolean[] {
  const distinct = new Set(inputs).size === inputs.length;
  const isAlone = (s: Storage): boolean => inputs.indexOf(s) === inputs.lastIndexOf(s);
  const give = donated.map((d, i) => {
    const a = args[i];
    return (
      d && a instanceof DeviceArray && a.donatable && (distinct || isAlone(inputs[i] as Storage))
    );
  });
  for (const r of results) {
    if (r.kind === "argument") give[r.index] = false;
    else if (r.kind === "output" && r.shared) {
      const { program } = executable;
      const at = program.inputs.indexOf(program.outputs[r.index] as number);
      if (at >= 0) give[at] = false;
    }
  }
  return give;
}

// ---- equations ----

const perPrimitiveLimit = 1024;
/** The program of one equation, for types of its operands and a key of its params. */
interface Signature {
  readonly avals: readonly Aval[];
  readonly params: number;
  readonly compiled: Compiled;
}
export function haveTypes(xs: readonly NDArray[], avals: readonly Aval[]): boolean {
  if (xs.length !== avals.length) return false;
  for (let i = 0; i < xs.length; i++) if ((xs[i] as NDArray).aval !== avals[i]) return false;
  return true;
}

/** The compiled form of a jaxpr, kept as long as the jaxpr lives. */
export function compiledJaxpr(name: string, jaxpr: Jaxpr): Compiled {
  const backend = activeBackend();
  return entry(keptFor(backend).bodies, jaxpr, () => compile(backend, name, jaxpr));
}

const isEmpty = (params: Params): boolean => {
  for (const _ in params) return false;
  return true;
};

function evaluate(primitive: Primitive, inputs: readonly NDArray[], params: Params): NDArray[] {
  // loops by number here and in what it calls: this is the way of every operation
  if (primitive.inline !== undefined) {
    const { jaxpr } = primitive.inline(params) as ClosedJaxpr;
    const name = (params as { name?: string }).name ?? primitive.name;
    return run(compiledJaxpr(name, jaxpr), inputs);
  }
  const key = isEmpty(params) ? -1 : paramsKey(params);
  let hash = key;
  for (let i = 0; i < inputs.length; i++) hash = mix(hash, (inputs[i] as NDArray).aval.id);
  const backend = activeBackend();
  const { equations } = keptFor(backend);
  equations[primitive.id] ??= new Map();
  const signatures = equations[primitive.id] as Map<number, Signature>;
  const known = signatures.get(hash);
  if (known !== undefined && known.params === key && haveTypes(inputs, known.avals))
    return run(known.compiled, inputs);
  const avals = inputs.map((x) => x.aval);
  const inVars = avals.map((a) => new Var(a));
  const outVars = primitive.shape(avals, params).map((a) => new Var(a));
  const equation = { primitive, inputs: inVars, outputs: outVars, params };
  const compiled = compile(backend, primitive.name, new Jaxpr([], inVars, [equation], outVars));
  keepAmong(signatures, perPrimitiveLimit, hash, { avals, params: key, compiled });
  return run(compiled, inputs);
}

setRoot({ parent: null, bind: evaluate });
