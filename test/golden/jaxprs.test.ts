/** Canonical programs have JAX's equations, up to naming (jaxprs.py says what is normalised). */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type Atom, ClosedJaxpr, isLiteral, type Jaxpr, type Var } from "../../core/ir/jaxpr.ts";
import type { Literal, NDArray } from "../../core/ndarray.ts";
import { grad, jit, jvp, lax, makeJaxpr, np, vmap } from "../../index.ts";

type Shown = number | readonly ["lit", number];
interface Line {
  readonly out: readonly string[];
  readonly primitive: string;
  readonly params: { readonly [name: string]: unknown };
  readonly in: readonly Shown[];
}
interface Normal {
  readonly equations: readonly Line[];
  readonly results: readonly Shown[];
}
const golden = JSON.parse(readFileSync(new URL("./jaxprs.json", import.meta.url), "utf8")) as {
  readonly [program: string]: Normal;
};

const x = np.ones([3]);
const m = np.ones([2, 3]);
const w = np.ones([3, 4]);
const i = np.array(1, { dtype: "int32" });
type A = NDArray;

const programs: {
  readonly [name: string]: readonly [(...xs: NDArray[]) => unknown, readonly NDArray[]];
} = {
  "elementwise chain": [(a) => np.add(np.multiply(np.exp(np.sin(a as A)), 2), 1), [x]],
  sum: [(a) => np.sum(a as A), [m]],
  "sum over an axis": [(a) => np.sum(a as A, 0), [m]],
  mean: [(a) => np.mean(a as A), [m]],
  "broadcasting add": [(a, b) => np.add(a as A, b as A), [m, x]],
  matmul: [(a, b) => np.matmul(a as A, b as A), [m, w]],
  "grad of sum of sin": [grad((a: A) => np.sum(np.sin(a))) as never, [x]],
  "grad of sum of products": [grad((a: A) => np.sum(np.multiply(a, a))) as never, [x]],
  "grad of a tanh layer": [grad((a: A, b: A) => np.sum(np.tanh(np.matmul(b, a)))) as never, [w, m]],
  "vmap of a dot product": [vmap((a: A, b: A) => np.dot(a, b)) as never, [m, m]],
  "vmap of matmul": [
    vmap((a: A, b: A) => np.matmul(a, b), [0, null]) as never,
    [np.ones([5, 2, 3]), w],
  ],
  "vmap of a sum": [vmap((a: A) => np.sum(np.sin(a))) as never, [m]],
  jvp: [(a, t) => jvp((v: A) => np.multiply(np.sin(v), 2), [a as A], [t as A]), [x, x]],
  argmax: [(a) => np.argmax(a as A, 0), [x]],
  concatenate: [(a) => np.concatenate([a as A, a as A]), [x]],
  "transpose and reshape": [(a) => np.reshape(np.transpose(a as A), [6]), [m]],
  "nested jit": [(a) => np.add(jit((b: A) => np.multiply(b, 2))(a as A), 1), [x]],
  "an element": [(a) => lax.indexInDim(a as A, 1, 0, false), [x]],
  "a slice": [(a) => lax.slice(a as A, [0], [2]), [x]],
  where: [(a, b) => np.where(np.greater(a as A, 0), a as A, b as A), [x, x]],
  "softmax by hand": [
    (a) => {
      const e = (): A => np.exp(np.subtract(a as A, np.max(a as A)));
      return np.divide(e(), np.sum(e()));
    },
    [x],
  ],
  cumsum: [(a) => np.cumsum(a as A), [x]],
  sort: [(a) => np.sort(a as A), [x]],
  convert: [(a) => lax.convertElementType(a as A, "int32"), [x]],
  "dynamic slice": [(a, k) => lax.dynamicSlice(a as A, [k as A], [2]), [x, i]],
  "relu by maximum": [(a) => np.maximum(a as A, 0), [x]],
  "integer power": [(a) => np.power(a as A, 3), [x]],
  "grad of a maximum over an axis": [grad((a: A) => np.max(a)) as never, [x]],
  "hessian-vector product": [
    (a, t) =>
      jvp(
        grad((v: A) => np.sum(np.sin(v))),
        [a as A],
        [t as A],
      )[1],
    [x, x],
  ],
  "grad of a product of two": [
    grad((a: A, b: A) => np.sum(np.multiply(a, np.exp(b))), { argnums: [0, 1] }) as never,
    [x, x],
  ],
};

const meaningless = new Set(["weakType", "preferredElementType", "name"]);
const snake = (s: string): string => s.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function plain(name: string, value: unknown): unknown {
  if (name === "dimensionNumbers") {
    const { contract, batch } = value as { contract: unknown; batch: unknown };
    return [contract, batch];
  }
  return value;
}

interface Step {
  readonly outs: readonly Var[];
  readonly primitive: string;
  readonly params: object;
  readonly inputs: readonly (Var | Literal)[];
}

/** Equations with calls written out. */
function flat(jaxpr: Jaxpr, args: readonly (Var | Literal)[], steps: Step[]): (Var | Literal)[] {
  const env = new Map<Var, Var | Literal>();
  [...jaxpr.constVars, ...jaxpr.inVars].forEach((v, k) => {
    env.set(v, args[k] as Var);
  });
  const read = (a: Atom): Var | Literal => (isLiteral(a) ? a : (env.get(a) ?? a));
  for (const e of jaxpr.equations) {
    const inputs = e.inputs.map(read);
    const callee = (e.params as { jaxpr?: unknown }).jaxpr;
    if (callee instanceof ClosedJaxpr) {
      const results = flat(callee.jaxpr, inputs, steps);
      e.outputs.forEach((v, k) => {
        env.set(v, results[k] as Var);
      });
    } else steps.push({ outs: e.outputs, primitive: e.primitive.name, params: e.params, inputs });
  }
  return jaxpr.outs.map(read);
}

function normal({ jaxpr }: ClosedJaxpr): Normal {
  const steps: Step[] = [];
  const inputs = [...jaxpr.constVars, ...jaxpr.inVars];
  const results = flat(jaxpr, inputs, steps);
  const needed = new Set<unknown>(results);
  const kept = steps.reverse().filter((s) => {
    if (!s.outs.some((v) => needed.has(v))) return false;
    for (const a of s.inputs) needed.add(a);
    return true;
  });
  const numbers = new Map<Var, number>(inputs.map((v, k) => [v, k]));
  const show = (a: Var | Literal): Shown =>
    isLiteral(a) ? ["lit", a.value] : (numbers.get(a) as number);
  const equations = kept.reverse().map((s): Line => {
    const shown = s.inputs.map(show);
    for (const v of s.outs) numbers.set(v, numbers.size);
    const params = Object.entries(s.params).flatMap(([k, v]) =>
      meaningless.has(k) ? [] : [[snake(k), plain(k, v)]],
    );
    return {
      out: s.outs.map((v) => `${numbers.get(v)}:${v.aval}`),
      primitive: s.primitive,
      params: Object.fromEntries(params) as Line["params"],
      in: shown,
    };
  });
  return { equations, results: results.map(show) };
}

for (const [name, [f, args]] of Object.entries(programs))
  it(name, () => {
    expect(normal(makeJaxpr(f)(...args))).toEqual(golden[name]);
  });

it("covers every golden jaxpr, at least 20", () => {
  expect(Object.keys(golden).sort()).toEqual(Object.keys(programs).sort());
  expect(Object.keys(golden).length).toBeGreaterThanOrEqual(20);
});
