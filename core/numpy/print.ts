/** Arrays as text, the way NumPy prints them. */
import { bytesSync } from "../array.ts";
import { type DType, dtypes, isFloat, unpack } from "../dtype.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { type Shape, stridesOf } from "../shape.ts";
import { Tracer } from "../trace.ts";

const precision = 8;
/** arrays of more elements are abbreviated to `edge` items at each end of each axis */
const threshold = 1000;
const edge = 3;
const lineWidth = 75;

/** Fewest significant digits that read back as the same value of the dtype. */
function shortest(x: number, dtype: DType): string {
  if (dtype === "float64") return String(x);
  const digits = dtype === "float32" ? 9 : dtype === "float16" ? 5 : 4;
  const same = (s: string): boolean => {
    const y = Number(s);
    if (dtype === "float32") return Math.fround(y) === x;
    const half = 2 ** (Math.floor(Math.log2(Math.abs(x) || 1)) - dtypes[dtype].mantissa - 1);
    return Math.abs(y - x) < half;
  };
  for (let p = 1; p < digits; p++) {
    const s = x.toPrecision(p);
    if (same(s)) return String(Number(s));
  }
  return String(Number(x.toPrecision(digits)));
}

/** Digits before and after the point of a plain decimal. */
function decimals(x: number, dtype: DType): [string, string] {
  const text = shortest(Math.abs(x), dtype);
  const plain = text.includes("e") ? Math.abs(x).toFixed(precision) : text;
  let [whole = "0", fraction = ""] = plain.split(".");
  if (fraction.length > precision) {
    [whole = "0", fraction = ""] = Math.abs(x).toFixed(precision).split(".");
    fraction = fraction.replace(/0+$/, "");
  }
  return [whole, fraction];
}

function scientific(x: number, dtype: DType): [string, string] {
  const [mantissa = "0", exponent = "+0"] = Number(shortest(Math.abs(x), dtype))
    .toExponential()
    .split("e");
  const fraction = mantissa.split(".")[1] ?? "";
  const digits =
    fraction.length > precision
      ? (Math.abs(x).toExponential(precision).split("e")[0] as string)
      : mantissa;
  const sign = exponent.startsWith("-") ? "-" : "+";
  return [digits, `${sign}${exponent.replace(/[+-]/, "").padStart(2, "0")}`];
}

/** A single element: a float as Python writes it, with ".0" where it is whole, with an exponent where the shortest digits and
 *  the dtype's precision leave gaps. */
function scalar(x: number, dtype: DType): string {
  if (!isFloat(dtype) || !Number.isFinite(x)) return formatter([x], dtype)(x).trim();
  const sign = x < 0 || Object.is(x, -0) ? "-" : "";
  const size = Math.abs(x);
  // NumPy: float64 until 1e16, the narrower ones as long as all digits before the point count
  const limit = dtype === "float64" ? 1e16 : dtype === "float32" ? 1e6 : 1e3;
  if (size === 0 || (size >= 1e-4 && size < limit)) {
    const text = shortest(size, dtype);
    return sign + (text.includes(".") ? text : `${text}.0`);
  }
  const [digits, exponent] = scientific(x, dtype);
  return `${sign}${digits.replace(/\.$/, "")}e${exponent}`;
}

/** One formatter for all printed elements, so that columns line up. */
function formatter(values: readonly number[], dtype: DType): (x: number) => string {
  if (dtype === "bool") {
    return (x) => (x ? " True" : "False");
  }
  if (!isFloat(dtype)) {
    const width = Math.max(0, ...values.map((x) => String(x).length));
    return (x) => String(x).padStart(width);
  }
  const finite = values.filter(Number.isFinite);
  const sizes = finite.map(Math.abs).filter((x) => x !== 0);
  const [high, low] = [Math.max(0, ...sizes), Math.min(Number.POSITIVE_INFINITY, ...sizes)];
  const exponential = sizes.length > 0 && (high >= 1e8 || low < 1e-4 || high / low > 1000);
  const sign = (x: number): string => (x < 0 || Object.is(x, -0) ? "-" : "");
  const special = (x: number): string => (Number.isNaN(x) ? "nan" : x < 0 ? "-inf" : "inf");
  if (exponential) {
    const places = Math.max(
      0,
      ...finite.map((x) => (scientific(x, dtype)[0].split(".")[1] ?? "").length),
    );
    const show = (x: number): string => {
      const [digits, exponent] = scientific(x, dtype);
      const [whole, fraction = ""] = digits.split(".");
      return `${sign(x)}${whole}.${fraction.padEnd(places, "0")}e${exponent}`;
    };
    const width = Math.max(
      0,
      ...values.map((x) => (Number.isFinite(x) ? show(x) : special(x)).length),
    );
    return (x) => (Number.isFinite(x) ? show(x) : special(x)).padStart(width);
  }
  const right = Math.max(0, ...finite.map((x) => decimals(x, dtype)[1].length));
  const left = Math.max(
    0,
    ...finite.map((x) => sign(x).length + decimals(x, dtype)[0].length),
    ...values.filter((x) => !Number.isFinite(x)).map((x) => special(x).length - right - 1),
  );
  return (x) => {
    if (!Number.isFinite(x)) return special(x).padStart(left + right + 1);
    const [whole, fraction] = decimals(x, dtype);
    return `${(sign(x) + whole).padStart(left)}.${fraction.padEnd(right)}`;
  };
}

