/** The gamma function's logarithm, its derivatives and Hurwitz's zeta function as scalar expressions; see special.ts. */
import {
  add,
  and,
  binary,
  compare,
  cond,
  div,
  mul,
  neg,
  polynomial,
  select,
  sub,
  unary,
  type Expr,
} from "./expr.ts";
import {
  atMost,
  bernoulliOver,
  c,
  cases,
  exp,
  floor,
  half,
  infinity,
  log,
  nan,
  one,
  product,
  ratio,
  sin,
  square,
  sum,
  wide,
} from "./float64.ts";
import { abs, isInteger, lt } from "./elementary/arithmetic.ts";
import { digammaSeries, roughDigamma } from "./special32.ts";

// ---- lgamma ----

/** log Γ(1 + v)/(v(v − 1)), −0.1 ≤ v < 2: γ and a rational minimax of v to 2⁻⁵⁴ */
const lgammaNear = (v: Expr): Expr =>
  add(
    c(0.5772156649015329),
    mul(
      v,
      ratio(
        v,
        [
          -0.24525136852258003, -0.63808957294574, -0.6170237893308698, -0.27451218342809924,
          -0.056368042454059734, -0.004681596056473671, -0.00010678055521017597,
        ],
        [
          1, 3.2355531534439335, 4.0969927380600755, 2.572876535968205, 0.8385385031160899,
          0.13548795786771997, 0.009358405526991088, 0.00018787062758168806,
        ],
      ),
    ),
  );

/** log Γ(x) for x > 0. Below 0.9, Γ(x) = Γ(x + 1)/x; from 3 to 8, Γ(x) = (x − 1)(x − 2) … t·Γ(t), t in [2, 3); Stirling's series
 *  beyond, whose ninth term is 2⁻⁵⁶ of the result at 8. All share one logarithm, of x or the product. */
function lgammaPositive(x: Expr): Expr {
  const small = lt(x, 0.9);
  const moderate = lt(x, 8);
  const inProduct = and(compare("ge", x, c(3)), moderate);
  const fraction = sub(x, floor(x));
  const factors = [3, 4, 5, 6, 7].reduce<Expr>(
    (p, k) => select(compare("ge", x, c(k)), mul(p, add(fraction, c(k - 1))), p),
    one,
  );
  const logarithm = log(select(inProduct, factors, x));
  // t − 1
  const v = select(small, x, select(inProduct, add(fraction, one), sub(x, one)));
  const near = mul(mul(v, sub(v, one)), lgammaNear(v));
  const shift = select(small, neg(logarithm), select(inProduct, logarithm, c(0)));
  const z = div(one, x);
  const w = add(
    c(4.189385332046727e-1),
    mul(z, polynomial(square(z), bernoulliOver((n) => n * (n - 1)).slice(0, 8))),
  );
  const stirling = add(mul(sub(x, half), sub(logarithm, one)), w);
  return cond(moderate, add(near, shift), stirling);
}

/** x − (the nearest integer): π·this has the sine and tangent of πx up to sign */
const fromNearest = (x: Expr): Expr => sub(x, unary("round", x));

function lgamma64(x: Expr): Expr {
  const a = abs(x);
  const positive = lgammaPositive(a);
  // Γ(x) Γ(−x) = −π/(x sin πx); nearer to 0 that is Γ(a)²
  const sine = abs(sin(mul(c(Math.PI), fromNearest(x))));
  const reflected = sub(log(div(c(Math.PI), mul(sine, a))), positive);
  return cases(
    [
      [and(atMost(x, 0), isInteger(x)), infinity],
      [lt(x, -(2 ** -70)), reflected],
    ],
    positive,
  );
}
/** log |Γ(x)|; +∞ at the poles */
export const lgamma = wide(lgamma64);

// ---- digamma ----

/** ψ(1 + y) for 0 ≤ y ≤ 1 as (1 + y − root)(Y + R(y)), root − 1 in three pieces.
 *  Maddock 2006, Boost.Math, digamma.hpp. */
function digammaAboveOne(y: Expr): Expr {
  const g = [495673741 / 2 ** 30, 381566830 / 2 ** 60, 9.016312093258695e-20].reduce<Expr>(
    (acc, part) => sub(acc, c(part)),
    y,
  );
  const r = ratio(
    y,
    [
      0.25479851061131553, -0.3255503118680449, -0.6503185377089651, -0.28919126444774784,
      -0.04525132144873906, -0.002071332116774595,
    ],
    [
      1, 2.076711702373047, 1.4606242909763516, 0.43593529692665967, 0.054151797245674226,
      0.0021284987017821146, -5.578984132167551e-7,
    ],
  );
  return mul(g, add(c(Math.fround(0.9955816268920898)), r));
}
/** ψ(x) for x ≥ 1 */
function digammaFromOne(x: Expr): Expr {
  // log x − 1/2x − Σ B₂ₖ/(2k x²ᵏ)
  const z = div(one, square(x));
  const series = mul(z, polynomial(z, digammaSeries));
  const large = sub(sub(log(x), div(half, x)), series);
  // ψ(x) = ψ(x − 1) + 1/(x − 1), down to [1, 2]
  let at = x;
  let steps: Expr = c(0);
  for (let k = 0; k < 8; k++) {
    const more = compare("gt", at, c(2));
    const next = sub(at, one);
    steps = select(more, add(steps, div(one, next)), steps);
    at = select(more, next, at);
  }
  return cond(lt(x, 10), add(steps, digammaAboveOne(sub(at, one))), large);
}
/** π cot πx. With u the distance from the nearest whole number, g(u²) = πu cot πu (Chebyshev series to 2⁻⁵⁹ for u ≤ ¼) gives it as g/u;
 *  with the distance from the nearest half as π tan πu = π²u/g. Both distances are exact. */
