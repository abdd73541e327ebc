/** Reads golden/numpy.json and compares our answers with the recorded ones. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { type DType, dtypes, isFloat } from "../core/dtype.ts";
import { grad, jit, NDArray, np, slice } from "../index.ts";
import * as nn from "../nn/index.ts";

export interface Encoded {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: readonly (number | string | boolean)[];
}
export interface Case {
  /** the expression */
  readonly js: string;
  readonly expected: Encoded | readonly Encoded[];
  /** allowed error of each element, in units of its last place */
  readonly ulp?: number;
  /** allowed error in units of the last place of `scale`: rounding steps of the sums in the expression */
  readonly terms?: number;
  readonly scale?: number;
  /** gradients of Σ weight(k)·result[k] by operands */
  readonly grads?: { readonly [name: string]: Encoded };
}
interface Golden {
  readonly [group: string]: readonly Case[];
}
export interface Step {
  readonly updates: readonly Encoded[];
  readonly params: readonly Encoded[];
}
interface Rest {
  readonly arrays: { readonly [name: string]: Encoded };
  readonly promotion: readonly { readonly x: string; readonly y: string; readonly dtype: string }[];
  readonly printing: readonly { readonly x: Encoded; readonly text: string }[];
  readonly optim: {
    readonly params: readonly Encoded[];
    readonly grads: readonly (readonly Encoded[])[];
    readonly norm: number;
    readonly runs: readonly { readonly js: string; readonly steps: readonly Step[] }[];
  };
}
type Groups =
  | "creation"
  | "elementwise"
  | "reductions"
  | "manipulation"
  | "selection"
  | "products"
  | "indexing"
  | "nn";
export const golden = JSON.parse(
  readFileSync(new URL("./golden/numpy.json", import.meta.url), "utf8"),
) as Rest & { readonly [G in Groups]: Golden[string] };

const numbersOf = (x: Encoded): number[] =>
  x.values.map((v) =>
    v === "inf" ? Number.POSITIVE_INFINITY : v === "-inf" ? Number.NEGATIVE_INFINITY : Number(v),
  );
export function arrayOf(x: Encoded): NDArray {
  const flat = np.array(numbersOf(x), { dtype: x.dtype });
  return x.shape.length === 0 ? flat.reshape([]) : flat.reshape(x.shape);
}
const operands = new Map(Object.entries(golden.arrays).map(([name, x]) => [name, arrayOf(x)]));

/** The expression as a function of some operands; the others are as recorded. */
const functionOf = (js: string, ...names: string[]): ((...xs: NDArray[]) => unknown) => {
  const rest = [...operands.keys()].filter((n) => !names.includes(n));
  const scope = [np, nn, slice, ...rest.map((n) => operands.get(n))];
  const build = new Function(
    "np",
    "nn",
    "slice",
    ...rest,
    `return (${names.join(",")}) => (${js})`,
  );
  return build(...scope) as (...xs: NDArray[]) => unknown;
};
const listOf = (x: unknown): NDArray[] => (Array.isArray(x) ? (x as NDArray[]) : [x as NDArray]);
const weightOf = (k: number): number => (k % 5) * 0.5 - 0.75;

/** Largest of the magnitudes that are finite. */
const largest = (xs: readonly number[]): number =>
  xs.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), 0);
/** Distance between neighbours around x. */
const spacing = (x: number, d: DType): number => {
  const { eps, tiny } = dtypes[d];
  return eps * 2 ** Math.floor(Math.log2(Math.max(Math.abs(x), tiny)));
};

export function compare(
  got: unknown,
  want: Encoded,
  { ulp = 0, terms = 0, scale = 0 }: Partial<Case>,
): void {
  expect(got).toBeInstanceOf(NDArray);
  const x = got as NDArray;
  expect(`${x.dtype}[${x.shape}]`).toBe(`${want.dtype}[${want.shape}]`);
  const [ours, theirs] = [Array.from(x.dataSync() as ArrayLike<number>), numbersOf(want)];
  const bad = theirs.flatMap((t, k) => {
    const o = ours[k] as number;
    if (Object.is(o, t)) return [];
    const allowed = isFloat(want.dtype)
      ? Math.max(ulp * spacing(t, want.dtype), terms * spacing(scale, want.dtype))
      : 0;
    // −0 and 0 differ only where nothing is rounded
    return Number.isFinite(t) &&
      Number.isFinite(o) &&
      (o === t ? allowed > 0 : Math.abs(o - t) <= allowed)
      ? []
      : [`[${k}] ${o} instead of ${t}${allowed > 0 ? ` ± ${allowed}` : ""}`];
  });
  expect(bad.join("\n")).toBe("");
}

export function check(c: Case): void {
  const want = Array.isArray(c.expected) ? (c.expected as Encoded[]) : [c.expected as Encoded];
  const got = listOf(functionOf(c.js)());
  expect(got.length).toBe(want.length);
  for (const [i, w] of want.entries()) compare(got[i], w, c);
  for (const [name, g] of Object.entries(c.grads ?? {})) {
    const f = functionOf(c.js, name);
    const compiled = listOf(jit((x: NDArray) => listOf(f(x)))(operands.get(name) as NDArray));
    for (const [i, w] of want.entries()) compare(compiled[i], w, c);
    const total = (x: NDArray): NDArray =>
      listOf(f(x))
        .filter((r) => isFloat(r.dtype))
        .reduce<NDArray>((sum, r) => {
          const weights = np.array(
            Array.from({ length: r.size }, (_, k) => weightOf(k)),
            { dtype: r.dtype },
          );
          return sum.add(np.sum(np.multiply(r.reshape(-1 * -r.size), weights)));
        }, np.array(0));
    const ours = (grad(total) as (x: NDArray) => NDArray)(operands.get(name) as NDArray);
    // derivatives are products and sums of as many factors as the value has rounding steps, with weights up to 5/4
    const steps = 2 * (c.terms ?? 0) + 4 * (c.ulp ?? 0) + 8;
    compare(ours, g, { terms: steps, scale: largest(numbersOf(g)) });
  }
}
