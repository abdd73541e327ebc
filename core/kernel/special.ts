/** Special functions as scalar expressions: one definition for every backend and every float dtype.
 *
 *  Each is computed in float64 and rounded once to the dtype of its argument. Ranges are chosen by `cond`, so
 *  that an element pays for its own range only. Coefficients are the published ones named beside them. */
import {
  add,
  and,
  cast,
  compare,
  cond,
  div,
  type Expr,
  lit,
  mul,
  neg,
  or,
  polynomial,
  select,
  sub,
  unary,
  binary,
} from "./expr.ts";

// ---- a few words, so that formulas read like formulas; everything here is float64 ----

const c = (value: number): Expr => lit(value, "float64");
const one = c(1);
const half = c(0.5);
const nan = c(Number.NaN);
const infinity = c(Number.POSITIVE_INFINITY);
const sum = (first: Expr, ...rest: readonly Expr[]): Expr => rest.reduce(add, first);
const product = (first: Expr, ...rest: readonly Expr[]): Expr => rest.reduce(mul, first);
const square = (x: Expr): Expr => mul(x, x);
const abs = (x: Expr): Expr => unary("abs", x);
const exp = (x: Expr): Expr => unary("exp", x);
const log = (x: Expr): Expr => unary("log", x);
const sin = (x: Expr): Expr => unary("sin", x);
const floor = (x: Expr): Expr => unary("floor", x);
const below = (x: Expr, bound: number): Expr => compare("lt", x, c(bound));
const atMost = (x: Expr, bound: number): Expr => compare("le", x, c(bound));
const isInteger = (x: Expr): Expr => compare("eq", x, floor(x));
const ratio = (x: Expr, p: readonly number[], q: readonly number[]): Expr =>
  div(polynomial(x, p), polynomial(x, q));
/** The first value whose test holds, else the last; only that one is evaluated. */
const cases = (rows: readonly (readonly [Expr, Expr])[], otherwise: Expr): Expr =>
  rows.reduceRight((rest, [test, value]) => cond(test, value, rest), otherwise);

/** f in float64, rounded once to the dtype of its (first) argument. */
const wide =
  (f: (...x: Expr[]) => Expr) =>
  (...x: readonly Expr[]): Expr =>
    cast(f(...x.map((e) => cast(e, "float64"))), (x[0] as Expr).dtype);

// ---- logistic, rsqrt ----

/** 1/(1 + e⁻ˣ), without overflow: with t = e^−|x|, it is 1/(1 + t) or t/(1 + t). */
export const logistic = wide((x) => {
  const t = exp(neg(abs(x as Expr)));
  return div(select(below(x as Expr, 0), t, one), add(one, t));
});

/** 1/√x; +∞ at +0, −∞ at −0 */
export const rsqrt = wide((x) => div(one, unary("sqrt", x as Expr)));

// ---- erf, erfc ----
// Rational approximations of W. J. Cody's kind by Sun Microsystems (1993), FreeBSD msun, s_erf.c.

/** (erf(x) − x)/x as a function of x², |x| < 0.84375 */
const erfSmall = (z: Expr): Expr =>
  ratio(
    z,
    [
      1.28379167095512558561e-1, -3.25042107247001499370e-1, -2.84817495755985104766e-2,
      -5.77027029648944159157e-3, -2.37630166566501626084e-5,
    ],
    [
      1, 3.97917223959155352819e-1, 6.50222499887672944485e-2, 5.08130628187576562776e-3,
      1.32494738004321644526e-4, -3.96022827877536812320e-6,
    ],
  );
/** erf(1), to 24 bits */
const erfOne = 8.45062911510467529297e-1;
/** erf(1 + s) − erfOne, 0.84375 ≤ 1 + s < 1.25 */
const erfNearOne = (s: Expr): Expr =>
  ratio(
    s,
    [
      -2.36211856075265944077e-3, 4.14856118683748331666e-1, -3.72207876035701323847e-1,
      3.18346619901161753674e-1, -1.10894694282396677476e-1, 3.54783043256182359371e-2,
      -2.16637559486879084300e-3,
    ],
    [
      1, 1.06420880400844228286e-1, 5.40397917702171048937e-1, 7.18286544141962662868e-2,
      1.26171219808761642112e-1, 1.36370839120290507362e-2, 1.19844998467991074170e-2,
    ],
  );
