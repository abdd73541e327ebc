/** From trees to lists of leaves and back. */
import { fail, TreeError } from "../errors.ts";
import { isRecord } from "../hash.ts";
import { joinPath, levelOf, place, registrationOf } from "./node.ts";
import {
  arrayDef,
  instanceDef,
  keyListOf,
  leafDef,
  nullDef,
  objectDef,
  type Registered,
  setOwn,
  TreeDef,
  undefinedDef,
} from "./treedef.ts";
import type { Leaf, LeafOptions, MapLeaves } from "./types.ts";

/** Far deeper than any model; a cycle gets here long before the stack ends. */
const maxDepth = 500;

type IsLeaf = ((x: unknown) => boolean) | undefined;

/** The leaves in order, and the structure: `unflatten(def, leaves)` is the tree again. Objects are read in the
 *  order of their sorted keys; `null` and `undefined` hold no leaves.
 *  @throws TreeError when the tree contains itself
 *  @example tree.flatten({ b: [1, 2], a: 3 })[0]  // => [3, 1, 2] */
export function flatten<T>(t: T, options?: LeafOptions): [leaves: Leaf<T>[], def: TreeDef<T>] {
  const leaves: unknown[] = [];
  return [leaves as Leaf<T>[], walk(t, leaves, options?.isLeaf, 0, t) as TreeDef<T>];
}

// one call a node on the path of every jitted call: no closures, no names, no second pass
function walk(
  x: unknown,
  leaves: unknown[],
  isLeaf: IsLeaf,
  depth: number,
  root: unknown,
): TreeDef {
  if (isLeaf?.(x)) {
    leaves.push(x);
    return leafDef;
  }
  if (x === null) return nullDef;
  if (x === undefined) return undefinedDef;
  if (typeof x !== "object") {
    leaves.push(x);
    return leafDef;
  }
  if (depth > maxDepth) return explainDepth(root, isLeaf);
  if (Array.isArray(x)) {
    const n = x.length;
    const defs = new Array<TreeDef>(n);
    for (let i = 0; i < n; i++) defs[i] = walk(x[i], leaves, isLeaf, depth + 1, root);
    return arrayDef(defs);
  }
  if (isRecord(x)) {
    const list = keyListOf(Object.keys(x));
    const keys = list.sorted;
    const n = keys.length;
    const defs = new Array<TreeDef>(n);
    for (let i = 0; i < n; i++)
      defs[i] = walk(
        (x as Record<string, unknown>)[keys[i] as string],
        leaves,
        isLeaf,
        depth + 1,
        root,
      );
    return objectDef(list, defs);
  }
  const type = registrationOf(x);
  if (type === undefined) {
    leaves.push(x);
    return leafDef;
  }
  const [children, aux] = type.flatten(x);
  return instanceDef(
    type,
    aux,
    children.map((child) => walk(child, leaves, isLeaf, depth + 1, root)),
  );
}

function explainDepth(t: unknown, isLeaf: IsLeaf): never {
  const above: { node: unknown; path: string }[] = [];
  let deepest = "";
  const visit = (x: unknown, path: string): void => {
    const back = above.find((a) => a.node === x);
    if (back !== undefined)
      fail(
        TreeError,
        "tree.flatten",
        "a tree must not contain itself",
        `at ${path} the same object as at ${place(back.path)}`,
        "break the cycle, or keep the reference outside of the tree",
      );
    const { children, names } = levelOf(x, isLeaf);
    if (children.length === 0) return;
    above.push({ node: x, path });
    if (above.length > maxDepth) deepest ||= path;
    else
      children.forEach((child, i) => {
        visit(child, joinPath(path, names[i] as string));
      });
    above.pop();
  };
  visit(t, "");
  return fail(
    TreeError,
    "tree.flatten",
    `a tree must not be deeper than ${maxDepth} levels`,
    `more levels at ${deepest.slice(0, 60)}…`,
    "keep linked lists in arrays",
  );
}

/** The tree of structure `def` with the given leaves.
 *  @throws TreeError when the number of leaves is not `def.numLeaves`
 *  @example tree.unflatten(tree.structure({ a: 0, b: [0] }), [1, 2])  // => { a: 1, b: [2] } */
export function unflatten<T, R>(def: TreeDef<T>, leaves: Iterable<R>): MapLeaves<T, R> {
  const list = Array.isArray(leaves) ? (leaves as readonly R[]) : [...leaves];
  if (!(def instanceof TreeDef))
    return fail(
      TreeError,
      "tree.unflatten",
      "the first argument must be a TreeDef",
      typeof def,
      "take it from tree.structure or tree.flatten",
    );
  if (list.length !== def.numLeaves)
    fail(
      TreeError,
      "tree.unflatten",
      `${def} takes ${def.numLeaves} leaves`,
      `${list.length}`,
      "pass one value for each *",
    );
  return build(def, list, { at: 0 }) as MapLeaves<T, R>;
}

function build(def: TreeDef, leaves: readonly unknown[], cursor: { at: number }): unknown {
  switch (def.kind) {
    case "leaf":
      return leaves[cursor.at++];
    case "null":
      return null;
    case "undefined":
      return undefined;
    case "object": {
      const { keys, children } = def;
      // a copy of the template has its final hidden class from the start
      const out: Record<string, unknown> = { ...def.template };
      for (let i = 0; i < keys.length; i++)
        setOwn(out, keys[i] as string, build(children[i] as TreeDef, leaves, cursor));
      return out;
    }
    default: {
      const { children } = def;
      const out = new Array<unknown>(children.length);
      for (let i = 0; i < out.length; i++) out[i] = build(children[i] as TreeDef, leaves, cursor);
      return def.kind === "array" ? out : (def.type as Registered).unflatten(def.aux, out);
    }
  }
}

/** The leaves in order.
 *  @example tree.leaves([1, { b: 2 }, null])  // => [1, 2] */
export function leaves<T>(t: T, options?: LeafOptions): Leaf<T>[] {
  return flatten(t, options)[0];
}

/** The structure of a tree.
 *  @example tree.structure([1, null]).toString()  // => "PyTreeDef([*, null])" */
export function structure<T>(t: T, options?: LeafOptions): TreeDef<T> {
  return flatten(t, options)[1];
}

/** The leaves with their paths, and the structure.
 *  @example tree.flattenWithPath({ w: [1, 2] })[0]  // => [["w[0]", 1], ["w[1]", 2]] */
export function flattenWithPath<T>(
  t: T,
  options?: LeafOptions,
): [leaves: [path: string, leaf: Leaf<T>][], def: TreeDef<T>] {
  const [, def] = flatten(t, options);
  const out: [string, Leaf<T>][] = [];
  const visit = (x: unknown, path: string): void => {
    const level = levelOf(x, options?.isLeaf);
    if (level.kind === "leaf") out.push([path, x as Leaf<T>]);
    level.children.forEach((child, i) => {
      visit(child, joinPath(path, level.names[i] as string));
    });
  };
  visit(t, "");
  return [out, def];
}

/** The leaves with their paths.
 *  @example tree.leavesWithPath({ layers: [{ w: 1 }] })  // => [["layers[0].w", 1]] */
export function leavesWithPath<T>(t: T, options?: LeafOptions): [path: string, leaf: Leaf<T>][] {
  return flattenWithPath(t, options)[0];
}
