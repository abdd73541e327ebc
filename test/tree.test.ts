import assert from "node:assert/strict";
import fc from "fast-check";
import * as option from "fp-ts/lib/Option.js";
import * as array from "fp-ts/lib/Array.js";
import { describe, expect, test } from "vitest";
import { TreeError } from "../core/errors.ts";
import { Literal, NDArray } from "../core/ndarray.ts";
import * as tree from "../core/tree/index.ts";
import { Foldable, Functor, Traversable } from "../core/tree/index.ts";
import type { Tree } from "../core/tree.ts";

/** Trees with number leaves, every kind of empty node, and keys that are awkward. */
const trees: fc.Arbitrary<Tree<number>> = fc.letrec<{ tree: Tree<number> }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.integer(),
    fc.constantFrom(null, undefined),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(
      fc.oneof(
        fc.constantFrom("a", "b", "__proto__", "constructor", "10", "9", ""),
        fc.string({ maxLength: 3 }),
      ),
      tie("tree"),
      { maxKeys: 4 },
    ),
  ),
})).tree;

class Pair {
  readonly first: unknown;
  readonly second: unknown;
  readonly #tag: unknown;
  constructor(first: unknown, second: unknown, tag?: unknown) {
    this.first = first;
    this.second = second;
    this.#tag = tag;
  }
  get tag(): unknown {
    return this.#tag;
  }
}
tree.register(Pair, {
  flatten: (p) => [[p.first, p.second], p.tag],
  unflatten: (tag, [first, second]) => new Pair(first, second, tag),
  keys: () => ["first", "second"],
});
class Box {
  readonly items: readonly unknown[];
  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}
tree.register(Box, { flatten: (b) => [b.items, null], unflatten: (_, items) => new Box(items) });
class Unregistered {
  readonly x = 1;
}
class SubPair extends Pair {}

const message = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    expect(error).toBeInstanceOf(TreeError);
    return (error as Error).message;
  }
  throw new Error("did not throw");
};

