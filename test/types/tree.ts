/** Types follow pytrees. Checked by the compiler; nothing here runs. */
import type { NDArray } from "../../index.ts";
import * as tree from "../../core/tree/index.ts";
import type { Editable, Leaf, MapLeaves, Tree } from "../../core/tree.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <T extends true>(): T | undefined => undefined;

interface Params {
  readonly w: NDArray;
  readonly bias?: NDArray;
  readonly layers: readonly { readonly b: NDArray; readonly scale: number }[];
  readonly pair: readonly [NDArray, null];
}
class Module {
  readonly w: NDArray;
  constructor(w: NDArray) {
    this.w = w;
  }
  apply(x: NDArray): NDArray {
    return x;
  }
}
interface Linked {
  readonly value: NDArray;
  readonly next: Linked | null;
}
declare const params: Params;
declare const module: Module;
declare const x: NDArray;
declare const isArray: (t: unknown) => t is readonly number[];

export function inference(): void {
  const sizes = tree.map((leaf) => (typeof leaf === "number" ? leaf : leaf.size), params);
  check<
    Equal<
      typeof sizes,
      {
        readonly w: number;
        readonly bias?: number;
        readonly layers: readonly { readonly b: number; readonly scale: number }[];
        readonly pair: readonly [number, null];
      }
    >
  >();
  // tuples stay tuples, whole arrays are leaves
  const tuple = tree.map((leaf) => String(leaf), [1, x] as [number, NDArray]);
  check<Equal<typeof tuple, [string, string]>>();
  const root = tree.map((leaf) => leaf.ndim, x);
  check<Equal<typeof root, number>>();
  const typed = tree.map((leaf) => leaf.length, { a: new Float32Array(2) });
  check<Equal<typeof typed, { a: number }>>();
  // leaves of several trees keep their own types
  const both = tree.map((a, b) => a.mul(b), { a: x }, { a: 2 });
  check<Equal<typeof both, { a: NDArray }>>();
  // instances keep their class, functions in literals are leaves
  const same = tree.map((leaf) => leaf, { module });
  check<Equal<typeof same, { module: Module }>>();
  const functions = tree.map((leaf) => leaf(1), { f: (n: number) => n + 1 });
  check<Equal<typeof functions, { f: number }>>();

  check<Equal<Leaf<Params>, NDArray | number>>();
  check<Equal<Leaf<Linked>, NDArray>>();
  check<Equal<Leaf<null>, never>>();
  check<Equal<Leaf<unknown>, unknown>>();
  check<Equal<Leaf<boolean | string[]>, boolean | string>>();
  check<Equal<MapLeaves<unknown, number>, unknown>>();
  check<Equal<MapLeaves<NDArray | null, number>, number | null>>();
  check<Equal<MapLeaves<Linked, string>["value"], string>>();
  check<Equal<Editable<Params>["layers"], { b: NDArray; scale: number }[]>>();

  const [leaves, def] = tree.flatten(params);
  check<Equal<typeof leaves, (NDArray | number)[]>>();
  const back = tree.unflatten(def, leaves.map(String));
  check<Equal<(typeof back)["w"], string>>();
  const paths = tree.leavesWithPath({ a: [1, 2] });
  check<Equal<typeof paths, [path: string, leaf: number][]>>();
  const total = tree.reduce((sum, leaf) => sum + leaf, { a: 1, b: [2] }, 0);
  check<Equal<typeof total, number>>();
  const named = tree.mapWithPath((path, leaf) => path.length + leaf, { a: 1 });
  check<Equal<typeof named, { a: number }>>();
  // a type guard says what the leaves are
  const lengths = tree.map((leaf) => leaf.length, { a: [1, 2] }, { isLeaf: isArray });
  check<Equal<typeof lengths, { a: number }>>();
  const next = tree.update(params, (draft) => {
    draft.w = x;
    draft.layers.push({ b: x, scale: 1 });
  });
  check<Equal<typeof next, Params>>();
  const nested: Tree<number> = [1, { a: null, b: [2] }];
  check<Equal<Leaf<typeof nested>, number>>();
}

export function rejected(): void {
  // @ts-expect-error leaves are arrays
  tree.map((leaf: string) => leaf.length, { a: x });
  // @ts-expect-error leaves of the second tree are numbers
  tree.map((_, b: string) => b, { a: x }, { a: 1 });
  // @ts-expect-error keys stay what they are
  void tree.map((leaf) => leaf, { a: 1 }).b;
  // @ts-expect-error a tuple has two elements
  void tree.map((leaf) => leaf, [1, 2] as [number, number])[2];
  tree.update(params, (draft) => {
    // @ts-expect-error an array is not a number
    draft.w = 1;
  });
  // @ts-expect-error a registration needs both directions
  tree.register(Module, { flatten: (m) => [[m.w], null] });
  // @ts-expect-error a structure is not a tree
  tree.unflatten({ a: 0 }, [1]);
}
