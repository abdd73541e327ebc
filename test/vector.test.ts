/** Loops in vector registers, against the reference backend, which runs one iteration after the other. Results are equal bit for
 *  bit, but for float sums and products over a loop: those are added up in another order. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { referenceBackend } from "../core/backend/reference/backend.ts";
import { wasmBackend } from "../core/backend/wasm/backend.ts";
import { emitKernel } from "../core/backend/wasm/emit.ts";
import { Module } from "../core/backend/wasm/encoder.ts";
import { hostMath, Library } from "../core/backend/wasm/library.ts";
import {
  allDTypes,
  type DType,
  dtypes,
  isFloat,
  isInteger,
  type PackedArray,
  pack,
} from "../core/dtype.ts";
import {
  add,
  and,
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
  or,
  select,
  sub,
  type UnaryOp,
  unary,
} from "../core/kernel/expr.ts";
import {
  type LoopKernel,
  loop,
  parallelLoop,
  type Stmt,
  set,
  when,
} from "../core/kernel/kernel.ts";
import { mapNest, reduceNest } from "../core/program/nest.ts";
import {
  bytesOf,
  elementwise,
  kernelProgram,
  loops,
  reads,
  runProgram,
  store,
  updates,
  writes,
} from "./conformance/programs.ts";
import {
  disagreements,
  edges,
  filled,
  numbersOf,
  Random,
  randomElement,
} from "./conformance/values.ts";

type Tolerance = NonNullable<Parameters<typeof disagreements>[4]>;

/** Both backends give the same. */
function same(
  kernel: LoopKernel,
  inputs: readonly (readonly number[])[],
  tolerance: Tolerance = {},
): void {
  const program = kernelProgram(kernel);
  const dtypeOf = (id: number): DType => (program.buffers[id] as { dtype: DType }).dtype;
  const packed = inputs.map((x, i) => pack(x, dtypeOf(program.inputs[i] as number)));
  const shown = packed.map((a, i) => numbersOf(a, dtypeOf(program.inputs[i] as number)));
  const wanted = runProgram(referenceBackend, program, packed);
  const got = runProgram(wasmBackend, program, packed);
  program.outputs.forEach((id, j) => {
    const wrong = disagreements(
      got[j] as Uint8Array,
      wanted[j] as Uint8Array,
      dtypeOf(id),
      shown,
      tolerance,
    );
    expect(wrong, `${kernel.name}, output ${j}`).toEqual([]);
  });
}
const emitted = (kernel: LoopKernel) => {
  const module = new Module();
  const library = new Library(module);
  for (const name of Object.keys(hostMath)) library.math(name);
  return { module, f: emitKernel(kernel, library) };
};
/** True if there is a 128-bit instruction: all begin with 0xfd. */
const isVector = (kernel: LoopKernel): boolean =>
  emitted(kernel).f.code.bytes.view().includes(0xfd);

const parallel = (s: Stmt): Stmt => (s.kind === "for" ? { ...s, parallel: true } : s);
const random = (d: DType, n: number, seed = 1): number[] => {
  const r = new Random(seed);
  return filled(n, () => randomElement(d, r));
};
/** edge values and random ones, mixed */
const mixed = (d: DType, n: number, seed = 1): number[] => {
  const r = new Random(seed);
  return filled(n, () => (r.chance(0.3) ? r.pick(edges(d)) : randomElement(d, r)));
};
/** moderate values, whose sums do not overflow */
const moderate = (d: DType, n: number, seed = 1): number[] => {
  const r = new Random(seed);
  const { kind, min, max } = dtypes[d];
  if (kind === "bool") return filled(n, () => r.int(0, 2));
  if (kind !== "float") return filled(n, () => r.int(Math.max(min, -1000), Math.min(max, 1000)));
  return filled(n, () => r.int(-64, 65) / 16);
};

const floats = allDTypes.filter(isFloat);
const integers = allDTypes.filter(isInteger);
const unaryOps = (d: DType): readonly UnaryOp[] =>
  d === "bool"
    ? ["not"]
    : isFloat(d)
      ? ["neg", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "isFinite"]
      : ["neg", "abs", "sign", "not", "popcount", "clz"];
const binaryOps = (d: DType): readonly BinaryOp[] =>
  d === "bool"
    ? ["min", "max", "and", "or", "xor"]
    : isFloat(d)
      ? ["add", "sub", "mul", "div", "rem", "min", "max", "nextafter"]
      : [
          ...(["add", "sub", "mul", "div", "rem", "min", "max", "pow"] as const),
          ...(["and", "or", "xor", "shl", "shr", "shrl", "mulhi"] as const),
        ];
const compareOps: readonly CompareOp[] = ["eq", "ne", "lt", "le", "gt", "ge"];
const extents = filled(20, (n) => n);

/** Loops of 0 to 19 iterations, one after the other and not aligned, each in an order of its own: out[i] = f(x[i], y[i]). */
function ragged(
  name: string,
  inputs: readonly DType[],
  output: DType,
  f: (...x: Expr[]) => Expr,
): LoopKernel {
  const total = extents.reduce((a, n) => a + n, 0);
  let at = 0;
  const body = extents.map((n) => {
    const from = at;
    at += n;
    return loop(n, (i) => {
      const index = add(i, int(from));
      return [store(inputs.length, index, f(...inputs.map((d, k) => load(k, index, d))))];
    });
  });
  return loops(name, [...inputs.map((d) => reads(d, total)), writes(output, total)], body);
}
const raggedLength = extents.reduce((a, n) => a + n, 0);

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
    for (const op of binaryOps(d).filter((o) => o !== "pow" && o !== "nextafter"))
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

