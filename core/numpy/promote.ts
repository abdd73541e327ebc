/** Operands: what users may pass, and how operands of different types meet. */
import {
  asArray,
  bytesOf,
  dataSync,
  describe,
  fromBytes,
  fromList,
  fromValues,
  typedArrayDType,
} from "../array.ts";
import { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat, isInteger, promoteTypes } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import { add } from "../ops/arithmetic.ts";
import { lt, ne } from "../ops/compare.ts";
import { broadcastInDim, convert, expandDims, reshape } from "../ops/linear.ts";
import { iota, selectN } from "../ops/structural.ts";
import {
  broadcastShapes,
  checkShape,
  normalizeAxis,
  range,
  type Shape,
  showShape,
  sizeOf,
  stridesOf,
} from "../shape.ts";

/** Lists of numbers, nested to any depth, all of one shape; they may hold arrays too. */
export type NestedList = readonly (number | boolean | NDArray | NestedList)[];
/** Typed arrays with a dtype of their own. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;
/** What every function takes as an operand. */
export type ArrayInput = NDArray | number | boolean | NestedList | TypedArray;

/** An array from numbers, lists or typed arrays; arrays pass through. `stack` joins lists that hold arrays. */
export function toArray(
  op: string,
  x: unknown,
  options: {
    dtype?: DType | undefined;
    shape?: Shape | undefined;
    stack?: (xs: NDArray[]) => NDArray;
  } = {},
): NDArray {
  const { dtype, shape } = options;
  if (x instanceof NDArray) return dtype === undefined ? x : convert(x, dtype);
  if (typeof x === "number" || typeof x === "boolean")
    return dtype === undefined ? asArray(x, op) : new Literal(x, dtype);
  const typed = typedArrayDType(x);
  if (typed !== null) {
    const values = x as TypedArray;
    const want = shape === undefined ? [values.length] : checkShape(op, shape);
    if (sizeOf(want) !== values.length)
      fail(
        ShapeError,
        op,
        "a typed array must have as many elements as the shape",
        `${values.constructor.name} of length ${values.length} for ${showShape(want)} (${sizeOf(want)} elements)`,
        "check its length",
      );
    if (dtype === undefined || dtype === typed)
      return fromBytes(bytesOf(values), Aval.of(want, typed));
    return fromValues(values, Aval.of(want, dtype));
  }
  if (Array.isArray(x)) {
    const list = fromList(op, x, dtype);
    if (list !== null) return list;
    if (options.stack === undefined)
      return fail(
        DTypeError,
        op,
        "lists of arrays are no operand",
        describe(x),
        "join them with np.stack",
      );
    return options.stack(x.map((v) => toArray(op, v, options)));
  }
  return asArray(x, op);
}

/** `x` repeated to `shape` by NumPy's rules. */
export function broadcastTo(x: NDArray, shape: Shape): NDArray {
  return broadcastInDim(x, shape, range(x.ndim, shape.length - x.ndim));
}

/** Type in which two operands meet. */
interface Meeting {
  readonly x: Aval;
  readonly y: Aval;
  readonly dtype: DType;
  readonly weakType: boolean;
  readonly rank: number;
}
/** Recent ones: the same operations meet the same types again and again. */
const meetings = new Array<Meeting | undefined>(256).fill(undefined);
function meet(op: string, x: Aval, y: Aval): Meeting {
  const slot = (x.id * 31 + y.id) & 255;
  const known = meetings[slot];
  if (known !== undefined && known.x === x && known.y === y) return known;
  const { dtype, weakType } = promoteTypes(op, [x, y]);
  const rank = broadcastShapes(op, [x.shape, y.shape], [x, y]).length;
  const meeting = { x, y, dtype, weakType, rank };
  meetings[slot] = meeting;
  return meeting;
}

// a weak operand beside a strong one takes its dtype and keeps nothing of its own
const adapt = (x: NDArray, { dtype, weakType, rank }: Meeting): NDArray => {
  const typed = x.dtype === dtype ? x : convert(x, dtype, weakType);
  return x.ndim === rank || x.ndim === 0 ? typed : expandDims(typed, range(rank - x.ndim));
};

