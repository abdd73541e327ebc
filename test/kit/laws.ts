/** The laws that every function obeys under every transform, checked on functions and on random programs.
 *
 *  Tolerances. Evaluations of one program by other means (jit, another backend, simplified, batched) must agree to
 *  the last bit, for every operation rounds once and in one way; only contractions and long products and sums may go
 *  in any order, and their error, for example k·ε·Σ|x·y| for k products, is carried through the program by the slopes of what follows (see
 *  operations.ts). Laws about derivatives hold in exact arithmetic and are checked in float64, where the programs'
 *  bounded values and slopes keep accumulated roundings below 10⁻⁹ of the sizes compared: ε·limits.lip·depth·100.
 *  Differences have their own estimate of truncation (check-grads.ts). */
import fc from "fast-check";
import { dataSync, fromValues } from "../../core/array.ts";
import { isFloat } from "../../core/dtype.ts";
import { CotangentError } from "../../core/errors.ts";
import type { ClosedJaxpr } from "../../core/ir/jaxpr.ts";
import { checkJaxpr } from "../../core/ir/checker.ts";
import { showJaxpr } from "../../core/ir/printer.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { stack } from "../../core/ops/join.ts";
import { add, mul } from "../../core/ops/field.ts";
import { reduceSum } from "../../core/ops/linear.ts";
import { simplifyClosed } from "../../core/program/simplify.ts";
import { evalJaxpr } from "../../core/trace.ts";
import { withBackend } from "../../core/backend/registry.ts";
import "../../core/backend/reference/index.ts";
import { range } from "../../core/shape.ts";
import { grad, jvp, linearize, vjp } from "../../transforms/autodiff.ts";
import { jit, makeJaxpr } from "../../transforms/jit.ts";
import { vmap } from "../../transforms/vmap.ts";
import { Random } from "../conformance/values.ts";
import { checkGrads, differences, direction, innerProduct } from "./check-grads.ts";
import { arrayDifference, magnitude } from "./compare.ts";

/** What the laws are checked on. A `Program` is one; so is `{ apply, args: () => [x, y] }` for a function of your own. */
export interface Lawful {
  readonly apply: (...xs: NDArray[]) => readonly NDArray[];
  /** example arguments: float arrays, in float32 or in float64 */
  readonly args: (dtype?: "float32" | "float64") => readonly NDArray[];
  /** differentiable at the arguments (default true): compare with differences too */
  readonly smooth?: boolean;
  /** how far two correct evaluations of result k may be apart (default 0: to the last bit) */
  readonly allowance?: (k: number, out: NDArray) => number;
}
export interface LawOptions {
  readonly backends?: readonly string[];
  readonly seed?: number;
}
/** What was checked; differences are left out where the function is too rough for them. */
export interface LawReport {
  readonly differences: number;
  readonly rough: number;
}

type Arrays = readonly NDArray[];
type F = (...xs: NDArray[]) => readonly NDArray[];

const relative = 1e-9;
const numbers = (x: NDArray): number[] => Array.from(dataSync(x));

class Laws {
  readonly #lawful: Lawful;
  readonly #f: F;
  readonly #random: Random;
  differences = 0;
  rough = 0;

  constructor(lawful: Lawful, seed: number) {
    this.#lawful = lawful;
    this.#f = (...xs) => lawful.apply(...xs);
    this.#random = new Random(seed);
  }

  fail(law: string, what: string, closed?: ClosedJaxpr): never {
    const where = closed === undefined ? "" : `\n${showJaxpr(closed)}`;
    throw new CotangentError(`law ${law}: ${what}${where}`);
  }

  /** Two evaluations of the results themselves. */
  same(law: string, got: Arrays, want: Arrays, closed?: ClosedJaxpr): void {
    if (got.length !== want.length)
      this.fail(law, `${got.length} results, not ${want.length}`, closed);
    got.forEach((x, k) => {
      const w = want[k] as NDArray;
      const absolute = this.#lawful.allowance?.(k, w) ?? 0;
      const text = arrayDifference(x, w, { absolute, signedZero: absolute === 0 });
      if (text !== "") this.fail(law, `result ${k}: ${text}`, closed);
    });
  }

  /** Two computations of the same derivative, in float64; `scale` is the size of what was added up. */
  close(law: string, got: Arrays, want: Arrays, scale = 0, closed?: ClosedJaxpr): void {
    if (got.length !== want.length)
      this.fail(law, `${got.length} results, not ${want.length}`, closed);
    const size = Math.max(1, scale, magnitude(want.flatMap(numbers)));
    got.forEach((x, k) => {
      const text = arrayDifference(x, want[k] as NDArray, { absolute: relative * size });
      if (text !== "") this.fail(law, `result ${k}: ${text}`, closed);
    });
  }

