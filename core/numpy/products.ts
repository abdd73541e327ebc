/** Products of arrays: matmul, dot, tensordot, einsum and their kin. */
import { fail, ShapeError } from "../errors.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import * as a from "../ops/arithmetic.ts";
import { dotGeneral } from "../ops/contract.ts";
import * as l from "../ops/linear.ts";
import { pad, sliceInDim } from "../ops/structural.ts";
import { broadcastShapes, normalizeAxes, normalizeAxis, range } from "../shape.ts";
import { ravel } from "./manipulation.ts";
import { eye } from "./creation.ts";
import { where } from "./elementwise.ts";
import { type ArrayInput, broadcastTo, promoteDTypes, toArray, toMatrix } from "./promote.ts";
import { sum } from "./reductions.ts";

/** Two operands in one dtype. */
const pair = (op: string, x: ArrayInput, y: ArrayInput): [NDArray, NDArray] =>
  promoteDTypes(op, [toArray(op, x), toArray(op, y)]) as [NDArray, NDArray];
/** Σ of products over the axes `left` of x and `right` of y; the first `batch` axes of both are common. */
const contract = (
  x: NDArray,
  y: NDArray,
  left: readonly number[],
  right: readonly number[],
  batch: readonly number[] = [],
): NDArray => dotGeneral(x, y, { contract: [left, right], batch: [batch, batch] });
/** The axis of the right operand that a matrix product sums over. */
const rows = (y: NDArray): number => Math.max(0, y.ndim - 2);
function needAxes(op: string, ...xs: readonly NDArray[]): void {
  for (const x of xs)
    if (x.ndim === 0)
      fail(
        ShapeError,
        op,
        "operands must have at least one axis",
        xs.map((v) => v.aval).join(" and "),
        "use multiply for scalars",
      );
}

/** Matrix product over the last two axes, broadcasting the others; vectors are rows on the left, columns on
 *  the right.
 *  @throws ShapeError when the contracted sizes differ
 *  @example np.matmul(np.ones([2, 3]), np.ones([3, 4])).shape  // => [2, 4] */
export function matmul(x: ArrayInput, y: ArrayInput): NDArray {
  const [u, v] = pair("matmul", x, y);
  needAxes("matmul", u, v);
  const uk = u.ndim - 1;
  const vk = rows(v);
  if (u.shape[uk] !== v.shape[vk])
    fail(
      ShapeError,
      "matmul",
      "contracted sizes must match",
      `lhs ${u.aval} axis ${uk} = ${u.shape[uk]}, rhs ${v.aval} axis ${vk} = ${v.shape[vk]}`,
      "check operand order, or transpose one",
    );
  const ub = u.ndim === 1 ? [] : u.shape.slice(0, -2);
  const vb = v.ndim === 1 ? [] : v.shape.slice(0, -2);
  // batch axes of one operand alone are free axes of its matrix
  if (vb.length === 0) return contract(u, v, [uk], [vk]);
  const shape = broadcastShapes("matmul", [ub, vb]);
  const n = shape.length;
  const full = (z: NDArray, b: readonly number[]): NDArray =>
    broadcastTo(z, [...shape, ...z.shape.slice(b.length)]);
  const p = full(u, ub);
  return contract(p, full(v, vb), [p.ndim - 1], [n], range(n));
}

