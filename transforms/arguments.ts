/** Between user functions on pytrees and functions on lists of arrays. */
import { asArray, describe } from "../core/array.ts";
import type { Aval } from "../core/aval.ts";
import { isFloat } from "../core/dtype.ts";
import { DTypeError, fail, ShapeError, TreeError } from "../core/errors.ts";
import type { ClosedJaxpr } from "../core/ir/jaxpr.ts";
import { NDArray } from "../core/ndarray.ts";
import { convert } from "../core/ops/linear.ts";
import { traceToJaxpr } from "../core/trace.ts";
import { flatten, flattenWithPath, type TreeDef, unflatten } from "../core/tree.ts";

/** A type with its bare numbers and booleans turned into arrays: what comes back from a transform. */
export type Arrays<T> = T extends number | boolean
  ? NDArray
  : T extends NDArray | Aval | null | undefined | string
    ? T
    : // biome-ignore lint/suspicious/noExplicitAny: any function type
      T extends (...args: any[]) => unknown
      ? T
      : T extends readonly unknown[] | { readonly [key: string]: unknown }
        ? { [K in keyof T]: Arrays<T[K]> }
        : T;

/** A function of arrays, or of trees of arrays. */
export type Fn<A extends readonly unknown[] = never[], R = unknown> = (...args: A) => R;

export function checkFunction(op: string, f: unknown): void {
  if (typeof f !== "function")
    fail(
      TreeError,
      op,
      "takes a function",
      describe(f),
      `pass the function itself, as in ${op}(f)(x)`,
    );
}

/** What may be passed where a transformed function takes `T`: arrays, or numbers in their place. */
export type Scalar = NDArray | number;

export interface Flat {
  /** where the leaves are, for messages */
  readonly paths: () => string[];
  readonly leaves: readonly NDArray[];
  readonly tree: TreeDef;
}

/** Leaves of a user's value as arrays. `root` names it in messages. */
export function flattenArrays(op: string, root: string, value: unknown): Flat {
  const [leaves, tree] = flatten(value);
  const paths = (): string[] => pathsOf(root, value);
  if (leaves.every((x) => x instanceof NDArray))
    return { leaves: leaves as NDArray[], tree, paths };
  const at = paths();
  return { leaves: leaves.map((x, i) => asArray(x, op, at[i])), tree, paths };
}

/** Path of a leaf below `root`: `args` and `[0].w` make `args[0].w`. */
export const join = (root: string, path: string): string =>
  path === "" || path.startsWith("[") ? root + path : `${root}.${path}`;

/** Paths of the leaves of `value`, in order. */
export const pathsOf = (root: string, value: unknown): string[] =>
  flattenWithPath(value)[0].map(([path]) => join(root, path));

/** A recorded function, and its result with the structure of that. */
export interface Traced {
  readonly closed: ClosedJaxpr;
  readonly tree: TreeDef;
  readonly value: unknown;
}
/** Records `f` at arguments of the structure `tree` whose leaves have the types `avals`. With the leaves themselves in `known`,
 *  `item()` works inside. */
export function traceTree(
  op: string,
  f: Fn,
  tree: TreeDef,
  avals: readonly Aval[],
  known?: readonly NDArray[],
  name = op,
): Traced {
  let out: Omit<Traced, "closed"> | undefined;
  const run = (leaves: readonly NDArray[]): readonly NDArray[] => {
    const value = f(...(unflatten(tree, leaves) as never[]));
    if (value instanceof Promise)
      fail(
        TreeError,
        op,
        "the function must return arrays at once",
        "a Promise",
        "trace a synchronous function; await before or after",
      );
    if (value === undefined)
      fail(
        TreeError,
        op,
        "the function must return a value",
        "undefined",
        "return arrays, or a tree of them",
      );
    const flat = flattenArrays(op, "result", value);
    out = { tree: flat.tree, value };
    return flat.leaves;
  };
  const closed = traceToJaxpr(name, run, avals, { known });
  // traceToJaxpr has called its function
  return { closed, ...(out as Omit<Traced, "closed">) };
}

export const avalsOf = (leaves: readonly NDArray[]): Aval[] => leaves.map((x) => x.aval);

/** Checks that every leaf can be differentiated. */
export function checkFloat(op: string, { leaves, paths }: Omit<Flat, "tree">): void {
  leaves.forEach((x, i) => {
    if (!isFloat(x.dtype))
      fail(
        DTypeError,
        op,
        "only float arrays can be differentiated",
        `${x.aval} at ${paths()[i]}`,
        'convert it with astype("float32"), or leave it out of argnums',
      );
  });
}

/** The one scalar of a loss. */
export function checkScalar(op: string, value: unknown): NDArray {
  const x = typeof value === "number" ? asArray(value, op) : value;
  if (!(x instanceof NDArray))
    return fail(
      TreeError,
      op,
      "the function must return one scalar",
      describe(value),
      "return the loss alone, or [loss, aux] with hasAux: true",
    );
  if (x.ndim !== 0)
    fail(
      ShapeError,
      op,
      "the function must return a scalar",
      String(x.aval),
      "take the sum or the mean, or use jacrev",
    );
  if (!isFloat(x.dtype))
    fail(
      DTypeError,
      op,
      "the function must return a float",
      String(x.aval),
      "convert the loss to float32",
    );
  return x;
}

/** Arrays that must agree in type with `want`, in exactly these types; an error names the first that does not. */
export function counterparts(
  op: string,
  what: string,
  { leaves, paths }: Omit<Flat, "tree">,
  want: readonly Aval[],
): NDArray[] {
  return want.map((a, i) => {
    const x = leaves[i] as NDArray;
    // a bare number stands for a scalar of any float dtype
    const isNumber = x.weakType && x.ndim === 0 && a.rank === 0 && isFloat(a.dtype);
    if (x.aval.strong !== a.strong && !isNumber)
      fail(
        x.dtype === a.dtype ? ShapeError : DTypeError,
        op,
        `${what} must have the type of its counterpart`,
        `${x.aval} against ${a} at ${paths()[i]}`,
        "make shape and dtype equal",
      );
    return convert(x, a.dtype);
  });
}

/** The arguments that `argnums` names; `replace` gives all arguments with others in their place. */
export function chosenArguments(
  op: string,
  args: readonly unknown[],
  argnums: number | readonly number[],
) {
  const list = typeof argnums === "number" ? [argnums] : argnums;
  for (const n of list) checkArgnum(op, n, args.length);
  const replace = (picked: readonly unknown[]): never[] => {
    const all = [...args];
    list.forEach((n, i) => {
      all[n] = picked[i];
    });
    return all as never[];
  };
  return { list, chosen: list.map((n) => args[n]), replace };
}

/** A checked argument number. */
export function checkArgnum(op: string, n: number, count: number): number {
  if (Number.isInteger(n) && n >= 0 && n < count) return n;
  if (count === 0)
    return fail(
      ShapeError,
      op,
      "the function takes at least one argument",
      "none",
      "pass the argument",
    );
  return fail(
    ShapeError,
    op,
    `argnums must be between 0 and ${count - 1}`,
    String(n),
    "count the arguments from 0",
  );
}
