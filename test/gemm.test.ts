/** Matrix products below the level of kernels: every edge of their tiles, every way to compute them, and parts of a
 *  contraction or convolution against the whole. */
import { describe, expect, it } from "vitest";
import { convCalls, convScratch } from "../core/backend/wasm/conv/calls.ts";
import { convLoops } from "../core/backend/wasm/conv/loops.ts";
import { planConv } from "../core/backend/wasm/conv/plan.ts";
import { emitKernel } from "../core/backend/wasm/emit.ts";
import { Module } from "../core/backend/wasm/encoder.ts";
import type { Range } from "../core/backend/wasm/function.ts";
import {
  gemmModule,
  gemmScratch,
  importListedProduct,
  importProduct,
  type Method,
  productNames,
} from "../core/backend/wasm/gemm.ts";
import { hostMath, Library } from "../core/backend/wasm/library.ts";
import { contractCalls, contractLoops, planContract } from "../core/backend/wasm/templates.ts";
import { dtypes } from "../core/dtype.ts";
import type { ContractDim, ContractKernel, ConvKernel } from "../core/kernel/kernel.ts";
import { reads, writes } from "./conformance/programs.ts";
import { Random } from "./conformance/values.ts";

const times = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));

// ---- one memory: scratch, then what a test places ----

const scratch = 64;
const heap = scratch + Math.max(gemmScratch, convScratch);
const memory = new WebAssembly.Memory({ initial: 400, maximum: 65535 });
const env = { memory, scratch: new WebAssembly.Global({ value: "i32" }, scratch) };
const instance = (bytes: Uint8Array<ArrayBuffer>, more: WebAssembly.Imports): WebAssembly.Exports =>
  new WebAssembly.Instance(new WebAssembly.Module(bytes), { env, math: hostMath, ...more }).exports;
const products = Object.fromEntries(
  productNames.map((name) => [name, instance(gemmModule(name, false), {})]),
) as { readonly [name: string]: { readonly run: (...args: number[]) => void } };

type Numbers = Float32Array | Float64Array | Int32Array;
const views = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const;
type TestDType = keyof typeof views;
const numbers = (d: TestDType, address: number, length: number): Numbers =>
  new views[d](memory.buffer, address, length);
/** Arrays one after another, each with room around it. */
const place = (d: TestDType, lengths: readonly number[]): { address: number; view: Numbers }[] => {
  let address = heap;
  return lengths.map((length) => {
    const at = address + 64;
    address = Math.ceil((at + length * dtypes[d].bytes) / 64) * 64 + 64;
    return { address: at, view: numbers(d, at, length) };
  });
};
const bits = (a: Numbers): Buffer => Buffer.from(a.slice().buffer);

// ---- products ----

interface Layout {
  readonly row: number;
  readonly column: number;
  readonly length: number;
}
/** A matrix with contiguous rows or columns, or neither. */
function layout(random: Random, rows: number, columns: number, kind: number): Layout {
  if (kind === 0) {
    const row = columns + random.int(0, 3);
    return { row, column: 1, length: rows * row };
  }
  if (kind === 1) {
    const column = rows + random.int(0, 3);
    return { row: 1, column, length: columns * column };
  }
  const column = random.int(2, 4);
  const row = columns * column + random.int(0, 3);
  return { row, column, length: rows * row };
}

