/** `jvp`, `linearize`, `vjp`, `grad` and `valueAndGrad` as users call them. */
import { describe } from "../core/array.ts";
import type { Aval } from "../core/aval.ts";
import { fail, TreeError } from "../core/errors.ts";
import { ClosedJaxpr, type Var } from "../core/ir/jaxpr.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import { convert, instantiate } from "../core/ops/linear.ts";
import { type Tangent, Zero } from "../core/primitive.ts";
import { traceToJaxpr } from "../core/trace.ts";
import { type TreeDef, unflatten } from "../core/tree.ts";
import {
  type Arrays,
  checkArgnum,
  checkFloat,
  checkSameTypes,
  checkScalar,
  type Flat,
  flatFunction,
  flattenArrays,
  pathsOf,
} from "./arguments.ts";
import { evalClosed, evaluate } from "./evaluate.ts";
import { evalJvp, spread } from "./jvp.ts";
import { linearizeEval } from "./linearize.ts";
import { evalTranspose } from "./transpose.ts";

/** A function of arrays, or of trees of arrays. */
export type Fn<A extends readonly unknown[] = never[], R = unknown> = (...args: A) => R;

interface Traced {
  readonly closed: ClosedJaxpr;
  readonly tree: TreeDef;
  readonly value: unknown;
}
/** Records `f` at arguments that are known, so that `item()` works inside. */
function traceKnown(op: string, f: Fn, { leaves, tree }: Flat): Traced {
  const out: { tree?: TreeDef; value?: unknown } = {};
  const closed = traceToJaxpr(
    op,
    flatFunction(op, f, tree, out),
    leaves.map((x) => x.aval),
    { known: leaves },
  );
  return { closed, tree: out.tree as TreeDef, value: out.value };
}

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
  const paths = (): string[] => pathsOf("primals", primals);
  checkFloat("jvp", x.leaves, paths);
  checkSameTypes(
    "jvp",
    "a tangent",
    t.leaves,
    x.leaves.map((l) => l.aval),
    paths,
  );
  const traced = traceKnown("jvp", f as Fn, x);
  const n = x.leaves.length;
  const { outs } = evaluate(
    "jvp",
    ["jvp"],
    traced.closed,
    [...x.leaves, ...t.leaves],
    ({ jaxpr, consts }, all) => {
      const moved = all.slice(n).map((v, i) => convert(v, (jaxpr.inVars[i] as Var).aval.dtype));
      const dual = evalJvp(jaxpr, consts, all.slice(0, n), moved);
      return { outs: [...dual.outs, ...dual.tangents.map(instantiate)], note: null };
    },
  );
  const m = outs.length / 2;
  const build = (part: readonly NDArray[]): Arrays<R> => unflatten(traced.tree, part) as Arrays<R>;
  return [build(outs.slice(0, m)), build(outs.slice(m))];
}

