/** Element types: their width, their storage, their names, and how they promote. */
import { DTypeError, fail } from "./errors.ts";

/** A dtype is its name. Room is left for 16- and 64-bit integers and complex numbers. */
export type DType =
  | "bool"
  | "int8"
  | "uint8"
  | "int32"
  | "uint32"
  | "float16"
  | "bfloat16"
  | "float32"
  | "float64";

export type DTypeKind = "bool" | "int" | "uint" | "float";

/** Typed arrays that hold packed elements. 16-bit floats are stored as their bits. */
export type PackedArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

type PackedConstructor = {
  new (length: number): PackedArray & { set(values: ArrayLike<number>): void };
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): PackedArray;
};

export interface DTypeInfo {
  readonly kind: DTypeKind;
  /** bytes of one element in memory */
  readonly bytes: number;
  /** name used in printed jaxprs: `f32`, `i32`, `bool` */
  readonly short: string;
  /** typed array over the packed bytes */
  readonly packed: PackedConstructor;
  /** smallest and largest finite value */
  readonly min: number;
  readonly max: number;
  /** distance from 1 to the next larger value (0 for integers) */
  readonly eps: number;
  /** explicit significand bits of a float (0 for integers) */
  readonly mantissa: number;
  /** smallest positive normal value (floats; 1 for integers) */
  readonly tiny: number;
}

/** An integer of `bits` bits; a bool has one. */
const integer = (
  kind: DTypeKind,
  short: string,
  packed: PackedConstructor,
  bits: number,
): DTypeInfo => {
  const min = kind === "int" ? -(2 ** (bits - 1)) : 0;
  const max = 2 ** bits - 1 + min;
  return {
    kind,
    short,
    packed,
    bytes: Math.ceil(bits / 8),
    min,
    max,
    eps: 0,
    mantissa: 0,
    tiny: 1,
  };
};
/** A float of `bits` bits, `mantissa` of them explicit bits of the significand and one the sign. */
const float = (
  short: string,
  packed: PackedConstructor,
  bits: number,
  mantissa: number,
): DTypeInfo => {
  const bias = 2 ** (bits - mantissa - 2) - 1;
  const eps = 2 ** -mantissa;
  const max = (2 - eps) * 2 ** bias;
  const tiny = 2 ** (1 - bias);
  return {
    kind: "float",
    short,
    packed,
    bytes: bits / 8,
    min: -max,
    max,
    eps,
    mantissa,
    tiny,
  };
};

export const dtypes: { readonly [D in DType]: DTypeInfo } = {
  bool: integer("bool", "bool", Uint8Array, 1),
  int8: integer("int", "i8", Int8Array, 8),
  uint8: integer("uint", "u8", Uint8Array, 8),
  int32: integer("int", "i32", Int32Array, 32),
  uint32: integer("uint", "u32", Uint32Array, 32),
  float16: float("f16", Uint16Array, 16, 10),
  bfloat16: float("bf16", Uint16Array, 16, 7),
  float32: float("f32", Float32Array, 32, 23),
  float64: float("f64", Float64Array, 64, 52),
};

export const allDTypes: readonly DType[] = Object.keys(dtypes) as DType[];

export const isFloat = (d: DType): boolean => dtypes[d].kind === "float";
export const isInteger = (d: DType): boolean =>
  dtypes[d].kind === "int" || dtypes[d].kind === "uint";

/** Checks a dtype that came from the user. */
export function checkDType(op: string, d: unknown): DType {
  if (typeof d === "string" && Object.hasOwn(dtypes, d)) return d as DType;
  return fail(
    DTypeError,
    op,
    `dtype must be one of ${allDTypes.join(", ")}`,
    typeof d === "string" ? `"${d}"` : String(d),
    "pass a dtype by its name",
  );
}

// ---- promotion ----

/** A dtype with JAX's weak-type bit: weak values adapt to the strong ones they meet. */
export interface Typed {
  readonly dtype: DType;
  readonly weakType: boolean;
}

/** Nodes of JAX's lattice. `i*` and `f*` are the weak integer and weak float. */
type Node = DType | "i*" | "f*";

/** Direct upper neighbours; the join of two nodes is their least common upper bound.
 *  int8 ∨ uint8 would be int16 and int32 ∨ uint32 would be int64: until those exist both are int32,
 *  which for the second is JAX's answer too while 64-bit types are off.
 *  @source JAX, "Type promotion semantics" */
const above: { readonly [N in Node]: readonly Node[] } = {
  bool: ["i*"],
  "i*": ["uint8", "int8"],
  uint8: ["int32", "uint32"],
  int8: ["int32"],
  uint32: ["int32"],
  int32: ["f*"],
  "f*": ["bfloat16", "float16"],
  bfloat16: ["float32"],
  float16: ["float32"],
  float32: ["float64"],
  float64: [],
};

const nodes = Object.keys(above) as Node[];
const reaches = (from: Node, to: Node): boolean =>
  from === to || above[from].some((n) => reaches(n, to));
/** The least common upper bound: the first one, as `above` lists every node before those that lie above it. */
const join = (a: Node, b: Node): Node =>
  a === b ? a : (nodes.find((n) => reaches(a, n) && reaches(b, n)) as Node);

