/** Products of narrow numbers, or with a result of another dtype, as products of one wide dtype: operands are converted
 *  before, results after, as elementwise work that fuses with its neighbours, and backends need fast products of wide
 *  dtypes only. The values are the same: sums are accumulated in the wide dtype either way. */
import type { Aval } from "../aval.ts";
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { type Atom, type Equation, Jaxpr, Var } from "../ir/jaxpr.ts";
import type { Lowering } from "../kernel/kernel.ts";
import { entry } from "../maps.ts";
import { type Primitive, primitives, ruleOf } from "../primitive.ts";
import { operationsOf } from "./cost.ts";

/** Below this the conversions are as much work as the product. */
const leastOperations = 1 << 13;

/** The dtype in which a sum of products is accumulated for a result of dtype `d`. */
const accumulatorOf = (d: DType): DType =>
  dtypes[d].bytes >= 4 || d === "bool"
    ? d
    : isFloat(d)
      ? "float32"
      : d === "uint8"
        ? "uint32"
        : "int32";

/** What only moves elements goes with its operand. */
const moves: ReadonlySet<string> = new Set(["transpose", "reshape", "broadcast_in_dim"]);

/** The dtype in which to compute an equation, if it is a product, that is not its own and is worth it. */
function wideDType({ primitive, inputs, outputs, params }: Equation): DType | null {
  const [out, ...others] = outputs;
  if (out === undefined || others.length > 0) return null;
  const wide = accumulatorOf(out.aval.dtype);
  const narrow = inputs.filter((a) => a.aval.dtype !== wide);
  if (narrow.length === 0 && out.aval.dtype === wide) return null;
  // conversions must be exact
  if (narrow.some((a) => dtypes[a.aval.dtype].bytes >= dtypes[wide].bytes)) return null;
  const avals = inputs.map((a) => a.aval);
  const lowering: Lowering = ruleOf(primitive, "lower")(avals, [out.aval], params);
  if (lowering.kind !== "contract" && lowering.kind !== "conv") return null;
  return operationsOf(lowering) < leastOperations ? null : wide;
}

/** The same jaxpr with its products in wide dtypes. */
export function widenProducts(jaxpr: Jaxpr): Jaxpr {
  const equations: Equation[] = [];
  const definitions = new Map<Atom, Equation>();
  const convertP = primitives.get("convert_element_type") as Primitive;
  const convert = (from: Atom, to: Var): void => {
    const params = { newDtype: to.aval.dtype, weakType: to.aval.weakType };
    equations.push({ primitive: convertP, inputs: [from], outputs: [to], params });
  };
  const as = (aval: Aval, dtype: DType): Var => new Var(aval.with({ dtype }));
  const converted = new Map<Atom, Map<DType, Var>>();
  const widened = (a: Atom, dtype: DType): Atom => {
    if (a.aval.dtype === dtype) return a;
    const known = entry(converted, a, () => new Map());
    return entry(known, dtype, () => {
      const v = as(a.aval, dtype);
      const e = definitions.get(a);
      if (e === undefined || !moves.has(e.primitive.name)) convert(a, v);
      else equations.push({ ...e, inputs: [widened(e.inputs[0] as Atom, dtype)], outputs: [v] });
      return v;
    });
  };
  for (const e of jaxpr.equations) {
    const dtype = wideDType(e);
    if (dtype === null) {
      equations.push(e);
      for (const v of e.outputs) definitions.set(v, e);
      continue;
    }
    const inputs = e.inputs.map((a) => widened(a, dtype));
    const [out] = e.outputs as readonly [Var];
    const product = out.aval.dtype === dtype ? out : as(out.aval, dtype);
    equations.push({ ...e, inputs, outputs: [product] });
    if (product !== out) convert(product, out);
  }
  return new Jaxpr(jaxpr.constVars, jaxpr.inVars, equations, jaxpr.outs);
}
