/** Dense layers and the multi-layer perceptron. */
import type { NDArray } from "../core/ndarray.ts";
import * as np from "../core/numpy/index.ts";
import { relu } from "./activations.ts";
import { type Init, list, param, struct } from "./init.ts";
import { type Initializer, lecunNormal, zeros } from "./initializers.ts";

/** Weights of a dense layer. */
export interface Dense {
  /** `[inputs, outputs]` */
  readonly w: NDArray;
  /** `[outputs]` */
  readonly b: NDArray;
}
export interface DenseOptions {
  /** of w (default LeCun normal) */
  readonly kernel?: Initializer;
  /** of b (default zeros) */
  readonly bias?: Initializer;
}

/** Description of a dense layer's weights.
 *  @example initialize(denseInit(3, 2), random.key(0)).w.shape  // => [3, 2] */
export const denseInit = (
  inputs: number,
  outputs: number,
  { kernel = lecunNormal(), bias = zeros }: DenseOptions = {},
): Init<Dense> => struct({ w: param(kernel, [inputs, outputs]), b: param(bias, [outputs]) });

/** y = x·w + b
 *  @param x `[..., inputs]`
 *  @returns `[..., outputs]`
 *  @throws ShapeError when the last axis of x is not `inputs` */
export const dense = ({ w, b }: Dense, x: NDArray): NDArray => np.matmul(x, w).add(b);

/** Description of a multi-layer perceptron: `mlpInit([784, 128, 10])` has one hidden layer. */
export const mlpInit = (sizes: readonly number[], options?: DenseOptions): Init<Dense[]> =>
  list(sizes.slice(1).map((outputs, i) => denseInit(sizes[i] as number, outputs, options)));

/** Dense layers with an activation between them (none after the last).
 *  @param x `[..., sizes[0]]`
 *  @returns `[..., sizes.at(-1)]` */
export const mlp = (
  layers: readonly Dense[],
  x: NDArray,
  activation: (x: NDArray) => NDArray = relu,
): NDArray =>
  layers.reduce((h, layer, i) => {
    const y = dense(layer, h);
    return i < layers.length - 1 ? activation(y) : y;
  }, x);
