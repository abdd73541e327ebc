/** Samples of dynamic slices, gather and the scatters. The Python text is written from the same options. */
import type { NDArray } from "../../core/ndarray.ts";
import { gather, gatherAlong, type GatherOptions } from "../../core/ops/gather.ts";
import { dynamicSlice, dynamicUpdateSlice } from "../../core/ops/indexing.ts";
import {
  scatter,
  scatterAdd,
  scatterMax,
  scatterMin,
  scatterMul,
  type ScatterOptions,
  scatterSub,
} from "../../core/ops/scatter.ts";
import { type Arg, arg, type Sample } from "./sample.ts";

type Extra = Partial<Pick<Sample, "grad" | "noNumericGrad" | "ulp">>;
const tuple = (list: readonly number[] = []): string => `(${list.map((n) => `${n},`).join("")})`;
const modes = { clip: "clip", fill: "fill", promise: "promise_in_bounds" } as const;
const int = (value: number): Arg => arg([], "int32", [value]);
const ints = (shape: readonly number[], ...values: number[]): Arg => arg(shape, "int32", values);

// ---- dynamic slices ----

const letters = (n: number, from: number): string =>
  [..."abcdefghij"].slice(from, from + n).join(", ");
function slice(name: string, x: Arg, starts: readonly number[], sizes: readonly number[]): Sample {
  return {
    primitive: "dynamic_slice",
    name,
    args: [x, ...starts.map(int)],
    apply: (a, ...s) => dynamicSlice(a as NDArray, s, sizes),
    jax: `lax.dynamic_slice_p.bind(${letters(starts.length + 1, 0)}, slice_sizes=${tuple(sizes)})`,
  };
}
function update(name: string, x: Arg, u: Arg, starts: readonly number[]): Sample {
  return {
    primitive: "dynamic_update_slice",
    name,
    args: [x, u, ...starts.map(int)],
    apply: (a, b, ...s) => dynamicUpdateSlice(a as NDArray, b as NDArray, s),
    jax: `lax.dynamic_update_slice_p.bind(${letters(starts.length + 2, 0)})`,
  };
}

// ---- gather and scatter ----

function gatherOf(
  name: string,
  x: Arg,
  indices: Arg,
  options: GatherOptions,
  extra: Extra = {},
): Sample {
  const d = options.dimensionNumbers;
  const fill = options.fillValue === undefined ? "" : `, fill_value=${options.fillValue}`;
  return {
    primitive: "gather",
    name,
    args: [x, indices],
    apply: (a, i) => gather(a as NDArray, i as NDArray, options),
    jax:
      `lax.gather(a, b, lax.GatherDimensionNumbers(${tuple(d.offsetDims)}, ${tuple(d.collapsedSliceDims)}, ` +
      `${tuple(d.startIndexMap)}, ${tuple(d.operandBatchingDims)}, ${tuple(d.startIndicesBatchingDims)}), ` +
      `${tuple(options.sliceSizes)}, mode="${modes[options.mode ?? "promise"]}"${fill})`,
    ...extra,
  };
}

const scatters = {
  scatter: ["scatter", scatter],
  "scatter-add": ["scatter_add", scatterAdd],
  "scatter-sub": ["scatter_sub", scatterSub],
  "scatter-mul": ["scatter_mul", scatterMul],
  "scatter-min": ["scatter_min", scatterMin],
  "scatter-max": ["scatter_max", scatterMax],
} as const;
function scatterOf(
  primitive: keyof typeof scatters,
  name: string,
  args: readonly [x: Arg, indices: Arg, updates: Arg],
  options: ScatterOptions,
  extra: Extra = {},
): Sample {
  const d = options.dimensionNumbers;
  const [python, apply] = scatters[primitive];
  return {
    primitive,
    name,
    args,
    apply: (x, i, u) => apply(x as NDArray, i as NDArray, u as NDArray, options),
    jax:
      `lax.${python}(a, b, c, lax.ScatterDimensionNumbers(${tuple(d.updateWindowDims)}, ${tuple(d.insertedWindowDims)}, ` +
      `${tuple(d.scatterDimsToOperandDims)}, ${tuple(d.operandBatchingDims)}, ${tuple(d.scatterIndicesBatchingDims)}), ` +
      `mode="${modes[options.mode ?? "fill"]}", unique_indices=${options.uniqueIndices ? "True" : "False"})`,
    ...extra,
  };
}

