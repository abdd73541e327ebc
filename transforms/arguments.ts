/** Between user functions on pytrees and functions on lists of arrays. */
import { asArray, describe } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import { isFloat } from "../core/dtype.ts";
import { DTypeError, fail, ShapeError, TreeError } from "../core/errors.ts";
import { NDArray } from "../core/ndarray.ts";
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

/** What may be passed where a transformed function takes `T`: arrays, or numbers in their place. */
export type Scalar = NDArray | number;

export interface Flat {
  readonly leaves: readonly NDArray[];
  readonly tree: TreeDef;
}

/** Leaves of a user's value as arrays. `root` names it in messages. */
export function flattenArrays(op: string, root: string, value: unknown): Flat {
  const [leaves, tree] = flatten(value);
  if (leaves.every((x) => x instanceof NDArray)) return { leaves: leaves as NDArray[], tree };
  const [withPaths] = flattenWithPath(value);
  return { leaves: withPaths.map(([path, x]) => asArray(x, op, join(root, path))), tree };
}

/** Path of a leaf below `root`: `args` and `[0].w` make `args[0].w`. */
export const join = (root: string, path: string): string =>
  path === "" || path.startsWith("[") ? root + path : `${root}.${path}`;

/** Paths of the leaves of `value`, in order. */
export const pathsOf = (root: string, value: unknown): string[] =>
  flattenWithPath(value)[0].map(([path]) => join(root, path));

/** `f` on flat lists of arrays; `tree` of its result is noted in `out`. */
export function flatFunction(
  op: string,
  f: (...args: never[]) => unknown,
  tree: TreeDef,
  out: { tree?: TreeDef; value?: unknown },
): (leaves: readonly NDArray[]) => readonly NDArray[] {
  return (leaves) => {
    const result = f(...(unflatten(tree, leaves) as never[]));
    if (result instanceof Promise)
      fail(
        TreeError,
        op,
        "the function must return arrays at once",
        "a Promise",
        "trace a synchronous function; await before or after",
      );
    if (result === undefined)
      fail(
        TreeError,
        op,
        "the function must return a value",
        "undefined",
        "return arrays, or a tree of them",
      );
    const flat = flattenArrays(op, "result", result);
    out.tree = flat.tree;
    out.value = result;
    return flat.leaves;
  };
}

/** Checks that every leaf can be differentiated. */
export function checkFloat(op: string, leaves: readonly NDArray[], paths: () => string[]): void {
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

/** Checks that two lists of arrays agree in type, naming the first that does not. */
export function checkSameTypes(
  op: string,
  what: string,
  have: readonly NDArray[],
  want: readonly Aval[],
  paths: () => string[],
): void {
  want.forEach((a, i) => {
    const x = have[i] as NDArray;
    if (x.aval.strong === a.strong) return;
    // a bare number stands for a scalar of any float dtype
    if (x.weakType && x.ndim === 0 && a.rank === 0 && isFloat(a.dtype)) return;
    fail(
      x.dtype === a.dtype ? ShapeError : DTypeError,
      op,
      `${what} must have the type of its counterpart`,
      `${x.aval} against ${a} at ${paths()[i]}`,
      "make shape and dtype equal",
    );
  });
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

/** Type of a leaf that may be an array or already a type. */
export const avalOf = (x: unknown, op: string, path: string): Aval =>
  x instanceof Aval ? x : asArray(x, op, path).aval;