/** Indices of an axis that are printed; −1 stands for the dots. */
const shown = (n: number, short: boolean): number[] =>
  short && n > 2 * edge
    ? [...Array(edge).keys(), -1, ...Array.from({ length: edge }, (_, i) => n - edge + i)]
    : [...Array(n).keys()];

function body(
  values: ArrayLike<number>,
  shape: Shape,
  dtype: DType,
  separator: string,
  indent: number,
): string {
  const strides = stridesOf(shape);
  const short = values.length > threshold;
  const printed: number[] = [];
  const collect = (axis: number, offset: number): void => {
    if (axis === shape.length) {
      printed.push(values[offset] as number);
      return;
    }
    for (const i of shown(shape[axis] as number, short))
      if (i >= 0) collect(axis + 1, offset + i * (strides[axis] as number));
  };
  collect(0, 0);
  const format = formatter(printed, dtype);
  const level = (axis: number, offset: number, pad: number): string => {
    const at = shown(shape[axis] as number, short);
    const step = strides[axis] as number;
    if (axis === shape.length - 1) {
      const lines: string[] = [];
      let line = "";
      at.forEach((i, k) => {
        const item = i < 0 ? "..." : format(values[offset + i * step] as number);
        const piece = k < at.length - 1 ? item + separator.trimEnd() : item;
        // room is left for the closing brackets, one of them beside the last element
        if (line !== "" && pad + line.length + 1 + item.length > lineWidth - axis - 1) {
          lines.push(line.trimEnd());
          line = piece;
        } else line = line === "" ? piece : `${line} ${piece}`;
      });
      if (line !== "") lines.push(line);
      return `[${lines.join(`\n${" ".repeat(pad)}`)}]`;
    }
    const gap = `${separator.trimEnd()}${"\n".repeat(shape.length - 1 - axis)}${" ".repeat(pad)}`;
    return `[${at.map((i) => (i < 0 ? "..." : level(axis + 1, offset + i * step, pad + 1))).join(gap)}]`;
  };
  if (shape.length === 0) return scalar(values[0] as number, dtype);
  return level(0, 0, indent + 1);
}

/** The elements as NumPy's `str` shows them; a tracer shows its type.
 *  @example np.arrayStr(np.array([[1, 2.5], [3, 4]]))  // => "[[1.  2.5]\n [3.  4. ]]" */
export function arrayStr(x: NDArray): string {
  if (x instanceof Tracer) return `Traced<${x.aval}>`;
  if (x instanceof Literal) return body([x.value], [], x.dtype, " ", 0);
  if (x.size === 0) return "[]";
  return body(unpack(bytesSync(x, "toString"), x.dtype), x.shape, x.dtype, " ", 0);
}

/** Like NumPy's `repr`: `NDArray([1., 2.], dtype=float32)`. */
export function arrayRepr(x: NDArray): string {
  if (x instanceof Tracer) return `Traced<${x.aval}> of ${x.trace.name}`;
  const weak = x.weakType ? ", weakType=true" : "";
  const head = "NDArray(";
  if (x.size === 0) return `${head}[], shape=[${x.shape.join(", ")}], dtype=${x.dtype}${weak})`;
  const values = unpack(bytesSync(x, "inspect"), x.dtype);
  return `${head}${body(values, x.shape, x.dtype, ", ", head.length)}, dtype=${x.dtype}${weak})`;
}
