/** Elementary functions of float32 in plain float32 arithmetic, so that four can be computed at a time
 *  and every backend gives the same bits. They use no fused multiply-add and stay within 2 ulp; the accuracy test measures them. */
import {
  add,
  and,
  binary,
  bitcast,
  cast,
  compare,
  cond,
  div,
  type Expr,
  lit,
  mul,
  polynomial,
  rewrite,
  select,
  sub,
  unary,
  type UnaryOp,
} from "./expr.ts";
import type { LoopKernel, Stmt } from "./kernel.ts";

const f = (x: number): Expr => lit(Math.fround(x), "float32");
const i = (x: number): Expr => lit(x, "int32");
const bits = (x: Expr): Expr => bitcast(x, "int32");
const float = (x: Expr): Expr => bitcast(x, "float32");
const iadd = (x: Expr, y: number): Expr => binary("add", x, i(y));
const shl = (x: Expr, n: number): Expr => binary("shl", x, i(n));
const shr = (x: Expr, n: number): Expr => binary("shr", x, i(n));
const abs = (x: Expr): Expr => unary("abs", x);
/** The smaller, the larger of x and a constant; x where it is NaN. */
const atMost = (x: Expr, c: Expr): Expr => select(compare("lt", c, x), c, x);
const atLeast = (x: Expr, c: Expr): Expr => select(compare("lt", x, c), c, x);
/** |x| with the sign of s */
const withSign = (x: Expr, s: Expr): Expr =>
  float(binary("or", bits(x), binary("and", bits(s), i(-0x80000000))));

/** Adding it rounds a float32 of at most 2²² to an integer, whose bits are the low ones of the sum. */
const magic = 1.5 * 2 ** 23;
const oneBits = 0x3f800000;
// log 2 in two parts; products of the first with whole numbers below 2¹⁵ are exact
const ln2High = 0.693359375;
const ln2Low = -2.1219444005469057e-4;

/** c₀ + c₁x + c₂x² + … by pairs of terms and powers of z = x²: half as deep as Horner's rule, with as many operations. */
function pairwise(x: Expr, z: Expr, coefficients: readonly number[]): Expr {
  const pairs: Expr[] = [];
  for (let k = 0; k < coefficients.length; k += 2) {
    const [low, high] = [coefficients[k] as number, coefficients[k + 1]];
    pairs.push(high === undefined ? f(low) : add(f(low), mul(x, f(high))));
  }
  return pairs.reduceRight((sum, pair) => add(pair, mul(z, sum)));
}
/** (eʳ − 1 − r)/r² for |r| ≤ ½ log 2: minimax of degree 4, eʳ − 1 to a relative 2⁻²⁶ */
const expTail = (r: Expr, z: Expr): Expr =>
  pairwise(
    r,
    z,
    [0.5, 0.16666541993618011, 0.04166627675294876, 0.008366777561604977, 0.001394677790813148],
  );
/** eʳ − 1 for |r| ≤ ½ log 2 */
function expm1Near(r: Expr): Expr {
  const z = mul(r, r);
  return add(mul(z, expTail(r, z)), r);
}
/** A rounded value as a float, and as the low bits of an integer. */
function rounded(x: Expr): { readonly n: Expr; readonly low: Expr } {
  const t = add(x, f(magic));
  return { n: sub(t, f(magic)), low: bits(t) };
}

/** eˣ = 2ⁿ·eʳ; 2ⁿ in two factors, so that results below the normal range are rounded once */
function exp(x: Expr): Expr {
  const a = atLeast(atMost(x, f(89)), f(-104));
  const { n: turns, low } = rounded(mul(a, f(Math.LOG2E)));
  const r = sub(sub(a, mul(turns, f(ln2High))), mul(turns, f(ln2Low)));
  const e = add(expm1Near(r), f(1));
  const n = iadd(low, -0x4b400000);
  const first = shl(shr(n, 1), 23);
  const second = binary("sub", shl(n, 23), first);
  return mul(mul(e, float(iadd(first, oneBits))), float(iadd(second, oneBits)));
}

/** tanh x = s/(s + 2), s = e²|ˣ| − 1 = 2ⁿ·(eʳ − 1) + (2ⁿ − 1), with the sign of x; 1 from 9.02 on */
function tanh(x: Expr): Expr {
  const a = atMost(abs(x), f(9.02));
  const { n, low } = rounded(mul(a, f(2 * Math.LOG2E)));
  // n·log 2 is rounded, by less the more the result forgives
  const e = expm1Near(sub(add(a, a), mul(n, f(Math.LN2))));
  const scale = float(iadd(shl(low, 23), oneBits));
  const s = add(mul(e, scale), sub(scale, f(1)));
  return withSign(div(s, add(s, f(2))), x);
}

/** log x = e·log 2 + log m with m in [√½, √2)
 *  @source S. L. Moshier, Cephes 2.8, logf */
