/** Conditionals in vector registers, and iterations that depend on each other. */
import { describe, expect, it } from "vitest";
import { allDTypes } from "../core/dtype.ts";
import {
  add,
  and,
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
  unary,
} from "../core/kernel/expr.ts";
import { loop, type Stmt, set, when } from "../core/kernel/kernel.ts";
import { elementwise, loops, reads, store, updates, writes } from "./conformance/programs.ts";
import { filled, Random } from "./conformance/values.ts";

import {
  same,
  isVector,
  parallel,
  random,
  mixed,
  moderate,
  ragged,
  raggedLength,
} from "./conformance/kernels.ts";

describe("conditionals", () => {
  const x = (i: Expr, at: number): Expr => load(0, add(i, int(at)), "float32");
  it("pad: a load that only some lanes may do", () => {
    for (let before = 0; before < 9; before++)
      for (const n of [8, 13, 32]) {
        const total = n + before + 5;
        const k = loops(
          "pad",
          [reads("float32", n), writes("float32", total), writes("float64", total)],
          [
            loop(total, (i) => {
              const inside = and(compare("ge", i, int(before)), compare("lt", i, int(before + n)));
              const value = cond(inside, x(i, -before), lit(-1, "float32"));
              return [store(1, i, value), store(2, i, cast(mul(value, value), "float64"))];
            }),
          ],
        );
        expect(isVector(k)).toBe(true);
        same(k, [random("float32", n)]);
      }
  });
  it("concatenation of pieces, of every dtype", () => {
    for (const d of allDTypes) {
      const sizes = [5, 16, 3, 9, 30];
      const total = sizes.reduce((a, b) => a + b);
      const k = loops(
        `concatenate ${d}`,
        [...sizes.map((n) => reads(d, n)), writes(d, total)],
        [
          parallel(
            loop(total, (i) => {
              let from = total;
              let e: Expr | null = null;
              for (let p = sizes.length - 1; p >= 0; p--) {
                const end = from;
                from -= sizes[p] as number;
                const piece = load(p, sub(i, int(from)), d);
                e = e === null ? piece : cond(compare("lt", i, int(end)), piece, e);
              }
              return [store(sizes.length, i, e as Expr)];
            }),
          ),
        ],
      );
      expect(isVector(k)).toBe(true);
      same(
        k,
        sizes.map((n, s) => mixed(d, n, s)),
      );
    }
  });
  it("guarded gathers, and locals that differ between lanes", () => {
    const at = new KVar("int32", "at");
    const scale = new KVar("float64", "scale");
    const k = loops(
      "guarded",
      [reads("int32", 41), reads("float32", 20), writes("float64", 41)],
      [
        parallel(
          loop(41, (i) => [
            set(at, load(0, i, "int32")),
            set(scale, mul(cast(at, "float64"), lit(0.5, "float64"))),
            store(
              2,
              i,
              cond(
                and(compare("ge", at, int(0)), compare("lt", at, int(20))),
                mul(cast(load(1, at, "float32"), "float64"), scale),
                scale,
              ),
            ),
          ]),
        ),
      ],
    );
    expect(isVector(k)).toBe(true);
    const r = new Random(4);
    same(k, [filled(41, (i) => (i < 12 ? i : r.int(-20, 40))), random("float32", 20)]);
  });
  it("sides that are skipped where no lane needs them", () => {
    for (const d of ["float32", "float64", "int32"] as const) {
      const long = (v: Expr, c: number): Expr => {
        let e = v;
        for (let i = 0; i < 60; i++) e = add(mul(e, v), lit(c + i, d));
        return e;
      };
      const k = elementwise(`sides ${d}`, [d, d], d, 50, (a, b) => {
        const [p, q] = [a as Expr, b as Expr];
        const inner = cond(compare("lt", q, lit(0, d)), long(q, 2), long(p, 3));
        return add(cond(compare("lt", p, q), inner, long(sub(p, q), 1)), inner);
      });
      expect(isVector(k)).toBe(true);
      const xs = moderate(d, 50, 5);
      same(k, [xs, xs.map((v, i) => (i < 20 ? v + 1 : i < 30 ? v - 1 : v + (i % 3) - 1))]);
    }
  });
  it("sides in float64", () => {
    const d = "float64";
    const k = elementwise("two sides", ["float32", d], d, 50, (a, b) => {
      const x = cast(a as Expr, d);
      const long = (c: number): Expr =>
        filled(30, (i) => i).reduce<Expr>((e, i) => add(mul(e, x), lit(c + i, d)), x);
      return cond(compare("lt", x, b as Expr), long(1), long(2));
    });
    expect(isVector(k)).toBe(true);
    const xs = moderate("float32", 50, 5);
    same(k, [xs, xs.map((v, i) => (i < 20 ? v + 1 : i < 30 ? v - 1 : v + (i % 3) - 1))]);
  });
  it("of bool, chosen by masks of both widths", () => {
    const k = ragged("bools", ["float64", "float32", "bool"], "bool", (x, y, m) => {
      const wide = compare("lt", x as Expr, lit(0, "float64"));
      const narrow = compare("lt", y as Expr, lit(0, "float32"));
      const a = cond(wide, m as Expr, narrow);
      const b = select(narrow, binary("xor", wide, m as Expr), unary("not", a));
      return or(and(a, b), compare("eq", wide, narrow));
    });
    same(k, [
      mixed("float64", raggedLength),
      mixed("float32", raggedLength, 2),
      random("bool", raggedLength),
    ]);
  });
  it("with a test that all lanes share", () => {
    const k = loops(
      "shared test",
      [reads("bool", 2), reads("float32", 40), reads("float32", 10), writes("float32", 80)],
      [
        loop(2, (j) => [
          loop(40, (i) => [
            store(
              3,
              add(mul(j, int(40)), i),
              cond(
                load(0, j, "bool"),
                load(1, i, "float32"),
                // not in range of buffer 2 for every i
                cond(compare("lt", i, int(10)), load(2, i, "float32"), lit(2, "float32")),
              ),
            ),
          ]),
        ]),
      ],
    );
    for (const flags of [
      [0, 1],
      [1, 0],
    ])
      same(k, [flags, random("float32", 40), random("float32", 10)]);
  });
});

