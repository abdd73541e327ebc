/** Cotangent: composable transformations of functions on arrays. */
import "./core/eval.ts";

export { Aval, Aval as ShapeDtypeStruct } from "./core/aval.ts";
export type { Backend } from "./core/backend/backend.ts";
export { registerBackend, setBackend, withBackend } from "./core/backend/registry.ts";
export type { DType, HostArray } from "./core/dtype.ts";
export {
  BackendError,
  CotangentError,
  DTypeError,
  RuleError,
  ShapeError,
  TraceError,
  TreeError,
} from "./core/errors.ts";
export { ClosedJaxpr, Jaxpr } from "./core/ir/jaxpr.ts";
export { showJaxpr } from "./core/ir/printer.ts";
export * as lax from "./core/lax/index.ts";
export { NDArray } from "./core/ndarray.ts";
export * as np from "./core/numpy/index.ts";
export { slice } from "./core/numpy/indexing.ts";
export { stopGradient } from "./core/ops/structural.ts";
export { definePrimitive, noRule, primitives } from "./core/primitive.ts";
export { simplifyClosed as simplify } from "./core/program/simplify.ts";
export * as random from "./core/random/index.ts";
export * as tree from "./core/tree.ts";
export type { Arrays } from "./transforms/arguments.ts";
export {
  grad,
  jvp,
  linearize,
  linearTranspose,
  valueAndGrad,
  vjp,
} from "./transforms/autodiff.ts";
export { hessian, jacfwd, jacrev } from "./transforms/jacobian.ts";
export { evalShape, type Jitted, jit, makeJaxpr } from "./transforms/jit.ts";
export { Lowered } from "./transforms/lowered.ts";
export { type KernelTime, Profile, profile } from "./transforms/profile.ts";
export { vmap } from "./transforms/vmap.ts";
