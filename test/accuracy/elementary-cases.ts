/** Elementary functions, and the arguments at which they are judged beside those of every magnitude. */
import { lax, np } from "../../index.ts";
import { elementary } from "./exact-elementary.ts";
import { binary, type Case, unary } from "./measure.ts";
import {
  anyBits,
  both,
  halves,
  hardAngles,
  near,
  powers,
  quarterTurns,
  ratios,
  uniform,
} from "./samples.ts";

// where results overflow, become subnormal and vanish, in float32 and float64
const expEdges = near(88.7228, -87.3365, -103.972, 709.7827, -708.396, -745.133);
const exp2Edges = near(128, -126, -149, -150, 1024, -1022, -1074, -1075);
const hyperbolicEdges = near(89.4159, -89.4159, 710.4758, -710.4758);
const aroundZero = [uniform(-1, 1), uniform(-10, 10), uniform(-110, 110), uniform(-760, 760)];
const angles = [uniform(-4, 4), uniform(-1e3, 1e3), uniform(-1e6, 1e6), quarterTurns, hardAngles];
const unitInterval = [uniform(-1, 1), near(1, -1), near(0.5, -0.5)];
const nearOne = [near(1), uniform(0.4, 2.2), uniform(0, 100)];
const log1pKinds = [near(-1), uniform(-1, 1), uniform(-1, 10)];

export const elementaryCases: { readonly [name: string]: Case } = {
  exp: unary(np.exp, elementary.exp, Math.exp, () => [...aroundZero, expEdges]),
  exp2: unary(
    np.exp2,
    elementary.exp2,
    (x) => 2 ** x,
    () => [...aroundZero, exp2Edges, halves(-1080, 1030), halves(-155, 130)],
  ),
  expm1: unary(np.expm1, elementary.expm1, Math.expm1, () => [
    ...aroundZero,
    expEdges,
    near(-17, -37),
  ]),
  log: unary(np.log, elementary.log, Math.log, () => nearOne),
  log2: unary(np.log2, elementary.log2, Math.log2, () => nearOne),
  log10: unary(np.log10, elementary.log10, Math.log10, () => nearOne),
  log1p: unary(np.log1p, elementary.log1p, Math.log1p, () => log1pKinds),
  sin: unary(np.sin, elementary.sin, Math.sin, () => angles),
  cos: unary(np.cos, elementary.cos, Math.cos, () => angles),
  tan: unary(np.tan, elementary.tan, Math.tan, () => angles, { float32: 4, float64: 4 }),
  asin: unary(np.asin, elementary.asin, Math.asin, () => unitInterval),
  acos: unary(np.acos, elementary.acos, Math.acos, () => unitInterval),
  atan: unary(np.atan, elementary.atan, Math.atan, () => [
    uniform(-3, 3),
    uniform(-100, 100),
    near(1, -1),
  ]),
  atan2: binary(np.atan2, elementary.atan2, Math.atan2, [
    ratios,
    both(uniform(-2, 2), uniform(-2, 2)),
  ]),
  sinh: unary(np.sinh, elementary.sinh, Math.sinh, () => [...aroundZero, hyperbolicEdges]),
  cosh: unary(np.cosh, elementary.cosh, Math.cosh, () => [...aroundZero, hyperbolicEdges]),
  tanh: unary(np.tanh, elementary.tanh, Math.tanh, () => [
    ...aroundZero,
    near(9.01, -9.01, 19.06, -22),
  ]),
  asinh: unary(np.asinh, elementary.asinh, Math.asinh, () => aroundZero),
  acosh: unary(np.acosh, elementary.acosh, Math.acosh, () => [
    near(1),
    uniform(1, 3),
    uniform(1, 100),
  ]),
  atanh: unary(np.atanh, elementary.atanh, Math.atanh, () => unitInterval),
  sqrt: unary(np.sqrt, elementary.sqrt, Math.sqrt, () => [uniform(0, 4)]),
  rsqrt: unary(
    lax.rsqrt,
    elementary.rsqrt,
    (x) => 1 / Math.sqrt(x),
    () => [uniform(0, 4)],
  ),
  cbrt: unary(np.cbrt, elementary.cbrt, Math.cbrt, () => [uniform(-8, 8)]),
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
    { float32: 4, float64: 4 },
  ),
  logistic: unary(
    lax.logistic,
    elementary.logistic,
    (x) => 1 / (1 + Math.exp(-x)),
    () => [...aroundZero, expEdges, near(-36.7, 36.7, 16.6)],
  ),
};
