/** `jit` as users call it, `makeJaxpr` and `evalShape`. */
import { asArray } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import { activeBackend } from "../core/backend/registry.ts";
import { type Compiled, compiledJaxpr, haveTypes, run } from "../core/eval.ts";
import { fail, TreeError } from "../core/errors.ts";
import { dataKey, mix, textHash } from "../core/hash.ts";
import { keepAmong } from "../core/maps.ts";
import type { ClosedJaxpr } from "../core/ir/jaxpr.ts";
import { NDArray } from "../core/ndarray.ts";
import { isEager, isTracer } from "../core/trace.ts";
import {
  flatten,
  flattenWithPath,
  leaves as leavesOf,
  structure,
  type TreeDef,
  unflatten,
} from "../core/tree.ts";
import {
  type Arrays,
  checkArgnum,
  checkFunction,
  flattenArrays,
  type Fn,
  join,
  type Traced,
  traceTree,
} from "./arguments.ts";
import { call } from "./call.ts";
import { closeOver } from "./linearize.ts";
import { Lowered } from "./lowered.ts";
import { type Changes, retraces, type Signature, whatChanges } from "./recompile.ts";
import { canonical } from "./structure.ts";

export interface JitOptions {
  /** arguments that are part of the program: plain values, compared by structure (functions by identity) */
  readonly staticArgnums?: number | readonly number[];
  /** arguments whose memory the results may take over; they must not be used afterwards */
  readonly donateArgnums?: number | readonly number[];
  /** name in printed jaxprs and profiles (default: the function's) */
  readonly name?: string;
}

/** A traced function for one signature. */
interface Entry extends Signature {
  readonly body: ClosedJaxpr;
  readonly consts: readonly NDArray[];
  /** structure of the result */
  readonly out: TreeDef;
  /** which of the executable's arguments are given away */
  readonly donated: readonly boolean[] | undefined;
  /** for the backend of the last call */
  compiled: Compiled | null;
}

/** A compiled function, and what was made of it. */
export type Jitted<A extends readonly unknown[], R> = ((...args: A) => Arrays<R>) & {
  /** Traces and compiles for arguments like these, without running anything. */
  lower(...args: A): Lowered<A, R>;
};

/** Traces kept by one jitted function; the least recently used goes first. */
const entryLimit = 256;

/** Compiles `f`: the first call with arguments of given types traces and compiles, later calls run.
 *  @throws TraceError where `f` needs a concrete value; TreeError for static arguments that cannot be compared
 *  @example jit((x: NDArray) => x.mul(2).add(1))(np.array([1, 2])).toArray()  // => [3, 5] */
export function jit<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  { staticArgnums = [], donateArgnums = [], name = f.name || "fn" }: JitOptions = {},
): Jitted<A, R> {
  checkFunction("jit", f);
  const statics = typeof staticArgnums === "number" ? [staticArgnums] : staticArgnums;
  const donates = typeof donateArgnums === "number" ? [donateArgnums] : donateArgnums;
  for (const n of donates) if (n < 0) checkArgnum("jit", n, f.length);
  /** by hash; of two signatures with the same one the later is kept */
  const entries = new Map<number, Entry>();
  const noteTrace = retraces(name, statics);
  let last: Entry | undefined;
  let calls = 0;

  // a trace that captured values of a function that has returned is of no use
  const fits = (entry: Entry | undefined, flat: Call): entry is Entry =>
    entry !== undefined && isFor(entry, flat) && !hasLeaked(entry);
  const entryFor = (flat: Call, args: readonly unknown[]): Entry => {
    if (fits(last, flat)) return last;
    const hash = hashOf(flat);
    const known = entries.get(hash);
    let entry = known;
    if (!fits(entry, flat)) {
      const signature = signatureOf(flat);
      const { tree, avals } = signature;
      const dynamic = merge(f as Fn, args, statics);
      const { closed, tree: out } = traceTree(
        `jit(${name})`,
        dynamic,
        tree,
        avals,
        undefined,
        "jit",
      );
      const { consts } = closed;
      const donated = donationMask(donates, statics, args, consts.length);
      entry = { ...signature, body: closeOver(closed), consts, out, donated, compiled: null };
      if (known === undefined) noteTrace(signature, args, calls);
    }
    keepAmong(entries, entryLimit, hash, entry);
    last = entry;
    return entry;
  };
  const compiledFor = (entry: Entry): Compiled => {
    let { compiled } = entry;
    if (compiled === null || compiled.backend !== activeBackend()) {
      compiled = compiledJaxpr(name, canonical(entry.body.jaxpr));
      entry.compiled = compiled;
    }
    return compiled;
  };
  const runEntry = (entry: Entry, leaves: readonly NDArray[]): unknown => {
    const all = entry.consts.length === 0 ? leaves : [...entry.consts, ...leaves];
    if (!isEager()) return unflatten(entry.out, call(name, entry.body, all));
    const outs = run(compiledFor(entry), all, entry.donated);
    return entry.out.kind === "leaf" ? outs[0] : unflatten(entry.out, outs);
  };

  const jitted = (...args: unknown[]): unknown => {
    calls++;
    const flat = flattenDynamic(args, statics);
    return runEntry(entryFor(flat, args), flat.leaves);
  };
  const lower = (...args: A): Lowered<A, R> => {
    const entry = entryFor(flattenDynamic(args, statics), args);
    const again = (...given: A): Arrays<R> => {
      const flat = flattenDynamic(given, statics);
      if (!isFor(entry, flat))
        wrongArguments(name, whatChanges([entry, signatureOf(flat)], given, statics));
      return runEntry(entry, flat.leaves) as Arrays<R>;
    };
    return new Lowered(entry.body, compiledFor(entry).executable, entry.donated, again);
  };
  Object.defineProperty(jitted, "name", { value: name });
  return Object.assign(jitted, { lower }) as unknown as Jitted<A, R>;
}

