/** Affine forms of index expressions: c + Σ cᵢ·aᵢ with integer coefficients over atoms. An atom is a
 *  variable, or an int32 expression that is not affine itself. Index arithmetic is taken not to overflow. */
import { add, div, type Expr, int, type KVar, mul } from "../kernel/expr.ts";
import { entry, numbering } from "../maps.ts";

export interface Affine<Atom extends Expr = Expr> {
  readonly constant: number;
  /** nonzero coefficients */
  readonly terms: ReadonlyMap<Atom, number>;
}

const constantForm = (constant: number): Affine => ({ constant, terms: new Map() });
const atomForm = (atom: Expr): Affine => ({ constant: 0, terms: new Map([[atom, 1]]) });

/** a + k·b */
function combine(a: Affine, b: Affine, k: number): Affine {
  const terms = new Map(a.terms);
  for (const [atom, c] of b.terms) {
    const sum = (terms.get(atom) ?? 0) + k * c;
    if (sum === 0) terms.delete(atom);
    else terms.set(atom, sum);
  }
  return { constant: a.constant + k * b.constant, terms };
}
const scale = (a: Affine, k: number): Affine => combine(constantForm(0), a, k);

/** Affine forms of the expressions of one kernel. Quotients by a constant are kept as atoms, one for each
 *  distinct quotient, and x rem n is x − n·(x div n): the divisions that split a position into a multi-index
 *  cancel where the multi-index is put together again. */
export class AffineForms {
  readonly #memo = new Map<Expr, Affine>();
  readonly #number = numbering<Expr>();
  readonly #quotients = new Map<string, Expr>();
  readonly #quotientOf = new Map<Expr, { readonly x: Affine; readonly by: number }>();

  /** The form of an int32 expression. */
  of(e: Expr): Affine {
    return entry(this.#memo, e, () => this.#derive(e));
  }

  /** Equal for equal forms only. */
  key(form: Affine): string {
    const terms = [...form.terms].map(([atom, c]) => [this.#number(atom), c] as const);
    terms.sort(([a], [b]) => a - b);
    return [form.constant, ...terms.map(([n, c]) => `${c}a${n}`)].join("+");
  }

  #derive(e: Expr): Affine {
    if (e.kind === "lit") return constantForm(e.value);
    if (e.kind === "unary" && e.op === "neg") return scale(this.of(e.x), -1);
    if (e.kind !== "binary") return atomForm(e);
    switch (e.op) {
      case "add":
        return combine(this.of(e.x), this.of(e.y), 1);
      case "sub":
        return combine(this.of(e.x), this.of(e.y), -1);
      case "mul": {
        const x = this.of(e.x);
        const y = this.of(e.y);
        if (y.terms.size === 0) return scale(x, y.constant);
        return x.terms.size === 0 ? scale(y, x.constant) : atomForm(e);
      }
      case "div":
      case "rem": {
        const by = this.of(e.y);
        if (by.terms.size > 0 || by.constant <= 0) return atomForm(e);
        const x = this.of(e.x);
        const quotient = this.#quotient(x, by.constant);
        return e.op === "div" ? quotient : combine(x, quotient, -by.constant);
      }
      default:
        return atomForm(e);
    }
  }

  /** x div `by`, rounded to zero, for a positive constant */
  #quotient(x: Affine, by: number): Affine {
    if (x.terms.size === 0) return constantForm(Math.trunc(x.constant / by) | 0);
    if ([x.constant, ...x.terms.values()].every((c) => c % by === 0)) {
      const terms = [...x.terms].map(([atom, c]) => [atom, c / by] as const);
      return { constant: x.constant / by, terms: new Map(terms) };
    }
    const [only] = x.terms;
    if (x.terms.size === 1 && x.constant === 0 && only?.[1] === 1) {
      // (x div a) div b = x div ab
      const inner = this.#quotientOf.get(only[0]);
      if (inner !== undefined) return this.#quotient(inner.x, inner.by * by);
    }
    const key = `${this.key(x)}/${by}`;
    return this.of(
      entry(this.#quotients, key, () => {
        const atom = div(fromAffine(x), int(by));
        this.#quotientOf.set(atom, { x, by });
        this.#memo.set(atom, atomForm(atom));
        return atom;
      }),
    );
  }
}

/** The form of an int32 expression over variables alone, or null if it has none (it loads, selects, or
 *  divides by what does not cancel).
 *  For 5·i + j it is { constant: 0, terms: Map { i => 5, j => 1 } }. */
export function affine(e: Expr, forms: AffineForms = new AffineForms()): Affine<KVar> | null {
  if (e.dtype !== "int32") return null;
  const form = forms.of(e);
  for (const atom of form.terms.keys()) if (atom.kind !== "var") return null;
  return form as Affine<KVar>;
}

/** The expression of an affine form, constant last, its atoms replaced by `atom`. */
export function fromAffine(form: Affine, atom: (e: Expr) => Expr = (e) => e): Expr {
  let sum: Expr = int(0);
  for (const [e, c] of form.terms) sum = add(sum, mul(atom(e), int(c)));
  return add(sum, int(form.constant));
}
