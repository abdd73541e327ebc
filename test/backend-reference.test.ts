import { describe, expect, it } from "vitest";
import { referenceBackend as backend } from "../core/backend/reference/backend.ts";
import { allDTypes, type DType, dtypes, isFloat, isInteger } from "../core/dtype.ts";
import { BackendError } from "../core/errors.ts";
import {
  add,
  type BinaryOp,
  binary,
  bitcast,
  type CompareOp,
  cast,
  compare,
  cond,
  type Expr,
  int,
  KVar,
  lit,
  load,
  mul,
  select,
  sub,
  type UnaryOp,
  unary,
} from "../core/kernel/expr.ts";
import {
  type ContractKernel,
  type ConvKernel,
  type ConvSpatial,
  loop,
  set,
  when,
  whileLoop,
} from "../core/kernel/kernel.ts";
import type { ProgramBuffer } from "../core/program/types.ts";
import {
  elementwise,
  kernelProgram,
  loops,
  programBuffer,
  programOf,
  reads,
  runKernel,
  runProgram,
  store,
  updates,
  writes,
} from "./conformance/programs.ts";

const floats = allDTypes.filter(isFloat);
const integers = allDTypes.filter(isInteger);
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

function applyUnary(op: UnaryOp, d: DType, xs: readonly number[]): number[] {
  const out: DType = op === "isFinite" ? "bool" : d;
  const k = elementwise(op, [d], out, xs.length, (x) => unary(op, x as Expr));
  return runKernel(backend, k, [xs])[0] as number[];
}
function applyBinary(op: BinaryOp, d: DType, pairs: readonly (readonly [number, number])[]) {
  const k = elementwise(op, [d, d], d, pairs.length, (x, y) => binary(op, x as Expr, y as Expr));
  return runKernel(backend, k, [pairs.map((p) => p[0]), pairs.map((p) => p[1])])[0] as number[];
}
const applyCast = (from: DType, to: DType, xs: readonly number[]): number[] =>
  runKernel(
    backend,
    elementwise("cast", [from], to, xs.length, (x) => cast(x as Expr, to)),
    [xs],
  )[0] as number[];

