/** A function, its exact values, what it may be off, and where it is looked at; its worst error over these points. */
import { jit, type NDArray, np } from "../../index.ts";
import { type Exact, exponentOf, ldexp } from "./double-double.ts";
import {
  anyBits,
  both,
  type Draw,
  type DrawPair,
  type Floats,
  samplePairs,
  samples,
  subnormal,
  tiny,
} from "./samples.ts";
import { type FloatName, formats, ulpError } from "./ulp.ts";

export interface Case {
  readonly f: (...x: NDArray[]) => NDArray;
  readonly exact: (...x: number[]) => Exact;
  /** the host's value in float64: what is far within the worst error by it, is for the oracle in float32 at one point of 16 only */
  readonly estimate?: (...x: number[]) => number;
  /** largest distance from the correctly rounded value that is allowed, in units in the last place */
  readonly bound: { readonly [D in FloatName]: number };
  /** the largest term of a sum that cancels to the value: its units count in float64 */
  readonly largestTerm?: (x: number, value: number) => number;
  readonly points: (count: number, dtype: FloatName) => readonly Floats[];
}

const usual = { float32: 2, float64: 4 };
export function unary(
  f: (x: NDArray) => NDArray,
  exact: (x: number) => Exact,
  estimate: ((x: number) => number) | null,
  kinds: () => readonly Draw[],
  bound: Case["bound"] = usual,
): Case {
  return {
    f: f as Case["f"],
    exact: exact as Case["exact"],
    ...(estimate === null ? {} : { estimate: estimate as (...x: number[]) => number }),
    bound,
    points: (count, dtype) => samples(count, dtype, [anyBits, tiny, subnormal, ...kinds()]),
  };
}
export function binary(
  f: (x: NDArray, y: NDArray) => NDArray,
  exact: (x: number, y: number) => Exact,
  estimate: (x: number, y: number) => number,
  kinds: readonly DrawPair[],
  bound: Case["bound"] = usual,
): Case {
  return {
    f: f as Case["f"],
    exact: exact as Case["exact"],
    estimate: estimate as (...x: number[]) => number,
    bound,
    points: (count, dtype) =>
      samplePairs(count, dtype, [
        both(anyBits, anyBits),
        both(subnormal, anyBits),
        both(anyBits, tiny),
        ...kinds,
      ]),
  };
}

export interface Worst {
  readonly count: number;
  readonly ulp: number;
  /** arguments, and what came out there */
  readonly at: readonly number[];
  readonly got: number;
}
/** Slow functions of two arguments that are positive, at a tenth of the points */
export const pairs = (
  f: (x: NDArray, y: NDArray) => NDArray,
  exact: (x: number, y: number) => Exact,
  kinds: readonly DrawPair[],
  bound: Case["bound"],
): Case => ({
  f: f as Case["f"],
  exact: exact as Case["exact"],
  bound,
  points: (count, dtype) => samplePairs(Math.ceil(count / 10), dtype, kinds, []),
});

/** What is at most `bound` units from the correctly rounded value is at most half a unit more from the exact one. */
export const isWithin = (ulp: number, bound: number): boolean => ulp <= bound + 0.5;

/** One point of so many is judged by the oracle even where the estimate says that nothing is wrong. */
const checked = 16;
/** What the estimate may be off, in units of float32 */
const slack = 2 ** -10;

/** The worst error of a function over some points, and where it is. */
export function worst(
  { f, exact, estimate, largestTerm, points }: Case,
  dtype: FloatName,
  wanted: number,
): Worst {
  const xs = points(wanted, dtype);
  const count = (xs[0] as Floats).length;
  const format = formats[dtype];
  const ys = jit(f)(...xs.map((x) => np.array(x))).dataSync();
  let found: Worst = { count, ulp: -1, at: [], got: 0 };
  for (let i = 0; i < count; i++) {
    const at = xs.map((x) => x[i] as number);
    const got = ys[i] as number;
    if (dtype === "float32" && estimate !== undefined && i % checked !== 0) {
      const guess = { hi: estimate(...at), lo: 0, exp: 0 };
      if (ulpError(got, guess, format) + slack < found.ulp) continue;
    }
    const want = exact(...at);
    let ulp = ulpError(got, want, format);
    if (largestTerm !== undefined && dtype === "float64" && ulp > 1) {
      const value = ldexp(want.hi, want.exp);
      const unit = 2 ** (exponentOf(largestTerm(at[0] as number, value)) - format.digits + 1);
      ulp = Math.min(ulp, Math.abs(got - value - want.lo) / unit);
    }
    if (ulp > found.ulp) found = { count, ulp, at, got };
    if (ulp === Number.POSITIVE_INFINITY) break;
  }
  return found;
}
