/** The array type that users see, and the scalar constant that is both a value and an IR atom. */
import { Aval } from "./aval.ts";
import { castNumber, type DType } from "./dtype.ts";
import { CotangentError } from "./errors.ts";
import type { Shape } from "./shape.ts";

/** An immutable n-dimensional array, concrete or traced. Its methods (`add`, `sum`, `reshape`, …) are
 *  the functions of `np`, attached in `core/numpy/methods.ts`. */
export abstract class NDArray {
  abstract readonly aval: Aval;

  get shape(): Shape {
    return this.aval.shape;
  }
  get dtype(): DType {
    return this.aval.dtype;
  }
  /** number of axes */
  get ndim(): number {
    return this.aval.shape.length;
  }
  /** number of elements */
  get size(): number {
    return this.aval.size;
  }
  /** true when the dtype came from a bare number and yields to any explicit one */
  get weakType(): boolean {
    return this.aval.weakType;
  }

  /** Comparisons and arithmetic written with JavaScript's operators would silently be wrong. */
  valueOf(): never {
    throw new CotangentError(
      `NDArray: JavaScript operators do not work on arrays; got ${this.aval} in an expression such as x > 0 or x + 1; use x.greater(0), x.add(1), or x.item() for a number.`,
    );
  }
}

/** A rank-0 constant known on the host. It is an operand of equations as it stands (a jaxpr literal) and
 *  takes device memory only when something insists on a buffer. */
export class Literal extends NDArray {
  readonly aval: Aval;
  /** the value, already rounded to the dtype; booleans are 0 and 1 */
  readonly value: number;
  /** what another dtype is made from: of a weak one the number as it was given */
  readonly exact: number;

  constructor(value: number | boolean, dtype: DType, weakType = false) {
    super();
    const x = Number(value);
    this.aval = Aval.of([], dtype, weakType);
    this.value = castNumber(x, dtype);
    this.exact = weakType ? x : this.value;
  }
}
