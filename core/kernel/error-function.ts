/** The error functions to the precision of float32, without ranges that some elements are in and others not: all of a vector takes
 *  the same steps. Coefficients are minimax, found by Lawson's iteration. */
import { add, div, mul, neg, polynomial, select, sub, unary, type Expr } from "./expr.ts";
import { abs, atMost, like, lt, pairwise, withSign } from "./elementary/arithmetic.ts";

/** erf x of a float32: x + x·p(x²) below 0.9, else 1 − e^(−q(|x|)) */
export function shortErf(x: Expr): Expr {
  const a = atMost(abs(x), 4);
  const z = mul(a, a);
  const p = pairwise(
    z,
    mul(z, z),
    [0.1283791512, -0.3761252463, 0.1128214076, -0.026778915897, 0.00501197157, -0.000609039852],
  );
  const q = pairwise(
    a,
    z,
    [
      0.000166447775, 1.1277972453, 0.6369760633, 0.10411367565, -0.022315213457, 0.003065490164,
      -0.00019821965543,
    ],
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
