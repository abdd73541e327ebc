/** Where a value is read from a point: indices, positions, and the patterns they form. */
import { div, type Expr, int, KVar, linearIndex, rem } from "../kernel/expr.ts";
import { type Shape, stridesOf } from "../shape.ts";
import type { AffineForms } from "./affine.ts";

/** Which element of another value is read at a point: the one at the same row-major position; the one at the position
 *  among the kept axes of a pattern; some other. A pattern lists runs of kept and reduced axes: "512k128r" is a
 *  matrix of 512 rows, of which one element each is read. */
export type Access = "same" | "other" | (string & { readonly pattern?: never });

/** Runs of kept and reduced axes; axes of one element count as neither. */
export function patternOf(shape: Shape, reduced: (axis: number) => unknown): string {
  let out = "";
  let size = 1;
  let flag = "";
  shape.forEach((s, i) => {
    if (s === 1) return;
    const own = reduced(i) ? "r" : "k";
    if (flag !== "" && own !== flag) {
      out += size + flag;
      size = 1;
    }
    size *= s;
    flag = own;
  });
  return flag === "" ? "" : out + size + flag;
}

/** Row-major position. */
export const positionIn = (index: readonly Expr[], shape: Shape): Expr =>
  linearIndex(index, stridesOf(shape));

/** Multi-index into `from` of the element that has index `index` in `to` (same elements, row-major). */
export function reindex(from: Shape, to: Shape, index: readonly Expr[]): Expr[] {
  // no element has an index, and the products below would never meet
  if (from.includes(0)) return from.map(() => int(0));
  const out: Expr[] = [];
  let i = 0;
  let j = 0;
  while (i < from.length || j < to.length) {
    // the smallest group of axes with equal products on both sides
    const fromStart = i;
    const toStart = j;
    let p = from[i++] ?? 1;
    let q = to[j++] ?? 1;
    while (p !== q)
      if (p < q) p *= from[i++] as number;
      else q *= to[j++] as number;
    const group = from.slice(fromStart, i);
    const position = positionIn(index.slice(toStart, j), to.slice(toStart, j));
    const strides = stridesOf(group);
    group.forEach((size, k) => {
      const stride = strides[k] as number;
      const q = div(position, int(stride));
      // of the first axis of several elements it is the quotient
      out.push(size === 1 ? int(0) : size * stride === p ? q : rem(q, int(size)));
    });
  }
  return out;
}
/** True where an element of the one shape has its multi-index in the other without divisions. */
export const direct = (from: Shape, to: Shape): boolean => {
  const zeros = to.map(() => int(0));
  return reindex(from, to, zeros).every((e) => e.kind === "lit");
};

/** One variable for each axis, 0 for axes of one element. */
export const axisIndex = (shape: Shape, name: string): readonly Expr[] =>
  shape.map((s, i) => (s === 1 ? int(0) : new KVar("int32", `${name}${i}`)));

/** How an element at `position` of a value of `size` elements lies to the point `index` of `shape`. */
export function accessOf(
  position: Expr,
  size: number,
  index: readonly Expr[],
  shape: Shape,
  forms: AffineForms,
): Access {
  const { constant, terms } = forms.of(position);
  if (constant !== 0) return "other";
  let kept = 1;
  let found = 0;
  let reducedAxes = false;
  for (let k = shape.length - 1; k >= 0; k--) {
    if (shape[k] === 1) continue;
    const c = terms.get(index[k] as Expr);
    if (c === undefined) {
      reducedAxes = true;
      continue;
    }
    if (c !== kept) return "other";
    kept *= shape[k] as number;
    found++;
  }
  if (found !== terms.size || kept !== size) return "other";
  return reducedAxes ? patternOf(shape, (k) => !terms.has(index[k] as Expr)) : "same";
}
