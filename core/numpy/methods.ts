/** The methods of arrays: functions of `np` with the array as first argument. */
import { data, dataSync, DeviceArray } from "../array.ts";
import { checkDType, type DType, type HostArray } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import { NDArray } from "../ndarray.ts";
import { convert } from "../ops/linear.ts";
import { range, stridesOf } from "../shape.ts";
import * as e from "./elementwise.ts";
import { At, getIndex, type Index } from "./indexing.ts";
import * as m from "./manipulation.ts";
import { arrayRepr, arrayStr } from "./print.ts";
import * as p from "./products.ts";
import type { ArrayInput } from "./promote.ts";
import * as r from "./reductions.ts";
import * as s from "./selection.ts";

/** Nested lists of numbers or booleans. */
export type Nested = number | boolean | Nested[];

declare module "../ndarray.ts" {
  interface NDArray {
    // arithmetic
    add(y: ArrayInput): NDArray;
    sub(y: ArrayInput): NDArray;
    subtract(y: ArrayInput): NDArray;
    mul(y: ArrayInput): NDArray;
    multiply(y: ArrayInput): NDArray;
    div(y: ArrayInput): NDArray;
    divide(y: ArrayInput): NDArray;
    floorDivide(y: ArrayInput): NDArray;
    mod(y: ArrayInput): NDArray;
    pow(y: ArrayInput): NDArray;
    neg(): NDArray;
    abs(): NDArray;
    square(): NDArray;
    sqrt(): NDArray;
    exp(): NDArray;
    log(): NDArray;
    sin(): NDArray;
    cos(): NDArray;
    tanh(): NDArray;
    round(decimals?: number): NDArray;
    clip(min?: ArrayInput | null, max?: ArrayInput | null): NDArray;
    // comparison
    equal(y: ArrayInput): NDArray;
    notEqual(y: ArrayInput): NDArray;
    less(y: ArrayInput): NDArray;
    lessEqual(y: ArrayInput): NDArray;
    greater(y: ArrayInput): NDArray;
    greaterEqual(y: ArrayInput): NDArray;
    // reductions
    sum(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    prod(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    mean(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    var(axis?: r.AxisArg, options?: r.VarOptions): NDArray;
    std(axis?: r.AxisArg, options?: r.VarOptions): NDArray;
    max(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    min(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    all(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    any(axis?: r.AxisArg, options?: r.ReduceOptions): NDArray;
    argmax(axis?: number, options?: { readonly keepdims?: boolean }): NDArray;
    argmin(axis?: number, options?: { readonly keepdims?: boolean }): NDArray;
    cumsum(axis?: number): NDArray;
    cumprod(axis?: number): NDArray;
    sort(axis?: number): NDArray;
    argsort(axis?: number): NDArray;
    // shape
    reshape(...shape: [readonly number[]] | number[]): NDArray;
    ravel(): NDArray;
    flatten(): NDArray;
    transpose(...axes: [readonly number[]] | number[]): NDArray;
    /** all axes reversed */
    readonly T: NDArray;
    swapaxes(a: number, b: number): NDArray;
    squeeze(axis?: number | readonly number[]): NDArray;
    expandDims(axis: number | readonly number[]): NDArray;
    repeat(repeats: number | readonly number[], axis?: number): NDArray;
    // products
    matmul(y: ArrayInput): NDArray;
    dot(y: ArrayInput): NDArray;
    // elements
    /** elements at an index: numbers, `slice(a, b, step)`, null, "...", integer arrays, masks */
    get(...index: Index[]): NDArray;
    /** a place for functional updates: `x.at(0).set(1)` */
    at(...index: Index[]): At;
    take(indices: ArrayInput, axis?: number): NDArray;
    astype(dtype: DType): NDArray;
    /** the elements in row-major order, once they are computed */
    data(): Promise<HostArray>;
    /** the elements in row-major order, at once */
    dataSync(): HostArray;
    /** the only element, as a number or boolean */
    item(): number | boolean;
    /** nested lists */
    toArray(): Nested;
    /** resolves when the elements are computed */
    blockUntilReady(): Promise<this>;
    /** gives the memory back at once; the array must not be used afterwards */
    dispose(): void;
    [Symbol.iterator](): IterableIterator<NDArray>;
    toString(): string;
    toJSON(): Nested;
  }
}

function item(x: NDArray): number | boolean {
  if (x.size !== 1)
    fail(
      ShapeError,
      "item",
      "the array must have exactly one element",
      x.aval,
      "index it first, or use toArray",
    );
  const value = dataSync(x, "item")[0] as number;
  return x.dtype === "bool" ? value !== 0 : value;
}

function toNested(x: NDArray): Nested {
  const values = dataSync(x, "toArray");
  const strides = stridesOf(x.shape);
  const level = (axis: number, offset: number): Nested => {
    const value = values[offset] as number;
    if (axis === x.ndim) return x.dtype === "bool" ? value !== 0 : value;
    return range(x.shape[axis] as number).map((i) =>
      level(axis + 1, offset + i * (strides[axis] as number)),
    );
  };
  return level(0, 0);
}

function* slices(x: NDArray): IterableIterator<NDArray> {
  if (x.ndim === 0)
    fail(ShapeError, "iterate", "a scalar has no axis to iterate over", x.aval, "use item()");
  for (let i = 0; i < (x.shape[0] as number); i++) yield getIndex(x, [i]);
}

const shapeOf = (args: readonly (number | readonly number[])[]): readonly number[] =>
  (Array.isArray(args[0]) ? args[0] : args) as readonly number[];

const define = (name: PropertyKey, property: PropertyDescriptor): void => {
  Object.defineProperty(NDArray.prototype, name, { configurable: true, ...property });
};
define("T", {
  get(this: NDArray) {
    return m.transpose(this);
  },
});
/** name → function of (array, …arguments) */
const methods: { readonly [name: PropertyKey]: (x: NDArray, ...args: never[]) => unknown } = {
  add: e.add,
  sub: e.subtract,
  subtract: e.subtract,
  mul: e.multiply,
  multiply: e.multiply,
  div: e.divide,
  divide: e.divide,
  floorDivide: e.floorDivide,
  mod: e.mod,
  pow: e.power,
  neg: e.negative,
  abs: e.abs,
  square: e.square,
  sqrt: e.sqrt,
  exp: e.exp,
  log: e.log,
  sin: e.sin,
  cos: e.cos,
  tanh: e.tanh,
  round: e.round,
  clip: e.clip,
  equal: e.equal,
  notEqual: e.notEqual,
  less: e.less,
  lessEqual: e.lessEqual,
  greater: e.greater,
  greaterEqual: e.greaterEqual,
  sum: r.sum,
  prod: r.prod,
  mean: r.mean,
  var: r.var,
  std: r.std,
  max: r.max,
  min: r.min,
  all: r.all,
  any: r.any,
  argmax: r.argmax,
  argmin: r.argmin,
  cumsum: r.cumsum,
  cumprod: r.cumprod,
  sort: s.sort,
  argsort: s.argsort,
  reshape: (x, ...shape: (number | readonly number[])[]) => m.reshape(x, shapeOf(shape)),
  ravel: m.ravel,
  flatten: m.ravel,
  transpose: (x, ...axes: (number | readonly number[])[]) =>
    m.transpose(x, axes.length === 0 ? undefined : shapeOf(axes)),
  swapaxes: m.swapaxes,
  squeeze: m.squeeze,
  expandDims: m.expandDims,
  repeat: m.repeat,
  matmul: p.matmul,
  dot: p.dot,
  get: (x, ...index: Index[]) => getIndex(x, index),
  at: (x, ...index: Index[]) => new At(x, index),
  take: s.take,
  astype: (x, dtype: DType) => convert(x, checkDType("astype", dtype)),
  data,
  dataSync: (x) => dataSync(x),
  item,
  toArray: toNested,
  toJSON: toNested,
  blockUntilReady: async (x) => {
    if (x instanceof DeviceArray) {
      const { storage } = x;
      await storage.backend.ready(storage);
    }
    return x;
  },
  // a DeviceArray has its own; tracers and literals hold no memory
  dispose: () => {},
  toString: arrayStr,
  [Symbol.iterator]: slices,
  // console.log and util.inspect of Node, and console.log of Deno
  [Symbol.for("nodejs.util.inspect.custom")]: arrayRepr,
  [Symbol.for("Deno.customInspect")]: arrayRepr,
  // `using x = …` where the engine has it
  ...(Symbol.dispose && { [Symbol.dispose]: (x: NDArray) => x.dispose() }),
};

for (const name of Reflect.ownKeys(methods)) {
  const f = methods[name] as (typeof methods)[string];
  define(name, {
    writable: true,
    value(this: NDArray, ...args: never[]) {
      return f(this, ...args);
    },
  });
}
