/** Entries along an axis, by their positions; positions in a sorted vector, by its elements. Composites of gathers. */
import { Literal, type NDArray } from "../ndarray.ts";
import { range, type Shape } from "../shape.ts";
import { add, sub } from "./arithmetic.ts";
import { and, le } from "./compare.ts";
import { gather, type GatherOptions } from "./gather.ts";
import { expandDims, full } from "./linear.ts";
import { selectN } from "./structural.ts";

/** out[…before, …indices, …after] = x[…before, indices[…indices], …after] along `axis` */
export function takeRows(
  x: NDArray,
  indices: NDArray,
  axis: number,
  mode: NonNullable<GatherOptions["mode"]> = "clip",
): NDArray {
  const kept = range(x.ndim - 1);
  return gather(x, expandDims(indices, [indices.ndim]), {
    dimensionNumbers: {
      offsetDims: kept.map((i) => (i < axis ? i : i + indices.ndim)),
      collapsedSliceDims: [axis],
      startIndexMap: [axis],
    },
    sliceSizes: x.shape.map((n, i) => (i === axis ? 1 : n)),
    mode,
  });
}

/** How many elements of a sorted vector stand before each of as many places as `shape` has, int32. `before` tells whether an
 *  element does; no element does that stands after one that does not. */
export function countBefore(
  sorted: NDArray,
  shape: Shape,
  before: (element: NDArray) => NDArray,
): NDArray {
  const n = sorted.size;
  const int = (k: number): Literal => new Literal(k, "int32");
  // bit by bit from the highest
  let count = full(shape, 0, "int32");
  for (let bit = n === 0 ? 0 : 2 ** Math.floor(Math.log2(n)); bit >= 1; bit /= 2) {
    const more = add(count, int(bit));
    const last = takeRows(sorted, sub(more, int(1)), 0);
    count = selectN(and(le(more, int(n)), before(last)), [count, more]);
  }
  return count;
}