describe("iterations that are not independent", () => {
  it("run in order", () => {
    const n = 37;
    const d = "int32";
    const before = new KVar(d, "before");
    const bodies: readonly ((i: Expr) => readonly Stmt[])[] = [
      // a recurrence through memory
      (i) => [store(1, add(i, int(1)), add(load(1, i, d), load(0, i, d)))],
      // reads what a later iteration overwrites, and what an earlier one wrote
      (i) => [store(1, i, add(load(1, add(i, int(1)), d), load(0, i, d)))],
      (i) => [store(1, sub(int(n - 1), i), load(1, i, d))],
      // one place, or places that depend on data
      (_i) => [store(1, int(3), add(load(1, int(3), d), int(1)))],
      (i) => [store(1, load(0, i, d), i)],
      (i) => [
        store(1, load(0, i, d), add(load(1, load(0, i, d), d), int(1))),
        store(1, binary("div", i, int(2)), i),
      ],
      // a local that comes from the iteration before
      (i) => [store(1, i, before), set(before, load(0, i, d))],
      (i) => [set(before, add(before, load(0, i, d))), store(1, i, before)],
      (i) => [set(before, sub(load(0, i, d), before))],
    ];
    for (const [at, body] of bodies.entries()) {
      const k = loops(
        `dependent ${at}`,
        [reads(d, n + 1), updates(d, n + 1), writes(d, 1)],
        [
          loop(n + 1, (i) => [store(1, i, i)]),
          set(before, int(5)),
          loop(n, body),
          store(2, int(0), before),
        ],
      );
      const r = new Random(at);
      same(k, [filled(n + 1, () => r.int(0, n))]);
    }
  });
  it("a local that is read after the loop has its last value", () => {
    const last = new KVar("float32", "last");
    const k = loops(
      "last",
      [reads("float32", 33), writes("float32", 34)],
      [
        set(last, lit(0, "float32")),
        loop(33, (i) => [
          set(last, mul(load(0, i, "float32"), lit(2, "float32"))),
          store(1, i, last),
        ]),
        store(1, int(33), last),
      ],
    );
    same(k, [random("float32", 33)]);
  });
  it("in place, and several stores", () => {
    const t = new KVar("float32", "t");
    const k = loops(
      "in place",
      [reads("float32", 45), updates("float32", 45), writes("float64", 45), writes("uint8", 45)],
      [
        loop(45, (i) => [store(1, i, load(0, i, "float32"))]),
        loop(45, (i) => [
          set(t, mul(load(1, i, "float32"), lit(3, "float32"))),
          store(1, i, add(load(1, i, "float32"), t)),
          store(2, i, cast(load(1, i, "float32"), "float64")),
          store(3, i, cast(t, "uint8")),
        ]),
      ],
    );
    expect(isVector(k)).toBe(true);
    same(k, [random("float32", 45)]);
  });
  it("statements under a test", () => {
    const k = loops(
      "if",
      [reads("float32", 64), reads("bool", 64), updates("float32", 64)],
      [
        loop(64, (i) => [store(2, i, lit(0, "float32"))]),
        parallel(loop(64, (i) => [when(load(1, i, "bool"), [store(2, i, load(0, i, "float32"))])])),
      ],
    );
    same(k, [random("float32", 64), random("bool", 64)]);
  });
});
