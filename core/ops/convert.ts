/** Conversions beneath the value: the bits of a dtype, and fewer bits than a dtype has. */
import { Aval } from "../aval.ts";
import { type DType, dtypes } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { cast, div, type Expr, int, mul, or, rem, binary } from "../kernel/expr.ts";
import {
  fromWords,
  pickWord,
  reducePrecision as reduced,
  shiftUp,
  toWords,
  word,
  wordCount,
} from "../kernel/words.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive } from "../primitive.ts";
import { range } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import { batched, batchSame, eachElement } from "./axes.ts";
import { checkClass } from "./checks.ts";
import { moveAxis } from "./linear.ts";
import { linearJvp, nonlinear, transposed, zeroJvp } from "./linearity.ts";
import { type Operand, operands } from "./rules.ts";

// ---- bitcast_convert_type ----

export interface BitcastParams {
  readonly newDtype: DType;
}

/** Part `k` of an element, as a value of a narrower dtype; parts count from the lowest bits. */
function part(x: Expr, k: Expr, d: DType): Expr {
  const bits = 8 * dtypes[d].bytes;
  const perWord = 32 / bits;
  const words = toWords(x);
  const whole = pickWord(words, words.length === 1 ? int(0) : div(k, int(perWord)));
  if (perWord === 1) return fromWords([whole], d);
  const shift = cast(mul(rem(k, int(perWord)), int(bits)), "uint32");
  const piece = binary("and", binary("shrl", whole, shift), word(2 ** bits - 1));
  return fromWords([piece], d);
}
/** The value of a wider dtype that consists of the given parts. */
function joined(parts: readonly Expr[], d: DType): Expr {
  const perWord = parts.length / wordCount(d);
  const bits = (8 * dtypes[d].bytes) / parts.length;
  const words = range(wordCount(d)).map((w) =>
    parts
      .slice(w * perWord, (w + 1) * perWord)
      .map((p, i) => shiftUp(toWords(p)[0], bits * i))
      .reduce(or),
  );
  return fromWords(words, d);
}

/** The same bits as another dtype. A narrower dtype adds a last axis with the parts of each element, lowest bits first; a
 *  wider one takes that axis away. */
export const bitcastConvertTypeP: Primitive<BitcastParams> = definePrimitive<BitcastParams>({
  name: "bitcast_convert_type",
  shape: ([x], { newDtype }) => {
    const a = x as Aval;
    const op = "bitcastConvertType";
    if (!Object.hasOwn(dtypes, newDtype))
      fail(DTypeError, op, "needs a dtype", String(newDtype), "pass a dtype by its name");
    if (a.dtype !== newDtype && (a.dtype === "bool" || newDtype === "bool"))
      fail(DTypeError, op, "bool has no bits of its own", `${a} to ${newDtype}`, "convert instead");
    const [from, to] = [dtypes[a.dtype].bytes, dtypes[newDtype].bytes];
    if (from === to) return [Aval.of(a.shape, newDtype)];
    if (from > to) return [Aval.of([...a.shape, from / to], newDtype)];
    if (a.shape.at(-1) !== to / from)
      fail(
        ShapeError,
        op,
        `the last axis must have the ${to / from} parts of one ${newDtype}`,
        String(a),
        "reshape it",
      );
    return [Aval.of(a.shape.slice(0, -1), newDtype)];
  },
  jvp: zeroJvp,
  transpose: nonlinear,
  batch: (_size, [x], [d], { newDtype }) => {
    const a = x as NDArray;
    // the last axis of a widening bitcast belongs to the element
    const last = d === a.ndim - 1 && dtypes[a.dtype].bytes < dtypes[newDtype].bytes;
    const at = last ? 0 : (d as number);
    return batched(bind(bitcastConvertTypeP, [moveAxis(a, d as number, at)], { newDtype }), at);
  },
  lower: ([x], _outs, { newDtype }) => {
    const { dtype } = x as Aval;
    const [from, to] = [dtypes[dtype].bytes, dtypes[newDtype].bytes];
    return eachElement((index, read) => {
      if (dtype === newDtype) return read(0, index);
      if (from === to) return fromWords(toWords(read(0, index)), newDtype);
      if (from > to) return part(read(0, index.slice(0, -1)), index.at(-1) as Expr, newDtype);
      const parts = range(to / from).map((k) => read(0, [...index, int(k)]));
      return joined(parts, newDtype);
    });
  },
});
/** The bits of `x` as another dtype. From a wider to a narrower one the result has one axis more, the parts of each
 *  element from its lowest bits up; the other way it has one less. All NaNs have the same bits.
 *  @throws DTypeError for bool, ShapeError where the last axis is not one element's parts
 *  @example lax.bitcastConvertType(np.ones([]), "int32") // => 1065353216 */
export const bitcastConvertType = (x: NDArray, newDtype: DType): NDArray =>
  bind1(bitcastConvertTypeP, [x], { newDtype });

// ---- reduce_precision ----

export interface ReducePrecisionParams {
  readonly exponentBits: number;
  readonly mantissaBits: number;
}
/** `x` rounded to a float format with fewer bits, in the dtype of x */
export const reducePrecisionP: Primitive<ReducePrecisionParams> =
  definePrimitive<ReducePrecisionParams>({
    name: "reduce_precision",
    shape: ([x], { exponentBits, mantissaBits }) => {
      const op = "reducePrecision";
      checkClass(op, "float", x as Aval);
      if (!Number.isInteger(exponentBits) || exponentBits < 1)
        fail(
          DTypeError,
          op,
          "exponentBits must be a positive whole number",
          String(exponentBits),
          "float16 has 5, bfloat16 and float32 have 8",
        );
      if (!Number.isInteger(mantissaBits) || mantissaBits < 0)
        fail(
          DTypeError,
          op,
          "mantissaBits must be a whole number, at least 0",
          String(mantissaBits),
          "float16 has 10, bfloat16 has 7",
        );
      return [x as Aval];
    },
    jvp: linearJvp,
    transpose: transposed((ct, _x, p) => bind1(reducePrecisionP, [ct], p)),
    batch: batchSame,
    lower: (_ins, _outs, { exponentBits, mantissaBits }) =>
      eachElement((index, read) => reduced(read(0, index), exponentBits, mantissaBits)),
  });
/** `x` rounded to the nearest value with the given numbers of exponent and explicit significand bits, ties to even. Too large
 *  values go to ±∞, those that would be subnormal to ±0.
 *  @throws DTypeError unless x is a float
 *  @example reducePrecision(1.01, 8, 7) // => 1.0078125 */
export const reducePrecision = (x: Operand, exponentBits: number, mantissaBits: number): NDArray =>
  bind1(reducePrecisionP, operands("reducePrecision", x), { exponentBits, mantissaBits });
