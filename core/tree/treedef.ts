/** The structure of a pytree without its leaves. Equal structures are mostly the same object: flattening
 *  finds a structure it has seen before instead of building it again. */

import { dataKey, identity, textHash } from "../hash.ts";
import { entry, keepAmong } from "../maps.ts";

/** How a registered class is taken apart and put together. */
export interface NodeType<T, Aux = unknown> {
  /** children in a fixed order, and what else is needed to rebuild (compared by structure) */
  readonly flatten: (x: T) => readonly [children: readonly unknown[], aux: Aux];
  readonly unflatten: (aux: Aux, children: readonly unknown[]) => T;
  /** names of the children in paths; without it they are numbered */
  readonly keys?: (x: T) => readonly string[];
}

/** A registered class. */
export interface Registered extends NodeType<object> {
  readonly name: string;
  /** distinguishes classes of the same name in keys */
  readonly id: number;
}

export type Kind = "leaf" | "null" | "undefined" | "array" | "object" | "instance";

interface Parts {
  readonly kind: Kind;
  readonly children: readonly TreeDef[];
  readonly keys?: readonly string[];
  readonly type?: Registered;
  readonly aux?: unknown;
}

/** An immutable tree structure. `T` is the type of the trees it came from.
 *  @example structure({ b: [1, 2], a: 3 }).toString()  // => "PyTreeDef({'a': *, 'b': [*, *]})" */
export class TreeDef<T = unknown> {
  declare readonly from?: T;
  readonly kind: Kind;
  readonly children: readonly TreeDef[];
  /** sorted keys of an object, one for each child */
  readonly keys: readonly string[];
  readonly type: Registered | null;
  readonly aux: unknown;
  readonly numLeaves: number;
  /** Equal for equal structures and only for them: a key for caches. */
  readonly key: string;
  /** of the key */
  readonly hash: number;
  /** an empty object with the keys of this node, from which `unflatten` starts */
  readonly template: Readonly<Record<string, unknown>>;

  constructor(parts: Parts, key: string) {
    this.kind = parts.kind;
    this.children = parts.children;
    this.keys = parts.keys ?? [];
    this.type = parts.type ?? null;
    this.aux = parts.aux;
    this.key = key;
    this.hash = textHash(key);
    this.numLeaves =
      parts.kind === "leaf" ? 1 : parts.children.reduce((n, child) => n + child.numLeaves, 0);
    this.template = templateOf(this.keys);
    Object.freeze(this);
  }

  equals(other: TreeDef): boolean {
    return this === other || this.key === other.key;
  }

  /** This structure with `inner` in place of every leaf. */
  compose(inner: TreeDef): TreeDef {
    if (this.kind === "leaf") return inner;
    const children = this.children.map((child) => child.compose(inner));
    switch (this.kind) {
      case "array":
        return arrayDef(children);
      case "object":
        return objectDef(keyListOf(this.keys), children);
      case "instance":
        return instanceDef(this.type as Registered, this.aux, children);
      default:
        return this;
    }
  }

  toString(): string {
    return `PyTreeDef(${body(this)})`;
  }
  toJSON(): string {
    return this.toString();
  }
}

function body(def: TreeDef): string {
  const children = def.children.map(body);
  switch (def.kind) {
    case "leaf":
      return "*";
    case "array":
      return `[${children.join(", ")}]`;
    case "object":
      return `{${def.keys.map((k, i) => `${quote(k)}: ${children[i]}`).join(", ")}}`;
    case "instance":
      return `CustomNode(${def.type?.name}[${auxText(def.aux)}], [${children.join(", ")}])`;
    default:
      return def.kind;
  }
}
const quote = (k: string): string =>
  `'${JSON.stringify(k).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
const auxText = (aux: unknown): string => dataKey(aux, (x) => x.constructor.name);

function templateOf(keys: readonly string[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const k of keys) setOwn(out, k, undefined);
  return out;
}
/** `out[k] = v` for every name, `__proto__` too. */
export function setOwn(out: Record<string, unknown>, k: string, v: unknown): void {
  if (k === "__proto__")
    Object.defineProperty(out, k, {
      value: v,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  else out[k] = v;
}

// ---- keys of aux data ----

const symbols = new Map<symbol, number>();

/** Structural key; instances count by identity, and so does an object that contains itself, which has no finite structure. */
export const auxKey = (aux: unknown): string =>
  dataKey(aux, (x) =>
    typeof x === "symbol"
      ? `symbol#${entry(symbols, x, () => symbols.size)}`
      : `object#${identity(x)}`,
  );

