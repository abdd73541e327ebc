/** Accuracy of the elementary functions of float32; `npm run accuracy` looks at a million points. */
import { expect, it } from "vitest";
import { cases, samples, ulps, worst } from "./accuracy/functions.ts";

it("units in the last place", () => {
  expect(ulps(1, 1)).toBe(0);
  expect(ulps(1, 1 + 2 ** -23)).toBe(1);
  expect(ulps(-(2 ** -149), 2 ** -149)).toBe(2);
  expect(ulps(0, -0)).toBe(Number.POSITIVE_INFINITY);
  expect(ulps(Number.NaN, 1)).toBe(Number.POSITIVE_INFINITY);
});

it.each(Object.entries(cases))("%s stays within its bound", (_, c) => {
  const { ulp, at } = worst(c, samples(20_000));
  expect(ulp, `at ${at}`).toBeLessThanOrEqual(c.bound);
});
