/** Simplification: a jaxpr that computes the same results with fewer equations. Every rewrite is exact, bit
 *  for bit. */
import { type DType, dtypes, isFloat } from "../dtype.ts";
import { numberKey } from "../hash.ts";
import { type Atom, ClosedJaxpr, type Equation, isLiteral, Jaxpr, type Var } from "../ir/jaxpr.ts";
import { Literal } from "../ndarray.ts";
import { type Primitive, paramsKey, primitives } from "../primitive.ts";
import { fold } from "./fold.ts";

/** An atom in place of the result (if it has the same type), an equation in place of this one, or null. */
type Rewrite = Atom | Partial<Pick<Equation, "primitive" | "inputs" | "params">> | null;
type Definition = (a: Atom | undefined) => Equation | undefined;
type Rule = (e: Equation, definition: Definition) => Rewrite;

const sameType = (a: Atom, e: Equation): boolean => a.aval.strong === e.outputs[0]?.aval.strong;
const is = (a: Atom | undefined, value: number): a is Literal =>
  a !== undefined && isLiteral(a) && Object.is(a.value, value);
const named = (name: string): Primitive => primitives.get(name) as Primitive;
/** The operand of `a`, where that is computed by one of some primitives. */
const operandOf = (inner: Equation | undefined, ...names: readonly string[]): Atom | undefined =>
  inner !== undefined && names.includes(inner.primitive.name) ? inner.inputs[0] : undefined;

/** f(x) = x where the type is kept */
const itself: Rule = ({ inputs: [x] }) => x as Atom;
/** f(f(x)) = f(x) */
const idempotent: Rule = ({ primitive, inputs: [x] }, definition) =>
  operandOf(definition(x), primitive.name) === undefined ? null : (x as Atom);
/** f(f(x)) = x, of equal params */
const involution: Rule = ({ primitive, inputs: [x], params }, definition) => {
  const inner = definition(x);
  const from = operandOf(inner, primitive.name);
  return from !== undefined && paramsKey(inner?.params) === paramsKey(params) ? from : null;
};
/** f(x, …, x) = x */
const ofEquals =
  (from: number): Rule =>
  ({ inputs }) => {
    const [x, ...others] = inputs.slice(from);
    return others.every((y) => y === x) ? (x as Atom) : null;
  };
/** `to`(x, y′) for y = −y′ */
const unnegated = (to: string, [x, y]: Equation["inputs"], definition: Definition): Rewrite => {
  const negated = operandOf(definition(y), "neg");
  return negated === undefined ? null : { primitive: named(to), inputs: [x as Atom, negated] };
};
/** The same elements under another shape. */
const reshape: Rule = ({ inputs: [x], outputs: [out] }, definition) => {
  const inner = operandOf(definition(x), "reshape", "squeeze");
  if (inner === undefined) return x as Atom;
  return {
    primitive: named("reshape"),
    inputs: [inner],
    params: { newSizes: (out as Var).aval.shape },
  };
};

/** True where conversion to `to` keeps every value, and the way from there to `last` is that from `from`. */
function isDetour(from: DType, to: DType, last: DType): boolean {
  if (from === "bool") return true;
  const [a, b] = [dtypes[from].bytes, dtypes[to].bytes];
  if (isFloat(from)) return isFloat(to) && a < b;
  const signed = (d: DType): boolean => d.startsWith("int");
  // whole numbers wrap, floats on the way to them saturate; every number of as many bits as the mantissa has is a float
  if (isFloat(to))
    return 8 * a <= dtypes[to].mantissa + 1 && (isFloat(last) || last === "bool" || last === from);
  return to !== "bool" && a < b && (signed(to) || !signed(from));
}

/** The reciprocal of a power of two of which both are normal numbers of the dtype, else 0. */
function exactReciprocal({ value, aval: { dtype } }: Literal): number {
  const size = Math.abs(value);
  const exponent = Math.log2(size);
  return Number.isInteger(exponent) &&
    2 ** exponent === size &&
    Math.min(size, 1 / size) >= dtypes[dtype].tiny
    ? 1 / value
    : 0;
}