/** erfc(a), 1.25 ≤ a < 28, as exp(−a² − 0.5625 + R(1/a²))/a */
function erfcTail(a: Expr): Expr {
  const s = div(one, square(a));
  const r = cond(
    below(a, 1 / 0.35),
    ratio(
      s,
      [
        -9.86494403484714822705e-3, -6.93858572707181764372e-1, -1.05586262253232909814e1,
        -6.23753324503260060396e1, -1.62396669462573470355e2, -1.84605092906711035994e2,
        -8.12874355063065934246e1, -9.81432934416914548592,
      ],
      [
        1, 1.96512716674392571292e1, 1.37657754143519042600e2, 4.34565877475229228821e2,
        6.45387271733267880336e2, 4.29008140027567833386e2, 1.08635005541779435134e2,
        6.57024977031928170135, -6.04244152148580987438e-2,
      ],
    ),
    ratio(
      s,
      [
        -9.86494292470009928597e-3, -7.99283237680523006574e-1, -1.77579549177547519889e1,
        -1.60636384855821916062e2, -6.37566443368389627722e2, -1.02509513161107724954e3,
        -4.83519191608651397019e2,
      ],
      [
        1, 3.03380607434824582924e1, 3.25792512996573918826e2, 1.53672958608443695994e3,
        3.19985821950859553908e3, 2.55305040643316442583e3, 4.74528541206955367215e2,
        -2.24409524465858183362e1,
      ],
    ),
  );
  // with h = a to 24 bits h² is exact: −a² = −h² + (h − a)(h + a)
  const h = cast(cast(a, "float32"), "float64");
  const e = mul(
    exp(sub(neg(square(h)), c(0.5625))),
    exp(add(mul(sub(h, a), add(h, a)), r)),
  );
  return div(e, a);
}

const withSign = (x: Expr, y: Expr): Expr => select(below(x, 0), neg(y), y);

function erf64(x: Expr): Expr {
  const a = abs(x);
  return cases(
    [
      // written so that NaN falls through to the end and x = ±0 keeps its sign
      [below(a, 0.84375), add(x, mul(x, erfSmall(square(x))))],
      [below(a, 1.25), withSign(x, add(c(erfOne), erfNearOne(sub(a, one))))],
      [below(a, 6), withSign(x, sub(one, erfcTail(a)))],
    ],
    cond(compare("ne", x, x), x, withSign(x, one)),
  );
}
/** 2/√π · ∫₀ˣ e^(−t²) dt */
export const erf = wide((x) => erf64(x as Expr));

function erfc64(x: Expr): Expr {
  const a = abs(x);
  const negative = below(x, 0);
  const small = mul(x, erfSmall(square(x)));
  const nearOne = erfNearOne(sub(a, one));
  const tail = erfcTail(a);
  return cases(
    [
      [below(a, 2 ** -56), sub(one, x)],
      [
        below(a, 0.84375),
        select(
          below(x, 0.25),
          sub(one, add(x, small)),
          sub(half, add(small, sub(x, half))),
        ),
      ],
      [
        below(a, 1.25),
        select(
          negative,
          add(one, add(c(erfOne), nearOne)),
          sub(c(1 - erfOne), nearOne),
        ),
      ],
      [below(a, 28), select(negative, sub(c(2), tail), tail)],
    ],
    cond(compare("ne", x, x), x, select(negative, c(2), c(0))),
  );
}
/** 1 − erf(x), accurate where erf is close to 1 */
export const erfc = wide((x) => erfc64(x as Expr));

// ---- inverse of erf ----

/** y with erf(y) = x: Φ⁻¹((1 + x)/2)/√2.
 *  Wichura 1988, Algorithm AS 241 (PPND16), Applied Statistics 37, 477–484. */