interface Call {
  readonly d: TestDType;
  readonly method: Method;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Layout;
  readonly b: Layout;
  readonly c: Layout;
  readonly add: boolean;
  readonly depth: number;
}
/** C after the call, and as the definition has it, from values of the operands and a fill of C. */
function call(p: Call, value: () => number): { readonly got: Numbers; readonly wanted: Numbers } {
  const { d, m, n, k, a, b, c } = p;
  const { bytes } = dtypes[d];
  const [x, y, z] = place(d, [a.length, b.length, c.length]) as [
    { address: number; view: Numbers },
    { address: number; view: Numbers },
    { address: number; view: Numbers },
  ];
  for (const { view } of [x, y])
    view.forEach((_, i) => {
      view[i] = value();
    });
  z.view.fill(7);
  const wanted = z.view.slice();
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let sum = p.add ? 7 : 0;
      for (let q = 0; q < k; q++)
        sum +=
          (x.view[i * a.row + q * a.column] as number) *
          (y.view[q * b.row + j * b.column] as number);
      wanted[i * c.row + j * c.column] = sum;
    }
  // what lies around C must stay as it is
  const around = [
    numbers(d, z.address - 64, 64 / bytes),
    numbers(d, z.address + c.length * bytes, 4),
  ];
  for (const edge of around) edge.fill(9);
  products[`${d}.${p.method}`]?.run(
    ...[x.address, y.address, z.address, m, n, k],
    ...[a.row, a.column, b.row, b.column, c.row, c.column].map((s) => s * bytes),
    ...[Number(p.add), p.depth, scratch],
  );
  for (const edge of around) expect(edge.every((v) => v === 9)).toBe(true);
  return { got: z.view.slice(), wanted };
}

describe("products", () => {
  for (const d of ["float32", "float64", "int32"] as const)
    it(`in ${d} have every size from 1 to 20, every layout and way`, () => {
      const random = new Random(1);
      for (let m = 1; m <= 20; m++)
        for (let n = 1; n <= 20; n++)
          for (let k = 1; k <= 20; k++) {
            const [a, b, c] = [
              layout(random, m, k, random.int(0, 3)),
              layout(random, k, n, random.int(0, 3)),
              layout(random, m, n, random.int(0, 3)),
            ] as const;
            const ways: Method[] = ["packed", "direct"];
            if (m === 1 && b.row === 1) ways.push("rowSums");
            if (m === 1 && b.column === 1 && c.column === 1) ways.push("sumOfRows");
            const way = random.pick(ways);
            const depth = random.int(1, 25);
            const p = { d, method: way, m, n, k, a, b, c, add: random.chance(0.5), depth };
            // small integers: every sum is exact
            const { got, wanted } = call(p, () => random.int(-4, 5));
            if (got.some((v, i) => v !== wanted[i]))
              expect.fail(`${JSON.stringify(p)}: ${got.join()} is not ${wanted.join()}`);
          }
    });

  it("of vectors have every length from 1 to 40", () => {
    const random = new Random(2);
    for (const d of ["float32", "float64"] as const)
      for (let n = 1; n <= 40; n++)
        for (let k = 1; k <= 40; k++)
          for (const method of ["rowSums", "sumOfRows"] as const) {
            const a = layout(random, 1, k, random.int(0, 3));
            const b = layout(random, k, n, method === "rowSums" ? 1 : 0);
            const c = layout(random, 1, n, method === "rowSums" ? random.int(0, 3) : 0);
            const p = { d, method, m: 1, n, k, a, b, c, add: random.chance(0.5), depth: k };
            const { got, wanted } = call(p, () => random.int(-4, 5));
            expect(got).toEqual(wanted);
          }
  });

  it("cross the borders of blocks", () => {
    const random = new Random(3);
    const sizes = [
      [1, 1, 385],
      [129, 9, 770],
      [5, 400, 500],
      [130, 345, 390],
      [3, 5, 1537],
    ] as const;
    for (const d of ["float32", "float64"] as const)
      for (const [m, n, k] of sizes)
        for (let kind = 0; kind < 9; kind++) {
          const a = layout(random, m, k, kind % 3);
          const b = layout(random, k, n, Math.floor(kind / 3));
          const c = layout(random, m, n, random.int(0, 3));
          const p = {
            d,
            method: "packed" as const,
            m,
            n,
            k,
            a,
            b,
            c,
            add: kind % 2 === 0,
            depth: 0,
          };
          const { got, wanted } = call(p, () => random.int(-4, 5));
          expect(got.every((v, i) => v === wanted[i])).toBe(true);
        }
  });

  it("propagate NaN and infinity to where they belong, and no further", () => {
    const random = new Random(4);
    for (const d of ["float32", "float64"] as const)
      for (let trial = 0; trial < 300; trial++) {
        const [m, n, k] = [random.int(1, 14), random.int(1, 20), random.int(1, 9)] as const;
        const p = {
          ...{ d, m, n, k, add: false, depth: 4 },
          method: random.pick(["packed", "direct"] as const),
          a: layout(random, m, k, random.int(0, 3)),
          b: layout(random, k, n, random.int(0, 3)),
          c: layout(random, m, n, random.int(0, 3)),
        };
        const { got, wanted } = call(p, () =>
          random.chance(0.05)
            ? random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
            : random.int(-2, 3),
        );
        expect(got).toEqual(wanted);
      }
  });
});

