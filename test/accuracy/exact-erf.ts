/** The error function, its complement and inverse to about 95 bits. */
import {
  add,
  type DD,
  dd,
  div,
  type Exact,
  exact,
  fraction,
  frexp,
  mul,
  neg,
  one,
  plus,
  polynomial,
  scale,
  sqrt,
  sub,
  times,
} from "./double-double.ts";
import { exp, infinite, nan, pi, plain } from "./exact-elementary.ts";

const twoByRootPi = div(dd(2), sqrt(pi));
/** 2ⁿ/(1·3 … (2n + 1)) */
const kummer = Array.from({ length: 32 }, (_, n) => {
  let c = one;
  for (let k = 1; k <= n; k++) c = mul(c, fraction(2, 2 * k + 1));
  return c;
});
/** e^(−x²) */
const gaussian = (x: DD): Exact => exp(neg(mul(x, x)));
/** 2/√π x e^(−x²) Σ (2x²)ⁿ/(1·3 … (2n + 1)) for |x| ≤ 1: all terms have one sign */
function erfSeries(x: DD): DD {
  const g = gaussian(x);
  const sum = polynomial(mul(x, x), kummer);
  return mul(mul(mul(x, twoByRootPi), scale(g, g.exp)), sum);
}

const grid = 16;
const terms = 20;
const expansions = new Map<number, readonly DD[]>();
/** Taylor coefficients of e^(x²) erfc(x) at x ≥ 1: (−2)ⁿ iⁿerfc(x) e^(x²), of which the repeated integrals satisfy
 *  iⁿ⁻²erfc = 2n iⁿerfc + 2x iⁿ⁻¹erfc, stable downwards from anything, and i⁻¹erfc(x) = 2/√π e^(−x²).
 *  @source W. Gautschi 1961, Recursive computation of the repeated integrals of the error function, Math. Comp. 15, 227–232 */
function expansion(x: number): readonly DD[] {
  let found = expansions.get(x);
  if (found === undefined) {
    let [above, at] = [dd(0), dd(2 ** -900)];
    const repeated: DD[] = [];
    for (let n = Math.ceil(800 / x ** 2) + 60; n >= 0; n--) {
      if (n < terms) repeated[n] = at;
      // `at` belongs to n, `above` to n + 1
      [above, at] = [at, add(times(above, 2 * (n + 1)), times(at, 2 * x))];
      if (n >= terms && at.hi > 1) [above, at] = [scale(above, -900), scale(at, -900)];
    }
    const unit = div(twoByRootPi, at);
    found = repeated.map((y, n) => scale(mul(times(y, (-1) ** n), unit), n));
    expansions.set(x, found);
  }
  return found;
}
/** erfc(x), x ≥ 1 */
function erfcTail(x: DD): Exact {
  const node = Math.round(x.hi * grid) / grid;
  const g = gaussian(x);
  return exact(mul(g, polynomial(plus(x, -node), expansion(node))), g.exp);
}

function erfOf(x: number): Exact {
  if (Number.isNaN(x) || x === 0) return plain(x);
  const a = Math.abs(x);
  if (a < 2 ** -60) {
    const [m, e] = frexp(x);
    return exact(times(twoByRootPi, m), e);
  }
  if (a <= 1) return exact(erfSeries(dd(x)));
  let y = dd(1, -(2 ** -200));
  if (a < 10) {
    const tail = erfcTail(dd(a));
    y = sub(one, scale(tail, tail.exp));
  }
  return exact(x < 0 ? neg(y) : y);
}
function erfcOf(x: number): Exact {
  if (Number.isNaN(x)) return nan;
  if (x > 1e3) return plain(0);
  if (x > 1) return erfcTail(dd(x));
  const y = erfOf(x);
  return exact(sub(one, scale(y, Math.max(y.exp, -400))));
}

/** y with erf(y) = x by Halley's method from Winitzki's estimate, on 1 − erf where that is small */
function erfInvOf(x: number): Exact {
  const a = Math.abs(x);
  if (!(a <= 1)) return nan;
  if (a === 1) return infinite(x);
  if (x === 0) return plain(x);
  if (a < 2 ** -60) {
    const [m, e] = frexp(x);
    return exact(times(div(one, twoByRootPi), 2 * m), e - 1);
  }
  const rest = sub(one, dd(a));
  const l = Math.log1p(-a * a);
  const b = 2 / (Math.PI * 0.147) + l / 2;
  let y = dd(Math.sqrt(Math.max(Math.sqrt(b * b - l / 0.147) - b, a * a * 0.7)));
  for (let step = 1; Math.abs(step) > 2 ** -36; ) {
    const g = gaussian(y);
    const slope = mul(twoByRootPi, scale(g, g.exp));
    let off: DD;
    if (y.hi <= 1) off = sub(erfSeries(y), dd(a));
    else {
      const tail = erfcTail(y);
      off = sub(rest, scale(tail, tail.exp));
    }
    const u = div(off, slope);
    const change = div(u, plus(mul(y, u), 1));
    y = sub(y, change);
    step = change.hi / y.hi;
  }
  return exact(x < 0 ? neg(y) : y);
}

export const erfFunctions = { erf: erfOf, erfc: erfcOf, erfInv: erfInvOf };
