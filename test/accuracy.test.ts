/** Accuracy of the functions, at a few thousand points; `npm run accuracy` looks at a million. Before that, of the arithmetic that judges. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { np, type NDArray } from "../index.ts";
import { dd, exact, type Exact, exponentOf, ldexp } from "./accuracy/double-double.ts";
import { elementary } from "./accuracy/exact-elementary.ts";
import { erfFunctions } from "./accuracy/exact-erf.ts";
import { gammaFunctions } from "./accuracy/exact-gamma.ts";
import { cases } from "./accuracy/functions.ts";
import { lgammaZeros } from "./accuracy/gamma-zeros.ts";
import { type Case, isWithin, worst } from "./accuracy/measure.ts";
import { Random } from "./accuracy/random.ts";
import { anyBits, type Floats, hardAngles, near, samples } from "./accuracy/samples.ts";
import { formats, ulpError } from "./accuracy/ulp.ts";

describe("units in the last place", () => {
  const { float32, float64 } = formats;
  const plain = (x: number): Exact => exact(dd(x));
  it("are those of the exact value", () => {
    expect(ulpError(1, plain(1), float32)).toBe(0);
    expect(ulpError(1 + 2 ** -23, plain(1), float32)).toBe(1);
    expect(ulpError(1, exact(dd(1, 2 ** -54)), float64)).toBe(0.25);
    expect(ulpError(-(2 ** -149), plain(2 ** -149), float32)).toBe(Number.POSITIVE_INFINITY);
    expect(ulpError(3 * 2 ** -149, exact(dd(1.25), -148), float32)).toBe(0.5);
  });
  it("count zeros, NaN and what overflows", () => {
    expect(ulpError(0, exact(dd(1.5), -1076), float64)).toBe(0.375);
    expect(ulpError(-0, plain(2 ** -151), float32)).toBe(Number.POSITIVE_INFINITY);
    expect(ulpError(0, plain(-0), float32)).toBe(Number.POSITIVE_INFINITY);
    expect(ulpError(Number.NaN, plain(1), float32)).toBe(Number.POSITIVE_INFINITY);
    expect(ulpError(Number.NaN, plain(Number.NaN), float32)).toBe(0);
    expect(ulpError(Number.POSITIVE_INFINITY, plain(2 ** 128), float32)).toBe(0);
    expect(ulpError(Number.POSITIVE_INFINITY, exact(dd(1), 5000), float64)).toBe(0);
    expect(ulpError(Number.POSITIVE_INFINITY, plain(2 ** 128 - 2 ** 105), float32)).toBe(2);
    expect(ulpError(Number.MAX_VALUE, exact(dd(1), 1024), float64)).toBe(1);
  });
});

describe("samples", () => {
  it("reach the float64 that is closest to a multiple of π/2, and keep to the format", () => {
    const r = new Random();
    const drawn = Array.from({ length: 30_000 }, () => Math.abs(hardAngles(r, formats.float64)));
    expect(drawn).toContain(6381956970095103 * 2 ** 797);
    const narrow = Array.from({ length: 1000 }, () => hardAngles(r, formats.float32));
    expect(narrow.map(Math.fround)).toEqual(narrow);
  });
  it("have every exponent and the zeros", () => {
    const [x] = samples(40_000, "float64", [anyBits, near(...lgammaZeros())]);
    const exponents = new Set(
      [...(x as Floats)].filter((v) => v !== 0 && Number.isFinite(v)).map(exponentOf),
    );
    expect(exponents.size).toBeGreaterThan(2046);
    expect(x).toContain(-2.4570247382208006);
  });
  it("find what is wrong", () => {
    const exp = cases["exp"] as Case;
    const wrong = (factor: number): Case => ({
      ...exp,
      f: (x) => np.multiply(np.exp(x as NDArray), factor),
    });
    expect(worst(wrong(1 - 2 ** -20), "float32", 2000).ulp).toBeGreaterThan(7);
    expect(worst(wrong(1 - 2 ** -49), "float64", 2000).ulp).toBeGreaterThan(7);
  });
});

/** {function: [[argument, …, hi, lo, exp], …]} */
const rows = JSON.parse(
  readFileSync(new URL("./golden/functions_exact.json", import.meta.url), "utf8"),
) as { readonly [name: string]: readonly (readonly number[])[] };
const oracles = { ...elementary, ...erfFunctions, ...gammaFunctions } as {
  readonly [name: string]: (...x: number[]) => Exact;
};

it.each(Object.entries(rows))("exact %s is so to 88 bits", (name, points) => {
  for (const row of points) {
    const [x, [hi, lo, exp]] = [row.slice(0, -3), row.slice(-3) as [number, number, number]];
    const y = (oracles[name] as (...x: number[]) => Exact)(...x);
    const shift = y.exp - exp;
    const error = Math.abs(ldexp(y.hi, shift) - hi + (ldexp(y.lo, shift) - lo));
    expect(error, `${name}(${x})`).toBeLessThanOrEqual(2 ** -88 * Math.abs(hi));
  }
});

describe.each(["float32", "float64"] as const)("in %s", (dtype) => {
  it.each(Object.entries(cases))("%s stays within its bound", (name, c) => {
    const { ulp, at, got } = worst(c, dtype, 4000);
    const bound = c.bound[dtype];
    expect(
      isWithin(ulp, bound),
      `${name}(${at}) = ${got}, off by ${ulp} units in the last place, not ${bound}`,
    ).toBe(true);
  });
});
