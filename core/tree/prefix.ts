/** Trees laid over trees: equal structures, and prefixes that stand for whole subtrees. */
import { fail, TreeError } from "../errors.ts";
import { flatten, leaves } from "./flatten.ts";
import { describeNode, joinPath, type Level, levelOf, place } from "./node.ts";
import { auxKey } from "./treedef.ts";
import type { Leaf, LeafOptions } from "./types.ts";

/** Two levels have the same kind, width, keys, class and aux. */
function sameLevel(a: Level, b: Level): boolean {
  return (
    a.kind === b.kind &&
    a.children.length === b.children.length &&
    (a.kind !== "object" || a.names.every((n, i) => n === b.names[i])) &&
    a.type === b.type &&
    auxKey(a.aux) === auxKey(b.aux)
  );
}

function lackingKeys(x: Level, y: Level): string[] {
  const have = new Set(y.names);
  return x.names.filter((n) => !have.has(n)).map((n) => joinPath("", n));
}
/** What sets two levels apart, the second first: `array of length 3 at layers against array of length 2`. */
function difference(want: unknown, got: unknown, path: string): string {
  const a = levelOf(want);
  const b = levelOf(got);
  let detail = "";
  if (a.kind === "object" && b.kind === "object") {
    const missing = lackingKeys(a, b);
    const extra = lackingKeys(b, a);
    const notes = [
      ...(missing.length > 0 ? [`without ${missing.join(", ")}`] : []),
      ...(extra.length > 0 ? [`with ${extra.join(", ")} in excess`] : []),
    ];
    detail = ` (${notes.join(", ")})`;
  } else if (
    a.kind === "instance" &&
    a.type === b.type &&
    a.children.length === b.children.length
  ) {
    detail = " (with other aux data)";
  }
  return `${describeNode(got)} at ${place(path)} against ${describeNode(want)}${detail}`;
}

/** Goes over a tree and another that is to have its structure; `atLeaf`, where there is one, gets the first one's leaves with what stands
 *  in their places. */
function visitBoth(
  one: unknown,
  other: unknown,
  isLeaf: LeafOptions["isLeaf"],
  atLeaf: ((leaf: unknown, subtree: unknown) => void) | null,
  mismatch: (one: unknown, other: unknown, path: string) => never,
): void {
  const visit = (p: unknown, x: unknown, path: string): void => {
    const a = levelOf(p, isLeaf);
    if (atLeaf !== null && a.kind === "leaf") {
      atLeaf(p, x);
      return;
    }
    const b = levelOf(x);
    if (!sameLevel(a, b)) mismatch(p, x, path);
    a.children.forEach((child, i) => {
      visit(child, b.children[i], joinPath(path, a.names[i] as string));
    });
  };
  visit(one, other, "");
}

/** Throws the first difference between two trees. */
export function failMismatch(op: string, want: unknown, got: unknown): never {
  const differ = (detail: string, remedy: string): never =>
    fail(TreeError, op, "trees must have the same structure", detail, remedy);
  visitBoth(want, got, undefined, null, (a, b, path) =>
    differ(difference(a, b, path), "give both trees the same keys, lengths and classes"),
  );
  return differ("trees that changed while they were read", "pass plain data");
}

/** Each leaf of a prefix with the subtree of `t` in its place. */
function overlay(
  op: string,
  prefix: unknown,
  t: unknown,
  options: LeafOptions | undefined,
): [leaf: unknown, subtree: unknown][] {
  flatten(prefix, options); // reports a cycle
  const out: [unknown, unknown][] = [];
  visitBoth(
    prefix,
    t,
    options?.isLeaf,
    (leaf, subtree) => out.push([leaf, subtree]),
    (p, x, path) =>
      fail(
        TreeError,
        op,
        "the prefix must match the top of the tree",
        `${describeNode(p)} in the prefix at ${place(path)} against ${describeNode(x)} in the tree`,
        "give one value for the whole subtree, or one for each of its children",
      ),
  );
  return out;
}

/** One value for each leaf of `t`: a leaf of `prefix` stands for every leaf below its place.
 *  @param op      name for messages
 *  @param prefix  a tree that `t` refines
 *  @param options.isLeaf  what counts as a leaf of the prefix
 *  @throws TreeError naming the place where `prefix` does not match
 *  @example tree.broadcastPrefix("vmap", [0, 1], [{ a: 7, b: 8 }, 9])  // => [0, 0, 1] */
export function broadcastPrefix<P>(
  op: string,
  prefix: P,
  t: unknown,
  options?: LeafOptions,
): Leaf<P>[] {
  return overlay(op, prefix, t, options).flatMap(([leaf, subtree]) =>
    new Array<Leaf<P>>(leaves(subtree).length).fill(leaf as Leaf<P>),
  );
}

/** The subtrees of `t` at the leaves of `prefix`, in order.
 *  @throws TreeError naming the place where `prefix` does not match
 *  @example tree.flattenUpTo("init", { a: 0, b: 0 }, { a: 1, b: [2, 3] })  // => [1, [2, 3]] */
export function flattenUpTo(
  op: string,
  prefix: unknown,
  t: unknown,
  options?: LeafOptions,
): unknown[] {
  return overlay(op, prefix, t, options).map(([, subtree]) => subtree);
}