const linear = 1e-9; // below, the next term of the series is less than half an ulp
function wichura(x: Expr): Expr {
  const a = abs(x);
  const q = mul(half, x);
  const central = mul(
    q,
    ratio(
      sub(c(0.180625), square(q)),
      [
        3.387132872796366608, 1.3314166789178437745e2, 1.9715909503065514427e3,
        1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
        3.3430575583588128105e4, 2.5090809287301226727e3,
      ],
      [
        1, 4.2313330701600911252e1, 6.871870074920579083e2, 5.3941960214247511077e3,
        2.1213794301586595867e4, 3.930789580009271061e4, 2.8729085735721942674e4,
        5.226495278852854561e3,
      ],
    ),
  );
  // 1 − a is exact for a ≥ ½
  const r = unary("sqrt", neg(log(mul(half, sub(one, a)))));
  const tail = cond(
    atMost(r, 5),
    ratio(
      sub(r, c(1.6)),
      [
        1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055,
        3.64784832476320460504, 1.27045825245236838258, 2.4178072517745061177e-1,
        2.27238449892691845833e-2, 7.7454501427834140764e-4,
      ],
      [
        1, 2.05319162663775882187, 1.6763848301838038494, 6.8976733498510000455e-1,
        1.4810397642748007459e-1, 1.51986665636164571966e-2, 5.475938084995344946e-4,
        1.05075007164441684324e-9,
      ],
    ),
    ratio(
      sub(r, c(5)),
      [
        6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358,
        2.9656057182850489123e-1, 2.6532189526576123093e-2, 1.2426609473880784386e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7,
      ],
      [
        1, 5.9983220655588793769e-1, 1.3692988092273580531e-1, 1.48753612908506148525e-2,
        7.868691311456132591e-4, 1.8463183175100546818e-5, 1.4215117583164458887e-7,
        2.04426310338993978564e-15,
      ],
    ),
  );
  return cases(
    [
      [below(a, linear), mul(x, c(Math.sqrt(Math.PI) / 2))],
      [atMost(a, 0.85), mul(central, c(Math.SQRT1_2))],
      [below(a, 1), withSign(x, mul(tail, c(Math.SQRT1_2)))],
      [compare("eq", a, one), withSign(x, infinity)],
    ],
    nan,
  );
}

/** y with erf(y) = x; ±∞ at ±1, NaN beyond */
export function erfInv(x: Expr): Expr {
  const y = wichura(cast(x, "float64"));
  if (x.dtype !== "float64") return cast(y, x.dtype);
  // AS 241 is good to 5 ulp; a step of Newton's method on erf, or on erfc in the tail, brings it to 2
  const a = abs(x);
  const b = abs(y);
  const excess = cond(atMost(a, 0.85), sub(erf64(b), a), sub(sub(one, a), erfc64(b)));
  const step = product(excess, c(Math.sqrt(Math.PI) / 2), exp(square(b)));
  return cond(
    and(below(a, 1), compare("ge", a, c(linear))),
    withSign(x, sub(b, step)),
    y,
  );
}

// ---- lgamma ----
// Sun Microsystems (1993), FreeBSD msun, e_lgamma_r.c: polynomials about the minimum and the two zeros,
// a rational function on [2, 3] with the recurrence up to 8, Stirling's series beyond.

/** lgamma(2 − y) + y/2 */
const lgammaBelowTwo = (y: Expr): Expr => {
  const z = square(y);
  const odd = polynomial(z, [
    7.72156649015328655494e-2, 6.73523010531292681824e-2, 7.38555086081402883957e-3,
    1.19270763183362067845e-3, 2.20862790713908385557e-4, 2.52144565451257326939e-5,
  ]);
  const even = polynomial(z, [
    3.22467033424113591611e-1, 2.05808084325167332806e-2, 2.89051383673415629091e-3,
    5.10069792153511336608e-4, 1.08011567247583939954e-4, 4.48640949618915160150e-5,
  ]);
  return add(mul(y, odd), mul(z, even));
};
const lgammaMinimumAt = 1.46163214496836224576;
/** lgamma(lgammaMinimumAt + y) */
const lgammaNearMinimum = (y: Expr): Expr => {
  const z = square(y);
  const w = mul(z, y);
  const p1 = polynomial(w, [
    4.83836122723810047042e-1, -3.27885410759859649565e-2, 6.10053870246291332635e-3,
    -1.40346469989232843813e-3, 3.15632070903625950361e-4,
  ]);
  const p2 = polynomial(w, [
    -1.47587722994593911752e-1, 1.79706750811820387126e-2, -3.68452016781138256760e-3,
    8.81081882437654011382e-4, -3.12754168375120860518e-4,
  ]);
  const p3 = polynomial(w, [
    6.46249402391333854778e-2, -1.03142241298341437450e-2, 2.25964780900612472250e-3,
    -5.38595305356740546715e-4, 3.35529192635519073543e-4,
  ]);
  // the minimum is −0.1214… − (a tail)
  const tail = sub(c(-3.63867699703950536541e-18), mul(w, add(p2, mul(y, p3))));
  return add(c(-1.21486290535849611461e-1), sub(mul(z, p1), tail));
};
/** lgamma(1 + y) + y/2 */
const lgammaAboveOne = (y: Expr): Expr =>
  mul(
    y,
    ratio(
      y,
      [
        -7.72156649015328655494e-2, 6.32827064025093366517e-1, 1.45492250137234768737,
        9.77717527963372745603e-1, 2.28963728064692451092e-1, 1.33810918536787660377e-2,
      ],
      [
        1, 2.45597793713041134822, 2.12848976379893395361, 7.69285150456672783825e-1,
        1.04222645593369134254e-1, 3.21709242282423911810e-3,
      ],
    ),
  );