describe("flatten and unflatten", () => {
  test("invert each other on random trees", () => {
    fc.assert(
      fc.property(trees, (t) => {
        const [leaves, def] = tree.flatten<unknown>(t);
        const back = tree.unflatten(def, leaves as unknown[]);
        assert.deepEqual(back, normal(t));
        expect(def.numLeaves).toBe((leaves as unknown[]).length);
        expect(tree.structure(back)).toBe(def);
        expect(tree.flattenWithPath<unknown>(t)[0].map(([, x]) => x)).toEqual(leaves);
      }),
    );
  });
  test("keys are equal exactly when structures are", () => {
    const shape = (t: unknown): string =>
      JSON.stringify(t, (_, v) =>
        v === undefined ? "undefined" : typeof v === "number" ? "*" : isObject(v) ? sorted(v) : v,
      );
    fc.assert(
      fc.property(trees, trees, (a, b) => {
        const [x, y] = [tree.structure<unknown>(a), tree.structure<unknown>(b)];
        expect(x.equals(y)).toBe(shape(a) === shape(b));
        expect(x.key === y.key).toBe(shape(a) === shape(b));
      }),
    );
  });
  test("leaves come in the order of sorted keys", () => {
    expect(tree.leaves({ b: [1, { z: 2, y: 3 }], a: 4, 10: 5, 9: 6 })).toEqual([5, 6, 4, 1, 3, 2]);
  });
  test("the order of keys does not matter to the structure", () => {
    expect(tree.structure({ a: 1, b: 2 })).toBe(tree.structure({ b: 2, a: 1 }));
  });
  test("null and undefined have no leaves and come back", () => {
    const t = { a: null, b: undefined, c: [] as number[], d: {} };
    const [leaves, def] = tree.flatten(t);
    expect(leaves).toEqual([]);
    expect(tree.unflatten(def, [])).toStrictEqual(t);
    expect(def.toString()).toBe("PyTreeDef({'a': null, 'b': undefined, 'c': [], 'd': {}})");
  });
  test("everything else is a leaf", () => {
    const x = new Literal(1, "float32");
    const things = [x, 1, "s", true, 1n, Symbol("s"), new Float32Array(2), () => 0, new Date(0)];
    const more = [new Map(), new Set(), new Unregistered(), new SubPair(1, 2)];
    expect(tree.leaves<unknown>([...things, ...more])).toEqual([...things, ...more]);
    expect(tree.structure(x).toString()).toBe("PyTreeDef(*)");
  });
  test("a __proto__ key is data", () => {
    const t = JSON.parse('{"__proto__": {"polluted": 1}, "a": 2}') as Record<string, unknown>;
    const back = tree.map((x: unknown) => x, t);
    expect(Object.keys(back).sort()).toEqual(["__proto__", "a"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  });
  test("objects without a prototype are plain", () => {
    expect(tree.leaves(Object.assign(Object.create(null), { b: 1, a: 2 }))).toEqual([2, 1]);
  });
  test("isLeaf stops the descent", () => {
    const isLeaf = (x: unknown): boolean => Array.isArray(x) || x === null;
    expect(tree.leaves<unknown>({ a: [1, 2], b: null, c: 3 }, { isLeaf })).toEqual([
      [1, 2],
      null,
      3,
    ]);
    expect(tree.structure({ a: [1, 2] }, { isLeaf }).toString()).toBe("PyTreeDef({'a': *})");
  });
  test("the wrong number of leaves is named", () => {
    expect(message(() => tree.unflatten(tree.structure([1, 2]), [1]))).toBe(
      "tree.unflatten: PyTreeDef([*, *]) takes 2 leaves; got 1; pass one value for each *.",
    );
  });
  test("iterables serve as leaves", () => {
    expect(tree.unflatten(tree.structure({ a: 0, b: 0 }), new Set([1, 2]))).toEqual({ a: 1, b: 2 });
  });
  test("wide and many kinds of objects stay right when caches are emptied", () => {
    const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i]));
    expect(tree.map((x: number) => x + 1, wide)).toEqual(
      Object.fromEntries(Object.entries(wide).map(([k, v]) => [k, v + 1])),
    );
    const before = tree.structure({ a: [1, { b: 2 }] });
    for (let i = 0; i < 10_000; i++) tree.structure({ [`x${i}`]: { [`y${i}`]: [i] } });
    const after = tree.structure({ a: [1, { b: 2 }] });
    expect(after.equals(before)).toBe(true);
    expect(after.key).toBe(before.key);
  });
});

describe("cycles and depth", () => {
  test("a cycle is named, not a stack overflow", () => {
    const a: Record<string, unknown> = { w: 1 };
    a.layers = [{ parent: a }];
    expect(message(() => tree.flatten({ params: a }))).toBe(
      "tree.flatten: a tree must not contain itself; got at params.layers[0].parent the same object as at params; break the cycle, or keep the reference outside of the tree.",
    );
    expect(message(() => tree.map((x) => x, a))).toContain("the same object as at the root");
    expect(message(() => tree.flattenWithPath(a))).toContain("must not contain itself");
    expect(message(() => tree.broadcastPrefix("vmap", 0, a))).toContain("must not contain itself");
    const box: unknown[] = [];
    box.push(new Pair(1, box));
    expect(message(() => tree.leaves(box))).toContain("[0].second");
  });
  test("the same object twice is no cycle", () => {
    const shared = { w: 1 };
    expect(tree.leaves([shared, { again: shared }])).toEqual([1, 1]);
  });
  test("a very deep tree is refused by name", () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(message(() => tree.flatten(deep))).toContain("must not be deeper than 500 levels");
  });
});

