/** Concrete arrays: a type and the storage that holds the elements. */
import { Aval } from "./aval.ts";
import type { Backend, Storage } from "./backend/backend.ts";
import { activeBackend } from "./backend/registry.ts";
import { type DType, dtypes, type HostArray, pack, unpack } from "./dtype.ts";
import { DTypeError, fail, failGone, ShapeError } from "./errors.ts";
import { Literal, NDArray } from "./ndarray.ts";
import { type Shape, shapesEqual, showShape } from "./shape.ts";
import { concrete } from "./trace.ts";

/** An array whose elements are somewhere. */
export class DeviceArray extends NDArray {
  readonly aval: Aval;
  #storage: Storage | null;
  /** the storage belongs to other arrays too (a reshape shares the elements of its operand) */
  #shared: boolean;

  constructor(aval: Aval, storage: Storage, shared = false) {
    super();
    this.aval = aval;
    this.#storage = storage;
    this.#shared = shared;
    storage.backend.own(storage, this);
  }

  /** The storage, on the backend that asks for it; elements move there when they are elsewhere. */
  storageOn(backend: Backend): Storage {
    const storage = this.#storage;
    if (storage === null) return failGone(this.aval);
    if (storage.backend === backend) return storage;
    const moved = backend.write(storage.backend.readSync(storage));
    backend.own(moved, this);
    this.#storage = moved;
    this.#shared = false;
    return moved;
  }
  /** The storage where it is. */
  get storage(): Storage {
    return this.storageOn(this.#storage?.backend ?? activeBackend());
  }
  /** The storage, known from now on to be shared with another array. */
  share(): void {
    this.#shared = true;
  }
  get donatable(): boolean {
    return !this.#shared;
  }
  /** Forgets the storage; whoever calls this has given it away. */
  release(): Storage | null {
    const storage = this.#storage;
    this.#storage = null;
    return storage;
  }
  get disposed(): boolean {
    return this.#storage === null;
  }
  /** Frees the memory at once instead of when the array is collected. */
  override dispose(): void {
    const storage = this.release();
    if (storage !== null && !this.#shared) storage.backend.free(storage);
  }
}

export const bytesOf = (a: ArrayBufferView): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** An array of the given values, packed into the dtype of `aval`. */
export const fromValues = (values: ArrayLike<number>, aval: Aval): NDArray =>
  fromBytes(bytesOf(pack(values, aval.dtype)), aval);

/** An array of packed bytes (copied). */
export const fromBytes = (bytes: Uint8Array, aval: Aval): DeviceArray =>
  new DeviceArray(aval, activeBackend().write(bytes));

/** Storage contents of a rank-0 constant. */
export const literalBytes = (x: Literal): Uint8Array<ArrayBuffer> =>
  new Uint8Array(pack([x.value], x.dtype).buffer as ArrayBuffer);

/** The packed bytes of an array (a copy). */
export function bytesSync(x: NDArray, op = "bytes"): Uint8Array<ArrayBuffer> {
  const c = concrete(x, op);
  if (c instanceof Literal) return literalBytes(c);
  const { storage } = c as DeviceArray;
  return storage.backend.readSync(storage);
}

/** Elements in row-major order (a copy). 16-bit floats come as a Float32Array. */
export const dataSync = (x: NDArray, op = "dataSync"): HostArray =>
  unpack(bytesSync(x, op), x.dtype);

/** Elements in row-major order, once they are computed (a copy). */
export async function data(x: NDArray): Promise<HostArray> {
  const c = concrete(x, "data");
  if (c instanceof Literal) return unpack(literalBytes(c), c.dtype);
  const { storage } = c as DeviceArray;
  return unpack(await storage.backend.read(storage), x.dtype);
}

/** Shape of a nested list whose numbers and arrays go to `values`; checks that all rows agree. */
function readList(op: string, x: unknown, values: unknown[], path = "values"): Shape {
  if (x instanceof NDArray || typeof x === "number" || typeof x === "boolean") {
    values.push(x);
    return x instanceof NDArray ? x.shape : [];
  }
  if (!Array.isArray(x))
    return fail(
      DTypeError,
      op,
      "lists must hold numbers or booleans",
      `${describe(x)} at ${path}`,
      "convert it first",
    );
  let first: Shape = [];
  x.forEach((v, i) => {
    const shape = readList(op, v, values, `${path}[${i}]`);
    if (i === 0) first = shape;
    else if (!shapesEqual(shape, first))
      fail(
        ShapeError,
        op,
        "nested lists must form a full block",
        `${showShape(first)} at ${path}[0] and ${showShape(shape)} at ${path}[${i}]`,
        "make all rows equally long",
      );
  });
  return [x.length, ...first];
}

/** An array of the numbers in a nested list, float32 or bool unless `dtype` says otherwise; null where it holds arrays too. */
export function fromList(op: string, list: readonly unknown[], dtype?: DType): NDArray | null {
  const values: unknown[] = [];
  const shape = readList(op, list, values);
  if (values.some((v) => v instanceof NDArray)) return null;
  const bool = values.length > 0 && values.every((v) => typeof v === "boolean");
  return fromValues(values.map(Number), Aval.of(shape, dtype ?? (bool ? "bool" : "float32")));
}

/** The dtype in which a typed array is taken, or null. */
export const typedArrayDType = (x: unknown): DType | null =>
  hostDTypes.find((d) => x instanceof dtypes[d].packed) ??
  (x instanceof Uint8ClampedArray ? "uint8" : null);
const hostDTypes = ["float32", "float64", "int32", "uint32", "int8", "uint8"] as const;

/** A leaf of a pytree as an array: arrays as they are, numbers weakly typed float32, booleans bool, typed
 *  arrays as vectors. */
export function asArray(x: unknown, op: string, path = ""): NDArray {
  if (x instanceof NDArray) return x;
  if (typeof x === "number") return new Literal(x, "float32", true);
  if (typeof x === "boolean") return new Literal(x, "bool");
  const dtype = typedArrayDType(x);
  if (dtype !== null) {
    const values = x as Float32Array;
    return fromBytes(bytesOf(values), Aval.of([values.length], dtype));
  }
  return fail(
    DTypeError,
    op,
    "every leaf must be an array, a number or a boolean",
    `${describe(x)}${path === "" ? "" : ` at ${path}`}`,
    typeof x === "string" || typeof x === "function"
      ? "mark the argument static, or keep it out of the tree"
      : "convert it with np.array",
  );
}
/** What a value is, for messages. */
export function describe(x: unknown): string {
  if (x === null || x === undefined) return String(x);
  if (x instanceof NDArray) return String(x.aval);
  if (typeof x === "string")
    return `the string ${JSON.stringify(x.length > 40 ? `${x.slice(0, 40)}…` : x)}`;
  if (typeof x === "function") return `the function ${x.name || "(anonymous)"}`;
  if (typeof x === "object") {
    const name = (x as object).constructor?.name ?? "Object";
    return name === "Promise"
      ? "a Promise"
      : Array.isArray(x)
        ? `a list of ${x.length}`
        : `an object of class ${name}`;
  }
  return `the ${typeof x} ${String(x)}`;
}