const nodeOf = (t: Typed): Node =>
  !t.weakType || t.dtype === "bool" ? t.dtype : isFloat(t.dtype) ? "f*" : "i*";

/** The dtype in which values of these types meet, by JAX's lattice. */
export function promoteTypes(op: string, types: readonly Typed[]): Typed {
  if (types.length === 0) return fail(DTypeError, op, "needs an operand", "none", "pass an array");
  // where all are weak the answer is weak, in the widest weak dtype
  const weakType = types.every((t) => t.weakType);
  const dtype = types.map((t) => (weakType ? t.dtype : nodeOf(t))).reduce(join);
  if (dtype === "f*") return { dtype: "float32", weakType: true };
  if (dtype === "i*") return { dtype: "int32", weakType: true };
  return { dtype, weakType };
}

// ---- 16-bit floats ----

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** Value of IEEE binary16 bits. */
export function float16ToNumber(bits: number): number {
  // the bits of a float32 whose exponent is too small by the difference of the biases
  u32[0] = (bits & 0x7fff) << 13;
  const a = (f32[0] as number) * 2 ** 112;
  const size = a < 65536 ? a : a > 65536 ? Number.NaN : Number.POSITIVE_INFINITY;
  return bits & 0x8000 ? -size : size;
}

/** Value of bfloat16 bits (the upper half of a float32). */
export function bfloat16ToNumber(bits: number): number {
  u32[0] = bits << 16;
  return f32[0] as number;
}

/** The bits of the nearest float of 16 bits, ties to even, rounded once from the double. */
const encoder16 = (mantissa: number, bias: number): ((x: number) => number) => {
  const one = 1 << mantissa;
  return (x) => {
    if (Number.isNaN(x)) return (4 * bias + 3) << (mantissa - 1);
    const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
    // infinity has the bits that follow those of the largest float
    const a = Math.min(Math.abs(x), 2 ** (bias + 1));
    // what rounds up to a power of two in float32 does so here too; subnormals have the exponent of the smallest normal
    f32[0] = a;
    const exponent = Math.max(((u32[0] as number) >>> 23) - 127, 1 - bias);
    // one … 2·one of a normal; beside 2⁵² there is no room for a fraction
    const scaled = a * 2 ** (mantissa - exponent) + 2 ** 52 - 2 ** 52;
    return sign | (((exponent + bias) << mantissa) + (scaled - one));
  };
};
/** Nearest IEEE binary16 bits. */
export const numberToFloat16: (x: number) => number = encoder16(10, 15);
/** Nearest bfloat16 bits. */
export const numberToBfloat16: (x: number) => number = encoder16(7, 127);

/** How the 16-bit floats are stored. */
const bits16: {
  readonly [D in DType]?: {
    readonly encode: (x: number) => number;
    readonly decode: (bits: number) => number;
  };
} = {
  float16: { encode: numberToFloat16, decode: float16ToNumber },
  bfloat16: { encode: numberToBfloat16, decode: bfloat16ToNumber },
};

/** The value that `x` has once stored in dtype `d`: rounded for floats, truncated and saturated for
 *  integers (NaN to 0, as XLA converts floats), `x ≠ 0` for bool. */
export function castNumber(x: number, d: DType): number {
  switch (d) {
    case "bool":
      return x !== 0 ? 1 : 0;
    case "float64":
      return x;
    case "float32":
      return Math.fround(x);
    default: {
      const half = bits16[d];
      if (half !== undefined) return half.decode(half.encode(x));
      const { min, max } = dtypes[d];
      // NaN and −0 are 0
      return Math.min(max, Math.max(min, Math.trunc(x))) || 0;
    }
  }
}

/** Integer wrapped modulo 2^bits into `d`, as integer arithmetic and integer-to-integer casts do. */
export function wrapInteger(x: number, d: DType): number {
  switch (d) {
    case "int8":
      return (x << 24) >> 24;
    case "uint8":
      return x & 255;
    case "uint32":
      return x >>> 0;
    case "int32":
      return x | 0;
    default:
      return x;
  }
}

/** Packs numbers into storage of dtype `d` (each converted by `castNumber`). */
export function pack(values: ArrayLike<number>, d: DType): PackedArray {
  const out = new dtypes[d].packed(values.length);
  if (d === "float32" || d === "float64") out.set(values);
  else {
    const encode = bits16[d]?.encode ?? ((x: number) => castNumber(x, d));
    for (let i = 0; i < out.length; i++) out[i] = encode(values[i] as number);
  }
  return out;
}

/** Typed array in which a host reads values of dtype `d`. */
export type HostArray =
  | Uint8Array
  | Int8Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** Reads packed storage as values: 16-bit floats widen to a Float32Array, the others are as stored. */
export function unpack(bytes: Uint8Array, d: DType): HostArray {
  const { packed, bytes: width } = dtypes[d];
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const raw = new packed(aligned.buffer, aligned.byteOffset, aligned.byteLength / width);
  const decode = bits16[d]?.decode;
  if (decode === undefined) return raw as HostArray;
  const out = new Float32Array(raw.length);
  for (let i = 0; i < out.length; i++) out[i] = decode(raw[i] as number);
  return out;
}
