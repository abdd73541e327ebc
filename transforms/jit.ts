/** `jit` as users call it, `makeJaxpr` and `evalShape`. */
import { DeviceArray } from "../core/array.ts";
import type { Aval } from "../core/aval.ts";
import { compiledJaxpr, run } from "../core/eval.ts";
import { fail, TreeError } from "../core/errors.ts";
import type { ClosedJaxpr } from "../core/ir/jaxpr.ts";
import { NDArray } from "../core/ndarray.ts";
import { identity } from "../core/primitive.ts";
import { isEager, Tracer, traceToJaxpr } from "../core/trace.ts";
import { flatten, flattenWithPath, type TreeDef, unflatten } from "../core/tree.ts";
import {
  type Arrays,
  avalOf,
  checkArgnum,
  flatFunction,
  flattenArrays,
  join,
} from "./arguments.ts";
import { checkFunction, type Fn } from "./autodiff.ts";
import { call, closeOver } from "./call.ts";

export interface JitOptions {
  /** arguments that are part of the program: plain values, compared by structure (functions by identity) */
  readonly staticArgnums?: number | readonly number[];
  /** arguments whose memory the results may take over; they must not be used afterwards */
  readonly donateArgnums?: number | readonly number[];
  /** name in printed jaxprs and profiles (default: the function's) */
  readonly name?: string;
}

/** A traced function for one combination of types and static values. */
interface Entry {
  readonly body: ClosedJaxpr;
  readonly consts: readonly NDArray[];
  readonly tree: TreeDef;
}

/** Traces kept by one jitted function; the least recently used goes first. */
const entryLimit = 256;

/** Compiles `f`: the first call with arguments of given types traces and compiles, later calls run.
 *  @throws TraceError where `f` needs a concrete value; TreeError for static arguments that cannot be compared
 *  @example jit((x: NDArray) => x.mul(2).add(1))(np.array([1, 2])).toArray()  // => [3, 5] */
export function jit<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { staticArgnums = [], donateArgnums = [], name = f.name || "fn" }: JitOptions = {},
): (...args: A) => Arrays<R> {
  checkFunction("jit", f);
  const statics = typeof staticArgnums === "number" ? [staticArgnums] : staticArgnums;
  const donates = typeof donateArgnums === "number" ? [donateArgnums] : donateArgnums;
  const entries = new Map<string, Entry>();

  const jitted = (...args: unknown[]): unknown => {
    let key = "";
    let dynamic = args;
    if (statics.length > 0) {
      for (const n of statics) {
        if (n < args.length || n < 0) checkArgnum("jit", n, args.length);
        if (n < args.length) key += `${staticKey(args[n], `args[${n}]`)};`;
      }
      dynamic = args.filter((_, i) => !statics.includes(i));
    }
    const flat = flattenLeaves(dynamic, args, statics);
    const { leaves, tree } = flat;
    key += tree.key;
    for (const x of leaves) key += `,${(x as NDArray).aval.id}`;

    let entry = entries.get(key);
    // a trace that captured values of a function that has returned is of no use
    if (entry?.consts.some((c) => c instanceof Tracer && !c.trace.open)) entry = undefined;
    if (entry === undefined) {
      entry = trace(name, merge(f as Fn, args, statics), leaves, tree);
      if (entries.size >= entryLimit) entries.delete(entries.keys().next().value as string);
    } else entries.delete(key);
    entries.set(key, entry);

    const all = entry.consts.length === 0 ? leaves : [...entry.consts, ...leaves];
    const eager = isEager() && !all.some((x) => x instanceof Tracer);
    const outs = eager
      ? run(compiledJaxpr(name, entry.body.jaxpr), all, donated(donates, statics, args, entry))
      : call(name, entry.body, all);
    return unflatten(entry.tree, outs);
  };
  Object.defineProperty(jitted, "name", { value: name });
  return jitted as unknown as (...args: A) => Arrays<R>;
}

function flattenLeaves(
  dynamic: readonly unknown[],
  args: readonly unknown[],
  statics: readonly number[],
): { leaves: readonly NDArray[]; tree: TreeDef } {
  const [leaves, tree] = flatten(dynamic);
  for (const x of leaves)
    if (!(x instanceof NDArray)) {
      // name leaves by the user's argument numbers
      const numbers = args.map((_, i) => i).filter((i) => !statics.includes(i));
      const arrays = numbers.flatMap((n) => flattenArrays("jit", `args[${n}]`, args[n]).leaves);
      return { leaves: arrays, tree };
    }
  return { leaves: leaves as NDArray[], tree };
}

