/** `node dist/test/bench/gemm.js` [NAME] after a build: the WebAssembly backend below the level of arrays. Prints the speed of
 *  the matrix product and of a convolution, and what a call and a compilation of a small program cost. */
import type { Storage } from "../../core/backend/backend.ts";
import { wasmBackend as backend } from "../../core/backend/wasm/backend.ts";
import { type DType, dtypes } from "../../core/dtype.ts";
import { int, lit, load, mul, unary } from "../../core/kernel/expr.ts";
import {
  type ContractDim,
  type ConvSpatial,
  type Kernel,
  type KernelBuffer,
  loop,
} from "../../core/kernel/kernel.ts";
import type { Program, ProgramBuffer } from "../../core/program/types.ts";

const reads = (dtype: DType, length: number): KernelBuffer => ({ dtype, length, access: "read" });
const writes = (dtype: DType, length: number): KernelBuffer => ({ dtype, length, access: "write" });

function programOf(kernel: Kernel): Program {
  const buffers = kernel.buffers.map(
    ({ dtype, length, access }): ProgramBuffer => ({
      dtype,
      length,
      bytes: length * dtypes[dtype].bytes,
      place: access === "read" ? "input" : "output",
      offset: 0,
    }),
  );
  const at = (place: string): number[] => buffers.flatMap((b, i) => (b.place === place ? [i] : []));
  const steps = [{ kernel, args: buffers.map((_, i) => i) }];
  return {
    name: kernel.name,
    buffers,
    inputs: at("input"),
    outputs: at("output"),
    steps,
    arenaBytes: 0,
  };
}

/** Least milliseconds of a run, over `repeats` batches of `calls`. */
function time(kernel: Kernel, repeats: number, calls = 1): number {
  const run = backend.compile(programOf(kernel));
  const inputs = kernel.buffers
    .filter((b) => b.access === "read")
    .map((b) => backend.write(new Uint8Array(b.length * dtypes[b.dtype].bytes)));
  let best = Number.POSITIVE_INFINITY;
  for (let r = 0; r < repeats; r++) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) backend.free(run.run(inputs)[0] as Storage);
    best = Math.min(best, (performance.now() - start) / calls);
  }
  for (const s of inputs) backend.free(s);
  return best;
}
const only = process.argv[2] ?? "";
const report = (name: string, value: number, unit: string): void =>
  console.log(`${name.padEnd(36)} ${value.toFixed(2).padStart(9)} ${unit}`);
/** Reports the rate of a kernel of so many floating-point operations. */
function rate(name: string, flops: number, kernel: () => Kernel): void {
  if (!name.includes(only)) return;
  const calls = Math.max(1, Math.round(2e6 / flops));
  report(
    name,
    flops / time(kernel(), Math.min(60, 3 + Math.round(1e9 / flops)), calls) / 1e6,
    "GFLOP/s",
  );
}

/** out[b, m, n] = Σ_k lhs·rhs; the operands in the given order of their axes: "mk" or "km", "kn" or "nk", "mn" or "nm" */
function matmul(d: DType, m: number, n: number, k: number, layouts = "mk kn mn", b = 1): Kernel {
  const size: { readonly [axis: string]: number } = { m, n, k };
  const strides = layouts.split(" ").map((order) => {
    const [outer, inner] = [...order] as [string, string];
    return { [outer]: size[inner] as number, [inner]: 1 } as { readonly [axis: string]: number };
  });
  const dim = (axis: string): ContractDim => {
    const [lhs, rhs, out] = strides.map((s) => s[axis] ?? 0) as [number, number, number];
    return { size: size[axis] as number, lhs, rhs, out };
  };
  return {
    kind: "contract",
    name: "matmul",
    buffers: [reads(d, b * m * k), reads(d, b * n * k), writes(d, b * m * n)],
    batch: b === 1 ? [] : [{ size: b, lhs: m * k, rhs: k * n, out: m * n }],
    m: [dim("m")],
    n: [dim("n")],
    k: [dim("k")],
  };
}
for (const d of ["float32", "float64"] as const) {
  for (const n of [8, 16, 64, 256, 257, 512, 1023, 1024])
    rate(`${d} ${n} cubed`, 2 * n ** 3, () => matmul(d, n, n, n));
  for (const [m, n, k, layouts, b] of [
    [128, 512, 784],
    [128, 512, 784, "mk nk mn"],
    [784, 512, 128, "km kn mn"],
    [512, 384, 128],
    [64, 64, 32, "mk kn mn", 32],
    [64, 64, 32, "mk nk mn", 32],
    [8, 8, 8, "mk kn mn", 256],
    [1024, 1, 1024],
    [1, 1024, 1024],
    [4, 1024, 1024],
    [8, 1024, 1024],
    [16, 1024, 1024],
    [2, 1024, 1024],
    [1024, 2, 1024],
    [1024, 4, 1024],
    [1024, 8, 1024],
    [128, 10, 512],
    [512, 10, 128, "km kn mn"],
    [128, 512, 10, "mk nk mn"],
    [32, 10, 3136],
    [3136, 10, 32, "km kn mn"],
    [32, 3136, 10, "mk nk mn"],
    [1024, 1024, 1],
    [1024, 1024, 4],
    [256, 256, 256, "mk nk mn"],
    [256, 256, 256, "km kn mn"],
    [256, 256, 256, "mk kn nm"],
  ] as const)
    rate(
      `${d} ${b === undefined ? "" : `${b}× `}${m}×${n} over ${k} ${layouts ?? ""}`,
      2 * m * n * k * (b ?? 1),
      () => matmul(d, m, n, k, layouts, b),
    );
}

