/** Long folds by min and max: NaN and the signs of zeros, wherever they stand. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import "../core/backend/reference/index.ts";
import { jit, type NDArray, np, withBackend } from "../index.ts";

/** max or min of numbers as JavaScript defines them, which is as IEEE 754 does */
const folds = { max: Math.max, min: Math.min } as const;
/** What is special stands among numbers that do not hide it. */
const row = (sign: number): fc.Arbitrary<number[]> =>
  fc.constantFrom(64, 67, 96, 131).chain((length) => {
    const ordinary = fc.constantFrom(-1.5, -2, -(2 ** -126), Number.NEGATIVE_INFINITY);
    const special = fc.constantFrom(0, -0, 0, -0, Number.NaN, 2 ** -149, 1);
    return fc
      .tuple(
        fc.array(ordinary, { minLength: length, maxLength: length }),
        fc.array(fc.tuple(fc.nat(length - 1), special), { maxLength: 5 }),
      )
      .map(([values, places]) => {
        const all = values.map((x) => sign * x);
        for (const [at, x] of places) all[at] = sign * x;
        return all;
      });
  });

describe.each(["max", "min"] as const)("%s", (name) => {
  describe.each(["float32", "float64"] as const)("of %s", (dtype) => {
    it("keeps NaN, tells −0 from +0, and is the same on both backends", () => {
      const f = jit((x: NDArray) => np[name](x, -1));
      fc.assert(
        fc.property(row(name === "max" ? 1 : -1), (values) => {
          const want = [folds[name](...values.map(dtype === "float32" ? Math.fround : Number))];
          for (const backend of ["wasm", "reference"])
            withBackend(backend, () => {
              const y = f(np.array([values], { dtype }));
              expect(Array.from(y.dataSync())).toEqual(want);
            });
        }),
        { numRuns: 200 },
      );
    });
    it("of values that are computed, with what is special in any place", () => {
      const n = 100;
      const f = jit((x: NDArray) => np[name](x.mul(0.5).sub(1), 1));
      const sign = name === "max" ? -1 : 1;
      const rows = Array.from({ length: n }, (_, at) =>
        Array.from({ length: n }, (_, i) => (i === at ? Number.NaN : sign * i)),
      );
      expect(
        np
          .isnan(f(np.array(rows, { dtype })))
          .all()
          .item(),
      ).toBe(true);
    });
  });
});
