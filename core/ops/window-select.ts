/** The elements that extrema of windows come from: what pooling needs for its tangent and its gradient. */
import type { Aval } from "../aval.ts";
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import { type Expr, KVar } from "../kernel/expr.ts";
import { loop, set, type Stmt, when } from "../kernel/kernel.ts";
import type { NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  type LinearInput,
  type Primitive,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { type Shape, shapesEqual, showShape, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { moveBatch } from "./linear.ts";
import { checkClass } from "./rules.ts";
import {
  element,
  lowest,
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

const selectBatch =
  (get: () => Primitive<SelectParams>): BatchRule<SelectParams> =>
  (size, xs, dims, p) => {
    const at = dims.find((d) => d !== null) as number;
    const aligned = xs.map((x, i) => moveBatch(x, dims[i] as number | null, at, size));
    return {
      outs: [bind1(get(), aligned, { ...withBatch(p, at), select: p.select })],
      dims: [at],
    };
  };
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
export const selectAndGatherAddP: Primitive<SelectParams> = definePrimitive<SelectParams>({
  name: "select_and_gather_add",
  shape: ([t, operand], p) => {
    const [a, x] = [t as Aval, operand as Aval];
    checkSource("selectAndGatherAdd", a, x.shape, "the tangent");
    return [a.with({ shape: windowShape("selectAndGatherAdd", x.shape, p) })];
  },
  jvp: ([t, x], [dt], p) => {
    const out = bind1(selectAndGatherAddP, [t as NDArray, x as NDArray], p);
    const tangent: Tangent =
      dt instanceof Zero
        ? new Zero(out.aval)
        : bind1(selectAndGatherAddP, [dt as NDArray, x as NDArray], p);
    return { outs: [out], tangents: [tangent] };
  },
  transpose: ([ct], [t, x], p) => [
    ct instanceof Zero
      ? new Zero((t as LinearInput).aval)
      : bind1(selectAndScatterAddP, [ct as NDArray, x as NDArray], p),
    null,
  ],
  batch: selectBatch(() => selectAndGatherAddP),
  lower: ([t, operand], _outs, p) => {
    const { shape, dtype } = operand as Aval;
    const start = K.lit(lowest(dtype, p.select), dtype);
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
});

/** Adds source[p] to the place of the extremum of `operand` in window p: the gradient of pooling. */
export const selectAndScatterAddP: Primitive<SelectParams> = definePrimitive<SelectParams>({
  name: "select_and_scatter_add",
  shape: ([source, operand], p) => {
    const [s, x] = [source as Aval, operand as Aval];
    checkClass("selectAndScatterAdd", "number", s);
    checkSource(
      "selectAndScatterAdd",
      s,
      windowShape("selectAndScatterAdd", x.shape, p),
      "the source",
    );
    return [s.with({ shape: x.shape })];
  },
  jvp: ([s, x], [ds], p) => {
    const out = bind1(selectAndScatterAddP, [s as NDArray, x as NDArray], p);
    const tangent: Tangent =
      ds instanceof Zero
        ? new Zero(out.aval)
        : bind1(selectAndScatterAddP, [ds as NDArray, x as NDArray], p);
    return { outs: [out], tangents: [tangent] };
  },
  transpose: ([ct], [s, x], p) => [
    ct instanceof Zero
      ? new Zero((s as LinearInput).aval)
      : bind1(selectAndGatherAddP, [ct as NDArray, x as NDArray], p),
    null,
  ],
  batch: selectBatch(() => selectAndScatterAddP),
  lower: ([source, operand], _outs, p) => {
    const [s, x] = [source as Aval, operand as Aval];
    const strides = stridesOf(x.shape);
    return {
      kind: "routine",
      build: ([from, values], [out]) => {
        if (from === undefined || values === undefined || out === undefined) return [];
        const zero = loop(x.size, (i) => [out.store(i, K.lit(0, s.dtype))]);
        if (s.size === 0 || x.size === 0) return [zero];
        const best = new KVar(x.dtype, "best");
        const at = new KVar("int32", "at");
        const value = new KVar(x.dtype, "value");
        const position = new KVar("int32", "position");
        const nest = (
          sizes: Shape,
          body: (index: readonly Expr[]) => readonly Stmt[],
        ): readonly Stmt[] => {
          const go = (axis: number, index: readonly Expr[]): readonly Stmt[] =>
            axis === sizes.length
              ? body(index)
              : sizes[axis] === 1
                ? go(axis + 1, [...index, K.int(0)])
                : [loop(sizes[axis] as number, (v) => go(axis + 1, [...index, v]))];
          return go(0, []);
        };
        return [
          zero,
          ...nest(s.shape, (place) => [
            set(best, K.lit(lowest(x.dtype, p.select), x.dtype)),
            set(at, K.int(-1)),
            ...nest(p.windowDimensions, (r) => {
              const { inside, index } = element(x.shape, p, place, r);
              return [
                when(inside, [
                  set(position, K.linearIndex(index, strides)),
                  set(value, values.at(position)),
                  when(K.or(K.compare("lt", at, K.int(0)), replaces(p.select, value, best)), [
                    set(best, value),
                    set(at, position),
                  ]),
                ]),
              ];
            }),
            when(K.compare("ge", at, K.int(0)), [
              out.store(at, K.add(out.at(at), from.at(K.linearIndex(place, stridesOf(s.shape))))),
            ]),
          ]),
        ];
      },
    };
  },
});
