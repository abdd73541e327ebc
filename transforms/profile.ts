/** Where the time goes: each kernel of each program that runs. */
import { type Observer, observeRuns } from "../core/eval.ts";
import { CotangentError, fail } from "../core/errors.ts";
import { entry } from "../core/maps.ts";
import type { Program } from "../core/program/types.ts";

export interface KernelTime {
  /** the primitives that the kernel was made of */
  readonly name: string;
  /** name of the jitted function, or of the primitive that ran by itself */
  readonly program: string;
  /** position among the program's kernels */
  readonly step: number;
  readonly calls: number;
  /** milliseconds of all calls together */
  readonly ms: number;
}

/** Times of kernels, the longest first. */
export class Profile {
  /** milliseconds from beginning to end, with all that is no kernel: tracing, compiling, the caller's own code */
  readonly total: number;
  readonly kernels: readonly KernelTime[];
  constructor(total: number, kernels: readonly KernelTime[]) {
    this.total = total;
    this.kernels = [...kernels].sort((a, b) => b.ms - a.ms);
  }
  toString(): string {
    const inKernels = this.kernels.reduce((sum, k) => sum + k.ms, 0);
    const row = (ms: number, calls: string, what: string): string[] => [
      ms.toFixed(3),
      `${((100 * ms) / this.total).toFixed(1)}%`,
      calls,
      what,
    ];
    const rows = [
      ["ms", "", "calls", "kernel"],
      ...this.kernels.map((k) => row(k.ms, `${k.calls}`, `${k.program}.${k.step} ${k.name}`)),
      row(this.total - inKernels, "", "outside kernels"),
      row(this.total, "", "total"),
    ];
    const width = (i: number): number => Math.max(...rows.map((r) => (r[i] as string).length));
    const widths = [width(0), width(1), width(2), 0];
    return rows.map((r) => r.map((c, i) => c.padStart(widths[i] as number)).join("  ")).join("\n");
  }
}

/** Runs `f` and tells how long each kernel took. Programs run their kernels one after the other either way, so that the
 *  profile costs two looks at the clock for each; the first profile of a program compiles it again, outside kernels.
 *  Run `f` once before, or the profile shows the time of tracing and compiling.
 *  @throws CotangentError inside another profile
 *  @example profile(() => np.arange(3).add(1)).kernels.map((k) => k.name).sort()  // => ["add", "iota"] */
export function profile(f: () => Promise<unknown>): Promise<Profile>;
export function profile(f: () => unknown): Profile;
export function profile(f: () => unknown): Profile | Promise<Profile> {
  const times = new Map<Program, { calls: number; ms: number }[]>();
  const observe: Observer = (program) => {
    const known = entry(times, program, () => program.steps.map(() => ({ calls: 0, ms: 0 })));
    let since = 0;
    return (step) => {
      const now = performance.now();
      const last = known[step - 1];
      if (last !== undefined) {
        last.calls++;
        last.ms += now - since;
      }
      since = performance.now();
    };
  };
  if (!observeRuns(observe))
    fail(
      CotangentError,
      "profile",
      "one profile must end before the next begins",
      "a call inside another's function",
      "profile the whole",
    );
  const start = performance.now();
  const result = (): Profile => {
    const total = performance.now() - start;
    const kernels = [...times].flatMap(([program, steps]) =>
      steps.map(({ calls, ms }, step) => {
        const name = program.steps[step]?.kernel.name as string;
        return { name, program: program.name, step, calls, ms };
      }),
    );
    return new Profile(total, kernels);
  };
  let done: unknown;
  try {
    done = f();
  } catch (error) {
    observeRuns(null);
    throw error;
  }
  if (done instanceof Promise) return done.then(result).finally(() => observeRuns(null));
  observeRuns(null);
  return result();
}