describe("unary operations", () => {
  for (const d of floats) {
    const { max, tiny, eps } = dtypes[d];
    const small = tiny * eps;
    const table: readonly [UnaryOp, readonly number[], readonly number[]][] = [
      ["neg", [0, -0, 1.5, inf, nan], [-0, 0, -1.5, -inf, nan]],
      ["abs", [-0, -small, -max, -inf, nan], [0, small, max, inf, nan]],
      ["sign", [-0, 0, -small, max, -inf, nan], [-0, 0, -1, 1, -1, nan]],
      ["floor", [-0, -0.5, 0.5, 1.5, -inf, nan], [-0, -1, 0, 1, -inf, nan]],
      ["ceil", [-0, -0.5, 0.5, -1.5, inf, nan], [-0, -0, 1, -1, inf, nan]],
      ["trunc", [-0, -0.5, 0.5, -1.5, inf, nan], [-0, -0, 0, -1, inf, nan]],
      [
        "round",
        [-0, -0.5, 0.5, 1.5, 2.5, -1.5, -2.5, 0.75, -0.25, max, inf, nan],
        [-0, -0, 0, 2, 2, -2, -2, 1, -0, max, inf, nan],
      ],
      ["sqrt", [-0, 4, 2.25, inf, -1, nan], [-0, 2, 1.5, inf, nan, nan]],
      ["isFinite", [-0, max, -max, small, inf, -inf, nan], [1, 1, 1, 1, 0, 0, 0]],
      ["exp", [0, -0, -inf, inf, nan], [1, 1, 0, inf, nan]],
      ["exp2", [0, 3, -1, -inf, inf, nan], [1, 8, 0.5, 0, inf, nan]],
      ["log", [1, 0, -0, inf, -1, nan], [0, -inf, -inf, inf, nan, nan]],
      ["log1p", [0, -0, -1, inf, -2, nan], [0, -0, -inf, inf, nan, nan]],
      ["expm1", [0, -0, -inf, inf, nan], [0, -0, -1, inf, nan]],
      ["sin", [0, -0, inf, nan], [0, -0, nan, nan]],
      ["cos", [0, -0, inf, nan], [1, 1, nan, nan]],
      ["tan", [0, -0, inf, nan], [0, -0, nan, nan]],
      ["asin", [0, -0, 1.5, nan], [0, -0, nan, nan]],
      ["acos", [1, 1.5, nan], [0, nan, nan]],
      ["atan", [0, -0, nan], [0, -0, nan]],
      ["sinh", [0, -0, -inf, inf, nan], [0, -0, -inf, inf, nan]],
      ["cosh", [0, -0, -inf, inf, nan], [1, 1, inf, inf, nan]],
      ["tanh", [0, -0, -inf, inf, nan], [0, -0, -1, 1, nan]],
      ["asinh", [0, -0, -inf, inf, nan], [0, -0, -inf, inf, nan]],
      ["acosh", [1, inf, 0, nan], [0, inf, nan, nan]],
      ["atanh", [0, -0, 1, -1, 2, nan], [0, -0, inf, -inf, nan, nan]],
      ["cbrt", [0, -0, 8, -27, inf, nan], [0, -0, 2, -3, inf, nan]],
    ];
    for (const [op, xs, ys] of table)
      it(`${op} of ${d}`, () => expect(applyUnary(op, d, xs)).toEqual(ys));
  }

  it("rounds elementary functions once to the dtype", () => {
    expect(applyUnary("exp", "float32", [1])).toEqual([Math.fround(Math.E)]);
    expect(applyUnary("exp", "float64", [1])).toEqual([Math.E]);
    // e = 2.71828…: float16 steps there are 2⁻⁹, bfloat16 steps 2⁻⁶
    expect(applyUnary("exp", "float16", [1])).toEqual([Math.round(Math.E * 512) / 512]);
    expect(applyUnary("exp", "bfloat16", [1])).toEqual([Math.round(Math.E * 64) / 64]);
  });

  for (const d of integers) {
    const { min, max, bytes, kind } = dtypes[d];
    const bits = bytes * 8;
    const signed = kind === "int";
    const minusOne = signed ? -1 : max;
    it(`neg, abs, sign, not, popcount, clz of ${d}`, () => {
      expect(applyUnary("neg", d, [0, 1, min, max])).toEqual([0, minusOne, min, signed ? -max : 1]);
      expect(applyUnary("abs", d, [0, min, max, minusOne])).toEqual([
        0,
        min,
        max,
        signed ? 1 : max,
      ]);
      expect(applyUnary("sign", d, [0, 5, minusOne])).toEqual([0, 1, signed ? -1 : 1]);
      expect(applyUnary("not", d, [0, minusOne, 5])).toEqual([minusOne, 0, signed ? -6 : max - 5]);
      expect(applyUnary("popcount", d, [0, minusOne, 5, max])).toEqual([
        0,
        bits,
        2,
        signed ? bits - 1 : bits,
      ]);
      expect(applyUnary("clz", d, [0, minusOne, 5, max])).toEqual([
        bits,
        0,
        bits - 3,
        signed ? 1 : 0,
      ]);
    });
  }

  it("not of bool", () => expect(applyUnary("not", "bool", [0, 1])).toEqual([1, 0]));

  it("refuses what has no meaning", () => {
    expect(() => applyUnary("exp", "int32", [1])).toThrow("kernel exp: undefined for int32");
    expect(() => applyUnary("popcount", "float32", [1])).toThrow("undefined for float32");
    expect(() => applyBinary("add", "bool", [[1, 1]])).toThrow("kernel add: undefined for bool");
    expect(() => applyBinary("nextafter", "int8", [[1, 1]])).toThrow("undefined for int8");
  });
});

type Case = readonly [x: number, y: number, result: number];
const checkCases = (op: BinaryOp, d: DType, cases: readonly Case[]): void =>
  expect(
    applyBinary(
      op,
      d,
      cases.map(([x, y]) => [x, y]),
    ),
  ).toEqual(cases.map((c) => c[2]));

