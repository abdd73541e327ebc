/** Products of narrow dtypes: what they are computed in, and that the values are those of the wide product. */
import { describe, expect, it } from "vitest";
import "../core/backend/reference/index.ts";
import { withBackend } from "../core/backend/registry.ts";
import type { DType } from "../core/dtype.ts";
import { compiledJaxpr } from "../core/eval.ts";
import { dotGeneral } from "../core/ops/contract.ts";
import type { Kernel } from "../core/kernel/kernel.ts";
import type { Program } from "../core/program/types.ts";
import { grad, jit, lax, makeJaxpr, type NDArray, np, random } from "../index.ts";
import * as nn from "../nn/index.ts";
import { arrayDifference } from "./kit/index.ts";

const programOf = (f: (...args: never[]) => unknown, ...args: unknown[]): Program =>
  compiledJaxpr("f", makeJaxpr(f as (...a: unknown[]) => unknown)(...args).jaxpr).executable
    .program;
const normal = (seed: number, shape: readonly number[], dtype: DType = "float32"): NDArray =>
  random.normal(random.key(seed), [...shape]).astype(dtype);
const bytes = (seed: number, shape: readonly number[], dtype: DType): NDArray =>
  random.randint(random.key(seed), [...shape], -128, 128).astype(dtype);
const matmul = (x: NDArray, y: NDArray): NDArray => x.matmul(y);
const conv = (x: NDArray, w: NDArray): NDArray => lax.convGeneralDilated(x, w, [1, 1], "SAME");
const isProduct = (k: Kernel): boolean => k.kind !== "loops";
/** Dtypes of each product's buffers. */
const productDTypes = (p: Program): string[] =>
  p.steps.flatMap(({ kernel }) =>
    isProduct(kernel) ? [kernel.buffers.map((b) => b.dtype).join()] : [],
  );

describe("is computed in the dtype of its sums", () => {
  it.each<[DType, DType]>([
    ["float16", "float32"],
    ["bfloat16", "float32"],
    ["int8", "int32"],
    ["uint8", "uint32"],
  ])("a product of %s, in %s", (narrow, wide) => {
    const make = narrow.includes("float") ? normal : bytes;
    const [x, y] = [make(0, [24, 40], narrow), make(1, [40, 33], narrow)];
    expect(productDTypes(programOf(matmul, x, y))).toEqual([`${wide},${wide},${wide}`]);
    const want = x.astype(wide).matmul(y.astype(wide)).astype(narrow);
    for (const got of [matmul(x, y), jit(matmul)(x, y)])
      expect(arrayDifference(got, want)).toBe("");
  });
  it("a convolution", () => {
    const [x, w] = [normal(0, [2, 3, 9, 9], "bfloat16"), normal(1, [5, 3, 3, 3], "bfloat16")];
    expect(productDTypes(programOf(conv, x, w))).toEqual(["float32,float32,float32"]);
    const want = conv(x.astype("float32"), w.astype("float32")).astype("bfloat16");
    expect(arrayDifference(jit(conv)(x, w), want)).toBe("");
  });
  it("a result of another dtype", () => {
    const f = (x: NDArray, y: NDArray): NDArray =>
      dotGeneral(x, y, { contract: [[1], [0]] }, { preferredElementType: "int32" });
    const [x, y] = [bytes(0, [24, 40], "int8"), bytes(1, [40, 33], "int8")];
    expect(productDTypes(programOf(f, x, y))).toEqual(["int32,int32,int32"]);
    expect(
      arrayDifference(
        f(x, y),
        withBackend("reference", () => f(x, y)),
      ),
    ).toBe("");
  });
});

describe("conversions", () => {
  const [x, w, b] = [
    normal(0, [64, 32], "bfloat16"),
    normal(1, [32, 48], "bfloat16"),
    normal(2, [48], "bfloat16"),
  ];
  it("fuse with what comes before and after", () => {
    const p = programOf(
      (v: NDArray, u: NDArray, c: NDArray) => nn.relu(v.mul(2).matmul(u).add(c)),
      x,
      w,
      b,
    );
    expect(p.steps.map(({ kernel }) => isProduct(kernel))).toEqual([false, false, true, false]);
  });
  it("go before a transposition, once for all readers", () => {
    const p = programOf((v: NDArray, u: NDArray) => [v.matmul(u), v.T.matmul(v)], x, w);
    const loops = p.steps.filter(({ kernel }) => !isProduct(kernel));
    // x, w and both results
    expect(loops).toHaveLength(4);
  });
  it("are left out for small products, and where they would round", () => {
    const [p, q] = [normal(0, [4, 4], "bfloat16"), normal(1, [32, 32], "float64")];
    expect(productDTypes(programOf(matmul, p, p))).toEqual(["bfloat16,bfloat16,bfloat16"]);
    const f = (v: NDArray): NDArray =>
      dotGeneral(v, v, { contract: [[1], [0]] }, { preferredElementType: "float32" });
    expect(productDTypes(programOf(f, q))).toEqual(["float64,float64,float32"]);
  });
  it("have no part in gradients but those of the dtype", () => {
    const loss = (v: NDArray): NDArray => np.square(v.matmul(w)).sum();
    const g = jit(grad(loss))(x);
    expect(g.dtype).toBe("bfloat16");
    // both programs round the product, its double and the result to bfloat16
    const r = withBackend("reference", () => jit(grad(loss))(x));
    const [got, want] = [g.astype("float32"), r.astype("float32")];
    const scale = np.abs(want).max().item() as number;
    expect(np.abs(got.sub(want)).max().item()).toBeLessThanOrEqual(4 * 2 ** -8 * scale);
  });
});

it("a product that is converted at once keeps its own dtype", () => {
  const f = (x: NDArray, y: NDArray): NDArray => x.matmul(y).astype("float16");
  const [x, y] = [normal(0, [32, 32]), normal(1, [32, 32])];
  expect(productDTypes(programOf(f, x, y))).toEqual(["float32,float32,float32"]);
  expect(arrayDifference(jit(f)(x, y), x.matmul(y).astype("float16"))).toBe("");
});
