/** Elementwise loops in vector registers, for every operation and dtype, are what one iteration after the other is. */
import { describe, expect, it } from "vitest";
import { allDTypes, dtypes, isFloat } from "../core/dtype.ts";
import {
  add,
  binary,
  bitcast,
  cast,
  compare,
  type Expr,
  int,
  lit,
  load,
  mul,
  or,
  select,
  sub,
  unary,
} from "../core/kernel/expr.ts";
import { loop } from "../core/kernel/kernel.ts";
import { elementwise, loops, reads, store, writes } from "./conformance/programs.ts";
import { edges, filled } from "./conformance/values.ts";

import {
  same,
  isVector,
  parallel,
  mixed,
  moderate,
  floats,
  integers,
  unaryOps,
  binaryOps,
  compareOps,
  ragged,
  raggedLength,
} from "./conformance/kernels.ts";

describe.each(allDTypes)("lanes of %s are what a scalar is", (d) => {
  it.each(unaryOps(d))("%s", (op) => {
    const out = op === "isFinite" ? "bool" : d;
    const k = ragged(op, [d], out, (x) => unary(op, x as Expr));
    if (op !== "clz") expect(isVector(k)).toBe(true);
    same(k, [mixed(d, raggedLength)]);
  });
  it.each(binaryOps(d))("%s", (op) => {
    const [x, y] = [mixed(d, raggedLength, 1), mixed(d, raggedLength, 2)];
    same(
      ragged(op, [d, d], d, (a, b) => binary(op, a as Expr, b as Expr)),
      [x, y],
    );
    for (const c of edges(d).slice(0, 14))
      same(
        ragged(`${op} ${c}`, [d], d, (a) => binary(op, a as Expr, lit(c, d))),
        [x],
      );
  });
  it("operations with a constant on either side", () => {
    const x = mixed(d, raggedLength, 6);
    const constants = isFloat(d)
      ? [0.1, -0.3, 4, -0.25, 2 ** -14, 3, -0, 0]
      : d === "bool"
        ? [0, 1]
        : [3, 7, 100];
    for (const op of binaryOps(d).filter((o) => o !== "pow"))
      for (const c of constants) {
        same(
          ragged(`${op} ${c}`, [d], d, (a) => binary(op, a as Expr, lit(c, d))),
          [x],
        );
        same(
          ragged(`${c} ${op}`, [d], d, (a) => binary(op, lit(c, d), a as Expr)),
          [x],
        );
      }
  });
  it.each(compareOps)("%s, alone and in masks", (op) => {
    const inputs = [mixed(d, raggedLength, 1), mixed(d, raggedLength, 2)];
    const test = (x: Expr, y: Expr): Expr => compare(op, x, y);
    same(
      ragged(op, [d, d], "bool", (x, y) => test(x as Expr, y as Expr)),
      inputs,
    );
    // masks of one width that choose among values of the other, and logic on both
    for (const to of ["float32", "float64", "int8", "bool"] as const)
      same(
        ragged(`${op} ${to}`, [d, d], to, (x, y) =>
          select(
            or(
              test(x as Expr, y as Expr),
              unary("not", compare("lt", cast(x as Expr, to), cast(y as Expr, to))),
            ),
            cast(x as Expr, to),
            lit(1, to),
          ),
        ),
        inputs,
      );
  });
  it.each(allDTypes)("cast to %s", (to) => {
    const beyond = isFloat(d)
      ? integers.flatMap((i) =>
          [-1, -0.5, 0, 0.5, 1].flatMap((s) => [dtypes[i].min + s, dtypes[i].max + s]),
        )
      : [];
    const values = [...beyond, ...mixed(d, raggedLength)].slice(0, raggedLength);
    same(
      ragged(`cast to ${to}`, [d], to, (x) => cast(x as Expr, to)),
      [values],
    );
  });
  it.each(allDTypes.filter((to) => to !== d && dtypes[to].bytes === dtypes[d].bytes))(
    "bitcast to %s",
    (to) => {
      const values = mixed(d, raggedLength).map((x) =>
        Number.isNaN(x) || (to === "bool" && x > 1) || x < 0 ? 1 : x,
      );
      same(
        ragged(`bitcast to ${to}`, [d], to, (x) => bitcast(x as Expr, to)),
        [values],
      );
    },
  );
  it("unit, reversed, strided, uniform and gathered operands", () => {
    const n = 23;
    const k = loops(
      `places ${d}`,
      [reads(d, 200), reads("int32", n), writes(d, 5 * n), writes(d, 3 * n)],
      [
        loop(n, (i) => {
          const values = [
            load(0, add(i, int(7)), d),
            load(0, sub(int(n + 5), i), d),
            load(0, add(mul(i, int(3)), int(1)), d),
            load(0, int(9), d),
            load(0, load(1, i, "int32"), d),
          ];
          return [...values.map((v, j) => store(2, add(i, int(j * n)), v))];
        }),
        loop(n, (i) => [store(3, mul(i, int(3)), load(0, i, d))]),
        loop(n, (i) => [
          store(3, sub(int(3 * n - 1), mul(i, int(3))), load(0, add(i, int(50)), d)),
        ]),
        loop(n, (i) => [store(3, add(mul(i, int(3)), int(1)), load(0, add(i, int(50)), d))]),
      ],
    );
    same(k, [mixed(d, 200), filled(n, (i) => (i * 67) % 200)]);
  });
});

describe("expressions of several dtypes", () => {
  it("float32 in float64, and back", () => {
    const k = ragged("wide", ["float32", "float32"], "float32", (x, y) => {
      const [a, b] = [cast(x as Expr, "float64"), cast(y as Expr, "float64")];
      const q = binary("div", a, add(mul(b, b), lit(1, "float64")));
      return add(cast(q, "float32"), x as Expr);
    });
    expect(isVector(k)).toBe(true);
    same(k, [moderate("float32", raggedLength), moderate("float32", raggedLength, 2)]);
  });
  it("the loop variable", () => {
    for (const d of allDTypes) {
      const k = loops(
        `iota ${d}`,
        [writes(d, 100)],
        [parallel(loop(100, (i) => [store(0, i, cast(add(mul(i, i), int(-7)), d))]))],
      );
      expect(isVector(k)).toBe(true);
      same(k, []);
    }
  });
  it("words of a float64, and a float64 of words", () => {
    const split = ragged("words", ["float64"], "int32", (x) =>
      binary("xor", unary("highWord", x as Expr), unary("lowWord", x as Expr)),
    );
    expect(isVector(split)).toBe(true);
    const numbers = mixed("float64", raggedLength).filter((x) => !Number.isNaN(x));
    same(split, [filled(raggedLength, (i) => numbers[i % numbers.length] as number)]);
    const joined = ragged("join", ["int32", "int32"], "float64", (high, low) =>
      binary("joinWords", high as Expr, low as Expr),
    );
    expect(isVector(joined)).toBe(true);
    same(joined, [mixed("int32", raggedLength, 1), mixed("int32", raggedLength, 2)]);
  });
  it("imported functions, one lane after the other among vector operations", () => {
    for (const d of floats) {
      const k = elementwise(`sin ${d}`, [d], d, 21, (x) => {
        const a = x as Expr;
        const square = add(mul(a, a), lit(1, d));
        return add(mul(unary("sin", a), square), binary("pow", square, lit(0.5, d)));
      });
      same(k, [moderate(d, 21)]);
    }
  });
});
