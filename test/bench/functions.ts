/** `npm run functions -- [NAME …]`: nanoseconds an element of each elementary and special function on one thread, float32 and float64,
 *  jitted, over 4096 elements of the range that is shown. */
import { jit, lax, type NDArray, np, random } from "../../index.ts";

const n = 4096;
/** milliseconds, and the least number of batches */
const budget = 100;
const leastBatches = 40;

type Row = readonly [f: (x: NDArray) => NDArray, low: number, high: number];
const functions: { readonly [name: string]: Row } = {
  exp: [np.exp, -10, 10],
  exp2: [np.exp2, -10, 10],
  expm1: [np.expm1, -3, 3],
  log: [np.log, 0.01, 100],
  log1p: [np.log1p, -0.9, 10],
  sin: [np.sin, -20, 20],
  cos: [np.cos, -20, 20],
  tan: [np.tan, -20, 20],
  asin: [np.arcsin, -1, 1],
  acos: [np.arccos, -1, 1],
  atan: [np.arctan, -5, 5],
  atan2: [(x) => np.arctan2(x, np.add(x, 1)), -5, 5],
  sinh: [np.sinh, -5, 5],
  cosh: [np.cosh, -5, 5],
  tanh: [np.tanh, -4, 4],
  asinh: [np.arcsinh, -5, 5],
  acosh: [np.arccosh, 1, 9],
  atanh: [np.arctanh, -0.99, 0.99],
  pow: [(x) => np.power(x, x), 0.1, 10],
  cbrt: [np.cbrt, -100, 100],
  rsqrt: [lax.rsqrt, 0.01, 100],
  logistic: [lax.logistic, -8, 8],
  erf: [lax.erf, -3, 3],
  erfc: [lax.erfc, -3, 3],
  erfInv: [lax.erfInv, -0.99, 0.99],
  lgamma: [lax.lgamma, 0.1, 12],
  digamma: [lax.digamma, 0.1, 12],
};

/** The least time of a call, in nanoseconds an element. */
function measure([f, minval, maxval]: Row, dtype: "float32" | "float64"): number {
  const compiled = jit(f);
  const x = random.uniform(random.key(0), [n], { dtype, minval, maxval });
  compiled(x).dispose();
  let best = Number.POSITIVE_INFINITY;
  const end = performance.now() + budget;
  let batches = 0;
  for (let now = performance.now(); now < end || batches < leastBatches; batches++) {
    for (let i = 0; i < 4; i++) compiled(x).dispose();
    const after = performance.now();
    best = Math.min(best, (after - now) / 4);
    now = after;
  }
  return (1e6 * best) / n;
}

const only = process.argv.slice(2);
console.log("function   range            float32   float64   ns an element");
for (const [name, row] of Object.entries(functions)) {
  if (only.length > 0 && !only.includes(name)) continue;
  const times = (["float32", "float64"] as const).map((d) => measure(row, d).toFixed(2));
  const range = `${row[1]} to ${row[2]}`;
  console.log(
    `${name.padEnd(10)} ${range.padEnd(14)} ${times.map((t) => t.padStart(9)).join(" ")}`,
  );
}