function log(x: Expr): Expr {
  const tiny = compare("lt", x, f(2 ** -126));
  const scaled = select(tiny, mul(x, f(2 ** 23)), x);
  const start = 0x3f3504f3; // √½
  const ix = iadd(bits(scaled), -start);
  const e = cast(binary("sub", shr(ix, 23), select(tiny, i(23), i(0))), "float32");
  const m = float(iadd(binary("and", ix, i(0x7fffff)), start));
  const r = sub(m, f(1));
  const z = mul(r, r);
  const p = pairwise(
    r,
    z,
    [
      3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
      -1.242014067e-1, 1.167699874e-1, -1.151461031e-1, 7.0376836292e-2,
    ],
  );
  const y = sub(add(mul(mul(r, z), p), mul(e, f(ln2Low))), mul(z, f(0.5)));
  const value = add(add(r, y), mul(e, f(ln2High)));
  const special = select(
    compare("eq", x, f(0)),
    f(Number.NEGATIVE_INFINITY),
    select(compare("lt", x, f(0)), f(Number.NaN), x),
  );
  // +∞ and NaN are themselves
  const ordinary = and(compare("gt", x, f(0)), compare("lt", x, f(Number.POSITIVE_INFINITY)));
  return select(ordinary, value, special);
}

// ---- sine and cosine ----

/** Beyond it n·π/2 below is not exact any more. */
const largeAngle = 2 ** 20;
// π/2 in two parts; the first has 33 bits
const halfPiHigh = 1.5707963267341256;
const halfPiLow = 6.077100506506192e-11;

interface Angle {
  /** quarter turns */
  readonly n: Expr;
  readonly sin: Expr;
  readonly cos: Expr;
}
const angles = new WeakMap<Expr, Angle>();
/** Sine and cosine of what is left of x after whole quarter turns, in [−π/4, π/4]; the difference is taken in float64.
 *  @source S. L. Moshier, Cephes 2.8, sinf */
function angleOf(x: Expr): Angle {
  let angle = angles.get(x);
  if (angle === undefined) {
    const bounded = atLeast(atMost(x, f(largeAngle)), f(-largeAngle));
    const n = unary("round", mul(bounded, f(2 / Math.PI)));
    const wide = cast(n, "float64");
    const d = (v: number): Expr => lit(v, "float64");
    const exact = sub(sub(cast(x, "float64"), mul(wide, d(halfPiHigh))), mul(wide, d(halfPiLow)));
    const r = cast(exact, "float32");
    const z = mul(r, r);
    const s = polynomial(z, [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4].map(Math.fround));
    const c = polynomial(
      z,
      [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5].map(Math.fround),
    );
    angle = {
      n: cast(n, "int32"),
      sin: add(mul(mul(s, z), r), r),
      cos: add(sub(mul(mul(z, z), c), mul(z, f(0.5))), f(1)),
    };
    angles.set(x, angle);
  }
  return angle;
}
/** sin(x + quarters·π/2) */
function sine(x: Expr, quarters: 0 | 1): Expr {
  const { n, sin, cos } = angleOf(x);
  const turn = quarters === 0 ? n : iadd(n, quarters);
  const value = select(compare("eq", binary("and", turn, i(1)), i(0)), sin, cos);
  const flipped = float(binary("xor", bits(value), shl(binary("and", turn, i(2)), 30)));
  const op = quarters === 0 ? "sin" : "cos";
  // the polynomial loses the sign of zero
  const near = quarters === 0 ? select(compare("eq", x, f(0)), x, flipped) : flipped;
  const far = cast(unary(op, cast(x, "float64")), "float32");
  // also NaN and ∞
  return cond(compare("le", abs(x), f(largeAngle)), near, far);
}

const functions: { readonly [O in UnaryOp]?: (x: Expr) => Expr } = {
  exp,
  tanh,
  log,
  sin: (x) => sine(x, 0),
  cos: (x) => sine(x, 1),
};

/** The same values with float32 functions written out. */
function expand(e: Expr, memo: Map<Expr, Expr>): Expr {
  return rewrite(
    e,
    (x) => {
      if (x.kind !== "unary" || x.dtype !== "float32") return null;
      const make = functions[x.op];
      return make === undefined ? null : make(expand(x.x, memo));
    },
    memo,
  );
}

/** A kernel with the float32 functions written out. */
export function expandElementary(kernel: LoopKernel): LoopKernel {
  const memo = new Map<Expr, Expr>();
  const statement = (s: Stmt): Stmt => {
    switch (s.kind) {
      case "for":
        return { ...s, body: s.body.map(statement) };
      case "while":
        return { ...s, test: expand(s.test, memo), body: s.body.map(statement) };
      case "if":
        return {
          ...s,
          test: expand(s.test, memo),
          yes: s.yes.map(statement),
          no: s.no.map(statement),
        };
      case "set":
      case "store":
        return { ...s, value: expand(s.value, memo) };
    }
  };
  return { ...kernel, body: kernel.body.map(statement) };
}