describe("registered classes", () => {
  test("are taken apart and rebuilt", () => {
    const p = new Pair({ w: 1 }, [2, 3], "relu");
    const q = tree.map((x: unknown) => (x as number) * 10, p);
    expect(q).toBeInstanceOf(Pair);
    expect([q.first, q.second, q.tag]).toEqual([{ w: 10 }, [20, 30], "relu"]);
    expect(tree.structure(p).toString()).toBe(
      `PyTreeDef(CustomNode(Pair["relu"], [{'w': *}, [*, *]]))`,
    );
  });
  test("aux is compared by structure, instances and functions by identity", () => {
    const at = (tag: unknown) => tree.structure(new Pair(1, 2, tag));
    expect(at({ a: [1, "x"], b: null }).equals(at({ b: null, a: [1, "x"] }))).toBe(true);
    expect(at({ a: 1 }).equals(at({ a: "1" }))).toBe(false);
    expect(at([1, [2]]).equals(at([1, 2]))).toBe(false);
    expect(at(undefined).equals(at(null))).toBe(false);
    const f = () => 0;
    expect(at(f).equals(at(f))).toBe(true);
    expect(at(f).equals(at(() => 0))).toBe(false);
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    expect(at(cyclic).equals(at(cyclic))).toBe(true);
  });
  test("classes are told apart, whatever their children", () => {
    expect(tree.structure(new Box([1, 2])).equals(tree.structure(new Pair(1, 2)))).toBe(false);
  });
  test("paths use the keys, or numbers", () => {
    expect(tree.leavesWithPath({ p: new Pair(1, [2]), b: new Box([3]) })).toEqual([
      ["b[0]", 3],
      ["p.first", 1],
      ["p.second[0]", 2],
    ]);
  });
  test("cannot be registered twice, nor can arrays and plain objects", () => {
    const node = { flatten: () => [[], null] as const, unflatten: () => ({}) as never };
    expect(message(() => tree.register(Pair, node))).toContain("Pair, which is registered already");
    expect(message(() => tree.register(Array, node))).toContain("which is a container already");
    expect(message(() => tree.register(Object, node))).toContain("which is a container already");
    expect(message(() => tree.register(NDArray, node))).toContain("NDArray, which is a leaf");
    expect(message(() => tree.register(Literal, node))).toContain("Literal, which is a leaf");
    expect(message(() => tree.register({} as never, node))).toContain("must be a class");
  });
});