  /** A jaxpr must be well formed, also simplified, and simplifying must change no result. */
  checked(law: string, f: F, xs: Arrays): ClosedJaxpr {
    const closed = makeJaxpr(f)(...xs);
    checkJaxpr(closed);
    const simple = simplifyClosed(closed);
    checkJaxpr(simple);
    const run = (c: ClosedJaxpr): NDArray[] => evalJaxpr(c.jaxpr, c.consts, xs);
    const want = run(closed);
    run(simple).forEach((x, k) => {
      const text = arrayDifference(x, want[k] as NDArray, { signedZero: true });
      if (text !== "") this.fail(`simplify(${law}) = ${law}`, `result ${k}: ${text}`, closed);
    });
    return closed;
  }

  /** jit f = f; simplify f = f; vmap f = stack ∘ map f. */
  values(xs: Arrays): NDArray[] {
    const f = this.#f;
    const eager = [...f(...xs)];
    const closed = this.checked("f", f, xs);
    this.same("jit f = f", jit((...a: NDArray[]) => [...f(...a)])(...xs), eager, closed);
    this.same("jit jit f = f", jit(jit((...a: NDArray[]) => [...f(...a)]))(...xs), eager, closed);
    this.batches(xs);
    return eager;
  }

  batches(xs: Arrays): void {
    if (xs.length === 0) return;
    const f = this.#f;
    // shrunk and turned around: inside whatever bounds the arguments have
    const variants = [1, -0.5, 0.25].map((by) =>
      xs.map((x) =>
        isFloat(x.dtype)
          ? fromValues(
              numbers(x).map((v) => v * by),
              x.aval,
            )
          : x,
      ),
    );
    const whole = (...a: NDArray[]): NDArray[] => [...f(...a)];
    const stacked = (i: number, axis: number): NDArray =>
      stack(
        variants.map((v) => v[i] as NDArray),
        axis,
      );
    const expected = (pick: (v: Arrays) => Arrays): NDArray[] => {
      const each = variants.map((v) => f(...pick(v)));
      return (each[0] as Arrays).map((_, k) => stack(each.map((outs) => outs[k] as NDArray)));
    };
    const all = xs.map((_, i) => stacked(i, 0));
    const batched = vmap(whole, 0);
    const law = "vmap f = stack ∘ map f";
    this.same(
      law,
      batched(...all),
      expected((v) => v),
      this.checked("vmap f", batched, all),
    );
    // one argument, at its last axis; the results' batch axis at the end
    const at = this.#random.int(0, xs.length);
    const rank = (xs[at] as NDArray).ndim;
    const some = vmap(
      whole,
      xs.map((_, i) => (i === at ? rank : null)),
      { outAxes: -1 },
    );
    const args = xs.map((x, i) => (i === at ? stacked(i, rank) : x));
    const outs = expected((v) => xs.map((x, i) => (i === at ? (v[i] as NDArray) : x)));
    const last = outs.map((o) =>
      stack(
        range(3).map((i) => unstacked(o, i)),
        o.ndim - 1,
      ),
    );
    this.same(`${law} over argument ${at}`, some(...args), last);
  }

  /** Laws of derivatives, in float64. Gives the gradient of Σ cᵏ·fᵏ, for comparison between backends. */
  derivatives(xs: Arrays): Arrays {
    const f: F = (...a) => this.#f(...a).filter((y) => isFloat(y.dtype));
    const list = (...a: NDArray[]): NDArray[] => [...f(...a)];
    const outs = list(...xs);
    if (outs.length === 0) return [];
    const us = direction(
      xs.map((x) => x.aval),
      this.#random,
    );
    const vs = direction(
      outs.map((y) => y.aval),
      this.#random,
    );

    const push = (...a: NDArray[]): NDArray[] => jvp(list, a, us)[1];
    const pull = (...a: NDArray[]): NDArray[] => [...vjp(list, ...a)[1](vs)];
    const closedJvp = this.checked("jvp f", (...a) => jvp(list, a, us).flat(), xs);
    const closedVjp = this.checked("vjp f", pull, xs);

    const [primal, tangents] = jvp(list, [...xs], us);
    this.close("jvp f gives f", primal, outs);
    const cts = pull(...xs);
    const [left, right] = [innerProduct(tangents, vs), innerProduct(us, cts)];
    if (!(Math.abs(left.sum - right.sum) <= relative * Math.max(1, left.size + right.size)))
      this.fail("⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩", `${left.sum} and ${right.sum}`, closedVjp);

    const [value, linear] = linearize(list, ...xs);
    this.close("linearize f gives f", value, outs);
    this.close("linearize f is jvp f at a point", linear(...us), tangents, 0, closedJvp);
    const size = magnitude(cts.flatMap(numbers));
    this.close("jit vjp f = vjp f", jit(pull)(...xs), cts, size, closedVjp);
    this.close("jit jvp f = jvp f", jit(push)(...xs), tangents, 0, closedJvp);

    const loss = (...a: NDArray[]): NDArray =>
      list(...a)
        .map((y, k) => reduceSum(mul(y, vs[k] as NDArray), range(y.ndim)))
        .reduce((p, q) => add(p, q));
    const argnums = xs.map((_, i) => i);
    const gradient = grad(loss, { argnums }) as (...a: NDArray[]) => NDArray[];
    this.close("grad Σ v·f = vjp f v", gradient(...xs), cts, size);

    // vmap ∘ grad = grad ∘ vmap, summed
    const batch = xs.map((x) => stack([x, mul(x, 0.5), mul(x, -0.75)]));
    const each = vmap(gradient, 0);
    const summed = grad((...a: NDArray[]) => reduceSum(vmap(loss, 0)(...a), [0]), {
      argnums,
    }) as typeof each;
    this.close(
      "vmap grad f = grad Σ vmap f",
      each(...batch),
      summed(...batch),
      size,
      this.checked("vmap grad f", each, batch),
    );

    // second order: the Hessian is symmetric, and is the derivative of the gradient
    const ws = direction(
      xs.map((x) => x.aval),
      this.#random,
    );
    const alongGradient =
      (d: Arrays) =>
      (...a: NDArray[]): NDArray[] =>
        jvp(gradient, a, [...d])[1];
    const [hu, hw] = [alongGradient(us)(...xs), alongGradient(ws)(...xs)];
    this.checked("jvp grad f", alongGradient(us), xs);
    const [p, q] = [innerProduct(hu, ws), innerProduct(hw, us)];
    if (!(Math.abs(p.sum - q.sum) <= relative * Math.max(1, size, p.size + q.size)))
      this.fail("⟨H·u, w⟩ = ⟨u, H·w⟩", `${p.sum} and ${q.sum}`);

    if (this.#lawful.smooth ?? true) {
      this.settles("jvp f = lim (f(x+hu) − f(x−hu))/2h", list, xs, us, tangents);
      this.settles("H·u = lim (∇f(x+hu) − ∇f(x−hu))/2h", gradient, xs, us, hu);
    }
    return cts;
  }