/** Inner product of vectors, matrix product of matrices; in general the last axis of x with the last but one of y. */
export function dot(x: ArrayInput, y: ArrayInput): NDArray {
  const [u, v] = pair("dot", x, y);
  if (u.ndim === 0 || v.ndim === 0) return a.mul(u, v);
  return contract(u, v, [u.ndim - 1], [rows(v)]);
}
/** Inner product of the flattened arrays. */
export const vdot = (x: ArrayInput, y: ArrayInput): NDArray => dot(ravel(x), ravel(y));
/** Σ x·y along an axis, counted in each operand, broadcasting the others. */
export function vecdot(x: ArrayInput, y: ArrayInput, axis = -1): NDArray {
  const [u, v] = pair("vecdot", x, y);
  needAxes("vecdot", u, v);
  const last = (z: NDArray): NDArray =>
    l.moveAxis(z, normalizeAxis("vecdot", axis, z.ndim), z.ndim - 1);
  const [p, q] = [last(u), last(v)];
  const shape = broadcastShapes("vecdot", [p.shape.slice(0, -1), q.shape.slice(0, -1)]);
  const n = shape.length;
  const full = (z: NDArray): NDArray => broadcastTo(z, [...shape, z.shape.at(-1) as number]);
  return contract(full(p), full(q), [n], [n], range(n));
}
/** Σ over the last axes of both. */
export function inner(x: ArrayInput, y: ArrayInput): NDArray {
  const [u, v] = pair("inner", x, y);
  if (u.ndim === 0 || v.ndim === 0) return a.mul(u, v);
  return contract(u, v, [u.ndim - 1], [v.ndim - 1]);
}
/** out[i, j] = x[i]·y[j] of the flattened arrays. */
export function outer(x: ArrayInput, y: ArrayInput): NDArray {
  const [u, v] = pair("outer", x, y);
  return a.mul(l.expandDims(ravel(u), [1]), l.expandDims(ravel(v), [0]));
}
/** Kronecker product. */
export function kron(x: ArrayInput, y: ArrayInput): NDArray {
  const [u, v] = pair("kron", x, y);
  const rank = Math.max(u.ndim, v.ndim);
  const lift = (z: NDArray): NDArray => l.expandDims(z, range(rank - z.ndim));
  const [p, q] = [lift(u), lift(v)];
  const product = a.mul(
    l.expandDims(
      p,
      range(rank).map((i) => 2 * i + 1),
    ),
    l.expandDims(
      q,
      range(rank).map((i) => 2 * i),
    ),
  );
  return l.reshape(
    product,
    p.shape.map((n, i) => n * (q.shape[i] as number)),
  );
}
/** Σ over pairs of axes: the last n of x with the first n of y, or the named ones. */
export function tensordot(
  x: ArrayInput,
  y: ArrayInput,
  axes: number | readonly [number | readonly number[], number | readonly number[]] = 2,
): NDArray {
  const [u, v] = pair("tensordot", x, y);
  let left: number[];
  let right: number[];
  if (typeof axes === "number") {
    if (!Number.isInteger(axes) || axes < 0 || axes > Math.min(u.ndim, v.ndim))
      fail(
        ShapeError,
        "tensordot",
        "axes must be at most the rank of both operands",
        `${axes} for ${u.aval} and ${v.aval}`,
        "contract fewer axes",
      );
    left = range(axes, u.ndim - axes);
    right = range(axes);
  } else {
    left = normalizeAxes("tensordot", axes[0], u.ndim);
    right = normalizeAxes("tensordot", axes[1], v.ndim);
  }
  return contract(u, v, left, right);
}

// ---- diagonals ----

