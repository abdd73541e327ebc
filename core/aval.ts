/** Abstract values: what a traced array is known to be. */
import { type DType, dtypes } from "./dtype.ts";
import { type Shape, sizeOf } from "./shape.ts";

/** Shape, dtype and weak-type bit. Interned: equal avals are the same object, so `id` is a cache key. */
export class Aval {
  readonly id: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly weakType: boolean;
  /** number of elements */
  readonly size: number;

  private constructor(id: number, shape: Shape, dtype: DType, weakType: boolean) {
    this.id = id;
    this.shape = Object.freeze([...shape]);
    this.dtype = dtype;
    this.weakType = weakType;
    this.size = sizeOf(shape);
  }

  static readonly #interned = new Map<string, Aval>();

  static of(shape: Shape, dtype: DType, weakType = false): Aval {
    const key = `${weakType ? "~" : ""}${dtype}${shape.join(",")}`;
    let aval = Aval.#interned.get(key);
    if (aval === undefined) {
      aval = new Aval(Aval.#interned.size, shape, dtype, weakType);
      Aval.#interned.set(key, aval);
    }
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
  /** The type without the weak bit: what two values must share to be interchangeable. */
  get strong(): Aval {
    return this.weakType ? Aval.of(this.shape, this.dtype) : this;
  }
  /** `f32[2,3]`, as printed in jaxprs. */
  toString(): string {
    return `${dtypes[this.dtype].short}[${this.shape.join(",")}]`;
  }
}
