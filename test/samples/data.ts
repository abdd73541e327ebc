/** Values of sample arguments: the given ones, or seeded by the sample's own name. */
import { createHash } from "node:crypto";
import { fromValues } from "../../core/array.ts";
import { Aval } from "../../core/aval.ts";
import { castNumber, dtypes, isFloat } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { sizeOf } from "../../core/shape.ts";
import { Random } from "../conformance/values.ts";
import type { Arg, Sample } from "./sample.ts";

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

export const titleOf = (s: Sample): string => `${s.primitive}: ${s.name}`;

const defaultRange = (a: Arg): readonly [number, number] => {
  if (a.range !== undefined) return a.range;
  const { kind } = dtypes[a.dtype];
  return kind === "float" ? [-2, 2] : kind === "int" ? [-5, 5] : kind === "uint" ? [0, 9] : [0, 1];
};

/** Row-major values, rounded to the dtype. The same name gives the same values. */
export function valuesOf(sample: Sample, index: number): number[] {
  const a = sample.args[index] as Arg;
  const size = sizeOf(a.shape);
  if (a.values !== undefined) {
    if (a.values.length !== size)
      throw new Error(
        `${titleOf(sample)}: argument ${index} needs ${size} values, has ${a.values.length}`,
      );
    return a.values.map((v) => castNumber(v, a.dtype));
  }
  const random = new Random(hash(`${titleOf(sample)}/${index}`));
  const [low, high] = defaultRange(a);
  return Array.from({ length: size }, () =>
    isFloat(a.dtype)
      ? castNumber(low + (random.bits() / 2 ** 32) * (high - low), a.dtype)
      : random.int(low, high + 1),
  );
}

export const avalsOf = (sample: Sample): Aval[] =>
  sample.args.map((a) => Aval.of(a.shape, a.dtype));

/** The arguments as arrays on the active backend. */
export const argumentsOf = (sample: Sample): NDArray[] =>
  avalsOf(sample).map((aval, i) => fromValues(valuesOf(sample, i), aval));

/** Positions of the arguments to differentiate. */
export const differentiated = (sample: Sample): readonly number[] =>
  sample.grad ?? sample.args.flatMap((a, i) => (isFloat(a.dtype) ? [i] : []));

/** Results as a list. */
export function resultsOf(sample: Sample, xs: readonly NDArray[]): NDArray[] {
  const out = sample.apply(...xs);
  return Array.isArray(out) ? [...(out as readonly NDArray[])] : [out as NDArray];
}

/** A fixed cotangent of output k, exact in every float dtype and never zero: ((7i + 3k) mod 8 − 3.5)/4. */
export const cotangentValues = (size: number, k: number): number[] =>
  Array.from({ length: size }, (_, i) => (((7 * i + 3 * k) % 8) - 3.5) / 4);

// ---- exchange with Python ----

/** A number as JSON; NaN, ±∞ and −0 as strings. */
export type Encoded = number | "nan" | "inf" | "-inf" | "-0";
export const encode = (x: number): Encoded =>
  Number.isNaN(x)
    ? "nan"
    : x === Infinity
      ? "inf"
      : x === -Infinity
        ? "-inf"
        : Object.is(x, -0)
          ? "-0"
          : x;
export const decode = (x: Encoded): number =>
  typeof x === "number"
    ? x
    : x === "nan"
      ? NaN
      : x === "-0"
        ? -0
        : x === "inf"
          ? Infinity
          : -Infinity;

/** What a golden depends on; it is stale when this has changed. */
export function digestOf(sample: Sample): string {
  const what = [
    sample.args.map((a, i) => [a.shape, a.dtype, valuesOf(sample, i).map(encode)]),
    sample.jax,
    differentiated(sample),
  ];
  return createHash("sha256").update(JSON.stringify(what)).digest("hex").slice(0, 12);
}
