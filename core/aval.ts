/** Abstract values: what a traced array is known to be. */
import { allDTypes, type DType, dtypes } from "./dtype.ts";
import { mix } from "./hash.ts";
import { type Shape, shapesEqual, showShape, sizeOf } from "./shape.ts";

/** The avals of each dtype, by hash. */
const known = Object.fromEntries(allDTypes.map((d) => [d, new Map()])) as {
  readonly [D in DType]: Map<number, Aval>;
};
let count = 0;

/** Shape, dtype and weak-type bit. Interned: equal avals are the same object, so `id` is a cache key. */
export class Aval {
  readonly id: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly weakType: boolean;
  /** number of elements */
  readonly size: number;
  /** the type without the weak bit: what two values must share to be interchangeable */
  readonly strong: Aval;
  /** another one with the same hash */
  readonly #next: Aval | undefined;

  private constructor(
    id: number,
    shape: Shape,
    dtype: DType,
    strong: Aval | null,
    next: Aval | undefined,
  ) {
    this.id = id;
    this.shape = Object.freeze([...shape]);
    this.dtype = dtype;
    this.weakType = strong !== null;
    this.size = sizeOf(shape);
    this.strong = strong ?? this;
    this.#next = next;
  }

  static of(shape: Shape, dtype: DType, weakType = false): Aval {
    let hash = weakType ? 1 : 0;
    for (const size of shape) hash = mix(hash, size);
    const byHash = known[dtype];
    for (let a = byHash.get(hash); a !== undefined; a = a.#next)
      if (a.weakType === weakType && shapesEqual(a.shape, shape)) return a;
    const strong = weakType ? Aval.of(shape, dtype) : null;
    const aval = new Aval(count++, shape, dtype, strong, byHash.get(hash));
    byHash.set(hash, aval);
    return aval;
  }

  get rank(): number {
    return this.shape.length;
  }
  /** bytes of the packed elements */
  get bytes(): number {
    return this.size * dtypes[this.dtype].bytes;
  }
  with(change: { shape?: Shape; dtype?: DType; weakType?: boolean }): Aval {
    return Aval.of(
      change.shape ?? this.shape,
      change.dtype ?? this.dtype,
      change.weakType ?? this.weakType,
    );
  }
  /** `f32[2,3]`, as printed in jaxprs. */
  toString(): string {
    return `${dtypes[this.dtype].short}${showShape(this.shape)}`;
  }
}
