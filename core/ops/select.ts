/** Choosing between arrays element by element: select_n and clamp. */
import type { Aval } from "../aval.ts";
import { isFloat } from "../dtype.ts";
import { DTypeError, fail, ShapeError } from "../errors.ts";
import { compare, type Expr, lit, max, min, select as choose } from "../kernel/expr.ts";
import type { NDArray } from "../ndarray.ts";
import { type BatchRule, definePrimitive, type Primitive } from "../primitive.ts";
import { shapesEqual } from "../shape.ts";
import { bind, bind1 } from "../trace.ts";
import { batched, eachElement, halving } from "./axes.ts";
import { checkOneDType } from "./checks.ts";
import { and, gt, lt } from "./compare.ts";
import { broadcastInDim, fullLike, jointJvp, moveBatch, zerosOf } from "./linear.ts";
import { nonlinear, transposed } from "./linearity.ts";
import { broadcastTo, jvpTerms, type Operand, operands, type Plain } from "./rules.ts";

/** Batch rule for operands of which some are scalars beside arrays of the shape of operand 1. Scalars that are not batched
 *  stay scalars. */
const batchBeside: BatchRule<Plain> = (size, inputs, dims, params, primitive) => {
  const rankOf = (x: NDArray, i: number): number => x.ndim - (dims[i] === null ? 0 : 1);
  const rank = rankOf(inputs[1] as NDArray, 1);
  const leader = inputs.findIndex((x, i) => dims[i] !== null && rankOf(x, i) === rank);
  const at = leader < 0 ? 0 : (dims[leader] as number);
  const full = inputs.map((x, i) =>
    rankOf(x, i) === rank ? moveBatch(x, dims[i] as number | null, at, size) : x,
  );
  const { shape } = full[1] as NDArray;
  const aligned = full.map((x, i) =>
    x.ndim > rank || dims[i] === null ? x : broadcastInDim(x, shape, [at]),
  );
  return batched(bind(primitive, aligned, params), at);
};

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
  jvp: jointJvp,
  transpose: transposed((ct, x, _params, [which, ...cases], i) => {
    const zeros = zerosOf(x);
    return selectN(
      which as NDArray,
      cases.map((_, j) => (j === i - 1 ? ct : zeros)),
    );
  }),
  batch: batchBeside,
  lower: ([which, ...cases]) =>
    eachElement((index, read) => {
      const w = read(0, (which as Aval).rank === 0 ? [] : index);
      const values = cases.map((_, i) => read(i + 1, index));
      if (w.dtype === "bool" && values.length > 1)
        return choose(w, values[1] as Expr, values[0] as Expr);
      // an index below 0 takes the first case and one past the end the last
      return halving(
        values.length,
        (i) => values[i] as Expr,
        (middle, below, above) => choose(compare("lt", w, lit(middle, w.dtype)), below, above),
      );
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

/** `x` where the mask holds, else 0. */
export const masked = (mask: NDArray, x: NDArray): NDArray => selectN(mask, [fullLike(x, 0), x]);

// ---- clamp ----

/** t where `test` holds, else 0, in the shape of the result */
const gated = (test: NDArray, t: NDArray, out: NDArray): NDArray =>
  masked(test, broadcastTo(t, out.shape));

/** min(max(x, low), high); the bounds are scalars or have the shape of x */
export const clampP: Primitive<Plain> = definePrimitive<Plain>({
  name: "clamp",
  shape: (avals) => {
    const [low, x, high] = avals as readonly [Aval, Aval, Aval];
    checkOneDType("clamp", avals, "convert first");
    for (const bound of [low, high])
      if (bound.rank !== 0 && !shapesEqual(bound.shape, x.shape))
        fail(
          ShapeError,
          "clamp",
          "a bound must be a scalar or have the shape of the operand",
          avals.join(" and "),
          "broadcast it first",
        );
    return [x.with({ weakType: avals.every((a) => a.weakType) })];
  },
  jvp: jvpTerms([
    (t, [low, x, high], out) =>
      gated(and(gt(low as NDArray, x as NDArray), lt(low as NDArray, high as NDArray)), t, out),
    (t, [low, x, high], out) =>
      gated(and(gt(x as NDArray, low as NDArray), lt(x as NDArray, high as NDArray)), t, out),
    (t, [, x, high], out) => gated(lt(high as NDArray, x as NDArray), t, out),
  ]),
  transpose: nonlinear,
  batch: batchBeside,
  lower: ([low, , high]) =>
    eachElement((index, read) =>
      min(
        max(read(1, index), read(0, (low as Aval).rank === 0 ? [] : index)),
        read(2, (high as Aval).rank === 0 ? [] : index),
      ),
    ),
});
/** min(max(x, low), high). NaN stays NaN; the derivative at a bound is 0.
 *  @throws ShapeError unless the bounds are scalars or have the shape of x
 *  @example clamp(0, 3, 1) // => 1 */
export const clamp = (low: Operand, x: Operand, high: Operand): NDArray =>
  bind1(clampP, operands("clamp", low, x, high), {});
