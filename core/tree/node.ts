/** What counts as a container, and how a place in a tree is written. */
import { fail, TreeError } from "../errors.ts";
import { isRecord } from "../hash.ts";
import { NDArray } from "../ndarray.ts";
import type { Kind, NodeType, Registered } from "./treedef.ts";

// biome-ignore lint/suspicious/noExplicitAny: a constructor is accepted whatever its parameters are
type Class<T> = abstract new (...args: any[]) => T;

const registry = new Map<object, Registered>();

/** Makes instances of `type` containers. Subclasses are registered on their own.
 *  @param node.flatten    `x -> [children, aux]`; aux is compared by structure (functions and instances by identity)
 *  @param node.unflatten  `(aux, children) -> x`; children may be anything, so it must not check them
 *  @param node.keys       names of the children in paths
 *  @throws TreeError when the class is a container already, or an array type
 *  @example
 *  tree.register(Pair, { flatten: (p) => [[p.a, p.b], null], unflatten: (_, [a, b]) => new Pair(a, b) }) */
export function register<T extends object, Aux>(type: Class<T>, node: NodeType<T, Aux>): void {
  const proto = typeof type === "function" ? (type.prototype as object | undefined) : undefined;
  if (proto === undefined)
    fail(
      TreeError,
      "tree.register",
      "the first argument must be a class",
      String(type),
      "pass the class itself, not an instance",
    );
  const reason = registry.has(proto)
    ? "which is registered already"
    : proto === Object.prototype || proto === Array.prototype
      ? "which is a container already"
      : proto instanceof NDArray || proto === NDArray.prototype
        ? "which is a leaf"
        : null;
  if (reason !== null)
    fail(
      TreeError,
      "tree.register",
      "a class can be registered once, and only if it is neither a container nor an array",
      `${type.name}, ${reason}`,
      "register each class of your own once, next to its definition",
    );
  registry.set(proto, {
    ...(node as unknown as NodeType<object>),
    name: type.name,
    id: registry.size,
  });
}

/** The registration of the class of `x`, if it has one. */
export const registrationOf = (x: object): Registered | undefined =>
  registry.size === 0 ? undefined : registry.get(Object.getPrototypeOf(x) as object);

/** One level of a tree. `names[i]` is the way to `children[i]` as it is written in paths. */
export interface Level {
  readonly kind: Kind;
  readonly children: readonly unknown[];
  readonly names: readonly string[];
  readonly type?: Registered;
  readonly aux?: unknown;
}

const atom = (kind: Kind): Level => ({ kind, children: [], names: [] });
const leaf = atom("leaf");

/** Takes one level apart, slowly and with names. */
export function levelOf(x: unknown, isLeaf?: (x: unknown) => boolean): Level {
  if (isLeaf?.(x)) return leaf;
  if (x === null || x === undefined) return atom(x === null ? "null" : "undefined");
  if (typeof x !== "object") return leaf;
  if (Array.isArray(x))
    return { kind: "array", children: [...x], names: Array.from(x, (_, i) => `[${i}]`) };
  if (isRecord(x)) {
    const keys = Object.keys(x).sort();
    const record = x as Record<string, unknown>;
    return { kind: "object", children: keys.map((k) => record[k]), names: keys.map(keyName) };
  }
  const type = registrationOf(x);
  if (type === undefined) return leaf;
  const [children, aux] = type.flatten(x);
  const keys = type.keys?.(x);
  const names = children.map((_, i) => (keys?.[i] === undefined ? `[${i}]` : keyName(keys[i])));
  return { kind: "instance", children, names, type, aux };
}

const keyName = (k: string): string =>
  /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(k) ? `.${k}` : `[${JSON.stringify(k)}]`;

/** The path of a child: `params.layers[2].w`. The root is "". */
export const joinPath = (path: string, name: string): string =>
  path === "" && name.startsWith(".") ? name.slice(1) : path + name;

/** A path for messages, where the root needs a name too. */
export const place = (path: string): string => (path === "" ? "the root" : path);

/** What is found at a place, for messages. */
export function describeNode(x: unknown): string {
  const { kind, children, names, type } = levelOf(x);
  switch (kind) {
    case "array":
      return `array of length ${children.length}`;
    case "object": {
      const shown = names.slice(0, 8).map((n) => joinPath("", n));
      if (names.length > 8) shown.push("…");
      return `object {${shown.join(", ")}}`;
    }
    case "instance":
      return `${type?.name} with ${children.length} children`;
    case "leaf":
      return x instanceof NDArray ? `leaf ${x.aval}` : `leaf (${leafText(x)})`;
    default:
      return kind;
  }
}
const leafText = (x: unknown): string =>
  typeof x === "function"
    ? "function"
    : typeof x === "object"
      ? ((x as object).constructor?.name ?? "object")
      : `${typeof x} ${typeof x === "string" ? JSON.stringify(x) : String(x)}`;
