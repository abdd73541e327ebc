/** Cumulative operations over many columns side by side, and rows that threads share, against a loop in JavaScript. */
import { describe, expect, it } from "vitest";
import { Random } from "./conformance/values.ts";
import { jit, lax, type NDArray, np } from "../index.ts";
import { arrayDifference } from "./kit/index.ts";

const folds = {
  cumsum: (a: number, b: number) => a + b,
  cummax: Math.max,
  cummin: Math.min,
} as const;

/** Whole numbers, whose sums are exact in any order. */
function wanted(
  x: readonly number[],
  [outer, n, inner]: readonly number[],
  f: (a: number, b: number) => number,
) {
  const out = [...x];
  const [m, length, step] = [outer, n, inner] as [number, number, number];
  for (let o = 0; o < m; o++)
    for (let k = 1; k < length; k++)
      for (let i = 0; i < step; i++) {
        const at = (o * length + k) * step + i;
        out[at] = f(out[at - step] as number, out[at] as number);
      }
  return out;
}

describe.each(["cumsum", "cummax", "cummin"] as const)("%s", (name) => {
  it.each([
    [1, 5, 256],
    [3, 4, 257],
    [2, 7, 511],
    [2, 3, 600],
    [40, 9, 2],
    [300, 17, 1],
    [1, 1, 700],
    [2, 0, 300],
    [3, 2, 0],
  ])("of [%i, %i, %i] along the middle axis", (...shape) => {
    const r = new Random(1);
    const values = Array.from({ length: shape.reduce((p, s) => p * s, 1) }, () => r.int(-50, 50));
    for (const dtype of ["float32", "float64", "int32"] as const)
      for (const reverse of [false, true]) {
        const x = np.array(values, { dtype }).reshape(shape);
        const got = jit((v: NDArray) => lax[name](v, { axis: 1, reverse }))(x);
        const turned = (z: NDArray): NDArray => (reverse ? np.flip(z, 1) : z);
        const expected = turned(
          np.array(wanted([...turned(x).dataSync()], shape, folds[name]), { dtype }).reshape(shape),
        );
        expect(arrayDifference(got, expected)).toBe("");
      }
  });
});
