/** Trees laid over trees: equal structures, and prefixes that stand for whole subtrees. */
import { fail, TreeError } from "../errors.ts";
import { flatten, leaves } from "./flatten.ts";
import { describeNode, joinPath, type Level, levelOf, place } from "./node.ts";
import { instanceDef, type Registered } from "./treedef.ts";
import type { Leaf, LeafOptions } from "./types.ts";

/** Two levels have the same kind, width, keys, class and aux. */
function sameLevel(a: Level, b: Level): boolean {
  if (a.kind !== b.kind || a.children.length !== b.children.length || a.type !== b.type)
    return false;
  if (a.kind === "object") return a.names.every((n, i) => n === b.names[i]);
  if (a.kind !== "instance") return true;
  const type = a.type as Registered;
  return instanceDef(type, a.aux, []).equals(instanceDef(type, b.aux, []));
}

function lackingKeys(x: Level, y: Level): string[] {
  const have = new Set(y.names);
  return x.names.filter((n) => !have.has(n)).map((n) => (n.startsWith(".") ? n.slice(1) : n));
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

/** Throws the TreeError that names the first place where `got` is not built like `want`. */
export function failMismatch(
  op: string,
  want: unknown,
  got: unknown,
  isLeaf?: LeafOptions["isLeaf"],
): never {
  const visit = (a: unknown, b: unknown, path: string): void => {
    const x = levelOf(a, isLeaf);
    const y = levelOf(b, isLeaf);
    if (!sameLevel(x, y))
      fail(
        TreeError,
        op,
        "trees must have the same structure",
        difference(a, b, path),
        "give both trees the same keys, lengths and classes",
      );
    x.children.forEach((child, i) => {
      visit(child, y.children[i], joinPath(path, x.names[i] as string));
    });
  };
  visit(want, got, "");
  return fail(
    TreeError,
    op,
    "trees must have the same structure",
    "trees that changed while they were read",
    "pass plain data",
  );
}

interface Overlay {
  readonly leaf: unknown;
  readonly subtree: unknown;
  readonly path: string;
}

/** Lays `prefix` over `t`: each leaf of the prefix with the subtree of `t` at its place. */
function overlay(
  op: string,
  prefix: unknown,
  t: unknown,
  isLeaf: LeafOptions["isLeaf"],
): Overlay[] {
  flatten(prefix, isLeaf && { isLeaf }); // reports a cycle
  const out: Overlay[] = [];
  const visit = (p: unknown, x: unknown, path: string): void => {
    const a = levelOf(p, isLeaf);
    if (a.kind === "leaf") {
      out.push({ leaf: p, subtree: x, path });
      return;
    }
    const b = levelOf(x);
    if (!sameLevel(a, b))
      fail(
        TreeError,
        op,
        "the prefix must match the top of the tree",
        `${describeNode(p)} in the prefix at ${place(path)} against ${describeNode(x)} in the tree`,
        "give one value for the whole subtree, or one for each of its children",
      );
    a.children.forEach((child, i) => {
      visit(child, b.children[i], joinPath(path, a.names[i] as string));
    });
  };
  visit(prefix, t, "");
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
  return overlay(op, prefix, t, options?.isLeaf).flatMap(({ leaf, subtree }) =>
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
  return overlay(op, prefix, t, options?.isLeaf).map(({ subtree }) => subtree);
}
