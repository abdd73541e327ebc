/** Random integers, orders and choices. */
import { checkDType, type DType, dtypes, isInteger } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { Literal, NDArray } from "../ndarray.ts";
import { add, max, min, mul, rem, sub } from "../ops/arithmetic.ts";
import { and, gt, le, lt } from "../ops/compare.ts";
import { cumsum } from "../ops/cumulative.ts";
import { convert, full, reshape, transpose } from "../ops/linear.ts";
import { randomBits, randomSplit } from "../ops/random.ts";
import { argmax } from "../ops/reduce.ts";
import { sort, topK } from "../ops/sort.ts";
import { indexInDim, iota, selectN, sliceInDim, unstack } from "../ops/structural.ts";
import { countBefore, takeRows } from "../ops/take.ts";
import { log } from "../ops/transcendental.ts";
import { checkShape, normalizeAxis, range, type Shape, showShape, sizeOf } from "../shape.ts";
import { uniform } from "./bits.ts";
import { gumbel } from "./distributions.ts";
import { checkKey, type Key } from "./key.ts";
import { drawShape, floatParameter, type Parameter, parameter, toShape } from "./operand.ts";

// ---- integers ----

/** Whole numbers in [minval, maxval), as many values as `dtype` holds at most. Two words a draw keep the bias of the
 *  remainder below 2⁻³². Where maxval ≤ minval the draw is minval.
 *  @param options.dtype  an integer dtype (default int32)
 *  @throws DTypeError for float bounds or dtypes, ShapeError when the bounds do not broadcast to `shape`
 *  @example random.randint(random.key(0), [3], 0, 10).dtype // => "int32" */
export function randint(
  key: Key,
  shape: Shape,
  minval: Parameter,
  maxval: Parameter,
  options: { dtype?: DType } = {},
): NDArray {
  const op = "random.randint";
  const k = checkKey(op, key);
  const dtype = checkDType(op, options.dtype ?? "int32");
  if (!isInteger(dtype)) fail(DTypeError, op, "dtype must be an integer", dtype, 'pass "int32"');
  const want = checkShape(op, shape);
  const sampled = dtypes[dtype].bytes < 4 ? "int32" : dtype;
  const { min: least, max: most } = dtypes[dtype];
  const low = bound(op, minval, sampled, least, most);
  // one past the largest value may not exist in the dtype
  const high = bound(op, maxval, sampled, least, sampled === dtype ? most : most + 1);
  const past = pastTheEnd(maxval, sampled);
  drawShape(op, want, [low, high]);
  const [from, to] = [toShape(low, want), toShape(high, want)];

  let span = convert(sub(to, from), "uint32");
  span = selectN(le(to, from), [span, full(span.shape, 1, "uint32")]);
  if (past !== null) {
    const wider = and(toShape(past, want), gt(to, from));
    span = selectN(wider, [span, add(span, 1)]);
  }
  // 2³² mod span, as the square of 2¹⁶ mod span
  const root = rem(full(span.shape, 2 ** 16, "uint32"), span);
  const multiplier = rem(mul(root, root), span);
  const [upper, lower] = unstack(randomSplit(k, [2])).map((s) => randomBits(s, 32, want)[0]) as [
    NDArray,
    NDArray,
  ];
  const offset = rem(add(mul(rem(upper, span), multiplier), rem(lower, span)), span);
  return convert(add(from, convert(offset, sampled)), dtype);
}

/** A bound in `dtype`, brought into [least, most]. */
function bound(op: string, x: Parameter, dtype: DType, least: number, most: number): NDArray {
  if (typeof x === "number") {
    if (!Number.isInteger(x))
      fail(DTypeError, op, "the bounds must be whole numbers", x, "round them first");
    return new Literal(Math.min(most, Math.max(least, x)), dtype);
  }
  const v = parameter(op, x, "int32");
  if (!isInteger(v.dtype))
    fail(DTypeError, op, "the bounds must be integers", v.aval, "convert them to int32");
  const own = dtypes[v.dtype];
  const clipped = min(max(v, Math.max(own.min, least)), Math.min(own.max, most));
  return convert(clipped, dtype);
}
/** Whether maxval lies above the largest value of `dtype`; null when it certainly does not. */
function pastTheEnd(x: Parameter, dtype: DType): NDArray | null {
  const most = dtypes[dtype].max;
  if (typeof x === "number") return x > most ? new Literal(true, "bool") : null;
  if (!(x instanceof NDArray) || dtypes[x.dtype].max <= most) return null;
  return gt(x, most);
}

// ---- orders ----

/** Shuffles along an axis by sorting under random keys, in as many rounds as make collisions of the keys harmless. */
function shuffle(key: Key, x: NDArray, axis: number): NDArray {
  const rounds = Math.ceil((3 * Math.log(Math.max(1, x.size))) / Math.log(2 ** 32 - 1));
  let [k, out] = [key, x];
  for (let i = 0; i < rounds; i++) {
    const [next, now] = unstack(randomSplit(k, [2])) as [NDArray, NDArray];
    const order = randomBits(now, 32, x.shape)[0] as NDArray;
    k = next;
    out = sort([order, out], { dimension: axis, numKeys: 1 })[1] as NDArray;
  }
  return out;
}
const countTo = (n: number): NDArray => iota({ dtype: "int32", shape: [n], dimension: 0 });

/** `x` in random order along `axis`; a number n stands for 0, 1, …, n − 1.
 *  @param options.axis         default 0
 *  @param options.independent  shuffle every vector along the axis on its own (default: all in the same order)
 *  @example random.permutation(random.key(0), 5).shape // => [5] */
