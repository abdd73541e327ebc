import { describe, expect, it } from "vitest";
import { referenceBackend as backend } from "../core/backend/reference/backend.ts";
import type { DType } from "../core/dtype.ts";
import {
  add,
  binary,
  cast,
  compare,
  cond,
  div,
  type Expr,
  int,
  KVar,
  linearIndex,
  lit,
  load,
  max,
  mul,
  operands,
  rem,
  select,
  sub,
  unary,
} from "../core/kernel/expr.ts";
import type { KernelBuffer, Stmt } from "../core/kernel/kernel.ts";
import { AffineForms, affine, fromAffine } from "../core/program/affine.ts";
import { mapNest, reduceNest } from "../core/program/nest.ts";
import { sizeOf, stridesOf } from "../core/shape.ts";
import { loops, reads, runKernel, writes } from "./conformance/programs.ts";

// ---- what a nest looks like ----

/** `120 { store1 }`: the extents of loops, the targets of sets and stores. */
const sketch = (body: readonly Stmt[]): string =>
  body
    .map((s) => {
      switch (s.kind) {
        case "for":
          return `${show(s.to)} { ${sketch(s.body)} }`;
        case "set":
          return `${s.v.name} = ${show(s.value)};`;
        case "store":
          return `[${s.buffer}] @ ${show(s.index)} = ${show(s.value)};`;
        default:
          return s.kind;
      }
    })
    .join(" ");

function show(e: Expr): string {
  switch (e.kind) {
    case "var":
      return e.name;
    case "lit":
      return String(e.value);
    case "load":
      return `[${e.buffer}](${show(e.index)})`;
    case "unary":
      return `${e.op}(${show(e.x)})`;
    case "binary":
    case "compare":
      return `${e.op}(${show(e.x)}, ${show(e.y)})`;
    case "select":
    case "cond":
      return `${e.kind}(${show(e.test)}, ${show(e.yes)}, ${show(e.no)})`;
    case "cast":
    case "bitcast":
      return `${e.dtype}(${show(e.x)})`;
  }
}

/** Reads buffer `buffer` as an array of `shape` at `offset`, with given strides. */
const reader =
  (
    buffer: number,
    shape: readonly number[],
    dtype: DType = "float32",
    strides = stridesOf(shape),
  ) =>
  (index: readonly Expr[]): Expr =>
    load(buffer, linearIndex(index, strides), dtype);

const iota = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function run(
  body: readonly Stmt[],
  buffers: readonly KernelBuffer[],
  inputs: readonly number[][],
): number[][] {
  return runKernel(backend, loops("nest", buffers, body), inputs);
}

describe("affine", () => {
  const i = new KVar("int32", "i");
  const j = new KVar("int32", "j");
  it("collects coefficients", () => {
    const form = affine(sub(add(mul(int(5), add(i, j)), int(7)), mul(j, int(5))));
    expect(form).toEqual({ constant: 7, terms: new Map([[i, 5]]) });
    expect(affine(unary("neg", add(i, int(1))))).toEqual({
      constant: -1,
      terms: new Map([[i, -1]]),
    });
    expect(affine(int(3))).toEqual({ constant: 3, terms: new Map() });
  });
  it("is null for anything else", () => {
    for (const e of [
      binary("mul", i, j),
      load(0, i, "int32"),
      div(i, int(2)),
      rem(add(i, int(1)), int(4)),
      select(compare("lt", i, j), i, j),
      cast(i, "float32"),
    ])
      expect(affine(e)).toBeNull();
  });
  it("takes time linear in the number of nodes", () => {
    let e: Expr = i;
    for (let n = 0; n < 30; n++) e = binary("add", e, e);
    expect(affine(e)).toEqual({ constant: 0, terms: new Map([[i, 2 ** 30]]) });
  });
  it("cancels a split that is joined again", () => {
    const p = add(mul(i, int(30)), j);
    const split = [div(p, int(15)), rem(div(p, int(5)), int(3)), rem(p, int(5))];
    expect(affine(linearIndex(split, [15, 5, 1]))).toEqual({
      constant: 0,
      terms: new Map([
        [i, 30],
        [j, 1],
      ]),
    });
    expect(affine(linearIndex(split, [1, 2, 6]))).toBeNull();
    expect(affine(div(add(mul(i, int(6)), int(12)), int(3)))).toEqual({
      constant: 4,
      terms: new Map([[i, 2]]),
    });
  });
  it("keeps the value, whatever the sign", () => {
    const forms = new AffineForms();
    const k = new KVar("int32", "k");
    const candidates = [
      add(rem(k, int(4)), mul(div(k, int(4)), int(3))),
      div(div(sub(k, int(5)), int(3)), int(2)),
      rem(div(k, int(3)), int(2)),
      sub(rem(mul(k, int(6)), int(4)), div(mul(k, int(6)), int(2))),
      div(add(mul(k, int(4)), int(6)), int(2)),
      div(k, int(-3)),
      rem(k, int(0)),
      add(div(k, int(2)), div(k, int(2))),
    ];
    for (const e of candidates) {
      const both = [e, fromAffine(forms.of(e))];
      const values = both.map(
        (x) =>
          run(
            [
              {
                kind: "for",
                v: k,
                from: int(-12),
                to: int(13),
                body: [{ kind: "store", buffer: 0, index: add(k, int(12)), value: x }],
              },
            ],
            [writes("int32", 25)],
            [],
          )[0],
      );
      expect(values[1]).toEqual(values[0]);
    }
  });
});

