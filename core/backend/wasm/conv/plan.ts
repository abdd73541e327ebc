/** Convolutions as matrix products that are read in place: the rows are the places (image, output position) a window is
 *  put at, the columns the output features, the summed dim runs through input feature and window. The address of an
 *  element of such a row is a sum of one number for the row and one for the place in the window, so that two tables stand
 *  for the matrix. Input that is padded or dilated is copied first, with zeros where the window sees no element. */
import { dtypes } from "../../../dtype.ts";
import type {
  ContractDim,
  ContractKernel,
  ConvKernel,
  ConvSpatial,
  LoopKernel,
} from "../../../kernel/kernel.ts";
import { elements, type GemmDType, hasGemm, tileColumns } from "../contract/element.ts";
import type { ProductName } from "../gemm.ts";
import { type CopyAxis, copyKernel } from "./copy.ts";
import { staysInside } from "./loops.ts";

/** The groups of a convolution with batch groups or feature groups, but not both. */
function groupsOf({ batch, inFeatures, outFeatures, featureGroups, batchGroups }: ConvKernel) {
  const size = featureGroups * batchGroups;
  const perGroup = outFeatures.size / size;
  const images = batch.size / batchGroups;
  const groups: Multiple = {
    size,
    x: featureGroups > 1 ? inFeatures.size * inFeatures.x : images * batch.x,
    w: perGroup * outFeatures.w,
    out: perGroup * outFeatures.out,
  };
  return { images, groups, features: { ...outFeatures, size: perGroup, x: 0 } };
}

/** A convolution by windows of one element that see only input, as the contraction that it is. */
export function pointwise(kernel: ConvKernel): ContractKernel | null {
  const { batch, inFeatures, featureGroups, batchGroups, spatial, buffers, name } = kernel;
  if (spatial.some((s) => s.window !== 1 || s.low !== 0 || s.inputDilation !== 1)) return null;
  if (!spatial.every(staysInside) || (featureGroups > 1 && batchGroups > 1)) return null;
  const { images, groups, features } = groupsOf(kernel);
  const dim = ({ size, x, w, out }: Multiple): ContractDim => ({ size, lhs: x, rhs: w, out });
  return {
    kind: "contract",
    name,
    buffers,
    batch: groups.size === 1 ? [] : [dim(groups)],
    m: [
      dim({ ...batch, size: images, w: 0 }),
      ...spatial.map((s) =>
        dim({ size: s.output, x: s.stride * s.xStride, w: 0, out: s.outStride }),
      ),
    ],
    n: [dim(features)],
    k: [dim({ ...inFeatures, out: 0 })],
  };
}

/** An axis of the rows (image, output position) or of the summed dim (input feature, window). */
export interface Axis {
  readonly size: number;
  /** element strides: in the input or its copy; in the weights (summed) or the output (rows) */
  readonly from: number;
  readonly other: number;
}

/** A number of columns, or of products, with the element strides between them. */
interface Multiple {
  readonly size: number;
  readonly x: number;
  readonly w: number;
  readonly out: number;
}

export interface ConvPlan {
  readonly kernel: ConvKernel;
  readonly dtype: GemmDType;
  readonly product: ProductName;
  /** the columns of a product: the features of a group, or, where those are few, the groups; `lanes`: then each column reads
   *  input of its own */
  readonly columns: Multiple;
  readonly lanes: boolean;
  /** products: the groups, or the features of a group */
  readonly repeats: Multiple;
  /** copies one image, from a position of the first spatial axis on; null where the input is read itself */
  readonly copy: LoopKernel | null;
  /** elements of a copied image */
  readonly imageSize: number;
  /** rows in order; images, positions of the first spatial axis and input features are made at most so many at a time */
  readonly rows: readonly { readonly axis: Axis; readonly role: "image" | "first" | "other" }[];
  readonly images: number;
  readonly positions: number;
  readonly features: number;
  /** axes of the summed dim, by falling stride in the weights: one by one, in chunks, whole */
  readonly outer: readonly Axis[];
  readonly chunked: { readonly axis: Axis; readonly step: number };
  readonly inner: readonly Axis[];
}

/** Groups of so few features leave a tile mostly empty. */
const fewFeatures = 2;
/** Smaller ones are loops. */
const leastWork = 4096;
/** the most of the summed dim that is taken at a time */
export const mostDepth = 512;
/** entries of the tables of rows */
export const mostRows = 2 ** 14;
/** bytes for copied images */
export const imageBytes: number = 3 * 2 ** 20;

export const product = (list: readonly { readonly size: number }[]): number =>
  list.reduce((p, a) => p * a.size, 1);
/** The largest step up to `most` that cuts `size` into nearly equal pieces. */
const evenStep = (size: number, most: number): number =>
  Math.ceil(size / Math.ceil(size / Math.max(1, Math.min(most, size))));

/** Cells of a dilated input that `outputs` positions of the window see. */
const reach = (s: ConvSpatial, outputs: number): number =>
  (outputs - 1) * s.stride + (s.window - 1) * s.windowDilation + 1;

