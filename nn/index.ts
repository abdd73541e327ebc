/** `cotangent/nn`: layers, initialisers, activations and losses, as functions of typed parameters. */
export * from "./activations.ts";
export * from "./dense.ts";
export * from "./init.ts";
export * as initializers from "./initializers.ts";
export type { Initializer } from "./initializers.ts";
export * from "./losses.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  loadParams,
  saveParams,
  type TensorBytes,
  type Tensors,
} from "./safetensors.ts";
