/** Convolution as users call it: padding and layouts by name, and the transposed convolution. */
import type { DType } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import { range } from "../shape.ts";
import { bind1 } from "../trace.ts";
import {
  type ConvDimensionNumbers,
  convGeneralDilatedP,
  exchanged,
  type Padding,
} from "./convolution.ts";
import { rev } from "./structural.ts";
import { dilate, type PaddingKind, paddingOf } from "./window-geometry.ts";

export {
  type ConvDimensionNumbers,
  convGeneralDilatedP,
  type ConvParams,
  type Padding,
} from "./convolution.ts";
export type { PaddingKind } from "./window-geometry.ts";

/** Layouts of lhs, rhs and result: `N` batch, `C` feature, `O` and `I` output and input feature, other letters spatial. */
export type ConvLayouts = readonly [lhs: string, rhs: string, out: string];

// ---- layouts ----

/** Axes by role; spatial axes in the order in which the rhs names them. */
function fromLayouts(op: string, layouts: ConvLayouts, rank: number): ConvDimensionNumbers {
  const bad = (requirement: string): never =>
    fail(
      ShapeError,
      op,
      requirement,
      `[${layouts.map((s) => `"${s}"`).join(", ")}] for rank ${rank}`,
      'write for example ["NCHW", "OIHW", "NCHW"]',
    );
  const roles = ["NC", "OI", "NC"];
  const letters = layouts.map((text, k) => {
    const role = roles[k] as string;
    if (text.length !== rank) bad("each layout must have one letter for each axis");
    if (new Set(text).size !== rank) bad("the letters of a layout must be distinct");
    if (![...role].every((r) => text.includes(r)))
      bad(`a layout must name the axes ${role[0]} and ${role[1]}`);
    return [...text].filter((ch) => !role.includes(ch));
  });
  const order = letters[1] as string[];
  if (
    letters.some((list) => list.length !== order.length || !list.every((ch) => order.includes(ch)))
  )
    bad("all layouts must have the same spatial letters");
  const [lhsSpec, rhsSpec, outSpec] = layouts.map((text, k) =>
    [...(roles[k] as string), ...order].map((ch) => text.indexOf(ch)),
  ) as [number[], number[], number[]];
  return { lhsSpec, rhsSpec, outSpec };
}
function dimensionNumbersOf(
  op: string,
  given: ConvLayouts | ConvDimensionNumbers | undefined,
  rank: number,
): ConvDimensionNumbers {
  if (given === undefined)
    return { lhsSpec: range(rank), rhsSpec: range(rank), outSpec: range(rank) };
  return "lhsSpec" in given ? given : fromLayouts(op, given, rank);
}

// ---- functions ----

export interface ConvOptions {
  /** holes between the elements of the lhs: a transposed convolution (default 1) */
  readonly lhsDilation?: readonly number[] | undefined;
  /** holes between the elements of the rhs: an atrous convolution (default 1) */
  readonly rhsDilation?: readonly number[] | undefined;
  /** layouts by letters or axes (default: batch, feature, spatial; rhs output, input, spatial) */
  readonly dimensionNumbers?: ConvLayouts | ConvDimensionNumbers | undefined;
  readonly featureGroupCount?: number | undefined;
  readonly batchGroupCount?: number | undefined;
  /** dtype of the result (default: that of the operands) */
  readonly preferredElementType?: DType | undefined;
}

/** out[n,o,p] = Σ_{c,r} lhs[n, c, (p·stride + r·rhsDilation − low) / lhsDilation]·rhs[o, c, r]: cross-correlation over any number of
 *  spatial axes, positions outside the lhs or between its dilated elements counting as zero.
 *  @param lhs      `[N, C, …]`
 *  @param rhs      `[O, C / featureGroupCount, …]`
 *  @param padding  "SAME", "SAME_LOWER", "VALID", or [low, high] for each spatial axis; negative numbers cut off
 *  @returns        `[N / batchGroupCount, O, …]`
 *  @throws         ShapeError where shapes, groups or layouts do not fit, DTypeError where dtypes differ
 *  @source         XLA's ConvWithGeneralPadding
 *  @example convGeneralDilated(np.ones([1, 3, 8, 8]), np.ones([4, 3, 3, 3]), [2, 2], "SAME").shape  // => [1, 4, 4, 4] */
export function convGeneralDilated(
  lhs: NDArray,
  rhs: NDArray,
  windowStrides: readonly number[],
  padding: PaddingKind | readonly Padding[],
  options: ConvOptions = {},
): NDArray {
  const op = "convGeneralDilated";
  const ones = range(lhs.ndim - 2).map(() => 1);
  const {
    lhsDilation = ones,
    rhsDilation = ones,
    featureGroupCount = 1,
    batchGroupCount = 1,
    preferredElementType = null,
  } = options;
  const dimensionNumbers = dimensionNumbersOf(op, options.dimensionNumbers, lhs.ndim);
  if (typeof padding === "string") {
    if (!["SAME", "SAME_LOWER", "VALID"].includes(padding))
      fail(
        ShapeError,
        op,
        'padding must be "SAME", "SAME_LOWER", "VALID" or a list of pairs',
        `"${padding}"`,
        "choose one of them",
      );
    if (lhsDilation.some((d) => d !== 1))
      fail(
        ShapeError,
        op,
        "padding must be given as pairs where the lhs is dilated",
        `"${padding}" with lhsDilation [${lhsDilation.join(",")}]`,
        "give the pairs, or use convTranspose",
      );
  }
  const { lhsSpec, rhsSpec } = dimensionNumbers;
  return bind1(convGeneralDilatedP, [lhs, rhs], {
    windowStrides,
    padding:
      typeof padding === "string"
        ? ones.map((_, i) =>
            paddingOf(
              padding,
              lhs.shape[lhsSpec[i + 2] as number] as number,
              dilate(rhs.shape[rhsSpec[i + 2] as number] as number, rhsDilation[i] as number),
              windowStrides[i] ?? 1,
            ),
          )
        : padding,
    lhsDilation,
    rhsDilation,
    dimensionNumbers,
    featureGroupCount,
    batchGroupCount,
    preferredElementType,
  });
}

