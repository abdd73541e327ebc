/** Samples of reductions over windows and of the two operations that carry the gradient of pooling. */
import type { NDArray } from "../../core/ndarray.ts";
import {
  reduceWindowMax,
  reduceWindowMin,
  reduceWindowSum,
  type WindowOptions,
  windowParams,
} from "../../core/ops/window.ts";
import { selectAndGatherAddP, selectAndScatterAddP } from "../../core/ops/window-select.ts";
import { bind1 } from "../../core/trace.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
const narrow = { noNumericGrad: "16-bit floats are too coarse" };
const tie = { noNumericGrad: "a kink: equal elements" };

const tuple = (xs: readonly number[]): string => `(${xs.map((x) => `${x},`).join("")})`;
/** The Python of all window parameters; dilations only where an operation takes them. */
function python(shape: readonly number[], options: WindowOptions, dilations: boolean): string {
  const p = windowParams(shape, options);
  const padding = `(${p.padding.map((x) => `${tuple(x)},`).join("")})`;
  const first = [tuple(p.windowDimensions), tuple(p.windowStrides), padding];
  return [...first, ...(dilations ? [tuple(p.baseDilation), tuple(p.windowDilation)] : [])].join(
    ", ",
  );
}

const kinds = {
  reduce_window_sum: { f: reduceWindowSum, init: () => "0", by: "lax.add" },
  reduce_window_max: {
    f: reduceWindowMax,
    init: (float: boolean) => (float ? "-np.inf" : "jnp.iinfo(a.dtype).min"),
    by: "lax.max",
  },
  reduce_window_min: {
    f: reduceWindowMin,
    init: (float: boolean) => (float ? "np.inf" : "jnp.iinfo(a.dtype).max"),
    by: "lax.min",
  },
} as const;

const windows = (Object.keys(kinds) as (keyof typeof kinds)[]).flatMap((primitive) => {
  const { f, init, by } = kinds[primitive];
  const of = (
    name: string,
    x: Arg,
    options: WindowOptions,
    more: Partial<Sample> = {},
  ): Sample => ({
    primitive,
    name,
    args: [x],
    apply: (v) => f(v as NDArray, options),
    jax: `lax.reduce_window(a, np.array(${init(/float/.test(x.dtype))}, a.dtype), ${by}, ${python(x.shape, options, true)})`,
    ...more,
  });
  const extremum = primitive !== "reduce_window_sum";
  return [
    of("a vector", arg([6]), { windowDimensions: [3] }),
    of("strides", arg([7], "float64"), { windowDimensions: [3], windowStrides: [2] }),
    of("two axes", arg([3, 4]), { windowDimensions: [2, 2] }),
    of("pooling an image", arg([1, 4, 4, 2], "float64"), {
      windowDimensions: [1, 2, 2, 1],
      windowStrides: [1, 2, 2, 1],
    }),
    of("padding, SAME", arg([5]), { windowDimensions: [3], windowStrides: [2], padding: "SAME" }),
    of("padding, explicit", arg([4], "float64"), { windowDimensions: [2], padding: [[1, 2]] }),
    of("window dilation", arg([6]), { windowDimensions: [2], windowDilation: [3] }),
    of("base dilation", arg([4]), { windowDimensions: [3], baseDilation: [2] }),
    of("a window of size 1", arg([2, 3]), { windowDimensions: [1, 1] }),
    of("a window too large", arg([2]), { windowDimensions: [3] }),
    of("no elements", arg([0, 2]), { windowDimensions: [1, 2] }),
    of("a size-1 axis", arg([1, 3]), { windowDimensions: [1, 2] }),
    of("NaN and infinities", arg([6], "float32", [1, nan, 2, inf, -inf, 0]), {
      windowDimensions: [2],
    }),
    of(
      "equal elements",
      arg([5], "float32", [1, 1, 2, 2, 1]),
      { windowDimensions: [3] },
      extremum ? tie : {},
    ),
    of("float16", arg([4], "float16"), { windowDimensions: [2] }, narrow),
    of("bfloat16", arg([4], "bfloat16"), { windowDimensions: [2] }, narrow),
    of("int32", arg([2, 4], "int32"), { windowDimensions: [2, 3] }),
    of("uint8", arg([4], "uint8"), { windowDimensions: [2] }),
  ];
});

const selects = (["ge", "le"] as const).flatMap((select) => {
  const gather = (
    name: string,
    shape: readonly number[],
    options: WindowOptions,
    more: Partial<Sample> = {},
  ): Sample => ({
    primitive: "select_and_gather_add",
    name: `${select}: ${name}`,
    args: [arg(shape), arg(shape)],
    apply: (t, x) =>
      bind1(selectAndGatherAddP, [t as NDArray, x as NDArray], {
        ...windowParams(shape, options),
        select,
      }),
    jax: `windows._select_and_gather_add(a, b, lax.${select}_p, ${python(shape, options, true)})`,
    grad: [0],
    ...more,
  });
  const scatter = (
    name: string,
    source: readonly number[],
    shape: readonly number[],
    options: WindowOptions,
    more: Partial<Sample> = {},
  ): Sample => ({
    primitive: "select_and_scatter_add",
    name: `${select}: ${name}`,
    args: [arg(source), arg(shape)],
    apply: (s, x) =>
      bind1(selectAndScatterAddP, [s as NDArray, x as NDArray], {
        ...windowParams(shape, options),
        select,
      }),
    jax: `windows._select_and_scatter_add(a, b, lax.${select}_p, ${python(shape, options, false)})`,
    grad: [0],
    ...more,
  });
  return [
    gather("a vector", [6], { windowDimensions: [3] }),
    gather("two axes with strides", [4, 4], { windowDimensions: [2, 2], windowStrides: [2, 2] }),
    gather("padding", [5], { windowDimensions: [3], windowStrides: [2], padding: "SAME" }),
    scatter("a vector", [4], [6], { windowDimensions: [3] }),
    scatter("two axes with strides", [2, 2], [4, 4], {
      windowDimensions: [2, 2],
      windowStrides: [2, 2],
    }),
    scatter("padding", [3], [5], { windowDimensions: [3], windowStrides: [2], padding: "SAME" }),
    scatter("size 1", [1, 2], [1, 2], { windowDimensions: [1, 1] }),
  ];
});

export const samples: readonly Sample[] = [...windows, ...selects];