describe("binary operations", () => {
  for (const d of floats) {
    const { max, tiny, eps } = dtypes[d];
    const small = tiny * eps;
    const table: { readonly [op in BinaryOp]?: readonly Case[] } = {
      // 1 + ε/2 is a tie that goes to even, 1 + ε + ε/2 one that goes up
      add: [
        [1, eps / 2, 1],
        [1 + eps, eps / 2, 1 + 2 * eps],
        [max, max, inf],
        [-0, -0, -0],
        [-0, 0, 0],
        [inf, -inf, nan],
        [small, small, 2 * small],
      ],
      sub: [
        [1, 1, 0],
        [-0, 0, -0],
        [inf, inf, nan],
        [tiny, small, tiny - small],
      ],
      mul: [
        [1 + eps, 1 + eps, 1 + 2 * eps],
        [max, 2, inf],
        [small, 0.5, 0],
        [-small, 0.5, -0],
        [3 * small, 0.5, 2 * small],
        [0, inf, nan],
        [-0, 3, -0],
      ],
      div: [
        [1, 0, inf],
        [1, -0, -inf],
        [0, 0, nan],
        [-1, inf, -0],
        [1, 1 + eps, 1 - eps],
      ],
      rem: [
        [5.5, 2, 1.5],
        [-5.5, 2, -1.5],
        [5.5, -2, 1.5],
        [-4, 2, -0],
        [1, 0, nan],
        [1, inf, 1],
        [inf, 1, nan],
      ],
      min: [
        [0, -0, -0],
        [-0, 0, -0],
        [nan, 1, nan],
        [1, nan, nan],
        [-inf, 1, -inf],
      ],
      max: [
        [0, -0, 0],
        [-0, 0, 0],
        [nan, 1, nan],
        [1, nan, nan],
        [inf, 1, inf],
      ],
      pow: [
        [nan, 0, 1],
        [1, nan, 1],
        [1, inf, 1],
        [-1, inf, 1],
        [-1, -inf, 1],
        [0, -1, inf],
        [-0, -1, -inf],
        [-0, 3, -0],
        [-2, 3, -8],
        [-2, 0.5, nan],
        [0.5, inf, 0],
        [2, nan, nan],
      ],
      atan2: [
        [0, 1, 0],
        [-0, 1, -0],
        [nan, 1, nan],
      ],
      nextafter: [
        [1, 2, 1 + eps],
        [1, -inf, 1 - eps / 2],
        [-1, inf, -(1 - eps / 2)],
        [-1, -2, -(1 + eps)],
        [0, 1, small],
        [0, -1, -small],
        [-0, 1, small],
        [small, 0, 0],
        [-small, 0, -0],
        [small, 1, 2 * small],
        [tiny, 0, tiny - small],
        [max, inf, inf],
        [inf, 0, max],
        [0, -0, -0],
        [2, 2, 2],
        [nan, 1, nan],
        [1, nan, nan],
      ],
    };
    for (const [op, cases] of Object.entries(table))
      it(`${op} of ${d}`, () => checkCases(op as BinaryOp, d, cases));
  }

  for (const d of integers) {
    const { min, max, bytes, kind } = dtypes[d];
    const bits = bytes * 8;
    const signed = kind === "int";
    const ones = signed ? -1 : max;
    const top = signed ? min : 2 ** (bits - 1); // only the highest bit set
    const table: { readonly [op in BinaryOp]?: readonly Case[] } = {
      add: [
        [max, 1, min],
        [3, 4, 7],
      ],
      sub: [
        [min, 1, max],
        [3, 4, ones],
      ],
      mul: [
        [max, 2, signed ? -2 : max - 1],
        [ones, ones, 1],
        [7, 5, 35],
      ],
      div: [
        [7, 2, 3],
        [7, 0, ones],
        [0, 0, ones],
        [max, max, 1],
        ...(signed
          ? ([
              [-7, 2, -3],
              [min, -1, min],
              [min, 0, -1],
            ] as const)
          : ([[max, 2, (max - 1) / 2]] as const)),
      ],
      rem: [
        [7, 3, 1],
        [7, 0, 7],
        ...(signed
          ? ([
              [-7, 3, -1],
              [7, -3, 1],
              [min, -1, 0],
              [-6, 3, 0],
            ] as const)
          : ([[max, 2, 1]] as const)),
      ],
      min: [[min, max, min]],
      max: [[min, max, max]],
      pow: [
        [0, 0, 1],
        [3, 4, 81],
        [2, bits, 0],
        [ones, 3, ones],
        ...(signed
          ? ([
              [2, -1, 0],
              [1, -5, 1],
              [-1, -5, -1],
              [-1, -4, 1],
            ] as const)
          : []),
      ],
      and: [[ones, 6, 6]],
      or: [[top, 1, top + 1]],
      xor: [[ones, ones, 0]],
      shl: [
        [1, bits - 1, top],
        [1, bits, 0],
        [1, bits + 3, 0],
        [3, 1, 6],
        [5, 0, 5],
        ...(signed ? ([[1, -1, 0]] as const) : []),
      ],
      shr: [
        [6, 1, 3],
        [max, bits, 0],
        [max, bits - 1, signed ? 0 : 1],
        ...(signed
          ? ([
              [min, bits - 1, -1],
              [-5, 1, -3],
              [-5, bits + 1, -1],
              [-5, -1, -1],
            ] as const)
          : []),
      ],
      shrl: [
        [ones, 1, 2 ** (bits - 1) - 1],
        [ones, bits - 1, 1],
        [ones, bits, 0],
        [5, 0, 5],
        [ones, 0, ones],
      ],
      mulhi: [
        [top, 2, signed ? -1 : 1],
        [ones, ones, signed ? 0 : max - 1],
        [max, max, signed ? 2 ** (bits - 2) - 1 : max - 1],
        [3, 4, 0],
      ],
    };
    for (const [op, cases] of Object.entries(table))
      it(`${op} of ${d}`, () => checkCases(op as BinaryOp, d, cases));
  }

  it("min, max, and, or, xor of bool", () => {
    const pairs: readonly [number, number][] = [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ];
    expect(applyBinary("min", "bool", pairs)).toEqual([0, 0, 0, 1]);
    expect(applyBinary("and", "bool", pairs)).toEqual([0, 0, 0, 1]);
    expect(applyBinary("max", "bool", pairs)).toEqual([0, 1, 1, 1]);
    expect(applyBinary("or", "bool", pairs)).toEqual([0, 1, 1, 1]);
    expect(applyBinary("xor", "bool", pairs)).toEqual([0, 1, 1, 0]);
  });

  it("multiplies int32 exactly modulo 2³²", () =>
    checkCases("mul", "int32", [
      [123456789, 987654321, Number(BigInt.asIntN(32, 123456789n * 987654321n))],
    ]));
});

