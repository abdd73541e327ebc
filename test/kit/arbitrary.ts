/** fast-check arbitraries: shapes, dtypes, arrays, pytrees, programs. */
import fc from "fast-check";
import { dataSync, fromValues } from "../../core/array.ts";
import { Aval } from "../../core/aval.ts";
import { allDTypes, castNumber, type DType, dtypes } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import { Program } from "./program.ts";

export interface ShapeOptions {
  readonly minRank?: number;
  readonly maxRank?: number;
  /** smallest size of an axis (default 0) */
  readonly minSize?: number;
  readonly maxSize?: number;
}
/** A shape. Small ones first; axes of size 0 and 1 among them.
 *  @example fc.assert(fc.property(arb.shape(), (s) => np.zeros(s).size === s.reduce((a, b) => a * b, 1))) */
export const shape = ({
  minRank = 0,
  maxRank = 3,
  minSize = 0,
  maxSize = 4,
}: ShapeOptions = {}): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: minSize, max: maxSize }), { minLength: minRank, maxLength: maxRank });

/** A dtype, of the given ones if some are given. */
export const dtype = (among: readonly DType[] = allDTypes): fc.Arbitrary<DType> =>
  fc.constantFrom(...among);

export interface ArrayOptions extends ShapeOptions {
  readonly shape?: Shape;
  readonly dtype?: DType;
  /** bounds of the elements; default [−10, 10] as far as the dtype allows */
  readonly min?: number;
  readonly max?: number;
  /** NaN and ±∞ among the elements (default false) */
  readonly special?: boolean;
}

/** An element of a dtype. Floats are exact in it, and −0 occurs. */
function element(d: DType, { min, max, special = false }: ArrayOptions): fc.Arbitrary<number> {
  const info = dtypes[d];
  const low = Math.max(info.min, min ?? -10);
  const high = Math.min(info.max, max ?? 10);
  if (info.kind === "bool") return fc.integer({ min: 0, max: 1 });
  if (info.kind !== "float") return fc.integer({ min: Math.ceil(low), max: Math.floor(high) });
  const finite = fc.double({ min: low, max: high, noNaN: true }).map((x) => castNumber(x, d));
  return special
    ? fc.oneof(
        { weight: 6, arbitrary: finite },
        { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, -0) },
      )
    : finite;
}

/** An array with its elements spelled out where fast-check prints it. */
function printable(x: NDArray): NDArray {
  Object.defineProperty(x, fc.toStringMethod, {
    value: () =>
      `${x.aval}(${Array.from(dataSync(x), (v) => (Object.is(v, -0) ? "-0" : String(v))).join(", ")})`,
    enumerable: false,
  });
  return x;
}

/** An array: of the given shape and dtype, or of any.
 *  @example arb.array({ shape: [2, 3], dtype: "int32" }) */
export function array(options: ArrayOptions = {}): fc.Arbitrary<NDArray> {
  return fc
    .tuple(
      options.shape === undefined ? shape(options) : fc.constant([...options.shape]),
      options.dtype === undefined ? dtype() : fc.constant(options.dtype),
    )
    .chain(([s, d]) => {
      const n = sizeOf(s);
      return fc
        .array(element(d, options), { minLength: n, maxLength: n })
        .map((values) => printable(fromValues(values, Aval.of(s, d))));
    });
}
/** A float32 array.
 *  @example fc.assert(gradientsAgree((x) => np.sum(np.sin(x)), arb.float32Array({ shape: [3] }))) */
export const float32Array = (options: Omit<ArrayOptions, "dtype"> = {}): fc.Arbitrary<NDArray> =>
  array({ ...options, dtype: "float32" });

/** Shapes that broadcast together, as many as asked for.
 *  @example arb.broadcastable(2)  // for example [[3, 1], [1, 4]] */
export function broadcastable(count = 2, options: ShapeOptions = {}): fc.Arbitrary<number[][]> {
  return shape(options).chain((whole) =>
    fc.tuple(
      ...Array.from({ length: count }, () =>
        fc
          .tuple(
            fc.nat(whole.length),
            fc.array(fc.boolean(), { minLength: whole.length, maxLength: whole.length }),
          )
          .map(([dropped, ones]) => whole.map((n, i) => (ones[i] ? 1 : n)).slice(dropped)),
      ),
    ),
  );
}

export interface PytreeOptions {
  /** nesting (default 3) */
  readonly depth?: number;
}
/** A pytree with the given leaves: objects, lists, tuples, null.
 *  @example arb.pytree(arb.float32Array({ shape: [2] })) */
export function pytree<L>(
  leaf: fc.Arbitrary<L>,
  { depth = 3 }: PytreeOptions = {},
): fc.Arbitrary<unknown> {
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: depth, depthSize: "small" },
      leaf as fc.Arbitrary<unknown>,
      fc.constant(null),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie("tree"), { maxKeys: 3 }),
    ),
  }));
  return tree;
}

export interface ProgramOptions {
  /** longest chain of operations (default 30); programs have up to a third more instructions than that */
  readonly maxDepth?: number;
  /** "smooth": differentiable operations only; "full": all (default) */
  readonly subset?: "smooth" | "full";
  /** of each input (default: up to three axes of 1 to 3); results have at most 48 elements, or as many as an input */
  readonly shapes?: fc.Arbitrary<number[]>;
}
/** A random well-typed composition of primitives on one to three float arrays. */
export function program({
  maxDepth = 30,
  subset = "full",
  shapes = shape({ maxRank: 3, minSize: 1, maxSize: 3 }),
}: ProgramOptions = {}): fc.Arbitrary<Program> {
  const pick = fc.nat(9999);
  const instruction = fc.record({
    operation: fc.nat(9999),
    picks: fc.array(pick, { minLength: 6, maxLength: 6 }),
  });
  return fc
    .record({
      inputs: fc.array(shapes, { minLength: 1, maxLength: 3 }),
      // without a bias towards short programs
      instructions: fc.noBias(
        fc.array(instruction, {
          minLength: 1,
          maxLength: Math.ceil((4 / 3) * maxDepth),
          size: "max",
        }),
      ),
      seed: fc.nat(9999),
    })
    .map((spec) => {
      const made = new Program({ ...spec, smooth: subset === "smooth", maxDepth });
      Object.defineProperty(made, fc.toStringMethod, {
        value: () => made.toString(),
        enumerable: false,
      });
      return made;
    });
}
