/** Derivatives against finite differences, and reverse mode against forward mode. */
import { dataSync, fromValues } from "../../core/array.ts";
import type { Aval } from "../../core/aval.ts";
import { type DType, dtypes, isFloat } from "../../core/dtype.ts";
import { CotangentError, fail } from "../../core/errors.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { convert } from "../../core/ops/linear.ts";
import { flatten, unflatten } from "../../core/tree.ts";
import { flattenArrays, pathsOf } from "../../transforms/arguments.ts";
import { jvp, vjp } from "../../transforms/autodiff.ts";
import { Random } from "../conformance/values.ts";
import { magnitude } from "./compare.ts";

export type Mode = "fwd" | "rev";

export interface Tolerance {
  /** relative to the derivative */
  readonly rtol: number;
  /** relative to the size of the function's values */
  readonly atol: number;
}

export interface CheckGradsOptions {
  /** highest derivative that is checked (default 2) */
  readonly order?: number;
  /** forward (`jvp`) and reverse (`vjp`) mode (default both) */
  readonly modes?: readonly Mode[];
  /** step of the differences; default ε^(1/5) for the ε of the result's dtype: 2⁻¹⁰ for float64 */
  readonly eps?: number;
  /** by the dtype of the function's results when it is given float64 arguments */
  readonly tolerance?: { readonly [D in DType]?: Tolerance };
  /** of the random directions (default 0) */
  readonly seed?: number;
}

/** With step h = ε^(1/5) the extrapolated difference is off by O(h⁴)·f⁽⁵⁾, which `differences` estimates, and by
 *  roundings of about 4ε·|f|/h = 4ε^(4/5)·|f|. A factor of 25 is left for functions of many operations. */
const defaultTolerance = (dtype: DType): Tolerance => {
  const t = 100 * dtypes[dtype].eps ** 0.8;
  return { rtol: t, atol: t };
};

export type Flat = (xs: readonly NDArray[]) => readonly NDArray[];

const values = (x: NDArray): number[] => Array.from(dataSync(x));

/** A random direction: entries in ±[1/2, 1]. */
export function direction(avals: readonly Aval[], random: Random): NDArray[] {
  return avals.map((a) =>
    fromValues(
      Array.from(
        { length: a.size },
        () => (random.chance(0.5) ? 1 : -1) * (0.5 + random.bits() / 2 ** 33),
      ),
      a.strong,
    ),
  );
}

/** x + h·v, computed on the host. */
const moved = (xs: readonly NDArray[], vs: readonly NDArray[], h: number): NDArray[] =>
  xs.map((x, i) => {
    const v = values(vs[i] as NDArray);
    return fromValues(
      values(x).map((e, j) => e + h * (v[j] as number)),
      x.aval,
    );
  });

export interface Differences {
  /** derivative of each output element along the direction; NaN where the function itself is not finite */
  readonly slope: readonly number[][];
  /** how far two extrapolations with different steps are apart: an estimate of the truncation error */
  readonly error: readonly number[][];
  /** largest finite |f| */
  readonly scale: number;
}

/** Central differences D with steps h, h/2 and h/4, extrapolated: R(h) = (4·D(h/2) − D(h))/3 is off by O(h⁴). */
export function differences(
  f: Flat,
  xs: readonly NDArray[],
  vs: readonly NDArray[],
  h: number,
): Differences {
  const at = (step: number): number[][] => f(moved(xs, vs, step)).map(values);
  const steps = [h, h / 2, h / 4];
  const pairs = steps.map((s) => [at(s), at(-s)] as const);
  const slope: number[][] = [];
  const error: number[][] = [];
  (pairs[0] as (typeof pairs)[number])[0].forEach((first, k) => {
    const found = first.map((_, i) => {
      const [d0, d1, d2] = pairs.map(
        ([up, down], j) =>
          ((up[k]?.[i] as number) - (down[k]?.[i] as number)) / (2 * (steps[j] as number)),
      ) as [number, number, number];
      const [r0, r1] = [(4 * d1 - d0) / 3, (4 * d2 - d1) / 3];
      return [r1, Math.abs(r1 - r0)] as const;
    });
    slope.push(found.map(([r]) => r));
    error.push(found.map(([, e]) => e));
  });
  return { slope, error, scale: magnitude(pairs.flat().flat(2)) };
}

const floats =
  (f: Flat): Flat =>
  (xs) =>
    f(xs).filter((y) => isFloat(y.dtype));
const push = (f: Flat, xs: readonly NDArray[], vs: readonly NDArray[]): readonly NDArray[] =>
  jvp((...a: NDArray[]) => [...f(a)], [...xs], [...vs])[1];
const pull = (f: Flat, xs: readonly NDArray[], cts: readonly NDArray[]): readonly NDArray[] =>
  vjp((...a: NDArray[]) => [...f(a)], ...xs)[1]([...cts]) as NDArray[];

/** Σ over lists of arrays of x·y, and Σ |x·y|. */
export function innerProduct(
  xs: readonly NDArray[],
  ys: readonly NDArray[],
): { readonly sum: number; readonly size: number } {
  let sum = 0;
  let size = 0;
  xs.forEach((x, i) => {
    const y = values(ys[i] as NDArray);
    values(x).forEach((e, j) => {
      sum += e * (y[j] as number);
      size += Math.abs(e * (y[j] as number));
    });
  });
  return { sum, size };
}

