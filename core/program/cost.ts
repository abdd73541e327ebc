/** What one run of a program takes: operations, bytes moved, bytes held. */
import { type Expr, isLit, operands } from "../kernel/expr.ts";
import type { LoopKernel, Stmt, TemplateLowering } from "../kernel/kernel.ts";
import { sizeOf } from "../shape.ts";
import type { Program, ProgramBuffer } from "./types.ts";

export interface Cost {
  /** arithmetic operations; those on indices of loads and stores are not counted */
  readonly flops: number;
  /** bytes that kernels read and write, each buffer of a kernel once */
  readonly bytes: number;
  /** bytes of arguments, results and temporaries together, a result in the place of an argument not counted: what is held at once */
  readonly peakBytes: number;
}

/** By what statements are weighed. */
export interface Weights {
  /** of a value and, if it is stored, the index at which it is */
  of(value: Expr, index?: Expr): number;
  /** of an iteration of a loop itself */
  readonly iteration: number;
  /** trips of a loop whose length is known only when it runs */
  readonly unknownTrips: number;
  /** of one of two branches */
  either(yes: number, no: number): number;
}

/** The weight of one run of statements. */
export function totalOf(body: readonly Stmt[], weights: Weights): number {
  let total = 0;
  for (const s of body)
    switch (s.kind) {
      case "for": {
        const known = isLit(s.from) && isLit(s.to);
        const trips = known ? Math.max(0, s.to.value - s.from.value) : weights.unknownTrips;
        total += trips * (weights.iteration + totalOf(s.body, weights));
        break;
      }
      case "while":
        total += weights.unknownTrips * (weights.of(s.test) + totalOf(s.body, weights));
        break;
      case "if":
        total +=
          weights.of(s.test) + weights.either(totalOf(s.yes, weights), totalOf(s.no, weights));
        break;
      case "set":
        total += weights.of(s.value);
        break;
      case "store":
        total += weights.of(s.value, s.index);
    }
  return total;
}

/** Unary, binary and comparing nodes, each once; of a `cond` both sides. */
function exprOperations(value: Expr): number {
  const seen = new Set<Expr>();
  let total = 0;
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.kind === "load") return;
    if (e.kind === "unary" || e.kind === "binary" || e.kind === "compare") total++;
    operands(e).forEach(visit);
  };
  visit(value);
  return total;
}

/** The dearer branch counts; a loop whose length is known only when it runs counts once. */
const operations: Weights = {
  of: exprOperations,
  iteration: 0,
  unknownTrips: 1,
  either: Math.max,
};

/** A product counts two operations for each pair of factors, a convolution's at the edge too. */
export function operationsOf(kernel: LoopKernel | TemplateLowering): number {
  switch (kernel.kind) {
    case "loops":
      return totalOf(kernel.body, operations);
    case "contract": {
      const { batch, m, n, k } = kernel;
      return 2 * sizeOf([...batch, ...m, ...n, ...k].map((d) => d.size));
    }
    case "conv": {
      const { batch, inFeatures, outFeatures, batchGroups, spatial } = kernel;
      const positions = spatial.flatMap((s) => [s.window, s.output]);
      const pairs = sizeOf([batch.size, inFeatures.size, outFeatures.size, ...positions]);
      return (2 * pairs) / batchGroups;
    }
  }
}

/** `donated` says which inputs are given away. */
export function costOf(
  { buffers, inputs, steps, arenaBytes, handovers = [] }: Program,
  donated: readonly boolean[] = [],
): Cost {
  let flops = 0;
  let bytes = 0;
  for (const { kernel, args } of steps) {
    flops += operationsOf(kernel);
    args.forEach((id, i) => {
      const buffer = buffers[id] as ProgramBuffer;
      if (buffer.place === "scratch") return;
      bytes += buffer.bytes * (kernel.buffers[i]?.access === "readwrite" ? 2 : 1);
    });
  }
  const taken = new Set(
    handovers.flatMap((h) => (donated[inputs.indexOf(h.input)] ? [h.output] : [])),
  );
  const held = buffers.filter(
    ({ place }, id) => place === "input" || (place === "output" && !taken.has(id)),
  );
  return { flops, bytes, peakBytes: held.reduce((sum, b) => sum + b.bytes, arenaBytes) };
}
