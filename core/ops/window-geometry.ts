/** Sliding windows: their parameters, places and elements. */
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { type Shape, showShape } from "../shape.ts";
import { inserted } from "./axes.ts";
import { type Fold, largest, smallest } from "./fold.ts";

export interface WindowParams {
  readonly windowDimensions: Shape;
  readonly windowStrides: readonly number[];
  /** elements added (or taken away, where negative) before and after each axis */
  readonly padding: readonly (readonly [number, number])[];
  readonly baseDilation: readonly number[];
  readonly windowDilation: readonly number[];
}

/** Size of an axis with `by − 1` holes between its elements. */
export const dilate = (n: number, by: number): number => (n === 0 ? 0 : (n - 1) * by + 1);

/** Sizes of the result: one element for each place of the window. */
export function windowShape(op: string, shape: Shape, p: WindowParams): number[] {
  const lists = [p.windowDimensions, p.windowStrides, p.padding, p.baseDilation, p.windowDilation];
  if (lists.some((l) => l.length !== shape.length))
    fail(
      ShapeError,
      op,
      "window dimensions, strides, padding and dilations must have one entry for each axis",
      `${lists.map((l) => l.length).join(", ")} entries for ${showShape(shape)}`,
      "use size 1 for axes that are not windowed",
    );
  for (const l of [p.windowDimensions, p.windowStrides, p.baseDilation, p.windowDilation])
    if (!l.every((n) => Number.isInteger(n) && n >= 1))
      fail(
        ShapeError,
        op,
        "window sizes, strides and dilations must be whole numbers ≥ 1",
        showShape(l),
        "check them",
      );
  if (!p.padding.every(([low, high]) => Number.isInteger(low) && Number.isInteger(high)))
    fail(
      ShapeError,
      op,
      "padding must be whole numbers",
      p.padding.map(showShape).join(" "),
      "give two whole numbers for each axis",
    );
  return shape.map((n, i) => {
    const [low, high] = p.padding[i] as readonly [number, number];
    const space = dilate(n, p.baseDilation[i] as number) + low + high;
    const span = dilate(p.windowDimensions[i] as number, p.windowDilation[i] as number);
    return space < span ? 0 : Math.floor((space - span) / (p.windowStrides[i] as number)) + 1;
  });
}

/** Index into the operand of element r of the window at `place`, and whether there is one. */
export function element(
  shape: Shape,
  p: WindowParams,
  place: readonly Expr[],
  r: readonly Expr[],
): { inside: Expr; index: Expr[] } {
  let inside: Expr = K.lit(1, "bool");
  const index = shape.map((n, i) => {
    const [low, high] = p.padding[i] as readonly [number, number];
    const dilation = p.baseDilation[i] as number;
    const q = K.add(
      K.add(
        K.mul(place[i] as Expr, K.int(p.windowStrides[i] as number)),
        K.mul(r[i] as Expr, K.int(p.windowDilation[i] as number)),
      ),
      K.int(-low),
    );
    // tests only where some place of the window needs them
    const offsets = r[i] as Expr;
    const [first, last] = K.isLit(offsets)
      ? [offsets.value, offsets.value]
      : [0, (p.windowDimensions[i] as number) - 1];
    const space = dilate(n, dilation);
    const [stride, spread] = [p.windowStrides[i] as number, p.windowDilation[i] as number];
    const span = dilate(p.windowDimensions[i] as number, spread);
    const furthest = Math.floor((space + low + high - span) / stride) * stride;
    if (first * spread < low) inside = K.and(inside, K.compare("ge", q, K.int(0)));
    if (furthest + last * spread - low >= space)
      inside = K.and(inside, K.compare("lt", q, K.int(space)));
    if (dilation === 1) return q;
    inside = K.and(inside, K.compare("eq", K.rem(q, K.int(dilation)), K.int(0)));
    return K.div(q, K.int(dilation));
  });
  return { inside, index };
}

/** The same change to each list of `p`; it also gets what the list has where nothing is windowed. */
export const mapLists = <P extends WindowParams>(
  p: P,
  change: <T>(list: readonly T[], none: T) => readonly T[],
): P => ({
  ...p,
  windowDimensions: change(p.windowDimensions, 1),
  windowStrides: change(p.windowStrides, 1),
  padding: change<readonly [number, number]>(p.padding, [0, 0]),
  baseDilation: change(p.baseDilation, 1),
  windowDilation: change(p.windowDilation, 1),
});
/** The window does not extend along the batch axis. */
export const withBatch = <P extends WindowParams>(p: P, at: number): P =>
  mapLists(p, (list, none) => inserted(list, at, none));

/** "VALID" adds nothing; "SAME" keeps ⌈size/stride⌉ places, an odd element of padding after ("SAME_LOWER": before) the
 *  others. */
export type PaddingKind = "SAME" | "VALID" | "SAME_LOWER";
/** Padding of an axis for windows that span `span` elements. */
export function paddingOf(
  kind: PaddingKind,
  size: number,
  span: number,
  stride: number,
): readonly [number, number] {
  if (kind === "VALID") return [0, 0];
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + span - size);
  const less = Math.floor(total / 2);
  return kind === "SAME" ? [less, total - less] : [total - less, less];
}

/** "ge" picks the largest element of a window, "le" the smallest */
export type Selector = "ge" | "le";
export const foldOf = (select: Selector): Fold => (select === "ge" ? largest : smallest);
