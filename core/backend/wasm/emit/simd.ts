/** Shuffles of vectors. */
const bytesOf = (width: number, lanes: readonly number[]): readonly number[] =>
  lanes.flatMap((lane) => Array.from({ length: width }, (_, b) => lane * width + b));
/** Byte positions for `Code.shuffle`; lanes of the second vector follow those of the first. */
export const positions = {
  /** the upper half of the first vector, moved down */
  upper: bytesOf(8, [1, 1]),
  /** the lower halves of two vectors */
  lowerHalves: bytesOf(8, [0, 2]),
  /** the upper 32 bits of the four 64-bit lanes of two vectors */
  odd: bytesOf(4, [1, 3, 5, 7]),
  /** the lower 32 bits */
  even: bytesOf(4, [0, 2, 4, 6]),
  /** elements 0, 2, 4, 6 where the second vector begins with element 3 */
  everySecond: bytesOf(4, [0, 2, 5, 7]),
  /** lanes of two vectors in turn, from the lower and from the upper halves */
  turns: [bytesOf(4, [0, 4, 1, 5]), bytesOf(4, [2, 6, 3, 7])],
  reverse32: bytesOf(4, [3, 2, 1, 0]),
  reverse64: bytesOf(8, [1, 0]),
  /** lanes one down, the lowest of the second vector above them */
  rotate32: bytesOf(4, [1, 2, 3, 4]),
  rotate64: bytesOf(8, [1, 2]),
};
