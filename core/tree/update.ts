/** Structural edits of immutable trees. */
import { Immer, isDraftable } from "immer";
import { fail, TreeError } from "../errors.ts";
import { describeNode } from "./node.ts";
import type { Editable } from "./types.ts";

// an instance of our own: the settings of a user's immer stay theirs
const immer = new Immer({ autoFreeze: true });

/** From `cotangent/tree`. The tree after `recipe` has edited a draft of it, by immer: what was not touched is shared, the tree given
 *  stays as it was, the result is frozen. Arrays and other class instances are leaves: they are
 *  replaced, never drafted and never frozen.
 *  @throws TreeError when `t` is not a plain object or array, or the recipe is asynchronous
 *  @example tree.update({ w: 1, b: 2 }, (draft) => { draft.b = 0; })  // => { w: 1, b: 0 } */
export function update<T>(
  t: T,
  // biome-ignore lint/suspicious/noConfusingVoidType: a recipe without a return statement has type void
  recipe: (draft: Editable<T>) => T | undefined | void,
): T {
  if (!isDraftable(t))
    fail(
      TreeError,
      "tree.update",
      "the tree must be a plain object or an array",
      describeNode(t),
      "put the value into an object, or build a new one",
    );
  const out: unknown = immer.produce(t as object, (draft) => {
    const result: unknown = recipe(draft as Editable<T>);
    if (result instanceof Promise)
      fail(
        TreeError,
        "tree.update",
        "the recipe must be synchronous",
        "a Promise",
        "await first, then update",
      );
    return result as object | undefined;
  });
  return out as T;
}
