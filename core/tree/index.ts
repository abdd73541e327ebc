/** `cotangent/tree`: all of `tree`, and what of it rests on other libraries: structural edits by immer, and the instances of
 *  fp-ts. A page that needs neither loads neither.
 *
 *  ```ts
 *  import * as tree from "cotangent/tree";
 *  const next = tree.update(params, (draft) => { draft.layers.push(layer); });
 *  ``` */
export * from "../tree.ts";
export { Foldable, Functor, Traversable, URI } from "./instances.ts";
export { update } from "./update.ts";
