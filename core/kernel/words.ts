/** The bits of a value as 32-bit words, in kernel expressions.
 *
 *  The kernel language casts bits between dtypes of one width only, and has no integers of 16 or 64 bits. Here
 *  those are words: a value of at most 32 bits is one uint32 with zeros above, a float64 is two, the lower
 *  one first. Every NaN has the bits of the quiet NaN that the backend gives. */
import { type DType, dtypes } from "../dtype.ts";
import {
  add,
  binary,
  bitcast,
  cast,
  compare,
  type Expr,
  isLit,
  lit,
  mul,
  or,
  select,
  unary,
  type WordOp,
} from "./expr.ts";

export const word = (value: number): Expr => lit(value >>> 0, "uint32");
const masked = (x: Expr, mask: number): Expr => binary("and", x, word(mask));
export const shiftUp = (x: Expr, bits: number): Expr =>
  bits === 0 ? x : binary("shl", x, word(bits));
export const shiftDown = (x: Expr, bits: number): Expr =>
  bits === 0 ? x : binary("shrl", x, word(bits));

/** Number of 32-bit words of an element. */
export const wordCount = (d: DType): 1 | 2 => (dtypes[d].bytes === 8 ? 2 : 1);

/** The bits of `x`. */
export function toWords(x: Expr): readonly [Expr] | readonly [Expr, Expr] {
  switch (x.dtype) {
    case "bool":
    case "uint8":
      return [cast(x, "uint32")];
    case "int8":
      return [cast(bitcast(x, "uint8"), "uint32")];
    case "uint32":
    case "int32":
    case "float32":
      return [bitcast(x, "uint32")];
    case "bfloat16":
      return [shiftDown(bitcast(cast(x, "float32"), "uint32"), 16)];
    case "float16": {
      // 2⁻¹¹² takes the exponent bias 127 to 15; subnormals of one are subnormals of the other
      const bits = bitcast(mul(cast(x, "float32"), lit(2 ** -112, "float32")), "uint32");
      return [or(masked(shiftDown(bits, 16), 0x8000), masked(shiftDown(bits, 13), 0x7fff))];
    }
    case "float64":
      return wordsOfDouble(x);
  }
}

/** The value with the given bits. Bits above the width of a narrow dtype must be zero. */
export function fromWords(words: readonly Expr[], d: DType): Expr {
  const low = words[0] as Expr;
  switch (d) {
    case "bool":
    case "uint8":
      return cast(low, d);
    case "int8":
      return bitcast(cast(low, "uint8"), "int8");
    case "uint32":
    case "int32":
    case "float32":
      return bitcast(low, d);
    case "bfloat16":
      return cast(bitcast(shiftUp(low, 16), "float32"), d);
    case "float16": {
      const magnitude = masked(low, 0x7fff);
      const moved = shiftUp(magnitude, 13);
      const finite = bitcast(mul(bitcast(moved, "float32"), lit(2 ** 112, "float32")), "uint32");
      const special = compare("ge", magnitude, word(0x7c00));
      const bits = select(special, or(moved, word(0x7f800000)), finite);
      return cast(bitcast(or(bits, shiftUp(masked(low, 0x8000), 16)), "float32"), d);
    }
    case "float64":
      return doubleOfWords(low, words[1] as Expr);
  }
}

function wordsOfDouble(x: Expr): readonly [Expr, Expr] {
  const nan = compare("ne", x, x);
  const bits = (op: WordOp, ofNaN: number): Expr =>
    select(nan, word(ofNaN), bitcast(unary(op, x), "uint32"));
  return [bits("lowWord", 0), bits("highWord", 0x7ff80000)];
}
function doubleOfWords(low: Expr, high: Expr): Expr {
  const value = binary("joinWords", bitcast(high, "int32"), bitcast(low, "int32"));
  return select(compare("ne", value, value), lit(Number.NaN, "float64"), value);
}

/** The float next to `x` in the direction of `y`. Bits of one sign are ordered as the magnitudes are: away from zero it is one
 *  more, towards zero one less. */
export function nextafter(x: Expr, y: Expr): Expr {
  const d = x.dtype;
  const { tiny, eps } = dtypes[d];
  const number = (value: number): Expr => lit(value, d);
  const [below, negative] = [compare("lt", x, y), compare("lt", x, number(0))];
  const away = binary("xor", below, negative);
  // 1 or −1
  const step = (one: number): Expr => select(away, word(one), word(-1));
  const next = fromWords(sum(toWords(x), step(1), step(0)), d);
  const least = select(below, number(tiny * eps), number(-tiny * eps));
  return select(
    or(below, compare("gt", x, y)),
    select(compare("eq", x, number(0)), least, next),
    select(compare("eq", x, y), y, number(Number.NaN)),
  );
}

/** `x` rounded to the nearest value with `mantissaBits` explicit significand bits (ties to even) and `exponentBits`
 *  bits of exponent: too large goes to ±∞, what would be subnormal to ±0. NaN stays.
 *  @source XLA operation semantics, ReducePrecision */
export function reducePrecision(x: Expr, exponentBits: number, mantissaBits: number): Expr {
  const { mantissa, bytes } = dtypes[x.dtype];
  const ownExponent = 8 * bytes - 1 - mantissa;
  let words: readonly Expr[] = toWords(x);
  if (mantissaBits < mantissa) words = roundWords(words, mantissa - mantissaBits);
  if (exponentBits < ownExponent) {
    const top = words[words.length - 1] as Expr;
    const field = (exponent: number): number => exponent * 2 ** (mantissa % 32);
    const bias = 2 ** (ownExponent - 1) - 1;
    const reach = 2 ** (exponentBits - 1) - 1;
    const exponent = masked(top, field(2 ** ownExponent - 1));
    const over = compare("gt", exponent, word(field(bias + reach)));
    const under = compare("le", exponent, word(field(bias - reach)));
    const sign = masked(top, field(2 ** ownExponent));
    const infinity = or(sign, word(field(2 ** ownExponent - 1)));
    const clipped = select(over, infinity, select(under, sign, top));
    words = words.map((w) => (w === top ? clipped : select(or(over, under), word(0), w)));
  }
  return select(compare("ne", x, x), x, fromWords(words, x.dtype));
}

/** The upper word of an integer of two. */
const upperOf = (value: number): number => Math.floor(value / 2 ** 32);

/** The number in one or two words and another: the sum of the lower ones is less than each where it wraps. */
function sum(words: readonly Expr[], x: Expr, upper: Expr): readonly Expr[] {
  const [low, high] = words as [Expr, Expr?];
  const first = add(low, x);
  if (high === undefined) return [first];
  return [first, add(add(high, upper), cast(compare("lt", first, x), "uint32"))];
}

/** Drops the last `n` bits of one number, in one or two words, rounding half to even: adds half a unit less one, and
 *  one more where the last bit that stays is set. */
function roundWords(words: readonly Expr[], n: number): readonly Expr[] {
  const unit = 2 ** n;
  const half = unit / 2 - 1;
  const last = masked(shiftDown(words[n < 32 ? 0 : 1] as Expr, n % 32), 1);
  const rounded = sum(sum(words, word(half), word(upperOf(half))), last, word(0));
  return rounded.map((w, i) => masked(w, i === 0 ? -unit : upperOf(-unit)));
}

/** Word `k` of an element, `k` an int32 expression. */
export const pickWord = (words: readonly Expr[], k: Expr): Expr => {
  const [low, high] = words as [Expr, Expr?];
  if (high === undefined) return low;
  if (isLit(k)) return k.value === 0 ? low : high;
  return select(compare("eq", k, lit(0, "int32")), low, high);
};
