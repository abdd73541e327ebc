/** Contractions and convolutions as plain nested sums, straight from their formulas. */
import { type DType, isFloat, type PackedArray, wrapInteger } from "../../dtype.ts";
import type { ContractDim, ContractKernel, ConvKernel } from "../../kernel/kernel.ts";
import type { RunKernel } from "./loops.ts";
import { decoder, encoder, rounder } from "./scalar.ts";

/** Sum of products into dtype `out`: floats in double and rounded once, integers modulo 2³², bool as
 *  "any of (a and b)". */
function accumulator(out: DType): {
  add(acc: number, a: number, b: number): number;
  finish(acc: number): number;
} {
  if (isFloat(out)) return { add: (acc, a, b) => acc + a * b, finish: rounder(out) };
  if (out === "bool") return { add: (acc, a, b) => acc | (a & b), finish: (acc) => acc };
  return {
    add: (acc, a, b) => (acc + Math.imul(a, b)) | 0,
    finish: (acc) => wrapInteger(acc, out),
  };
}

function checkDTypes(kernel: ContractKernel | ConvKernel): void {
  const [lhs, rhs, out] = kernel.buffers;
  for (const b of [lhs, rhs])
    if (isFloat(b.dtype) && !isFloat(out.dtype))
      throw new Error(`kernel ${kernel.name}: a ${out.dtype} sum of ${b.dtype} products`);
}

/** Reads and writes checked positions of a kernel's buffers. */
function access(kernel: ContractKernel | ConvKernel) {
  const ends = kernel.buffers.map((b) => ({
    decode: decoder(b.dtype),
    encode: encoder(b.dtype),
    length: b.length,
  }));
  const check = (use: string, buffer: number, index: number): (typeof ends)[number] => {
    const end = ends[buffer] as (typeof ends)[number];
    if (!(index >= 0 && index < end.length))
      throw new Error(
        `kernel ${kernel.name}: ${use} of buffer ${buffer} at ${index}, outside its length ${end.length}`,
      );
    return end;
  };
  return {
    load: (arrays: readonly PackedArray[], buffer: number, index: number): number =>
      check("load", buffer, index).decode((arrays[buffer] as PackedArray)[index] as number),
    store: (arrays: readonly PackedArray[], buffer: number, index: number, x: number): void => {
      (arrays[buffer] as PackedArray)[index] = check("store", buffer, index).encode(x);
    },
  };
}

/** Offsets in lhs, rhs and out of every point of a box of dims, in row-major order. */
function points(dims: readonly ContractDim[]): readonly (readonly [number, number, number])[] {
  let list: (readonly [number, number, number])[] = [[0, 0, 0]];
  for (const dim of dims)
    list = list.flatMap(([l, r, o]) =>
      Array.from({ length: dim.size }, (_, i): readonly [number, number, number] => [
        l + i * dim.lhs,
        r + i * dim.rhs,
        o + i * dim.out,
      ]),
    );
  return list;
}

/** out[b…, m…, n…] = Σ_k lhs·rhs */
export function interpretContract(kernel: ContractKernel): RunKernel {
  checkDTypes(kernel);
  const { add, finish } = accumulator(kernel.buffers[2].dtype);
  const { load, store } = access(kernel);
  const batch = points(kernel.batch);
  const rows = points(kernel.m);
  const columns = points(kernel.n);
  const inner = points(kernel.k);
  return (arrays) => {
    for (const [bl, br, bo] of batch)
      for (const [ml, , mo] of rows)
        for (const [, nr, no] of columns) {
          let acc = 0;
          for (const [kl, kr] of inner)
            acc = add(acc, load(arrays, 0, bl + ml + kl), load(arrays, 1, br + nr + kr));
          store(arrays, 2, bo + mo + no, finish(acc));
        }
  };
}

/** Calls `f` for every point of a box. */
function eachPoint(sizes: readonly number[], f: (point: readonly number[]) => void): void {
  const point = sizes.map(() => 0);
  const go = (axis: number): void => {
    if (axis === sizes.length) f(point);
    for (let i = 0; i < (sizes[axis] ?? 0); i++) {
      point[axis] = i;
      go(axis + 1);
    }
  };
  go(0);
}

/** out[n,o,p] = Σ_{c,r} x[n, c, (p·stride + r·windowDilation − low) / inputDilation] · w[o,c,r] */
export function interpretConv(kernel: ConvKernel): RunKernel {
  checkDTypes(kernel);
  const { add, finish } = accumulator(kernel.buffers[2].dtype);
  const { load, store } = access(kernel);
  const { batch, inFeatures, outFeatures, featureGroups, batchGroups, spatial } = kernel;
  const outBatch = batch.size / batchGroups;
  const groupOf = (feature: number, groups: number): number =>
    Math.floor(feature / (outFeatures.size / groups));
  return (arrays) => {
    for (let n = 0; n < outBatch; n++)
      for (let o = 0; o < outFeatures.size; o++) {
        const xBatch = (groupOf(o, batchGroups) * outBatch + n) * batch.x;
        const xFeature = groupOf(o, featureGroups) * inFeatures.size;
        const outputs = spatial.map((s) => s.output);
        eachPoint(outputs, (p) => {
          let acc = 0;
          for (let c = 0; c < inFeatures.size; c++)
            eachPoint(
              spatial.map((s) => s.window),
              (r) => {
                let xAt = xBatch + (xFeature + c) * inFeatures.x;
                let wAt = o * outFeatures.w + c * inFeatures.w;
                for (const [i, s] of spatial.entries()) {
                  const at =
                    (p[i] as number) * s.stride + (r[i] as number) * s.windowDilation - s.low;
                  const position = at / s.inputDilation;
                  if (!Number.isInteger(position) || position < 0 || position >= s.input) return;
                  xAt += position * s.xStride;
                  wAt += (r[i] as number) * s.wStride;
                }
                acc = add(acc, load(arrays, 0, xAt), load(arrays, 1, wAt));
              },
            );
          const outAt = spatial.reduce(
            (at, s, i) => at + (p[i] as number) * s.outStride,
            n * batch.out + o * outFeatures.out,
          );
          store(arrays, 2, outAt, finish(acc));
        });
      }
  };
}
