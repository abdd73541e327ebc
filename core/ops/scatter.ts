/** Scatters other than scatter-add: windows of an operand replaced by, or combined with, updates at positions
 *  that an index array holds. Updates of one element take effect in row-major order of the index array. */
import { fail, RuleError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import { definePrimitive, type Primitive, type Tangent, Zero } from "../primitive.ts";
import { range, sizeOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { eq, ne, or } from "./compare.ts";
import { add, div, mul, neg } from "./field.ts";
import {
  gatherUpdates,
  linearScatter,
  scatterAddP,
  scatterBatch,
  scattering,
  scatterLower,
  type ScatterParams,
  scatterShape,
} from "./gather.ts";
import {
  broadcastInDim,
  convert,
  full,
  fullLike,
  instantiate,
  jointJvp,
  reshape,
} from "./linear.ts";
import { dual, nonlinear, transposed } from "./linearity.ts";
import { jvpTerms } from "./rules.ts";
import { masked } from "./select.ts";
import { broadcastedIota } from "./structural.ts";

export {
  type ScatterDimensionNumbers,
  scatterAdd,
  scatterAddP,
  type ScatterOptions,
} from "./gather.ts";

const needUnique = (op: string, what: string, p: ScatterParams): void => {
  if (!p.uniqueIndices)
    fail(
      RuleError,
      op,
      `${what} needs indices that are unique`,
      "uniqueIndices: false",
      "pass uniqueIndices: true if no element is updated twice",
    );
};

// ---- scatter ----

/** A number from 1 for each window, at all its elements. */
function windowIds(updates: NDArray, p: ScatterParams): NDArray {
  const { window } = p.dimensionNumbers;
  const shape = updates.shape.map((n, i) => (window.includes(i) ? 1 : n));
  const count = broadcastedIota("int32", [sizeOf(shape)], 0);
  const ids = reshape(add(count, new Literal(1, "int32")), shape);
  return broadcastInDim(ids, updates.shape, range(updates.ndim));
}

/** out = x, then out[start(batch) + offset] = updates[…batch, …offset] */
export const scatterP: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
  name: "scatter",
  shape: scatterShape("scatter", "any"),
  jvp: (inputs, tangents, p, primitive) => {
    const [, i, u] = inputs as [NDArray, NDArray, NDArray];
    const [dx, , du] = tangents as [Tangent, Tangent, Tangent];
    if (p.uniqueIndices) return jointJvp(inputs, tangents, p, primitive);
    const out = bind1(primitive, inputs, p);
    // which update has stayed at each element, 0 for none
    const ids = windowIds(u, p);
    const stayed = bind1(scatterP, [full(out.shape, 0, "int32"), i, ids], p);
    const kept = (): Tangent =>
      dx instanceof Zero ? dx : masked(eq(stayed, new Literal(0, "int32")), dx);
    if (du instanceof Zero) return dual(out, kept());
    const won = eq(ids, gatherUpdates(stayed, i, u.shape, p, 0));
    return dual(out, bind1(scatterAddP, [instantiate(kept()), i, masked(won, du)], p));
  },
  transpose: transposed((ct, x, p, [, indices, updates], i) => {
    needUnique("scatter", "the transpose", p);
    if (i === 2) return gatherUpdates(ct, indices as NDArray, x.shape, p, 0);
    const u = (updates as NDArray).aval;
    return bind1(scatterP, [ct, indices as NDArray, full(u.shape, 0, ct.dtype)], p);
  }),
  batch: scatterBatch,
  lower: scatterLower((_old, update) => update),
});
/** `x` with the windows that `indices` name replaced by `updates`; the last update of an element stays.
 *  @param indices  integers `[…batch, n]`: vectors of n start positions
 *  @param updates  batch axes and window axes, placed by `updateWindowDims`; dtype of `x`
 *  @throws         ShapeError where the dimension numbers do not fit, DTypeError where dtypes do not
 *  @source         XLA's Scatter */
