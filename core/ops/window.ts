/** Reductions over sliding windows, and what pooling needs for its gradient. */
import type { Aval } from "../aval.ts";
import { dtypes, isFloat } from "../dtype.ts";
import { fail, ShapeError } from "../errors.ts";
import * as K from "../kernel/expr.ts";
import { type Expr, KVar } from "../kernel/expr.ts";
import { loop, set, type Stmt, when } from "../kernel/kernel.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  type LinearInput,
  noRule,
  type Primitive,
  type ShapeRule,
  type Tangent,
  Zero,
} from "../primitive.ts";
import { type Shape, shapesEqual, showShape, stridesOf } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { max, min } from "./arithmetic.ts";
import { add } from "./field.ts";
import { linearJvp, moveBatch } from "./linear.ts";
import { checkClass, type DTypeClass } from "./rules.ts";
import { pad } from "./structural.ts";

export interface WindowParams {
  readonly windowDimensions: Shape;
  readonly windowStrides: readonly number[];
  /** elements added (or taken away, where negative) before and after each axis */
  readonly padding: readonly (readonly [number, number])[];
  readonly baseDilation: readonly number[];
  readonly windowDilation: readonly number[];
}

const dilate = (n: number, by: number): number => (n === 0 ? 0 : (n - 1) * by + 1);

/** Sizes of the result: one element for each place of the window. */
function windowShape(op: string, shape: Shape, p: WindowParams): number[] {
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
function element(
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
    // without padding every element of every window is there
    if (low !== 0 || high > 0)
      inside = K.and(
        inside,
        K.and(K.compare("ge", q, K.int(0)), K.compare("lt", q, K.int(dilate(n, dilation)))),
      );
    if (dilation === 1) return q;
    inside = K.and(inside, K.compare("eq", K.rem(q, K.int(dilation)), K.int(0)));
    return K.div(q, K.int(dilation));
  });
  return { inside, index };
}

