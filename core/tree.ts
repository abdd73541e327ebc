/** Pytrees: models, gradients and optimizer states are ordinary data. Containers are plain objects
 *  (keys sorted), arrays, `null`, `undefined` and instances of registered classes; everything else is a leaf. */
import { fail, TreeError } from "./errors.ts";
import { NDArray } from "./ndarray.ts";
import { range } from "./shape.ts";
import { flatten, leaves, leavesWithPath, unflatten } from "./tree/flatten.ts";
import { failMismatch, flattenUpTo } from "./tree/prefix.ts";
import type { TreeDef } from "./tree/treedef.ts";
import type { Leaf, LeafOptions, MapLeaves } from "./tree/types.ts";

export {
  flatten,
  flattenWithPath,
  leaves,
  leavesWithPath,
  structure,
  unflatten,
} from "./tree/flatten.ts";
export { joinPath, register } from "./tree/node.ts";
export { broadcastPrefix, flattenUpTo } from "./tree/prefix.ts";
export { type NodeType, TreeDef } from "./tree/treedef.ts";
export type { Editable, Leaf, LeafOptions, MapLeaves, Tree } from "./tree/types.ts";

/** `{ isLeaf }` at the end of a call, with the predicate's type if it is a type guard. */
export interface Stop<L> {
  readonly isLeaf: ((x: unknown) => x is L) | ((x: unknown) => boolean);
}
type LeavesOf<U extends readonly unknown[]> = { [K in keyof U]: Leaf<U[K]> };

/** f applied to the leaves: out.path = f(t.path, rest.path, …), with the structure of `t`.
 *  @param rest  trees of the structure of `t`; then, if wanted, `{ isLeaf }`, which
 *               makes containers of `t` leaves, and passes the subtrees of `rest` at their places
 *  @throws TreeError naming the first place where the structures differ
 *  @example tree.map((x, y) => x + y, { a: 1, b: [2] }, { a: 10, b: [20] })  // => { a: 11, b: [22] } */
export function map<T, R>(f: (leaf: Leaf<T>) => R, t: T): MapLeaves<T, R>;
export function map<T, R, L = Leaf<T>>(
  f: (leaf: L) => R,
  t: T,
  options: Stop<L>,
): MapLeaves<T, R, L>;
export function map<T, U extends readonly unknown[], R>(
  f: (leaf: Leaf<T>, ...rest: LeavesOf<U>) => R,
  t: T,
  ...rest: U
): MapLeaves<T, R>;
export function map(f: (...leaves: never[]) => unknown, t: unknown, ...rest: unknown[]): unknown {
  const { lists, def } = align("tree.map", t, rest);
  return unflatten(def, zip(lists, f as (...leaves: unknown[]) => unknown));
}

/** `map` whose function gets the path of the leaf first: f("layers[2].w", leaf, …).
 *  @throws TreeError naming the first place where the structures differ
 *  @example tree.mapWithPath((path, x) => `${path}=${x}`, { a: [1] })  // => { a: ["a[0]=1"] } */
export function mapWithPath<T, R>(f: (path: string, leaf: Leaf<T>) => R, t: T): MapLeaves<T, R>;
export function mapWithPath<T, R, L = Leaf<T>>(
  f: (path: string, leaf: L) => R,
  t: T,
  options: Stop<L>,
): MapLeaves<T, R, L>;
export function mapWithPath<T, U extends readonly unknown[], R>(
  f: (path: string, leaf: Leaf<T>, ...rest: LeavesOf<U>) => R,
  t: T,
  ...rest: U
): MapLeaves<T, R>;
export function mapWithPath(
  f: (path: string, ...leaves: never[]) => unknown,
  t: unknown,
  ...rest: unknown[]
): unknown {
  const { lists, def, options } = align("tree.mapWithPath", t, rest);
  const paths = leavesWithPath(t, options).map(([path]) => path);
  return unflatten(def, zip([paths, ...lists], f as (...leaves: unknown[]) => unknown));
}