/** Two operands in their common dtype and rank: of lower rank get leading axes of size 1, scalars stay scalars (elementwise
 *  primitives take them). Weak types survive only where both are weak. */
export function promote(op: string, x: ArrayInput, y: ArrayInput): [NDArray, NDArray] {
  const u = toArray(op, x);
  const v = toArray(op, y);
  if (u.aval === v.aval) return [u, v];
  const meeting = meet(op, u.aval, v.aval);
  return [adapt(u, meeting), adapt(v, meeting)];
}

/** The arrays in their common dtype, each with its own shape. */
export function promoteDTypes(op: string, xs: readonly NDArray[]): NDArray[] {
  const { dtype, weakType } = promoteTypes(op, xs);
  return xs.map((x) => (x.dtype === dtype ? x : convert(x, dtype, weakType)));
}

const floating = (x: NDArray): NDArray =>
  isFloat(x.dtype) ? x : convert(x, "float32", x.weakType);
/** An operand as a float: integers and booleans become float32. */
export const toFloat = (op: string, x: ArrayInput): NDArray => floating(toArray(op, x));
/** `promote`, with integers and booleans as float32. */
export function promoteFloat(op: string, x: ArrayInput, y: ArrayInput): [NDArray, NDArray] {
  const [u, v] = promote(op, x, y);
  return [floating(u), floating(v)];
}

/** True where an element is not 0. */
export const toBool = (x: NDArray): NDArray =>
  x.dtype === "bool" ? x : ne(x, new Literal(0, x.dtype, x.weakType));

/** An operand and one of its axes; flattened where no axis is given. */
export function toAxis(op: string, x: ArrayInput, axis?: number | null): [NDArray, number] {
  const v = toArray(op, x);
  const along = axis === undefined || axis === null ? reshape(v, [v.size]) : v;
  return [along, normalizeAxis(op, axis ?? 0, along.ndim)];
}

/** An operand of at least two axes. */
export function toMatrix(op: string, x: ArrayInput): NDArray {
  const v = toArray(op, x);
  if (v.ndim < 2) fail(ShapeError, op, "needs at least two axes", v.aval, "reshape to a matrix");
  return v;
}

/** Where a mask is true: an index array for each of its axes. */
export function truePositions(mask: NDArray, op: string): NDArray[] {
  const found: number[] = [];
  dataSync(mask, op).forEach((m, i) => {
    if (m) found.push(i);
  });
  const strides = stridesOf(mask.shape);
  return mask.shape.map((n, axis) =>
    toArray(
      op,
      Int32Array.from(found, (i) => Math.floor(i / (strides[axis] as number)) % n),
    ),
  );
}

/** The position of each element along one axis. */
export const positions = (shape: Shape, dimension: number): NDArray =>
  iota({ dtype: "int32", shape, dimension });
export const int = (n: number): Literal => new Literal(n, "int32");
/** Indices with those that count from the end, which are negative, counted from the start of an axis of size n. */
export const fromEnd = (i: NDArray, n: number): NDArray =>
  selectN(lt(i, int(0)), [i, add(i, int(n))]);

/** Largest finite value, smallest, and spacing at 1, of a float dtype.
 *  @example finfo("float32").eps  // => 1.1920928955078125e-7 */
export const finfo = (
  d: DType,
): { min: number; max: number; eps: number; tiny: number; bits: number } => {
  const { min, max, eps, tiny, bytes } = dtypes[d];
  if (!isFloat(d)) fail(DTypeError, "finfo", "needs a float dtype", d, "use iinfo");
  return { min, max, eps, tiny, bits: bytes * 8 };
};
/** Range of an integer dtype.
 *  @example iinfo("int8").max  // => 127 */
export const iinfo = (d: DType): { min: number; max: number; bits: number } => {
  const { min, max, bytes } = dtypes[d];
  if (!isInteger(d)) fail(DTypeError, "iinfo", "needs an integer dtype", d, "use finfo");
  return { min, max, bits: bytes * 8 };
};