/** Single elements of a vector. */
const elements = { offsetDims: [], collapsedSliceDims: [0], startIndexMap: [0] };
/** Rows of a matrix. */
const rows = { offsetDims: [1], collapsedSliceDims: [0], startIndexMap: [0] };
/** Boxes of a matrix. */
const boxes = { offsetDims: [1, 2], collapsedSliceDims: [], startIndexMap: [0, 1] };
/** One element of each row. */
const inRows = {
  offsetDims: [],
  collapsedSliceDims: [1],
  startIndexMap: [1],
  operandBatchingDims: [0],
  startIndicesBatchingDims: [0],
};
/** … with the batch of the indices behind another axis, and windows of two. */
const windowsInRows = {
  offsetDims: [0],
  collapsedSliceDims: [],
  startIndexMap: [1],
  operandBatchingDims: [0],
  startIndicesBatchingDims: [1],
};

const intoElements = {
  updateWindowDims: [],
  insertedWindowDims: [0],
  scatterDimsToOperandDims: [0],
};
const intoRows = { updateWindowDims: [1], insertedWindowDims: [0], scatterDimsToOperandDims: [0] };
const intoBoxes = {
  updateWindowDims: [1, 2],
  insertedWindowDims: [],
  scatterDimsToOperandDims: [0, 1],
};
const intoTransposed = {
  updateWindowDims: [0],
  insertedWindowDims: [1],
  scatterDimsToOperandDims: [1],
};
const intoEachRow = {
  updateWindowDims: [],
  insertedWindowDims: [1],
  scatterDimsToOperandDims: [1],
  operandBatchingDims: [0],
  scatterIndicesBatchingDims: [0],
};

const ties = "a tie at a sample point";

