/** How far elementary functions of float32 are from the correctly rounded value, in units in the last place. The oracle
 *  is the host's `Math` in float64, whose own error of an ulp or so of float64 does not count here. */
import { jit, lax, type NDArray, np } from "../../index.ts";

interface Case {
  readonly f: (x: NDArray) => NDArray;
  readonly exact: (x: number) => number;
  /** largest error that is allowed */
  readonly bound: number;
}
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
export const cases: { readonly [name: string]: Case } = {
  exp: { f: np.exp, exact: Math.exp, bound: 2 },
  exp2: { f: np.exp2, exact: (x) => 2 ** x, bound: 2 },
  expm1: { f: np.expm1, exact: Math.expm1, bound: 2 },
  log: { f: np.log, exact: Math.log, bound: 2 },
  log1p: { f: np.log1p, exact: Math.log1p, bound: 2 },
  sin: { f: np.sin, exact: Math.sin, bound: 2 },
  cos: { f: np.cos, exact: Math.cos, bound: 2 },
  tan: { f: np.tan, exact: Math.tan, bound: 4 },
  tanh: { f: np.tanh, exact: Math.tanh, bound: 2 },
  logistic: { f: lax.logistic, exact: logistic, bound: 2 },
  rsqrt: { f: lax.rsqrt, exact: (x) => 1 / Math.sqrt(x), bound: 2 },
  cbrt: { f: np.cbrt, exact: Math.cbrt, bound: 2 },
};

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);
/** floats in order as integers in order */
function rank(x: number): number {
  float[0] = x;
  const bits = word[0] as number;
  return bits >>> 31 ? -(bits & 0x7fffffff) : bits;
}
/** Units in the last place between two float32 values; infinite where only one is NaN or a zero has the wrong sign. */
export function ulps(got: number, want: number): number {
  if (Object.is(got, want)) return 0;
  if (Number.isNaN(got) || Number.isNaN(want)) return Number.POSITIVE_INFINITY;
  return got === want ? Number.POSITIVE_INFINITY : Math.abs(rank(got) - rank(want));
}

/** Every exponent and sign with random digits; then the neighbourhoods of 0, of multiples of π/2, and of what overflows or underflows. */
export function samples(count: number): Float32Array {
  let state = 0x9e3779b9;
  const random = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const unit = (): number => random() / 2 ** 32;
  const around = (center: number, width: number): number => center + (2 * unit() - 1) * width;
  const kinds: readonly (() => number)[] = [
    () => {
      word[0] = random();
      return float[0] as number;
    },
    () => around(0, 1),
    () => around(0, 10),
    () => around(0, 110),
    () => around(1, 0.01),
    () => around(0, 1e5),
    () => around((Math.floor(unit() * 2e4) * Math.PI) / 2, 1e-3),
    () => ((Math.floor(unit() * 1e6) - 5e5) * Math.PI) / 2,
    () => around(88.72, 0.02),
    () => around(-103.5, 1),
    () => 2 ** around(-140, 10) * (unit() < 0.5 ? -1 : 1),
  ];
  const edges = [0, -0, 1, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  return Float32Array.from({ length: count }, (_, i) =>
    i < edges.length ? (edges[i] as number) : (kinds[i % kinds.length] as () => number)(),
  );
}

/** The worst error of a function over some points, and where it is. */
export function worst({ f, exact }: Case, xs: Float32Array): { ulp: number; at: number } {
  const ys = jit(f)(np.array(xs)).dataSync();
  let found = { ulp: 0, at: 0 };
  for (let i = 0; i < xs.length; i++) {
    const ulp = ulps(ys[i] as number, Math.fround(exact(xs[i] as number)));
    if (ulp > found.ulp) found = { ulp, at: xs[i] as number };
  }
  return found;
}
