/** Reductions in vector registers, alone and of columns side by side. */
import { describe, expect, it } from "vitest";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import { allDTypes, type DType, dtypes, isFloat, pack } from "../core/dtype.ts";
import {
  add,
  and,
  type BinaryOp,
  binary,
  cast,
  compare,
  cond,
  type Expr,
  int,
  KVar,
  lit,
  load,
  mul,
  or,
  select,
  sub,
} from "../core/kernel/expr.ts";
import { type LoopKernel, loop, set } from "../core/kernel/kernel.ts";
import { reduceNest } from "../core/program/nest.ts";
import { kernelProgram, loops, reads, runProgram, store, writes } from "./conformance/programs.ts";
import { filled, Random } from "./conformance/values.ts";

import { same, isVector, parallel, random, mixed, moderate } from "./conformance/kernels.ts";

describe("reductions", () => {
  const foldOps = (d: DType): readonly BinaryOp[] =>
    d === "bool"
      ? ["and", "or", "xor", "min", "max"]
      : isFloat(d)
        ? ["min", "max"]
        : ["add", "mul", "min", "max", "and", "or", "xor"];
  const fold = (
    d: DType,
    n: number,
    op: (acc: Expr, x: Expr) => Expr,
    init: number,
    offset = 0,
  ): LoopKernel => {
    const acc = new KVar(d, "acc");
    return loops(
      `fold ${d} ${n}`,
      [reads(d, n + offset), writes(d, 1)],
      [
        set(acc, lit(init, d)),
        loop(n, (i) => [set(acc, op(acc, load(0, add(i, int(offset)), d)))]),
        store(1, int(0), acc),
      ],
    );
  };
  const lengths = [0, 1, 7, 8, 15, 16, 17, 19, 31, 33, 64, 77, 131];
  it.each(allDTypes)("of %s, exact in any order", (d) => {
    for (const op of foldOps(d))
      for (const n of lengths) {
        const k = fold(d, n, (acc, x) => binary(op, acc, x), 1, 3);
        if (n >= 16) expect(isVector(k), `${op} ${n}`).toBe(true);
        const r = new Random(n);
        const values = mixed(d, n + 3, n).map((x) =>
          Number.isNaN(x) && r.chance(0.9)
            ? 2
            : op === "and" && d === "bool"
              ? Number(n % 3 > 0)
              : x,
        );
        same(k, [values]);
      }
  });
  it("sums and products of floats, to within the error of reordering", () => {
    for (const d of ["float32", "float64"] as const)
      for (const n of lengths) {
        const values = moderate(d, n).map((x) => x * 1.1);
        const sum = values.reduce((a, x) => a + Math.abs(x), 1);
        same(fold(d, n, add, 0.5), [values], {
          // each of two orders is off by at most n roundings of the sum of absolute values
          bound: () => 2 * n * sum * dtypes[d].eps,
        });
        const near = filled(n, (i) => 1 + ((i * 7) % 5) / 16 - 1 / 8);
        same(fold(d, n, mul, 1), [near], {
          bound: (_i, wanted) => 2 * n * Math.abs(wanted) * dtypes[d].eps,
        });
      }
  });
  it("keep the sign of a zero sum, and NaN", () => {
    for (const n of [16, 21, 64]) {
      same(fold("float32", n, add, -0), [filled(n, () => -0)]);
      same(fold("float32", n, add, 0), [filled(n, () => -0)]);
      same(fold("float32", n, add, 0), [filled(n, (i) => (i === n - 5 ? Number.NaN : i))]);
      same(
        fold("float64", n, (acc, x) => binary("max", acc, x), Number.NEGATIVE_INFINITY),
        [filled(n, (i) => (i === 5 ? Number.NaN : i))],
      );
    }
  });
  it("of float32 in float64 are exact on integers", () => {
    for (const n of lengths) {
      const acc = new KVar("float64", "acc");
      const k = loops(
        `wide ${n}`,
        [reads("float32", n), writes("float32", 1)],
        [
          set(acc, lit(0, "float64")),
          loop(n, (i) => [set(acc, add(acc, cast(load(0, i, "float32"), "float64")))]),
          store(1, int(0), cast(acc, "float32")),
        ],
      );
      same(k, [filled(n, (i) => (i * 7919) % 1009)]);
    }
  });
  it("under a condition, with a difference, and beside stores", () => {
    const count = new KVar("int32", "count");
    const least = new KVar("float32", "least");
    const total = new KVar("int32", "total");
    const n = 75;
    const k = loops(
      "several",
      [reads("float32", n), writes("float32", n), writes("int32", 2), writes("float32", 1)],
      [
        set(count, int(3)),
        set(total, int(-2)),
        set(least, lit(1e9, "float32")),
        loop(n, (i) => {
          const x = load(0, i, "float32");
          const positive = compare("gt", x, lit(0, "float32"));
          return [
            store(1, i, mul(x, x)),
            set(count, add(count, cast(positive, "int32"))),
            set(total, sub(total, cast(x, "int32"))),
            set(least, select(positive, binary("min", least, x), least)),
          ];
        }),
        store(2, int(0), count),
        store(2, int(1), total),
        store(3, int(0), least),
      ],
    );
    expect(isVector(k)).toBe(true);
    same(k, [moderate("float32", n)]);
  });
  it("positions of extrema: the first among equals, and NaN before all", () => {
    const r = new Random(3);
    for (const d of ["float32", "float64", "int32", "int8", "uint8", "bfloat16"] as const)
      for (const better of ["gt", "lt"] as const)
        for (const n of [15, 16, 18, 37]) {
          const rows = 12;
          const k = loops(
            `position ${d} ${better} ${n}`,
            [reads(d, rows * n), writes("int32", rows)],
            reduceNest(
              [rows],
              [n],
              {
                init: () => [lit(0, d), int(-1)],
                step: ([best, at], [j], [i]) => {
                  const [b, p] = [best as Expr, at as Expr];
                  const v = load(0, add(mul(j as Expr, int(n)), i as Expr), d);
                  const missing = (e: Expr): Expr => compare("ne", e, e);
                  const wins = compare(better, v, b);
                  const take = or(
                    compare("lt", p, int(0)),
                    isFloat(d) ? select(missing(b), lit(0, "bool"), or(wins, missing(v))) : wins,
                  );
                  return [select(take, v, b), select(take, i as Expr, p)];
                },
                finish: ([, at]) => [at as Expr],
              },
              [1],
            ),
          );
          if (n >= 16) expect(isVector(k)).toBe(true);
          // few values, so that many are equal; zeros of both signs; NaN in every third row
          const value = (row: number): number =>
            isFloat(d) && row % 3 === 0 && r.chance(0.05)
              ? Number.NaN
              : row % 3 === 1
                ? r.pick([3, 4, 4])
                : isFloat(d)
                  ? r.pick([-0, 0, -1, -2])
                  : r.int(0, 5);
          same(k, [filled(rows * n, (i) => value(Math.floor(i / n)))]);
        }
  });
  it("of what only some iterations may load", () => {
    const n = 50;
    const [sum, largest] = [new KVar("int32", "sum"), new KVar("float64", "largest")];
    const k = loops(
      "guarded sums",
      [reads("int32", 30), reads("float64", 30), writes("int32", 1), writes("float64", 1)],
      [
        set(sum, int(7)),
        set(largest, lit(-5, "float64")),
        loop(n, (i) => {
          const at = sub(i, int(9));
          const inside = and(compare("ge", at, int(0)), compare("lt", at, int(30)));
          return [
            set(sum, cond(inside, add(sum, load(0, at, "int32")), sum)),
            set(
              largest,
              binary("max", largest, cond(inside, load(1, at, "float64"), lit(0, "float64"))),
            ),
          ];
        }),
        store(2, int(0), sum),
        store(3, int(0), largest),
      ],
    );
    expect(isVector(k)).toBe(true);
    same(k, [random("int32", 30), moderate("float64", 30)]);
  });
  it("do not depend on anything but the extent", () => {
    const n = 40;
    const rows = 6;
    const acc = new KVar("float32", "acc");
    const row = random("float32", n).map((x) => (Number.isFinite(x) ? x % 100 : 1));
    const k = loops(
      "rows",
      [reads("float32", n * rows), writes("float32", rows)],
      [
        parallel(
          loop(rows, (j) => [
            set(acc, lit(0, "float32")),
            loop(n, (i) => [set(acc, add(acc, load(0, add(mul(j, int(n)), i), "float32")))]),
            store(1, j, acc),
          ]),
        ),
      ],
    );
    const program = kernelProgram(k);
    const data = pack(
      filled(rows * n, (i) => row[i % n] as number),
      "float32",
    );
    const [out] = runProgram(wasmBackend, program, [data]) as [Uint8Array];
    expect(new Set(new Float32Array(out.slice().buffer)).size).toBe(1);
  });
});

