/** Every sample of every primitive: wasm = reference, jit = eager, vmap = a stack of calls, derivatives against
 *  differences and against each other, and well-formed jaxprs after every transform. */
import { describe, expect, it } from "vitest";
import { dataSync, fromValues } from "../../core/array.ts";
import type { Aval } from "../../core/aval.ts";
import "../../core/backend/reference/index.ts";
import { dtypes, isFloat } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { stack } from "../../core/ops/join.ts";
import { convert, instantiate } from "../../core/ops/linear.ts";
import { Zero } from "../../core/primitive.ts";
import { sizeOf } from "../../core/shape.ts";
import { checkJaxpr } from "../../core/ir/checker.ts";
import { jit, jvp, makeJaxpr, simplify, vjp, vmap, withBackend } from "../../index.ts";
import { checkGrads } from "../kit/check-grads.ts";
import { arrayDifference } from "../kit/compare.ts";
import { argumentsOf, avalsOf, differentiated, resultsOf, valuesOf } from "../samples/data.ts";
import { families } from "../samples/index.ts";
import type { Sample } from "../samples/sample.ts";

/** What differs between two lists of results; each pair must agree to the last bit (NaN = NaN, −0 = −0), or
 *  within `bound` where one is given. */
function differing(
  what: string,
  got: readonly NDArray[],
  want: readonly NDArray[],
  bound: ((result: number, i: number) => number) | null = null,
): string[] {
  if (got.length !== want.length) return [`${what}: ${got.length} results, not ${want.length}`];
  return got.flatMap((x, i) => {
    const text = arrayDifference(x, want[i] as NDArray, {
      signedZero: true,
      absolute: (j) => bound?.(i, j) ?? 0,
    });
    return text === "" ? [] : [`${what}, result ${i}: ${text}`];
  });
}

/** Contractions may add their products in any order and precision: n roundings of Σ|x·y| apart, where n is the
 *  number of products and Σ|x·y| the same contraction of absolute values. */
function orderBound(
  family: string,
  sample: Sample,
): ((result: number, i: number) => number) | null {
  if (family !== "contract" && family !== "conv") return null;
  const size = Math.max(...sample.args.map((a) => sizeOf(a.shape)));
  const sums = resultsOf(
    sample,
    avalsOf(sample).map((aval, i) => fromValues(valuesOf(sample, i).map(Math.abs), aval)),
  );
  const bounds = sums.map((y) => Array.from(dataSync(y), (v) => v * size * dtypes[y.dtype].eps));
  return (result, i) => bounds[result]?.[i] ?? 0;
}

/** The sample's arguments with the elements of argument i in reverse order: values that are as good. */
const reversed = (sample: Sample): NDArray[] =>
  avalsOf(sample).map((aval, i) => fromValues(valuesOf(sample, i).reverse(), aval));

/** vmap over the arguments for which `batched` is true, at axis 0 or at the last one, against two calls. */
function batchDifferences(
  sample: Sample,
  batched: readonly boolean[],
  last: boolean,
  bound: ReturnType<typeof orderBound>,
): string[] {
  const examples = [argumentsOf(sample), reversed(sample)];
  const [first, second] = examples as [NDArray[], NDArray[]];
  const picked = [first, second.map((x, i) => (batched[i] ? x : (first[i] as NDArray)))];
  const axes = first.map((x, i) => (batched[i] ? (last ? x.ndim : 0) : null));
  const args = first.map((x, i) =>
    batched[i] ? stack([x, second[i] as NDArray], axes[i] as number) : x,
  );
  const want = (picked.map((xs) => resultsOf(sample, xs)) as [NDArray[], NDArray[]]).reduce(
    (a, b) => a.map((x, i) => stack([x, b[i] as NDArray], 0)),
  );
  const got = vmap((...xs: NDArray[]) => resultsOf(sample, xs), axes)(...args);
  // each result is a stack of two of those that the bound is for, of elements in another order
  const largest = want.map(({ size }, k) =>
    Math.max(0, ...Array.from({ length: size / 2 }, (_, i) => bound?.(k, i) ?? 0)),
  );
  return differing(
    `vmap of ${batched.map((b) => (b ? "B" : "-")).join("")}${last ? ", last axis" : ""}`,
    got,
    want,
    (k) => largest[k] as number,
  );
}

function batchings(sample: Sample, bound: ReturnType<typeof orderBound>): string[] {
  const n = sample.args.length;
  const masks = Array.from({ length: n }, (_, i) => sample.args.map((_, j) => i === j));
  if (n > 1) masks.push(sample.args.map(() => true));
  return masks.flatMap((mask) => [
    ...batchDifferences(sample, mask, false, bound),
    ...batchDifferences(sample, mask, true, bound),
  ]);
}

/** The sample as a function of its differentiated arguments. */
const ofDifferentiated =
  (sample: Sample, xs: readonly NDArray[]) =>
  (...picked: NDArray[]): NDArray[] => {
    const all = [...xs];
    differentiated(sample).forEach((p, i) => {
      all[p] = picked[i] as NDArray;
    });
    return resultsOf(sample, all);
  };

/** Well-formed jaxprs: of the sample, of its derivatives, of its batching, each also simplified. */
function checkRewrites(sample: Sample): void {
  const xs = argumentsOf(sample);
  const f = (...a: NDArray[]): NDArray[] => resultsOf(sample, a);
  const closed = [makeJaxpr(f)(...xs)];
  if (xs.length > 0) closed.push(makeJaxpr(vmap(f, 0))(...xs.map((x) => stack([x, x], 0))));
  const picked = differentiated(sample).map((p) => xs[p] as NDArray);
  if (picked.length > 0) {
    const g = ofDifferentiated(sample, xs);
    const zero = (a: Aval): NDArray => instantiate(new Zero(a));
    closed.push(
      makeJaxpr((...a: NDArray[]) => jvp(g, a, a))(...picked),
      makeJaxpr((...a: NDArray[]) => {
        const [outs, pull] = vjp(g, ...a);
        return pull(outs.map((o) => (isFloat(o.dtype) ? o : zero(o.aval))));
      })(...picked),
    );
  }
  for (const c of closed) {
    checkJaxpr(c);
    checkJaxpr(simplify(c));
  }
}

for (const [family, samples] of Object.entries(families))
  describe(family, () => {
    for (const sample of samples)
      it(`${sample.primitive}: ${sample.name}`, () => {
        const f = (...a: NDArray[]): NDArray[] => resultsOf(sample, a);
        const xs = argumentsOf(sample);
        const eager = f(...xs);
        const bound = orderBound(family, sample);
        const bad = [
          ...differing("jit", jit(f)(...xs), eager),
          ...withBackend("reference", () =>
            differing("reference", f(...argumentsOf(sample)), eager, bound),
          ),
          ...batchings(sample, bound),
        ];
        expect(bad).toEqual([]);
        checkRewrites(sample);
        const picked = differentiated(sample).map((p) => xs[p] as NDArray);
        const wide = xs.map((x) => (isFloat(x.dtype) ? convert(x, "float64") : x));
        const finite = xs.every((_, i) => valuesOf(sample, i).every(Number.isFinite));
        const moves = picked.length > 0 && eager.some((y) => isFloat(y.dtype));
        if (sample.noNumericGrad === undefined && finite && moves)
          checkGrads(ofDifferentiated(sample, wide), picked);
      });
  });
