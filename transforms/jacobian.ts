/** Jacobians and Hessians, on pytrees. */
import type { Aval } from "../core/aval.ts";
import type { DType } from "../core/dtype.ts";
import type { NDArray } from "../core/ndarray.ts";
import { eq } from "../core/ops/compare.ts";
import { convert, full, reshape } from "../core/ops/linear.ts";
import { iota } from "../core/ops/structural.ts";
import { flatten, type structure, unflatten } from "../core/tree.ts";
import { type Arrays, checkArgnum, flattenArrays } from "./arguments.ts";
import { checkFunction, type Fn, type GradOptions, linearize, vjp } from "./autodiff.ts";
import { vmap } from "./vmap.ts";

/** A tree of the structure of `R` whose leaves are trees of the structure of `X`: ∂(leaf of R)/∂(leaf of X). */
export type Jacobian<R, X> = R extends NDArray | number
  ? Arrays<X>
  : R extends readonly unknown[] | { readonly [key: string]: unknown }
    ? { [K in keyof R]: Jacobian<R[K], X> }
    : R;

/** The unit vectors of the space of arrays of type `aval`, stacked: [n, …shape]. */
function basis(aval: Aval): NDArray {
  const n = aval.size;
  const row = iota({ dtype: "int32", shape: [n, n], dimension: 0 });
  const column = iota({ dtype: "int32", shape: [n, n], dimension: 1 });
  return reshape(convert(eq(row, column), aval.dtype as DType), [n, ...aval.shape]);
}

function pick(op: string, f: Fn, args: readonly unknown[], argnums: number | readonly number[]) {
  const list = typeof argnums === "number" ? [argnums] : argnums;
  for (const n of list) checkArgnum(op, n, args.length);
  const chosen = typeof argnums === "number" ? args[argnums] : list.map((n) => args[n]);
  const partial = (x: unknown): unknown => {
    const all = [...args];
    list.forEach((n, i) => {
      all[n] = typeof argnums === "number" ? x : (x as unknown[])[i];
    });
    return f(...(all as never[]));
  };
  return { chosen, partial };
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
  checkFunction("jacfwd", f);
  return (...args) => {
    const { chosen, partial } = pick("jacfwd", f as Fn, args, argnums);
    const { leaves, tree } = flattenArrays("jacfwd", "args", chosen);
    const flat = (...xs: NDArray[]): unknown => partial(unflatten(tree, xs));
    const [out, push] = linearize(flat, ...leaves);
    const [outs, outTree] = flatten(out) as [NDArray[], ReturnType<typeof structure>];
    // columns[i][o]: derivative of output leaf o by input leaf i
    const columns = leaves.map((x, i) => {
      const pushed = vmap(
        (t: NDArray) =>
          flatten(
            push(...leaves.map((l, k) => (k === i ? t : full(l.shape, 0, l.dtype)))),
          )[0] as NDArray[],
        0,
        { outAxes: -1 },
      )(basis(x.aval));
      return pushed.map((p, o) => reshape(p, [...(outs[o] as NDArray).shape, ...x.shape]));
    });
    const rows = outs.map((_, o) =>
      unflatten(
        tree,
        columns.map((c) => c[o] as NDArray),
      ),
    );
    return unflatten(outTree, rows) as Jacobian<R, At<A, N>>;
  };
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
  checkFunction("jacrev", f);
  return (...args) => {
    const { chosen, partial } = pick("jacrev", f as Fn, args, argnums);
    const { leaves, tree } = flattenArrays("jacrev", "args", chosen);
    const flat = (...xs: NDArray[]): unknown => partial(unflatten(tree, xs));
    const [out, pull] = vjp(flat, ...leaves);
    const [outs, outTree] = flatten(out) as [NDArray[], ReturnType<typeof structure>];
    const rows = outs.map((y, o) => {
      const pulled = vmap((ct: NDArray) => {
        const cts = outs.map((l, k) => (k === o ? ct : full(l.shape, 0, l.dtype)));
        return pull(unflatten(outTree, cts)) as readonly NDArray[];
      })(basis(y.aval));
      return unflatten(
        tree,
        pulled.map((p, i) => reshape(p as NDArray, [...y.shape, ...(leaves[i] as NDArray).shape])),
      );
    });
    return unflatten(outTree, rows) as Jacobian<R, At<A, N>>;
  };
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