function align(
  op: string,
  t: unknown,
  args: readonly unknown[],
): {
  lists: readonly (readonly unknown[])[];
  def: TreeDef;
  options: LeafOptions | undefined;
} {
  const last = args.at(-1);
  const options = isStop(last) ? last : undefined;
  const rest = options === undefined ? args : args.slice(0, -1);
  const [first, def] = flatten(t, options);
  const others = rest.map((other) => {
    if (options !== undefined) return flattenUpTo(op, t, other, options);
    const [list, otherDef] = flatten(other);
    return otherDef.equals(def) ? list : failMismatch(op, t, other);
  });
  return { lists: [first as unknown[], ...others], def, options };
}

/** A tree with the single key `isLeaf` and a function in it is taken for options. */
const isStop = (x: unknown): x is { isLeaf: (x: unknown) => boolean } =>
  typeof x === "object" &&
  x !== null &&
  typeof (x as { isLeaf?: unknown }).isLeaf === "function" &&
  Object.keys(x).length === 1;

function zip(lists: readonly (readonly unknown[])[], f: (...xs: unknown[]) => unknown): unknown[] {
  return (lists[0] as unknown[]).map((_, i) => f(...lists.map((list) => list[i])));
}

/** outer ∘ inner ↦ inner ∘ outer: a tree of trees turned inside out.
 *  @param outer  structure whose leaves are trees of structure `inner`
 *  @throws TreeError when `t` is not built that way
 *  @example
 *  tree.transpose(tree.structure([0, 0]), tree.structure({ a: 0 }), [{ a: 1 }, { a: 2 }])  // => { a: [1, 2] } */
export function transpose(outer: TreeDef, inner: TreeDef, t: unknown): unknown {
  const [list, def] = flatten(t);
  const expected = outer.compose(inner);
  if (!def.equals(expected))
    failMismatch("tree.transpose", unflatten(expected, new Array(expected.numLeaves).fill(0)), t);
  const rows = inner.numLeaves;
  const columns = range(rows).map((i) =>
    unflatten(
      outer,
      range(outer.numLeaves).map((j) => (list as unknown[])[j * rows + i]),
    ),
  );
  return unflatten(inner, columns);
}

/** f(… f(f(init, leaf₀), leaf₁) …, leafₙ); without `init` the first leaf starts.
 *  @throws TreeError when there is neither a leaf nor an `init`
 *  @example tree.reduce((s, x) => s + x, { a: 1, b: [2, 3] }, 0)  // => 6 */
export function reduce<T>(f: (sofar: Leaf<T>, leaf: Leaf<T>) => Leaf<T>, t: T): Leaf<T>;
export function reduce<T, A>(
  f: (sofar: A, leaf: Leaf<T>) => A,
  t: T,
  init: A,
  options?: LeafOptions,
): A;
export function reduce(
  f: (sofar: unknown, leaf: unknown) => unknown,
  t: unknown,
  ...given: [init?: unknown, options?: LeafOptions]
): unknown {
  const list = leaves(t, given[1]) as unknown[];
  if (given.length === 0 && list.length === 0)
    fail(TreeError, "tree.reduce", "a tree must have a leaf", "none", "pass an initial value");
  const init = given.length > 0 ? given[0] : list.shift();
  return list.reduce((sofar, x) => f(sofar, x), init);
}

/** True when `test` holds for every leaf (of a tree of booleans: when all are true).
 *  @throws TreeError when a leaf is an array and there is no test
 *  @example tree.all({ a: 1, b: [2] }, (x) => x > 0)  // => true */
export function all<T>(t: T, test?: (leaf: Leaf<T>) => boolean, options?: LeafOptions): boolean {
  return leaves(t, options).every((x) => {
    if (test !== undefined) return test(x);
    if (x instanceof NDArray)
      fail(
        TreeError,
        "tree.all",
        "leaves without a test must be booleans",
        `an array ${x.aval}`,
        "pass a test such as (x) => x.item() > 0",
      );
    return Boolean(x);
  });
}