/** The window does not extend along the batch axis. */
function withBatch(p: WindowParams, at: number): WindowParams {
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

const windowRule =
  (name: string, accepts: DTypeClass): ShapeRule<WindowParams> =>
  ([x], p) => {
    checkClass(name, accepts, x as Aval);
    return [(x as Aval).with({ shape: windowShape(name, (x as Aval).shape, p) })];
  };
const windowBatch =
  (apply: (x: NDArray, p: WindowParams) => NDArray): BatchRule<WindowParams> =>
  (_size, [x], [d], p) => ({
    outs: [apply(x as NDArray, withBatch(p, d as number))],
    dims: [d as number],
  });

// ---- sum ----

/** Σ over each window. */
export const reduceWindowSumP: Primitive<WindowParams> = definePrimitive<WindowParams>({
  name: "reduce_window_sum",
  shape: windowRule("reduceWindowSum", "number"),
  jvp: linearJvp((x, p) => bind1(reduceWindowSumP, [x], p)),
  transpose: ([ct], [x], p) => {
    const { aval } = x as LinearInput;
    if (ct instanceof Zero) return [new Zero(aval)];
    const c = ct as NDArray;
    // windows over the cotangent, dilated by the strides
    const config = aval.shape.map((n, i) => {
      const [low] = p.padding[i] as readonly [number, number];
      const stride = p.windowStrides[i] as number;
      const span = dilate(p.windowDimensions[i] as number, p.windowDilation[i] as number);
      const before = span - low - 1;
      const after =
        dilate(n, p.baseDilation[i] as number) +
        span -
        1 -
        dilate(c.shape[i] as number, stride) -
        before;
      return [before, after, stride - 1] as const;
    });
    const spread = pad(c, new Literal(0, c.dtype), config);
    const ones = aval.shape.map(() => 1);
    if (aval.size === 0) return [new Zero(aval)];
    return [
      bind1(reduceWindowSumP, [spread], {
        windowDimensions: p.windowDimensions,
        windowStrides: p.baseDilation,
        padding: ones.map(() => [0, 0] as const),
        baseDilation: ones,
        windowDilation: p.windowDilation,
      }),
    ];
  },
  batch: windowBatch((x, p) => bind1(reduceWindowSumP, [x], p)),
  lower: ([x], _outs, p) => {
    const { shape, dtype } = x as Aval;
    const acc =
      dtype === "float32" ? "float64" : isFloat(dtype) && dtype !== "float64" ? "float32" : dtype;
    return {
      kind: "reduce",
      extents: p.windowDimensions,
      init: () => [K.lit(0, acc)],
      step: ([sum], place, r, read) => {
        const { inside, index } = element(shape, p, place, r);
        return [K.add(sum as Expr, K.cast(K.cond(inside, read(0, index), K.lit(0, dtype)), acc))];
      },
      finish: ([sum]) => [K.cast(sum as Expr, dtype)],
    };
  },
});

// ---- extrema ----

type Selector = "ge" | "le";
const lowest = (d: Aval["dtype"], select: Selector): number =>
  select === "ge"
    ? isFloat(d)
      ? Number.NEGATIVE_INFINITY
      : dtypes[d].min
    : isFloat(d)
      ? Number.POSITIVE_INFINITY
      : dtypes[d].max;

function windowExtremum(name: string, select: Selector): Primitive<WindowParams> {
  const primitive: Primitive<WindowParams> = definePrimitive<WindowParams>({
    name,
    shape: windowRule(name, "any"),
    jvp: ([x], [t], p) => {
      const out = bind1(primitive, [x as NDArray], p);
      if (t instanceof Zero || !isFloat(out.dtype))
        return { outs: [out], tangents: [new Zero(out.aval)] };
      return {
        outs: [out],
        tangents: [bind1(selectAndGatherAddP, [t as NDArray, x as NDArray], { ...p, select })],
      };
    },
    transpose: noRule("it is not linear"),
    batch: windowBatch((x, p) => bind1(primitive, [x], p)),
    lower: ([x], _outs, p) => {
      const { shape, dtype } = x as Aval;
      const start = K.lit(lowest(dtype, select), dtype);
      return {
        kind: "reduce",
        extents: p.windowDimensions,
        init: () => [start],
        step: ([best], place, r, read) => {
          const { inside, index } = element(shape, p, place, r);
          const value = K.cond(inside, read(0, index), start);
          return [select === "ge" ? K.max(best as Expr, value) : K.min(best as Expr, value)];
        },
      };
    },
  });
  return primitive;
}
/** Largest element of each window. The gradient goes to the first of equal elements. */
export const reduceWindowMaxP: Primitive<WindowParams> = windowExtremum("reduce_window_max", "ge");
/** Smallest element of each window. The gradient goes to the first of equal elements. */
export const reduceWindowMinP: Primitive<WindowParams> = windowExtremum("reduce_window_min", "le");

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

// ---- functions ----

export type WindowPadding =
  | "SAME"
  | "SAME_LOWER"
  | "VALID"
  | readonly (readonly [number, number])[];
export interface WindowOptions {
  readonly windowDimensions: Shape;
  /** default 1 */
  readonly windowStrides?: readonly number[];
  /** "SAME" keeps ⌈size/stride⌉ places, an odd element of padding after ("SAME_LOWER": before) the others;
   *  "VALID" (default) adds nothing */
  readonly padding?: WindowPadding;
  readonly baseDilation?: readonly number[];
  readonly windowDilation?: readonly number[];
}
/** All parameters, with defaults and named paddings worked out. */
export function windowParams(shape: Shape, o: WindowOptions): WindowParams {
  const ones = shape.map(() => 1);
  const windowStrides = o.windowStrides ?? ones;
  const baseDilation = o.baseDilation ?? ones;
  const windowDilation = o.windowDilation ?? ones;
  const padding =
    o.padding === undefined || o.padding === "VALID"
      ? shape.map(() => [0, 0] as const)
      : typeof o.padding !== "string"
        ? o.padding
        : shape.map((n, i) => {
            const space = dilate(n, baseDilation[i] as number);
            const span = dilate(o.windowDimensions[i] as number, windowDilation[i] as number);
            const stride = windowStrides[i] as number;
            const total = Math.max(0, (Math.ceil(space / stride) - 1) * stride + span - space);
            const less = Math.floor(total / 2);
            return o.padding === "SAME"
              ? ([less, total - less] as const)
              : ([total - less, less] as const);
          });
  return {
    windowDimensions: o.windowDimensions,
    windowStrides,
    padding,
    baseDilation,
    windowDilation,
  };
}
/** Σ over sliding windows.
 *  @example reduceWindowSum(np.ones([4]), { windowDimensions: [2] }).toArray()  // => [2, 2, 2] */
export const reduceWindowSum = (x: NDArray, options: WindowOptions): NDArray =>
  bind1(reduceWindowSumP, [x], windowParams(x.shape, options));
/** Largest elements of sliding windows.
 *  @example reduceWindowMax(np.array([1, 3, 2]), { windowDimensions: [2] }).toArray()  // => [3, 3] */
export const reduceWindowMax = (x: NDArray, options: WindowOptions): NDArray =>
  bind1(reduceWindowMaxP, [x], windowParams(x.shape, options));
/** Smallest elements of sliding windows.
 *  @example reduceWindowMin(np.array([1, 3, 2]), { windowDimensions: [2] }).toArray()  // => [1, 2] */
export const reduceWindowMin = (x: NDArray, options: WindowOptions): NDArray =>
  bind1(reduceWindowMinP, [x], windowParams(x.shape, options));

/** What a window is folded with. */
export type WindowComputation = "add" | "max" | "min";
/** Each sliding window folded with `computation`, from `init` on: init ∘ x₁ ∘ x₂ ∘ …. Padding does not take part.
 *  0 for "add" and ∓∞ (or the extreme integer) for "max" and "min" change nothing.
 *  @param init  a number, rounded to the dtype of `x`
 *  @throws      ShapeError where windows do not fit the axes, DTypeError for sums of bool or a fractional `init`
 *               beside integers
 *  @example reduceWindow(np.array([1, 3, 2]), 10, "add", { windowDimensions: [2] }).toArray()  // => [14, 15] */
export function reduceWindow(
  x: NDArray,
  init: number,
  computation: WindowComputation,
  options: WindowOptions,
): NDArray {
  if (computation === "add") {
    const out = reduceWindowSum(x, options);
    return init === 0 ? out : add(out, init);
  }
  const select = computation === "max" ? "ge" : "le";
  const out = (select === "ge" ? reduceWindowMax : reduceWindowMin)(x, options);
  if (init === lowest("float64", select) || init === lowest(x.dtype, select)) return out;
  return (select === "ge" ? max : min)(out, init);
}