/** The largest divisor of n up to `most`. */
function divisor(n: number, most: number): number {
  let d = Math.max(1, Math.min(n, Math.floor(most)));
  while (n % d !== 0) d--;
  return d;
}

/** How a convolution is done by products, or null where loops serve better. */
export function planConv(kernel: ConvKernel): ConvPlan | null {
  const { inFeatures, outFeatures, featureGroups, batchGroups, spatial, buffers } = kernel;
  const { dtype } = buffers[2];
  if (!hasGemm(dtype) || buffers.some((b) => b.dtype !== dtype)) return null;
  if (featureGroups > 1 && batchGroups > 1) return null;
  const { images, groups, features } = groupsOf(kernel);
  const sums = images * outFeatures.size * spatial.reduce((p, s) => p * s.output, 1);
  if (sums * spatial.reduce((p, s) => p * s.window, inFeatures.size) < leastWork) return null;
  const few = features.size <= fewFeatures && groups.size > features.size;
  return (few ? planProducts(kernel, dtype, true) : null) ?? planProducts(kernel, dtype, false);
}

function planProducts(kernel: ConvKernel, dtype: GemmDType, lanes: boolean): ConvPlan | null {
  const { batch, inFeatures, spatial } = kernel;
  const { images, groups, features: ofGroup } = groupsOf(kernel);
  const area = spatial.reduce((p, s) => p * s.output, 1);
  const { bytes } = dtypes[dtype];

  const copied = lanes || spatial.some((s) => !staysInside(s) || s.inputDilation !== 1);
  const first = (spatial[0] as ConvSpatial).output;
  /** an image, with so many positions of the first axis and input features at a time */
  const layout = (positions: number, features: number) => {
    const axes: CopyAxis[] = [
      { at: -1, size: features, x: inFeatures.x },
      ...spatial.map((s, at) => ({
        at,
        size: reach(s, at === 0 ? positions : s.output),
        x: s.xStride,
      })),
    ].sort((a, b) => b.x - a.x);
    // groups lie side by side, in whole tiles
    if (lanes) axes.push({ ...groups, at: -2 });
    const width = tileColumns(elements[dtype]);
    const strides = new Map<number, number>();
    let imageSize = 1;
    for (const { at, size } of [...axes].reverse()) {
      strides.set(at, imageSize);
      imageSize *= at === -2 ? Math.ceil(size / width) * width : size;
    }
    return { axes, strides, imageSize };
  };
  const fits = (positions: number, features: number): boolean =>
    (area / first) * positions <= mostRows &&
    (!copied || layout(positions, features).imageSize * bytes <= imageBytes);
  let [positions, features] = [first, inFeatures.size];
  while (!fits(positions, features)) {
    if (positions > 8 || (positions > 1 && features === 1)) positions = Math.ceil(positions / 2);
    else if (features > 1) features = divisor(inFeatures.size, features - 1);
    else return null;
  }
  const { axes, strides, imageSize } = layout(positions, features);
  const atOnce = Math.min(
    Math.floor(mostRows / area),
    copied ? Math.floor(imageBytes / (imageSize * bytes)) : mostRows,
  );

  const stride = (at: number): number =>
    copied
      ? (strides.get(at) as number)
      : at < 0
        ? inFeatures.x
        : (spatial[at] as ConvSpatial).xStride;
  const rows: ConvPlan["rows"] = [
    {
      role: "image" as const,
      axis: { size: images, from: copied ? imageSize : batch.x, other: batch.out },
    },
    ...spatial
      .map((s, i) => ({
        role: i === 0 ? ("first" as const) : ("other" as const),
        axis: { size: s.output, from: s.stride * stride(i), other: s.outStride },
      }))
      .sort((a, b) => b.axis.other - a.axis.other),
  ];
  const summed = [
    { size: features, from: stride(-1), other: inFeatures.w },
    ...spatial.map((s, i) => ({
      size: s.window,
      from: s.windowDilation * stride(i),
      other: s.wStride,
    })),
  ]
    .filter((a) => a.size > 1)
    .sort((a, b) => b.other - a.other);
  if (summed.length === 0) summed.push({ size: 1, from: 0, other: 0 });
  let at = summed.length - 1;
  while (at > 0 && product(summed.slice(at)) * 2 <= mostDepth) at--;
  const inner = summed.slice(at + 1);
  const chunked = summed[at] as Axis;
  return {
    kernel,
    dtype,
    product: `${dtype}.${lanes ? "lanes" : "patches"}`,
    columns: lanes ? groups : ofGroup,
    lanes,
    repeats: lanes ? ofGroup : groups,
    copy: copied ? copyKernel(kernel, axes, imageSize) : null,
    imageSize,
    rows,
    images: positions < first ? 1 : evenStep(images, atOnce),
    positions,
    features,
    outer: summed.slice(0, at),
    chunked: {
      axis: chunked,
      step: evenStep(chunked.size, Math.floor(mostDepth / product(inner))),
    },
    inner,
  };
}
