/** np against JAX: the expressions of golden/npcases.py, their values and gradients; printing against NumPy; where we
 *  differ on purpose, and why. */
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import { referenceBackend } from "../core/backend/reference/index.ts";
import { grad, jit, type NDArray, np, slice, withBackend } from "../index.ts";
import { check, golden, type Encoded, arrayOf } from "./numpy.golden.ts";

const groups = [
  "creation",
  "elementwise",
  "reductions",
  "manipulation",
  "selection",
  "products",
  "indexing",
] as const;
for (const group of groups)
  describe(group, () => {
    it.each(golden[group].map((c) => [c.js, c] as const))("%s", (_js, c) => check(c));
  });

describe("every function of np occurs", () => {
  const elsewhere = ["arrayRepr", "arrayStr", "finfo", "iinfo", "resultType", "slice"];
  const text = groups.flatMap((g) => golden[g].map((c) => c.js)).join("\n");
  const functions = Object.entries(np).flatMap(([name, f]) =>
    typeof f === "function" && /^[a-z]/.test(name) && !elsewhere.includes(name) ? [name] : [],
  );
  it.each(functions)("%s", (name) => {
    expect(text).toMatch(new RegExp(`np\\.${name}\\(`));
  });
});

describe("searchsorted", () => {
  it("counts the elements that stand before, in vectors of every length", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -20, max: 20 }), { maxLength: 70 }),
        fc.array(fc.integer({ min: -22, max: 22 }), { minLength: 1, maxLength: 9 }),
        fc.constantFrom("left", "right"),
        (values, wanted, side) => {
          const sorted = values.toSorted((a, b) => a - b);
          const before = (v: number) => (x: number) => (side === "left" ? x < v : x <= v);
          expect(
            np
              .searchsorted(np.array(sorted, { shape: [sorted.length] }), wanted, { side })
              .toArray(),
          ).toEqual(wanted.map((v) => sorted.filter(before(v)).length));
        },
      ),
    );
  });
  it("a long vector, asked for each of its elements", () => {
    const n = 2 ** 17 + 3;
    const at = np.searchsorted(np.arange(n), np.arange(n));
    expect(at.equal(np.arange(n)).all().item()).toBe(true);
  });
});

describe("promotion", () => {
  const operand = (d: string) =>
    d === "number" ? 1 : d === "boolean" ? true : np.ones([2], { dtype: d as np.DType });
  /** where the wider integer of JAX's lattice does not exist here, int32 takes its place */
  const ours: { readonly [dtype: string]: string } = { int16: "int32", int64: "int32" };
  it.each(golden.promotion.map((p) => [p.x, p.y, p.dtype] as const))(
    "%s with %s is %s",
    (x, y, dtype) => {
      expect(np.add(operand(x), operand(y)).dtype).toBe(ours[dtype] ?? dtype);
      if (x !== "number" && y !== "number" && x !== "boolean" && y !== "boolean")
        expect(np.resultType(x as np.DType, y as np.DType)).toBe(ours[dtype] ?? dtype);
    },
  );
  it("a number is rounded once, to the dtype of the array beside it", () => {
    const one = np.array([1], { dtype: "float64" });
    for (const y of [
      one.mul(0.1),
      np.multiply(0.1, one),
      np.minimum(one, 0.1),
      np.where(np.array([false]), one, 0.1),
      np.stack([np.array(0.1, { dtype: "float64" })]),
      jit((x: NDArray) => np.multiply(0.1, x))(one),
      grad((x: NDArray) => x.mul(0.1).sum())(one),
    ])
      expect([y.dtype, y.toArray()]).toEqual(["float64", [0.1]]);
    // 2049.0001 lies above the middle of 2048 and 2050; its float32 neighbour is the middle
    const half = np.array([0], { dtype: "float16" });
    expect(half.add(2049.00001).toArray()).toEqual([2050]);
    expect(np.add(2049.00001, half).toArray()).toEqual([2050]);
  });
});

describe("edges of arguments", () => {
  it("repeat by counts along an axis of no elements", () => {
    expect(np.repeat(np.zeros([0, 3]), [], 0).shape).toEqual([0, 3]);
  });
  it("an unknown method of quantile is named", () => {
    expect(() => np.quantile([1, 2], 0.5, 0, { method: "bogus" as "linear" })).toThrow(
      "quantile: the method must be one of linear, lower, higher, midpoint, nearest; got bogus",
    );
  });
  it("a variance is a float", () => {
    expect(() => np.var([1, 2], 0, { dtype: "int32" })).toThrow("var: needs a float dtype");
    expect(np.var([1, 2], 0, { dtype: "float64" }).dtype).toBe("float64");
  });
  it("diagflat of a number has a dtype of its own", () => {
    expect(np.diagflat(3).weakType).toBe(false);
  });
});
describe("linspace", () => {
  it("ends with stop itself, wherever it starts", () => {
    expect(np.linspace(Infinity, 5, 3).toArray()).toEqual([Infinity, Infinity, 5]);
    expect(np.linspace(0.1, 0.7, 7).get(-1).item()).toBe(Math.fround(0.7));
  });
});
describe("var", () => {
  it("is computed in the dtype that is asked for", () => {
    const v = np.var(np.array([1, 2, 2 ** 12 + 1], { dtype: "float16" }), null, {
      dtype: "float64",
    });
    expect(v.dtype).toBe("float64");
    // the third is 4096 in float16
    expect(v.item()).toBeCloseTo((1 + 4 + 4096 ** 2) / 3 - (4099 / 3) ** 2, 6);
  });
});