/** `f` on the dynamic arguments, the static ones put back in place. */
function merge(f: Fn, args: readonly unknown[], statics: readonly number[]): Fn {
  if (statics.length === 0) return f;
  return (...dynamic: unknown[]) => {
    let k = 0;
    return f(...(args.map((a, i) => (statics.includes(i) ? a : dynamic[k++])) as never[]));
  };
}

function trace(name: string, f: Fn, leaves: readonly NDArray[], tree: TreeDef): Entry {
  const out: { tree?: TreeDef } = {};
  const closed = traceToJaxpr(
    "jit",
    flatFunction(`jit(${name})`, f, tree, out),
    leaves.map((x) => x.aval),
  );
  return { body: closeOver(closed), consts: closed.consts, tree: out.tree as TreeDef };
}

/** Which of the executable's arguments are given away. */
function donated(
  donates: readonly number[],
  statics: readonly number[],
  args: readonly unknown[],
  entry: Entry,
): boolean[] | undefined {
  if (donates.length === 0) return undefined;
  const mask: boolean[] = entry.consts.map(() => false);
  args.forEach((a, i) => {
    if (statics.includes(i)) return;
    for (const leaf of flatten(a)[0]) mask.push(donates.includes(i) && leaf instanceof DeviceArray);
  });
  return mask;
}

/** Key of a static argument; equal values have equal keys. */
function staticKey(x: unknown, path: string): string {
  switch (typeof x) {
    case "number":
      return Object.is(x, -0) ? "-0" : String(x);
    case "string":
      return JSON.stringify(x);
    case "boolean":
    case "undefined":
    case "bigint":
      return `${typeof x} ${String(x)}`;
    case "function":
      return `fn${identity(x)}`;
    case "object":
      if (x === null) return "null";
      if (Array.isArray(x)) return `[${x.map((v, i) => staticKey(v, `${path}[${i}]`)).join()}]`;
      if (Object.getPrototypeOf(x) === Object.prototype)
        return `{${Object.entries(x)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([k, v]) => `${JSON.stringify(k)}:${staticKey(v, join(path, k))}`)
          .join()}}`;
  }
  return fail(
    TreeError,
    "jit",
    "a static argument must be comparable: a number, string, boolean, null, function, or plain data of these",
    `an object of class ${(x as object | undefined)?.constructor?.name ?? typeof x} at ${path}`,
    x instanceof NDArray ? "pass arrays as ordinary arguments" : "pass plain data",
  );
}

/** Traces `f` and gives the jaxpr instead of running it. Arguments may be arrays or types (`Aval`).
 *  @example String(makeJaxpr((x: NDArray) => x.add(1))(np.zeros([2])).jaxpr.equations.length)  // => "1" */
export function makeJaxpr<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
): (...args: { [K in keyof A]: A[K] | Aval }) => ClosedJaxpr {
  checkFunction("makeJaxpr", f);
  return (...args) => traceAt("makeJaxpr", f as Fn, args).closed;
}

/** Types of the results of `f`, without computing anything. Arguments may be arrays or types.
 *  @example String(evalShape((x: NDArray) => x.sum(0), np.zeros([2, 3])))  // => "f32[3]" */
export function evalShape<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...args: { [K in keyof A]: A[K] | Aval }
): Shapes<R> {
  checkFunction("evalShape", f);
  const { closed, tree } = traceAt("evalShape", f as Fn, args);
  return unflatten(tree, closed.outAvals) as Shapes<R>;
}
/** A tree with each array replaced by its type. */
export type Shapes<T> = T extends NDArray | number | boolean
  ? Aval
  : T extends readonly unknown[] | { readonly [key: string]: unknown }
    ? { [K in keyof T]: Shapes<T[K]> }
    : T;

function traceAt(
  op: string,
  f: Fn,
  args: readonly unknown[],
): { closed: ClosedJaxpr; tree: TreeDef } {
  const [leaves, tree] = flattenWithPath(args);
  const out: { tree?: TreeDef } = {};
  const avals = leaves.map(([path, x]) => avalOf(x, op, join("args", path)));
  const closed = traceToJaxpr(op, flatFunction(op, f, tree, out), avals);
  return { closed, tree: out.tree as TreeDef };
}
