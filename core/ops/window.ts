/** Reductions over sliding windows. */
import type { Aval } from "../aval.ts";
import { isFloat } from "../dtype.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  type BatchRule,
  definePrimitive,
  type LinearInput,
  noRule,
  type Primitive,
  type ShapeRule,
  Zero,
} from "../primitive.ts";
import type { Shape } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { max, min } from "./arithmetic.ts";
import { add } from "./field.ts";
import { linearJvp } from "./linear.ts";
import { checkClass, type DTypeClass } from "./rules.ts";
import { pad } from "./structural.ts";
import {
  dilate,
  element,
  lowest,
  type Selector,
  type WindowParams,
  windowShape,
  withBatch,
} from "./window-geometry.ts";
import { selectAndGatherAddP } from "./window-select.ts";

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