interface Linearized {
  readonly outs: readonly NDArray[];
  readonly tree: TreeDef;
  readonly linear: ClosedJaxpr;
  readonly moving: readonly boolean[];
  readonly outAvals: readonly Aval[];
}
/** f at a point: its value and its linear map on flat lists. */
function linearizeFlat(
  op: string,
  f: Fn,
  x: Flat,
  paths: () => string[],
): Linearized & { value: unknown } {
  checkFloat(op, x.leaves, paths);
  const traced = traceKnown(op, f, x);
  // the linear part is data; its constants are results of the primal part
  const { outs, note } = evaluate(
    op,
    ["linearize"],
    traced.closed,
    x.leaves,
    ({ jaxpr, consts }, args) => {
      const at = linearizeEval(
        jaxpr,
        consts,
        args,
        args.map(() => true),
      );
      return {
        outs: [...at.outs, ...at.linear.consts],
        note: { linear: at.linear.jaxpr, moving: at.moving },
      };
    },
  );
  const { outAvals } = traced.closed;
  const n = outAvals.length;
  return {
    outs: outs.slice(0, n),
    tree: traced.tree,
    value: traced.value,
    linear: new ClosedJaxpr(note.linear, outs.slice(n)),
    moving: note.moving,
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
  const paths = (): string[] => pathsOf("primals", primals);
  const at = linearizeFlat("linearize", f as Fn, x, paths);
  const build = (part: readonly NDArray[]): Arrays<R> => unflatten(at.tree, part) as Arrays<R>;
  const map = (...tangents: readonly unknown[]): Arrays<R> => {
    const t = flattenArrays("linearize", "tangents", tangents);
    if (!x.tree.equals(t.tree))
      fail(
        TreeError,
        "linearize",
        "tangents must have the structure of the primals",
        `${t.tree} against ${x.tree}`,
        "give one tangent for each primal",
      );
    checkSameTypes(
      "linearize",
      "a tangent",
      t.leaves,
      x.leaves.map((l) => l.aval),
      paths,
    );
    const typed = t.leaves.map((v, i) => convert(v, (x.leaves[i] as NDArray).dtype));
    const outs = evalClosed("linearize", at.linear, typed);
    return build(spread(outs, at.moving, (i) => instantiate(new Zero(at.outAvals[i] as Aval))));
  };
  return [build(at.outs), map as (...tangents: Arrays<A> | A) => Arrays<R>];
}

/** Cotangents of all inputs of a linear jaxpr. */
function pullBack({ jaxpr, consts }: ClosedJaxpr, cts: readonly Tangent[]): NDArray[] {
  const linear = jaxpr.inVars.map(() => true);
  return evalTranspose(
    jaxpr,
    consts,
    linear.map(() => null),
    linear,
    cts,
  ).map(instantiate);
}

/** f(x) and its transposed derivative ct ↦ f′(x)ᵀ·ct: reverse mode.
 *  @returns `[f(...primals), (ct) => [cotangent of each argument]]`; with `hasAux`, f returns `[out, aux]` and aux
 *  comes third
 *  @example vjp((x) => np.sin(x), 0)[1](3)[0].item()  // => 3 */
export function vjp<const A extends readonly unknown[], R>(
  f: (...args: A) => R,
  ...primals: A
): [Arrays<R>, (cotangent: Arrays<R> | R) => Arrays<A>] {
  const x = flattenArrays("vjp", "primals", primals);
  const at = linearizeFlat("vjp", f as Fn, x, () => pathsOf("primals", primals));
  const pull = (cotangent: unknown): Arrays<A> => {
    const ct = flattenArrays("vjp", "cotangent", cotangent);
    if (!at.tree.equals(ct.tree))
      fail(
        TreeError,
        "vjp",
        "the cotangent must have the structure of the result",
        `${ct.tree} against ${at.tree}`,
        "give one cotangent for each output",
      );
    checkSameTypes("vjp", "a cotangent", ct.leaves, at.outAvals, () =>
      pathsOf("cotangent", cotangent),
    );
    const { outs: cts } = evaluate(
      "vjp",
      ["pull back", at.moving],
      at.linear,
      ct.leaves,
      (linear, all) => {
        const typed = all.map((v, i) => convert(v, (at.outAvals[i] as Aval).dtype));
        const moving = typed.filter((_, i) => at.moving[i]);
        return { outs: pullBack(linear, moving), note: null };
      },
    );
    return unflatten(x.tree, cts) as Arrays<A>;
  };
  return [unflatten(at.tree, at.outs) as Arrays<R>, pull as (ct: Arrays<R> | R) => Arrays<A>];
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
  const out: { tree?: TreeDef } = {};
  const closed = traceToJaxpr(
    "linearTranspose",
    flatFunction("linearTranspose", f as Fn, x.tree, out),
    x.leaves.map((l) => l.aval),
  );
  return ((cotangent: unknown) => {
    const ct = flattenArrays("linearTranspose", "cotangent", cotangent);
    checkSameTypes("linearTranspose", "a cotangent", ct.leaves, closed.outAvals, () =>
      pathsOf("cotangent", cotangent),
    );
    const typed = ct.leaves.map((v, i) => convert(v, (closed.outAvals[i] as Aval).dtype));
    const { outs } = evaluate("linearTranspose", ["transpose"], closed, typed, (linear, cts) => ({
      outs: pullBack(linear, cts),
      note: null,
    }));
    return unflatten(x.tree, outs);
  }) as (cotangent: Arrays<R> | R) => Arrays<A>;
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
  const list = typeof argnums === "number" ? [argnums] : argnums;
  for (const n of list) checkArgnum(op, n, args.length);
  const chosen = flattenArrays(
    op,
    "args",
    list.map((n) => args[n]),
  );
  checkFloat(op, chosen.leaves, () => list.flatMap((n) => pathsOf(`args[${n}]`, args[n])));
  // the other arguments are constants of the traced function
  let auxTree: TreeDef | undefined;
  const loss = (...picked: unknown[]): unknown => {
    const all = [...args];
    list.forEach((n, i) => {
      all[n] = picked[i];
    });
    const result = f(...(all as never[]));
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
  const traced = traceKnown(op, loss as Fn, chosen);
  const { outs } = evaluate(
    op,
    ["gradient"],
    traced.closed,
    chosen.leaves,
    ({ jaxpr, consts }, leaves) => {
      const at = linearizeEval(
        jaxpr,
        consts,
        leaves,
        leaves.map(() => true),
      );
      const [out] = jaxpr.outAvals as [Aval];
      // only the loss has a cotangent
      const cts = jaxpr.outAvals
        .map((a, i): Tangent => (i === 0 ? new Literal(1, out.dtype) : new Zero(a)))
        .filter((_, i) => at.moving[i]);
      return { outs: [...at.outs, ...pullBack(at.linear, cts)], note: null };
    },
  );
  const n = traced.closed.jaxpr.outs.length;
  const gradients = unflatten(chosen.tree, outs.slice(n)) as unknown[];
  return {
    value: outs[0] as NDArray,
    aux: auxTree === undefined ? undefined : unflatten(auxTree, outs.slice(1, n)),
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

type Scalar = NDArray | number;

export function checkFunction(op: string, f: unknown): void {
  if (typeof f !== "function")
    fail(
      TreeError,
      op,
      "takes a function",
      describe(f),
      `pass the function itself, as in ${op}(f)(x)`,
    );
}