describe("comparisons", () => {
  const ops: readonly CompareOp[] = ["eq", "ne", "lt", "le", "gt", "ge"];
  const run = (d: DType, x: number, y: number): number[] =>
    ops.map((op) => {
      const k = elementwise(op, [d, d], "bool", 1, (a, b) => compare(op, a as Expr, b as Expr));
      return runKernel(backend, k, [[x], [y]])[0]?.[0] as number;
    });
  for (const d of allDTypes) {
    it(d, () => {
      expect(run(d, 1, 1)).toEqual([1, 0, 0, 1, 0, 1]);
      expect(run(d, 0, 1)).toEqual([0, 1, 1, 1, 0, 0]);
      expect(run(d, dtypes[d].max, dtypes[d].min)).toEqual([0, 1, 0, 0, 1, 1]);
      if (isFloat(d)) {
        expect(run(d, nan, 1)).toEqual([0, 1, 0, 0, 0, 0]);
        expect(run(d, nan, nan)).toEqual([0, 1, 0, 0, 0, 0]);
        expect(run(d, -0, 0)).toEqual([1, 0, 0, 1, 0, 1]);
      }
    });
  }
});

describe("conversions", () => {
  for (const from of floats)
    it(`${from} to integers and bool`, () => {
      const xs = [1.75, -1.75, inf, -inf, nan, -0, 0.5];
      expect(applyCast(from, "int8", xs)).toEqual([1, -1, 127, -128, 0, 0, 0]);
      expect(applyCast(from, "uint8", xs)).toEqual([1, 0, 255, 0, 0, 0, 0]);
      expect(applyCast(from, "int32", xs)).toEqual([1, -1, 2 ** 31 - 1, -(2 ** 31), 0, 0, 0]);
      expect(applyCast(from, "uint32", xs)).toEqual([1, 0, 2 ** 32 - 1, 0, 0, 0, 0]);
      expect(applyCast(from, "bool", xs)).toEqual([1, 1, 1, 1, 1, 0, 1]);
    });
  it("integers wrap into integers", () => {
    expect(applyCast("int32", "int8", [127, 128, -129, 256])).toEqual([127, -128, 127, 0]);
    expect(applyCast("int32", "uint8", [-1, 256, 511])).toEqual([255, 0, 255]);
    expect(applyCast("int32", "uint32", [-1, 5])).toEqual([2 ** 32 - 1, 5]);
    expect(applyCast("uint32", "int32", [2 ** 32 - 1, 2 ** 31])).toEqual([-1, -(2 ** 31)]);
    expect(applyCast("int8", "uint32", [-1])).toEqual([2 ** 32 - 1]);
    expect(applyCast("int8", "bool", [-1, 0])).toEqual([1, 0]);
    expect(applyCast("bool", "int8", [1, 0])).toEqual([1, 0]);
  });
  it("to floats rounds to nearest, ties to even", () => {
    expect(applyCast("int32", "float32", [2 ** 24 + 1, 2 ** 24 + 3])).toEqual([
      2 ** 24,
      2 ** 24 + 4,
    ]);
    expect(applyCast("uint32", "float32", [2 ** 32 - 1])).toEqual([2 ** 32]);
    expect(applyCast("int32", "float16", [2049, 2051, 70000])).toEqual([2048, 2052, inf]);
    expect(applyCast("int32", "bfloat16", [257, 259])).toEqual([256, 260]);
    // just above a tie of float16: rounding by way of float32 would lose the last bit
    expect(applyCast("float64", "float16", [1 + 2 ** -11 + 2 ** -30])).toEqual([1 + 2 ** -10]);
    expect(applyCast("float64", "float32", [nan, 1e300, -1e-300])).toEqual([nan, inf, -0]);
    expect(applyCast("bool", "float16", [1, 0])).toEqual([1, 0]);
  });
  it("bitcast keeps the bits", () => {
    const run = (from: DType, to: DType, xs: readonly number[]) =>
      runKernel(
        backend,
        elementwise("bitcast", [from], to, xs.length, (x) => bitcast(x as Expr, to)),
        [xs],
      )[0];
    expect(run("float32", "uint32", [1, -0, inf])).toEqual([0x3f800000, 0x80000000, 0x7f800000]);
    expect(run("int32", "float32", [0x3f800000, -(2 ** 31)])).toEqual([1, -0]);
    expect(run("uint8", "int8", [255])).toEqual([-1]);
    expect(run("float16", "bfloat16", [1])).toEqual([2 ** -7]); // 0x3c00
    expect(run("bfloat16", "float16", [1])).toEqual([1.875]); // 0x3f80
  });
});

