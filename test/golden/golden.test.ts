/** Values and gradients of every sample against JAX.
 *
 *  The allowance for an element is 2 units in the last place of the result's dtype (one rounding on each side), or
 *  what the sample states with its reason, plus JAX's own distance from the float64 result where the golden notes
 *  one of at most 64. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromValues } from "../../core/array.ts";
import { Aval } from "../../core/aval.ts";
import { type DType, isFloat } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { jit, vjp } from "../../index.ts";
import { arrayDifference } from "../kit/compare.ts";
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
  readonly e?: { readonly [i: string]: number };
}
interface Golden {
  readonly primitive: string;
  readonly name: string;
  readonly digest: string;
  readonly values: readonly Result[];
  readonly grads?: readonly Result[];
}

const renew = "run test/golden/make.py";
const trusted = 64;
let values = 0;
let gradients = 0;

function agree(sample: Sample, got: readonly NDArray[], want: readonly Result[]): void {
  expect(got.length).toBe(want.length);
  want.forEach(({ d, s, v, e = {} }, k) => {
    const allowed = (i: number): number => {
      const own = e[String(i)] ?? 0;
      return (isFloat(d) ? (sample.ulp ?? 2) : 0) + (own <= trusted ? own : 0);
    };
    const wanted = fromValues(v.map(decode), Aval.of(s, d));
    expect(arrayDifference(got[k] as NDArray, wanted, { ulps: allowed }), `result ${k}`).toBe("");
  });
}

for (const [family, samples] of Object.entries(families)) {
  describe(family, () => {
    const file = join(import.meta.dirname, "values", `${family}.json`);
    const goldens = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Golden[]) : [];
    const byName = new Map(goldens.map((g) => [`${g.primitive}: ${g.name}`, g]));
    for (const sample of samples) {
      const title = `${sample.primitive}: ${sample.name}`;
      test(title, () => {
        const golden = byName.get(title);
        if (golden === undefined) throw new Error(`no golden: ${renew}`);
        if (golden.digest !== digestOf(sample)) throw new Error(`the golden is stale: ${renew}`);
        const xs = argumentsOf(sample);
        agree(sample, resultsOf(sample, xs), golden.values);
        // the compiled function gives the very same bits
        const compiled = jit((...args: NDArray[]) => resultsOf(sample, args))(...xs);
        agree(sample, compiled, golden.values);
        values++;
        if (golden.grads === undefined) return;
        const positions = differentiated(sample);
        const [out, pull] = vjp(
          (...moved: NDArray[]) => {
            const all = [...xs];
            positions.forEach((p, i) => {
              all[p] = moved[i] as NDArray;
            });
            return resultsOf(sample, all);
          },
          ...positions.map((p) => xs[p] as NDArray),
        );
        const cts = out.map((y, k) =>
          fromValues(
            isFloat(y.dtype) ? cotangentValues(y.size, k) : new Array<number>(y.size).fill(0),
            y.aval.strong,
          ),
        );
        agree(sample, pull(cts) as NDArray[], golden.grads);
        gradients++;
      });
    }
  });
}

test("there are enough of them", () => {
  console.log(`goldens: ${values} values and ${gradients} gradients agree with JAX`);
  expect(values).toBeGreaterThanOrEqual(400);
  expect(gradients).toBeGreaterThanOrEqual(200);
});
