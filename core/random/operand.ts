/** What the functions of `random` accept beside keys. */
import { asArray, fromList } from "../array.ts";
import { checkDType, type DType, isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import { broadcastInDim, convert } from "../ops/linear.ts";
import {
  broadcastShapes,
  checkShape,
  range,
  type Shape,
  shapesEqual,
  showShape,
} from "../shape.ts";

type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;
type Rows = readonly (number | Rows)[];
/** A parameter of a distribution: an array, a number, a nested list of numbers or a typed array. */
export type Parameter = NDArray | number | Rows | TypedArray;

/** A parameter as an array; numbers and lists come in `dtype`. */
export function parameter(op: string, x: Parameter, dtype: DType = "float32"): NDArray {
  if (x instanceof NDArray) return x;
  if (typeof x === "number") return new Literal(x, dtype);
  return (Array.isArray(x) ? fromList(op, x, dtype) : null) ?? asArray(x, op);
}
/** A parameter in a float dtype of its own (float32 when it is of integers). */
export function floatParameter(op: string, x: Parameter): NDArray {
  const v = parameter(op, x);
  return isFloat(v.dtype) ? convert(v, v.dtype) : convert(v, "float32");
}
/** `x` repeated to `shape` by NumPy's rules; scalars stay scalars. */
export function toShape(x: NDArray, shape: Shape): NDArray {
  return x.ndim === 0 || shapesEqual(x.shape, shape)
    ? x
    : broadcastInDim(x, shape, range(x.ndim, shape.length - x.ndim));
}

/** Checks a float dtype that came from the user. */
export function checkFloat(op: string, dtype: DType | undefined): DType {
  const d = checkDType(op, dtype ?? "float32");
  if (!isFloat(d))
    fail(DTypeError, op, "dtype must be a float", `"${d}"`, 'pass "float32" or leave it out');
  return d;
}

/** The shape of a draw: the given one, with which the parameters' shapes must broadcast to just this shape, or
 *  the broadcast shape of the parameters. */
export function drawShape(
  op: string,
  shape: Shape | null | undefined,
  parameters: readonly NDArray[],
): number[] {
  const own = broadcastShapes(
    op,
    parameters.map((p) => p.shape),
  );
  if (shape === null || shape === undefined) return own;
  const want = checkShape(op, shape);
  if (!shapesEqual(broadcastShapes(op, [want, own]), want))
    fail(
      ShapeError,
      op,
      "the parameters must broadcast to the shape of the draw",
      `${showShape(own)} for ${showShape(want)}`,
      "widen the shape",
    );
  return want;
}
