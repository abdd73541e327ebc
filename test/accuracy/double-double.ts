/** Numbers of about 104 bits as unevaluated sums hi + lo of two float64 with |lo| ≤ ½ ulp(hi).
 *  @source T. J. Dekker 1971, A floating-point technique for extending the available precision, Numer. Math. 18, 224–242 */
export interface DD {
  readonly hi: number;
  readonly lo: number;
}
export const dd = (hi: number, lo = 0): DD => ({ hi, lo });
export const one = dd(1);

/** a + b without error, |a| ≥ |b| */
function quickSum(a: number, b: number): DD {
  const hi = a + b;
  return { hi, lo: b - (hi - a) };
}
/** a + b without error */
export function twoSum(a: number, b: number): DD {
  const hi = a + b;
  const bb = hi - a;
  return { hi, lo: a - (hi - bb) + (b - bb) };
}
const splitter = 2 ** 27 + 1;
/** a·b without error; |a|, |b| < 2⁹⁹⁶, and no underflow */
export function twoProduct(a: number, b: number): DD {
  const hi = a * b;
  const ta = splitter * a;
  const ah = ta - (ta - a);
  const al = a - ah;
  const tb = splitter * b;
  const bh = tb - (tb - b);
  const bl = b - bh;
  return { hi, lo: al * bl - (hi - ah * bh - al * bh - ah * bl) };
}

export const neg = (a: DD): DD => ({ hi: -a.hi, lo: -a.lo });
export const abs = (a: DD): DD => (a.hi < 0 ? neg(a) : a);
export function add(a: DD, b: DD): DD {
  const s = twoSum(a.hi, b.hi);
  const t = twoSum(a.lo, b.lo);
  const v = quickSum(s.hi, s.lo + t.hi);
  return quickSum(v.hi, v.lo + t.lo);
}
export const sub = (a: DD, b: DD): DD => add(a, neg(b));
export function plus(a: DD, b: number): DD {
  const s = twoSum(a.hi, b);
  return quickSum(s.hi, s.lo + a.lo);
}
export function mul(a: DD, b: DD): DD {
  const p = twoProduct(a.hi, b.hi);
  return quickSum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}
export function times(a: DD, b: number): DD {
  const p = twoProduct(a.hi, b);
  return quickSum(p.hi, p.lo + a.lo * b);
}
/** a·2ⁿ where nothing overflows or underflows */
export function scale(a: DD, n: number): DD {
  const s = 2 ** n;
  return { hi: a.hi * s, lo: a.lo * s };
}
export function div(a: DD, b: DD): DD {
  const q1 = a.hi / b.hi;
  const r1 = sub(a, times(b, q1));
  const q2 = r1.hi / b.hi;
  const r2 = sub(r1, times(b, q2));
  const q = quickSum(q1, q2);
  return plus(q, r2.hi / b.hi);
}
export function sqrt(a: DD): DD {
  if (a.hi === 0) return a;
  const s = Math.sqrt(a.hi);
  const rest = sub(a, twoProduct(s, s));
  return quickSum(s, rest.hi / (2 * s));
}
/** p/q of whole numbers */
export const fraction = (p: number, q: number): DD => div(dd(p), dd(q));
/** c₀ + c₁x + c₂x² + … */
export const polynomial = (x: DD, coefficients: readonly DD[]): DD =>
  coefficients.reduceRight((sum, c) => add(mul(sum, x), c));

// ---- a double-double times a power of 2 that float64 need not have ----

/** (hi + lo)·2^exp */
export interface Exact extends DD {
  readonly exp: number;
}
export const exact = ({ hi, lo }: DD, exp = 0): Exact => ({ hi, lo, exp });

const view = new DataView(new ArrayBuffer(8));
/** e with 2^e ≤ |x| < 2^(e + 1), for a finite x ≠ 0 */
export function exponentOf(x: number): number {
  view.setFloat64(0, x);
  const e = (view.getUint16(0) >>> 4) & 0x7ff;
  return e > 0 ? e - 1023 : exponentOf(x * 2 ** 60) - 60;
}
/** x·2ⁿ, in steps where 2ⁿ is beyond float64 */
export function ldexp(x: number, n: number): number {
  if (n > 1000) return ldexp(x * 2 ** 1000, n - 1000);
  if (n < -1000) return ldexp(x * 2 ** -1000, n + 1000);
  return x * 2 ** n;
}
/** x as m·2^e with 1 ≤ |m| < 2 */
export function frexp(x: number): readonly [m: number, e: number] {
  const e = exponentOf(x);
  return [ldexp(x, -e), e];
}