/** Elements x[i, i + offset] along a new last axis. */
export function diagonal(
  x: ArrayInput,
  offset = 0,
  { axis1 = 0, axis2 = 1 }: { axis1?: number; axis2?: number } = {},
): NDArray {
  const v = toMatrix("diagonal", x);
  const [i, j] = [
    normalizeAxis("diagonal", axis1, v.ndim),
    normalizeAxis("diagonal", axis2, v.ndim),
  ];
  const rest = range(v.ndim).filter((k) => k !== i && k !== j);
  const moved = l.transpose(v, [...rest, i, j]);
  const [rows, columns] = [v.shape[i] as number, v.shape[j] as number];
  const length = Math.max(0, Math.min(rows - Math.max(0, -offset), columns - Math.max(0, offset)));
  const matrix = l.reshape(moved, [...rest.map((k) => v.shape[k] as number), rows * columns]);
  const first = offset >= 0 ? offset : -offset * columns;
  const at = rest.length;
  if (length === 0) return sliceInDim(matrix, 0, 0, 1, at);
  const last = first + (length - 1) * (columns + 1) + 1;
  return sliceInDim(matrix, first, last, columns + 1, at);
}
/** Σ of a diagonal. */
export function trace(
  x: ArrayInput,
  offset = 0,
  options?: { axis1?: number; axis2?: number },
): NDArray {
  return sum(diagonal(x, offset, options), -1);
}
/** The diagonal of a matrix, or the matrix with a vector on its diagonal. */
export function diag(x: ArrayInput, k = 0): NDArray {
  const v = toArray("diag", x);
  if (v.ndim === 2) return diagonal(v, k);
  if (v.ndim !== 1) fail(ShapeError, "diag", "needs a vector or a matrix", v.aval, "use diagonal");
  const n = (v.shape[0] as number) + Math.abs(k);
  const zero = new Literal(0, v.dtype);
  const padded = pad(v, zero, [k > 0 ? [0, k, 0] : [-k, 0, 0]]);
  return where(eye(n, n, { k, dtype: "bool" }), l.expandDims(padded, [1]), zero);
}
export const diagflat = (x: ArrayInput, k = 0): NDArray => diag(ravel(x), k);

// ---- einsum ----

interface Term {
  readonly x: NDArray;
  readonly labels: readonly string[];
}

/** Sum of products by index labels: `einsum("bij,bjk->bik", x, y)`. `...` stands for broadcast axes. Operands are
 *  contracted pairwise, the pair with the smallest result first.
 *  @throws ShapeError where the subscripts do not fit the operands
 *  @example np.einsum("ij,jk->ik", np.ones([2, 3]), np.ones([3, 4])).shape  // => [2, 4] */