// ---- parts ----

/** A kernel's function with the parts that may be computed by themselves. */
function functionOf(kernel: ContractKernel | ConvKernel): {
  readonly range: Range | null;
  readonly run: (...args: number[]) => void;
} {
  const module = new Module();
  const library = new Library(module);
  const build = () => {
    if (kernel.kind === "contract") {
      const plan = planContract(kernel);
      return plan === null
        ? emitKernel(contractLoops(kernel), library)
        : contractCalls(plan, importProduct(module, plan.product));
    }
    const plan = planConv(kernel);
    if (plan === null) return emitKernel(convLoops(kernel), library);
    const product = importListedProduct(module, plan.product);
    if (plan.copy === null) return convCalls(plan, product, null);
    const { code: copy } = emitKernel(plan.copy, library);
    return convCalls(plan, product, module.add(copy));
  };
  const { code, range } = build();
  module.export("run", module.add(code));
  const { run } = instance(module.encode(false), products as unknown as WebAssembly.Imports);
  return { range, run: run as (...args: number[]) => void };
}

/** Whether a kernel computed in parts, in any order, has the bits of the whole. */
function partsAgree(kernel: ContractKernel | ConvKernel, random: Random): Range | null {
  const d = kernel.buffers[2].dtype as TestDType;
  const { range, run } = functionOf(kernel);
  if (range === null) return null;
  const [x, y, z] = place(
    d,
    kernel.buffers.map((b) => b.length),
  ) as [
    { address: number; view: Numbers },
    { address: number; view: Numbers },
    { address: number; view: Numbers },
  ];
  for (const { view } of [x, y])
    view.forEach((_, i) => {
      view[i] = random.bits() / 2 ** 31 - 1;
    });
  const addresses = [x.address, y.address, z.address];
  z.view.fill(Number.NaN);
  run(...addresses, 0, range.extent);
  const whole = z.view.slice();
  expect(whole.some(Number.isNaN)).toBe(false);
  z.view.fill(Number.NaN);
  const units = Math.ceil(range.extent / range.align);
  const cuts = [...new Set([0, units, ...times(3, () => random.int(0, units + 1))])]
    .sort((a, b) => a - b)
    .map((u) => Math.min(u * range.align, range.extent));
  const parts = random.shuffle(cuts.slice(1).map((hi, i) => [cuts[i] as number, hi] as const));
  run(...addresses, 0, 0);
  for (const [lo, hi] of parts) run(...addresses, lo, hi);
  expect(bits(z.view).equals(bits(whole))).toBe(true);
  return range;
}

/** Strides of a dense array whose axes lie in memory in any order. */
function strides(random: Random, sizes: readonly number[]): { of: number[]; length: number } {
  const of = new Array<number>(sizes.length);
  let length = 1;
  for (const axis of random.shuffle(times(sizes.length, (i) => i))) {
    of[axis] = length;
    length *= sizes[axis] as number;
  }
  return { of, length };
}

