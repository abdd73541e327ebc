/** Looking into a compiled function: lower, profile, the text of modules. */
import { describe, expect, it } from "vitest";
import "../core/backend/reference/index.ts";
import { disassemble } from "../core/backend/wasm/disassemble.ts";
import type { WasmExecutable } from "../core/backend/wasm/backend.ts";
import { compiledJaxpr } from "../core/eval.ts";
import {
  grad,
  jit,
  lax,
  makeJaxpr,
  type NDArray,
  np,
  profile,
  showJaxpr,
  withBackend,
} from "../index.ts";
import { allSamples } from "./samples/index.ts";
import { argumentsOf, titleOf } from "./samples/data.ts";

const layer = (x: NDArray, w: NDArray): NDArray => np.sum(np.tanh(np.matmul(x, w)).mul(2), 0);
const args = (): [NDArray, NDArray] => [np.ones([8, 20]), np.full([20, 30], 0.01)];

describe("lower", () => {
  it("counts operations and bytes", () => {
    const { flops, bytes, peakBytes } = jit(layer).lower(...args());
    // the product, then tanh, times two and the sum over eight rows, each for 8·30 elements
    expect(flops).toBe(2 * 8 * 20 * 30 + 3 * 8 * 30);
    const [inputs, product, result] = [4 * (8 * 20 + 20 * 30), 4 * 8 * 30, 4 * 30];
    expect(bytes).toBe(inputs + 2 * product + result);
    expect(peakBytes).toBe(inputs + product + result);
  });
  it("counts a convolution's products", () => {
    const x = np.ones([2, 3, 10, 10]);
    const w = np.ones([5, 3, 3, 3]);
    const conv = jit((a: NDArray, b: NDArray) => lax.conv(a, b, [1, 1], "VALID"));
    expect(conv.lower(x, w).flops).toBe(2 * 2 * 5 * 3 * 9 * 64);
  });
  it("shows the trace, the kernels and the plan", () => {
    const low = jit(layer).lower(...args());
    expect(showJaxpr(low.jaxpr)).toBe(showJaxpr(makeJaxpr(layer)(...args())));
    expect(low.program).toContain("kernel 0 dot_general(");
    expect(low.plan).toContain("kernels 0 to 1");
    for (const part of [low.program, low.plan, showJaxpr(low.jaxpr), `${low.flops} operations`])
      expect(String(low)).toContain(part);
  });
  it("runs nothing, and traces once for both", () => {
    let traced = 0;
    const f = jit((x: NDArray) => {
      traced++;
      return np.exp(x);
    });
    const x = np.ones([3]);
    const seen = profile(() => f.lower(x));
    expect(seen.kernels).toEqual([]);
    f(x);
    expect(traced).toBe(1);
  });
  it("compiles to the function for these types only", () => {
    const low = jit(grad((x: NDArray) => np.sum(x.mul(x)))).lower(np.zeros([2]));
    expect(
      low
        .compile()(np.array([1, 2]))
        .toArray(),
    ).toEqual([2, 4]);
    expect(() => low.compile()(np.zeros([3]))).toThrow(
      /lowered for; got args\[0\] changes its shape: f32\[2\], f32\[3\]/,
    );
  });
  it("takes captured arrays, static and donated arguments", () => {
    const c = np.array([1, 2]);
    const f = jit((x: NDArray, n: number) => x.mul(n).add(c), {
      staticArgnums: 1,
      donateArgnums: 0,
    });
    const low = f.lower(np.zeros([2]), 3);
    expect(low.jaxpr.inAvals.map(String)).toEqual(["f32[2]", "f32[2]"]);
    expect(
      low
        .compile()(np.ones([2]), 3)
        .toArray(),
    ).toEqual([4, 5]);
    expect(() => low.compile()(np.ones([2]), 4)).toThrow(
      /got the static args\[1\] changes its value: /,
    );
  });
});

describe("the text of a program", () => {
  it("names what a kernel uses again, so that it grows with the number of operations", () => {
    const chain = (length: number): string => {
      const f = (x: NDArray): NDArray => {
        let y = x;
        for (let i = 0; i < length; i++) y = np.where(y.greater(i), y.mul(0.5).add(x), y.sub(1));
        return y;
      };
      return jit(f).lower(np.ones([64])).program;
    };
    expect(chain(40).length).toBeLessThan(20 * chain(4).length);
    expect(chain(3)).toMatch(/^ +(e\d+) = [\s\S]*\1/m);
  });
});

