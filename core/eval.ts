/** The evaluator: what `bind` means when nothing is being traced. An equation is a program of one kernel,
 *  compiled once for each signature. */
import { DeviceArray, literalBytes } from "./array.ts";
import type { Aval } from "./aval.ts";
import type { Backend, Executable, Storage } from "./backend/backend.ts";
import { activeBackend } from "./backend/registry.ts";
import { ClosedJaxpr, isLiteral, Jaxpr, Var } from "./ir/jaxpr.ts";
import type { Literal, NDArray } from "./ndarray.ts";
import { type Params, paramsKey, type Primitive } from "./primitive.ts";
import { buildProgram } from "./program/build.ts";
import { inlineCalls } from "./program/inline.ts";
import { simplify } from "./program/simplify.ts";
import { checkAlive, evalJaxpr, isEager, setRoot, Tracer } from "./trace.ts";

/** A jaxpr ready to run on a backend. */
export interface Compiled {
  readonly executable: Executable;
  readonly outAvals: readonly Aval[];
  /** each result: a literal, an argument returned as it came, or the storage at `output` */
  readonly results: readonly Result[];
}
type Result =
  | { readonly kind: "literal"; readonly value: Literal }
  | { readonly kind: "argument"; readonly index: number }
  | { readonly kind: "output"; readonly output: number; readonly shared: boolean };

function compile(backend: Backend, name: string, jaxpr: Jaxpr): Compiled {
  const small = simplify(inlineCalls(jaxpr));
  const { program, results } = buildProgram(name, small);
  const outAvals = jaxpr.outAvals;
  const args = [...small.constVars, ...small.inVars];
  const seen = new Set<number>();
  return {
    executable: backend.compile(program),
    outAvals,
    results: results.map((r, i): Result => {
      if (typeof r !== "number") return { kind: "literal", value: r };
      const atom = small.outs[i];
      const index = args.indexOf(atom as Var);
      if (index >= 0 && atom?.aval === outAvals[i]) return { kind: "argument", index };
      const buffer = program.outputs[r] as number;
      const shared = seen.has(buffer) || program.buffers[buffer]?.place === "input";
      seen.add(buffer);
      return { kind: "output", output: r, shared };
    }),
  };
}

// ---- literals as storage ----

const literalLimit = 512;
const literals = new WeakMap<Backend, Map<string, DeviceArray>>();
/** Storage of a constant. Recent ones are kept, so that a loop that multiplies by 0.5 writes it once. */
function literalArray(x: Literal, backend: Backend): DeviceArray {
  let kept = literals.get(backend);
  if (kept === undefined) {
    kept = new Map();
    literals.set(backend, kept);
  }
  const key = `${x.dtype}${Object.is(x.value, -0) ? "-0" : x.value}`;
  let array = kept.get(key);
  if (array === undefined) {
    array = new DeviceArray(x.aval.strong, backend.write(literalBytes(x)), true);
    if (kept.size >= literalLimit) kept.delete(kept.keys().next().value as string);
    kept.set(key, array);
  }
  return array;
}

const storageOf = (x: NDArray, backend: Backend): Storage =>
  x instanceof DeviceArray
    ? x.storageOn(backend)
    : literalArray(x as Literal, backend).storageOn(backend);

/** Runs on concrete arrays. `donated` arguments give up their storage. */
export function run(
  compiled: Compiled,
  args: readonly NDArray[],
  donated?: readonly boolean[],
): NDArray[] {
  const { executable, results, outAvals } = compiled;
  const backend = activeBackend();
  const inputs = new Array<Storage>(args.length);
  for (let i = 0; i < args.length; i++) inputs[i] = storageOf(args[i] as NDArray, backend);
  let give: boolean[] | undefined;
  if (donated !== undefined) {
    give = donated.map((d, i) => {
      const a = args[i];
      return (
        d &&
        a instanceof DeviceArray &&
        a.donatable &&
        args.indexOf(a) === i &&
        args.lastIndexOf(a) === i
      );
    });
    // an argument that comes back as a result, whole or reshaped, stays
    for (const r of results) {
      if (r.kind === "argument") give[r.index] = false;
      else if (r.kind === "output" && r.shared) {
        const at = executable.program.inputs.indexOf(
          executable.program.outputs[r.output] as number,
        );
        if (at >= 0) give[at] = false;
      }
    }
  }
  const outputs = executable.run(inputs, give);
  give?.forEach((d, i) => {
    if (d) (args[i] as DeviceArray).release();
  });
  const out = new Array<NDArray>(results.length);
  for (let i = 0; i < results.length; i++) {
    const r = results[i] as Result;
    if (r.kind === "output") {
      const storage = outputs[r.output] as Storage;
      if (r.shared)
        for (const a of args)
          if (a instanceof DeviceArray && !a.disposed && a.storage === storage) a.share();
      out[i] = new DeviceArray(outAvals[i] as Aval, storage, r.shared);
    } else out[i] = r.kind === "literal" ? r.value : (args[r.index] as NDArray);
  }
  return out;
}

// ---- equations ----

