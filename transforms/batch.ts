/** Batching: a jaxpr becomes the jaxpr of the same function on stacks of arguments. */
import type { Aval } from "../core/aval.ts";
import { type Atom, type ClosedJaxpr, isLiteral, type Jaxpr, type Var } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { moveBatch } from "../core/ops/linear.ts";
import { ruleOf } from "../core/primitive.ts";
import { bind, traceToJaxpr } from "../core/trace.ts";

export type BatchDim = number | null;

/** Evaluates a jaxpr on values of which some carry a batch axis, under the current interpreter. */
export function evalBatch(
  jaxpr: Jaxpr,
  consts: readonly NDArray[],
  size: number,
  args: readonly NDArray[],
  dims: readonly BatchDim[],
): { outs: NDArray[]; dims: BatchDim[] } {
  const values = new Map<Var, NDArray>();
  const batched = new Map<Var, number>();
  jaxpr.constVars.forEach((v, i) => {
    values.set(v, consts[i] as NDArray);
  });
  jaxpr.inVars.forEach((v, i) => {
    values.set(v, args[i] as NDArray);
    const d = dims[i] as BatchDim;
    if (d !== null) batched.set(v, d);
  });
  const value = (a: Atom): NDArray => (isLiteral(a) ? a : (values.get(a) as NDArray));
  const dim = (a: Atom): BatchDim => (isLiteral(a) ? null : (batched.get(a) ?? null));
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const x = inputs.map(value);
    const d = inputs.map(dim);
    const result = d.every((at) => at === null)
      ? { outs: bind(primitive, x, params), dims: null }
      : ruleOf(primitive, "batch")(size, x, d, params);
    outputs.forEach((v, i) => {
      values.set(v, result.outs[i] as NDArray);
      const at = result.dims?.[i] ?? null;
      if (at !== null) batched.set(v, at);
    });
  }
  return { outs: jaxpr.outs.map(value), dims: jaxpr.outs.map(dim) };
}

/** Aval with a batch axis put in. */
export const withBatch = (aval: Aval, size: number, at: BatchDim): Aval =>
  at === null
    ? aval
    : aval.with({ shape: [...aval.shape.slice(0, at), size, ...aval.shape.slice(at)] });

export interface BatchedJaxpr {
  readonly jaxpr: ClosedJaxpr;
  readonly dims: readonly BatchDim[];
}

/** The batched jaxpr; `dims` names each input's batch axis. With `outDims`, output i is batched at that
 *  axis if it is a number (unbatched results are repeated). */
export function batchJaxpr(
  { jaxpr, consts }: ClosedJaxpr,
  size: number,
  dims: readonly BatchDim[],
  outDims?: readonly BatchDim[],
): BatchedJaxpr {
  let out: readonly BatchDim[] = [];
  const result = traceToJaxpr(
    "vmap",
    (args) => {
      const batched = evalBatch(jaxpr, consts, size, args, dims);
      out = batched.dims.map((d, i) => outDims?.[i] ?? d);
      return batched.outs.map((x, i) => {
        const want = outDims?.[i] ?? null;
        return want === null ? x : moveBatch(x, batched.dims[i] as BatchDim, want, size);
      });
    },
    jaxpr.inAvals.map((a, i) => withBatch(a, size, dims[i] as BatchDim)),
  );
  return { jaxpr: result, dims: out };
}