// ---- finding structures seen before ----

export const leafDef = new TreeDef({ kind: "leaf", children: [] }, "*");
export const nullDef = new TreeDef({ kind: "null", children: [] }, "null");
export const undefinedDef = new TreeDef({ kind: "undefined", children: [] }, "undefined");

/** Bounds what the caches below remember; a structure that fell out is built again and still equal by key. */
const remembered = 4096;
const byKey = new Map<string, TreeDef>();

const intern = (key: string, parts: Parts): TreeDef =>
  byKey.get(key) ?? keepAmong(byKey, remembered, key, new TreeDef(parts, key));

/** The last four structures with the same kind and width, the latest first. */
class Recent {
  readonly defs: TreeDef[] = [];

  find(children: readonly TreeDef[]): TreeDef | undefined {
    search: for (const def of this.defs) {
      const have = def.children;
      for (let i = 0; i < children.length; i++) if (have[i] !== children[i]) continue search;
      return def;
    }
    return undefined;
  }
  add(def: TreeDef): TreeDef {
    this.defs.splice(3);
    this.defs.unshift(def);
    return def;
  }
}

/** The keys of an object in its own order, a node of a trie: each further key leads on to the next. */
export class KeyList extends Recent {
  readonly next = new Map<string, KeyList>();
  readonly sorted: readonly string[];

  constructor(keys: readonly string[]) {
    super();
    this.sorted = keys.toSorted();
  }
}

let noKeys = new KeyList([]);
let keyLists = 0;
/** Wider objects are dictionaries whose keys change; a trie of them would only grow. */
const widest = 256;

export function keyListOf(keys: readonly string[]): KeyList {
  if (keys.length > widest) return new KeyList(keys);
  if (keyLists > remembered) {
    noKeys = new KeyList([]);
    keyLists = 0;
  }
  let list = noKeys;
  for (let i = 0; i < keys.length; i++) {
    const k = keys[i] as string;
    let longer = list.next.get(k);
    if (longer === undefined) {
      longer = new KeyList(keys.slice(0, i + 1));
      list.next.set(k, longer);
      keyLists++;
    }
    list = longer;
  }
  return list;
}

export function objectDef(list: KeyList, children: readonly TreeDef[]): TreeDef {
  const seen = list.find(children);
  if (seen !== undefined) return seen;
  const keys = list.sorted;
  const key = `{${keys.map((k, i) => `${JSON.stringify(k)}:${children[i]?.key}`).join(",")}}`;
  return list.add(intern(key, { kind: "object", children, keys }));
}

/** of lists, by their lengths */
const lists = new Map<number, Recent>();

export function arrayDef(children: readonly TreeDef[]): TreeDef {
  const { length } = children;
  const recent = lists.get(length) ?? keepAmong(lists, remembered, length, new Recent());
  return (
    recent.find(children) ??
    recent.add(intern(`[${children.map((c) => c.key).join(",")}]`, { kind: "array", children }))
  );
}

export function instanceDef(type: Registered, aux: unknown, children: readonly TreeDef[]): TreeDef {
  const key = `${type.name}#${type.id}(${auxKey(aux)})[${children.map((c) => c.key).join(",")}]`;
  return intern(key, { kind: "instance", children, type, aux });
}