/** A convolution of windows of 3² with padding that keeps the size, or its gradient by the filter. */
function conv(
  n: number,
  c: number,
  o: number,
  side: number,
  last: boolean,
  filter = false,
): Kernel {
  const area = side * side;
  const of = (
    features: number,
  ): readonly [batch: number, feature: number, row: number, column: number] =>
    last ? [area * features, 1, side * features, features] : [area * features, area, side, 1];
  const [x, y] = [of(c), of(o)];
  const w = last ? ([1, o, 3 * c * o, c * o] as const) : ([c * 9, 9, 3, 1] as const);
  const axis = (at: 2 | 3): ConvSpatial => ({
    input: side,
    window: filter ? side : 3,
    output: filter ? 3 : side,
    stride: 1,
    low: 1,
    inputDilation: 1,
    windowDilation: 1,
    xStride: x[at],
    wStride: filter ? y[at] : w[at],
    outStride: filter ? w[at] : y[at],
  });
  const [xs, ws, ys] = [n * c * area, c * o * 9, n * o * area];
  return {
    kind: "conv",
    name: "conv",
    buffers: [
      reads("float32", xs),
      reads("float32", filter ? ys : ws),
      writes("float32", filter ? ws : ys),
    ],
    batch: filter ? { size: c, x: x[1], out: w[1] } : { size: n, x: x[0], out: y[0] },
    inFeatures: filter ? { size: n, x: x[0], w: y[0] } : { size: c, x: x[1], w: w[1] },
    outFeatures: filter ? { size: o, w: y[1], out: w[0] } : { size: o, w: w[0], out: y[1] },
    featureGroups: 1,
    batchGroups: 1,
    spatial: [axis(2), axis(3)],
  };
}
/** Each of `c` features with a window of 3² of its own. */
function depthwise(n: number, c: number, side: number, last: boolean): Kernel {
  const whole = conv(n, 1, c, side, last);
  if (whole.kind !== "conv") throw new Error("not a convolution");
  const { buffers, batch, inFeatures, outFeatures, spatial } = whole;
  const [row, column] = spatial as [ConvSpatial, ConvSpatial];
  return {
    ...whole,
    buffers: [reads("float32", buffers[2].length), buffers[1], buffers[2]],
    featureGroups: c,
    batch: { ...batch, x: batch.out },
    inFeatures: { ...inFeatures, x: outFeatures.out },
    spatial: [
      { ...row, xStride: row.outStride },
      { ...column, xStride: column.outStride },
    ],
  };
}
for (const last of [false, true])
  rate(`depthwise ${last ? "NHWC" : "NCHW"} 32×32×14²`, 2 * 32 * 32 * 196 * 9, () =>
    depthwise(32, 32, 14, last),
  );
for (const last of [false, true])
  for (const [c, o, side] of [
    [1, 32, 28],
    [32, 64, 14],
    [64, 32, 14],
    [16, 32, 28],
    [128, 128, 7],
    [64, 2, 14],
  ] as const)
    for (const filter of [false, true])
      rate(
        `conv ${last ? "NHWC" : "NCHW"} 32×${c}→${o}×${side}²${filter ? " by filter" : ""}`,
        2 * 32 * o * side * side * c * 9,
        () => conv(32, c, o, side, last, filter),
      );

const small = (name: string): Kernel => ({
  kind: "loops",
  name,
  buffers: [reads("float32", 8), writes("float32", 8)],
  body: [
    loop(int(8), (i) => [
      {
        kind: "store",
        buffer: 1,
        index: i,
        value: mul(unary("sin", load(0, i, "float32")), lit(2, "float32")),
      },
    ]),
  ],
});
report("call of sin(x)·2, 8 elements", time(small("call"), 20, 20_000) * 1e3, "µs");
const start = performance.now();
for (let i = 0; i < 300; i++) backend.compile(programOf(small(`compile ${i}`)));
report("compilation of it", ((performance.now() - start) / 300) * 1e3, "µs");