describe("printing", () => {
  it.each(golden.printing.map((p, i) => [i, p] as const))("array %i", (_i, { x, text }) => {
    expect(np.arrayStr(arrayOf(x as Encoded))).toBe(text);
  });
  it("16-bit floats have the fewest digits that read back, powers of two and subnormal numbers too", () => {
    const of = (x: number, dtype: np.DType): string => np.arrayStr(np.array(x, { dtype }));
    expect(of(2 ** -24, "float16")).toBe("6e-08");
    expect(of(2 ** -10, "float16")).toBe("0.000977");
    for (const dtype of ["float16", "bfloat16"] as const)
      for (let k = -24; k < 16; k++) {
        const x = np.array([2 ** k, 1.25 * 2 ** k], { dtype });
        const read = [...x].map((v) => Number(np.arrayStr(v)));
        expect(np.array(read, { dtype }).toArray()).toEqual(x.toArray());
      }
  });
  it("repr names the dtype", () => {
    expect(np.arrayRepr(np.array([1, 2.5]))).toBe("NDArray([1. , 2.5], dtype=float32)");
    expect(np.arrayRepr(np.zeros([0, 2]))).toBe("NDArray([], shape=[0, 2], dtype=float32)");
  });
});

describe("where we differ from JAX on purpose", () => {
  it("a number is a weak float32: JavaScript does not tell 1 from 1.0", () => {
    const x = np.array([1, 2], { dtype: "int32" });
    expect(np.add(x, 1).dtype).toBe("float32");
    expect(np.array([1, 2]).dtype).toBe("float32");
  });
  it("int8 meets uint8 in int32: there is no int16", () => {
    expect(np.resultType("int8", "uint8")).toBe("int32");
  });
  it("a static index out of range is an error, where JAX clamps it", () => {
    expect(() => np.arange(3).get(3)).toThrow(/between -3 and 2/);
    expect(() => np.arange(3).at(-4).set(0)).toThrow(/between -3 and 2/);
  });
  it("an index array's entry out of range reads the nearest element, and that element has the gradient; JAX drops it", () => {
    const x = np.array([1, 2, 3]);
    const index = np.array([5, 0, -9], { dtype: "int32" });
    const f = (v: NDArray) => v.get(index).sum();
    expect(x.get(index).toArray()).toEqual([3, 1, 1]);
    expect((grad(f) as (v: NDArray) => NDArray)(x).toArray()).toEqual([2, 0, 1]);
  });
  it("float64 needs no flag", () => {
    expect(np.array([0.1], { dtype: "float64" }).item()).toBe(0.1);
  });
});

describe("blockUntilReady", () => {
  const backends = [wasmBackend, referenceBackend];
  it.each(backends.map((b) => [b.name, b] as const))(
    "reads nothing on %s",
    async (name, backend) => {
      const x = withBackend(name, () => np.ones([1024]));
      const read = vi.spyOn(backend, "read");
      const readSync = vi.spyOn(backend, "readSync");
      const ready = vi.spyOn(backend, "ready");
      try {
        expect(await x.blockUntilReady()).toBe(x);
        expect(ready).toHaveBeenCalledTimes(1);
        expect(read).not.toHaveBeenCalled();
        expect(readSync).not.toHaveBeenCalled();
      } finally {
        vi.restoreAllMocks();
      }
    },
  );
  it("refuses an array that is gone", async () => {
    const x = np.ones([8]);
    x.dispose();
    await expect(x.blockUntilReady()).rejects.toThrow(/must not be used after it is disposed/);
  });
});

describe("finfo and iinfo", () => {
  it("are IEEE's and two's complement's", () => {
    expect(np.finfo("float16")).toEqual({
      min: -65504,
      max: 65504,
      eps: 2 ** -10,
      tiny: 2 ** -14,
      bits: 16,
    });
    expect(np.finfo("bfloat16").eps).toBe(2 ** -7);
    expect(np.finfo("float64")).toMatchObject({ max: Number.MAX_VALUE, eps: Number.EPSILON });
    expect(np.iinfo("uint8")).toEqual({ min: 0, max: 255, bits: 8 });
    expect(() => np.finfo("int32")).toThrow(/needs a float dtype/);
    expect(() => np.iinfo("bool")).toThrow(/needs an integer dtype/);
  });
});

describe("the reference backend agrees", () => {
  it("on a composite", () => {
    const f = () =>
      np
        .einsum("ij,jk->ik", np.arange(6).reshape(2, 3), np.eye(3))
        .get(slice(null), slice(null, null, -1))
        .toArray();
    expect(withBackend("reference", f)).toEqual(f());
  });
});