describe("mapNest", () => {
  it("merges contiguous axes into one loop", () => {
    const read = reader(0, [4, 5, 6]);
    const body = mapNest([4, 5, 6], (i) => [{ buffer: 1, value: unary("neg", read(i)) }]);
    expect(sketch(body)).toBe("120 { [1] @ i2 = neg([0](i2)); }");
    expect(run(body, [reads("float32", 120), writes("float32", 120)], [iota(120)])).toEqual([
      iota(120).map((x) => -x),
    ]);
  });

  it("keeps a loop where an operand is transposed", () => {
    const read = reader(0, [4, 3], "float32", [1, 3]);
    const body = mapNest([4, 3], (i) => [{ buffer: 1, value: read(i) }]);
    expect(sketch(body)).toBe("4 { 3 { [1] @ add(mul(i0, 3), i1) = [0](add(i0, mul(i1, 3))); } }");
    const plain = iota(4).flatMap((i) => iota(3).map((j) => i + 3 * j));
    expect(run(body, [reads("float32", 12), writes("float32", 12)], [iota(12)])).toEqual([plain]);
  });

  it("merges around a broadcast axis: x[2,3,1,5] + y[1,1,4,5]", () => {
    const body = mapNest([2, 3, 4, 5], (i) => [
      {
        buffer: 2,
        value: add(
          load(0, linearIndex(i, [15, 5, 0, 1]), "float32"),
          load(1, linearIndex(i, [0, 0, 5, 1]), "float32"),
        ),
      },
    ]);
    expect(sketch(body)).toBe(
      "6 { 4 { 5 { [2] @ add(add(mul(i1, 20), mul(i2, 5)), i3) = " +
        "add([0](add(mul(i1, 5), i3)), [1](add(mul(i2, 5), i3))); } } }",
    );
    const expected = iota(120).map((p) => {
      const [a, c, d] = [Math.floor(p / 20), Math.floor(p / 5) % 4, p % 5];
      return a * 5 + d + 100 * (c * 5 + d);
    });
    const y = iota(20).map((v) => 100 * v);
    expect(
      run(
        body,
        [reads("float32", 30), reads("float32", 20), writes("float32", 120)],
        [iota(30), y],
      ),
    ).toEqual([expected]);
  });

  it("merges a scalar broadcast and a reversed array too", () => {
    const body = mapNest([3, 4], (i) => [
      {
        buffer: 2,
        value: mul(
          load(0, sub(int(11), linearIndex(i, [4, 1])), "float32"),
          load(1, int(0), "float32"),
        ),
      },
    ]);
    expect(sketch(body)).toBe("12 { [2] @ i1 = mul([0](add(mul(i1, -1), 11)), [1](0)); }");
    expect(
      run(
        body,
        [reads("float32", 12), reads("float32", 1), writes("float32", 12)],
        [iota(12), [2]],
      ),
    ).toEqual([iota(12).map((p) => 2 * (11 - p))]);
  });

  it("gives axes of extent 1 the index 0, and scalars no loop", () => {
    const seen: Expr[][] = [];
    const body = mapNest([1, 3, 1], (i) => {
      seen.push([...i]);
      return [{ buffer: 0, value: cast(i[1] as Expr, "float32") }];
    });
    expect(seen[0]?.map((e) => e.kind)).toEqual(["lit", "var", "lit"]);
    expect(sketch(body)).toBe("3 { [0] @ i1 = float32(i1); }");
    expect(sketch(mapNest([], () => [{ buffer: 0, value: int(7) }]))).toBe("[0] @ 0 = 7;");
    expect(sketch(mapNest([1, 1], () => [{ buffer: 0, value: int(7) }]))).toBe("[0] @ 0 = 7;");
  });

  it("does not merge an axis whose variable is used as a value", () => {
    const body = mapNest([2, 3, 4], (i) => [{ buffer: 0, value: i[1] as Expr }]);
    expect(sketch(body)).toBe(
      "2 { 3 { 4 { [0] @ add(add(mul(i0, 12), mul(i1, 4)), i2) = i1; } } }",
    );
    const last = mapNest([2, 3, 4], (i) => [{ buffer: 0, value: i[2] as Expr }]);
    expect(sketch(last)).toBe("6 { 4 { [0] @ add(mul(i1, 4), i2) = i2; } }");
  });

  it("merges inside a gather: x[table[i, j], k, l]", () => {
    const body = mapNest([2, 3, 4, 5], (i) => [
      {
        buffer: 2,
        value: load(
          1,
          linearIndex(
            [load(0, linearIndex(i.slice(0, 2), [3, 1]), "int32"), i[2] as Expr, i[3] as Expr],
            [20, 5, 1],
          ),
          "float32",
        ),
      },
    ]);
    expect(sketch(body)).toBe(
      "6 { 20 { [2] @ add(mul(i1, 20), i3) = [1](add(mul([0](i1), 20), i3)); } }",
    );
    const table = [3, 0, 2, 1, 1, 3];
    expect(
      run(
        body,
        [reads("int32", 6), reads("float32", 80), writes("float32", 120)],
        [table, iota(80)],
      ),
    ).toEqual([table.flatMap((row) => iota(20).map((k) => 20 * row + k))]);
  });

  it("adds up equal loads within one index", () => {
    const at = (i: Expr): Expr => load(0, i, "int32");
    const body = mapNest([3], ([i]) => [
      { buffer: 2, value: load(1, add(mul(at(i as Expr), int(4)), at(i as Expr)), "float32") },
    ]);
    expect(
      run(
        body,
        [reads("int32", 3), reads("float32", 11), writes("float32", 3)],
        [[2, 0, 1], iota(11)],
      ),
    ).toEqual([[10, 0, 5]]);
  });

  it("sees through a reshape that is read whole", () => {
    // out [4, 6] reads x [2, 12] at the same position
    const body = mapNest([4, 6], (i) => {
      const p = linearIndex(i, [6, 1]);
      return [{ buffer: 1, value: reader(0, [2, 12])([div(p, int(12)), rem(p, int(12))]) }];
    });
    expect(sketch(body)).toBe("24 { [1] @ i1 = [0](i1); }");
  });

  it("keeps guarded loads guarded", () => {
    // pad [3] by one on each side
    const body = mapNest([5], ([i]) => {
      const k = sub(i as Expr, int(1));
      const inside = binary("and", compare("ge", k, int(0)), compare("lt", k, int(3)));
      return [{ buffer: 1, value: cond(inside, load(0, k, "float32"), lit(9, "float32")) }];
    });
    expect(run(body, [reads("float32", 3), writes("float32", 5)], [[1, 2, 3]])).toEqual([
      [9, 1, 2, 3, 9],
    ]);
  });

  it("makes no statements for an empty shape", () => {
    expect(mapNest([3, 0, 2], () => [{ buffer: 0, value: int(1) }])).toEqual([]);
  });

  it("computes several outputs before it stores any, shared parts once", () => {
    const read = reader(0, [2, 3]);
    const body = mapNest([2, 3], (i) => {
      const x = read(i);
      const e = unary("exp", x);
      return [
        { buffer: 1, value: add(e, x) },
        { buffer: 2, value: mul(e, x) },
        { buffer: 3, value: lit(1, "float32") },
      ];
    });
    expect(sketch(body)).toBe(
      "6 { t0 = [0](i1); t1 = exp(t0); " +
        "[1] @ i1 = add(t1, t0); [2] @ i1 = mul(t1, t0); [3] @ i1 = 1; }",
    );
    const out = writes("float64", 1);
    const f64 = { kind: "load", dtype: "float64", buffer: 0, index: int(0) } as const;
    const same = mapNest([1], () => [
      { buffer: 1, value: unary("exp", f64) },
      { buffer: 2, value: unary("exp", f64) },
    ]);
    expect(run(same, [reads("float64", 1), out, out], [[0]])).toEqual([[1], [1]]);
  });

  it("does not hoist a load out of a guard", () => {
    const body = mapNest([3], ([i]) => {
      const k = sub(i as Expr, int(1));
      const guarded = (no: number) =>
        cond(compare("ge", k, int(0)), load(0, k, "float32"), lit(no, "float32"));
      return [
        { buffer: 1, value: guarded(7) },
        { buffer: 2, value: guarded(8) },
      ];
    });
    const out = writes("float32", 3);
    expect(run(body, [reads("float32", 2), out, out], [[1, 2]])).toEqual([
      [7, 1, 2],
      [8, 1, 2],
    ]);
  });

  it("shares equal loads and equal indices", () => {
    // two nodes for one element
    const body = mapNest([2, 3], (i) => [
      { buffer: 1, value: mul(reader(0, [2, 3])(i), reader(0, [2, 3])(i)) },
    ]);
    const inner = (body[0] as Stmt & { kind: "for" }).body[0] as Stmt & { kind: "store" };
    const [x, y] = operands(inner.value);
    expect(x).toBe(y);
    expect((x as Expr & { kind: "load" }).index).toBe(inner.index);
  });
});

