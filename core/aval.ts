/** Abstract values: what a traced array is known to be. */
import { allDTypes, type DType, dtypes } from "./dtype.ts";
import { mix } from "./hash.ts";
import { type Shape, shapesEqual, sizeOf } from "./shape.ts";

/** The avals of a dtype. */
class Kind {
  scalar: Aval | null = null;
  weakScalar: Aval | null = null;
  readonly byHash = new Map<number, Aval>();
}
const kinds = Object.fromEntries(allDTypes.map((d) => [d, new Kind()])) as {
  readonly [D in DType]: Kind;
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
  #next: Aval | undefined;

  private constructor(id: number, shape: Shape, dtype: DType, strong: Aval | null) {
    this.id = id;
    this.shape = Object.freeze([...shape]);
    this.dtype = dtype;
    this.weakType = strong !== null;
    this.size = sizeOf(shape);
    this.strong = strong ?? this;
  }

  static of(shape: Shape, dtype: DType, weakType = false): Aval {
    const kind = kinds[dtype];
    if (shape.length === 0) {
      const scalar = weakType ? kind.weakScalar : kind.scalar;
      if (scalar !== null) return scalar;
    }
    let hash = weakType ? 1 : 0;
    for (const size of shape) hash = mix(hash, size);
    for (let a = kind.byHash.get(hash); a !== undefined; a = a.#next)
      if (a.weakType === weakType && shapesEqual(a.shape, shape)) return a;
    const strong = weakType ? Aval.of(shape, dtype) : null;
    const aval = new Aval(count++, shape, dtype, strong);
    aval.#next = kind.byHash.get(hash);
    kind.byHash.set(hash, aval);
    if (shape.length === 0) kind[weakType ? "weakScalar" : "scalar"] = aval;
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
    return `${dtypes[this.dtype].short}[${this.shape.join(",")}]`;
  }
}
