/** Reductions over sliding windows. */
import type { Aval } from "../aval.ts";
import * as K from "../kernel/expr.ts";
import type { Expr } from "../kernel/expr.ts";
import { Literal, type NDArray } from "../ndarray.ts";
import {
  definePrimitive,
  type JvpRule,
  type NoRule,
  type Primitive,
  type TransposeRule,
  Zero,
} from "../primitive.ts";
import type { Shape } from "../shape.ts";
import { bind1 } from "../trace.ts";
import { max, min } from "./arithmetic.ts";
import { batchOne } from "./axes.ts";
import { checkClass } from "./checks.ts";
import { add } from "./field.ts";
import { type Fold, largest, smallest, sum } from "./fold.ts";
import { dual, linearJvp, nonlinear, transposed } from "./linearity.ts";
import { pad } from "./structural.ts";
import {
  dilate,
  element,
  foldOf,
  type PaddingKind,
  paddingOf,
  type Selector,
  type WindowParams,
  windowShape,
  withBatch,
} from "./window-geometry.ts";
import { selectAndGatherAddP } from "./window-select.ts";

/** A fold over each window. */
function windowed(
  name: string,
  { accepts, wide, init, step }: Fold,
  jvp: JvpRule<WindowParams>,
  transpose: TransposeRule<WindowParams> | NoRule,
): Primitive<WindowParams> {
  return definePrimitive<WindowParams>({
    name,
    shape: ([x], p) => {
      const a = x as Aval;
      checkClass(name, accepts, a);
      return [a.with({ shape: windowShape(name, a.shape, p) })];
    },
    jvp,
    transpose,
    batch: batchOne((p, at) => [withBatch(p, at)]),
    lower: ([x], _outs, p) => {
      const { shape, dtype } = x as Aval;
      const acc = wide(dtype);
      return {
        kind: "reduce",
        extents: p.windowDimensions,
        init: () => [K.lit(init(dtype), acc)],
        step: ([sofar], place, r, read) => {
          const { inside, index } = element(shape, p, place, r);
          const value = K.cond(inside, read(0, index), K.lit(init(dtype), dtype));
          return [step(sofar as Expr, K.cast(value, acc))];
        },
        finish: ([total]) => [K.cast(total as Expr, dtype)],
      };
    },
  });
}

/** Σ over each window. */
export const reduceWindowSumP: Primitive<WindowParams> = windowed(
  "reduce_window_sum",
  sum,
  linearJvp,
  transposed((ct, x, p) => {
    if (x.size === 0) return new Zero(x);
    // windows over the cotangent, dilated by the strides
    const config = x.shape.map((n, i) => {
      const [low] = p.padding[i] as readonly [number, number];
      const stride = p.windowStrides[i] as number;
      const span = dilate(p.windowDimensions[i] as number, p.windowDilation[i] as number);
      const before = span - low - 1;
      const after =
        dilate(n, p.baseDilation[i] as number) +
        span -
        1 -
        dilate(ct.shape[i] as number, stride) -
        before;
      return [before, after, stride - 1] as const;
    });
    return reduceWindowSum(pad(ct, new Literal(0, ct.dtype), config), {
      windowDimensions: p.windowDimensions,
      windowStrides: p.baseDilation,
      windowDilation: p.windowDilation,
    });
  }),
);

const windowExtremum = (name: string, select: Selector): Primitive<WindowParams> =>
  windowed(
    name,
    foldOf(select),
    ([x], [t], p, primitive) =>
      dual(
        bind1(primitive, [x as NDArray], p),
        bind1(selectAndGatherAddP, [t as NDArray, x as NDArray], { ...p, select }),
      ),
    nonlinear,
  );
/** Largest element of each window. The gradient goes to the first of equal elements. */
export const reduceWindowMaxP = windowExtremum("reduce_window_max", "ge");
/** Smallest element of each window. The gradient goes to the first of equal elements. */
export const reduceWindowMinP = windowExtremum("reduce_window_min", "le");

// ---- functions ----

export type WindowPadding = PaddingKind | readonly (readonly [number, number])[];
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
  const { padding: given = "VALID" } = o;
  const padding =
    typeof given === "string"
      ? shape.map((n, i) =>
          paddingOf(
            given,
            dilate(n, baseDilation[i] as number),
            dilate(o.windowDimensions[i] as number, windowDilation[i] as number),
            windowStrides[i] as number,
          ),
        )
      : given;
  return {
    windowDimensions: o.windowDimensions,
    windowStrides,
    padding,
    baseDilation,
    windowDilation,
  };
}
const windows =
  (p: Primitive<WindowParams>) =>
  (x: NDArray, options: WindowOptions): NDArray =>
    bind1(p, [x], windowParams(x.shape, options));
/** Σ over sliding windows.
 *  @example reduceWindowSum(np.ones([4]), { windowDimensions: [2] }).toArray()  // => [2, 2, 2] */
export const reduceWindowSum = windows(reduceWindowSumP);
/** Largest elements of sliding windows.
 *  @example reduceWindowMax(np.array([1, 3, 2]), { windowDimensions: [2] }).toArray()  // => [3, 3] */
export const reduceWindowMax = windows(reduceWindowMaxP);
/** Smallest elements of sliding windows.
 *  @example reduceWindowMin(np.array([1, 3, 2]), { windowDimensions: [2] }).toArray()  // => [1, 2] */
export const reduceWindowMin = windows(reduceWindowMinP);

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
  const isMax = computation === "max";
  const out = (isMax ? reduceWindowMax : reduceWindowMin)(x, options);
  const none = (isMax ? largest : smallest).init;
  if (init === none("float64") || init === none(x.dtype)) return out;
  return (isMax ? max : min)(out, init);
}