describe("reduceNest", () => {
  const sum = (
    read: (index: readonly Expr[]) => Expr,
    join: (i: readonly Expr[], r: readonly Expr[]) => Expr[],
  ) => ({
    init: () => [lit(0, "float64")],
    step: (acc: readonly Expr[], i: readonly Expr[], r: readonly Expr[]) => [
      add(acc[0] as Expr, cast(read(join(i, r)), "float64")),
    ],
    finish: (acc: readonly Expr[]) => [cast(acc[0] as Expr, "float32")],
  });

  it("merges the last two axes into one inner loop", () => {
    const parts = sum(reader(0, [2, 3, 4, 5]), (i, r) => [...i, ...r]);
    const body = reduceNest([2, 3], [4, 5], parts, [1]);
    expect(sketch(body)).toBe(
      "6 { acc0 = 0; 20 { acc0 = add(acc0, float64([0](add(mul(i1, 20), r1)))); } " +
        "[1] @ i1 = float32(acc0); }",
    );
    expect(run(body, [reads("float32", 120), writes("float32", 6)], [iota(120)])).toEqual([
      iota(6).map((p) => 20 * 20 * p + 190),
    ]);
  });

  it("reduces everything in one loop, without outer loops", () => {
    const body = reduceNest(
      [],
      [2, 3, 4],
      sum(reader(0, [2, 3, 4]), (_, r) => [...r]),
      [1],
    );
    expect(sketch(body)).toBe(
      "acc0 = 0; 24 { acc0 = add(acc0, float64([0](r2))); } [1] @ 0 = float32(acc0);",
    );
    expect(run(body, [reads("float32", 24), writes("float32", 1)], [iota(24)])).toEqual([[276]]);
  });

  it("reduces a strided axis, and axes that are apart", () => {
    const columns = reduceNest(
      [4],
      [3],
      sum(reader(0, [3, 4]), (i, r) => [...r, ...i]),
      [1],
    );
    expect(run(columns, [reads("float32", 12), writes("float32", 4)], [iota(12)])).toEqual([
      [12, 15, 18, 21],
    ]);
    const apart = reduceNest(
      [3, 1],
      [2, 4],
      sum(reader(0, [2, 3, 1, 4]), (i, r) => [
        r[0] as Expr,
        i[0] as Expr,
        i[1] as Expr,
        r[1] as Expr,
      ]),
      [1],
    );
    expect(sketch(apart)).toContain("3 { acc0 = 0; 2 { 4 {");
    expect(run(apart, [reads("float32", 24), writes("float32", 3)], [iota(24)])).toEqual([
      [60, 92, 124],
    ]);
  });

  it("gives finish(init) for an empty reduction and nothing for an empty output", () => {
    const parts = {
      init: () => [lit(3, "float64")],
      step: () => {
        throw new Error("there is nothing to step over");
      },
      finish: (acc: readonly Expr[]) => [cast(mul(acc[0] as Expr, acc[0] as Expr), "float32")],
    };
    const body = reduceNest([2], [4, 0], parts, [0]);
    expect(run(body, [writes("float32", 2)], [])).toEqual([[9, 9]]);
    expect(reduceNest([2, 0], [3], parts, [0])).toEqual([]);
  });

  it("updates accumulators simultaneously", () => {
    // (a, b) ← (b, a + b): Fibonacci numbers
    const body = reduceNest(
      [],
      [10],
      {
        init: () => [int(0), int(1)],
        step: ([a, b]) => [b as Expr, add(a as Expr, b as Expr)],
      },
      [0, 1],
    );
    expect(run(body, [writes("int32", 1), writes("int32", 1)], [])).toEqual([[55], [89]]);
  });

  it("carries a position beside a value: argmax of each row", () => {
    const body = reduceNest(
      [2],
      [4],
      {
        init: () => [lit(Number.NEGATIVE_INFINITY, "float32"), int(-1)],
        step: ([best, at], i, r) => {
          const x = reader(0, [2, 4])([...i, ...r]);
          const better = compare("gt", x, best as Expr);
          return [select(better, x, best as Expr), select(better, r[0] as Expr, at as Expr)];
        },
      },
      [1, 2],
    );
    expect(sketch(body)).toContain("t0 = [0](add(mul(i0, 4), r0)); t1 = gt(t0, acc0);");
    expect(
      run(
        body,
        [reads("float32", 8), writes("float32", 2), writes("int32", 2)],
        [[3, 9, 9, 1, -5, -7, -2, -4]],
      ),
    ).toEqual([
      [9, -2],
      [1, 2],
    ]);
  });

  it("does not merge reduced axes whose variables are used", () => {
    const body = reduceNest(
      [],
      [3, 4],
      {
        init: () => [int(0)],
        step: ([acc], _, r) => [max(acc as Expr, mul(r[0] as Expr, r[1] as Expr))],
      },
      [0],
    );
    expect(sketch(body)).toContain("3 { 4 {");
    expect(run(body, [writes("int32", 1)], [])).toEqual([[6]]);
  });

  it("agrees with plain loops for random shapes, axes and strides", () => {
    let seed = 1;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >> 8) % n;
    };
    for (let trial = 0; trial < 200; trial++) {
      const rank = random(5);
      const shape = iota(rank).map(
        () => [1, 2, 3, 4, 0][random(trial % 5 === 0 ? 5 : 4)] as number,
      );
      const isReduced = shape.map(() => random(2) === 1);
      // a permuted memory order, some axes broadcast, some reversed
      const order = iota(rank).sort(() => random(3) - 1);
      const strides: number[] = shape.map(() => 0);
      let size = 1;
      let offset = 0;
      for (const axis of order) {
        if (random(4) === 0) continue;
        const extent = Math.max(1, shape[axis] as number);
        const isReversed = random(4) === 0;
        strides[axis] = isReversed ? -size : size;
        if (isReversed) offset += size * (extent - 1);
        size *= extent;
      }
      const at = (index: readonly number[]): number =>
        index.reduce((acc, x, a) => acc + x * (strides[a] as number), offset);
      const outer = shape.filter((_, a) => !isReduced[a]);
      const inner = shape.filter((_, a) => isReduced[a]);
      const join = <T>(i: readonly T[], r: readonly T[]): T[] => {
        let [a, b] = [0, 0];
        return isReduced.map((red) => (red ? r[b++] : i[a++]) as T);
      };
      const body = reduceNest(
        outer,
        inner,
        sum((index) => load(0, add(linearIndex(index, strides), int(offset)), "float32"), join),
        [1],
      );
      const data = iota(size).map((x) => x * x);
      const got = run(body, [reads("float32", size), writes("float32", sizeOf(outer))], [data])[0];
      const split = (p: number, sizes: readonly number[]): number[] =>
        stridesOf(sizes).map((s, a) => Math.floor(p / s) % (sizes[a] as number));
      const want = iota(sizeOf(outer)).map((p) =>
        iota(sizeOf(inner)).reduce(
          (acc, q) => acc + (data[at(join(split(p, outer), split(q, inner)))] as number),
          0,
        ),
      );
      expect(got).toEqual(want);
    }
  });
});