describe("columns side by side", () => {
  const sumOf = (d: DType, acc: DType, rows: number, columns: number): LoopKernel =>
    loops(
      `columns ${rows} ${columns}`,
      [reads(d, rows * columns), writes(d, columns)],
      reduceNest(
        [columns],
        [rows],
        {
          init: () => [lit(0, acc)],
          step: ([sum], [j], [i]) => [
            add(sum as Expr, cast(load(0, add(mul(i as Expr, int(columns)), j as Expr), d), acc)),
          ],
          finish: ([sum]) => [cast(sum as Expr, d)],
        },
        [1],
      ),
    );
  it("sums over a leading axis are those of one column, bit for bit", () => {
    for (const [d, acc] of [
      ["float32", "float64"],
      ["float64", "float64"],
      ["bfloat16", "float32"],
      ["int8", "int8"],
    ] as const)
      for (const columns of [8, 9, 16, 21, 37, 64])
        for (const rows of [2, 5, 17]) {
          const k = sumOf(d, acc, rows, columns);
          if (d !== "int8") expect(isVector(k)).toBe(true);
          same(k, [mixed(d, rows * columns, rows)]);
        }
  });
  it("a weighted sum, its weights the same in all lanes", () => {
    const [rows, columns] = [12, 27];
    const k = loops(
      "weighted",
      [reads("float64", rows * columns), reads("float64", rows), writes("float64", columns)],
      reduceNest(
        [columns],
        [rows],
        {
          init: () => [lit(0, "float64")],
          step: ([sum], [j], [i]) => [
            add(
              sum as Expr,
              mul(
                load(0, add(mul(i as Expr, int(columns)), j as Expr), "float64"),
                load(1, i as Expr, "float64"),
              ),
            ),
          ],
        },
        [2],
      ),
    );
    expect(isVector(k)).toBe(true);
    same(k, [random("float64", rows * columns), random("float64", rows)]);
  });
  it("an inner range that the outer index chooses", () => {
    const acc = new KVar("int32", "acc");
    const k = loops(
      "triangle",
      [reads("int32", 400), writes("int32", 20)],
      [
        parallel(
          loop(20, (j) => [
            set(acc, int(0)),
            loop(j, (i) => [set(acc, add(acc, load(0, add(mul(i, int(20)), j), "int32")))]),
            store(1, j, acc),
          ]),
        ),
      ],
    );
    same(k, [random("int32", 400)]);
  });
});