/** What an equation may become, by primitive. */
const rules = new Map(
  Object.entries<Rule>({
    // x·1 = x and x/1 = x for every x, NaN included
    mul: ({ inputs: [x, y] }) => (is(y, 1) ? (x as Atom) : is(x, 1) ? (y as Atom) : null),
    div: ({ inputs: [x, y] }) => {
      if (is(y, 1)) return x as Atom;
      if (y === undefined || !isLiteral(y) || !isFloat(y.aval.dtype)) return null;
      // x/2ⁿ and x·2⁻ⁿ round the same number
      const inverse = exactReciprocal(y);
      if (inverse === 0) return null;
      const factor = new Literal(inverse, y.aval.dtype, y.aval.weakType);
      return { primitive: named("mul"), inputs: [x as Atom, factor] };
    },
    // x − 0 = x; x + 0 is not x for x = −0, but x + (−0) is; x − (−y) = x + y
    sub: ({ inputs }, definition) =>
      is(inputs[1], 0) ? (inputs[0] as Atom) : unnegated("add", inputs, definition),
    add: ({ inputs, outputs: [out] }, definition) => {
      const [x, y] = inputs;
      const zero = isFloat((out as Var).aval.dtype) ? -0 : 0;
      if (is(y, zero)) return x as Atom;
      return is(x, zero) ? (y as Atom) : unnegated("sub", inputs, definition);
    },
    neg: involution,
    not: involution,
    rev: involution,
    abs: ({ inputs: [x] }, definition) => {
      const inner = definition(x);
      if (operandOf(inner, "abs") !== undefined) return x as Atom;
      const negated = operandOf(inner, "neg");
      return negated === undefined ? null : { inputs: [negated] };
    },
    sign: idempotent,
    floor: idempotent,
    ceil: idempotent,
    max: ofEquals(0),
    min: ofEquals(0),
    and: ofEquals(0),
    or: ofEquals(0),
    select_n: ofEquals(1),
    convert_element_type: ({ inputs: [x], outputs: [out], params }, definition) => {
      const from = operandOf(definition(x), "convert_element_type");
      const [to, last] = [(x as Atom).aval.dtype, (out as Var).aval.dtype];
      return from !== undefined && isDetour(from.aval.dtype, to, last)
        ? { inputs: [from], params }
        : (x as Atom);
    },
    copy: itself,
    stop_gradient: itself,
    broadcast_in_dim: itself,
    // of the same shape they take everything
    slice: itself,
    dynamic_slice: itself,
    pad: ({ inputs: [x], params }) =>
      (params as { paddingConfig: readonly (readonly number[])[] }).paddingConfig.every((widths) =>
        widths.every((n) => n === 0),
      )
        ? (x as Atom)
        : null,
    reshape,
    squeeze: reshape,
    transpose: ({ inputs: [x], params }, definition) => {
      const inner = definition(x);
      const from = operandOf(inner, "transpose");
      const p = (inner?.params as { permutation?: readonly number[] } | undefined)?.permutation;
      const { permutation: q } = params as { permutation: readonly number[] };
      return from !== undefined && q.every((axis, i) => p?.[axis] === i) ? from : null;
    },
  }),
);

/** Removes equations that are dead, repeated or do nothing. Constants and arguments stay as they are. */
export function simplify(jaxpr: Jaxpr): Jaxpr {
  const renamed = new Map<Atom, Atom>();
  const definitions = new Map<Atom, Equation>();
  const seen = new Map<string, Equation>();
  const resolve = (a: Atom): Atom => renamed.get(a) ?? a;
  const definition: Definition = (a) => definitions.get(a as Atom);
  const rewrite = (e: Equation): Rewrite =>
    fold(e) ?? rules.get(e.primitive.name)?.(e, definition) ?? null;
  const kept: Equation[] = [];
  for (const original of jaxpr.equations) {
    let e: Equation = { ...original, inputs: original.inputs.map(resolve) };
    const out = e.outputs[0] as Var;
    let same = rewrite(e);
    while (same !== null && !("aval" in same)) {
      e = { ...e, ...same };
      same = rewrite(e);
    }
    // an identity must keep the shape and dtype, which x·1 with a broadcast x does not
    if (same !== null && e.outputs.length === 1 && sameType(same, e)) {
      renamed.set(out, same);
      continue;
    }
    const { inputs } = e;
    const key = `${e.primitive.id}(${inputs
      .map((a) => (isLiteral(a) ? `#${a.aval.id}:${numberKey(a.value)}` : a.id))
      .join()})${paramsKey(e.params)}`;
    const twin = seen.get(key);
    if (twin !== undefined) {
      e.outputs.forEach((v, i) => {
        renamed.set(v, twin.outputs[i] as Var);
      });
      continue;
    }
    seen.set(key, e);
    for (const v of e.outputs) definitions.set(v, e);
    kept.push(e);
  }
  const outs = jaxpr.outs.map(resolve);
  const needed = new Set<Atom>(outs);
  const alive = kept.reverse().filter((e) => {
    const live = e.outputs.some((v) => needed.has(v));
    if (live) for (const a of e.inputs) needed.add(a);
    return live;
  });
  return new Jaxpr(jaxpr.constVars, jaxpr.inVars, alive.reverse(), outs);
}

/** `simplify` of a closed jaxpr. */
export const simplifyClosed = ({ jaxpr, consts }: ClosedJaxpr): ClosedJaxpr =>
  new ClosedJaxpr(simplify(jaxpr), consts);
