/** Types that follow pytrees: what the leaves of a type are, and the same type with other leaves. */
import type { NDArray } from "../ndarray.ts";

/** A tree whose leaves all have type `A` (which must not itself be a container). */
export type Tree<A> =
  | A
  | null
  | undefined
  | readonly Tree<A>[]
  | { readonly [key: string]: Tree<A> };

type Primitive = string | number | boolean | bigint | symbol;
// biome-ignore lint/suspicious/noExplicitAny: the top type of functions has parameters of any type
type AnyFunction = (...args: any[]) => unknown;
/** Objects that are leaves by their nature. */
type Opaque =
  | NDArray
  | AnyFunction
  | ArrayBufferView
  | ArrayBuffer
  | Date
  | RegExp
  | Error
  | Promise<unknown>
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>;

type IsAny<T> = 0 extends 1 & T ? true : false;

/** Structurally a class with methods and an interface of parameters differ in one thing: the methods. A type
 *  literal may hold functions as leaves; it is told apart by its implicit index signature. */
type IsInstance<T> = T extends { readonly [key: string]: unknown }
  ? false
  : true extends { [K in keyof T]-?: T[K] extends AnyFunction ? true : never }[keyof T]
    ? true
    : false;

/** `T` with every leaf replaced by `R`, through objects, arrays and tuples. Instances of classes keep their
 *  type; `null` and `undefined` stay. Values of type `Stop` are leaves too. */
export type MapLeaves<T, R, Stop = never> =
  IsAny<T> extends true
    ? T
    : unknown extends T
      ? unknown
      : [T] extends [Stop]
        ? R
        : MapEach<T, R, Stop>;

type MapEach<T, R, Stop> = T extends null | undefined
  ? T
  : T extends Primitive | Opaque | Stop
    ? R
    : T extends readonly unknown[]
      ? { [K in keyof T]: MapLeaves<T[K], R, Stop> }
      : IsInstance<T> extends true
        ? T
        : { [K in keyof T]: MapLeaves<T[K], R, Stop> };

/** The union of the leaf types of `T`. Recursive types are followed ten levels deep. */
export type Leaf<T> = LeafWithin<T, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]>;

type LeafWithin<T, Fuel extends readonly unknown[]> =
  IsAny<T> extends true ? T : unknown extends T ? unknown : LeafEach<T, Fuel>;

type LeafEach<T, Fuel extends readonly unknown[]> = T extends null | undefined
  ? never
  : T extends boolean
    ? boolean
    : T extends Primitive | Opaque
      ? T
      : Fuel extends readonly [unknown, ...infer Rest]
        ? T extends readonly unknown[]
          ? LeafWithin<T[number], Rest>
          : IsInstance<T> extends true
            ? NDArray
            : { [K in keyof T]-?: LeafWithin<T[K], Rest> }[keyof T]
        : never;

/** `T` as a recipe of `update` sees it: containers writable, leaves as they are. */
export type Editable<T> = T extends null | undefined | Primitive | Opaque
  ? T
  : T extends readonly unknown[]
    ? { -readonly [K in keyof T]: Editable<T[K]> }
    : IsInstance<T> extends true
      ? T
      : { -readonly [K in keyof T]: Editable<T[K]> };

/** `isLeaf(x)` true: take `x` as a leaf and do not look inside. Asked before anything else, at every node. */
export interface LeafOptions {
  readonly isLeaf?: (x: unknown) => boolean;
}
