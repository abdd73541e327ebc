/** Random programs, large ones among them, on the reference backend, and compiled with one thread and with several: the
 *  same bits, but for contractions and long reductions, whose order is free. 100 programs in `npm test`, RUNS (5000) in `npm run fuzz`.
 *  A failure prints the program, shrunk, and the seed with which it comes again (FUZZ_SEED). */
import fc from "fast-check";
import { expect } from "vitest";
import "../../core/backend/reference/index.ts";
import { withBackend } from "../../core/backend/registry.ts";
import { wasmBackend } from "../../core/backend/wasm/backend.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { sizeOf } from "../../core/shape.ts";
import { jit } from "../../index.ts";
import { arb, arrayDifference, type Program } from "../kit/index.ts";

const long = process.env["FUZZ_RUNS"] !== undefined;
export const runs = Number(process.env["FUZZ_RUNS"] ?? 100);
export const seed = Number(process.env["FUZZ_SEED"] ?? (long ? Date.now() % 2 ** 31 : 20_260));
const manyThreads = 3;

// mostly a few elements, often enough for vectors, sometimes for threads
const shapes = fc.oneof(
  { weight: 40, arbitrary: arb.shape({ maxRank: 3, minSize: 1, maxSize: 3 }) },
  { weight: 40, arbitrary: arb.shape({ maxRank: 2, minSize: 1, maxSize: 40 }) },
  { weight: 2, arbitrary: arb.shape({ minRank: 1, maxRank: 1, minSize: 1000, maxSize: 20_000 }) },
  { weight: 1, arbitrary: arb.shape({ minRank: 2, maxRank: 2, minSize: 70, maxSize: 140 }) },
);

const totals = { programs: 0, operations: 0, large: 0 };

function compare(p: Program): void {
  const on = (backend: string, donateArgnums: readonly number[] = []): NDArray[] =>
    withBackend(backend, () => jit(p.apply, { donateArgnums })(...p.args("float32")));
  const want = on("reference");
  const check = (how: string, got: readonly NDArray[], exact: readonly NDArray[] | null): void => {
    got.forEach((x, k) => {
      const w = (exact ?? want)[k] as NDArray;
      const absolute = exact === null ? p.allowance(k, w) : 0;
      const text = arrayDifference(x, w, { absolute, signedZero: absolute === 0 });
      if (text !== "") throw new Error(`${how}, result ${k}: ${text}`);
    });
  };
  wasmBackend.threads = 1;
  const alone = on("wasm");
  check("1 thread and the reference", alone, null);
  wasmBackend.threads = manyThreads;
  // threads never change a result, contractions included
  check(`${manyThreads} threads and 1`, on("wasm"), alone);
  const all = p.spec.inputs.map((_, i) => i);
  check("donated arguments and kept ones", on("wasm", all), alone);

  totals.programs++;
  totals.operations += p.steps.length;
  if (p.spec.inputs.some((s) => sizeOf(s) >= 1000)) totals.large++;
  if (long && totals.programs % 250 === 0)
    process.stdout.write(`${totals.programs} of ${runs} programs, ${totals.large} large\n`);
}

/** Compares `runs` random programs. */
export function compareRandomPrograms(): void {
  const threads = wasmBackend.threads;
  if (long) process.stdout.write(`seed ${seed}\n`);
  try {
    fc.assert(fc.property(arb.program({ shapes }), compare), { numRuns: runs, seed });
  } finally {
    wasmBackend.threads = threads;
  }
  process.stdout.write(
    `${totals.programs} programs, ${totals.operations} operations, ${totals.large} programs with 1000 elements or more\n`,
  );
  expect(totals.programs).toBeGreaterThanOrEqual(runs);
  expect(totals.large).toBeGreaterThan(runs / 50);
}
