/** Batching: a jaxpr becomes the jaxpr of the same function on stacks of arguments. */
import type { Aval } from "../core/aval.ts";
import type { Atom, ClosedJaxpr } from "../core/ir/jaxpr.ts";
import type { NDArray } from "../core/ndarray.ts";
import { ruleOf } from "../core/primitive.ts";
import { assign, bind, environment, traceToJaxpr } from "../core/trace.ts";

export type BatchDim = number | null;

/** Evaluates a jaxpr on values of which some carry a batch axis, under the current interpreter. */
export function evalBatch(
  { jaxpr, consts }: ClosedJaxpr,
  size: number,
  args: readonly NDArray[],
  dims: readonly BatchDim[],
): { outs: NDArray[]; dims: BatchDim[] } {
  const { define, read } = environment(jaxpr, consts, args);
  const batched = new Map<Atom, BatchDim>();
  assign(batched, jaxpr.inVars, dims);
  const dim = (a: Atom): BatchDim => batched.get(a) ?? null;
  for (const { primitive, inputs, outputs, params } of jaxpr.equations) {
    const x = inputs.map(read);
    const d = inputs.map(dim);
    if (d.every((at) => at === null)) define(outputs, bind(primitive, x, params));
    else {
      const result = ruleOf(primitive, "batch")(size, x, d, params, primitive);
      define(outputs, result.outs);
      assign(batched, outputs, result.dims);
    }
  }
  return { outs: jaxpr.outs.map(read), dims: jaxpr.outs.map(dim) };
}

/** Aval with a batch axis put in. */
const withBatch = (aval: Aval, size: number, at: BatchDim): Aval =>
  at === null ? aval : aval.with({ shape: aval.shape.toSpliced(at, 0, size) });

export interface BatchedJaxpr {
  readonly jaxpr: ClosedJaxpr;
  readonly dims: readonly BatchDim[];
}

/** The batched jaxpr; `dims` names each input's batch axis. */
export function batchJaxpr(of: ClosedJaxpr, size: number, dims: readonly BatchDim[]): BatchedJaxpr {
  let out: readonly BatchDim[] = [];
  const jaxpr = traceToJaxpr(
    "vmap",
    (args) => {
      const batched = evalBatch(of, size, args, dims);
      out = batched.dims;
      return batched.outs;
    },
    of.inAvals.map((a, i) => withBatch(a, size, dims[i] as BatchDim)),
  );
  return { jaxpr, dims: out };
}
