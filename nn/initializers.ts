/** Initialisers: (key, shape, dtype) ↦ array. Fans are taken from the last two axes: input, output. */
import type { DType } from "../core/dtype.ts";
import { fail, ShapeError } from "../core/errors.ts";
import type { NDArray } from "../core/ndarray.ts";
import * as np from "../core/numpy/index.ts";
import * as random from "../core/random/index.ts";
import type { Shape } from "../core/shape.ts";

export type Initializer = (key: NDArray, shape: Shape, dtype?: DType) => NDArray;

export const zeros: Initializer = (_key, shape, dtype = "float32") => np.zeros(shape, { dtype });
export const ones: Initializer = (_key, shape, dtype = "float32") => np.ones(shape, { dtype });
export const constant =
  (value: number): Initializer =>
  (_key, shape, dtype = "float32") =>
    np.full(shape, value, { dtype });
/** Uniform in [0, scale). */
export const uniform =
  (scale = 0.01): Initializer =>
  (key, shape, dtype = "float32") =>
    random.uniform(key, shape, { dtype }).mul(scale);
/** Normal with standard deviation `stddev`. */
export const normal =
  (stddev = 0.01): Initializer =>
  (key, shape, dtype = "float32") =>
    random.normal(key, shape, { dtype }).mul(stddev);
/** Normal with standard deviation `stddev`, cut off at the given bounds (in units of it). */
export const truncatedNormal =
  (stddev = 0.01, { lower = -2, upper = 2 } = {}): Initializer =>
  (key, shape, dtype = "float32") =>
    random.truncatedNormal(key, lower, upper, shape, { dtype }).mul(stddev);

export interface VarianceScalingOptions {
  readonly inAxis?: number;
  readonly outAxis?: number;
}
/** Variance scale / fan, where fan is that of the inputs, the outputs, or their mean.
 *  @param distribution "normal", "truncatedNormal" (cut at two standard deviations, then rescaled) or "uniform"
 *  @throws ShapeError for shapes of fewer than two axes
 *  @source He et al. 2015, arXiv:1502.01852; Glorot and Bengio 2010 */
export const varianceScaling =
  (
    scale: number,
    mode: "fanIn" | "fanOut" | "fanAvg",
    distribution: "normal" | "truncatedNormal" | "uniform",
    { inAxis = -2, outAxis = -1 }: VarianceScalingOptions = {},
  ): Initializer =>
  (key, shape, dtype = "float32") => {
    if (shape.length < 2)
      fail(
        ShapeError,
        "varianceScaling",
        "the shape needs at least two axes",
        `[${shape.join(",")}]`,
        "use normal or zeros for vectors",
      );
    const size = (axis: number): number => shape.at(axis) as number;
    // axes that are neither input nor output are a receptive field
    const field = shape.reduce((n, s) => n * s, 1) / (size(inAxis) * size(outAxis));
    const [fanIn, fanOut] = [size(inAxis) * field, size(outAxis) * field];
    const fan = mode === "fanIn" ? fanIn : mode === "fanOut" ? fanOut : (fanIn + fanOut) / 2;
    const variance = scale / Math.max(1, fan);
    if (distribution === "uniform") {
      const bound = Math.sqrt(3 * variance);
      return random.uniform(key, shape, { dtype, minval: -1, maxval: 1 }).mul(bound);
    }
    if (distribution === "normal")
      return random.normal(key, shape, { dtype }).mul(Math.sqrt(variance));
    // standard deviation of a normal cut off at ±2
    const cut = 0.87962566103423978;
    return random.truncatedNormal(key, -2, 2, shape, { dtype }).mul(Math.sqrt(variance) / cut);
  };

export const glorotUniform = (options?: VarianceScalingOptions): Initializer =>
  varianceScaling(1, "fanAvg", "uniform", options);
export const glorotNormal = (options?: VarianceScalingOptions): Initializer =>
  varianceScaling(1, "fanAvg", "truncatedNormal", options);
export const heUniform = (options?: VarianceScalingOptions): Initializer =>
  varianceScaling(2, "fanIn", "uniform", options);
export const heNormal = (options?: VarianceScalingOptions): Initializer =>
  varianceScaling(2, "fanIn", "truncatedNormal", options);
export const lecunUniform = (options?: VarianceScalingOptions): Initializer =>
  varianceScaling(1, "fanIn", "uniform", options);
export const lecunNormal = (options?: VarianceScalingOptions): Initializer =>
  varianceScaling(1, "fanIn", "truncatedNormal", options);
export const xavierUniform: typeof glorotUniform = glorotUniform;
export const xavierNormal: typeof glorotNormal = glorotNormal;
export const kaimingUniform: typeof heUniform = heUniform;
export const kaimingNormal: typeof heNormal = heNormal;