  /** Compares with differences where they settle; counts where they do not. */
  settles(law: string, f: F, xs: Arrays, us: Arrays, derivative: Arrays): void {
    const found = differences((a) => f(...a), xs, us, 2 ** -10);
    derivative.forEach((t, k) => {
      numbers(t).forEach((got, i) => {
        const want = found.slope[k]?.[i] as number;
        const error = found.error[k]?.[i] as number;
        const size = Math.max(1, found.scale, Math.abs(want));
        if (!(error <= 1e-4 * size)) {
          this.rough++;
          return;
        }
        this.differences++;
        // roundings of f, divided by the smallest step
        const bound = error + (relative / 10) * size + 1e-13 * 2 ** 12 * size;
        if (!(Math.abs(got - want) <= bound))
          this.fail(
            law,
            `${got} by rule and ${want} by differences at element ${i} of result ${k}, more than ${bound} apart`,
          );
      });
    });
  }
}

/** x[i] along axis 0, as an array. */
function unstacked(x: NDArray, i: number): NDArray {
  const n = x.size / (x.shape[0] as number);
  return fromValues(numbers(x).slice(i * n, (i + 1) * n), x.aval.with({ shape: x.shape.slice(1) }));
}

/** Checks the laws on a function or a program: jit f = f, vmap f = stack ∘ map f, simplify f = f, linearize = jvp,
 *  ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩, vmap ∘ grad = grad ∘ vmap, derivatives against differences, well-formed jaxprs after each
 *  rewriting, and the same results on each backend.
 *  @throws CotangentError naming the law
 *  @example fc.assert(fc.property(arb.program(), (p) => { transformsAgree(p); })) */
export function transformsAgree(
  lawful: Lawful,
  { backends = ["wasm", "reference"], seed = 1 }: LawOptions = {},
): LawReport {
  const seen = backends.map((backend) =>
    withBackend(backend, () => {
      const laws = new Laws(lawful, seed);
      const values = laws.values(lawful.args("float32"));
      const gradient = laws.derivatives(lawful.args("float64"));
      return { backend, laws, values, gradient };
    }),
  );
  const [first, ...rest] = seen as [(typeof seen)[number], ...typeof seen];
  for (const other of rest) {
    first.laws.same(`${other.backend} = ${first.backend}`, other.values, first.values);
    first.laws.close(
      `${other.backend} = ${first.backend}, gradients`,
      other.gradient,
      first.gradient,
    );
  }
  return { differences: first.laws.differences, rough: first.laws.rough };
}

/** A property for `fc.assert`: the derivatives of `f` agree with differences and with each other, at arguments drawn from
 *  the arbitraries.
 *  @example fc.assert(gradientsAgree((x) => np.sum(np.sin(x)), arb.float32Array({ shape: [3] }))) */
export function gradientsAgree<A extends [unknown, ...unknown[]]>(
  f: (...args: A) => unknown,
  ...arbitraries: { [K in keyof A]: fc.Arbitrary<A[K]> }
): fc.IProperty<A> {
  // fc.property's own type wants a tuple of arbitraries that it can count
  const property = fc.property as (...all: unknown[]) => unknown;
  return property(...arbitraries, (...args: A) => checkGrads(f, args)) as fc.IProperty<A>;
}
