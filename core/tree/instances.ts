/** fp-ts instances of homogeneous trees. They see `A` as a leaf: it must not itself be a container. */
import type { Applicative } from "fp-ts/lib/Applicative.js";
import type { Foldable1 } from "fp-ts/lib/Foldable.js";
import type { Functor1 } from "fp-ts/lib/Functor.js";
import type { HKT } from "fp-ts/HKT.js";
import type { Monoid } from "fp-ts/lib/Monoid.js";
import type { Traversable1 } from "fp-ts/lib/Traversable.js";
import { flatten, leaves, unflatten } from "./flatten.ts";
import type { Tree } from "./types.ts";

export const URI = "Tree";
export type URI = typeof URI;

declare module "fp-ts/HKT.js" {
  interface URItoKind<A> {
    readonly [URI]: Tree<A>;
  }
}

const elements = <A>(t: Tree<A>): A[] => leaves(t) as unknown as A[];

const mapTree = <A, B>(t: Tree<A>, f: (a: A) => B): Tree<B> => {
  const [list, def] = flatten<unknown>(t);
  return unflatten(def, (list as A[]).map(f)) as Tree<B>;
};

/** Visits the leaves in order, combining effects in `F`: ⟨b₁ … bₙ⟩ = f a₁ ⊗ … ⊗ f aₙ, put back into place. */
function traverseTree<F>(
  F: Applicative<F>,
): <A, B>(t: Tree<A>, f: (a: A) => HKT<F, B>) => HKT<F, Tree<B>> {
  return <A, B>(t: Tree<A>, f: (a: A) => HKT<F, B>) => {
    const [list, def] = flatten<unknown>(t);
    // a linked list: effects such as those of arrays branch, so results must not share a mutable list
    type Cons = { readonly head: B; readonly tail: Cons } | null;
    const start: HKT<F, Cons> = F.of<Cons>(null);
    const gathered = (list as A[]).reduce<HKT<F, Cons>>(
      (sofar, a) =>
        F.ap(
          F.map(
            sofar,
            (tail) =>
              (head: B): Cons => ({ head, tail }),
          ),
          f(a),
        ),
      start,
    );
    return F.map(gathered, (cons) => {
      const out: B[] = [];
      for (let c = cons; c !== null; c = c.tail) out.push(c.head);
      return unflatten(def, out.reverse()) as Tree<B>;
    });
  };
}

export const Functor: Functor1<URI> = { URI, map: mapTree };

/** Folds over the leaves in order. */
export const Foldable: Foldable1<URI> = {
  URI,
  reduce: (t, b, f) => elements(t).reduce(f, b),
  foldMap:
    <M>(M: Monoid<M>) =>
    <A>(t: Tree<A>, f: (a: A) => M) =>
      elements(t).reduce((m, a) => M.concat(m, f(a)), M.empty),
  reduceRight: (t, b, f) => elements(t).reduceRight((acc, a) => f(a, acc), b),
};

/** Visits the leaves in order with effects.
 *  @example Traversable.traverse(option.Applicative)({ a: 1, b: [2] }, parse)  // Some of a tree, or None */
export const Traversable: Traversable1<URI> = {
  ...Functor,
  ...Foldable,
  traverse: traverseTree as Traversable1<URI>["traverse"],
  sequence: (<F>(F: Applicative<F>) =>
    <A>(t: Tree<HKT<F, A>>) =>
      traverseTree(F)(t, (x: HKT<F, A>) => x)) as Traversable1<URI>["sequence"],
};
