import * as E from "fp-ts/lib/Either.js";
import { describe, expect, test } from "vitest";
import { decodeIdx, loadDigits } from "../examples/mnist/data.ts";
import { drawReport } from "../examples/mnist/picture.ts";

/** IDX: magic 0 0 8 rank, big-endian sizes, bytes. */
const idx = (sizes: readonly number[], data: readonly number[], magic = [0, 0, 8]): Uint8Array =>
  Uint8Array.from([
    ...magic,
    sizes.length,
    ...sizes.flatMap((s) => [s >>> 24, (s >>> 16) & 255, (s >>> 8) & 255, s & 255]),
    ...data,
  ]);
const reason = (file: Uint8Array): string => {
  const decoded = decodeIdx(file);
  return E.isLeft(decoded) ? decoded.left : "accepted";
};

describe("IDX files", () => {
  test("are sizes and bytes", () => {
    expect(decodeIdx(idx([2, 3], [1, 2, 3, 4, 5, 6]))).toEqual(
      E.right({ sizes: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) }),
    );
    expect(decodeIdx(idx([0, 28, 28], []))).toEqual(
      E.right({ sizes: [0, 28, 28], data: new Uint8Array(0) }),
    );
  });
  test("a file cut anywhere, or longer by a byte, is refused", () => {
    const file = idx([2, 3], [1, 2, 3, 4, 5, 6]);
    for (let n = 0; n < file.length; n++)
      expect(reason(file.subarray(0, n)), `${n} bytes`).not.toBe("accepted");
    expect(reason(idx([2, 3], [1, 2, 3, 4, 5, 6, 7]))).toBe("sizes 2×3 need 6 bytes, 7 are there");
  });
  test("the magic number is checked", () => {
    expect(reason(idx([1], [1], [0, 0, 9]))).toBe("not an IDX file of unsigned bytes");
    expect(reason(idx([1], [1], [31, 139, 8]))).toBe("not an IDX file of unsigned bytes");
  });
  test("sizes whose product exceeds the file are refused without allocating", () => {
    expect(reason(idx([2 ** 32 - 1, 2 ** 32 - 1], [1]))).toContain("need");
  });
});

describe("the digits", () => {
  test("are complete, and the first ones are those of the published files", () => {
    const digits = loadDigits();
    expect([digits.train.count, digits.test.count]).toEqual([60_000, 10_000]);
    expect(digits.train.images.length).toBe(60_000 * 784);
    expect([...digits.train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect([...digits.test.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
  });
});

describe("the picture", () => {
  const images = new Uint8Array(3 * 784);
  images[784 + 28 * 2 + 3] = 255;
  const report = {
    losses: [2, 1, 0.5, 0.25],
    accuracies: [0.5, 0.75],
    stepsPerEpoch: 2,
    images,
    labels: Uint8Array.of(1, 2, 3),
    predictions: Int32Array.of(1, 7, 3),
  };
  test("shows the mistakes only, with what was written and what was read", () => {
    const svg = drawReport(report);
    expect(svg).toContain("1 of 3 test digits are wrong");
    expect(svg.match(/ → <\/tspan>/g)).toHaveLength(1);
    expect(svg).toMatch(/>2 → <\/tspan><tspan[^>]*>7</);
    // one dark pixel at row 2, column 3
    expect(svg).toContain('d="M3 2h1v1h-1z"');
    expect(svg).toContain("75.00 %");
  });
  test("has finite coordinates, also for one step and for a perfect classifier", () => {
    const perfect = {
      ...report,
      losses: [0.1],
      accuracies: [1],
      stepsPerEpoch: 1,
      predictions: Int32Array.of(1, 2, 3),
    };
    for (const svg of [drawReport(report), drawReport(perfect)])
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(drawReport({ ...perfect, losses: [0, 0, 1], stepsPerEpoch: 3 })).not.toMatch(
      /NaN|Infinity/,
    );
  });
});
