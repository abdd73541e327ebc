/** `np`: NumPy's functions on immutable arrays, with JAX's conventions. */
import "./methods.ts";

export type { DType, HostArray } from "../dtype.ts";
export { NDArray } from "../ndarray.ts";
export { arrayRepr, arrayStr } from "./print.ts";
export * from "./creation.ts";
export * from "./elementwise.ts";
export { At, type GetOptions, type Index, Slice, slice, type UpdateOptions } from "./indexing.ts";
export * from "./manipulation.ts";
export * from "./products.ts";
export { type ArrayInput, finfo, iinfo, type NestedList, type TypedArray } from "./promote.ts";
export * from "./reductions.ts";
export * from "./selection.ts";
export type { Nested } from "./methods.ts";

export const bool = "bool" as const;
export const int8 = "int8" as const;
export const uint8 = "uint8" as const;
export const int32 = "int32" as const;
export const uint32 = "uint32" as const;
export const float16 = "float16" as const;
export const bfloat16 = "bfloat16" as const;
export const float32 = "float32" as const;
export const float64 = "float64" as const;
export const pi: number = Math.PI;
export const e: number = Math.E;
export const inf: number = Number.POSITIVE_INFINITY;
export const nan: number = Number.NaN;
/** an index that inserts an axis */
export const newaxis = null;