describe("statements", () => {
  it("for takes its end once, while and if run on", () => {
    const n = new KVar("int32", "n");
    const sum = new KVar("int32", "sum");
    const k = loops(
      "flow",
      [writes("int32", 3)],
      [
        set(n, int(3)),
        set(sum, int(0)),
        // n grows inside, but the loop runs 3 times
        loop(n, (i) => [set(n, add(n, int(1))), set(sum, add(sum, i))]),
        store(0, int(0), n),
        store(0, int(1), sum),
        whileLoop(compare("gt", n, int(1)), [
          when(
            compare("eq", binary("rem", n, int(2)), int(0)),
            [set(n, binary("div", n, int(2)))],
            [set(n, add(mul(n, int(3)), int(1))), set(sum, add(sum, int(1)))],
          ),
        ]),
        store(0, int(2), sum),
      ],
    );
    // 6 → 3 → 10 → 5 → 16 → 8 → 4 → 2 → 1 has two odd steps
    expect(runKernel(backend, k, [])).toEqual([[6, 3, 5]]);
  });

  it("loops from a start, and not at all when the end is before it", () => {
    const k = loops(
      "range",
      [writes("int32", 4)],
      [
        loop(4, (i) => [store(0, i, int(-1))]),
        loop(3, (i) => [store(0, i, i)], 1),
        loop(1, (i) => [store(0, i, int(99))], 3),
      ],
    );
    expect(runKernel(backend, k, [])).toEqual([[-1, 1, 2, -1]]);
  });

  it("select evaluates both sides, cond only the one that is taken", () => {
    const at = (make: typeof cond) =>
      elementwise("guard", ["int32"], "int32", 3, (x) =>
        make(compare("lt", x as Expr, int(3)), load(0, x as Expr, "int32"), int(-1)),
      );
    expect(runKernel(backend, at(cond), [[2, 7, 0]])).toEqual([[0, -1, 2]]);
    expect(() => runKernel(backend, at(select), [[2, 7, 0]])).toThrow(
      "kernel guard: load of buffer 0 at 7, outside its length 3",
    );
  });

  it("evaluates shared nodes once, through cond too", () => {
    // 2^200 paths from the root to the leaf
    let e: Expr = load(0, int(0), "float64");
    for (let i = 0; i < 100; i++) e = mul(add(e, e), lit(0.5, "float64"));
    let c: Expr = e;
    for (let i = 0; i < 100; i++)
      c = cond(compare("gt", c, lit(0, "float64")), add(c, lit(1, "float64")), sub(c, c));
    const k = loops(
      "dag",
      [reads("float64", 1), writes("float64", 2)],
      [store(1, int(0), e), store(1, int(1), c)],
    );
    expect(runKernel(backend, k, [[3]])).toEqual([[3, 103]]);
  });

  it("forgets shared values from one evaluation to the next", () => {
    const shared = load(0, int(0), "int32");
    const twice = add(shared, shared);
    const k = loops(
      "fresh",
      [updates("int32", 1)],
      [
        store(0, int(0), int(1)),
        loop(5, () => [store(0, int(0), twice)]),
        whileLoop(compare("lt", twice, int(1000)), [store(0, int(0), twice)]),
      ],
    );
    expect(runKernel(backend, k, [])).toEqual([[512]]);
  });
});

