/** Shapes and axes: pure functions on lists of sizes. */
import { fail, ShapeError } from "./errors.ts";

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => {
  let n = 1;
  for (const s of shape) n *= s;
  return n;
};

export function shapesEqual(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export const showShape = (shape: Shape): string => `[${shape.join(",")}]`;

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const out = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    out[i] = step;
    step *= shape[i] as number;
  }
  return out;
}

/** Checks that a user's shape is a list of non-negative integers. */
export function checkShape(op: string, shape: unknown): number[] {
  const list = typeof shape === "number" ? [shape] : shape;
  if (Array.isArray(list) && list.every((s) => Number.isSafeInteger(s) && s >= 0))
    return list as number[];
  return fail(
    ShapeError,
    op,
    "a shape must be a list of non-negative integers",
    Array.isArray(list) ? `[${list.map(String).join(",")}]` : String(shape),
    "give each size as a whole number",
  );
}

/** Axis in 0 … rank−1, counting from the end when negative. */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  return fail(
    ShapeError,
    op,
    rank === 0
      ? "a scalar has no axes"
      : `axis must be an integer between ${-rank} and ${rank - 1}`,
    `axis ${axis} for rank ${rank}`,
    rank === 0 ? "leave the axis out" : "choose an existing axis",
  );
}

/** Distinct normalized axes; `null` or `undefined` means all of them. */
export function normalizeAxes(
  op: string,
  axes: number | readonly number[] | null | undefined,
  rank: number,
): number[] {
  if (axes === null || axes === undefined) return range(rank);
  const list = (typeof axes === "number" ? [axes] : axes).map((a) => normalizeAxis(op, a, rank));
  if (new Set(list).size !== list.length)
    fail(ShapeError, op, "axes must be distinct", showShape(list), "name each axis once");
  return list;
}

/** NumPy broadcasting: sizes agree or are 1, aligned at the last axis.
 *  @param got  what messages call the shapes */
export function broadcastShapes(
  op: string,
  shapes: readonly Shape[],
  got?: readonly unknown[],
): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes)
    for (let k = 1; k <= shape.length; k++) {
      const at = rank - k;
      const size = shape[shape.length - k] as number;
      if (size === 1 || out[at] === size) continue;
      if (out[at] !== 1)
        fail(
          ShapeError,
          op,
          "shapes must broadcast: sizes aligned at the last axis must be equal or 1",
          (got ?? shapes.map(showShape)).join(" and "),
          `make axis ${-k} agree (${out[at]} against ${size}) or insert an axis of size 1`,
        );
      out[at] = size;
    }
  return out;
}

/** start, start + 1, … */
export function range(n: number, start = 0): number[] {
  const out: number[] = [];
  for (let i = 0; i < n; i++) out.push(start + i);
  return out;
}

/** Inverse of a permutation. */
export function inversePermutation(p: readonly number[]): number[] {
  const out = new Array<number>(p.length);
  p.forEach((to, i) => {
    out[to] = i;
  });
  return out;
}
