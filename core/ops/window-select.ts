/** The elements that extrema of windows come from: what pooling needs for its tangent and its gradient. */
import type { Aval } from "../aval.ts";
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import { type Expr, KVar } from "../kernel/expr.ts";
import { type Buf, loop, parallel, set, type Stmt, when } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import { definePrimitive, type LowerRule, type Primitive, type ShapeRule } from "../primitive.ts";
import { type Shape, shapesEqual, showShape, sizeOf, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { box } from "./axes.ts";
import { checkClass } from "./checks.ts";
import { batchAligned } from "./linear.ts";
import { linearJvp, transposed } from "./linearity.ts";
import {
  dilate,
  element,
  foldOf,
  mapLists,
  type Selector,
  type WindowParams,
  windowShape,
  withBatch,
} from "./window-geometry.ts";

export interface SelectParams extends WindowParams {
  /** "ge" picks the largest element of a window, "le" the smallest; the first of equal ones */
  readonly select: Selector;
}
/** candidate replaces best: strictly better, or not comparable. NaN never stays, as in XLA's select-and-scatter. */
const replaces = (select: Selector, candidate: Expr, best: Expr): Expr =>
  K.unary("not", K.compare(select, best, candidate));

/** A primitive that is linear in its first operand, selects by its second, and is transposed to its `partner`. */
function selecting(
  name: string,
  partner: () => Primitive<SelectParams>,
  shape: ShapeRule<SelectParams>,
  lower: LowerRule<SelectParams>,
): Primitive<SelectParams> {
  return definePrimitive<SelectParams>({
    name,
    shape,
    jvp: linearJvp,
    transpose: transposed((ct, _x, p, [, operand]) =>
      bind1(partner(), [ct, operand as NDArray], p),
    ),
    batch: batchAligned(withBatch),
    lower,
  });
}
function checkSource(op: string, source: Aval, shape: Shape, what: string): void {
  if (!shapesEqual(source.shape, shape))
    fail(
      ShapeError,
      op,
      `${what} must have the shape ${showShape(shape)}`,
      String(source),
      "check the window parameters",
    );
}

/** out[p] = t[i], i being the place of the extremum of `operand` in window p (the first one, row by row): the tangent
 *  of pooling. */
export const selectAndGatherAddP: Primitive<SelectParams> = selecting(
  "select_and_gather_add",
  () => selectAndScatterAddP,
  (inputs, p) => {
    const [a, x] = inputs as [Aval, Aval];
    checkSource("selectAndGatherAdd", a, x.shape, "the tangent");
    return [a.with({ shape: windowShape("selectAndGatherAdd", x.shape, p) })];
  },
  ([t, operand], _outs, p) => {
    const { shape, dtype } = operand as Aval;
    const start = K.lit(foldOf(p.select).init(dtype), dtype);
    const none = K.lit(0, (t as Aval).dtype);
    return {
      kind: "reduce",
      extents: p.windowDimensions,
      // whether anything was seen, the best value, its tangent
      init: () => [K.lit(0, "bool"), start, none],
      step: ([seen, best, tangent], place, r, read) => {
        const { inside, index } = element(shape, p, place, r);
        const value = K.cond(inside, read(1, index), start);
        const other = K.cond(inside, read(0, index), none);
        const take = K.and(
          inside,
          K.or(K.unary("not", seen as Expr), replaces(p.select, value, best as Expr)),
        );
        return [
          K.or(seen as Expr, inside),
          K.select(take, value, best as Expr),
          K.select(take, other, tangent as Expr),
        ];
      },
      finish: ([, , tangent]) => [tangent as Expr],
    };
  },
);

/** Adds source[p] to the place of the extremum of `operand` in window p: the gradient of pooling. */
export const selectAndScatterAddP: Primitive<SelectParams> = selecting(
  "select_and_scatter_add",
  () => selectAndGatherAddP,
  (inputs, p) => {
    const [s, x] = inputs as [Aval, Aval];
    checkClass("selectAndScatterAdd", "number", s);
    checkSource(
      "selectAndScatterAdd",
      s,
      windowShape("selectAndScatterAdd", x.shape, p),
      "the source",
    );
    return [s.with({ shape: x.shape })];
  },
  (inputs, _outs, p) => {
    const [s, x] = inputs as [Aval, Aval];
    return {
      kind: "routine",
      build: ([from, values], [out]) =>
        scatterNest(from as Buf, values as Buf, out as Buf, s.shape, x.shape, p),
    };
  },
);

// ---- loops of the gradient ----

/** Windows of at most so many elements are written out. */
const fewElements = 16;

/** The multi-indices of a box, in row-major order. */
const cells = (sizes: Shape): readonly (readonly Expr[])[] =>
  sizes.reduce<readonly (readonly Expr[])[]>(
    (list, n) =>
      list.flatMap((at) => Array.from({ length: n }, (_, i): readonly Expr[] => [...at, K.int(i)])),
    [[]],
  );

/** Windows of the axis do not overlap, and have nothing but elements of it. */
const isTiled = (p: WindowParams, i: number): boolean => {
  const [low, high] = p.padding[i] as readonly [number, number];
  const span = dilate(p.windowDimensions[i] as number, p.windowDilation[i] as number);
  const stride = p.windowStrides[i] as number;
  return low === 0 && high === 0 && p.baseDilation[i] === 1 && span <= stride;
};
/** Windows do not extend along the axis: its elements and its places are the same. */
const isSingle = (p: WindowParams, i: number): boolean => isTiled(p, i) && p.windowStrides[i] === 1;

/** Slabs of the leading axes that windows do not extend along are independent of each other. Each is cleared, and its
 *  windows add to it one after the other; small windows that do not overlap write all of their elements instead. */
function scatterNest(
  from: Buf,
  values: Buf,
  out: Buf,
  allPlaces: Shape,
  allShape: Shape,
  all: SelectParams,
): readonly Stmt[] {
  if (out.length === 0) return [];
  let lead = 0;
  while (lead < allShape.length && isSingle(all, lead)) lead++;
  const p = mapLists(all, (list) => list.slice(lead));
  const [shape, places] = [allShape.slice(lead), allPlaces.slice(lead)];
  const [strides, placeStrides] = [stridesOf(shape), stridesOf(places)];
  const size = sizeOf(shape);
  const isSmall = sizeOf(p.windowDimensions) <= fewElements;
  const isDisjoint = isSmall && shape.every((_, i) => isTiled(p, i));
  const isCovered =
    isDisjoint &&
    shape.every((n, i) => (places[i] as number) * (p.windowDimensions[i] as number) === n);
  const zero = K.lit(0, from.dtype);
  const start = K.lit(foldOf(p.select).init(values.dtype), values.dtype);

  const slab = (number: Expr): readonly Stmt[] => {
    const base = K.mul(number, K.int(size));
    const elementOf = (
      place: readonly Expr[],
      r: readonly Expr[],
    ): { inside: Expr; position: Expr } => {
      const { inside, index } = element(shape, p, place, r);
      return { inside, position: K.add(base, K.linearIndex(index, strides)) };
    };
    const cotangent = (place: readonly Expr[]): Expr =>
      from.at(K.add(K.mul(number, K.int(sizeOf(places))), K.linearIndex(place, placeStrides)));

    /** `name` of the chosen one among the elements of a small window, −1 where there is none */
    const choice = (
      place: readonly Expr[],
      name: (position: Expr, ordinal: number) => Expr,
    ): Expr => {
      let best = start;
      let at: Expr = K.int(-1);
      let isSeen = false;
      cells(p.windowDimensions).forEach((r, k) => {
        const { inside, position } = elementOf(place, r);
        const value = K.cond(inside, values.at(position), start);
        const wins = replaces(p.select, value, best);
        const take = isSeen
          ? K.and(inside, wins)
          : k === 0
            ? inside
            : K.and(inside, K.or(K.compare("lt", at, K.int(0)), wins));
        if (K.isLit(inside, 1)) isSeen = true;
        best = K.select(take, value, best);
        at = K.select(take, name(position, k), at);
      });
      return at;
    };
    const write = (place: readonly Expr[]): readonly Stmt[] => {
      const ordinal = choice(place, (_, k) => K.int(k));
      const value = K.add(zero, cotangent(place));
      return cells(p.windowDimensions).map((r, k) =>
        out.store(
          elementOf(place, r).position,
          K.select(K.compare("eq", ordinal, K.int(k)), value, zero),
        ),
      );
    };
    const at = new KVar("int32", "at");
    const search = (place: readonly Expr[]): readonly Stmt[] => {
      if (isSmall)
        return [
          set(
            at,
            choice(place, (position) => position),
          ),
        ];
      const [best, value] = [new KVar(values.dtype, "best"), new KVar(values.dtype, "value")];
      return [
        set(best, start),
        set(at, K.int(-1)),
        ...box(p.windowDimensions, (r) => {
          const { inside, position } = elementOf(place, r);
          const wins = replaces(p.select, value, best);
          return [
            when(inside, [
              set(value, values.at(position)),
              when(K.or(K.compare("lt", at, K.int(0)), wins), [
                set(best, value),
                set(at, position),
              ]),
            ]),
          ];
        }),
      ];
    };
    const scatter = (place: readonly Expr[]): readonly Stmt[] => [
      ...search(place),
      when(K.compare("ge", at, K.int(0)), [out.store(at, K.add(out.at(at), cotangent(place)))]),
    ];
    const clear = loop(size, (i) => [out.store(K.add(base, i), zero)]);
    const windows = isDisjoint ? box(places, write, parallel) : box(places, scatter);
    return isCovered ? windows : [clear, ...windows];
  };
  return box([sizeOf(allShape.slice(0, lead))], ([number]) => slab(number as Expr), parallel);
}
