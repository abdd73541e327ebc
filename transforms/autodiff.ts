/** `jvp`, `linearize`, `vjp`, `grad` and `valueAndGrad` as users call them. */
import { describe } from "../core/array.ts";
import { fail, TreeError } from "../core/errors.ts";
import { ClosedJaxpr, type Jaxpr } from "../core/ir/jaxpr.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import { instantiate } from "../core/ops/linear.ts";
import { type Tangent, Zero } from "../core/primitive.ts";
import { evalJaxpr } from "../core/trace.ts";
import { type TreeDef, unflatten } from "../core/tree.ts";
import {
  type Arrays,
  avalsOf,
  checkFloat,
  checkFunction,
  checkScalar,
  chosenArguments,
  counterparts,
  type Flat,
  flattenArrays,
  type Fn,
  pathsOf,
  type Scalar,
  type Traced,
  traceTree,
} from "./arguments.ts";
import { evaluate } from "./evaluate.ts";
import { evalJvp, withZeros } from "./jvp.ts";
import { linearizeEval } from "./linearize.ts";
import { evalTranspose } from "./transpose.ts";

/** Records `f` at arguments that are known, so that `item()` works inside. */
const traceKnown = (op: string, f: Fn, { leaves, tree }: Flat): Traced =>
  traceTree(op, f, tree, avalsOf(leaves), leaves);

/** (f(x), f′(x)·t): forward mode.
 *  @param primals  the arguments of `f`, as a list
 *  @param tangents a list of the same structure, shapes and dtypes
 *  @returns `[f(...primals), tangent of the result]`
 *  @throws TreeError, ShapeError or DTypeError where tangents do not match the primals
 *  @example jvp((x) => np.sin(x), [0], [1])[1].item()  // => 1 */
export function jvp<const A extends readonly unknown[], R>(
  f: (...args: A) => R,
  primals: A,
  tangents: Arrays<A> | A,
): [Arrays<R>, Arrays<R>] {
  const x = flattenArrays("jvp", "primals", primals);
  const t = flattenArrays("jvp", "tangents", tangents);
  if (!x.tree.equals(t.tree))
    fail(
      TreeError,
      "jvp",
      "primals and tangents must have one structure",
      `${x.tree} and ${t.tree}`,
      "give one tangent for each primal",
    );
  checkFloat("jvp", x);
  const dx = counterparts("jvp", "a tangent", { ...x, leaves: t.leaves }, avalsOf(x.leaves));
  const { closed, tree } = traceKnown("jvp", f as Fn, x);
  const n = dx.length;
  const { outs } = evaluate("jvp", ["jvp"], closed, [...x.leaves, ...dx], (of, all) => {
    const dual = evalJvp(of, all.slice(0, n), all.slice(n));
    return { outs: [...dual.outs, ...dual.tangents.map(instantiate)] };
  });
  const m = outs.length / 2;
  const build = (part: readonly NDArray[]): Arrays<R> => unflatten(tree, part) as Arrays<R>;
  return [build(outs.slice(0, m)), build(outs.slice(m))];
}

/** f at a point: its value and its linear map on flat lists. */
function linearizeFlat(op: string, f: Fn, x: Flat) {
  checkFloat(op, x);
  const { closed, tree } = traceKnown(op, f, x);
  // the linear part is data; its constants are results of the primal part
  const { outs, note } = evaluate(op, ["linearize"], closed, x.leaves, (of, args) => {
    const { outs, linear, moving } = linearizeEval(of, args);
    return { outs: [...outs, ...linear.consts], note: { jaxpr: linear.jaxpr, moving } };
  });
  const { jaxpr, moving } = note as { jaxpr: Jaxpr; moving: readonly boolean[] };
  const { outAvals } = closed;
  const n = outAvals.length;
  return {
    value: unflatten(tree, outs.slice(0, n)),
    tree,
    linear: new ClosedJaxpr(jaxpr, outs.slice(n)),
    moving,
    outAvals,
  };
}

/** f(x) and the linear map t ↦ f′(x)·t, whose nonlinear part has been computed already.
 *  @returns `[f(...primals), (...tangents) => tangent of the result]`
 *  @example linearize((x) => np.sin(x), 0)[1](2).item()  // => 2 */
