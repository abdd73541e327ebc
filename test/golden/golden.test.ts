/** Every sample against JAX: values and vjps, eagerly and under jit, within the sample's stated distance.
 *
 *  JAX's float32 results carry rounding errors of their own, and where a sum cancels they can be many units in the
 *  last place. make.py measures them against float64: the allowance of an element is what the sample states
 *  (default 2 ulp) plus JAX's own error at that element. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { dataSync, fromValues } from "../../core/array.ts";
import { Aval } from "../../core/aval.ts";
import { castNumber, type DType, isFloat } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { zerosOf } from "../../core/ops/linear.ts";
import { jit, vjp } from "../../index.ts";
import { difference } from "../kit/compare.ts";
import {
  argumentsOf,
  cotangentValues,
  decode,
  differentiated,
  digestOf,
  type Encoded,
  resultsOf,
} from "../samples/data.ts";
import { families } from "../samples/index.ts";
import type { Sample } from "../samples/sample.ts";

interface Result {
  readonly d: DType;
  readonly s: readonly number[];
  readonly v: readonly Encoded[];
  /** JAX's own error by element, in ulp */
  readonly e?: { readonly [element: string]: number };
}
interface Golden {
  readonly primitive: string;
  readonly name: string;
  readonly digest: string;
  readonly values: readonly Result[];
  readonly grads?: readonly Result[];
}

const remake = "run test/golden/make.py (its header says how)";
const folder = new URL("./values/", import.meta.url);
const goldens = new Map<string, Golden>();
for (const family of Object.keys(families)) {
  const file = `${family}.json`;
  if (!readdirSync(folder).includes(file))
    throw new Error(`no golden values of ${family}: ${remake}`);
  for (const g of JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Golden[])
    goldens.set(`${family}/${g.primitive}: ${g.name}`, g);
}

function against(
  what: string,
  got: readonly NDArray[],
  want: readonly Result[],
  ulp: number,
  signedZero: boolean,
): string[] {
  if (got.length !== want.length) return [`${what}: ${got.length} results, not ${want.length}`];
  return got.flatMap((x, k) => {
    const w = want[k] as Result;
    const aval = Aval.of(w.s, w.d);
    if (x.aval.strong !== aval) return [`${what} ${k}: ${x.aval}, not ${aval}`];
    const text = difference(
      dataSync(x),
      w.v.map((v) => castNumber(decode(v), w.d)),
      w.d,
      {
        ulps: (i) => ulp + Math.ceil(w.e?.[i] ?? 0),
        signedZero,
      },
    );
    return text === "" ? [] : [`${what} ${k}: ${text}`];
  });
}

/** vjp of the differentiated arguments with the fixed cotangents. */
function gradients(sample: Sample, xs: readonly NDArray[], wrap: typeof jit | null): NDArray[] {
  const positions = differentiated(sample);
  const f = (...picked: NDArray[]): NDArray[] => {
    const all = [...xs];
    positions.forEach((p, i) => {
      all[p] = picked[i] as NDArray;
    });
    return resultsOf(sample, all);
  };
  const pull = (...picked: NDArray[]): NDArray[] => {
    const [outs, back] = vjp(f, ...picked);
    const cts = outs.map((o, k) =>
      isFloat(o.dtype)
        ? fromValues(cotangentValues(o.size, k), o.aval.strong)
        : zerosOf(o.aval.strong),
    );
    return [...back(cts)];
  };
  return (wrap === null ? pull : wrap(pull))(...positions.map((p) => xs[p] as NDArray));
}

const seen = { values: 0, gradients: 0 };

for (const [family, samples] of Object.entries(families))
  describe(family, () => {
    for (const sample of samples)
      it(`${sample.primitive}: ${sample.name}`, () => {
        const golden = goldens.get(`${family}/${sample.primitive}: ${sample.name}`);
        if (golden === undefined) throw new Error(`no golden value: ${remake}`);
        if (golden.digest !== digestOf(sample))
          throw new Error(`the golden value is stale: ${remake}`);
        const xs = argumentsOf(sample);
        const ulp = sample.ulp ?? 2;
        const bad = [
          ...against("eager value", resultsOf(sample, xs), golden.values, ulp, true),
          ...against(
            "jit value",
            jit((...a: NDArray[]) => resultsOf(sample, a))(...xs),
            golden.values,
            ulp,
            true,
          ),
        ];
        seen.values++;
        if (golden.grads !== undefined) {
          bad.push(
            ...against("eager gradient", gradients(sample, xs, null), golden.grads, ulp, false),
            ...against("jit gradient", gradients(sample, xs, jit), golden.grads, ulp, false),
          );
          seen.gradients++;
        }
        expect(bad).toEqual([]);
      });
  });

it("covers at least 400 values and 200 gradients, and has no golden without a sample", () => {
  expect(goldens.size).toBe(Object.values(families).flat().length);
  expect(seen.values).toBeGreaterThanOrEqual(400);
  expect(seen.gradients).toBeGreaterThanOrEqual(200);
});