// ---- conditionals ----

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

// ---- loops that depend on earlier iterations ----

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

// ---- reductions ----

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

// ---- outer loops ----

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

// ---- ranges ----

describe("a range", () => {
  /** Runs the kernel in parts that begin at the given places. */
  const inParts = (kernel: LoopKernel, inputs: readonly PackedArray[], cuts: readonly number[]) => {
    const { module, f } = emitted(kernel);
    module.export("f", module.add({ params: f.code.params, results: [] }, f.code));
    const memory = new WebAssembly.Memory({ initial: 4 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode(false)), {
      env: { memory, scratch: new WebAssembly.Global({ value: "i32" }, 64) },
      math: hostMath as Record<string, WebAssembly.ImportValue>,
    });
    let at = 65536;
    const places = kernel.buffers.map((b) => {
      const place = at;
      at += Math.ceil((b.length * dtypes[b.dtype].bytes) / 16) * 16 + 16;
      return place;
    });
    const bytes = new Uint8Array(memory.buffer);
    inputs.forEach((x, i) => {
      bytes.set(bytesOf(x), places[i] as number);
    });
    const run = instance.exports.f as (...args: number[]) => void;
    for (let i = 0; i + 1 < cuts.length; i++)
      run(...places, cuts[i] as number, cuts[i + 1] as number);
    return bytes.slice(65536, at);
  };
  it("may be cut at multiples of its alignment", () => {
    for (const n of [8, 16, 37, 64, 100]) {
      const k = loops(
        "cut",
        [reads("float32", n), writes("float32", n)],
        mapNest([n], ([i]) => [
          {
            buffer: 1,
            value: unary("sqrt", mul(load(0, i as Expr, "float32"), lit(3, "float32"))),
          },
        ]),
      );
      const { range } = emitted(k).f;
      expect(range?.extent).toBe(n);
      expect(parallelLoop(k)).not.toBe(null);
      const align = range?.align as number;
      expect(align).toBeGreaterThan(1);
      const x = pack(random("float32", n), "float32");
      const whole = inParts(k, [x], [0, n]);
      const cuts = filled(Math.ceil(n / align), (i) => i * align);
      expect(inParts(k, [x], [...cuts, n])).toEqual(whole);
      // an empty part changes nothing
      expect(inParts(k, [x], [0, 0, n, n])).toEqual(whole);
    }
  });
});

// ---- random programs ----

describe("random expressions", () => {
  const dtypesUsed: readonly DType[] = [
    "float32",
    "float64",
    "int32",
    "uint8",
    "bool",
    "int8",
    "bfloat16",
  ];
  interface Step {
    readonly op: number;
    readonly picks: readonly number[];
  }
  const length = 45;
  /** An expression made by steps that each add a node to a pool. */
  function build(steps: readonly Step[], i: KVar): Expr[] {
    const pool: Expr[] = dtypesUsed.map((d, k) => load(k, i, d));
    pool.push(load(0, add(mul(i, int(2)), int(1)), "float32"), load(2, int(3), "int32"), i);
    const pick = (n: number, fits: (e: Expr) => boolean): Expr => {
      const found = pool.filter(fits);
      return found[n % found.length] as Expr;
    };
    for (const { op, picks } of steps) {
      const [a, b, c, p] = picks as [number, number, number, number];
      const x = pick(a, () => true);
      const y = pick(b, (e) => e.dtype === x.dtype);
      const test = pick(c, (e) => e.dtype === "bool");
      const d = x.dtype;
      switch (op % 8) {
        case 0:
        case 1: {
          const ops = binaryOps(d).filter((o) => o !== "pow" && o !== "nextafter");
          pool.push(binary(ops[p % ops.length] as BinaryOp, x, y));
          break;
        }
        case 2: {
          const ops = unaryOps(d);
          pool.push(unary(ops[p % ops.length] as UnaryOp, x));
          break;
        }
        case 3:
          pool.push(compare(compareOps[p % 6] as CompareOp, x, y));
          break;
        case 4:
          pool.push(select(test, x, y));
          break;
        case 5:
          pool.push(cond(test, x, y));
          break;
        case 6:
          pool.push(cast(x, dtypesUsed[p % dtypesUsed.length] as DType));
          break;
        case 7: {
          // a load that is in range where the test holds
          const at = sub(i, int(p % 9));
          pool.push(cond(compare("ge", at, int(0)), load(0, at, "float32"), cast(x, "float32")));
          break;
        }
      }
    }
    return pool.slice(-3);
  }
  it("are the reference's", () => {
    const step = fc.record({
      op: fc.nat(7),
      picks: fc.array(fc.nat(1000), { minLength: 4, maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), fc.nat(), (steps, seed) => {
        const buffers = dtypesUsed.map((d) => reads(d, d === "float32" ? 2 * length : length));
        const probe = build(steps, new KVar("int32", "i"));
        const k = loops(
          "random",
          [...buffers, ...probe.map((e) => writes(e.dtype, length))],
          [
            parallel(
              loop(length, (i) =>
                build(steps, i as KVar).map((e, j) => store(buffers.length + j, i, e)),
              ),
            ),
          ],
        );
        same(
          k,
          dtypesUsed.map((d, j) => mixed(d, d === "float32" ? 2 * length : length, seed + j)),
        );
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