export const scatter = scattering(scatterP);

// ---- scatter-sub, scatter-mul ----

/** out = x, then out[start(batch) + offset] −= updates[…batch, …offset] */
export const scatterSubP: Primitive<ScatterParams> = linearScatter("scatter-sub", K.sub, (ct) =>
  neg(ct),
);
/** `x` with `updates` subtracted; see `scatterAdd`. */
export const scatterSub = scattering(scatterSubP);

/** out = x, then out[start(batch) + offset] ·= updates[…batch, …offset] */
export const scatterMulP: Primitive<ScatterParams> = definePrimitive<ScatterParams>({
  name: "scatter-mul",
  shape: scatterShape("scatter-mul", "number"),
  jvp: jvpTerms([
    (t, [, i, u], _out, p) => bind1(scatterMulP, [t, i as NDArray, u as NDArray], p),
    null,
    (t, inputs, _out, p) => {
      const [x, i] = inputs as [NDArray, NDArray, NDArray];
      needUnique("scatter-mul", "the derivative by the updates", p);
      return mul(bind1(scatterAddP, [fullLike(x, 0), i, t], p), x);
    },
  ]),
  transpose: transposed((ct, u, p, inputs, i) => {
    const [x, indices, updates] = inputs as [NDArray, NDArray, NDArray];
    if (i === 0) return bind1(scatterMulP, [ct, indices, updates], p);
    needUnique("scatter-mul", "the transpose", p);
    return gatherUpdates(mul(ct, x), indices, u.shape, p, 0);
  }),
  batch: scatterBatch,
  lower: scatterLower(K.mul),
});
/** `x` multiplied by `updates`; see `scatterAdd`.
 *  @throws RuleError for its derivative by the updates, unless `uniqueIndices` is promised */
export const scatterMul = scattering(scatterMulP);

// ---- scatter-min, scatter-max ----

/** Scatter with an extremum. Where several values reach it, among them perhaps the operand's, its tangent is
 *  the mean of theirs. */
function extremalScatter(
  name: string,
  combine: (old: Expr, update: Expr) => Expr,
): Primitive<ScatterParams> {
  return definePrimitive<ScatterParams>({
    name,
    shape: scatterShape(name, "any"),
    jvp: (inputs, [dx, , du], p, primitive) => {
      const [operand, i, u] = inputs as [NDArray, NDArray, NDArray];
      const out = bind1(primitive, inputs, p);
      // NaN of the operand stays
      const retained = or(eq(operand, out), ne(operand, operand));
      // updates outside the operand are dropped in the end; NaN keeps them from matching
      const won = eq(u, gatherUpdates(out, i, u.shape, p, Number.NaN));
      const ones = masked(won, fullLike(u, 1));
      const share = div(1, bind1(scatterAddP, [convert(retained, out.dtype), i, ones], p));
      const kept =
        dx instanceof Zero ? fullLike(out, 0) : mul(dx as NDArray, masked(retained, share));
      if (du instanceof Zero) return dual(out, kept);
      const ofUpdates = masked(won, gatherUpdates(share, i, u.shape, p, 0));
      return dual(out, bind1(scatterAddP, [kept, i, mul(du as NDArray, ofUpdates)], p));
    },
    transpose: nonlinear,
    batch: scatterBatch,
    lower: scatterLower(combine),
  });
}

/** out = x, then out[start(batch) + offset] = min(out[…], updates[…batch, …offset]) */
export const scatterMinP = extremalScatter("scatter-min", K.min);
/** out = x, then out[start(batch) + offset] = max(out[…], updates[…batch, …offset]) */
export const scatterMaxP = extremalScatter("scatter-max", K.max);
/** The smaller of `x` and `updates`; see `scatterAdd`. */
export const scatterMin = scattering(scatterMinP);
/** The larger of `x` and `updates`; see `scatterAdd`. */
export const scatterMax = scattering(scatterMaxP);