export function permutation(
  key: Key,
  x: number | NDArray,
  options: { axis?: number; independent?: boolean } = {},
): NDArray {
  const op = "random.permutation";
  const k = checkKey(op, key);
  const { axis = 0, independent = false } = options;
  const array = typeof x === "number" ? countTo(checkShape(op, x)[0] as number) : x;
  const at = normalizeAxis(op, axis, array.ndim);
  if (independent || array.ndim === 1) return shuffle(k, array, at);
  return takeRows(array, shuffle(k, countTo(array.shape[at] as number), 0), at);
}

// ---- choices ----

export interface ChoiceOptions {
  /** draw with replacement (default true) */
  readonly replace?: boolean;
  /** probabilities of the entries, `[n]`; uniform by default. They need not sum to 1 when drawing with replacement */
  readonly p?: Parameter;
  /** the axis of `a` along which entries lie (default 0) */
  readonly axis?: number;
}
/** Entries of `a` drawn at random; a number n stands for 0, 1, …, n − 1. The draw's shape takes the place of the axis.
 *  @throws ShapeError when more is drawn without replacement than there is, or `p` is not `[n]`
 *  @example random.choice(random.key(0), 10, [3]).shape // => [3] */
export function choice(
  key: Key,
  a: number | NDArray,
  shape: Shape = [],
  options: ChoiceOptions = {},
): NDArray {
  const op = "random.choice";
  const k = checkKey(op, key);
  const { replace = true, p } = options;
  const want = checkShape(op, shape);
  const array = a instanceof NDArray ? a : null;
  const axis = array === null ? 0 : normalizeAxis(op, options.axis ?? 0, array.ndim);
  const n =
    array === null ? (checkShape(op, a as number)[0] as number) : (array.shape[axis] as number);
  const draws = sizeOf(want);
  const outShape =
    array === null
      ? want
      : [...array.shape.slice(0, axis), ...want, ...array.shape.slice(axis + 1)];
  if (draws === 0) return full(outShape, 0, array?.dtype ?? "int32");
  if (n === 0)
    fail(ShapeError, op, "there must be an entry to choose", "none", "give a non-empty array");
  if (!replace && draws > n)
    fail(
      ShapeError,
      op,
      "without replacement at most as many can be drawn as there are",
      `${draws} draws from ${n}`,
      "draw fewer, or with replacement",
    );
  const entries = (indices: NDArray): NDArray =>
    array === null ? indices : takeRows(array, indices, axis);
  if (p === undefined) {
    if (replace) return entries(randint(k, want, 0, n));
    const order = permutation(k, array ?? n, { axis });
    return reshape(sliceInDim(order, 0, draws, 1, axis), outShape);
  }
  const q = floatParameter(op, p);
  if (q.ndim !== 1 || q.shape[0] !== n)
    fail(
      ShapeError,
      op,
      `p must have one entry for each of the ${n}`,
      showShape(q.shape),
      "check its length",
    );
  if (replace) {
    const total = cumsum(q, { axis: 0 });
    const last = indexInDim(total, n - 1, 0, false);
    const r = mul(last, sub(1, uniform(k, want, { dtype: q.dtype })));
    return entries(countBefore(total, want, (e) => lt(e, r)));
  }
  // the largest of log p + Gumbel noise are a draw without replacement
  const noisy = add(gumbel(k, [n], { dtype: q.dtype }), log(q));
  return reshape(entries(topK(noisy, draws)[1]), outShape);
}

/** Indices along `axis` with probabilities softmax(logits), by argmax of logits + Gumbel noise.
 *  @param options.axis     the axis of the categories (default −1)
 *  @param options.shape    must end with the shape of the logits without the axis (the default)
 *  @param options.replace  when false, the leading axes of `shape` are draws without replacement
 *  @returns int32
 *  @throws ShapeError when the shape does not end so, or more is drawn than there is
 *  @example random.categorical(random.key(0), np.zeros([4, 3])).shape // => [4] */
export function categorical(
  key: Key,
  logits: Parameter,
  options: { axis?: number; shape?: Shape | null; replace?: boolean } = {},
): NDArray {
  const op = "random.categorical";
  const k = checkKey(op, key);
  const x = floatParameter(op, logits);
  const axis = normalizeAxis(op, options.axis ?? -1, x.ndim);
  const batch = x.shape.filter((_, i) => i !== axis);
  const n = x.shape[axis] as number;
  const shape = options.shape == null ? batch : checkShape(op, options.shape);
  const prefix = shape.slice(0, shape.length - batch.length);
  const own = shape.slice(prefix.length);
  if (shape.length < batch.length || own.some((s, i) => s !== batch[i] && batch[i] !== 1))
    fail(
      ShapeError,
      op,
      "shape must end with the shape of the logits without the axis",
      `${showShape(shape)} for logits ${showShape(x.shape)} and axis ${axis}`,
      "put the number of draws in front",
    );
  if (options.replace ?? true) {
    const all = [...prefix, ...own.slice(0, axis), n, ...own.slice(axis)];
    const noise = gumbel(k, all, { dtype: x.dtype });
    return argmax(add(noise, toShape(x, all)), prefix.length + axis, "int32");
  }
  const draws = sizeOf(prefix);
  if (draws > n)
    fail(
      ShapeError,
      op,
      "without replacement at most as many can be drawn as there are categories",
      `${draws} draws from ${n}`,
      "draw fewer, or with replacement",
    );
  const noisy = add(x, gumbel(k, x.shape, { dtype: x.dtype }));
  const last = transpose(noisy, [...range(x.ndim).filter((i) => i !== axis), axis]);
  const indices = topK(last, draws)[1];
  return reshape(transpose(indices, [batch.length, ...range(batch.length)]), shape);
}
