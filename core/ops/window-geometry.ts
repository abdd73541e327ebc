/** Sliding windows: their parameters, places and elements. */
import type { Aval } from "../aval.ts";
import { dtypes, isFloat } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { type Shape, showShape } from "../shape.ts";

export interface WindowParams {
  readonly windowDimensions: Shape;
  readonly windowStrides: readonly number[];
  /** elements added (or taken away, where negative) before and after each axis */
  readonly padding: readonly (readonly [number, number])[];
  readonly baseDilation: readonly number[];
  readonly windowDilation: readonly number[];
}

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

/** The window does not extend along the batch axis. */
export function withBatch(p: WindowParams, at: number): WindowParams {
  const insert = <T>(list: readonly T[], value: T): T[] => [
    ...list.slice(0, at),
    value,
    ...list.slice(at),
  ];
  return {
    windowDimensions: insert(p.windowDimensions, 1),
    windowStrides: insert(p.windowStrides, 1),
    padding: insert<readonly [number, number]>(p.padding, [0, 0]),
    baseDilation: insert(p.baseDilation, 1),
    windowDilation: insert(p.windowDilation, 1),
  };
}

/** "ge" picks the largest element of a window, "le" the smallest */
export type Selector = "ge" | "le";
/** What every element beats or equals. */
export const lowest = (d: Aval["dtype"], select: Selector): number =>
  select === "ge"
    ? isFloat(d)
      ? Number.NEGATIVE_INFINITY
      : dtypes[d].min
    : isFloat(d)
      ? Number.POSITIVE_INFINITY
      : dtypes[d].max;
