/** Random well-typed programs: data that can be run, printed and shrunk. */
import { fromValues } from "../../core/array.ts";
import { Aval } from "../../core/aval.ts";
import { dtypes, isFloat } from "../../core/dtype.ts";
import type { NDArray } from "../../core/ndarray.ts";
import { showShape, sizeOf, type Shape } from "../../core/shape.ts";
import { Random } from "../conformance/values.ts";
import { operations } from "./operations.ts";
import { limits, type Operation, type Step, type Value } from "./step.ts";

/** Numbers from which one instruction is decided: an operation, then its operands and parameters. Every list of
 *  numbers means some instruction, so that programs shrink by leaving instructions out. */
export interface Instruction {
  readonly operation: number;
  readonly picks: readonly number[];
}
export interface ProgramSpec {
  readonly inputs: readonly Shape[];
  readonly instructions: readonly Instruction[];
  /** of the input values */
  readonly seed: number;
  /** differentiable operations only */
  readonly smooth: boolean;
  /** longest chain of operations; instructions that would lengthen it are left out */
  readonly maxDepth: number;
}

/** Inputs lie in [−range, range]. */
const inputRange = 1.5;

const letter = (i: number): string => (i < 26 ? String.fromCharCode(97 + i) : `v${i}`);

/** A program: a function of float arrays, straight-line code. */
export class Program {
  readonly spec: ProgramSpec;
  readonly smooth: boolean;
  readonly values: readonly Value[];
  readonly steps: readonly Step[];
  /** positions of the results */
  readonly outs: readonly number[];
  /** longest chain of operations */
  readonly depth: number;

  constructor(spec: ProgramSpec) {
    this.spec = spec;
    this.smooth = spec.smooth;
    const catalogue = spec.smooth ? operations.filter((o) => o.smooth) : operations;
    const values: Value[] = spec.inputs.map((shape) => ({
      shape,
      kind: "float",
      bound: inputRange,
      lip: 1,
      error: 0,
    }));
    const steps: Step[] = [];
    const depths = values.map(() => 0);
    const largest = Math.max(limits.size, ...spec.inputs.map(sizeOf));
    for (const { operation, picks } of spec.instructions) {
      const step = decide(catalogue, operation, picks, values, largest);
      if (step === null) continue;
      const depth = 1 + Math.max(...step.operands.map((o) => depths[o] as number));
      if (depth > spec.maxDepth) continue;
      steps.push(step);
      values.push(step.out);
      depths.push(depth);
    }
    this.steps = steps;
    this.values = values;
    const last = values.length - 1;
    const lastFloat = values.findLastIndex((v) => v.kind === "float");
    this.outs = last === lastFloat ? [last] : [lastFloat, last];
    this.depth = Math.max(...this.outs.map((o) => depths[o] as number));
  }

  /** The results at some inputs. */
  apply = (...xs: NDArray[]): NDArray[] => {
    const found = [...xs];
    for (const s of this.steps) found.push(s.apply(s.operands.map((o) => found[o] as NDArray)));
    return this.outs.map((o) => found[o] as NDArray);
  };

  /** Inputs, seeded: the same numbers every time, in float32 or float64. */
  args(dtype: "float32" | "float64" = "float32"): NDArray[] {
    const random = new Random(this.spec.seed);
    return this.spec.inputs.map((shape) =>
      fromValues(
        Array.from({ length: sizeOf(shape) }, () =>
          Math.fround((random.bits() / 2 ** 31 - 1) * inputRange),
        ),
        Aval.of(shape, dtype),
      ),
    );
  }

  /** How far two correct evaluations of result k may be apart: 0 unless a contraction or a long reduction is among
   *  the operations. */
  allowance(k: number, out: NDArray): number {
    const v = this.values[this.outs[k] as number] as Value;
    // two evaluations, each with this error
    return isFloat(out.dtype) ? 2 * v.error * dtypes[out.dtype].eps : 0;
  }

  toString(): string {
    const inputs = this.spec.inputs.map((s, i) => `${letter(i)}: float${showShape(s)}`).join(", ");
    const n = this.spec.inputs.length;
    const used = this.#used();
    const lines = this.steps.flatMap((s, i) => {
      if (!used.has(n + i)) return [];
      const text = s.text.replace(/\$(\d)/g, (_, d: string) =>
        letter(s.operands[Number(d)] as number),
      );
      return [`  ${letter(n + i)}: ${s.out.kind}${showShape(s.out.shape)} = ${text}`];
    });
    const outs = this.outs.map(letter).join(", ");
    return `program(${inputs}) { // inputs seeded with ${this.spec.seed}\n${lines.join("\n")}\n  return ${outs}\n}`;
  }

  #used(): Set<number> {
    const used = new Set(this.outs);
    const n = this.spec.inputs.length;
    for (let i = this.steps.length - 1; i >= 0; i--)
      if (used.has(n + i)) for (const o of (this.steps[i] as Step).operands) used.add(o);
    return used;
  }
}

/** The step that the numbers mean: the operation named, or the next one in the catalogue that fits and whose result has
 *  no more elements than `largest`. */
function decide(
  catalogue: readonly Operation[],
  operation: number,
  picks: readonly number[],
  values: readonly Value[],
  largest: number,
): Step | null {
  for (let k = 0; k < catalogue.length; k++) {
    let at = 0;
    const pick = (n: number): number => (n <= 0 ? 0 : (picks[at++ % picks.length] as number) % n);
    const step = (catalogue[(operation + k) % catalogue.length] as Operation).build(values, pick);
    if (step !== null && sizeOf(step.out.shape) <= largest) return step;
  }
  return null;
}
