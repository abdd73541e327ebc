/** Choosing between arrays element by element: select_n and clamp. */
import { Aval } from "../aval.ts";
import { isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { compare, type Expr, lit, max, min, select as choose } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import {
  definePrimitive,
  LinearInput,
  noRule,
  type Primitive,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { type Shape, shapesEqual } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { and, gt, lt } from "./compare.ts";
import { broadcastInDim, full, instantiate, moveBatch, zerosOf } from "./linear.ts";
import { broadcastTo, jvpTerms, type Operand, operands } from "./rules.ts";

type Plain = Record<never, never>;

export const allZero = (tangents: readonly Tangent[]): boolean =>
  tangents.every((t) => t instanceof Zero);

/** Operands of which some are scalars beside arrays of one shape, batched to one axis. Scalars that are not
 *  batched stay scalars. */
function alignBatch(
  size: number,
  inputs: readonly NDArray[],
  dims: readonly (number | null)[],
  shape: Shape,
): { readonly inputs: NDArray[]; readonly at: number } {
  const rank = shape.length;
  const own = (x: NDArray, i: number): number => x.ndim - (dims[i] === null ? 0 : 1);
  const leader = inputs.findIndex((x, i) => dims[i] !== null && own(x, i) === rank);
  const at = leader < 0 ? 0 : (dims[leader] as number);
  const whole = [...shape.slice(0, at), size, ...shape.slice(at)];
  return {
    at,
    inputs: inputs.map((x, i) => {
      const d = dims[i] as number | null;
      if (own(x, i) === rank) return moveBatch(x, d, at, size);
      return d === null ? x : broadcastInDim(x, whole, [at]);
    }),
  };
}
/** Shape of one example. */
const exampleShape = (x: NDArray, d: number | null): Shape =>
  d === null ? x.shape : x.shape.filter((_, i) => i !== d);

// ---- select_n ----

/** cases[which], elementwise; `which` is bool or an integer, of the shape of the cases or a scalar */
export const selectNP: Primitive<Plain> = definePrimitive({
  name: "select_n",
  shape: ([which, ...cases]) => {
    const [w, first] = [which as Aval, cases[0]];
    const op = "selectN";
    if (first === undefined)
      return fail(ShapeError, op, "needs at least one case", "none", "pass the cases as a list");
    for (const c of cases)
      if (!shapesEqual(c.shape, first.shape) || c.dtype !== first.dtype)
        fail(
          c.dtype === first.dtype ? ShapeError : DTypeError,
          op,
          "the cases must have one shape and dtype",
          cases.join(" and "),
          c.dtype === first.dtype ? "broadcast them first" : "convert them first",
        );
    if (isFloat(w.dtype))
      fail(
        DTypeError,
        op,
        "which must be bool or an integer",
        String(w),
        "compare it with something",
      );
    if (w.dtype === "bool" && cases.length > 2)
      fail(
        DTypeError,
        op,
        "a bool chooses between two cases",
        `${w} and ${cases.length} cases`,
        "use an int32 index",
      );
    if (w.rank !== 0 && !shapesEqual(w.shape, first.shape))
      fail(
        ShapeError,
        op,
        "which must be a scalar or have the shape of the cases",
        `${w} and ${first}`,
        "broadcast it first",
      );
    return [first.with({ weakType: cases.every((c) => c.weakType) })];
  },
  jvp: ([which, ...cases], [, ...tangents]) => {
    const out = selectN(which as NDArray, cases);
    if (allZero(tangents)) return { outs: [out], tangents: [new Zero(out.aval)] };
    return { outs: [out], tangents: [selectN(which as NDArray, tangents.map(instantiate))] };
  },
  transpose: ([ct], [which, ...cases]) => [
    null,
    ...cases.map((c, i) => {
      if (!(c instanceof LinearInput)) return null;
      if (ct instanceof Zero) return new Zero(c.aval);
      const zeros = zerosOf(c.aval);
      const parts = cases.map((_, j) => (j === i ? (ct as NDArray) : zeros));
      return selectN(which as NDArray, parts);
    }),
  ],
  batch: (size, inputs, dims) => {
    const shape = exampleShape(inputs[1] as NDArray, dims[1] as number | null);
    const { inputs: aligned, at } = alignBatch(size, inputs, dims, shape);
    return { outs: [bind1(selectNP, aligned, {})], dims: [at] };
  },
  lower: ([which, ...cases]) => ({
    kind: "map",
    at: (index, read) => {
      const w = read(0, (which as Aval).rank === 0 ? [] : index);
      const values = cases.map((_, i) => read(i + 1, index));
      if (values.length === 1) return [values[0] as Expr];
      if (w.dtype === "bool") return [choose(w, values[1] as Expr, values[0] as Expr)];
      // halving; an index below 0 takes the first case and one past the end the last
      const pick = (from: number, to: number): Expr => {
        if (to - from === 1) return values[from] as Expr;
        const middle = (from + to) >> 1;
        return choose(compare("lt", w, lit(middle, w.dtype)), pick(from, middle), pick(middle, to));
      };
      return [pick(0, values.length)];
    },
  }),
});
/** cases[which], elementwise: for bool, the second case where `which` holds.
 *  @param which bool or integer, of the shape of the cases or a scalar; an index out of range takes the nearest case
 *  @throws ShapeError, DTypeError unless the cases agree
 *  @example selectN(lt(x, y), [y, x]) // the smaller one */
export const selectN = (which: NDArray, cases: readonly NDArray[]): NDArray =>
  bind1(selectNP, [which, ...cases], {});
/** onTrue where `pred` holds, onFalse elsewhere. */
export const select = (pred: NDArray, onTrue: NDArray, onFalse: NDArray): NDArray =>
  selectN(pred, [onFalse, onTrue]);

// ---- clamp ----

/** t where `test` holds, else 0, in the shape of the result */
function gated(test: NDArray, t: NDArray, out: NDArray): NDArray {
  const wide = broadcastTo(t, out.shape);
  return selectN(test, [full(out.shape, 0, t.dtype), wide]);
}

/** min(max(x, low), high); the bounds are scalars or have the shape of x */
export const clampP: Primitive<Plain> = definePrimitive<Plain>({
  name: "clamp",
  shape: (avals) => {
    const [low, x, high] = avals as readonly [Aval, Aval, Aval];
    for (const bound of [low, high]) {
      if (bound.dtype !== x.dtype)
        fail(
          DTypeError,
          "clamp",
          "operands must have one dtype",
          avals.join(" and "),
          "convert first",
        );
      if (bound.rank !== 0 && !shapesEqual(bound.shape, x.shape))
        fail(
          ShapeError,
          "clamp",
          "a bound must be a scalar or have the shape of the operand",
          avals.join(" and "),
          "broadcast it first",
        );
    }
    return [
      Aval.of(
        x.shape,
        x.dtype,
        avals.every((a) => a.weakType),
      ),
    ];
  },
  jvp: jvpTerms<Plain>(
    () => clampP,
    [
      (t, { out, x: [low, x, high] }) =>
        gated(and(gt(low as NDArray, x as NDArray), lt(low as NDArray, high as NDArray)), t, out),
      (t, { out, x: [low, x, high] }) =>
        gated(and(gt(x as NDArray, low as NDArray), lt(x as NDArray, high as NDArray)), t, out),
      (t, { out, x: [, x, high] }) => gated(lt(high as NDArray, x as NDArray), t, out),
    ],
  ),
  transpose: noRule("it is not linear"),
  batch: (size, inputs, dims) => {
    const shape = exampleShape(inputs[1] as NDArray, dims[1] as number | null);
    const { inputs: aligned, at } = alignBatch(size, inputs, dims, shape);
    return { outs: [bind1(clampP, aligned, {})], dims: [at] };
  },
  lower: ([low, , high]) => ({
    kind: "map",
    at: (index, read) => [
      min(
        max(read(1, index), read(0, (low as Aval).rank === 0 ? [] : index)),
        read(2, (high as Aval).rank === 0 ? [] : index),
      ),
    ],
  }),
});
/** min(max(x, low), high). NaN stays NaN; the derivative at a bound is 0.
 *  @throws ShapeError unless the bounds are scalars or have the shape of x
 *  @example clamp(0, 3, 1) // => 1 */
export const clamp = (low: Operand, x: Operand, high: Operand): NDArray =>
  bind1(clampP, operands("clamp", low, x, high), {});
