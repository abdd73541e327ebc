import { readFileSync, writeFileSync, existsSync } from "node:fs";
import "../core/eval.ts";
import { referenceBackend } from "../core/backend/reference/backend.ts";
import { registerBackend, setBackend } from "../core/backend/registry.ts";
import { fromValues, dataSync } from "../core/array.ts";
import { Aval } from "../core/aval.ts";
import { isFloat, castNumber, type DType } from "../core/dtype.ts";
import type { NDArray } from "../core/ndarray.ts";
import { traceToJaxpr } from "../core/trace.ts";
import { evalClosed, compiledJaxpr, run } from "../core/eval.ts";
import { vjp, jvp } from "../transforms/autodiff.ts";
import { vmap } from "../transforms/vmap.ts";
import { argumentsOf, cotangentValues, decode, differentiated, digestOf, encode, resultsOf, titleOf, valuesOf } from "./samples/data.ts";
import type { Sample } from "./samples/sample.ts";
import { difference, ulpDistance } from "./kit/compare.ts";
import { stack, indexInDim } from "../core/ops/structural.ts";
import { describe, expect, it } from "vitest";
import * as S1 from "./samples/linear.ts";
import * as S2 from "./samples/structural.ts";
import * as S3 from "./samples/arithmetic.ts";
import * as S4 from "./samples/compare.ts";
import * as S5 from "./samples/convert.ts";

registerBackend(referenceBackend);
setBackend(process.env["BACKEND"] ?? "reference");
const families: Record<string, readonly Sample[]> = { linear: S1.samples, structural: S2.samples, arithmetic: S3.samples, compare: S4.samples, convert: S5.samples };