export function linearize<const A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...primals: A
): [Arrays<R>, (...tangents: Arrays<A> | A) => Arrays<R>] {
  const x = flattenArrays("linearize", "primals", primals);
  const { value, tree, linear, moving, outAvals } = linearizeFlat("linearize", f as Fn, x);
  const push = (...tangents: readonly unknown[]): unknown => {
    const t = flattenArrays("linearize", "tangents", tangents);
    if (!x.tree.equals(t.tree))
      fail(
        TreeError,
        "linearize",
        "tangents must have the structure of the primals",
        `${t.tree} against ${x.tree}`,
        "give one tangent for each primal",
      );
    const at = { ...x, leaves: t.leaves };
    const dx = counterparts("linearize", "a tangent", at, avalsOf(x.leaves));
    const { outs } = evaluate("linearize", ["as it is"], linear, dx, ({ jaxpr, consts }, all) => ({
      outs: evalJaxpr(jaxpr, consts, all),
    }));
    return unflatten(tree, withZeros(outs, moving, outAvals).map(instantiate));
  };
  return [value as Arrays<R>, push as (...tangents: Arrays<A> | A) => Arrays<R>];
}

/** Cotangents of all inputs of a linear jaxpr. */
const transposed = (of: ClosedJaxpr, cts: readonly Tangent[]): NDArray[] =>
  evalTranspose(
    of,
    [],
    of.jaxpr.inVars.map(() => true),
    cts,
  ).map(instantiate);
const pullBack = (op: string, linear: ClosedJaxpr, cts: readonly NDArray[]): readonly NDArray[] =>
  evaluate(op, ["transpose"], linear, cts, (of, all) => ({ outs: transposed(of, all) })).outs;

/** f(x) and its transposed derivative ct ↦ f′(x)ᵀ·ct: reverse mode.
 *  @returns `[f(...primals), (ct) => [cotangent of each argument]]`; with `hasAux`, f returns `[out, aux]` and aux
 *  comes third
 *  @example vjp((x) => np.sin(x), 0)[1](3)[0].item()  // => 3 */
export function vjp<const A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...primals: A
): [Arrays<R>, (cotangent: Arrays<R> | R) => Arrays<A>] {
  const x = flattenArrays("vjp", "primals", primals);
  const { value, tree, linear, moving, outAvals } = linearizeFlat("vjp", f as Fn, x);
  const pull = (cotangent: unknown): unknown => {
    const ct = flattenArrays("vjp", "cotangent", cotangent);
    if (!tree.equals(ct.tree))
      fail(
        TreeError,
        "vjp",
        "the cotangent must have the structure of the result",
        `${ct.tree} against ${tree}`,
        "give one cotangent for each output",
      );
    const cts = counterparts("vjp", "a cotangent", ct, outAvals).filter((_, i) => moving[i]);
    return unflatten(x.tree, pullBack("vjp", linear, cts));
  };
  return [value as Arrays<R>, pull as (ct: Arrays<R> | R) => Arrays<A>];
}

/** The transpose of a linear function: ⟨f(x), y⟩ = ⟨x, fᵀ(y)⟩.
 *  @param examples arguments (or types) at which `f` is traced; their values do not matter
 *  @throws RuleError where `f` is not linear
 *  @example linearTranspose((x) => np.multiply(x, 3), 1)(2)[0].item()  // => 6 */
export function linearTranspose<const A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...examples: A
): (cotangent: Arrays<R> | R) => Arrays<A> {
  const x = flattenArrays("linearTranspose", "examples", examples);
  const { closed } = traceTree("linearTranspose", f as Fn, x.tree, avalsOf(x.leaves));
  const pull = (cotangent: unknown): unknown => {
    const ct = flattenArrays("linearTranspose", "cotangent", cotangent);
    const cts = counterparts("linearTranspose", "a cotangent", ct, closed.outAvals);
    return unflatten(x.tree, pullBack("linearTranspose", closed, cts));
  };
  return pull as (cotangent: Arrays<R> | R) => Arrays<A>;
}

// ---- grad ----

export interface GradOptions<N extends number | readonly number[] = number | readonly number[]> {
  /** which arguments to differentiate (default 0); a list gives a tuple of gradients */
  readonly argnums?: N;
}
type ArgnumsOf<A extends readonly unknown[], N> = N extends number
  ? Arrays<A[N]>
  : N extends readonly number[]
    ? { -readonly [K in keyof N]: N[K] extends number ? Arrays<A[N[K]]> : never }
    : never;

interface ValueAndGradient {
  readonly value: NDArray;
  readonly aux: unknown;
  readonly gradients: unknown;
}