describe("map", () => {
  const t = {
    layers: [
      { w: 1, b: 2 },
      { w: 3, b: null },
    ],
    scale: 4,
  };
  test("keeps the structure and takes any number of trees", () => {
    expect(tree.map((x) => x * 2, t)).toEqual({
      layers: [
        { w: 2, b: 4 },
        { w: 6, b: null },
      ],
      scale: 8,
    });
    expect(tree.map((x, y) => x + y, t, t)).toEqual(tree.map((x) => 2 * x, t));
    expect(tree.map((x, y, z) => x + y + z, t, t, t)).toEqual(tree.map((x) => 3 * x, t));
  });
  test("passes leaves only", () => {
    const seen: unknown[][] = [];
    tree.map((...xs: unknown[]) => seen.push(xs), [1, 2]);
    expect(seen).toEqual([[1], [2]]);
  });
  test("functor laws", () => {
    fc.assert(
      fc.property(trees, (x) => {
        const f = (n: number) => n + 1;
        const g = (n: number) => n * 3;
        assert.deepEqual(
          Functor.map(x, (n) => n),
          normal(x),
        );
        assert.deepEqual(
          Functor.map(Functor.map(x, f), g),
          Functor.map(x, (n) => g(f(n))),
        );
      }),
    );
  });
  test("with paths", () => {
    const named = { params: { layers: [{ w: 1 }], "odd name": 2 } };
    expect(tree.mapWithPath((path, x) => `${path}=${x}`, named)).toEqual({
      params: { layers: [{ w: "params.layers[0].w=1" }], "odd name": 'params["odd name"]=2' },
    });
    expect(tree.mapWithPath((p, x, y) => `${p}${x + y}`, [1], [2])).toEqual(["[0]3"]);
    expect(tree.mapWithPath((p, x) => p + x, 7)).toBe("7");
  });
  test("with isLeaf, subtrees of the others come whole", () => {
    const isLeaf = (x: unknown): x is number[] => Array.isArray(x);
    expect(tree.map((x) => x.length, { a: [1, 2], b: [3] }, { isLeaf })).toEqual({ a: 2, b: 1 });
    expect(
      tree.map(
        (x: unknown, y: unknown) => [x, y],
        { a: [1, 2] } as unknown,
        { a: { deep: 1 } } as unknown,
        { isLeaf } as unknown,
      ),
    ).toEqual({ a: [[1, 2], { deep: 1 }] });
  });
  test.each([
    [
      "kind",
      { params: { layers: [[1], [2], [3]] } },
      { params: { layers: [[1], [2], { w: 1 }] } },
      "tree.map: trees must have the same structure; got object {w} at params.layers[2] against array of length 1; give both trees the same keys, lengths and classes.",
    ],
    [
      "length",
      { a: [1, 2] },
      { a: [1, 2, 3] },
      "got array of length 3 at a against array of length 2;",
    ],
    [
      "keys",
      { a: { w: 1, b: 2 } },
      { a: { w: 1, c: 2 } },
      "got object {c, w} at a against object {b, w} (without b, with c in excess);",
    ],
    ["null", { a: 1 }, { a: null }, "got null at a against leaf (number 1);"],
    ["leaf", [1, 2], "x", 'got leaf (string "x") at the root against array of length 2;'],
    [
      "array",
      [[1]],
      [new Literal(1, "float32")],
      "got leaf f32[] at [0] against array of length 1;",
    ],
    [
      "class",
      [new Pair(1, 2)],
      [new Box([1, 2])],
      "got Box with 2 children at [0] against Pair with 2 children;",
    ],
    ["aux", [new Pair(1, 2, "a")], [new Pair(1, 2, "b")], "(with other aux data);"],
    ["inside a class", new Pair([1], 2), new Pair([1, 2], 2), "at first against"],
  ])("a mismatch of %s names the path", (_, a, b, text) => {
    expect(message(() => tree.map((x: unknown) => x, a as unknown, b as unknown))).toContain(text);
  });
  test("every mismatch of random trees is explained", () => {
    fc.assert(
      fc.property(trees, trees, (a, b) => {
        fc.pre(!tree.structure<unknown>(a).equals(tree.structure<unknown>(b)));
        expect(message(() => tree.map((x: unknown) => x, a as unknown, b as unknown))).toMatch(
          /got .+ at .+ against .+;/su,
        );
      }),
    );
  });
});

describe("reduce, all, transpose", () => {
  test("reduce folds in order", () => {
    expect(tree.reduce((s, x) => `${s}${x}`, { b: [2, 3], a: 1 }, "")).toBe("123");
    expect(tree.reduce((s, x) => s - x, [10, [1, 2]])).toBe(7);
    expect(tree.reduce<null, undefined>(() => undefined, null, undefined)).toBe(undefined);
    expect(message(() => tree.reduce((s) => s, []))).toContain("pass an initial value");
    expect(
      tree.reduce((s: number, x: unknown) => s + (x as number[]).length, [[1, 2], [3]], 0, {
        isLeaf: (x) => Array.isArray(x) && typeof x[0] === "number",
      }),
    ).toBe(3);
  });
  test("all", () => {
    expect(tree.all({ a: true, b: [true, null] })).toBe(true);
    expect(tree.all({ a: true, b: [false] })).toBe(false);
    expect(tree.all({ a: 1, b: [2] }, (x) => x > 1)).toBe(false);
    expect(tree.all([])).toBe(true);
    expect(message(() => tree.all([new Literal(0, "bool")]))).toContain("pass a test");
  });
  test("transpose turns trees of trees inside out, and back", () => {
    const t = [
      { a: 1, b: [2, 3] },
      { a: 4, b: [5, 6] },
    ];
    const outer = tree.structure([0, 0]);
    const inner = tree.structure({ a: 0, b: [0, 0] });
    const turned = tree.transpose(outer, inner, t);
    expect(turned).toEqual({
      a: [1, 4],
      b: [
        [2, 5],
        [3, 6],
      ],
    });
    expect(tree.transpose(inner, outer, turned)).toEqual(t);
    expect(
      message(() =>
        tree.transpose(outer, inner, [
          { a: 1, b: [2] },
          { a: 1, b: [2, 3] },
        ]),
      ),
    ).toContain("got array of length 1 at [0].b against array of length 2");
  });
  test("compose", () => {
    const def = tree.structure({ a: 0, b: new Pair(0, null, "t") }).compose(tree.structure([0, 0]));
    expect(def).toBe(tree.structure({ a: [0, 0], b: new Pair([0, 0], null, "t") }));
  });
});