if (process.env["EXPORT"]) {
  const out = Object.entries(families).map(([family, samples]) => [family, samples.map((s) => ({
    primitive: s.primitive, name: s.name, jax: s.jax, grad: differentiated(s), digest: digestOf(s),
    args: s.args.map((a, i) => ({ shape: a.shape, dtype: a.dtype, values: valuesOf(s, i).map(encode) })) }))]);
  writeFileSync("/tmp/gold/inputs.json", JSON.stringify(Object.fromEntries(out)));
}
const only = process.env["ONLY"];
for (const [family, samples] of Object.entries(families)) {
  if (only && !family.match(only)) continue;
  const file = `/tmp/gold/values/${family}.json`;
  const gold = new Map<string, any>();
  if (existsSync(file)) for (const g of JSON.parse(readFileSync(file, "utf8"))) gold.set(g.primitive + ": " + g.name, g);
  describe(family, () => {
    it("unique", () => { const t = samples.map(titleOf); expect(new Set(t).size).toBe(t.length); });
    for (const s of samples) it(titleOf(s), () => {
      const problems: string[] = [];
      const xs = argumentsOf(s);
      const g = gold.get(titleOf(s));
      if (!g) problems.push("no golden");
      const check = (what: string, got: NDArray, want: any) => {
        if (got.dtype !== want.d || String(got.shape) !== String(want.s)) { problems.push(`${what}: ${got.aval} not ${want.d}[${want.s}]`); return; }
        const d = difference(dataSync(got), want.v.map(decode).map((v: number) => castNumber(v, got.dtype)), got.dtype, { ulps: s.ulp ?? 2, signedZero: false });
        if (d) problems.push(`${what}: ${d}`);
        else { const z = difference(dataSync(got), want.v.map(decode).map((v: number) => castNumber(v, got.dtype)), got.dtype, { ulps: s.ulp ?? 2, signedZero: true }); if (z && process.env["ZEROS"]) problems.push(`${what} zeros: ${z}`); }
      };
      const outs = resultsOf(s, xs);
      if (g) outs.forEach((o, k) => check(`out ${k}`, o, g.values[k]));
      // jit of the whole
      const closed = traceToJaxpr("t", (a) => resultsOf(s, a), xs.map((x) => x.aval));
      const j = run(compiledJaxpr("t", closed.jaxpr), [...closed.consts, ...xs]);
      j.forEach((o, k) => { const d = difference(dataSync(o), dataSync(outs[k]!), o.dtype, { signedZero: true }); if (d) problems.push("jit " + d); });
      const diff = differentiated(s);
      const partial = (...d: NDArray[]) => { const all = [...xs]; diff.forEach((p, i) => { all[p] = d[i]!; }); return resultsOf(s, all).filter((o) => isFloat(o.dtype)); };
      const floatOuts = outs.map((o, k) => [o, k] as const).filter(([o]) => isFloat(o.dtype));
      if (diff.length > 0 && floatOuts.length > 0) {
        const [, pull] = vjp(partial as any, ...diff.map((p) => xs[p]!)) as any;
        const cts = floatOuts.map(([o, k]) => fromValues(cotangentValues(o.size, k), Aval.of(o.shape, o.dtype)));
        const grads = pull(cts) as NDArray[];
        if (g?.grads) grads.forEach((o: NDArray, k: number) => check(`grad ${k}`, o, g.grads[k]));
        else problems.push("no golden grads");
        if (!process.env["NOVMAP"] ) {
          // vmap of vjp
          const batch = vmap((...d: any[]) => { const [, pl] = vjp(partial as any, ...d) as any; return pl(cts); });
          const twice = diff.map((p) => stack([xs[p]!, xs[p]!], 0));
          (batch(...twice) as any[]).forEach((o: NDArray, k: number) => { for (const i of [0, 1]) { const d = difference(dataSync(indexInDim(o, i, 0, false)), dataSync(grads[k]!), o.dtype, { signedZero: true }); if (d) problems.push(`vmap vjp ${k}: ${d}`); } });
          // jvp dual check <J t, ct> = <t, J^T ct>
          const ts = diff.map((p, i) => fromValues(cotangentValues(xs[p]!.size, i + 5), Aval.of(xs[p]!.shape, xs[p]!.dtype)));
          const [, tout] = jvp(partial as any, diff.map((p) => xs[p]!) as any, ts as any) as any;
          let lhs = 0, rhs = 0, scale = 0;
          (tout as NDArray[]).forEach((o, k) => dataSync(o).forEach((v, i) => { const t = v * (dataSync(cts[k]!)[i] as number); lhs += t; scale += Math.abs(t); }));
          grads.forEach((o, k) => dataSync(o).forEach((v, i) => { const t = v * (dataSync(ts[k]!)[i] as number); rhs += t; scale += Math.abs(t); }));
          const eps = { float16: 1e-2, bfloat16: 5e-2, float32: 1e-5, float64: 1e-13 } as any;
          if (Number.isFinite(lhs) && Number.isFinite(rhs) && Math.abs(lhs - rhs) > scale * (eps[xs[diff[0]!]!.dtype]) ) problems.push(`dual ${lhs} ${rhs}`);
          if (Number.isFinite(lhs) !== Number.isFinite(rhs)) problems.push(`dual finite ${lhs} ${rhs}`);
        }
      }
      // vmap, every subset of arguments, batch axis first or last
      const n = xs.length;
      for (let mask = 1; mask < 1 << n && n > 0; mask++) for (const last of [false, true, "mixed"] as const) {
        const dims = xs.map((x, i) => ((mask >> i) & 1 ? (last === false ? 0 : last === true ? x.ndim : i % 2 ? x.ndim : 0) : null));
        const other = xs.map((x) => { const v = [...dataSync(x)]; return fromValues(v.reverse(), x.aval); });
        const batched = xs.map((x, i) => (dims[i] === null ? x : stack([x, other[i]!], dims[i]!)));
        const got = vmap((...a: NDArray[]) => resultsOf(s, a), dims as any)(...batched) as any as NDArray[];
        for (const b of [0, 1]) {
          const want = resultsOf(s, xs.map((x, i) => (b === 1 && dims[i] !== null ? other[i]! : x)));
          want.forEach((w, k) => { const o = indexInDim(got[k]!, b, 0, false); const d = String(o.shape) !== String(w.shape) || o.dtype !== w.dtype ? `${o.aval} not ${w.aval}` : difference(dataSync(o), dataSync(w), w.dtype, { signedZero: true }); if (d) problems.push(`vmap ${JSON.stringify(dims)}: ${d}`); });
        }
      }
      if (problems.length) throw new Error(problems.join(" || "));
    });
  });
}
