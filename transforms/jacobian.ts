/** Jacobians and Hessians, on pytrees. */
import type { Aval } from "../core/aval.ts";
import type { NDArray } from "../core/ndarray.ts";
import { eye } from "../core/numpy/creation.ts";
import { full, reshape } from "../core/ops/linear.ts";
import { flatten, leaves as leavesOf, type TreeDef, unflatten } from "../core/tree.ts";
import {
  type Arrays,
  checkFunction,
  chosenArguments,
  flattenArrays,
  type Fn,
} from "./arguments.ts";
import { type GradOptions, linearize, vjp } from "./autodiff.ts";
import { vmap } from "./vmap.ts";

/** A tree of the structure of `R` whose leaves are trees of the structure of `X`: ∂(leaf of R)/∂(leaf of X). */
export type Jacobian<R, X> = R extends NDArray | number
  ? Arrays<X>
  : R extends readonly unknown[] | { readonly [key: string]: unknown }
    ? { [K in keyof R]: Jacobian<R[K], X> }
    : R;

/** The unit vectors of the space of arrays of type `aval`, stacked: [n, …shape]. */
const basis = ({ size, shape, dtype }: Aval): NDArray =>
  reshape(eye(size, size, { dtype }), [size, ...shape]);

/** Zeros like `xs` but for one in position `i`. */
const only = (xs: readonly NDArray[], i: number, x: NDArray): NDArray[] =>
  xs.map((other, k) => (k === i ? x : full(other.shape, 0, other.dtype)));

/** Derivatives of each leaf of the result by each leaf of the chosen arguments. `rowsOf` gives the result and, for each leaf of it, the
 *  derivatives with axes that are not yet apart. */
function jacobian(
  op: string,
  f: Fn,
  argnums: number | readonly number[],
  rowsOf: (f: Fn<NDArray[]>, leaves: readonly NDArray[]) => readonly [unknown, NDArray[][]],
): Fn<readonly unknown[]> {
  checkFunction(op, f);
  return (...args) => {
    const { chosen, replace } = chosenArguments(op, args, argnums);
    const one = typeof argnums === "number";
    const { leaves, tree } = flattenArrays(op, "args", one ? chosen[0] : chosen);
    const flat = (...xs: NDArray[]): unknown => {
      const given: unknown = unflatten(tree, xs);
      return f(...replace(one ? [given] : (given as unknown[])));
    };
    const [out, rows] = rowsOf(flat, leaves);
    const [outs, outTree] = flatten(out) as [NDArray[], TreeDef];
    const apart = (o: number) => (d: NDArray, i: number) =>
      reshape(d, [...(outs[o] as NDArray).shape, ...(leaves[i] as NDArray).shape]);
    return unflatten(
      outTree,
      rows.map((row, o) => unflatten(tree, row.map(apart(o)))),
    );
  };
}

type At<A extends readonly unknown[], N> = N extends number
  ? A[N]
  : N extends readonly number[]
    ? { [K in keyof N]: N[K] extends number ? A[N[K]] : never }
    : never;

/** x ↦ ∂f/∂x by forward mode: one pass for each input element, all at once. Right for few inputs.
 *  @returns for an output of shape [o…] and an input of shape [i…] an array [o…, i…]
 *  @example jacfwd((x: NDArray) => x.mul(x))(np.array([1, 2])).toArray()  // => [[2, 0], [0, 4]] */
export function jacfwd<
  A extends readonly unknown[],
  R,
  const N extends number | readonly number[] = 0,
>(
  f: (...args: A) => R,
  { argnums = 0 as N }: GradOptions<N> = {},
): (...args: A) => Jacobian<R, At<A, N>> {
  return jacobian("jacfwd", f as Fn, argnums, (flat, leaves) => {
    const [out, push] = linearize(flat, ...leaves);
    // columns[i][o]: derivative of output leaf o by input leaf i
    const columns = leaves.map((x, i) =>
      vmap((t: NDArray) => leavesOf(push(...only(leaves, i, t))) as NDArray[], 0, { outAxes: -1 })(
        basis(x.aval),
      ),
    );
    return [out, leavesOf(out).map((_, o) => columns.map((c) => c[o] as NDArray))];
  }) as (...args: A) => Jacobian<R, At<A, N>>;
}

/** x ↦ ∂f/∂x by reverse mode: one pass for each output element, all at once. Right for few outputs.
 *  @returns for an output of shape [o…] and an input of shape [i…] an array [o…, i…]
 *  @example jacrev((x: NDArray) => x.mul(x))(np.array([1, 2])).toArray()  // => [[2, 0], [0, 4]] */
export function jacrev<
  A extends readonly unknown[],
  R,
  const N extends number | readonly number[] = 0,
>(
  f: (...args: A) => R,
  { argnums = 0 as N }: GradOptions<N> = {},
): (...args: A) => Jacobian<R, At<A, N>> {
  return jacobian("jacrev", f as Fn, argnums, (flat, leaves) => {
    const [out, pull] = vjp(flat, ...leaves);
    const [outs, outTree] = flatten(out) as [NDArray[], TreeDef];
    const rows = outs.map((y, o) =>
      vmap((ct: NDArray) => pull(unflatten(outTree, only(outs, o, ct))) as NDArray[])(
        basis(y.aval),
      ),
    );
    return [out, rows as NDArray[][]];
  }) as (...args: A) => Jacobian<R, At<A, N>>;
}

/** x ↦ ∂²f/∂x², forward over reverse.
 *  @example hessian((x: NDArray) => x.mul(x).sum())(np.array([1, 2])).toArray()  // => [[2, 0], [0, 2]] */
export const hessian = <
  A extends readonly unknown[],
  R,
  const N extends number | readonly number[] = 0,
>(
  f: (...args: A) => R,
  options: GradOptions<N> = {},
): ((...args: A) => Jacobian<Jacobian<R, At<A, N>>, At<A, N>>) =>
  jacfwd(jacrev(f, options), options) as (...args: A) => Jacobian<Jacobian<R, At<A, N>>, At<A, N>>;