describe("what is wrong is found", () => {
  const bad = (message: string, k: Parameters<typeof kernelProgram>[0]) =>
    it(message, () => expect(() => backend.compile(kernelProgram(k))).toThrow(message));
  const out = [reads("int32", 2), writes("float32", 2)];
  bad(
    "store of buffer 1 must be float32, is int32",
    loops("k", out, [store(1, int(0), load(0, int(0), "int32"))]),
  );
  bad(
    "load of buffer 0 must be int32, is float32",
    loops("k", out, [store(1, int(0), load(0, int(0), "float32"))]),
  );
  bad("store of buffer 0, whose access is read", loops("k", out, [store(0, int(0), int(1))]));
  bad(
    "load of buffer 1, whose access is write",
    loops("k", out, [store(1, int(0), load(1, int(0), "float32"))]),
  );
  bad("load of unknown buffer 7", loops("k", out, [store(1, int(0), load(7, int(0), "float32"))]));
  bad("x is read before it is set", loops("k", out, [store(1, int(0), new KVar("float32", "x"))]));
  const i = new KVar("int32", "i");
  bad(
    "assigns loop variable i",
    loops("k", out, [{ kind: "for", v: i, from: int(0), to: int(1), body: [set(i, int(1))] }]),
  );
  bad(
    "i is read before it is set",
    loops("k", out, [
      { kind: "for", v: i, from: int(0), to: int(1), body: [] },
      store(1, i, lit(0, "float32")),
    ]),
  );

  it("a load or store outside its buffer", () => {
    const at = (index: number) =>
      loops("far", [writes("int32", 2)], [store(0, int(index), int(1))]);
    expect(() => runKernel(backend, at(2), [])).toThrow(
      "kernel far: store of buffer 0 at 2, outside its length 2",
    );
    expect(() => runKernel(backend, at(-1), [])).toThrow("at -1, outside its length 2");
  });

  it("a program that binds the wrong buffers", () => {
    const k = loops("k", [reads("float32", 4), writes("float32", 4)], []);
    const compile = (
      a: ReturnType<typeof programBuffer>,
      b: ReturnType<typeof programBuffer>,
      args: readonly number[] = [0, 1],
      arena = 0,
    ) => backend.compile(programOf("p", [a, b], [{ kernel: k, args }], arena));
    const ok = programBuffer("float32", 4, "input");
    const result = programBuffer("float32", 4, "output");
    expect(() => compile(ok, result)).not.toThrow();
    expect(() => compile(programBuffer("float32", 3, "input"), result)).toThrow(
      "buffer 0 is 4 float32, argument 0 is 3 float32",
    );
    expect(() => compile(programBuffer("int32", 4, "input"), result)).toThrow(
      "buffer 0 is 4 float32, argument 0 is 4 int32",
    );
    expect(() => compile(ok, result, [0])).toThrow("1 arguments for 2 buffers");
    expect(() => compile(ok, result, [0, 2])).toThrow("unknown buffer 2");
    expect(() => compile(ok, result, [1, 0])).toThrow("writes input 0");
    expect(() => compile(ok, programBuffer("float32", 4, "temp", 8), [0, 1], 32)).toThrow(
      "unaligned offset 8",
    );
    expect(() => compile(ok, programBuffer("float32", 4, "temp", 16), [0, 1], 16)).toThrow(
      "buffer 1 ends at 32, outside an arena of 16",
    );
    expect(() => compile(ok, { ...result, bytes: 8 })).toThrow("has 8 bytes");
  });
});