const hasLeaked = ({ consts }: Entry): boolean => consts.some((x) => isTracer(x) && !x.trace.open);

/** What a call brings: the leaves of the dynamic arguments, and the static ones as a key. */
interface Call {
  readonly leaves: readonly NDArray[];
  readonly tree: TreeDef;
  readonly statics: readonly string[];
}

const none: readonly string[] = [];
function flattenDynamic(args: readonly unknown[], staticArgnums: readonly number[]): Call {
  let dynamic = args;
  let statics = none;
  if (staticArgnums.length > 0) {
    const present = staticArgnums.filter((n) => n < args.length || n < 0);
    statics = present.map((n) => staticKey(args[checkArgnum("jit", n, args.length)], `args[${n}]`));
    dynamic = args.filter((_, i) => !staticArgnums.includes(i));
  }
  if (areArrays(dynamic)) return { leaves: dynamic, tree: listTree(dynamic), statics };
  const [leaves, tree] = flatten(dynamic);
  return {
    leaves: areArrays(leaves) ? leaves : namedLeaves(args, staticArgnums),
    tree,
    statics,
  };
}
function areArrays(xs: readonly unknown[]): xs is readonly NDArray[] {
  for (let i = 0; i < xs.length; i++) if (!(xs[i] instanceof NDArray)) return false;
  return true;
}

const listTrees: TreeDef[] = [];
/** Structure of a list of arrays. */
function listTree(leaves: readonly NDArray[]): TreeDef {
  listTrees[leaves.length] ??= structure(leaves);
  return listTrees[leaves.length] as TreeDef;
}

/** The leaves as arrays; those that are none are named by the user's argument numbers. */
const namedLeaves = (args: readonly unknown[], statics: readonly number[]): NDArray[] =>
  args.flatMap((a, n) => (statics.includes(n) ? [] : flattenArrays("jit", `args[${n}]`, a).leaves));

const isFor = (entry: Entry, { leaves, tree, statics }: Call): boolean =>
  entry.tree.equals(tree) &&
  haveTypes(leaves, entry.avals) &&
  statics.length === entry.statics.length &&
  statics.every((s, i) => s === entry.statics[i]);
const signatureOf = ({ leaves, tree, statics }: Call): Signature => ({
  tree,
  avals: leaves.map((x) => x.aval),
  statics,
});
const wrongArguments = (name: string, { changes }: Changes): never =>
  fail(
    TreeError,
    `jit(${name}).lower`,
    "the arguments must be like those that it was lowered for",
    changes,
    "call the jitted function, which traces anew, or lower it for these",
  );
function hashOf({ leaves, tree, statics }: Call): number {
  let { hash } = tree;
  for (const x of leaves) hash = mix(hash, x.aval.id);
  for (const s of statics) hash = mix(hash, textHash(s));
  return hash;
}

/** `f` on the dynamic arguments, the static ones put back in place. */
function merge(f: Fn, args: readonly unknown[], statics: readonly number[]): Fn {
  if (statics.length === 0) return f;
  return (...dynamic: unknown[]) => {
    let k = 0;
    return f(...(args.map((a, i) => (statics.includes(i) ? a : dynamic[k++])) as never[]));
  };
}

function donationMask(
  donates: readonly number[],
  statics: readonly number[],
  args: readonly unknown[],
  captured: number,
): boolean[] | undefined {
  if (donates.length === 0) return undefined;
  const mask = new Array<boolean>(captured).fill(false);
  args.forEach((a, i) => {
    if (!statics.includes(i)) for (const _ of leavesOf(a)) mask.push(donates.includes(i));
  });
  return mask;
}

/** Key of a static argument; equal values have equal keys. */
const staticKey = (x: unknown, path: string): string =>
  dataKey(
    x,
    (y, at, inItself) =>
      inItself
        ? fail(
            TreeError,
            "jit",
            "a static argument must not contain itself",
            `the same object again at ${at}`,
            "break the cycle",
          )
        : fail(
            TreeError,
            "jit",
            "a static argument must be comparable: a number, string, boolean, null, function, or plain data of these",
            `an object of class ${y.constructor?.name ?? typeof y} at ${at}`,
            y instanceof NDArray ? "pass arrays as ordinary arguments" : "pass plain data",
          ),
    path,
  );

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

function traceAt(op: string, f: Fn, args: readonly unknown[]): Traced {
  const [leaves, tree] = flattenWithPath(args);
  return traceTree(
    op,
    f,
    tree,
    leaves.map(([path, x]) => (x instanceof Aval ? x : asArray(x, op, join("args", path)).aval)),
  );
}