function piCotPi(x: Expr): Expr {
  const f = fromNearest(x);
  const a = abs(f);
  const steep = lt(a, 0.25);
  const u = select(steep, a, sub(half, a));
  const z = square(u);
  const g = sub(
    one,
    mul(
      z,
      polynomial(
        z,
        [
          3.289868133696453, 2.164646467422292, 2.03468612396084, 2.008154714041266,
          2.0019889799437163, 2.0005022743772565, 1.9997590854471101, 2.0080732280868983,
          1.8937276859767056, 2.7545039873927943,
        ],
      ),
    ),
  );
  const y = div(select(steep, g, mul(c(Math.PI ** 2), u)), select(steep, u, g));
  return select(lt(f, 0), neg(y), y);
}
function digamma64(x: Expr): Expr {
  const a = abs(x);
  const inverse = div(one, a);
  // ψ(a) for a ≥ 1, else ψ(1 + a) = ψ(a) + 1/a: no digit of a is lost
  const small = lt(a, 1);
  const positive = cond(small, digammaAboveOne(a), digammaFromOne(a));
  // ψ(x) = ψ(1 − x) − π cot πx, 1 − x = 1 + a
  const reflected = sub(select(small, positive, add(positive, inverse)), piCotPi(x));
  return cases(
    [
      [and(atMost(x, 0), isInteger(x)), nan],
      [lt(x, 0), reflected],
      [compare("eq", x, infinity), infinity],
    ],
    select(small, sub(positive, inverse), positive),
  );
}
/** ψ(x) = d/dx log Γ(x); NaN at 0, −1, −2, … */
export const digamma = (x: Expr): Expr => wide(x.dtype === "float64" ? digamma64 : roughDigamma)(x);

// ---- Hurwitz zeta, polygamma ----

/** There are so many powers here that they would be too much code, written out. */
const power = (x: Expr, y: Expr): Expr => binary("hostPow", x, y);

const headTerms = 12;

const factorialOf = (n: number): number => (n < 2 ? 1 : n * factorialOf(n - 1));

/** Σ_{k ≥ 0} (q + k)⁻ˢ for s > 1, q > 0: twelve terms and Euler–Maclaurin's estimate of the rest */
function zetaPositive(s: Expr, q: Expr): Expr {
  const minusS = neg(s);
  const a = add(q, c(headTerms));
  const last = power(a, minusS);
  const z = div(one, square(a));
  // Σ B₂ⱼ/(2j)! · s(s + 1)…(s + 2j − 2) · a^(−s − 2j + 1)
  let factor = div(mul(s, last), a);
  const corrections: Expr[] = [];
  bernoulliOver(factorialOf).forEach((b, j) => {
    corrections.push(mul(c(b), factor));
    factor = product(factor, add(s, c(2 * j + 1)), add(s, c(2 * j + 2)), z);
  });
  const rest = sum(div(mul(a, last), sub(s, one)), mul(half, last), ...corrections);
  // smallest terms first
  const head = Array.from({ length: headTerms }, (_, k) =>
    power(add(q, c(headTerms - 1 - k)), minusS),
  );
  return sum(rest, ...head);
}

function zeta64(s: Expr, q: Expr): Expr {
  // for an integer s the sum over all integers is the sum to the right of q's fraction and the sum to its left,
  // and what lies left of q is a zeta function at 1 − q
  const right = sub(q, floor(q));
  const left = sub(unary("ceil", q), q);
  const even = compare("eq", sub(s, mul(c(2), floor(mul(half, s)))), c(0));
  const others = sub(zetaPositive(s, left), zetaPositive(s, sub(one, q)));
  return cases(
    [
      [compare("eq", s, one), infinity],
      [lt(s, 1), nan],
      [compare("gt", q, c(0)), zetaPositive(s, q)],
      [isInteger(q), select(even, infinity, nan)],
      [isInteger(s), add(zetaPositive(s, right), select(even, others, neg(others)))],
    ],
    nan,
  );
}
/** ζ(s, q) = Σ_{k ≥ 0} (q + k)⁻ˢ, s > 1; q < 0 needs a whole s. At q = 0, −1, … +∞ for even s, else NaN. */
export const zeta = wide(zeta64);

/** ψ⁽ᵐ⁾(x) = (−1)^(m+1) m! ζ(m + 1, x) for whole m ≥ 1, ψ for m = 0 */
export const polygamma = wide((m: Expr, x: Expr) => {
  const s = add(m, one);
  // products up to 22! are exact
  const factorial = cond(
    atMost(m, 22),
    Array.from({ length: 21 }, (_, k) => k + 2).reduce<Expr>(
      (p, k) => select(compare("ge", m, c(k)), mul(p, c(k)), p),
      one,
    ),
    exp(lgamma64(s)),
  );
  const magnitude = mul(factorial, zeta64(s, x));
  const odd = compare("ne", sub(m, mul(c(2), floor(mul(half, m)))), c(0));
  return cases(
    [
      [compare("eq", m, c(0)), digamma64(x)],
      [and(compare("gt", m, c(0)), isInteger(m)), select(odd, magnitude, neg(magnitude))],
    ],
    nan,
  );
});
