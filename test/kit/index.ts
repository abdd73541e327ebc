/** `cotangent/test`: what the library checks itself with, for models of your own.
 *
 *  ```ts
 *  fc.assert(gradientsAgree((x) => loss(params, x), arb.float32Array({ shape: [4, 3] })));
 *  ``` */
import "../../core/eval.ts";

export { checkJaxpr } from "../../core/ir/checker.ts";
export * as arb from "./arbitrary.ts";
export type { ArrayOptions, ProgramOptions, PytreeOptions, ShapeOptions } from "./arbitrary.ts";
export { type CheckGradsOptions, checkGrads, type Mode, type Tolerance } from "./check-grads.ts";
export { type Allowance, arrayDifference, difference, ulpAt, ulpDistance } from "./compare.ts";
export {
  gradientsAgree,
  type Lawful,
  type LawOptions,
  type LawReport,
  transformsAgree,
} from "./laws.ts";
export { Program } from "./program.ts";