export const samples: readonly Sample[] = [
  slice("inside", arg([5]), [1], [3]),
  slice("clamped below and above", arg([4, 5]), [-2, 4], [2, 3]),
  slice("whole axes", arg([2, 3], "float64"), [1, -1], [2, 3]),
  slice("one element of bfloat16", arg([3, 2], "bfloat16"), [2, 1], [1, 1]),
  slice("integers", arg([6], "uint8"), [4], [2]),
  slice("no elements", arg([3, 2]), [1, 1], [0, 2]),
  slice("a scalar", arg([]), [], []),
  update("inside", arg([5]), arg([2]), [1]),
  update("clamped below and above", arg([4, 5], "float64"), arg([2, 3], "float64"), [-2, 4]),
  update("the whole operand", arg([2, 3]), arg([2, 3]), [1, 1]),
  update("bool", arg([4], "bool"), arg([2], "bool"), [7]),
  update("float16", arg([3, 2], "float16"), arg([1, 2], "float16"), [1, 0]),
  update("no elements", arg([3, 2]), arg([0, 2]), [1, 1]),
  update("a scalar", arg([]), arg([]), []),

  gatherOf("elements, one twice", arg([4]), ints([3, 1], 2, 0, 2), {
    dimensionNumbers: elements,
    sliceSizes: [1],
  }),
  gatherOf("elements, clipped", arg([4], "float64"), ints([4, 1], -1, 4, 3, 100), {
    dimensionNumbers: elements,
    sliceSizes: [1],
    mode: "clip",
  }),
  gatherOf("elements, filled with NaN", arg([4]), ints([4, 1], -1, 4, 3, 0), {
    dimensionNumbers: elements,
    sliceSizes: [1],
    mode: "fill",
  }),
  gatherOf("elements, filled with a number", arg([4], "bfloat16"), ints([3, 1], 1, 7, 0), {
    dimensionNumbers: elements,
    sliceSizes: [1],
    mode: "fill",
    fillValue: 5,
  }),
  ...(["int32", "uint8", "bool"] as const).map((dtype) =>
    gatherOf(`${dtype}, filled`, arg([3], dtype), ints([2, 1], 1, 3), {
      dimensionNumbers: elements,
      sliceSizes: [1],
      mode: "fill",
    }),
  ),
  gatherOf("rows at a block of indices", arg([4, 3]), ints([2, 2, 1], 3, 0, 1, 3), {
    dimensionNumbers: { offsetDims: [2], collapsedSliceDims: [0], startIndexMap: [0] },
    sliceSizes: [1, 3],
  }),
  gatherOf("boxes, one clipped", arg([4, 5]), ints([3, 2], 0, 1, 3, 4, 2, -1), {
    dimensionNumbers: boxes,
    sliceSizes: [2, 3],
    mode: "clip",
  }),
  gatherOf("boxes, one filled", arg([4, 5], "float64"), ints([3, 2], 0, 1, 3, 2, 2, 2), {
    dimensionNumbers: boxes,
    sliceSizes: [2, 3],
    mode: "fill",
  }),
  gatherOf("window axes before, indices in reverse order", arg([3, 4]), ints([2, 2], 1, 2, 3, 0), {
    dimensionNumbers: { offsetDims: [0], collapsedSliceDims: [1], startIndexMap: [1, 0] },
    sliceSizes: [2, 1],
    mode: "clip",
  }),
  gatherOf("one element of each row", arg([3, 4]), ints([3, 1], 2, 0, 3), {
    dimensionNumbers: inRows,
    sliceSizes: [1, 1],
  }),
  gatherOf("windows in each row", arg([3, 4]), ints([2, 3, 1], 2, 0, 3, 1, 1, -1), {
    dimensionNumbers: windowsInRows,
    sliceSizes: [1, 2],
    mode: "clip",
  }),
  gatherOf("a single index", arg([4, 2], "float16"), ints([1], 2), {
    dimensionNumbers: { offsetDims: [0], collapsedSliceDims: [0], startIndexMap: [0] },
    sliceSizes: [1, 2],
  }),
  gatherOf("no indices", arg([4, 2]), ints([0, 1]), {
    dimensionNumbers: rows,
    sliceSizes: [1, 2],
    mode: "clip",
  }),
  gatherOf("no elements in a window", arg([4, 2]), ints([2, 1], 0, 1), {
    dimensionNumbers: rows,
    sliceSizes: [1, 0],
    mode: "clip",
  }),
  {
    primitive: "gather",
    name: "along an axis",
    args: [arg([2, 4]), ints([2, 3], 3, 0, 0, 2, 1, 2)],
    apply: (x, i) => gatherAlong(x as NDArray, i as NDArray, 1),
    jax: "jnp.take_along_axis(a, b, 1)",
  },

  scatterOf("scatter", "elements", [arg([5]), ints([2, 1], 3, 0), arg([2])], {
    dimensionNumbers: intoElements,
  }),
  scatterOf(
    "scatter",
    "elements, one twice: the last stays",
    [arg([4]), ints([3, 1], 2, 0, 2), arg([3])],
    {
      dimensionNumbers: intoElements,
    },
  ),
  scatterOf(
    "scatter",
    "rows, one outside",
    [arg([3, 2], "float64"), ints([3, 1], 2, 3, 0), arg([3, 2], "float64")],
    {
      dimensionNumbers: intoRows,
    },
  ),
  scatterOf(
    "scatter",
    "overlapping boxes, clipped",
    [arg([4, 4]), ints([2, 2], 1, 1, 9, -3), arg([2, 2, 2])],
    {
      dimensionNumbers: intoBoxes,
      mode: "clip",
    },
  ),
  scatterOf("scatter", "unique indices", [arg([5]), ints([2, 1], 4, 1), arg([2])], {
    dimensionNumbers: intoElements,
    uniqueIndices: true,
  }),
  scatterOf("scatter", "one element of each row", [arg([3, 4]), ints([3, 1], 2, 0, 3), arg([3])], {
    dimensionNumbers: intoEachRow,
  }),
  scatterOf("scatter", "bool", [arg([3], "bool"), ints([1, 1], 1), arg([1], "bool", [1])], {
    dimensionNumbers: intoElements,
  }),
  scatterOf("scatter", "no updates", [arg([3]), ints([0, 1]), arg([0])], {
    dimensionNumbers: intoElements,
  }),
  // JAX cannot differentiate it: its rule gathers from the empty operand
  scatterOf(
    "scatter",
    "an empty operand",
    [arg([0]), ints([2, 1], 0, 1), arg([2])],
    { dimensionNumbers: intoElements },
    { grad: [] },
  ),

  ...(["scatter-add", "scatter-sub"] as const).flatMap((p) => [
    scatterOf(p, "elements, one twice", [arg([4]), ints([3, 1], 2, 0, 2), arg([3])], {
      dimensionNumbers: intoElements,
    }),
    scatterOf(p, "elements, one outside", [arg([4]), ints([3, 1], -1, 0, 4), arg([3])], {
      dimensionNumbers: intoElements,
    }),
    scatterOf(
      p,
      "elements, clipped",
      [arg([4], "float64"), ints([3, 1], -1, 0, 4), arg([3], "float64")],
      {
        dimensionNumbers: intoElements,
        mode: "clip",
      },
    ),
    scatterOf(
      p,
      "overlapping boxes",
      [arg([4, 4]), ints([3, 2], 1, 1, 0, 2, 3, 3), arg([3, 2, 2])],
      {
        dimensionNumbers: intoBoxes,
      },
    ),
    scatterOf(p, "window axes before", [arg([3, 4]), ints([2, 1], 3, 1), arg([3, 2])], {
      dimensionNumbers: intoTransposed,
    }),
    scatterOf(p, "one element of each row", [arg([3, 4]), ints([3, 1], 2, 0, 3), arg([3])], {
      dimensionNumbers: intoEachRow,
    }),
    scatterOf(
      p,
      "integers wrap",
      [arg([2], "int8", [127, -128]), ints([2, 1], 0, 1), arg([2], "int8", [1, 1])],
      {
        dimensionNumbers: intoElements,
      },
    ),
    scatterOf(p, "float16", [arg([3, 2], "float16"), ints([2, 1], 2, 0), arg([2, 2], "float16")], {
      dimensionNumbers: intoRows,
    }),
    scatterOf(p, "no updates", [arg([3]), ints([0, 1]), arg([0])], {
      dimensionNumbers: intoElements,
    }),
  ]),

  scatterOf("scatter-mul", "unique elements", [arg([4]), ints([2, 1], 2, 0), arg([2])], {
    dimensionNumbers: intoElements,
    uniqueIndices: true,
  }),
  scatterOf(
    "scatter-mul",
    "unique rows, one outside",
    [arg([3, 2], "float64"), ints([2, 1], 1, 3), arg([2, 2], "float64")],
    {
      dimensionNumbers: intoRows,
      uniqueIndices: true,
    },
  ),
  scatterOf(
    "scatter-mul",
    "elements, one twice",
    [arg([4]), ints([3, 1], 2, 0, 2), arg([3])],
    { dimensionNumbers: intoElements },
    { grad: [0] },
  ),
  scatterOf(
    "scatter-mul",
    "integers",
    [arg([4], "int32"), ints([3, 1], 2, 0, 2), arg([3], "int32")],
    {
      dimensionNumbers: intoElements,
    },
  ),

  ...(["scatter-min", "scatter-max"] as const).flatMap((p) => [
    scatterOf(p, "elements, one twice", [arg([4]), ints([4, 1], 2, 0, 2, 1), arg([4])], {
      dimensionNumbers: intoElements,
    }),
    scatterOf(
      p,
      "ties among the updates and with the operand",
      [
        arg([4], "float64", [1, 2, 3, 4]),
        ints([7, 1], 0, 0, 1, 1, 2, 2, 2),
        arg([7], "float64", [1, 1, 2, 5, 0, 0, 9]),
      ],
      { dimensionNumbers: intoElements },
      { noNumericGrad: ties },
    ),
    scatterOf(
      p,
      "rows, one outside",
      [arg([3, 2], "float64"), ints([3, 1], 2, 3, 0), arg([3, 2], "float64")],
      {
        dimensionNumbers: intoRows,
      },
    ),
    scatterOf(
      p,
      "overlapping boxes, clipped",
      [arg([4, 4]), ints([2, 2], 1, 1, 0, 2), arg([2, 2, 2])],
      {
        dimensionNumbers: intoBoxes,
        mode: "clip",
      },
    ),
    scatterOf(p, "one element of each row", [arg([3, 4]), ints([3, 1], 2, 0, 3), arg([3])], {
      dimensionNumbers: intoEachRow,
    }),
    scatterOf(
      p,
      "NaN and infinities",
      [
        arg([4], "float32", [NaN, 0, Infinity, 1]),
        ints([4, 1], 0, 1, 2, 3),
        arg([4], "float32", [1, NaN, -Infinity, 0]),
      ],
      { dimensionNumbers: intoElements },
      { grad: [] },
    ),
    scatterOf(
      p,
      "unsigned",
      [arg([3], "uint32"), ints([3, 1], 2, 2, 0), arg([3], "uint32", [9, 0, 4294967295])],
      {
        dimensionNumbers: intoElements,
      },
    ),
    scatterOf(p, "no updates", [arg([3]), ints([0, 1]), arg([0])], {
      dimensionNumbers: intoElements,
    }),
  ]),
];
