/** Parameters as safetensors files: an 8-byte little-endian length, a JSON header, the packed bytes.
 *  @source Hugging Face, "Safetensors format" */
import * as E from "fp-ts/lib/Either.js";
import { bytesSync, fromBytes } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import { type DType, dtypes } from "../core/dtype.ts";
import { CotangentError, fail, TreeError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import { type Shape, shapesEqual, showShape, sizeOf } from "../core/shape.ts";
import * as tree from "../core/tree.ts";

/** One array of a file. */
export interface TensorBytes {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly bytes: Uint8Array;
}
export type Tensors = ReadonlyMap<string, TensorBytes>;

const codes: { readonly [D in DType]: string } = {
  bool: "BOOL",
  int8: "I8",
  uint8: "U8",
  int32: "I32",
  uint32: "U32",
  float16: "F16",
  bfloat16: "BF16",
  float32: "F32",
  float64: "F64",
};
const byCode = new Map(Object.entries(codes).map(([d, code]) => [code, d as DType]));
const maxHeader = 100_000_000;

/** The bytes of a file. Arrays stand in order of name, the wider dtypes first, so that each is aligned. */
export function encodeSafetensors(tensors: Tensors): Uint8Array<ArrayBuffer> {
  const order = [...tensors].sort(
    ([a, x], [b, y]) => dtypes[y.dtype].bytes - dtypes[x.dtype].bytes || (a < b ? -1 : 1),
  );
  // without a prototype `__proto__` is a name like any other
  const header = Object.create(null) as { [name: string]: unknown };
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of order) {
    if (name === "__metadata__")
      fail(
        TreeError,
        "saveParams",
        "no array can be named __metadata__, which the format keeps for itself",
        `${Aval.of(shape, dtype)} of that name`,
        "rename the parameter",
      );
    header[name] = { dtype: codes[dtype], shape, data_offsets: [at, at + bytes.byteLength] };
    at += bytes.byteLength;
  }
  const text = JSON.stringify(header);
  // spaces make the data start at a multiple of 8
  const json = new TextEncoder().encode(
    text + " ".repeat((8 - (new TextEncoder().encode(text).length % 8)) % 8),
  );
  const out = new Uint8Array(8 + json.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  let position = 8 + json.length;
  for (const [, { bytes }] of order) {
    out.set(bytes, position);
    position += bytes.byteLength;
  }
  return out;
}

const bad = (
  requirement: string,
  got: string,
  remedy = "check that the file is complete",
): E.Either<string, never> => E.left(`safetensors: ${requirement}; got ${got}; ${remedy}.`);

/** The arrays of a file, or what is wrong with it. */
export function decodeSafetensors(file: Uint8Array): E.Either<string, Tensors> {
  if (file.byteLength < 8)
    return bad("a file starts with an 8-byte length", `${file.byteLength} bytes`);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(maxHeader) || Number(length) > file.byteLength - 8)
    return bad(
      "the header must fit into the file",
      `a header of ${length} bytes in ${file.byteLength}`,
    );
  const body = 8 + Number(length);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, body)));
  } catch {
    return bad("the header must be JSON", "something else");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    return bad("the header must be a JSON object", JSON.stringify(header).slice(0, 40));
  const size = file.byteLength - body;
  const tensors = new Map<string, TensorBytes>();
  const spans: [number, number, string][] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const {
      dtype: code,
      shape,
      data_offsets: span,
    } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
    const dtype = typeof code === "string" ? byCode.get(code) : undefined;
    if (dtype === undefined)
      return bad(
        `the dtype must be one of ${[...byCode.keys()].join(", ")}`,
        `${JSON.stringify(code)} at ${name}`,
        "convert the file",
      );
    const whole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
    if (!Array.isArray(shape) || !shape.every(whole))
      return bad("a shape must be a list of sizes", `${JSON.stringify(shape)} at ${name}`);
    if (!Array.isArray(span) || span.length !== 2 || !span.every(whole))
      return bad("data_offsets must be two positions", `${JSON.stringify(span)} at ${name}`);
    const [from, to] = span as [number, number];
    if (to < from || to > size)
      return bad("data must lie in the file", `bytes ${from} to ${to} of ${size} at ${name}`);
    const want = sizeOf(shape) * dtypes[dtype].bytes;
    if (to - from !== want)
      return bad(`${code}${showShape(shape)} takes ${want} bytes`, `${to - from} at ${name}`);
    spans.push([from, to, name]);
    tensors.set(name, { dtype, shape, bytes: file.subarray(body + from, body + to) });
  }
  // an array of no elements comes before the one that starts where it stands
  spans.sort(([a, c], [b, d]) => a - b || c - d);
  let end = 0;
  for (const [from, to, name] of spans) {
    if (from < end) return bad("arrays must not overlap", `byte ${from} at ${name}, after ${end}`);
    if (from > end)
      return bad("arrays must leave no gap", `bytes ${end} to ${from} before ${name}`);
    end = to;
  }
  if (end !== size) return bad("the file must end with its last array", `${size - end} more bytes`);
  return E.right(tensors);
}

/** The bytes of a safetensors file with one array for each leaf, named by its path (`layers[0].w`).
 *  @example loadParams([0], saveParams([np.array(3)]))[0].item()  // => 3 */
export function saveParams(params: unknown): Uint8Array<ArrayBuffer> {
  const leaves = tree.leavesWithPath(params) as [string, NDArray][];
  return encodeSafetensors(
    new Map(
      leaves.map(([path, x]) => [
        path,
        { dtype: x.dtype, shape: x.shape, bytes: bytesSync(x, "saveParams") },
      ]),
    ),
  );
}

/** The parameters of a safetensors file, in the structure of `like`. Arrays of `like` give the shapes and dtypes
 *  that are expected; other leaves take what the file has.
 *  @throws CotangentError for a malformed file; TreeError where names, shapes or dtypes do not fit */
export function loadParams<P>(like: P, file: Uint8Array): P {
  const decoded = decodeSafetensors(file);
  if (E.isLeft(decoded)) throw new CotangentError(decoded.left);
  const tensors = decoded.right;
  const paths = tree.leavesWithPath(like) as [string, unknown][];
  const missing = paths.find(([path]) => !tensors.has(path));
  if (missing !== undefined || tensors.size !== paths.length)
    fail(
      TreeError,
      "loadParams",
      "the file must have one array for each parameter",
      missing === undefined
        ? `${tensors.size} arrays for ${paths.length} parameters`
        : `none at ${missing[0]} among ${[...tensors.keys()].slice(0, 5).join(", ")}`,
      "load it into the structure that was saved",
    );
  const leaves = paths.map(([path, x]) => {
    const { dtype, shape, bytes } = tensors.get(path) as TensorBytes;
    const want = (x as { aval?: Aval } | null)?.aval;
    if (want !== undefined && (want.dtype !== dtype || !shapesEqual(want.shape, shape)))
      fail(
        TreeError,
        "loadParams",
        "arrays must have the type of the parameter that they replace",
        `${Aval.of(shape, dtype)} against ${want.strong} at ${path}`,
        "load it into the structure that was saved",
      );
    return fromBytes(bytes, Aval.of(shape, dtype));
  });
  return tree.unflatten(tree.structure(like), leaves) as P;
}