describe("broadcastPrefix", () => {
  const value = [{ w: 1, b: [2, 3] }, 4, null];
  test("a leaf stands for its subtree", () => {
    expect(tree.broadcastPrefix("vmap", 0, value)).toEqual([0, 0, 0, 0]);
    expect(tree.broadcastPrefix("vmap", [0, 1, null], value)).toEqual([0, 0, 0, 1]);
    expect(tree.broadcastPrefix("vmap", [{ w: 5, b: [6, 7] }, 8, null], value)).toEqual([
      6, 7, 5, 8,
    ]);
    expect(tree.broadcastPrefix("vmap", [{ w: 5, b: 6 }, 8, 9], value)).toEqual([6, 6, 5, 8]);
  });
  test("null is an entry when isLeaf says so", () => {
    const isLeaf = (x: unknown): boolean => x === null || typeof x === "number";
    expect(tree.broadcastPrefix("vmap", [null, 1, 0], value, { isLeaf })).toEqual([
      null,
      null,
      null,
      1,
    ]);
  });
  test.each([
    [
      [0, 1],
      "vmap: the prefix must match the top of the tree; got array of length 2 in the prefix at the root against array of length 3 in the tree;",
    ],
    [[{ w: 0 }, 0, 0], "got object {w} in the prefix at [0] against object {b, w} in the tree;"],
    [
      [{ w: [0], b: 0 }, 0, 0],
      "got array of length 1 in the prefix at [0].w against leaf (number 1) in the tree;",
    ],
    [[null, 0, 0], "got null in the prefix at [0] against object {b, w} in the tree;"],
  ])("a prefix that does not fit is named: %j", (prefix, text) => {
    expect(message(() => tree.broadcastPrefix("vmap", prefix as unknown, value))).toContain(text);
  });
  test("broadcasting a tree over itself gives its leaves", () => {
    fc.assert(
      fc.property(trees, (t) => {
        expect(tree.broadcastPrefix<unknown>("op", t, t)).toEqual(tree.leaves<unknown>(t));
        const n = tree.structure<unknown>(t).numLeaves;
        expect(tree.broadcastPrefix("op", 7, t)).toEqual(new Array(n).fill(7));
      }),
    );
  });
  test("flattenUpTo gives the subtrees", () => {
    expect(tree.flattenUpTo("op", { a: 0, b: 0 }, { a: 1, b: [2, 3] })).toEqual([1, [2, 3]]);
  });
});