describe("the text of a module", () => {
  it("says what the bytes say", () => {
    // (func (result i32) i32.const -5, i64.const 2^40, i32.wrap_i64, i32.add), exported as f
    const bytes = [
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0,
      0, 10, 15, 1, 13, 0, 0x41, 0x7b, 0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0xa7, 0x6a, 0x0b,
    ];
    new WebAssembly.Module(new Uint8Array(bytes));
    expect(disassemble(new Uint8Array(bytes))).toBe(`(module
  (type (func (result i32)))
  (export "f" (func 0))
  (func (;0;) (type 0)
    i32.const -5
    i64.const 1099511627776
    i32.wrap_i64
    i32.add
  )
)`);
  });
  it("knows every instruction that kernels are made of", async () => {
    for (const s of allSamples) {
      const xs = argumentsOf(s);
      const { jaxpr } = makeJaxpr((...a: NDArray[]) => s.apply(...a))(...xs);
      const { executable } = compiledJaxpr(s.primitive, jaxpr);
      const text = await (executable as WasmExecutable).text();
      const lines = text.split("\n").map((l) => l.trim());
      const count = (what: RegExp): number => lines.filter((l) => what.test(l)).length;
      expect(count(/^(block|loop|if)\b/), titleOf(s)).toBe(count(/^end$/));
      expect(text, titleOf(s)).not.toMatch(/undefined|NaN|\?/);
    }
  });
  it("is there on the wasm backend only", async () => {
    const lower = () => jit((x: NDArray) => np.sin(x)).lower(np.ones([4]));
    expect(await lower().wat()).toMatch(/^\(module\n[\s\S]*\(export "run"/);
    expect(await withBackend("reference", lower).wat()).toBe(null);
  });
});

describe("profile", () => {
  for (const backend of ["wasm", "reference"])
    it(`counts and times each kernel on the ${backend} backend`, () =>
      withBackend(backend, () => {
        const f = jit(layer, { name: "layer" });
        const want = f(...args()).toArray();
        const [x, w] = args();
        let got: unknown;
        const seen = profile(() => {
          for (let i = 0; i < 3; i++) got = f(x, w).toArray();
        });
        expect(got).toEqual(want);
        expect(seen.kernels.map((k) => [k.program, k.name, k.calls]).sort()).toEqual([
          ["layer", "dot_general", 3],
          ["layer", "tanh+mul+reduce_sum", 3],
        ]);
        const inKernels = seen.kernels.reduce((sum, k) => sum + k.ms, 0);
        for (const k of seen.kernels) expect(k.ms).toBeGreaterThanOrEqual(0);
        expect(inKernels).toBeLessThanOrEqual(seen.total);
        expect(String(seen)).toMatch(/layer\.0 dot_general\n/);
        expect(String(seen)).toMatch(/outside kernels\n.*100\.0%.*total$/);
      }));
  it("goes with kernels that threads share", () => {
    const f = jit((x: NDArray) => np.exp(np.sin(x)).add(1));
    const x = np.linspace(0, 1, 300_000);
    const want = f(x).toArray();
    let got: unknown;
    const seen = profile(() => {
      got = f(x).toArray();
    });
    expect(got).toEqual(want);
    expect(seen.kernels).toHaveLength(1);
  });
  it("waits for what is asynchronous", async () => {
    const x = np.ones([4]);
    const seen = await profile(async () => {
      await np.add(x, 1).data();
      await np.multiply(x, 2).data();
    });
    expect(seen.kernels.map((k) => k.name).sort()).toEqual(["add", "mul"]);
  });
  it("ends with its function, and has none inside", async () => {
    expect(() => profile(() => profile(() => {}))).toThrow(/one profile must end/);
    await expect(
      profile(async () => {
        throw new Error("mine");
      }),
    ).rejects.toThrow("mine");
    expect(profile(() => {}).kernels).toEqual([]);
  });
});
