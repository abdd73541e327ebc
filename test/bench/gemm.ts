/** `node dist/test/bench/gemm.js` after a build: the WebAssembly backend below the level of arrays. Prints the speed of
 *  the matrix product and of a convolution, and what a call and a compilation of a small program cost. */
import type { Storage } from "../../core/backend/backend.ts";
import { wasmBackend as backend } from "../../core/backend/wasm/backend.ts";
import { type DType, dtypes } from "../../core/dtype.ts";
import { int, lit, load, mul, unary } from "../../core/kernel/expr.ts";
import {
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
const report = (name: string, value: number, unit: string): void =>
  console.log(`${name.padEnd(28)} ${value.toFixed(2).padStart(9)} ${unit}`);

for (const d of ["float32", "float64"] as const)
  for (const n of [64, 256, 1024]) {
    const kernel: Kernel = {
      kind: "contract",
      name: "matmul",
      buffers: [reads(d, n * n), reads(d, n * n), writes(d, n * n)],
      batch: [],
      m: [{ size: n, lhs: n, rhs: 0, out: n }],
      n: [{ size: n, lhs: 0, rhs: 1, out: 1 }],
      k: [{ size: n, lhs: 1, rhs: n, out: 0 }],
    };
    report(`matmul ${d} ${n}`, (2 * n ** 3) / time(kernel, n > 500 ? 3 : 20) / 1e6, "GFLOP/s");
  }

const [batch, features, filters, size] = [32, 16, 32, 28];
const axis = (xStride: number, wStride: number): ConvSpatial => ({
  input: size,
  window: 3,
  output: size,
  stride: 1,
  low: 1,
  inputDilation: 1,
  windowDilation: 1,
  xStride,
  wStride,
  outStride: xStride,
});
const area = size * size;
const conv: Kernel = {
  kind: "conv",
  name: "conv",
  buffers: [
    reads("float32", batch * features * area),
    reads("float32", filters * features * 9),
    writes("float32", batch * filters * area),
  ],
  batch: { size: batch, x: features * area, out: filters * area },
  inFeatures: { size: features, x: area, w: 9 },
  outFeatures: { size: filters, w: features * 9, out: area },
  featureGroups: 1,
  batchGroups: 1,
  spatial: [axis(size, 3), axis(1, 1)],
};
report(
  "conv 32×16→32×28² by 3²",
  (2 * batch * filters * area * features * 9) / time(conv, 5) / 1e6,
  "GFLOP/s",
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