describe("update", () => {
  const w = new Literal(1, "float32");
  test("edits a draft, shares the rest, leaves the original alone", () => {
    const params = {
      layers: [
        { w, b: 1 },
        { w, b: 2 },
      ],
      name: "mlp",
    };
    const next = tree.update(params, (draft) => {
      (draft.layers[1] as { b: number }).b = 5;
      draft.layers.push({ w, b: 6 });
    });
    expect(params.layers.map((l) => l.b)).toEqual([1, 2]);
    expect(next.layers.map((l) => l.b)).toEqual([1, 5, 6]);
    expect(next.layers[0]).toBe(params.layers[0]);
  });
  test("takes frozen trees and gives frozen trees", () => {
    const params: { readonly inner: { readonly a: number }; readonly w: NDArray } = Object.freeze({
      inner: Object.freeze({ a: 1 }),
      w,
    });
    const next = tree.update(params, (draft) => {
      draft.inner.a = 2;
    });
    expect(next.inner.a).toBe(2);
    expect(Object.isFrozen(next) && Object.isFrozen(next.inner)).toBe(true);
    expect(() => {
      (next.inner as { a: number }).a = 3;
    }).toThrow(TypeError);
  });
  test("arrays are opaque: never drafted, never frozen", () => {
    const array = new Literal(2, "float32");
    const bytes = new Float32Array(2);
    const next = tree.update({ array, bytes, n: 0 }, (draft) => {
      expect(draft.array).toBe(array);
      draft.n = 1;
    });
    expect(next.array).toBe(array);
    expect(next.bytes).toBe(bytes);
    expect(Object.isFrozen(array)).toBe(false);
    expect(Object.isFrozen(array.aval)).toBe(Object.isFrozen(w.aval));
    bytes[0] = 1;
    const replaced = tree.update(next, (draft) => {
      draft.array = w;
    });
    expect(replaced.array).toBe(w);
  });
  test("a recipe may return the new tree", () => {
    expect(tree.update({ a: 1 }, () => ({ a: 2 }))).toEqual({ a: 2 });
  });
  test("refuses leaves and asynchronous recipes", () => {
    expect(message(() => tree.update(w, () => undefined))).toContain("got leaf f32[]");
    expect(message(() => tree.update(null, () => undefined))).toContain("got null");
    expect(message(() => tree.update(new Pair(1, 2), () => undefined))).toContain("got Pair");
    expect(message(() => tree.update({ a: 1 }, (async () => undefined) as never))).toContain(
      "synchronous",
    );
  });
});

describe("fp-ts instances", () => {
  const t: Tree<number> = { b: [1, 2], a: 3, n: null };
  test("traverse is all or nothing", () => {
    const positive = (x: number) => (x > 0 ? option.some(String(x)) : option.none);
    const go = Traversable.traverse(option.Applicative);
    expect(go(t, positive)).toEqual(option.some({ b: ["1", "2"], a: "3", n: null }));
    expect(go([t, -1] as Tree<number>, positive)).toEqual(option.none);
    expect(Traversable.sequence(option.Applicative)([] as Tree<option.Option<number>>)).toEqual(
      option.some([]),
    );
  });
  test("branching effects do not share results", () => {
    const both = Traversable.traverse(array.Applicative)([1, 2] as Tree<number>, (x) => [x, -x]);
    expect(both).toEqual([
      [1, 2],
      [1, -2],
      [-1, 2],
      [-1, -2],
    ]);
  });
  test("traverse in the identity is map; folds agree with leaves", () => {
    fc.assert(
      fc.property(trees, (x) => {
        const list = tree.leaves<unknown>(x) as number[];
        assert.deepEqual(
          Traversable.traverse(option.Applicative)(x, (n) => option.some(n + 1)),
          option.some(Functor.map(x, (n) => n + 1)),
        );
        expect(Foldable.reduce<number, number[]>(x, [], (b, a) => [...b, a])).toEqual(list);
        expect(Foldable.reduceRight<number, number[]>(x, [], (a, b) => [...b, a])).toEqual(
          list.toReversed(),
        );
        expect(
          Foldable.foldMap({ empty: "", concat: (a: string, b: string) => a + b })(x, String),
        ).toBe(list.join(""));
      }),
    );
  });
});

test("TreeDef prints as JAX does", () => {
  expect(tree.structure({ b: [1, 2], a: 1, "it's": {} }).toString()).toBe(
    `PyTreeDef({'a': *, 'b': [*, *], 'it\\'s': {}})`,
  );
});

const isObject = (v: unknown): v is Record<string, unknown> =>
  typeof v === "object" && v !== null && !Array.isArray(v);
const sorted = (v: Record<string, unknown>) =>
  Object.keys(v)
    .sort()
    .map((k) => ["key", k, v[k] === undefined ? "undefined" : v[k]])
    .concat([["object"]]);

/** The tree as flatten and unflatten normalise it: ordinary prototypes. */
function normal(t: unknown): unknown {
  if (Array.isArray(t)) return t.map(normal);
  if (!isObject(t)) return t;
  const out = {};
  for (const k of Object.keys(t).sort())
    Object.defineProperty(out, k, {
      value: normal(t[k]),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  return out;
}