type Preferred = Pick<ConvOptions, "preferredElementType">;
/** `convGeneralDilated` without dilation, in the layouts NC… and OI… */
export const conv: (
  lhs: NDArray,
  rhs: NDArray,
  windowStrides: readonly number[],
  padding: PaddingKind,
  options?: Preferred,
) => NDArray = convGeneralDilated;

/** `convGeneralDilated` in the layouts NC… and OI… */
export const convWithGeneralPadding = (
  lhs: NDArray,
  rhs: NDArray,
  windowStrides: readonly number[],
  padding: PaddingKind | readonly Padding[],
  lhsDilation: readonly number[] | null,
  rhsDilation: readonly number[] | null,
  options: Preferred = {},
): NDArray =>
  convGeneralDilated(lhs, rhs, windowStrides, padding, {
    ...options,
    lhsDilation: lhsDilation ?? undefined,
    rhsDilation: rhsDilation ?? undefined,
  });

export interface ConvTransposeOptions {
  readonly rhsDilation?: readonly number[] | undefined;
  /** default: channels last, as in TensorFlow: ["NHWC", "HWIO", "NHWC"] and its like */
  readonly dimensionNumbers?: ConvLayouts | ConvDimensionNumbers | undefined;
  /** flips the spatial axes of the rhs and exchanges its features: the gradient of a convolution with this rhs */
  readonly transposeKernel?: boolean;
  /** pairs are those of the forward convolution, as "SAME" and "VALID" always are */
  readonly useConsistentPadding?: boolean;
  readonly preferredElementType?: DType | undefined;
}
const channelsLast: { readonly [rank: number]: ConvLayouts } = {
  2: ["NC", "IO", "NC"],
  3: ["NHC", "HIO", "NHC"],
  4: ["NHWC", "HWIO", "NHWC"],
  5: ["NHWDC", "HWDIO", "NHWDC"],
};
/** Padding of the dilated input that undoes a forward convolution with window k, stride s and padding p. */
function transposedPadding(k: number, s: number, p: "SAME" | "VALID" | Padding): Padding {
  if (p === "SAME") {
    const total = k + s - 2;
    const low = s > k - 1 ? k - 1 : Math.ceil(total / 2);
    return [low, total - low];
  }
  if (p === "VALID") return [k - 1, s - 1 + Math.max(k - s, 0)];
  return [k - p[0] - 1, k - p[1] - 1];
}

/** Transposed convolution: `convGeneralDilated` of the lhs dilated by `strides`.
 *  @param padding  "SAME" or "VALID" of the forward convolution, or [low, high] for each spatial axis of the dilated
 *                  input (of the forward convolution with `useConsistentPadding`)
 *  @throws         ShapeError where shapes or layouts do not fit, DTypeError where dtypes differ
 *  @example convTranspose(np.ones([1, 4, 4, 3]), np.ones([3, 3, 3, 8]), [2, 2], "SAME").shape  // => [1, 8, 8, 8] */
export function convTranspose(
  lhs: NDArray,
  rhs: NDArray,
  strides: readonly number[],
  padding: PaddingKind | readonly Padding[],
  {
    rhsDilation,
    dimensionNumbers,
    transposeKernel = false,
    useConsistentPadding = false,
    preferredElementType,
  }: ConvTransposeOptions = {},
): NDArray {
  const op = "convTranspose";
  const layouts = dimensionNumbers ?? channelsLast[lhs.ndim];
  if (layouts === undefined || lhs.ndim !== rhs.ndim)
    return fail(
      ShapeError,
      op,
      "operands must have one rank, between 2 and 5 without dimensionNumbers",
      `${lhs.aval} and ${rhs.aval}`,
      "check the operands, or give dimensionNumbers",
    );
  const numbers = dimensionNumbersOf(op, layouts, lhs.ndim);
  const { rhsSpec } = numbers;
  const window = rhsSpec
    .slice(2)
    .map((a, i) => dilate(rhs.shape[a] as number, rhsDilation?.[i] ?? 1));
  const kinds =
    padding === "SAME" || padding === "VALID"
      ? window.map(() => padding)
      : useConsistentPadding && typeof padding !== "string"
        ? padding
        : null;
  const pairs =
    kinds === null
      ? padding
      : kinds.map((p, i) => transposedPadding(window[i] as number, strides[i] ?? 1, p));
  return convGeneralDilated(
    lhs,
    transposeKernel ? rev(rhs, rhsSpec.slice(2)) : rhs,
    strides.map(() => 1),
    pairs,
    {
      lhsDilation: strides,
      rhsDilation,
      dimensionNumbers: transposeKernel ? { ...numbers, rhsSpec: exchanged(rhsSpec) } : numbers,
      preferredElementType,
    },
  );
}
