/** Activation functions, elementwise unless an axis is named. */
import type { NDArray } from "../core/ndarray.ts";
import * as np from "../core/numpy/index.ts";
import type { ArrayInput, AxisArg } from "../core/numpy/index.ts";
import { erf } from "../core/ops/special.ts";
import { stopGradient } from "../core/ops/structural.ts";
import { logistic, tanh as tanhOf } from "../core/ops/transcendental.ts";

const float = (x: ArrayInput): NDArray => {
  const v = np.array(x);
  return v.dtype.includes("float") ? v : v.astype("float32");
};

export const identity = (x: ArrayInput): NDArray => float(x);
/** max(x, 0), with derivative 0 at 0
 *  @example relu([-1, 2]).toArray()  // => [0, 2] */
export const relu = (x: ArrayInput): NDArray => {
  const v = np.array(x);
  return np.where(v.lessEqual(0), 0, v);
};
/** min(max(x, 0), 6), with derivative 0 at 0 and at 6 */
export const relu6 = (x: ArrayInput): NDArray => {
  const v = float(x);
  return np.where(v.lessEqual(0), 0, np.where(v.greaterEqual(6), 6, v));
};
/** 1/(1 + e⁻ˣ) */
export const sigmoid = (x: ArrayInput): NDArray => logistic(float(x));
export const tanh = (x: ArrayInput): NDArray => tanhOf(float(x));
/** x·sigmoid(x) */
export const silu = (x: ArrayInput): NDArray => {
  const v = float(x);
  return v.mul(logistic(v));
};
export const swish: typeof silu = silu;
/** log(1 + eˣ) */
export const softplus = (x: ArrayInput): NDArray => np.logaddexp(float(x), 0);
/** x/(1 + |x|) */
export const softSign = (x: ArrayInput): NDArray => {
  const v = float(x);
  return v.div(v.abs().add(1));
};
/** log sigmoid(x) = −softplus(−x) */
export const logSigmoid = (x: ArrayInput): NDArray => softplus(float(x).neg()).neg();
/** x for x > 0, slope·x below */
export const leakyRelu = (x: ArrayInput, negativeSlope = 0.01): NDArray => {
  const v = float(x);
  return np.where(v.greaterEqual(0), v, v.mul(negativeSlope));
};
/** x for x > 0, α(eˣ − 1) below */
export const elu = (x: ArrayInput, alpha = 1): NDArray => {
  const v = float(x);
  // the exponential of a large x must not spoil the gradient
  const safe = np.where(v.greater(0), 0, v);
  return np.where(v.greater(0), v, np.expm1(safe).mul(alpha));
};
/** max(x, 0) + min(0, α(e^{x/α} − 1)) */
export const celu = (x: ArrayInput, alpha = 1): NDArray => {
  const v = float(x);
  const safe = np.where(v.greater(0), 0, v);
  return np.where(v.greater(0), v, np.expm1(safe.div(alpha)).mul(alpha));
};
/** λ·elu(x, α) with the constants that keep mean 0 and variance 1
 *  @source Klambauer et al. 2017, arXiv:1706.02515 */
export const selu = (x: ArrayInput): NDArray => elu(x, 1.6732632423543772).mul(1.0507009873554805);
/** x·Φ(x); by default Φ is approximated with tanh
 *  @source Hendrycks and Gimpel 2016, arXiv:1606.08415 */
export const gelu = (
  x: ArrayInput,
  { approximate = true }: { readonly approximate?: boolean } = {},
): NDArray => {
  const v = float(x);
  if (!approximate) return v.mul(erf(v.div(Math.SQRT2)).add(1)).mul(0.5);
  const inner = v.add(v.pow(3).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return v.mul(tanhOf(inner).add(1).mul(0.5));
};
/** x·tanh(softplus(x)) */
export const mish = (x: ArrayInput): NDArray => {
  const v = float(x);
  return v.mul(tanhOf(softplus(v)));
};
export const hardTanh = (x: ArrayInput): NDArray => np.clip(float(x), -1, 1);
export const hardSigmoid = (x: ArrayInput): NDArray => relu6(float(x).add(3)).div(6);
export const hardSilu = (x: ArrayInput): NDArray => {
  const v = float(x);
  return v.mul(hardSigmoid(v));
};
export const hardSwish: typeof hardSilu = hardSilu;
/** (x + √(x² + b))/2 */
export const squareplus = (x: ArrayInput, b = 4): NDArray => {
  const v = float(x);
  return v.add(v.square().add(b).sqrt()).mul(0.5);
};
/** first half times the sigmoid of the second half of an axis */
export const glu = (x: ArrayInput, axis = -1): NDArray => {
  const [a, b] = np.split(float(x), 2, axis) as [NDArray, NDArray];
  return a.mul(logistic(b));
};

/** eˣ/Σeˣ along an axis
 *  @example softmax([0, 0]).toArray()  // => [0.5, 0.5] */
export const softmax = (x: ArrayInput, axis: AxisArg = -1): NDArray => {
  const v = float(x);
  const shifted = v.sub(stopGradient(v.max(axis, { keepdims: true })));
  const e = shifted.exp();
  return e.div(e.sum(axis, { keepdims: true }));
};
/** x − log Σeˣ along an axis */
export const logSoftmax = (x: ArrayInput, axis: AxisArg = -1): NDArray => {
  const v = float(x);
  const shifted = v.sub(stopGradient(v.max(axis, { keepdims: true })));
  return shifted.sub(shifted.exp().sum(axis, { keepdims: true }).log());
};
/** (x − mean)/√(var + ε) along an axis */
export const standardize = (
  x: ArrayInput,
  axis: AxisArg = -1,
  { epsilon = 1e-5 } = {},
): NDArray => {
  const v = float(x);
  const d = v.sub(v.mean(axis, { keepdims: true }));
  return d.div(d.square().mean(axis, { keepdims: true }).add(epsilon).sqrt());
};
export { logsumexp, oneHot } from "../core/numpy/index.ts";