describe("contract", () => {
  const matmul = (d: DType, out: DType, m: number, n: number, k: number): ContractKernel => ({
    kind: "contract",
    name: "dot",
    buffers: [reads(d, m * k), reads(d, k * n), writes(out, m * n)],
    batch: [],
    m: [{ size: m, lhs: k, rhs: 0, out: n }],
    n: [{ size: n, lhs: 0, rhs: 1, out: 1 }],
    k: [{ size: k, lhs: 1, rhs: n, out: 0 }],
  });
  it("multiplies matrices", () =>
    expect(
      runKernel(backend, matmul("float32", "float32", 2, 2, 3), [
        [1, 2, 3, 4, 5, 6],
        [1, 0, 0, 1, 1, 1],
      ]),
    ).toEqual([[4, 5, 10, 11]]));
  it("rounds the sum once", () =>
    // in float16 steps 2048 + 1 + 1 would stay 2048
    expect(
      runKernel(backend, matmul("float16", "float16", 1, 1, 3), [
        [2048, 1, 1],
        [1, 1, 1],
      ]),
    ).toEqual([[2050]]));
  it("wraps integers, and is any-of-both for bool", () => {
    const ones = [255, 255];
    expect(runKernel(backend, matmul("uint8", "uint8", 1, 1, 2), [ones, ones])).toEqual([[2]]);
    expect(runKernel(backend, matmul("uint8", "int32", 1, 1, 2), [ones, ones])).toEqual([[130050]]);
    const big = [2 ** 31 - 1, 2];
    expect(runKernel(backend, matmul("int32", "int32", 1, 1, 2), [big, big])).toEqual([[5]]);
    expect(
      runKernel(backend, matmul("bool", "bool", 2, 1, 2), [
        [1, 0, 0, 1],
        [1, 0],
      ]),
    ).toEqual([[1, 0]]);
  });
  it("gives zero for an empty sum and nothing for an empty output", () => {
    expect(runKernel(backend, matmul("float32", "float32", 1, 2, 0), [[], []])).toEqual([[0, 0]]);
    expect(runKernel(backend, matmul("float32", "float32", 0, 2, 1), [[], [1, 2]])).toEqual([[]]);
  });
  it("checks positions and operands", () => {
    const k = matmul("float32", "float32", 1, 1, 2);
    const [a, b, c] = k.buffers;
    expect(() =>
      runKernel(backend, { ...k, buffers: [reads("float32", 1), b, c] }, [[1], [1, 2]]),
    ).toThrow("kernel dot: load of buffer 0 at 1, outside its length 1");
    const program = kernelProgram({ ...k, buffers: [a, reads("float32", 1), c] });
    const same = { ...program, steps: program.steps.map((s) => ({ ...s, args: [0, 2, 2] })) };
    expect(() => backend.compile(same)).toThrow("argument 2 overlaps operand 2");
    // a temporary that lies in the result
    const tenant = { ...(program.buffers[2] as ProgramBuffer), place: "temp", home: 2 } as const;
    const inside = {
      ...program,
      buffers: [...program.buffers, tenant],
      steps: program.steps.map((s) => ({ ...s, args: [0, 3, 2] })),
    };
    expect(() => backend.compile(inside)).toThrow("argument 2 overlaps operand 3");
  });
});

describe("conv", () => {
  const axis = (over: Partial<ConvSpatial>): ConvSpatial => ({
    input: 4,
    window: 2,
    output: 3,
    stride: 1,
    low: 0,
    inputDilation: 1,
    windowDilation: 1,
    xStride: 1,
    wStride: 1,
    outStride: 1,
    ...over,
  });
  const conv1 = (s: ConvSpatial, x: readonly number[], w: readonly number[]): number[] => {
    const k: ConvKernel = {
      kind: "conv",
      name: "conv",
      buffers: [reads("float32", s.input), reads("float32", s.window), writes("float32", s.output)],
      batch: { size: 1, x: s.input, out: s.output },
      inFeatures: { size: 1, x: s.input, w: s.window },
      outFeatures: { size: 1, w: s.window, out: s.output },
      featureGroups: 1,
      batchGroups: 1,
      spatial: [s],
    };
    return runKernel(backend, k, [x, w])[0] as number[];
  };
  const x = [1, 2, 3, 4];
  const w = [10, 1];
  it("slides the window", () => expect(conv1(axis({}), x, w)).toEqual([12, 23, 34]));
  it("pads, on both sides of zero", () => {
    expect(conv1(axis({ low: 1, output: 5 }), x, w)).toEqual([1, 12, 23, 34, 40]);
    expect(conv1(axis({ low: -1, output: 2 }), x, w)).toEqual([23, 34]);
  });
  it("strides", () => expect(conv1(axis({ stride: 2, output: 2 }), x, w)).toEqual([12, 34]));
  it("dilates the window", () =>
    expect(conv1(axis({ windowDilation: 2, output: 2 }), x, w)).toEqual([13, 24]));
  it("dilates the input", () =>
    expect(conv1(axis({ inputDilation: 2, output: 6 }), x, w)).toEqual([10, 2, 20, 3, 30, 4]));

  it("groups features and batches", () => {
    // 2 batches, 2 features, windows of 1; weights [o] and x[n,c] = 10n + c
    const base = {
      kind: "conv",
      name: "groups",
      inFeatures: { size: 1, x: 1, w: 1 },
      spatial: [],
    } as const;
    const byFeature: ConvKernel = {
      ...base,
      buffers: [reads("int32", 4), reads("int32", 2), writes("int32", 4)],
      batch: { size: 2, x: 2, out: 2 },
      outFeatures: { size: 2, w: 1, out: 1 },
      featureGroups: 2,
      batchGroups: 1,
    };
    expect(
      runKernel(backend, byFeature, [
        [0, 1, 10, 11],
        [2, 3],
      ]),
    ).toEqual([[0, 3, 20, 33]]);
    const byBatch: ConvKernel = {
      ...base,
      buffers: [reads("int32", 4), reads("int32", 2), writes("int32", 4)],
      batch: { size: 4, x: 1, out: 2 },
      outFeatures: { size: 2, w: 1, out: 1 },
      featureGroups: 1,
      batchGroups: 2,
    };
    // output feature 0 reads batches 0, 1 and feature 1 batches 2, 3
    expect(
      runKernel(backend, byBatch, [
        [5, 6, 7, 8],
        [2, 3],
      ]),
    ).toEqual([[10, 21, 12, 24]]);
  });
});

