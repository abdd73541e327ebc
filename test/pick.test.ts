/** Sums over one-hot rows: those that are written with a choice become one element, to the last bit; products do not. */
import { describe, expect, it } from "vitest";
import "../core/backend/reference/index.ts";
import { withBackend } from "../core/backend/registry.ts";
import type { DType } from "../core/dtype.ts";
import { compiledJaxpr } from "../core/eval.ts";
import { showProgram } from "../core/program/show.ts";
import { grad, jit, makeJaxpr, type NDArray, np, random } from "../index.ts";
import * as nn from "../nn/index.ts";
import { arrayDifference } from "./kit/index.ts";

const [rows, classes] = [6, 40];
/** in range, at both ends, and beyond them */
const labels = np.array([0, 17, 39, 40, -1, 2147483647], { dtype: "int32" });
const hot = (y: NDArray, axis = -1): NDArray => np.oneHot(y, classes, { dtype: "bool", axis });
const textOf = (f: (...args: never[]) => unknown, ...args: unknown[]): string =>
  showProgram(
    compiledJaxpr("f", makeJaxpr(f as (...a: unknown[]) => unknown)(...args).jaxpr).executable
      .program,
  );
const loopsOf = (text: string): number => text.match(/^ +for /gm)?.length ?? 0;
/** Rows with each special value at a label's place and elsewhere. */
const special = (dtype: DType): NDArray =>
  np
    .array(
      Array.from({ length: rows * classes }, (_, i) => {
        const values = [NaN, Infinity, -0, -Infinity, 3.25, 1e-40, -7];
        return values[(i * 3 + Math.floor(i / classes)) % values.length] as number;
      }),
    )
    .reshape([rows, classes])
    .astype(dtype);

type Pick = (x: NDArray, y: NDArray) => NDArray;
const picks: { readonly [name: string]: Pick } = {
  "where(label = class, x, 0)": (x, y) => np.where(hot(y), x, 0).sum(-1),
  "where(label ≠ class, 0, x)": (x, y) => np.where(np.logicalNot(hot(y)), 0, x).sum(-1),
  "classes along the first axis": (x, y) => np.where(hot(y, 0), x.T, 0).sum(0),
  "a float one-hot as the condition": (x, y) => np.where(np.oneHot(y, classes), x, 0).sum(-1),
  "of what is computed": (x, y) => np.where(hot(y), np.tanh(x).mul(2), 0).sum(-1),
  "after a softmax": (x, y) => np.where(hot(y), nn.logSoftmax(x), 0).sum(-1),
};

describe("one element instead of a loop", () => {
  for (const [name, f] of Object.entries(picks))
    it(name, () => {
      for (const dtype of ["float32", "float64", "float16", "bfloat16", "int32", "int8"] as const) {
        if (dtype.startsWith("int") && /softmax|computed/.test(name)) continue;
        const x = special(dtype);
        const got = jit(f)(x, labels);
        expect(arrayDifference(got, f(x, labels), { signedZero: true })).toBe("");
        const reference = withBackend("reference", () => jit(f)(x, labels));
        if (!/softmax|computed/.test(name))
          expect(arrayDifference(got, reference, { signedZero: true })).toBe("");
      }
    });
  it("so that nothing is left to go through the classes for", () => {
    const x = random.normal(random.key(0), [rows, classes]);
    const pick = picks["where(label = class, x, 0)"] as Pick;
    expect(loopsOf(textOf(pick, x, labels))).toBe(1);
    // rows, the maximum, the sum
    expect(loopsOf(textOf(picks["after a softmax"] as Pick, x, labels))).toBe(3);
  });
  it("with the gradient of the loss by labels", () => {
    const x = random.normal(random.key(0), [3, classes]);
    const y = np.array([0, 17, 39], { dtype: "int32" });
    const byHot = (v: NDArray): NDArray =>
      np.where(hot(y), nn.logSoftmax(v), 0).sum(-1).mean().neg();
    const byLabel = (v: NDArray): NDArray => nn.softmaxCrossEntropyWithIntegerLabels(v, y).mean();
    expect(jit(byHot)(x).item()).toBe(jit(byLabel)(x).item());
    const [g, h] = [jit(grad(byHot))(x), jit(grad(byLabel))(x)];
    expect(np.abs(g.sub(h)).max().item()).toBeLessThanOrEqual(2 ** -24);
  });
});

describe("stays a sum", () => {
  it.each<[string, Pick]>([
    ["a product, for 0·∞ is NaN", (x, y) => np.oneHot(y, classes).mul(x).sum(-1)],
    ["a choice of something else than 0", (x, y) => np.where(hot(y), x, 1).sum(-1)],
    [
      "a label that depends on the class",
      (x, y) => np.where(np.logicalAnd(hot(y), x.greater(0)), x, 0).sum(-1),
    ],
    ["a maximum", (x, y) => np.where(hot(y), x, 0).max(-1)],
    ["a sum over rows too", (x, y) => np.where(hot(y), x, 0).sum()],
  ])("%s", (_, f) => {
    const x = special("float32");
    expect(loopsOf(textOf(f, x, labels))).toBeGreaterThan(1);
    expect(arrayDifference(jit(f)(x, labels), f(x, labels), { signedZero: true })).toBe("");
  });
});