/** lgamma(2 + y) − y/2, 0 ≤ y ≤ 1 */
const lgammaAboveTwo = (y: Expr): Expr =>
  mul(
    y,
    ratio(
      y,
      [
        -7.72156649015328655494e-2, 2.14982415960608852501e-1, 3.25778796408930981787e-1,
        1.46350472652464452805e-1, 2.66422703033638609560e-2, 1.84028451407337715652e-3,
        3.19475326584100867617e-5,
      ],
      [
        1, 1.39200533467621045958, 7.21935547567138069525e-1, 1.71933865632803078993e-1,
        1.86459191715652901344e-2, 7.77942496381893596434e-4, 7.32668430744625636189e-6,
      ],
    ),
  );

/** log Γ(x) for x > 0 */
function lgammaPositive(x: Expr): Expr {
  // [0, 2]: from one of three centres; below 0.9 by Γ(x) = Γ(x + 1)/x
  const shift = atMost(x, 0.9);
  const t = select(shift, add(x, one), x);
  const y0 = select(shift, sub(one, x), sub(c(2), x));
  const y1 = sub(x, select(shift, c(lgammaMinimumAt - 1), c(lgammaMinimumAt)));
  const y2 = select(shift, x, sub(x, one));
  const reduced = cases(
    [
      [compare("ge", t, c(1.7316)), sub(lgammaBelowTwo(y0), mul(half, y0))],
      [compare("ge", t, c(1.2316)), lgammaNearMinimum(y1)],
    ],
    sub(lgammaAboveOne(y2), mul(half, y2)),
  );
  const upToTwo = cond(shift, add(neg(log(x)), reduced), reduced);
  // [2, 8): Γ(x) = (x − 1)(x − 2) … (2 + y) Γ(2 + y), y = x − ⌊x⌋
  const y = sub(x, floor(x));
  const base = add(mul(half, y), lgammaAboveTwo(y));
  const factors = [3, 4, 5, 6, 7].reduce<Expr>(
    (p, k) => select(compare("ge", x, c(k)), mul(p, add(y, c(k - 1))), p),
    one,
  );
  const upToEight = add(base, log(factors));
  // Stirling
  const z = div(one, x);
  const w = add(
    c(4.18938533204672725052e-1),
    mul(
      z,
      polynomial(square(z), [
        8.33333333333329678849e-2, -2.77777777728775536470e-3, 7.93650558643019558500e-4,
        -5.95187557450339963135e-4, 8.36339918996282139126e-4, -1.63092934096575273989e-3,
      ]),
    ),
  );
  const logx = log(x);
  return cases(
    [
      [or(compare("eq", x, one), compare("eq", x, c(2))), c(0)],
      [below(x, 2), upToTwo],
      [below(x, 8), upToEight],
      [below(x, 2 ** 58), add(mul(sub(x, half), sub(logx, one)), w)],
    ],
    mul(x, sub(logx, one)),
  );
}

/** x − (the nearest integer): π·this has the sine and tangent of πx up to sign */
const fromNearest = (x: Expr): Expr => sub(x, unary("round", x));

function lgamma64(x: Expr): Expr {
  const a = abs(x);
  const positive = lgammaPositive(a);
  // Γ(x) Γ(−x) = −π/(x sin πx)
  const sine = abs(sin(mul(c(Math.PI), fromNearest(x))));
  return cases(
    [
      [compare("ne", x, x), x],
      [compare("eq", a, infinity), infinity],
      [below(a, 2 ** -70), neg(log(a))],
      [and(atMost(x, 0), isInteger(x)), infinity],
      [below(x, 0), sub(log(div(c(Math.PI), mul(sine, a))), positive)],
    ],
    positive,
  );
}
/** log |Γ(x)|; +∞ at the poles */
export const lgamma = wide((x) => lgamma64(x as Expr));

// ---- digamma ----

/** ψ(x) for 1 ≤ x ≤ 2 as (x − root)(Y + R(x − 1)), the root in three pieces.
 *  Maddock 2006, Boost.Math, digamma.hpp. */