export function einsum(subscripts: string, ...operands: readonly ArrayInput[]): NDArray {
  const bad = (requirement: string, got: string, remedy: string): never =>
    fail(ShapeError, "einsum", requirement, got, remedy);
  const arrays = operands.map((x) => toArray("einsum", x));
  const text = subscripts.replaceAll(" ", "");
  const [left, right] = text.split("->") as [string, string | undefined];
  if (!/^[A-Za-z.,]*(->[A-Za-z.]*)?$/.test(text))
    bad(
      "subscripts are letters, commas, '...' and one '->'",
      `"${subscripts}"`,
      "see numpy.einsum",
    );
  const inputs = left.split(",");
  if (inputs.length !== arrays.length)
    bad(
      "there must be one subscript for each operand",
      `${inputs.length} in "${subscripts}" for ${arrays.length}`,
      "separate them by commas",
    );
  // axes under "..." get labels of their own, counted from the right
  const label = (s: string, free: number): string[] => {
    const [before, after] = s.split("...") as [string, string | undefined];
    if (after === undefined) return [...before];
    return [...before, ...range(free).map((k) => `.${free - 1 - k}`), ...after];
  };
  let dots = 0;
  const sizes = new Map<string, number>();
  let terms = inputs.map((s, i): Term => {
    const x = arrays[i] as NDArray;
    const letters = s.replace("...", "");
    if (letters.includes("."))
      bad("'...' may stand once in each subscript", `"${s}"`, "remove the dots");
    const free = x.ndim - letters.length;
    if (letters === s ? free !== 0 : free < 0)
      bad(
        "a subscript must name each axis of its operand",
        `"${s}" for ${x.aval}`,
        "add or remove letters, or use '...'",
      );
    dots = Math.max(dots, free);
    const labels = label(s, free);
    labels.forEach((name, axis) => {
      const size = x.shape[axis] as number;
      const known = sizes.get(name) ?? 1;
      if (known === 1) sizes.set(name, size);
      else if (size !== known && size !== 1)
        bad(
          `axes with one label must have one size`,
          `label "${name}" of size ${known} and ${size} (${x.aval})`,
          "check the subscripts",
        );
    });
    return { x, labels };
  });
  const counted = inputs.join("").replaceAll("...", "");
  const once = [...new Set(counted)].filter((ch) => counted.split(ch).length === 2).sort();
  const output = label(right ?? `...${once.join("")}`, dots);
  for (const name of output)
    if (!sizes.has(name))
      bad(
        "output labels must occur in an input",
        `"${name}" in "${subscripts}"`,
        "name an input axis",
      );
  if (new Set(output).size !== output.length)
    bad("output labels must be distinct", `"${subscripts}"`, "name each once");

  const common = promoteDTypes(
    "einsum",
    terms.map((t) => t.x),
  );
  terms = terms.map(({ labels }, i) => {
    let x = common[i] as NDArray;
    let names = [...labels];
    // axes of size 1 that broadcast are dropped, repeated labels become diagonals
    const ones = names.flatMap((name, axis) =>
      x.shape[axis] === 1 && sizes.get(name) !== 1 ? [axis] : [],
    );
    x = l.squeeze(x, ones);
    names = names.filter((_, axis) => !ones.includes(axis));
    for (let k = 0; k < names.length; k++) {
      const again = names.indexOf(names[k] as string, k + 1);
      if (again < 0) continue;
      const name = names[k] as string;
      x = diagonal(x, 0, { axis1: k, axis2: again });
      names = [...names.filter((_, axis) => axis !== k && axis !== again), name];
      k = -1;
    }
    return { x, labels: names };
  });
  const needed = (name: string, ...except: readonly Term[]): boolean =>
    output.includes(name) || terms.some((t) => !except.includes(t) && t.labels.includes(name));
  // what only one term has and nobody needs is summed first
  terms = terms.map((t) => {
    const summed = t.labels.flatMap((name, axis) => (needed(name, t) ? [] : [axis]));
    return { x: l.reduceSum(t.x, summed), labels: t.labels.filter((name) => needed(name, t)) };
  });
  while (terms.length > 1) {
    let best: [Term, Term] = [terms[0] as Term, terms[1] as Term];
    let cost = Number.POSITIVE_INFINITY;
    terms.forEach((p, i) => {
      for (const q of terms.slice(i + 1)) {
        const names = [...new Set([...p.labels, ...q.labels])].filter((n) => needed(n, p, q));
        const size = names.reduce((n, name) => n * (sizes.get(name) as number), 1);
        if (size < cost) [best, cost] = [[p, q], size];
      }
    });
    const [p, q] = best;
    const merged = contractPair(p, q, (name) => needed(name, p, q));
    terms = [...terms.filter((t) => t !== p && t !== q), merged];
  }
  // labels that only occur with size 1 elsewhere are repeated
  const { x, labels } = terms[0] as Term;
  const present = output.filter((name) => labels.includes(name));
  return l.broadcastInDim(
    l.transpose(
      x,
      present.map((name) => labels.indexOf(name)),
    ),
    output.map((name) => sizes.get(name) as number),
    present.map((name) => output.indexOf(name)),
  );
}

/** Product of two terms, summed over the labels that nobody needs any more. */
function contractPair(p: Term, q: Term, needed: (name: string) => boolean): Term {
  const shared = p.labels.filter((n) => q.labels.includes(n));
  const batch = shared.filter(needed);
  const summed = shared.filter((n) => !needed(n));
  const at = (t: Term, names: readonly string[]): number[] => names.map((n) => t.labels.indexOf(n));
  const x = dotGeneral(p.x, q.x, {
    contract: [at(p, summed), at(q, summed)],
    batch: [at(p, batch), at(q, batch)],
  });
  const free = (t: Term): string[] => t.labels.filter((n) => !shared.includes(n));
  return { x, labels: [...batch, ...free(p), ...free(q)] };
}