describe("parts", () => {
  it("of contractions have the bits of the whole", () => {
    const random = new Random(5);
    const seen = new Set<string>();
    for (let trial = 0; trial < 300; trial++) {
      const d = random.pick(["float32", "float64"] as const);
      const size = (): number => random.pick([1, 2, 3, 7, 8, 16, 33, 70]);
      const batch = random.pick([[], [2], [3, 2], [9], [4, 3]]);
      const [m, n] = times(2, () => (random.chance(0.2) ? [2, size()] : [size()])) as [
        number[],
        number[],
      ];
      const k = random.chance(0.1) ? [3, 200] : [random.pick([1, 3, 8, 40, 500])];
      const [lhs, rhs, out] = [
        strides(random, [...batch, ...m, ...k]),
        strides(random, [...batch, ...n, ...k]),
        strides(random, [...batch, ...m, ...n]),
      ] as const;
      const dims = (
        sizes: readonly number[],
        l: number | null,
        r: number | null,
        o: number | null,
      ): ContractDim[] =>
        sizes.map((s, i) => ({
          size: s,
          lhs: l === null ? 0 : (lhs.of[l + i] as number),
          rhs: r === null ? 0 : (rhs.of[r + i] as number),
          out: o === null ? 0 : (out.of[o + i] as number),
        }));
      const b = batch.length;
      const range = partsAgree(
        {
          kind: "contract",
          name: "parts",
          buffers: [reads(d, lhs.length), reads(d, rhs.length), writes(d, out.length)],
          batch: dims(batch, 0, 0, 0),
          m: dims(m, b, null, b),
          n: dims(n, null, b, b + m.length),
          k: dims(k, b + m.length, b + n.length, null),
        },
        random,
      );
      if (range !== null) seen.add(range.align > 1 ? "within a product" : "products");
    }
    expect(seen.size).toBe(2);
  });

  it("of convolutions have the bits of the whole", () => {
    const random = new Random(6);
    let products = 0;
    for (let trial = 0; trial < 150; trial++) {
      const d = random.pick(["float32", "float64"] as const);
      const rank = random.int(1, 3);
      const [featureGroups, batchGroups] = random.pick([
        [1, 1],
        [1, 1],
        [9, 1],
        [3, 1],
        [1, 2],
      ] as const);
      const groups = featureGroups * batchGroups;
      const [images, c] = [random.pick([1, 2, 11]), random.int(1, 5)] as const;
      const o = random.pick([1, 4, 9, 80]);
      const axes = times(rank, () => {
        const [window, stride] = [random.int(1, 4), random.int(1, 3)] as const;
        const [low, inputDilation] = [random.int(-1, 3), random.pick([1, 1, 2])] as const;
        const windowDilation = random.int(1, 3);
        const output = random.int(1, 12);
        // some of the input may be left over, or missing
        const seen = (output - 1) * stride + (window - 1) * windowDilation + 1 - low;
        const input = Math.max(1, Math.ceil(seen / inputDilation) + random.int(-1, 2));
        return { input, window, output, stride, low, inputDilation, windowDilation };
      });
      const x = strides(random, [
        images * batchGroups,
        c * featureGroups,
        ...axes.map((a) => a.input),
      ]);
      const w = strides(random, [o * groups, c, ...axes.map((a) => a.window)]);
      const out = strides(random, [images, o * groups, ...axes.map((a) => a.output)]);
      const at = (list: readonly number[], i: number): number => list[i] as number;
      const kernel: ConvKernel = {
        kind: "conv",
        name: "parts",
        buffers: [reads(d, x.length), reads(d, w.length), writes(d, out.length)],
        batch: { size: images * batchGroups, x: at(x.of, 0), out: at(out.of, 0) },
        inFeatures: { size: c, x: at(x.of, 1), w: at(w.of, 1) },
        outFeatures: { size: o * groups, w: at(w.of, 0), out: at(out.of, 1) },
        featureGroups,
        batchGroups,
        spatial: axes.map((a, i) => ({
          ...a,
          xStride: at(x.of, i + 2),
          wStride: at(w.of, i + 2),
          outStride: at(out.of, i + 2),
        })),
      };
      if (planConv(kernel) !== null) products++;
      expect(partsAgree(kernel, random)).not.toBe(null);
    }
    expect(products).toBeGreaterThan(30);
  });
});
