/** Constant folding gives what the kernels give, bit for bit, or leaves the equation alone. */
import { describe, expect, it } from "vitest";
import { allDTypes, castNumber, type DType, isFloat } from "../core/dtype.ts";
import { isLiteral } from "../core/ir/jaxpr.ts";
import { Literal, type NDArray } from "../core/ndarray.ts";
import * as a from "../core/ops/arithmetic.ts";
import * as l from "../core/ops/linear.ts";
import { sqrt } from "../core/ops/transcendental.ts";
import { makeJaxpr, np, simplify } from "../index.ts";

const binary = { add: a.add, sub: a.sub, mul: a.mul, div: a.div };
const unary = { neg: a.neg, abs: a.abs, sqrt };
const numbers = [0, -0, 1, -1, 3, 7, 0.1, 1 / 3, -2.5, 255, 1e5, 2147483647, -2147483648];
const extremes = [Infinity, -Infinity, 1e-45, 6e-8, 65504, 3e38, 1e-310, 1e300];

/** The number that `f` is folded to, or null where an equation is left. */
function folded(f: () => NDArray): number | null {
  const { jaxpr } = simplify(makeJaxpr(f)());
  const [out] = jaxpr.outs;
  return out !== undefined && isLiteral(out) ? out.value : null;
}
const element = (x: number, dtype: DType): NDArray =>
  np.array(x, { dtype: dtype === "bool" ? "int32" : dtype }).astype(dtype);
function sameAsKernel(f: (...xs: NDArray[]) => NDArray, dtype: DType, ...xs: number[]): boolean {
  const got = folded(() => f(...xs.map((x) => new Literal(x, dtype))));
  if (got === null) return false;
  // arguments are no constants: this is the kernel's
  const want = f(...xs.map((x) => element(x, dtype))).item();
  expect(
    Object.is(got, Number(want)),
    `${xs} in ${dtype}: folded to ${got}, computed ${want}`,
  ).toBe(true);
  return true;
}

describe.each(allDTypes.filter((d) => d !== "bool"))("of %s", (dtype) => {
  const values = [...new Set([...numbers, ...(isFloat(dtype) ? extremes : [])])]
    .map((x) => castNumber(x, dtype))
    .filter((x) => isFloat(dtype) || !Object.is(x, -0));
  it.each(Object.keys(binary) as (keyof typeof binary)[])("%s", (op) => {
    let count = 0;
    for (const x of values)
      for (const y of values) if (sameAsKernel(binary[op], dtype, x, y)) count++;
    expect(count).toBeGreaterThan(values.length);
  });
  it.each(Object.keys(unary) as (keyof typeof unary)[])("%s", (op) => {
    if (op !== "neg" && (op === "sqrt" ? !isFloat(dtype) : dtype.startsWith("uint"))) return;
    let count = 0;
    for (const x of values) if (sameAsKernel(unary[op], dtype, x)) count++;
    expect(count).toBeGreaterThan(values.length / 4);
  });
  it.each(allDTypes)("conversion to %s", (to) => {
    let count = 0;
    for (const x of values) if (sameAsKernel((v) => l.convert(v, to), dtype, x)) count++;
    expect(count).toBeGreaterThan(0);
  });
});

it("a folded number of a weak type is the rounded one", () => {
  const third = (): NDArray =>
    a.div(new Literal(1, "float32", true), new Literal(3, "float32", true));
  expect(folded(third)).toBe(Math.fround(1 / 3));
  expect(folded(() => l.convert(third(), "float64"))).toBe(Math.fround(1 / 3));
});
it("which NaN it is, is left to the kernel", () => {
  expect(folded(() => a.sub(new Literal(Infinity, "float32"), Infinity))).toBe(null);
});
it("what wraps is left to the kernel", () => {
  expect(folded(() => a.add(new Literal(2147483647, "int32"), 1))).toBe(null);
  expect(folded(() => a.mul(new Literal(65537, "int32"), 65537))).toBe(null);
});