describe("programs", () => {
  const double = elementwise("double", ["float32"], "float32", 4, (x) => add(x as Expr, x as Expr));
  it("keeps temporaries in the arena and starts them undefined", () => {
    const read = elementwise("read", ["float32"], "float32", 4, (x) => x as Expr);
    const buffers = [
      programBuffer("float32", 4, "input"),
      programBuffer("float32", 4, "temp", 0),
      programBuffer("float32", 4, "temp", 16),
      programBuffer("float32", 4, "output"),
      programBuffer("float32", 4, "output"),
    ];
    const p = programOf(
      "chain",
      buffers,
      [
        { kernel: double, args: [0, 1] },
        { kernel: double, args: [1, 3] },
        { kernel: read, args: [2, 4] },
      ],
      32,
    );
    const [a, b] = runProgram(backend, p, [new Float32Array([1, 2, 3, 4])]) as [
      Uint8Array<ArrayBuffer>,
      Uint8Array<ArrayBuffer>,
    ];
    expect([...new Float32Array(a.buffer)]).toEqual([4, 8, 12, 16]);
    expect([...new Float32Array(b.buffer)]).toEqual([nan, nan, nan, nan]);
  });

  it("returns inputs as they came and repeats outputs", () => {
    const p = { ...kernelProgram(double), outputs: [0, 1, 1] };
    const x = backend.write(new Uint8Array(16));
    const [same, y, again] = backend.compile(p).run([x]);
    expect(same).toBe(x);
    expect(again).toBe(y);
  });

  it("refuses inputs of the wrong number or size", () => {
    const run = backend.compile(kernelProgram(double));
    expect(() => run.run([])).toThrow("program double: takes 1 inputs, got 0");
    expect(() => run.run([backend.write(new Uint8Array(8))])).toThrow(
      "input 0 has 8 bytes, not 16",
    );
  });

  it("runs with zero-length buffers", () => {
    const k = elementwise("none", ["float32"], "float32", 0, (x) => x as Expr);
    expect(runKernel(backend, k, [[]])).toEqual([[]]);
  });
});

describe("storage", () => {
  it("copies in and out", async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const s = backend.write(bytes);
    bytes[0] = 9;
    const out = backend.readSync(s);
    expect([...out]).toEqual([1, 2, 3]);
    out[1] = 9;
    expect([...(await backend.read(s))]).toEqual([1, 2, 3]);
  });

  it("counts what is held", () => {
    const before = backend.memory().used;
    const s = backend.write(new Uint8Array(1000));
    expect(backend.memory().used).toBe(before + 1000);
    expect(backend.memory().peak).toBeGreaterThanOrEqual(before + 1000);
    backend.free(s);
    backend.free(s);
    expect(backend.memory().used).toBe(before);
  });

  it("refuses storage that was freed or donated", async () => {
    const s = backend.write(new Uint8Array(16));
    backend.free(s);
    expect(() => backend.readSync(s)).toThrow(BackendError);
    expect(() => backend.readSync(s)).toThrow("16 bytes that were disposed or donated");
    await expect(backend.read(s)).rejects.toThrow(BackendError);
    const double = elementwise("double", ["float32"], "float32", 4, (x) =>
      add(x as Expr, x as Expr),
    );
    const run = backend.compile(kernelProgram(double));
    expect(() => run.run([s])).toThrow("disposed or donated");
    const donated = backend.write(new Uint8Array(16));
    run.run([donated], [true]);
    expect(() => run.run([donated])).toThrow("disposed or donated");
  });

  it("frees when the last owner is collected", async () => {
    const collect = (globalThis as { gc?: () => void }).gc ?? (await exposedCollector());
    const before = backend.memory().used;
    const keeper: object[] = [{}];
    (() => {
      const s = backend.write(new Uint8Array(4096));
      backend.own(s, {});
      backend.own(s, keeper[0] as object);
    })();
    await collected(collect);
    expect(backend.memory().used).toBe(before + 4096);
    keeper.pop();
    await collected(collect);
    expect(backend.memory().used).toBe(before);
  });
});

async function exposedCollector(): Promise<() => void> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

/** Collects, and lets finalizers run. */
async function collected(collect: () => void): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((done) => setTimeout(done, 5));
  }
}
