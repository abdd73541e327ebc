/** Kernels that become the same function of a module, and what they compute. */
import { describe, expect, it } from "vitest";
import { functionKey, rangeOf } from "../core/backend/wasm/same.ts";
import { int, KVar, lit, load, mul } from "../core/kernel/expr.ts";
import type { LoopKernel } from "../core/kernel/kernel.ts";
import { jit, type NDArray, np } from "../index.ts";
import { reads, writes } from "./conformance/programs.ts";

/** out[i] = c·x[i] for i < n */
function scale(n: number, c: number, name = "scale"): LoopKernel {
  const v = new KVar("int32", "i");
  const value = mul(load(0, v, "float32"), lit(c, "float32"));
  return {
    kind: "loops",
    name,
    buffers: [reads("float32", n), writes("float32", n)],
    body: [
      {
        kind: "for",
        v,
        from: int(0),
        to: int(n),
        parallel: true,
        body: [{ kind: "store", buffer: 1, index: v, value }],
      },
    ],
  };
}

const bits = (x: NDArray): Buffer => Buffer.from(x.dataSync().buffer);

describe("kernels", () => {
  it("are the same function whatever the range and the name, where the remainder is the same", () => {
    expect(functionKey(scale(272, 2))).toBe(functionKey(scale(2 ** 20, 2, "other")));
    expect(functionKey(scale(272, 2))).not.toBe(functionKey(scale(280, 2)));
    expect(functionKey(scale(16, 2))).not.toBe(functionKey(scale(32, 2)));
    expect([rangeOf(scale(272, 2)), rangeOf(scale(16, 2))]).toEqual([272, 16]);
  });
  it("are others where a constant differs, in its sign too", () => {
    const keys = [2, 3, 0, -0].map((c) => functionKey(scale(272, c)));
    expect(new Set(keys).size).toBe(4);
  });
  it("compute in one program what they compute alone", () => {
    const f = (x: NDArray): NDArray => np.sin(x.mul(0.01)).add(x);
    const lengths = [1, 10, 272, 280, 288, 1000, 1016, 2 ** 17, 2 ** 17 + 8];
    const together = jit((...xs: NDArray[]) => xs.map(f))(...lengths.map((n) => np.arange(n)));
    lengths.forEach((n, i) => {
      const alone = jit(f)(np.arange(n));
      expect(bits(together[i] as NDArray).equals(bits(alone))).toBe(true);
    });
  });
  it("keep the strides and the order of products apart", () => {
    const [a, b, c] = [
      [8, 64],
      [64, 32],
      [32, 64],
    ].map(([m, n]) =>
      np
        .arange((m as number) * (n as number))
        .reshape([m as number, n as number])
        .mod(7),
    ) as [NDArray, NDArray, NDArray];
    const each = jit((x: NDArray, y: NDArray, z: NDArray) => [
      x.matmul(y),
      x.matmul(z.T),
      x.add(1).matmul(y),
    ])(a, b, c);
    const exact = (x: NDArray, y: NDArray): number[] => {
      const [m, k] = x.shape as [number, number];
      const n = y.shape[1] as number;
      const [u, v] = [x.dataSync(), y.dataSync()];
      return Array.from({ length: m * n }, (_, at) => {
        let sum = 0;
        for (let p = 0; p < k; p++)
          sum += (u[Math.floor(at / n) * k + p] as number) * (v[p * n + (at % n)] as number);
        return sum;
      });
    };
    expect([...(each[0] as NDArray).dataSync()]).toEqual(exact(a, b));
    expect([...(each[1] as NDArray).dataSync()]).toEqual(exact(a, c.T));
    expect([...(each[2] as NDArray).dataSync()]).toEqual(exact(a.add(1), b));
  });
});
