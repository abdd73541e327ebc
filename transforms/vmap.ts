/** `vmap` as users call it. */
import { describe } from "../core/array.ts";
import type { Aval } from "../core/aval.ts";
import { fail, ShapeError, TreeError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import { moveBatch } from "../core/ops/linear.ts";
import { normalizeAxis } from "../core/shape.ts";
import { broadcastPrefix, unflatten } from "../core/tree.ts";
import { type Arrays, checkFunction, flattenArrays, type Fn, traceTree } from "./arguments.ts";
import { evaluate } from "./evaluate.ts";
import { type BatchDim, evalBatch } from "./batch.ts";

/** Batch axes of a value: one for all its leaves (`null`: not batched), or a tree of them that is a prefix of
 *  the value's own structure. */
export type Axes = number | null | readonly Axes[] | { readonly [key: string]: Axes };

export interface VmapOptions {
  /** where the batch axis goes in each result (default 0; `null` for a result that does not depend on it) */
  readonly outAxes?: Axes;
  /** size of the batch axis, needed when no argument is batched */
  readonly axisSize?: number;
}

/** f on stacks of arguments: out[i] = f(x[i], …), without a loop.
 *  @param inAxes  batch axis of each argument: one for all, or a list with one entry (or a tree of axes) for
 *                 each argument; `null` marks an argument that is the same for all (default 0)
 *  @throws ShapeError where an axis does not exist or sizes differ; TreeError where `inAxes` does not fit
 *  @example vmap((x: NDArray, y: NDArray) => x.dot(y), [0, null])(np.ones([5, 3]), np.ones([3])).shape  // => [5] */
export function vmap<A extends readonly unknown[], R>(
  f: (...args: A) => R,
  inAxes: Axes = 0,
  { outAxes = 0, axisSize }: VmapOptions = {},
): (...args: A) => Arrays<R> {
  checkFunction("vmap", f);
  return (...args) => {
    const { leaves, tree, paths } = flattenArrays("vmap", "args", args);
    if (Array.isArray(inAxes) && inAxes.length !== args.length)
      fail(
        TreeError,
        "vmap",
        "inAxes must have one entry for each argument",
        `${inAxes.length} entries for ${args.length} arguments`,
        "add the missing axes, with null for arguments that are not batched",
      );
    const given = axesOf("vmap inAxes", inAxes, args);
    const dims = given.map((d, i): BatchDim => {
      if (d === null) return null;
      const x = leaves[i] as NDArray;
      if (d < -x.ndim || d >= x.ndim)
        return fail(
          ShapeError,
          "vmap",
          "a batched argument must have the axis that inAxes names",
          `axis ${d} for ${x.aval} at ${paths()[i]}`,
          "choose an existing axis, or null for an argument that is not batched",
        );
      return normalizeAxis("vmap", d, x.ndim);
    });
    const size = batchSize(leaves, dims, axisSize, paths);
    const avals = leaves.map((x, i): Aval => {
      const d = dims[i] as BatchDim;
      return d === null ? x.aval : x.aval.with({ shape: x.shape.filter((_, k) => k !== d) });
    });
    const out = traceTree("vmap", f as Fn, tree, avals);
    const wanted = axesOf("vmap outAxes", outAxes, out.value);
    const { outs } = evaluate(
      "vmap",
      ["vmap", size, dims, wanted],
      out.closed,
      leaves,
      (of, all) => {
        const batched = evalBatch(of, size, all, dims);
        const results = batched.outs.map((x, i) => {
          const want = wanted[i] as BatchDim;
          const have = batched.dims[i] as BatchDim;
          if (want === null) {
            if (have === null) return x;
            return fail(
              ShapeError,
              "vmap",
              "outAxes may be null only for a result that is the same for all",
              `null for a batched result ${i}`,
              "give it an axis",
            );
          }
          const rank = x.ndim + (have === null ? 1 : 0);
          return moveBatch(x, have, normalizeAxis("vmap outAxes", want, rank), size);
        });
        return { outs: results };
      },
    );
    return unflatten(out.tree, outs) as Arrays<R>;
  };
}

/** One axis for each leaf of `value`. */
function axesOf(op: string, axes: Axes, value: unknown): (number | null)[] {
  const isLeaf = (x: unknown): boolean => x === null || typeof x === "number";
  const list = broadcastPrefix(op, axes, value, { isLeaf }) as unknown[];
  return list.map((a) => {
    if (a === null || (typeof a === "number" && Number.isInteger(a))) return a as number | null;
    return fail(
      TreeError,
      op,
      "every axis must be an integer or null",
      describe(a),
      "name an axis by its number",
    );
  });
}

function batchSize(
  leaves: readonly NDArray[],
  dims: readonly BatchDim[],
  axisSize: number | undefined,
  paths: () => string[],
): number {
  let size = axisSize;
  let from = "axisSize";
  leaves.forEach((x, i) => {
    const d = dims[i] as BatchDim;
    if (d === null) return;
    const s = x.shape[d] as number;
    if (size === undefined) {
      size = s;
      from = `${paths()[i]}`;
    } else if (size !== s)
      fail(
        ShapeError,
        "vmap",
        "all batched axes must have one size",
        `${size} from ${from} and ${s} from axis ${d} of ${x.aval} at ${paths()[i]}`,
        "check inAxes",
      );
  });
  if (size !== undefined) return size;
  return fail(
    ShapeError,
    "vmap",
    "at least one argument must be batched",
    "inAxes without an axis",
    "give an axis, or pass axisSize",
  );
}
