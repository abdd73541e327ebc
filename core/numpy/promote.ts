/** Operands: what users may pass, and how operands of different types meet. */
import { asArray, describe, fromBytes, fromValues, typedArrayDType } from "../array.ts";
import { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat, promoteTypes } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import { ne } from "../ops/compare.ts";
import { broadcastInDim, convert } from "../ops/linear.ts";
import { checkShape, range, type Shape, showShape, sizeOf } from "../shape.ts";

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

const isNested = (x: unknown): x is NestedList => Array.isArray(x);

/** Shape of a nested list, by its first elements; checks that the others agree. */
function listShape(op: string, list: NestedList): number[] {
  const shapeOf = (x: unknown, path: string): number[] => {
    if (x instanceof NDArray) return [...x.shape];
    if (!isNested(x)) {
      if (typeof x === "number" || typeof x === "boolean") return [];
      return fail(
        DTypeError,
        op,
        "lists must hold numbers or booleans",
        `${describe(x)} at ${path}`,
        "convert it first",
      );
    }
    let shape: number[] | null = null;
    x.forEach((v, i) => {
      const s = shapeOf(v, `${path}[${i}]`);
      if (shape !== null && showShape(s) !== showShape(shape))
        fail(
          ShapeError,
          op,
          "nested lists must form a full block",
          `${showShape(shape)} at ${path}[0] and ${showShape(s)} at ${path}[${i}]`,
          "make all rows equally long",
        );
      shape = s;
    });
    return [x.length, ...(shape ?? [])];
  };
  return shapeOf(list, "values");
}

function holdsArray(list: NestedList): boolean {
  return list.some((x) => x instanceof NDArray || (isNested(x) && holdsArray(x)));
}

function flattenList(list: NestedList, into: number[]): { bool: boolean } {
  let bool = true;
  for (const x of list)
    if (isNested(x)) bool = flattenList(x, into).bool && bool;
    else {
      into.push(Number(x));
      bool = bool && typeof x === "boolean";
    }
  return { bool };
}

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
      return fromBytes(
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
        Aval.of(want, typed),
      );
    return fromValues(values, Aval.of(want, dtype));
  }
  if (isNested(x)) {
    if (holdsArray(x)) {
      if (options.stack === undefined)
        return fail(
          DTypeError,
          op,
          "lists of arrays are no operand",
          describe(x),
          "join them with np.stack",
        );
      listShape(op, x);
      const parts = x.map((v) => toArray(op, v, options));
      return options.stack(parts);
    }
    const values: number[] = [];
    const own = listShape(op, x);
    const { bool } = flattenList(x, values);
    const d = dtype ?? (bool && values.length > 0 ? "bool" : "float32");
    return fromValues(values, Aval.of(own, d));
  }
  return asArray(x, op);
}

/** `x` with the rank of the widest operand: axes of size 1 are put in front. */
export function promoteRank(x: NDArray, rank: number): NDArray {
  if (x.ndim === rank || x.ndim === 0) return x;
  const missing = rank - x.ndim;
  return broadcastInDim(
    x,
    [...new Array<number>(missing).fill(1), ...x.shape],
    range(x.ndim, missing),
  );
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
  checkBroadcast(op, [x, y]);
  const meeting = { x, y, dtype, weakType, rank: Math.max(x.rank, y.rank) };
  meetings[slot] = meeting;
  return meeting;
}

// a weak operand beside a strong one takes its dtype and keeps nothing of its own
const adapt = (x: NDArray, dtype: DType, weakType: boolean, rank: number): NDArray =>
  promoteRank(x.dtype === dtype ? x : convert(x, dtype, weakType), rank);

/** Operands in their common dtype (JAX's lattice), their ranks made equal; scalars stay scalars. */
export function promote(op: string, ...inputs: readonly ArrayInput[]): NDArray[] {
  if (inputs.length === 1) return [toArray(op, inputs[0])];
  if (inputs.length === 2) {
    const x = toArray(op, inputs[0]);
    const y = toArray(op, inputs[1]);
    if (x.aval === y.aval) return [x, y];
    const { dtype, weakType, rank } = meet(op, x.aval, y.aval);
    return [adapt(x, dtype, weakType, rank), adapt(y, dtype, weakType, rank)];
  }
  const xs = inputs.map((x) => toArray(op, x));
  const avals = xs.map((x) => x.aval);
  const { dtype, weakType } = promoteTypes(op, avals);
  checkBroadcast(op, avals);
  const rank = Math.max(...xs.map((x) => x.ndim));
  return xs.map((x) => adapt(x, dtype, weakType, rank));
}

/** Arrays in their common dtype, shapes as they are. */
export function promoteDTypes(op: string, xs: readonly NDArray[]): NDArray[] {
  const { dtype, weakType } = promoteTypes(
    op,
    xs.map((x) => x.aval),
  );
  return xs.map((x) => (x.dtype === dtype ? x : convert(x, dtype, weakType)));
}

/** `promote`, then to a float dtype: integers and bools become float32. */
export function promoteFloat(op: string, ...inputs: readonly ArrayInput[]): NDArray[] {
  const xs = promote(op, ...inputs);
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i] as NDArray;
    if (!isFloat(x.dtype)) xs[i] = convert(x, "float32", x.weakType);
  }
  return xs;
}

/** x ≠ 0 */
export const toBool = (x: NDArray): NDArray =>
  x.dtype === "bool" ? x : ne(x, new Literal(0, x.dtype, x.weakType));

function checkBroadcast(op: string, xs: readonly Aval[]): void {
  const rank = Math.max(...xs.map((x) => x.rank));
  for (let k = 1; k <= rank; k++) {
    let size = 1;
    for (const x of xs) {
      const s = x.shape[x.rank - k] ?? 1;
      if (s === 1 || s === size) continue;
      if (size !== 1)
        fail(
          ShapeError,
          op,
          "shapes must broadcast: sizes aligned at the last axis must be equal or 1",
          xs.join(" and "),
          `make axis ${-k} agree (${size} against ${s}) or insert an axis of size 1`,
        );
      size = s;
    }
  }
}

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
  const { min, max, bytes, kind } = dtypes[d];
  if (kind !== "int" && kind !== "uint")
    fail(DTypeError, "iinfo", "needs an integer dtype", d, "use finfo");
  return { min, max, bits: bytes * 8 };
};
