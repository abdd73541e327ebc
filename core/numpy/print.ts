/** Arrays as text, the way NumPy prints them. */
import { bytesSync } from "../array.ts";
import { castNumber, type DType, isFloat, unpack } from "../dtype.ts";
import type { NDArray } from "../ndarray.ts";
import { range, stridesOf } from "../shape.ts";
import { Tracer } from "../trace.ts";

const precision = 8;
/** arrays of more elements are abbreviated to `edge` items at each end of each axis */
const threshold = 1000;
const edge = 3;
const lineWidth = 75;

/** Fewest significant digits that read back as the same value of the dtype. */
function shortest(x: number, dtype: DType): string {
  if (dtype === "float64") return String(x);
  for (let p = 1; ; p++) {
    const y = Number(x.toPrecision(p));
    if (castNumber(y, dtype) === x) return String(y);
  }
}

const minus = (x: number): string => (x < 0 || Object.is(x, -0) ? "-" : "");

/** Digits before and after the point, and the exponent, if there is to be one. */
function digitsOf(x: number, dtype: DType, exponential: boolean): [string, string, string] {
  const size = Math.abs(x);
  const text = shortest(size, dtype);
  if (!exponential) {
    const [whole = "", fraction = ""] = text.split(".");
    if (fraction.length <= precision) return [whole, fraction, ""];
    const [rounded = "", rest = ""] = size.toFixed(precision).split(".");
    return [rounded, rest.replace(/0+$/, ""), ""];
  }
  const [mantissa = "", exponent = ""] = Number(text).toExponential().split("e");
  const digits = mantissa.length > precision + 2 ? size.toExponential(precision) : mantissa;
  const [whole = "", fraction = ""] = (digits.split("e")[0] as string).split(".");
  // two digits at least
  return [whole, fraction, `e${exponent.replace(/^.(?=.$)/, "$&0")}`];
}

/** A single element: a float as Python writes it, with ".0" where it is whole, with an exponent where the shortest digits and
 *  the dtype's precision leave gaps. */
function scalar(x: number, dtype: DType): string {
  if (!isFloat(dtype) || !Number.isFinite(x)) return formatter([x], dtype)(x).trim();
  const size = Math.abs(x);
  // NumPy: float64 until 1e16, the narrower ones as long as all digits before the point count
  const limit = dtype === "float64" ? 1e16 : dtype === "float32" ? 1e6 : 1e3;
  if (size === 0 || (size >= 1e-4 && size < limit)) {
    const text = shortest(size, dtype);
    return minus(x) + (text.includes(".") ? text : `${text}.0`);
  }
  const [whole, fraction, exponent] = digitsOf(x, dtype, true);
  return `${minus(x)}${whole}${fraction && `.${fraction}`}${exponent}`;
}

type Format = (x: number) => string;

/** One formatter for all printed elements, so that columns line up. */
function formatter(values: readonly number[], dtype: DType): Format {
  const show =
    dtype === "bool"
      ? (x: number) => (x ? " True" : "False")
      : isFloat(dtype)
        ? floatFormat(values, dtype)
        : String;
  const width = Math.max(...values.map((x) => show(x).length));
  return (x) => show(x).padStart(width);
}

/** Floats with their points one below the other. */
function floatFormat(values: readonly number[], dtype: DType): Format {
  const finite = values.filter(Number.isFinite);
  const sizes = finite.map(Math.abs).filter((x) => x !== 0);
  const [high, low] = [Math.max(...sizes), Math.min(...sizes)];
  const exponential = high >= 1e8 || low < 1e-4 || high / low > 1000;
  const places = Math.max(0, ...finite.map((x) => digitsOf(x, dtype, exponential)[1].length));
  return (x) => {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : `${minus(x)}inf`;
    const [whole, fraction, exponent] = digitsOf(x, dtype, exponential);
    const padded = fraction.padEnd(places, exponential ? "0" : " ");
    return `${minus(x)}${whole}.${padded}${exponent}`;
  };
}

/** Indices of an axis that are printed; −1 stands for the dots. */
const shown = (n: number, short: boolean): number[] =>
  short && n > 2 * edge ? [...range(edge), -1, ...range(edge, n - edge)] : range(n);

function body(x: NDArray, op: string, separator: string, indent: number): string {
  const { shape, dtype, ndim } = x;
  const values = unpack(bytesSync(x, op), dtype);
  if (ndim === 0) return scalar(values[0] as number, dtype);
  const strides = stridesOf(shape);
  const short = values.length > threshold;
  const comma = separator.trimEnd();
  const level = (axis: number, offset: number, pad: number, format: Format): string => {
    const at = shown(shape[axis] as number, short);
    const margin = " ".repeat(pad);
    const last = axis === ndim - 1;
    const items = at.map((i) => {
      if (i < 0) return "...";
      const place = offset + i * (strides[axis] as number);
      return last ? format(values[place] as number) : level(axis + 1, place, pad + 1, format);
    });
    if (!last) return `[${items.join(comma + "\n".repeat(ndim - 1 - axis) + margin)}]`;
    const lines: string[] = [];
    let line = "";
    items.forEach((item, k) => {
      const piece = k < items.length - 1 ? item + comma : item;
      // room is left for the closing brackets, one of them beside the last element
      if (line !== "" && pad + line.length + 1 + item.length > lineWidth - axis - 1) {
        lines.push(line.trimEnd());
        line = piece;
      } else line = line === "" ? piece : `${line} ${piece}`;
    });
    if (line !== "") lines.push(line);
    return `[${lines.join(`\n${margin}`)}]`;
  };
  const printed: number[] = [];
  level(0, 0, 0, (value) => `${printed.push(value)}`);
  return level(0, 0, indent + 1, formatter(printed, dtype));
}

/** The elements as NumPy's `str` shows them; a tracer shows its type.
 *  @example np.arrayStr(np.array([[1, 2.5], [3, 4]]))  // => "[[1.  2.5]\n [3.  4. ]]" */
export function arrayStr(x: NDArray): string {
  if (x instanceof Tracer) return `Traced<${x.aval}>`;
  return x.size === 0 ? "[]" : body(x, "toString", " ", 0);
}

/** Like NumPy's `repr`: `NDArray([1., 2.], dtype=float32)`. */
export function arrayRepr(x: NDArray): string {
  if (x instanceof Tracer) return `Traced<${x.aval}> of ${x.trace.name}`;
  const head = "NDArray(";
  const text =
    x.size === 0 ? `[], shape=[${x.shape.join(", ")}]` : body(x, "inspect", ", ", head.length);
  return `${head}${text}, dtype=${x.dtype}${x.weakType ? ", weakType=true" : ""})`;
}