function differentiate(
  op: string,
  f: Fn,
  args: readonly unknown[],
  argnums: number | readonly number[],
  hasAux: boolean,
): ValueAndGradient {
  const { list, chosen, replace } = chosenArguments(op, args, argnums);
  const x = flattenArrays(op, "args", chosen);
  const paths = (): string[] => list.flatMap((n) => pathsOf(`args[${n}]`, args[n]));
  checkFloat(op, { ...x, paths });
  // the other arguments are constants of the traced function
  let auxTree: TreeDef | undefined;
  const loss = (...picked: unknown[]): unknown => {
    const result = f(...replace(picked));
    if (!hasAux) return checkScalar(op, result);
    if (!Array.isArray(result) || result.length !== 2)
      return fail(
        TreeError,
        op,
        "with hasAux the function must return [loss, aux]",
        describe(result),
        "return a pair",
      );
    const aux = flattenArrays(op, "aux", result[1]);
    auxTree = aux.tree;
    return [checkScalar(op, result[0]), ...aux.leaves];
  };
  const { closed } = traceKnown(op, loss, x);
  const { outs } = evaluate(op, ["gradient"], closed, x.leaves, (of, leaves) => {
    const at = linearizeEval(of, leaves);
    // only the loss has a cotangent
    const cts = of.outAvals
      .map((a, i) => (i === 0 ? new Literal(1, a.dtype) : new Zero(a)))
      .filter((_, i) => at.moving[i]);
    return { outs: [...at.outs, ...transposed(at.linear, cts)] };
  });
  const n = closed.jaxpr.outs.length;
  const gradients = unflatten(x.tree, outs.slice(n)) as unknown[];
  return {
    value: outs[0] as NDArray,
    aux: auxTree && unflatten(auxTree, outs.slice(1, n)),
    gradients: typeof argnums === "number" ? gradients[0] : gradients,
  };
}

/** x ↦ (f(x), ∇f(x)) of a function with a scalar result. With `hasAux`, f returns `[loss, aux]` and the result is
 *  `[[loss, aux], gradient]`.
 *  @throws ShapeError when the result is no scalar, DTypeError for integer arguments
 *  @example valueAndGrad((x: NDArray) => x.mul(x))(np.array(3))[1].item()  // => 6 */
export function valueAndGrad<
  A extends readonly unknown[],
  X,
  const N extends number | readonly number[] = 0,
>(
  f: (...args: A) => readonly [Scalar, X],
  options: GradOptions<N> & { readonly hasAux: true },
): (...args: A) => [[NDArray, Arrays<X>], ArgnumsOf<A, N>];
export function valueAndGrad<
  A extends readonly unknown[],
  const N extends number | readonly number[] = 0,
>(
  f: (...args: A) => Scalar,
  options?: GradOptions<N> & { readonly hasAux?: false },
): (...args: A) => [NDArray, ArgnumsOf<A, N>];
export function valueAndGrad(
  f: Fn,
  { argnums = 0, hasAux = false }: GradOptions & { readonly hasAux?: boolean } = {},
): Fn<readonly unknown[]> {
  checkFunction("valueAndGrad", f);
  return (...args) => {
    const r = differentiate("valueAndGrad", f, args, argnums, hasAux);
    return [hasAux ? [r.value, r.aux] : r.value, r.gradients];
  };
}

/** x ↦ ∇f(x) of a function with a scalar result. The gradient has the type and structure of the argument.
 *  With `hasAux`, f returns `[loss, aux]` and the result is `[gradient, aux]`.
 *  @throws ShapeError when the result is no scalar, DTypeError for integer arguments
 *  @example grad((x: NDArray) => x.mul(x))(np.array(3)).item()  // => 6 */
export function grad<
  A extends readonly unknown[],
  X,
  const N extends number | readonly number[] = 0,
>(
  f: (...args: A) => readonly [Scalar, X],
  options: GradOptions<N> & { readonly hasAux: true },
): (...args: A) => [ArgnumsOf<A, N>, Arrays<X>];
export function grad<A extends readonly unknown[], const N extends number | readonly number[] = 0>(
  f: (...args: A) => Scalar,
  options?: GradOptions<N> & { readonly hasAux?: false },
): (...args: A) => ArgnumsOf<A, N>;
export function grad(
  f: Fn,
  { argnums = 0, hasAux = false }: GradOptions & { readonly hasAux?: boolean } = {},
): Fn<readonly unknown[]> {
  checkFunction("grad", f);
  return (...args) => {
    const r = differentiate("grad", f, args, argnums, hasAux);
    return hasAux ? [r.gradients, r.aux] : r.gradients;
  };
}
