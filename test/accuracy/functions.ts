/** The functions whose accuracy is measured: their exact values, what they may be off, and where they are looked at. */
import { jit, lax, type NDArray, np } from "../../index.ts";
import type { Exact } from "./double-double.ts";
import { elementary } from "./exact-elementary.ts";
import {
  anyBits,
  both,
  type Draw,
  type DrawPair,
  type Floats,
  halves,
  hardAngles,
  near,
  powers,
  quarterTurns,
  ratios,
  samplePairs,
  samples,
  subnormal,
  tiny,
  uniform,
} from "./samples.ts";
import { type FloatName, formats, ulpError } from "./ulp.ts";

export interface Case {
  readonly f: (...x: NDArray[]) => NDArray;
  readonly exact: (...x: number[]) => Exact;
  /** the host's value in float64: what is far within the worst error by it, is for the oracle in float32 at one point of 16 only */
  readonly estimate?: (...x: number[]) => number;
  /** largest distance from the correctly rounded value that is allowed, in units in the last place */
  readonly bound: { readonly [D in FloatName]: number };
  readonly points: (count: number, dtype: FloatName) => readonly Floats[];
}

const usual = { float32: 2, float64: 4 };
function unary(
  f: (x: NDArray) => NDArray,
  exact: (x: number) => Exact,
  estimate: ((x: number) => number) | null,
  kinds: readonly Draw[],
  bound: Case["bound"] = usual,
): Case {
  return {
    f: f as Case["f"],
    exact: exact as Case["exact"],
    ...(estimate === null ? {} : { estimate: estimate as (...x: number[]) => number }),
    bound,
    points: (count, dtype) => samples(count, dtype, [anyBits, tiny, subnormal, ...kinds]),
  };
}
function binary(
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

// where results overflow, become subnormal and vanish, in float32 and float64
const expEdges = near(88.7228, -87.3365, -103.972, 709.7827, -708.396, -745.133);
const exp2Edges = near(128, -126, -149, -150, 1024, -1022, -1074, -1075);
const hyperbolicEdges = near(89.4159, -89.4159, 710.4758, -710.4758);
const aroundZero = [uniform(-1, 1), uniform(-10, 10), uniform(-110, 110), uniform(-760, 760)];
const angles = [uniform(-4, 4), uniform(-1e3, 1e3), uniform(-1e6, 1e6), quarterTurns, hardAngles];
const unitInterval = [uniform(-1, 1), near(1, -1), near(0.5, -0.5)];
const nearOne = [near(1), uniform(0.4, 2.2), uniform(0, 100)];
const log1pKinds = [near(-1), uniform(-1, 1), uniform(-1, 10)];

export const cases: { readonly [name: string]: Case } = {
  exp: unary(np.exp, elementary.exp, Math.exp, [...aroundZero, expEdges]),
  exp2: unary(np.exp2, elementary.exp2, (x) => 2 ** x, [
    ...aroundZero,
    exp2Edges,
    halves(-1080, 1030),
    halves(-155, 130),
  ]),
  expm1: unary(np.expm1, elementary.expm1, Math.expm1, [...aroundZero, expEdges, near(-17, -37)]),
  log: unary(np.log, elementary.log, Math.log, nearOne),
  log2: unary(np.log2, elementary.log2, Math.log2, nearOne),
  log10: unary(np.log10, elementary.log10, Math.log10, nearOne),
  log1p: unary(np.log1p, elementary.log1p, Math.log1p, log1pKinds),
  sin: unary(np.sin, elementary.sin, Math.sin, angles),
  cos: unary(np.cos, elementary.cos, Math.cos, angles),
  tan: unary(np.tan, elementary.tan, Math.tan, angles, { float32: 4, float64: 4 }),
  asin: unary(np.asin, elementary.asin, Math.asin, unitInterval),
  acos: unary(np.acos, elementary.acos, Math.acos, unitInterval),
  atan: unary(np.atan, elementary.atan, Math.atan, [
    uniform(-3, 3),
    uniform(-100, 100),
    near(1, -1),
  ]),
  atan2: binary(np.atan2, elementary.atan2, Math.atan2, [
    ratios,
    both(uniform(-2, 2), uniform(-2, 2)),
  ]),
  sinh: unary(np.sinh, elementary.sinh, Math.sinh, [...aroundZero, hyperbolicEdges]),
  cosh: unary(np.cosh, elementary.cosh, Math.cosh, [...aroundZero, hyperbolicEdges]),
  tanh: unary(np.tanh, elementary.tanh, Math.tanh, [...aroundZero, near(9.01, -9.01, 19.06, -22)]),
  asinh: unary(np.asinh, elementary.asinh, Math.asinh, aroundZero),
  acosh: unary(np.acosh, elementary.acosh, Math.acosh, [near(1), uniform(1, 3), uniform(1, 100)]),
  atanh: unary(np.atanh, elementary.atanh, Math.atanh, unitInterval),
  sqrt: unary(np.sqrt, elementary.sqrt, Math.sqrt, [uniform(0, 4)]),
  rsqrt: unary(lax.rsqrt, elementary.rsqrt, (x) => 1 / Math.sqrt(x), [uniform(0, 4)]),
  cbrt: unary(np.cbrt, elementary.cbrt, Math.cbrt, [uniform(-8, 8)]),
  pow: binary(
    np.power,
    elementary.pow,
    (x, y) => x ** y,
    [
      powers(anyBits),
      powers(near(1)),
      powers(near(-1)),
      powers(uniform(0, 10)),
      both(halves(-20, 20), halves(-20, 20)),
      both(uniform(0, 4), uniform(-30, 30)),
      both(near(1), anyBits),
    ],
    // V8's own pow, where 2³¹ < |y| < 2³² and |x − 1| is near 2⁻²²
    { float32: 4, float64: 710 },
  ),
  logistic: unary(lax.logistic, elementary.logistic, (x) => 1 / (1 + Math.exp(-x)), [
    ...aroundZero,
    expEdges,
    near(-36.7, 36.7, 16.6),
  ]),
};

export interface Worst {
  readonly ulp: number;
  /** arguments, and what came out there */
  readonly at: readonly number[];
  readonly got: number;
}
/** What is at most `bound` units from the correctly rounded value is at most half a unit more from the exact one. */
export const isWithin = (ulp: number, bound: number): boolean => ulp <= bound + 0.5;

/** One point of so many is judged by the oracle even where the estimate says that nothing is wrong. */
const checked = 16;
/** What the estimate may be off, in units of float32 */
const slack = 2 ** -10;

/** The worst error of a function over some points, and where it is. */
export function worst(
  { f, exact, estimate, points }: Case,
  dtype: FloatName,
  count: number,
): Worst {
  const xs = points(count, dtype);
  const format = formats[dtype];
  const ys = jit(f)(...xs.map((x) => np.array(x))).dataSync();
  let found: Worst = { ulp: -1, at: [], got: 0 };
  for (let i = 0; i < count; i++) {
    const at = xs.map((x) => x[i] as number);
    const got = ys[i] as number;
    if (dtype === "float32" && estimate !== undefined && i % checked !== 0) {
      const guess = { hi: estimate(...at), lo: 0, exp: 0 };
      if (ulpError(got, guess, format) + slack < found.ulp) continue;
    }
    const ulp = ulpError(got, exact(...at), format);
    if (ulp > found.ulp) found = { ulp, at, got };
    if (ulp === Number.POSITIVE_INFINITY) break;
  }
  return found;
}