/** Checks the derivatives of `f` at `args`, in float64: forward mode against central differences along random
 *  directions, reverse mode by ⟨J·u, v⟩ = ⟨u, Jᵀ·v⟩, and the same for the derivatives themselves up to `order`.
 *  Integer and boolean leaves are held fixed.
 *  @throws CotangentError naming the argument, the mode and the order that disagree
 *  @example checkGrads((x) => np.sin(x), [np.array([0.5, 1])])  // => undefined */
export function checkGrads<A extends readonly unknown[]>(
  f: (...args: A) => unknown,
  args: A,
  { order = 2, modes = ["fwd", "rev"], eps, tolerance = {}, seed = 0 }: CheckGradsOptions = {},
): void {
  const { leaves, tree } = flattenArrays("checkGrads", "args", args);
  const positions = leaves.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
  if (positions.length === 0)
    fail(
      CotangentError,
      "checkGrads",
      "at least one argument must be a float array",
      "none",
      "pass what the function is differentiated by",
    );
  const names = pathsOf("args", args);
  const random = new Random(seed);
  const flat: Flat = floats((xs) => {
    const all = [...leaves];
    positions.forEach((p, i) => {
      all[p] = xs[i] as NDArray;
    });
    return flatten(f(...(unflatten(tree, all) as unknown as A)))[0] as NDArray[];
  });
  const xs = positions.map((p) => convert(leaves[p] as NDArray, "float64"));
  const paths = positions.map((p) => names[p] as string);

  const complain = (mode: string, level: number, which: string, what: string): never =>
    fail(
      CotangentError,
      "checkGrads",
      `derivative ${level} of the function with respect to ${which} must be right in mode ${mode}`,
      what,
      "check the rules of the operations it uses, and that it is smooth at this point",
    );

  /** whether forward mode agrees with differences along vs; what is wrong otherwise */
  const forward = (g: Flat, vs: readonly NDArray[]): string => {
    const tangents = push(g, xs, vs);
    const dtype = tangents.map((t) => t.dtype).sort((p, q) => dtypes[q].eps - dtypes[p].eps)[0];
    if (dtype === undefined) return "";
    const { rtol, atol } = tolerance[dtype] ?? defaultTolerance(dtype);
    const near = differences(g, xs, vs, eps ?? 2 ** Math.round(Math.log2(dtypes[dtype].eps) / 5));
    for (const [k, t] of tangents.entries())
      for (const [i, got] of values(t).entries()) {
        const want = near.slope[k]?.[i] as number;
        if (Number.isNaN(want)) continue; // the function is not finite here
        const error = near.error[k]?.[i] as number;
        const rough = 1e-3 * (Math.abs(want) + near.scale);
        if (error > rough) return `differences that do not settle at element ${i} of result ${k}`;
        const bound = error + rtol * Math.abs(want) + atol * Math.max(near.scale, 1e-3);
        if (!(Math.abs(got - want) <= bound))
          return `${got} by jvp and ${want} by differences at element ${i} of result ${k}, apart by more than ${bound}`;
      }
    return "";
  };
  const zeros = (i: number): NDArray =>
    fromValues(new Array<number>((xs[i] as NDArray).size).fill(0), (xs[i] as NDArray).aval);

  const check = (g: Flat, level: number, mode: string): void => {
    const us = direction(
      xs.map((x) => x.aval),
      random,
    );
    const wrong = forward(g, us);
    if (wrong !== "") {
      // which argument is to blame
      for (const i of us.keys()) {
        const alone = forward(
          g,
          us.map((u, j) => (i === j ? u : zeros(j))),
        );
        if (alone !== "")
          complain(mode === "" ? "fwd" : `fwd of ${mode}`, level, paths[i] as string, alone);
      }
      complain(mode === "" ? "fwd" : `fwd of ${mode}`, level, paths.join(", "), wrong);
    }
    const tangents = push(g, xs, us);
    const vs = direction(
      tangents.map((t) => t.aval),
      random,
    );
    if (modes.includes("rev")) {
      const cts = pull(g, xs, vs);
      for (const i of us.keys()) {
        const only = us.map((u, j) => (i === j ? u : zeros(j)));
        const left = innerProduct(push(g, xs, only), vs);
        const right = innerProduct([only[i] as NDArray], [cts[i] as NDArray]);
        const worst = Math.max(...tangents.map((t) => dtypes[t.dtype].eps));
        // each side is a sum of products that carry a few roundings for each step of the function
        const bound = 1e4 * worst * (left.size + right.size + Number.MIN_VALUE);
        if (!(Math.abs(left.sum - right.sum) <= bound))
          complain(
            mode === "" ? "rev" : `rev of ${mode}`,
            level,
            paths[i] as string,
            `⟨J·u, v⟩ = ${left.sum} and ⟨u, Jᵀ·v⟩ = ${right.sum}`,
          );
      }
    }
    if (level >= order) return;
    if (modes.includes("fwd"))
      check((a) => push(g, a, us), level + 1, `fwd${mode === "" ? "" : ` of ${mode}`}`);
    if (modes.includes("rev"))
      check((a) => pull(g, a, vs), level + 1, `rev${mode === "" ? "" : ` of ${mode}`}`);
  };
  check(flat, 1, "");
}