const perPrimitiveLimit = 1024;
type Cache = Map<string, Compiled>[];
const caches = new WeakMap<Backend, Cache>();
const bodies = new WeakMap<Jaxpr, Map<Backend, Compiled>>();

/** The compiled form of a jaxpr, kept as long as the jaxpr lives. */
export function compiledJaxpr(name: string, jaxpr: Jaxpr): Compiled {
  const backend = activeBackend();
  let byBackend = bodies.get(jaxpr);
  if (byBackend === undefined) {
    byBackend = new Map();
    bodies.set(jaxpr, byBackend);
  }
  let compiled = byBackend.get(backend);
  if (compiled === undefined) {
    compiled = compile(backend, name, jaxpr);
    byBackend.set(backend, compiled);
  }
  return compiled;
}

let lastBackend: Backend | null = null;
let lastCache: Cache = [];

function evaluate(primitive: Primitive, inputs: readonly NDArray[], params: Params): NDArray[] {
  for (const x of inputs) if (x instanceof Tracer) checkAlive(x, primitive.name);
  if (primitive.inline !== undefined) {
    const { jaxpr } = primitive.inline(params) as ClosedJaxpr;
    const name = (params as { name?: string }).name ?? primitive.name;
    return run(compiledJaxpr(name, jaxpr), inputs);
  }
  let key = "";
  for (const x of inputs) key += `${x.aval.id},`;
  for (const _ in params) {
    key += paramsKey(params);
    break;
  }
  const backend = activeBackend();
  if (backend !== lastBackend) {
    let cache = caches.get(backend);
    if (cache === undefined) {
      cache = [];
      caches.set(backend, cache);
    }
    lastBackend = backend;
    lastCache = cache;
  }
  let signatures = lastCache[primitive.id];
  if (signatures === undefined) {
    signatures = new Map();
    lastCache[primitive.id] = signatures;
  }
  let compiled = signatures.get(key);
  if (compiled === undefined) {
    const inVars = inputs.map((x) => new Var(x.aval));
    const outVars = primitive
      .shape(
        inputs.map((x) => x.aval),
        params,
      )
      .map((a) => new Var(a));
    const equation = { primitive, inputs: inVars, outputs: outVars, params };
    compiled = compile(backend, primitive.name, new Jaxpr([], inVars, [equation], outVars));
    if (signatures.size >= perPrimitiveLimit)
      signatures.delete(signatures.keys().next().value as string);
    signatures.set(key, compiled);
  }
  return run(compiled, inputs);
}

setRoot({ parent: null, bind: evaluate });

// ---- whole programs ----

/** What a jaxpr computes, as a string: equal structure gives equal strings. */
export function fingerprint(jaxpr: Jaxpr): string {
  const numbers = new Map<Var, number>();
  const parts: string[] = [];
  const name = (v: Var): number => {
    let n = numbers.get(v);
    if (n === undefined) {
      n = numbers.size;
      numbers.set(v, n);
    }
    return n;
  };
  const atom = (a: Var | Literal): string =>
    isLiteral(a) ? `#${a.aval.id}:${Object.is(a.value, -0) ? "-0" : a.value}` : String(name(a));
  for (const v of [...jaxpr.constVars, ...jaxpr.inVars]) parts.push(`${name(v)}:${v.aval.id}`);
  for (const e of jaxpr.equations) {
    const params = Object.entries(e.params as Record<string, unknown>).map(([k, v]) =>
      v instanceof ClosedJaxpr
        ? `${k}{${fingerprint(v.jaxpr)}${v.consts.map((c) => paramsKey(c)).join()}}`
        : v instanceof Jaxpr
          ? `${k}{${fingerprint(v)}}`
          : `${k}=${paramsKey(v)}`,
    );
    parts.push(
      `${e.primitive.id}(${e.inputs.map(atom).join()})${params.join(";")}>${e.outputs.map((v) => `${name(v)}:${v.aval.id}`).join()}`,
    );
  }
  return `${parts.join("|")}=>${jaxpr.outs.map(atom).join()}`;
}

const programLimit = 256;
/** Structures that came by: seen once, or the jaxpr under which they were compiled. */
const programs = new Map<string, Jaxpr | null>();

/** Evaluates a closed jaxpr. Eagerly, a structure that comes by for the second time is compiled whole. */
export function evalClosed(
  closed: ClosedJaxpr,
  args: readonly NDArray[],
  name = "program",
): NDArray[] {
  const { jaxpr, consts } = closed;
  const all = [...consts, ...args];
  if (!isEager() || all.some((x) => x instanceof Tracer) || jaxpr.equations.length < 2)
    return evalJaxpr(jaxpr, consts, args);
  const key = fingerprint(jaxpr);
  const known = programs.get(key);
  programs.delete(key);
  if (programs.size >= programLimit) programs.delete(programs.keys().next().value as string);
  if (known === undefined) {
    programs.set(key, null);
    return evalJaxpr(jaxpr, consts, args);
  }
  const compiledAs = known ?? jaxpr;
  programs.set(key, compiledAs);
  return run(compiledJaxpr(name, compiledAs), all);
}
