/** Special functions to the precision of float32, without ranges that some elements are in and others not: all of a vector takes
 *  the same steps. Coefficients are minimax, found by Lawson's iteration, where no series is named. */
import {
  add,
  and,
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
import { bernoulliOver } from "./float64.ts";
import { abs, atMost, like, inSquares, lt, pairwise, withSign } from "./elementary/arithmetic.ts";

/** erf x of a float32: x + x·p(x²) below 0.9, else 1 − e^(−q(|x|)) */
export function shortErf(x: Expr): Expr {
  const a = atMost(abs(x), 4);
  const z = mul(a, a);
  const p = pairwise(
    z,
    mul(z, z),
    [0.12837915, -0.37612525, 0.11282141, -0.026778916, 0.0050119716, -0.00060903985],
  );
  const q = pairwise(
    a,
    z,
    [0.00016644778, 1.1277972, 0.63697606, 0.104113676, -0.022315213, 0.0030654902, -0.00019821966],
  );
  const far = sub(like(x, 1), unary("exp", neg(q)));
  return select(lt(a, 0.9), add(x, mul(x, p)), withSign(far, x));
}

/** erfc x of a float64 to 28 bits: e^(−a²)·t·p(t), t = 1/(1 + 0.33a), for a = |x| */
export function roughErfc(x: Expr): Expr {
  const a = atMost(abs(x), 11);
  const t = div(like(x, 1), add(mul(a, like(x, 0.33)), like(x, 1)));
  const p = polynomial(
    t,
    [
      0.1861462859, 0.1869883757, 0.1682156183, 0.1995272235, -0.02839976413, 0.4577930345,
      -0.5079727609, 0.5882023974, -0.3068864605, 0.05638604692,
    ],
  );
  const y = mul(unary("exp", neg(mul(a, a))), mul(t, p));
  return select(lt(x, 0), sub(like(x, 2), y), y);
}

/** for w up to that of the largest float32 below 1 */
const shortTail: readonly number[] = [
  2.8329768015, 1.0016752366, 0.0094453028949, -0.0076427637512, 0.0056877001081, -0.0035670925413,
  0.0014751096649, -0.0001200444999, -0.00027749196465, 0.00016055429359, -2.9516419486e-5,
];
/** y with erf y = x of a float64 x, to 28 bits: x·p(w), w = −log(1 − x²), and from 5 on x·q(√w)
 *  @source the variable: M. Giles 2010, Approximating the erfinv function */
export function roughErfInv(x: Expr, tailCoefficients = shortTail): Expr {
  const one = like(x, 1);
  const w = neg(unary("log", mul(sub(one, x), add(one, x))));
  const central = sub(w, like(x, 2.5));
  const tail = sub(unary("sqrt", w), like(x, 3));
  const p = inSquares(
    central,
    [
      1.5014093535, 0.24664028765, -0.0041773393391, -0.0012527446893, 0.00021828256604,
      -4.961896887e-6, -3.4345881051e-6, 4.6588915775e-7, 1.8033573755e-8, -8.772631254e-9,
      3.3574149482e-10,
    ],
  );
  const q = inSquares(tail, tailCoefficients);
  const end = compare("eq", abs(x), one);
  return mul(x, select(end, like(x, Number.POSITIVE_INFINITY), select(lt(w, 5), p, q)));
}

/** B₂ₖ/2k, k = 1, 2, … 7 */
export const digammaSeries = bernoulliOver((n) => n).slice(0, 7);
/** ψ(x) of a float64 x, as good as float32 needs it, also beside the zeros: log z − 1/2z − Σ B₂ₖ/(2k z²ᵏ), z = x + 8 and less
 *  1/x + … + 1/(x + 7), as one fraction, for x < 8. */
export function roughDigamma(x: Expr): Expr {
  const one = like(x, 1);
  const negative = lt(x, 0);
  // ψ(x) = ψ(1 − x) − π/tan πx
  const y = select(negative, sub(one, x), x);
  const small = lt(y, 8);
  let [over, under] = [one, y];
  for (let k = 1; k < 8; k++) {
    const factor = add(y, like(x, k));
    over = add(mul(over, factor), under);
    under = mul(under, factor);
  }
  const shift = select(small, div(over, under), like(x, 0));
  const z = select(small, add(y, like(x, 8)), y);
  const r = div(one, z);
  const w = mul(r, r);
  const series = mul(w, polynomial(w, digammaSeries));
  const positive = sub(sub(unary("log", z), add(mul(r, like(x, 0.5)), series)), shift);
  const nearest = unary("round", x);
  const angle = mul(like(x, Math.PI), sub(x, nearest));
  const pole = and(compare("le", x, like(x, 0)), compare("eq", x, nearest));
  return cond(
    pole,
    like(x, Number.NaN),
    cond(negative, sub(positive, div(like(x, Math.PI), unary("tan", angle))), positive),
  );
}
