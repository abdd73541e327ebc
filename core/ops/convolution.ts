/** Convolution: the primitive. Its two transposes are convolutions again, with the roles of batch and feature
 *  axes and of strides and dilations exchanged. */
import { Aval } from "../aval.ts";
import type { DType } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import { type BatchRule, definePrimitive, type Primitive } from "../primitive.ts";
import { inversePermutation, range, type Shape, showShape, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { batched, inserted, otherAxes, pick, replaced } from "./axes.ts";
import { axisText } from "./checks.ts";
import { bilinearJvp, inOneDType, productDType } from "./contract.ts";
import { convert, full, fullLike, moveAxis, reshape } from "./linear.ts";
import { transposed } from "./linearity.ts";
import { rev } from "./structural.ts";
import { dilate } from "./window-geometry.ts";

/** Axes of the operands and of the result by their role. */
export interface ConvDimensionNumbers {
  /** batch, feature, then spatial axes of the lhs */
  readonly lhsSpec: readonly number[];
  /** output feature, input feature, then spatial axes of the rhs */
  readonly rhsSpec: readonly number[];
  /** batch, feature, then spatial axes of the result */
  readonly outSpec: readonly number[];
}
/** Elements added before and after an axis; negative ones are cut off. */
export type Padding = readonly [low: number, high: number];

export interface ConvParams {
  readonly windowStrides: readonly number[];
  readonly padding: readonly Padding[];
  readonly lhsDilation: readonly number[];
  readonly rhsDilation: readonly number[];
  readonly dimensionNumbers: ConvDimensionNumbers;
  readonly featureGroupCount: number;
  readonly batchGroupCount: number;
  readonly preferredElementType: DType | null;
}

const op = "convGeneralDilated";
const spatial = (spec: readonly number[]): readonly number[] => spec.slice(2);
/** Batch and feature axis (or output and input feature axis) exchanged. */
export const exchanged = ([a, b, ...rest]: readonly number[]): number[] => [
  b as number,
  a as number,
  ...rest,
];
// ---- shape ----

function checkParams(lhs: Aval, rhs: Aval, p: ConvParams): void {
  const bad = (requirement: string, got: string, remedy: string): never =>
    fail(ShapeError, op, requirement, got, remedy);
  const { dimensionNumbers: d, featureGroupCount: fg, batchGroupCount: bg } = p;
  const { rank } = lhs;
  if (rank < 2 || rank !== rhs.rank)
    bad(
      "lhs and rhs must have the same rank, at least 2",
      `${lhs} and ${rhs}`,
      "give both a batch, a feature and the same spatial axes",
    );
  for (const [name, spec] of Object.entries(d) as [string, readonly number[]][])
    if (spec.length !== rank || !range(rank).every((i) => spec.includes(i)))
      bad(
        `${name} must name each of the ${rank} axes once`,
        showShape(spec),
        "see the order of axes in ConvDimensionNumbers",
      );
  for (const name of ["windowStrides", "lhsDilation", "rhsDilation"] as const) {
    const list = p[name];
    if (list.length !== rank - 2 || list.some((s) => !Number.isInteger(s) || s < 1))
      bad(
        `${name} must have a positive integer for each of the ${rank - 2} spatial axes`,
        `${showShape(list)} for ${lhs}`,
        "give one number for each spatial axis",
      );
  }
  if (p.padding.length !== rank - 2 || p.padding.flat().some((n) => !Number.isInteger(n)))
    bad(
      `padding must have a pair of integers for each of the ${rank - 2} spatial axes`,
      JSON.stringify(p.padding),
      "give [low, high] for each spatial axis",
    );
  for (const name of ["featureGroupCount", "batchGroupCount"] as const)
    if (!Number.isInteger(p[name]) || p[name] < 1)
      bad(`${name} must be a positive integer`, String(p[name]), "use 1");
  if (fg > 1 && bg > 1)
    bad(
      "only one of featureGroupCount and batchGroupCount may be larger than 1",
      `${fg} and ${bg}`,
      "set one of them to 1",
    );
  const [batch, features] = pick(lhs.shape, d.lhsSpec) as [number, number];
  const [outputs, inputs] = pick(rhs.shape, d.rhsSpec) as [number, number];
  if (features % fg !== 0 || features / fg !== inputs)
    bad(
      "the lhs features of a group must match the rhs input features",
      `lhs ${axisText(lhs, d.lhsSpec[1] as number)} in ${fg} group${fg === 1 ? "" : "s"}, rhs ${axisText(rhs, d.rhsSpec[1] as number)}`,
      "check dimensionNumbers and featureGroupCount",
    );
  if (outputs % (fg * bg) !== 0)
    bad(
      "the number of groups must divide the rhs output features",
      `rhs ${axisText(rhs, d.rhsSpec[0] as number)}, ${fg * bg} groups`,
      "change the group count",
    );
  if (batch % bg !== 0)
    bad(
      "batchGroupCount must divide the lhs batch",
      `lhs ${axisText(lhs, d.lhsSpec[0] as number)}, ${bg} groups`,
      "change the group count",
    );
}

/** Shape of the result. */
function convShape(lhs: Aval, rhs: Aval, p: ConvParams): number[] {
  checkParams(lhs, rhs, p);
  const { lhsSpec, rhsSpec, outSpec } = p.dimensionNumbers;
  const [batch, , ...input] = pick(lhs.shape, lhsSpec) as [number, number, ...number[]];
  const [features, , ...window] = pick(rhs.shape, rhsSpec) as [number, number, ...number[]];
  const out = input.map((n, i) => {
    const [low, high] = p.padding[i] as Padding;
    const size = dilate(n, p.lhsDilation[i] as number) + low + high;
    if (size < 0)
      fail(
        ShapeError,
        op,
        "negative padding must not cut off more than there is",
        `[${low},${high}] for lhs ${axisText(lhs, lhsSpec[i + 2] as number)}`,
        "cut off less",
      );
    const reach = dilate(window[i] as number, p.rhsDilation[i] as number);
    return Math.max(0, Math.floor((size - reach) / (p.windowStrides[i] as number)) + 1);
  });
  const canonical = [batch / p.batchGroupCount, features, ...out];
  return pick(canonical, inversePermutation(outSpec));
}

// ---- axes folded into others ----

/** `x` with axis `from` merged, as the slower part, into axis `into` of the array without it. */
function foldAxis(x: NDArray, from: number, into: number): NDArray {
  const shape = pick(x.shape, otherAxes(x.ndim, [from]));
  shape[into] = (shape[into] as number) * (x.shape[from] as number);
  return reshape(moveAxis(x, from, into), shape);
}
/** `x` with axis `at` split into `outer` and the rest. */
function splitAxis(x: NDArray, at: number, outer: number): NDArray {
  const inner = (x.shape[at] as number) / outer;
  return reshape(x, inserted(replaced(x.shape, at, inner), at, outer));
}

// ---- transposes ----

// without the spatial axes, with m batch, j input features, k output features and g groups:
//   forward            [m,j] [j,k] -> [m,k]
//   lhs                [m,k] [k,j] -> [m,j]
//   rhs                [j,m] [m,k] -> [j,k]
// feature groups       [m,gj] [j,gk] -> [m,gk]
//   lhs                [m,gk] [k,gj] -> [m,gj]: feature groups, g moved from the rhs outputs to its inputs
//   rhs                [gj,m] [m,gk] -> [j,gk]: batch groups
// batch groups         [gm,j] [j,gk] -> [m,gk]
//   lhs                [m,gk] [gk,j] -> [gm,j]: feature groups, g moved in the rhs and in the result
//   rhs                [j,gm] [m,gk] -> [j,gk]: feature groups

/** Padding of a transpose, given the low padding and, of lhs, rhs and result, the sizes with holes. */
function transposedPadding(
  lhs: Shape,
  rhs: Shape,
  out: Shape,
  p: ConvParams,
  pair: (low: number, l: number, r: number, o: number) => Padding,
): Padding[] {
  const { lhsSpec, rhsSpec, outSpec } = p.dimensionNumbers;
  return p.padding.map(([low], i) => {
    const size = (shape: Shape, spec: readonly number[], by: readonly number[]): number =>
      dilate(shape[spec[i + 2] as number] as number, by[i] as number);
    return pair(
      low,
      size(lhs, lhsSpec, p.lhsDilation),
      size(rhs, rhsSpec, p.rhsDilation),
      size(out, outSpec, p.windowStrides),
    );
  });
}

function cotangentOfLhs(ct: NDArray, lhs: Aval, rhs: NDArray, p: ConvParams): NDArray {
  const { lhsSpec, rhsSpec, outSpec } = p.dimensionNumbers;
  const groups = p.featureGroupCount * p.batchGroupCount;
  const [outputs, inputs] = rhsSpec as [number, number];
  let w = rhs;
  // `inputs` names the axis of the array without the axis of groups
  if (groups > 1) w = foldAxis(splitAxis(w, outputs, groups), outputs, inputs);
  const [g, v] = inOneDType(ct, rev(w, spatial(rhsSpec)));
  const out = bind1(convGeneralDilatedP, [g, v], {
    windowStrides: p.lhsDilation,
    padding: transposedPadding(lhs.shape, rhs.shape, ct.shape, p, (low, l, r, o) => [
      r - low - 1,
      l - o + low,
    ]),
    lhsDilation: p.windowStrides,
    rhsDilation: p.rhsDilation,
    dimensionNumbers: { lhsSpec: outSpec, rhsSpec: exchanged(rhsSpec), outSpec: lhsSpec },
    featureGroupCount: groups,
    batchGroupCount: 1,
    preferredElementType: null,
  });
  const x = convert(out, lhs.dtype);
  if (p.batchGroupCount === 1) return x;
  const [batch, features] = lhsSpec as [number, number];
  return foldAxis(splitAxis(x, features, groups), features, batch);
}

function cotangentOfRhs(ct: NDArray, lhs: NDArray, rhs: Aval, p: ConvParams): NDArray {
  const { lhsSpec, rhsSpec, outSpec } = p.dimensionNumbers;
  // a result without elements could need a window of size 0, and there is nothing to sum
  if (ct.size === 0) return fullLike(rhs, 0);
  const [x, g] = inOneDType(lhs, ct);
  const out = bind1(convGeneralDilatedP, [x, g], {
    windowStrides: p.rhsDilation,
    padding: transposedPadding(lhs.shape, rhs.shape, ct.shape, p, (low, l, r, o) => [
      low,
      o - l + r - low - 1,
    ]),
    lhsDilation: p.lhsDilation,
    rhsDilation: p.windowStrides,
    dimensionNumbers: {
      lhsSpec: exchanged(lhsSpec),
      rhsSpec: exchanged(outSpec),
      outSpec: exchanged(rhsSpec),
    },
    featureGroupCount: p.batchGroupCount,
    batchGroupCount: p.featureGroupCount,
    preferredElementType: null,
  });
  return convert(out, rhs.dtype);
}

// ---- batching ----

const convBatch: BatchRule<ConvParams> = (size, xs, dims, p) => {
  const [dx, dy] = dims as [number | null, number | null];
  const [lhs, rhs] = xs as [NDArray, NDArray];
  const { lhsSpec, rhsSpec, outSpec } = p.dimensionNumbers;
  const [batch, features] = lhsSpec as [number, number];
  const outputs = rhsSpec[0] as number;
  const [outBatch, outFeatures] = outSpec as [number, number];
  const conv = (u: NDArray, v: NDArray, change: Partial<ConvParams> = {}): NDArray =>
    bind1(convGeneralDilatedP, [u, v], { ...p, ...change });
  const unbatched = (v: NDArray, d: number | null): Aval =>
    v.aval.with({ shape: v.shape.filter((_, i) => i !== d) });
  if (size === 0) {
    const [out] = convGeneralDilatedP.shape([unbatched(lhs, dx), unbatched(rhs, dy)], p);
    const { shape, dtype } = out as Aval;
    return batched([full([0, ...shape], 0, dtype)], 0);
  }
  /** `v` with its axis `at` in the form [groups, mapped axis, rest], the mapped axis coming from `from`. */
  const foldInside = (v: NDArray, from: number, at: number, groups: number): NDArray => {
    if (groups === 1) return foldAxis(v, from, at);
    const split = splitAxis(v, at + (from <= at ? 1 : 0), groups);
    // the axes are now groups and rest in the place of one, beside the mapped axis
    const inner = foldAxis(split, from + (at < from ? 1 : 0), at + 1);
    return foldAxis(inner, at, at);
  };
  if (dx !== null && dy !== null) {
    // the mapped axis is one more axis of groups, the slowest
    const w = foldAxis(rhs, dy, outputs);
    const out =
      p.batchGroupCount > 1
        ? conv(foldAxis(lhs, dx, batch), w, { batchGroupCount: p.batchGroupCount * size })
        : conv(foldAxis(lhs, dx, features), w, { featureGroupCount: p.featureGroupCount * size });
    return batched([splitAxis(out, outFeatures, size)], outFeatures);
  }
  if (dx !== null) {
    const out = conv(foldInside(lhs, dx, batch, p.batchGroupCount), rhs);
    return batched([splitAxis(out, outBatch, size)], outBatch);
  }
  const groups = p.featureGroupCount * p.batchGroupCount;
  const out = conv(lhs, foldInside(rhs, dy as number, outputs, groups));
  if (groups === 1) return batched([splitAxis(out, outFeatures, size)], outFeatures);
  const split = splitAxis(splitAxis(out, outFeatures, groups), outFeatures + 1, size);
  return batched([foldAxis(split, outFeatures, outFeatures + 1)], outFeatures);
};

// ---- the primitive ----

/** out[n,o,p] = Σ_{c,r} lhs[n, c, (p·stride + r·rhsDilation − low) / lhsDilation]·rhs[o, c, r], over the input features c of the
 *  group of o; positions outside the lhs or between its dilated elements count as zero. */
export const convGeneralDilatedP: Primitive<ConvParams> = definePrimitive<ConvParams>({
  name: "conv_general_dilated",
  shape: (inputs, p) => {
    const [a, b] = inputs as [Aval, Aval];
    const dtype = productDType(op, a, b, p.preferredElementType);
    return [Aval.of(convShape(a, b, p), dtype, a.weakType && b.weakType)];
  },
  jvp: bilinearJvp,
  transpose: transposed((ct, v, p, [x, y], i) =>
    i === 0 ? cotangentOfLhs(ct, v, y as NDArray, p) : cotangentOfRhs(ct, x as NDArray, v, p),
  ),
  batch: convBatch,
  lower: (operands, results, p) => {
    const { lhsSpec, rhsSpec, outSpec } = p.dimensionNumbers;
    const [a, b, c] = [...operands, ...results] as [Aval, Aval, Aval];
    const of = (
      list: readonly number[],
      spec: readonly number[],
    ): readonly [number, number, ...number[]] => pick(list, spec) as [number, number, ...number[]];
    const [xBatch, xFeature, ...xStride] = of(stridesOf(a.shape), lhsSpec);
    const [wOutput, wInput, ...wStride] = of(stridesOf(b.shape), rhsSpec);
    const [outBatch, outFeature, ...outStride] = of(stridesOf(c.shape), outSpec);
    const [batch, , ...input] = of(a.shape, lhsSpec);
    const [outputs, inputs, ...window] = of(b.shape, rhsSpec);
    const [, , ...output] = of(c.shape, outSpec);
    return {
      kind: "conv",
      batch: { size: batch, x: xBatch, out: outBatch },
      inFeatures: { size: inputs, x: xFeature, w: wInput },
      outFeatures: { size: outputs, w: wOutput, out: outFeature },
      featureGroups: p.featureGroupCount,
      batchGroups: p.batchGroupCount,
      spatial: input.map((n, i) => ({
        input: n,
        window: window[i] as number,
        output: output[i] as number,
        stride: p.windowStrides[i] as number,
        low: (p.padding[i] as Padding)[0],
        inputDilation: p.lhsDilation[i] as number,
        windowDilation: p.rhsDilation[i] as number,
        xStride: xStride[i] as number,
        wStride: wStride[i] as number,
        outStride: outStride[i] as number,
      })),
    };
  },
});
