/** What caches go by: types are interned, params have numbers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Aval } from "../core/aval.ts";
import { allDTypes } from "../core/dtype.ts";
import { paramsKey } from "../core/primitive.ts";

describe("types", () => {
  const part = fc.tuple(
    fc.array(fc.nat(4), { maxLength: 3 }),
    fc.constantFrom(...allDTypes),
    fc.boolean(),
  );
  it("are one object exactly if shape, dtype and weak bit are equal", () => {
    fc.assert(
      fc.property(part, part, (a, b) => {
        const [x, y] = [Aval.of(...a), Aval.of([...b[0]], b[1], b[2])];
        const equal = JSON.stringify(a) === JSON.stringify(b);
        expect(x === y).toBe(equal);
        expect(x.id === y.id).toBe(equal);
        expect([x.shape, x.dtype, x.weakType]).toEqual(a);
        expect(x.strong).toBe(Aval.of(a[0], a[1]));
      }),
      { numRuns: 1000 },
    );
  });
  it("of many shapes stay apart", () => {
    const all = new Set<Aval>();
    for (let i = 0; i < 100; i++)
      for (let j = 0; j < 100; j++)
        all.add(Aval.of([i, j], "float32")).add(Aval.of([j, i], "int32"));
    expect(all.size).toBe(20_000);
    // sizes beyond 32 bits are told apart too
    expect(Aval.of([2 ** 33], "int8")).not.toBe(Aval.of([2 ** 34], "int8"));
  });
});

describe("numbers of params", () => {
  const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(
        0,
        -0,
        1,
        65536,
        131072,
        0.5,
        Number.NaN,
        null,
        undefined,
        true,
        false,
        "",
        "a",
      ),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b"), tie("node"), { maxKeys: 2 }),
    ),
  })).node;
  /** equal as data, −0 and 0 told apart */
  const equal = (a: unknown, b: unknown): boolean => {
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
      return Object.is(a, b);
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    const [p, q] = [a, b] as Record<string, unknown>[];
    if (Object.keys(a).length !== Object.keys(b).length) return false;
    return Object.keys(a).every((k) => k in b && equal(p?.[k], q?.[k]));
  };
  it("are equal exactly for equal data", () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        expect(paramsKey(a) === paramsKey(b)).toBe(equal(a, b));
        expect(paramsKey(structuredClone(a))).toBe(paramsKey(a));
      }),
      { numRuns: 10_000 },
    );
  });
  it("tell keys apart that hold the same, or nothing", () => {
    const all = [
      {},
      { a: undefined },
      { b: undefined },
      { a: 1 },
      { b: 1 },
      { a: 1, b: undefined },
    ];
    expect(new Set(all.map(paramsKey)).size).toBe(all.length);
    expect(paramsKey({ b: 2, a: 1 })).toBe(paramsKey({ a: 1, b: 2 }));
  });
  it("go by the identity of objects and functions, and do not keep what was changed later", () => {
    class Opaque {}
    const [x, y] = [new Opaque(), new Opaque()];
    expect(paramsKey({ x })).toBe(paramsKey({ x }));
    expect(paramsKey({ x })).not.toBe(paramsKey({ x: y }));
    const f = (): number => 0;
    expect(paramsKey([f])).toBe(paramsKey([f]));
    expect(paramsKey([f])).not.toBe(paramsKey([() => 0]));
    const axes = [0, 1];
    const before = paramsKey({ axes });
    axes.reverse();
    expect(paramsKey({ axes })).not.toBe(before);
    expect(paramsKey({ axes: [0, 1] })).toBe(before);
  });
});
