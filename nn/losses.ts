/** Losses: one value for each example; take the mean yourself. */
import type { NDArray } from "../core/ndarray.ts";
import * as np from "../core/numpy/index.ts";
import type { ArrayInput } from "../core/numpy/index.ts";
import { logSigmoid, logSoftmax } from "./activations.ts";

/** −Σ y·log softmax(x) over the last axis.
 *  @param logits `[..., classes]`
 *  @param labels probabilities `[..., classes]`
 *  @returns `[...]` */
export const softmaxCrossEntropy = (logits: ArrayInput, labels: ArrayInput): NDArray =>
  logSoftmax(logits).mul(labels).sum(-1).neg();

/** −log softmax(x)[label] over the last axis.
 *  @param logits `[..., classes]`
 *  @param labels whole numbers `[...]`
 *  @example softmaxCrossEntropyWithIntegerLabels([[0, 0]], np.array([1], { dtype: "int32" })).shape  // => [1] */
export const softmaxCrossEntropyWithIntegerLabels = (
  logits: ArrayInput,
  labels: ArrayInput,
): NDArray => np.takeAlongAxis(logSoftmax(logits), np.expandDims(labels, -1), -1).squeeze(-1).neg();

/** −y·log σ(x) − (1 − y)·log(1 − σ(x)) */
export const sigmoidBinaryCrossEntropy = (logits: ArrayInput, labels: ArrayInput): NDArray => {
  const [x, y] = [np.array(logits), np.array(labels)];
  // log(1 − σ(x)) = log σ(−x)
  return y
    .mul(logSigmoid(x))
    .add(np.subtract(1, y).mul(logSigmoid(x.neg())))
    .neg();
};

/** (prediction − target)² */
export const squaredError = (predictions: ArrayInput, targets: ArrayInput = 0): NDArray =>
  np.square(np.subtract(predictions, targets));
/** ½(prediction − target)² */
export const l2Loss = (predictions: ArrayInput, targets: ArrayInput = 0): NDArray =>
  squaredError(predictions, targets).mul(0.5);
/** ½d² for |d| ≤ δ, δ(|d| − ½δ) beyond
 *  @source Huber 1964 */
export const huberLoss = (predictions: ArrayInput, targets: ArrayInput = 0, delta = 1): NDArray => {
  const d = np.abs(np.subtract(predictions, targets));
  const near = np.minimum(d, delta);
  return near.square().mul(0.5).add(d.sub(near).mul(delta));
};
