/** `cotangent/optim`: optimizers as pairs of pure functions on pytrees. */
export * from "./optimizers.ts";
export * from "./transformation.ts";
