/** Uniform bits and uniform floats: what the distributions are made from. */
import { type DType, dtypes } from "../dtype.ts";
import { DTypeError, fail } from "../errors.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { add, max, mul, sub } from "../ops/arithmetic.ts";
import { shiftRightLogical } from "../ops/compare.ts";
import { convert } from "../ops/linear.ts";
import { randomBits } from "../ops/random.ts";
import { checkShape, type Shape } from "../shape.ts";
import { checkKey, type Key } from "./key.ts";
import { checkFloat, drawShape, type Parameter, parameter, toShape } from "./operand.ts";

/** Uniform bits.
 *  @param dtype  `"uint32"` (default) or `"uint8"`
 *  @example random.bits(random.key(0), [2]) // => [4070199207, 4202968722] */
export function bits(
  key: Key,
  shape: Shape = [],
  options: { dtype?: "uint32" | "uint8" } = {},
): NDArray {
  const { dtype = "uint32" } = options;
  if (dtype !== "uint32" && dtype !== "uint8")
    fail(DTypeError, "random.bits", "dtype must be uint32 or uint8", dtype, "choose one");
  const k = checkKey("random.bits", key);
  return randomBits(k, dtype === "uint8" ? 8 : 32, checkShape("random.bits", shape))[0] as NDArray;
}

/** Multiples of 2⁻ᵐ in [0, 1), m the explicit bits of the significand: the upper bits of each draw. */
function unitInterval(key: Key, shape: Shape, dtype: DType): NDArray {
  if (dtype === "float64") {
    const [high, low] = randomBits(key, 64, shape) as [NDArray, NDArray];
    const upper = mul(convert(high, dtype), 2 ** -32);
    return add(upper, mul(convert(shiftRightLogical(low, 12), dtype), 2 ** -52));
  }
  const { mantissa, eps } = dtypes[dtype];
  const width = dtype === "float32" ? 32 : dtype === "float16" ? 16 : 8;
  const [words] = randomBits(key, width, shape) as [NDArray];
  return mul(convert(shiftRightLogical(words, width - mantissa), dtype), eps);
}

export interface UniformOptions {
  /** a float dtype (default float32) */
  readonly dtype?: DType;
  /** inclusive lower bound (default 0) */
  readonly minval?: Parameter;
  /** exclusive upper bound (default 1) */
  readonly maxval?: Parameter;
}
/** minval + (maxval − minval)·u, u uniform in [0, 1).
 *  @throws ShapeError when the bounds do not broadcast to `shape`
 *  @example random.uniform(random.key(0), [2]) // => [0.947667, 0.9785799].map(Math.fround) */
export function uniform(key: Key, shape: Shape = [], options: UniformOptions = {}): NDArray {
  const op = "random.uniform";
  const { minval = 0, maxval = 1 } = options;
  const dtype = checkFloat(op, options.dtype);
  const k = checkKey(op, key);
  const want = checkShape(op, shape);
  const [low, high] = [minval, maxval].map((x) => convert(parameter(op, x, dtype), dtype)) as [
    NDArray,
    NDArray,
  ];
  drawShape(op, want, [low, high]);
  const u = unitInterval(k, want, dtype);
  const known = low instanceof Literal && high instanceof Literal;
  if (known && low.value === 0 && high.value === 1) return u;
  const [from, to] = [toShape(low, want), toShape(high, want)];
  const span = known ? high.value - low.value : sub(to, from);
  return max(add(mul(u, span), from), from);
}