function digammaNearRoot(x: Expr): Expr {
  const g = [
    1569415565 / 2 ** 30,
    381566830 / 2 ** 60,
    0.9016312093258695918615325266959189453125e-19,
  ].reduce<Expr>((acc, part) => sub(acc, c(part)), x);
  const r = ratio(
    sub(x, one),
    [
      0.25479851061131551, -0.32555031186804491, -0.65031853770896507, -0.28919126444774784,
      -0.045251321448739056, -0.0020713321167745952,
    ],
    [
      1, 2.0767117023730469, 1.4606242909763515, 0.43593529692665969, 0.054151797245674225,
      0.0021284987017821144, -0.55789841321675513e-6,
    ],
  );
  return mul(g, add(c(Math.fround(0.99558162689208984)), r));
}
/** ψ(x) for x > 0 */
function digammaPositive(x: Expr): Expr {
  // log x − 1/2x − Σ B₂ₖ/(2k x²ᵏ)
  const z = div(one, square(x));
  const series = mul(
    z,
    polynomial(z, [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12]),
  );
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
  return cases(
    [
      [below(x, 1), sub(digammaNearRoot(add(x, one)), div(one, x))],
      [atMost(x, 2), digammaNearRoot(x)],
      [below(x, 10), add(steps, digammaNearRoot(at))],
    ],
    large,
  );
}
function digamma64(x: Expr): Expr {
  const angle = mul(c(Math.PI), fromNearest(x));
  // ψ(x) = ψ(1 − x) − π/tan πx; 1 − x is the argument of one evaluation for both signs
  const negative = below(x, 0);
  const positive = digammaPositive(select(negative, sub(one, x), x));
  return cases(
    [
      [and(atMost(x, 0), isInteger(x)), nan],
      [negative, sub(positive, div(c(Math.PI), unary("tan", angle)))],
      [compare("eq", x, infinity), infinity],
    ],
    positive,
  );
}
/** ψ(x) = d/dx log Γ(x); NaN at 0, −1, −2, … */
export const digamma = wide((x) => digamma64(x as Expr));

// ---- Hurwitz zeta, polygamma ----

const power = (x: Expr, y: Expr): Expr => binary("pow", x, y);

/** B₂ⱼ/(2j)!, j = 1, 2, … */
const eulerMaclaurin = [
  1 / 12,
  -1 / 720,
  1 / 30240,
  -1 / 1209600,
  1 / 47900160,
  -691 / 1307674368000,
  1 / 74724249600,
  -3617 / 10670622842880000,
  43867 / 5109094217170944000,
  -174611 / 802857662698291200000,
];
const headTerms = 12;

/** Σ_{k ≥ 0} (q + k)⁻ˢ for s > 1, q > 0: twelve terms and Euler–Maclaurin's estimate of the rest */
function zetaPositive(s: Expr, q: Expr): Expr {
  const minusS = neg(s);
  const a = add(q, c(headTerms));
  const last = power(a, minusS);
  const z = div(one, square(a));
  // Σ B₂ⱼ/(2j)! · s(s + 1)…(s + 2j − 2) · a^(−s − 2j + 1)
  let factor = div(mul(s, last), a);
  const corrections: Expr[] = [];
  eulerMaclaurin.forEach((b, j) => {
    corrections.push(mul(c(b), factor));
    factor = product(factor, add(s, c(2 * j + 1)), add(s, c(2 * j + 2)), z);
  });
  const rest = sum(
    div(mul(a, last), sub(s, one)),
    mul(half, last),
    ...corrections,
  );
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
      [below(s, 1), nan],
      [compare("gt", q, c(0)), zetaPositive(s, q)],
      [isInteger(q), select(even, infinity, nan)],
      [isInteger(s), add(zetaPositive(s, right), select(even, others, neg(others)))],
    ],
    nan,
  );
}
/** ζ(s, q) = Σ_{k ≥ 0} (q + k)⁻ˢ, s > 1; q < 0 needs a whole s. At q = 0, −1, … +∞ for even s, else NaN. */
export const zeta = wide((s, q) => zeta64(s as Expr, q as Expr));

/** ψ⁽ᵐ⁾(x) = (−1)^(m+1) m! ζ(m + 1, x) for whole m ≥ 1, ψ for m = 0 */
export const polygamma = wide((order, at) => {
  const [m, x] = [order as Expr, at as Expr];
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
