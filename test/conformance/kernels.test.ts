/** The kernel-level conformance suite: the same hand-built programs on every backend, compared bit for bit with
 *  the reference backend. (A NaN is any NaN.) */
import { describe, expect, it } from "vitest";
import type { Backend } from "../../core/backend/backend.ts";
import { referenceBackend } from "../../core/backend/reference/backend.ts";
import { wasmBackend } from "../../core/backend/wasm/backend.ts";
import { allDTypes, type DType, dtypes, isFloat, isInteger, pack } from "../../core/dtype.ts";
import { BackendError } from "../../core/errors.ts";
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
  div,
  type Expr,
  int,
  KVar,
  lit,
  load,
  mul,
  operands,
  rem,
  select,
  sub,
  type UnaryOp,
  unary,
} from "../../core/kernel/expr.ts";
import {
  type ContractDim,
  type ContractKernel,
  type ConvKernel,
  type ConvSpatial,
  type Kernel,
  type KernelBuffer,
  loop,
  set,
  when,
  whileLoop,
} from "../../core/kernel/kernel.ts";
import type { Program } from "../../core/program/types.ts";
import {
  bytesOf,
  elementwise,
  kernelProgram,
  loops,
  programBuffer,
  programOf,
  reads,
  runProgram,
  store,
  updates,
  writes,
} from "./programs.ts";
import {
  agree,
  disagreements,
  edges,
  filled,
  numbersOf,
  Random,
  randomElement,
  smallElement,
} from "./values.ts";

const others: readonly Backend[] = [wasmBackend];
const backends: readonly Backend[] = [referenceBackend, ...others];

type Tolerance = NonNullable<Parameters<typeof disagreements>[4]>;

/** Runs a program on every backend; the results must be the reference backend's. */
function conforms(
  program: Program,
  inputs: readonly (readonly number[])[],
  tolerance: Tolerance = {},
): Uint8Array[] {
  const dtypeOf = (id: number): DType => (program.buffers[id] as Program["buffers"][number]).dtype;
  const packed = inputs.map((values, i) => pack(values, dtypeOf(program.inputs[i] as number)));
  const shown = packed.map((a, i) => numbersOf(a, dtypeOf(program.inputs[i] as number)));
  const wanted = runProgram(referenceBackend, program, packed);
  for (const backend of others) {
    const got = runProgram(backend, program, packed);
    for (const [j, id] of program.outputs.entries()) {
      const wrong = disagreements(
        got[j] as Uint8Array,
        wanted[j] as Uint8Array,
        dtypeOf(id),
        shown,
        tolerance,
      );
      expect(wrong, `${backend.name}: ${program.name}, output ${j}`).toEqual([]);
    }
  }
  return wanted;
}

const kernelConforms = (
  kernel: Kernel,
  inputs: readonly (readonly number[])[],
  tolerance: Tolerance = {},
): Uint8Array[] => conforms(kernelProgram(kernel), inputs, tolerance);

// ---- scalar operations ----

const floats = allDTypes.filter(isFloat);
const integers = allDTypes.filter(isInteger);

const exactFloatUnary: readonly UnaryOp[] = [
  "neg",
  "abs",
  "sign",
  "floor",
  "ceil",
  "trunc",
  "round",
  "sqrt",
  "isFinite",
];
const intrinsics: readonly UnaryOp[] = [
  "exp",
  "exp2",
  "log",
  "log1p",
  "expm1",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "cbrt",
];
const integerUnary: readonly UnaryOp[] = ["neg", "abs", "sign", "not", "popcount", "clz"];
const exactFloatBinary: readonly BinaryOp[] = [
  "add",
  "sub",
  "mul",
  "div",
  "rem",
  "min",
  "max",
  "nextafter",
];
const integerBinary: readonly BinaryOp[] = [
  "add",
  "sub",
  "mul",
  "div",
  "rem",
  "min",
  "max",
  "pow",
  "and",
  "or",
  "xor",
  "shl",
  "shr",
  "shrl",
  "mulhi",
];
const boolBinary: readonly BinaryOp[] = ["min", "max", "and", "or", "xor"];
const compareOps: readonly CompareOp[] = ["eq", "ne", "lt", "le", "gt", "ge"];

const unaryCases = (d: DType): readonly UnaryOp[] =>
  isFloat(d)
    ? [...exactFloatUnary, ...intrinsics]
    : d === "bool"
      ? (["not"] as const)
      : integerUnary;

const binaryCases = (d: DType): readonly BinaryOp[] =>
  isFloat(d) ? [...exactFloatBinary, "pow", "atan2"] : d === "bool" ? boolBinary : integerBinary;

const sameWidth = (d: DType): readonly DType[] =>
  allDTypes.filter((to) => to !== d && dtypes[to].bytes === dtypes[d].bytes);

/** Edge values, then random ones. */
function samples(d: DType, random: number): number[] {
  const r = new Random(random);
  return [...edges(d), ...filled(300, () => randomElement(d, r))];
}

/** Every pair of edge values, then random pairs, some of them equal or close. */
function pairs(d: DType): readonly [number[], number[]] {
  const r = new Random(7);
  const xs: number[] = [];
  const ys: number[] = [];
  for (const x of edges(d))
    for (const y of edges(d)) {
      xs.push(x);
      ys.push(y);
    }
  for (let i = 0; i < 600; i++) {
    const x = randomElement(d, r);
    xs.push(x);
    ys.push(
      i % 10 === 0 ? x : i % 10 === 1 && isFloat(d) ? x * (1 + dtypes[d].eps) : randomElement(d, r),
    );
  }
  return [xs, ys];
}

describe.each(allDTypes)("scalar operations on %s", (d) => {
  it.each(unaryCases(d))("%s", (op) => {
    const xs = samples(d, 1);
    const out: DType = op === "isFinite" ? "bool" : d;
    const k = elementwise(`${op} ${d}`, [d], out, xs.length, (x) => unary(op, x as Expr));
    kernelConforms(k, [xs]);
  });
  it.each(binaryCases(d))("%s", (op) => {
    const [xs, ys] = pairs(d);
    const k = elementwise(`${op} ${d}`, [d, d], d, xs.length, (x, y) =>
      binary(op, x as Expr, y as Expr),
    );
    kernelConforms(k, [xs, ys]);
  });
  it.each(compareOps)("%s", (op) => {
    const [xs, ys] = pairs(d);
    const k = elementwise(`${op} ${d}`, [d, d], "bool", xs.length, (x, y) =>
      compare(op, x as Expr, y as Expr),
    );
    kernelConforms(k, [xs, ys]);
  });
  it("select and cond", () => {
    const [xs, ys] = pairs(d);
    for (const make of [select, cond])
      kernelConforms(
        elementwise(`${make.name} ${d}`, [d, d], d, xs.length, (x, y) =>
          make(compare("lt", x as Expr, y as Expr), x as Expr, y as Expr),
        ),
        [xs, ys],
      );
  });
  it("literals", () => {
    const values = edges(d);
    const k = loops(
      `literals ${d}`,
      [writes(d, values.length)],
      values.map((v, i) => store(0, int(i), lit(v, d))),
    );
    kernelConforms(k, []);
  });
  it.each(allDTypes)("cast to %s", (to) => {
    const beyond = isFloat(d)
      ? integers.flatMap((i) =>
          [-1, -0.5, 0, 0.5, 1].flatMap((s) => [dtypes[i].min + s, dtypes[i].max + s]),
        )
      : [];
    const xs = [...samples(d, 2), ...beyond];
    const k = elementwise(`cast ${d} ${to}`, [d], to, xs.length, (x) => cast(x as Expr, to));
    kernelConforms(k, [xs]);
  });
  it.each(sameWidth(d))("bitcast to %s", (to) => {
    // as bits, a bool is 0 or 1, and which NaN a NaN is is not defined
    const xs = samples(d, 3).filter(
      (x) => !Number.isNaN(x) && (to !== "bool" || x === 0 || x === 1),
    );
    const k = elementwise(`bitcast ${d} ${to}`, [d], to, xs.length, (x) => bitcast(x as Expr, to));
    kernelConforms(k, [xs]);
  });
});

// ---- statements ----

describe("statements", () => {
  const i32 = (name: string): KVar => new KVar("int32", name);

  it("while and if: steps of the Collatz iteration", () => {
    const n = i32("n");
    const count = i32("count");
    const k = loops(
      "collatz",
      [reads("int32", 60), writes("int32", 60)],
      [
        loop(60, (i) => [
          set(n, load(0, i, "int32")),
          set(count, int(0)),
          whileLoop(compare("gt", n, int(1)), [
            set(count, add(count, int(1))),
            when(
              compare("eq", rem(n, int(2)), int(0)),
              [set(n, div(n, int(2)))],
              [set(n, add(mul(n, int(3)), int(1)))],
            ),
          ]),
          store(1, i, count),
        ]),
      ],
    );
    kernelConforms(k, [filled(60, (i) => i)]);
  });

  it("loops with bounds that depend on the outer index, and on what the body changes", () => {
    const n = i32("n");
    const k = loops(
      "triangle",
      [writes("int32", 64), writes("int32", 2)],
      [
        loop(64, (i) => [store(0, i, int(-1))]),
        loop(8, (i) => [
          loop(add(i, int(1)), (j) => [store(0, add(mul(i, int(8)), j), sub(i, j))]),
        ]),
        loop(8, (i) => [loop(int(3), (j) => [store(0, add(mul(i, int(8)), j), int(77))], i)]),
        set(n, int(4)),
        loop(n, () => [set(n, add(n, int(2)))]),
        store(1, int(0), n),
        loop(-5, () => [set(n, int(0))]),
        store(1, int(1), n),
      ],
    );
    kernelConforms(k, []);
  });

  for (const d of allDTypes)
    it(`sorts ${d} in place`, () => {
      const r = new Random(5);
      const length = 40;
      const at = i32("at");
      const x = new KVar(d, "x");
      const previous = load(1, sub(at, int(1)), d);
      // the second operand of `and` is evaluated in any case: the load must be behind a cond
      const goesOn = cond(compare("gt", at, int(0)), compare("gt", previous, x), lit(0, "bool"));
      const k = loops(
        `sort ${d}`,
        [reads(d, length), updates(d, length)],
        [
          loop(length, (i) => [
            set(x, load(0, i, d)),
            set(at, i),
            whileLoop(goesOn, [
              store(1, at, load(1, sub(at, int(1)), d)),
              set(at, sub(at, int(1))),
            ]),
            store(1, at, x),
          ]),
        ],
      );
      kernelConforms(k, [filled(length, () => randomElement(d, r))]);
    });

  for (const d of [...floats, ...integers])
    it(`accumulates ${d} in a local`, () => {
      const r = new Random(6);
      const acc = new KVar(d, "acc");
      const k = loops(
        `sum ${d}`,
        [reads(d, 200), writes(d, 200)],
        [
          set(acc, lit(0, d)),
          loop(200, (i) => [set(acc, add(acc, load(0, i, d))), store(1, i, acc)]),
        ],
      );
      kernelConforms(k, [
        filled(200, () => r.int(0, 1000) / (isFloat(d) ? 300 : 1)).map((x) =>
          isFloat(d) ? x : Math.trunc(x) % 100,
        ),
      ]);
    });

  it("guards loads with cond, nested", () => {
    const length = 5;
    const value = (i: Expr, shift: number): Expr => {
      const k = add(i, int(shift));
      const inside = and(compare("ge", k, int(0)), compare("lt", k, int(length)));
      return cond(inside, load(0, k, "float32"), lit(-1, "float32"));
    };
    const k = loops(
      "stencil",
      [reads("float32", length), writes("float32", length)],
      [
        loop(length, (i) => {
          const left = value(i, -1);
          const right = value(i, 2);
          return [
            store(
              1,
              i,
              cond(
                compare("gt", left, right),
                add(left, mul(right, left)),
                cond(compare("lt", i, int(2)), right, add(left, right)),
              ),
            ),
          ];
        }),
      ],
    );
    kernelConforms(k, [[1, 5, 2, 8, 3]]);
  });

  it("evaluates shared nodes once", () => {
    let e: Expr = load(0, int(0), "float64");
    for (let i = 0; i < 60; i++) e = mul(add(e, e), lit(0.5, "float64"));
    let c: Expr = e;
    for (let i = 0; i < 60; i++)
      c = cond(compare("gt", c, lit(0, "float64")), add(c, lit(1, "float64")), sub(c, c));
    const k = loops(
      "dag",
      [reads("float64", 1), writes("float64", 2)],
      [store(1, int(0), e), store(1, int(1), c)],
    );
    kernelConforms(k, [[3]]);
  });

  it("reads what an earlier statement wrote", () => {
    const shared = load(0, int(0), "int32");
    const twice = add(shared, shared);
    const k = loops(
      "rewrite",
      [updates("int32", 1)],
      [
        store(0, int(0), int(1)),
        loop(5, () => [store(0, int(0), twice)]),
        whileLoop(compare("lt", twice, int(1000)), [store(0, int(0), twice)]),
      ],
    );
    kernelConforms(k, []);
  });

  it("scatters through an index buffer", () => {
    const r = new Random(8);
    const k = loops(
      "scatter",
      [reads("int32", 50), reads("float16", 50), updates("float16", 10)],
      [
        loop(10, (i) => [store(2, i, lit(0, "float16"))]),
        loop(50, (i) => {
          const at = load(0, i, "int32");
          return [store(2, at, add(load(2, at, "float16"), load(1, i, "float16")))];
        }),
      ],
    );
    kernelConforms(k, [filled(50, () => r.int(0, 10)), filled(50, () => r.int(-1000, 1000) / 64)]);
  });
});

// ---- random expressions ----

/** A random expression of dtype `d` over the inputs at `i`, of exact operations only. */
class Expressions {
  private readonly made = new Map<DType, Expr[]>();
  private readonly random: Random;
  private readonly inputs: readonly DType[];
  private readonly i: Expr;
  constructor(random: Random, inputs: readonly DType[], i: Expr) {
    this.random = random;
    this.inputs = inputs;
    this.i = i;
  }
  make(d: DType, depth: number): Expr {
    const known = this.made.get(d) ?? [];
    if (known.length > 0 && this.random.chance(0.3)) return this.random.pick(known);
    const e = this.fresh(d, depth);
    this.made.set(d, [...known, e]);
    return e;
  }
  private fresh(d: DType, depth: number): Expr {
    const { random } = this;
    const sub = (to: DType): Expr => this.make(to, depth - 1);
    const unaryOps: readonly UnaryOp[] = isFloat(d)
      ? exactFloatUnary.filter((op) => op !== "isFinite")
      : d === "bool"
        ? ["not"]
        : integerUnary;
    const binaryOps = isFloat(d) ? exactFloatBinary : d === "bool" ? boolBinary : integerBinary;
    if (depth <= 0) {
      const at = this.inputs.indexOf(d);
      return at >= 0 && random.chance(0.8) ? load(at, this.i, d) : lit(random.int(0, 2), d);
    }
    switch (random.int(0, d === "bool" ? 8 : 7)) {
      case 0:
      case 1:
      case 2:
        return binary(random.pick(binaryOps), sub(d), sub(d));
      case 3:
        return unary(random.pick(unaryOps), sub(d));
      case 4:
        return cast(sub(random.pick(allDTypes)), d);
      case 5:
        return select(sub("bool"), sub(d), sub(d));
      case 6:
        return cond(sub("bool"), sub(d), sub(d));
      default: {
        const of = random.pick(allDTypes);
        return compare(random.pick(compareOps), sub(of), sub(of));
      }
    }
  }
}

describe("random expressions", () => {
  const length = 64;
  it.each(filled(60, (seed) => seed))("seed %i", (seed) => {
    const random = new Random(seed + 1000);
    const d = random.pick(allDTypes);
    const inputs = random.shuffle(allDTypes).slice(0, 5);
    let root: Expr = int(0);
    const k = loops(
      `random ${seed}`,
      [...inputs.map((x) => reads(x, length)), writes(d, length)],
      [
        loop(length, (i) => {
          root = new Expressions(random, inputs, i).make(d, 7);
          return [store(inputs.length, i, root)];
        }),
      ],
    );
    const seen = new Set<Expr>();
    const count = (e: Expr): void => {
      if (seen.has(e)) return;
      seen.add(e);
      operands(e).forEach(count);
    };
    count(root);
    expect(seen.size).toBeGreaterThan(0);
    kernelConforms(
      k,
      inputs.map((x) => filled(length, () => randomElement(x, random))),
    );
  });
});

// ---- contractions ----

/** Row-major strides of `sizes` after their axes were put in a random order; some axes may be repeated
 *  (stride 0). */
function layout(
  sizes: readonly number[],
  random: Random,
  mayRepeat: boolean,
): { strides: number[]; length: number } {
  const strides = sizes.map(() => 0);
  let length = 1;
  for (const axis of random.shuffle(sizes.map((_, i) => i))) {
    if (mayRepeat && random.chance(0.1)) continue;
    strides[axis] = length;
    length *= sizes[axis] as number;
  }
  return { strides, length };
}

function randomContract(random: Random, d: DType, out: DType, largest: number): ContractKernel {
  const sizes = (most: number): number[] =>
    filled(random.int(0, most + 1), () => random.int(random.chance(0.05) ? 0 : 1, largest + 1));
  const [batch, m, n, k] = [sizes(2), sizes(2), sizes(2), sizes(2)];
  const lhs = layout([...batch, ...m, ...k], random, true);
  const rhs = layout([...batch, ...n, ...k], random, true);
  const result = layout([...batch, ...m, ...n], random, false);
  const b = batch.length;
  const dims = (list: readonly number[], l: number | null, r: number | null, o: number | null) =>
    list.map(
      (size, i): ContractDim => ({
        size,
        lhs: l === null ? 0 : (lhs.strides[l + i] as number),
        rhs: r === null ? 0 : (rhs.strides[r + i] as number),
        out: o === null ? 0 : (result.strides[o + i] as number),
      }),
    );
  return {
    kind: "contract",
    name: `contract ${d} [${batch}] [${m}] [${n}] [${k}]`,
    buffers: [reads(d, lhs.length), reads(d, rhs.length), writes(out, result.length)],
    batch: dims(batch, 0, 0, 0),
    m: dims(m, b, null, b),
    n: dims(n, null, b, b + m.length),
    k: dims(k, b + m.length, b + n.length, null),
  };
}

/** Σ|a||b| of each output, by the same kernel in double. */
function magnitudes(
  kernel: ContractKernel | ConvKernel,
  inputs: readonly (readonly number[])[],
): Float64Array {
  const wide = (b: KernelBuffer): KernelBuffer => ({ ...b, dtype: "float64" });
  const [lhs, rhs, out] = kernel.buffers;
  const buffers = [wide(lhs), wide(rhs), wide(out)] as const;
  const absolute = inputs.map((xs) => new Float64Array(xs.map(Math.abs)));
  const [bytes] = runProgram(referenceBackend, kernelProgram({ ...kernel, buffers }), absolute);
  return new Float64Array((bytes as Uint8Array<ArrayBuffer>).buffer);
}

/** Sums of `terms` products, accumulated in float32 or wider in any order and then rounded: each of the
 *  terms + 1 operations on the way of a product adds half an ε of Σ|a||b| on both sides, and the last rounding
 *  half a unit in the last place, which is at most ε of the result for both sides together. */
function sumBound(
  kernel: ContractKernel | ConvKernel,
  inputs: readonly (readonly number[])[],
  terms: number,
): Tolerance {
  const { dtype } = kernel.buffers[2];
  const [a, b] = kernel.buffers;
  const rounded = inputs.map((xs, i) =>
    Array.from(numbersOf(pack(xs, (i === 0 ? a : b).dtype), (i === 0 ? a : b).dtype)),
  );
  const sums = magnitudes(kernel, rounded);
  const accumulated = dtype === "float64" ? dtypes.float64.eps : dtypes.float32.eps;
  const { eps, tiny } = dtypes[dtype];
  return {
    bound: (i, wanted) =>
      (sums[i] as number) * (terms + 1) * accumulated * (1 + eps) +
      eps * Math.abs(wanted) +
      tiny * eps,
  };
}

const product = (dims: readonly { readonly size: number }[]): number =>
  dims.reduce((p, d) => p * d.size, 1);

describe("contractions", () => {
  for (const d of allDTypes) {
    it(`of small ${d} are exact`, () => {
      const random = new Random(20);
      for (let trial = 0; trial < 40; trial++) {
        const k = randomContract(random, d, d, trial < 30 ? 4 : 7);
        kernelConforms(
          k,
          [k.buffers[0], k.buffers[1]].map((b) => filled(b.length, () => smallElement(d, random))),
        );
      }
    });
  }
  for (const d of integers)
    it(`of ${d} wrap`, () => {
      const random = new Random(21);
      for (let trial = 0; trial < 10; trial++) {
        const k = randomContract(random, d, trial % 2 === 0 ? d : "int32", 4);
        kernelConforms(
          k,
          [k.buffers[0], k.buffers[1]].map((b) => filled(b.length, () => randomElement(d, random))),
        );
      }
    });
  for (const d of floats)
    it(`of ${d} round as they should`, () => {
      const random = new Random(22);
      for (let trial = 0; trial < 20; trial++) {
        const out = trial % 4 === 3 ? "float32" : d;
        const k = randomContract(random, d, out, 4);
        const inputs = [k.buffers[0], k.buffers[1]].map((b) =>
          filled(b.length, () => random.bits() / 2 ** 31 - 1),
        );
        kernelConforms(k, inputs, sumBound(k, inputs, product(k.k)));
      }
    });

  const matmul = (
    d: DType,
    m: number,
    n: number,
    k: number,
    isTransposed: boolean,
  ): ContractKernel => ({
    kind: "contract",
    name: `matmul ${d} ${m} ${n} ${k}`,
    buffers: [reads(d, m * k), reads(d, k * n), writes(d, m * n)],
    batch: [],
    m: [{ size: m, lhs: isTransposed ? 1 : k, rhs: 0, out: n }],
    n: [{ size: n, lhs: 0, rhs: isTransposed ? k : 1, out: 1 }],
    k: [{ size: k, lhs: isTransposed ? m : 1, rhs: isTransposed ? 1 : n, out: 0 }],
  });
  it.each([
    [1, 1, 1],
    [1, 67, 35],
    [67, 1, 35],
    [33, 29, 1],
    [17, 19, 129],
    [64, 32, 16],
    [5, 5, 0],
  ])("of matrices %i × %i over %i", (m, n, k) => {
    const random = new Random(23);
    for (const isTransposed of [false, true])
      for (const d of ["float32", "float64", "int32"] as const) {
        const kernel = matmul(d, m, n, k, isTransposed);
        const small = [m * k, k * n].map((size) => filled(size, () => smallElement(d, random)));
        kernelConforms(kernel, small);
        if (d === "int32") continue;
        const inputs = [m * k, k * n].map((size) =>
          filled(size, () => random.bits() / 2 ** 31 - 1),
        );
        kernelConforms(kernel, inputs, sumBound(kernel, inputs, k));
      }
  });
  it("of many dims are exact when they are large too", () => {
    const random = new Random(24);
    let large = 0;
    while (large < 25) {
      const d = random.pick(["float32", "float32", "float32", "float64", "int32"] as const);
      const k = randomContract(random, d, d, 13);
      const work = product([...k.batch, ...k.m, ...k.n, ...k.k]);
      if (work < 4096 || work > 200_000) continue;
      large++;
      kernelConforms(
        k,
        [k.buffers[0], k.buffers[1]].map((b) => filled(b.length, () => smallElement(d, random))),
      );
    }
  });
  it("of 16-bit floats are not rounded term by term", () => {
    // the steps at 2048 in float16 and at 256 in bfloat16 are 2
    kernelConforms(matmul("float16", 1, 1, 3, false), [
      [2048, 1, 1],
      [1, 1, 1],
    ]);
    kernelConforms(matmul("bfloat16", 1, 1, 3, false), [
      [256, 1, 1],
      [1, 1, 1],
    ]);
  });
  it("carry NaN and ∞", () => {
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    for (const d of floats)
      kernelConforms(matmul(d, 3, 3, 2, false), [
        [1, nan, 0, inf, -inf, 1],
        [0, 1, inf, 2, -inf, 1],
      ]);
  });
});

// ---- convolutions ----

function randomConv(random: Random, d: DType): ConvKernel {
  const [featureGroups, batchGroups] = random.pick([
    [1, 1],
    [1, 1],
    [2, 1],
    [3, 1],
    [1, 2],
    [1, 3],
  ] as const);
  const outBatch = random.int(1, 3);
  const n = outBatch * batchGroups;
  const groupIn = random.int(1, 4);
  const o = random.int(1, 3) * featureGroups * batchGroups;
  const spatial = filled(random.int(0, 4), () => 0).map(() => {
    for (;;) {
      const s = {
        input: random.int(1, 7),
        window: random.int(1, 4),
        stride: random.int(1, 4),
        low: random.int(-2, 4),
        inputDilation: random.int(1, 4),
        windowDilation: random.int(1, 3),
      };
      const padded = (s.input - 1) * s.inputDilation + 1 + s.low + random.int(-2, 4);
      const output = Math.floor((padded - (s.window - 1) * s.windowDilation - 1) / s.stride) + 1;
      if (output >= 0 && padded >= 0) return { ...s, output };
    }
  });
  const x = layout([n, groupIn * featureGroups, ...spatial.map((s) => s.input)], random, false);
  const w = layout([o, groupIn, ...spatial.map((s) => s.window)], random, false);
  const out = layout([outBatch, o, ...spatial.map((s) => s.output)], random, false);
  const stride = (l: { strides: number[] }, i: number): number => l.strides[i] as number;
  return {
    kind: "conv",
    name: `conv ${d} ${JSON.stringify({ n, groupIn, o, featureGroups, batchGroups, spatial })}`,
    buffers: [reads(d, x.length), reads(d, w.length), writes(d, out.length)],
    batch: { size: n, x: stride(x, 0), out: stride(out, 0) },
    inFeatures: { size: groupIn, x: stride(x, 1), w: stride(w, 1) },
    outFeatures: { size: o, w: stride(w, 0), out: stride(out, 1) },
    featureGroups,
    batchGroups,
    spatial: spatial.map(
      (s, i): ConvSpatial => ({
        ...s,
        xStride: stride(x, i + 2),
        wStride: stride(w, i + 2),
        outStride: stride(out, i + 2),
      }),
    ),
  };
}

describe("convolutions", () => {
  for (const d of allDTypes)
    it(`of small ${d} are exact`, () => {
      const random = new Random(30);
      for (let trial = 0; trial < 40; trial++) {
        const k = randomConv(random, d);
        kernelConforms(
          k,
          [k.buffers[0], k.buffers[1]].map((b) => filled(b.length, () => smallElement(d, random))),
        );
      }
    });
  for (const d of floats)
    it(`of ${d} round as they should`, () => {
      const random = new Random(31);
      for (let trial = 0; trial < 20; trial++) {
        const k = randomConv(random, d);
        const inputs = [k.buffers[0], k.buffers[1]].map((b) =>
          filled(b.length, () => random.bits() / 2 ** 31 - 1),
        );
        const terms = k.spatial.reduce((p, s) => p * s.window, k.inFeatures.size);
        kernelConforms(k, inputs, sumBound(k, inputs, terms));
      }
    });
});

// ---- programs and storage ----

describe("programs", () => {
  const f = (name: string, g: (x: Expr) => Expr, n = 5) =>
    elementwise(name, ["float32"], "float32", n, (x) => g(x as Expr));

  it("pass temporaries from kernel to kernel, in places that are used again", () => {
    const double = f("double", (x) => add(x, x));
    const square = f("square", (x) => mul(x, x));
    const buffers = [
      programBuffer("float32", 5, "input"),
      programBuffer("float32", 5, "temp", 0),
      programBuffer("float32", 5, "temp", 32),
      programBuffer("float32", 5, "temp", 0),
      programBuffer("float32", 5, "output"),
      programBuffer("float32", 5, "output"),
    ];
    const steps = [
      { kernel: double, args: [0, 1] },
      { kernel: square, args: [1, 2] },
      { kernel: double, args: [2, 3] },
      { kernel: square, args: [3, 4] },
      { kernel: double, args: [2, 5] },
    ];
    conforms(programOf("chain", buffers, steps, 64), [[1, -2, 0.5, 3, 100]]);
  });

  it("write in place where a temporary shares its operand's memory", () => {
    const buffers = [
      programBuffer("float32", 5, "input"),
      programBuffer("float32", 5, "temp", 0),
      programBuffer("float32", 5, "temp", 0),
      programBuffer("float32", 5, "output"),
    ];
    const next = f("next", (x) => add(x, lit(1, "float32")));
    const steps = [
      { kernel: next, args: [0, 1] },
      { kernel: next, args: [1, 2] },
      { kernel: next, args: [2, 3] },
    ];
    conforms(programOf("inplace", buffers, steps, 32), [[1, 2, 3, 4, 5]]);
  });

  it("mix dtypes and widths in one arena", () => {
    const n = 7;
    const d: readonly DType[] = ["int8", "float64", "bool", "bfloat16", "uint32"];
    const temps = d.map((t, i) => programBuffer(t, n, "temp", i * 64));
    const buffers = [
      programBuffer("float32", n, "input"),
      ...temps,
      ...d.map(() => programBuffer("float32", n, "output")),
    ];
    const steps = d.flatMap((t, i) => [
      {
        kernel: elementwise(`to ${t}`, ["float32"], t, n, (x) => cast(x as Expr, t)),
        args: [0, 1 + i],
      },
      {
        kernel: elementwise(`from ${t}`, [t], "float32", n, (x) => cast(x as Expr, "float32")),
        args: [1 + i, 1 + d.length + i],
      },
    ]);
    conforms(programOf("mixed", buffers, steps, 64 * d.length), [
      [0, 1, -1.5, 300, -300, 0.1, 1e10],
    ]);
  });

  it("have empty buffers", () => {
    conforms(kernelProgram(f("empty", (x) => add(x, x), 0)), [[]]);
  });
});

describe.each(backends)("storage of $name", (backend) => {
  const double = elementwise("double", ["float32"], "float32", 4, (x) => add(x as Expr, x as Expr));
  const values = (s: Uint8Array<ArrayBuffer>): number[] => [...new Float32Array(s.buffer)];

  it("comes back as it was written", async () => {
    for (const n of [0, 1, 3, 16, 1000]) {
      const bytes = new Uint8Array(filled(n, (i) => (i * 7) & 255));
      const s = backend.write(bytes);
      expect(s.bytes).toBe(n);
      expect(s.backend).toBe(backend);
      const wanted = [...bytes];
      bytes.fill(1);
      expect([...backend.readSync(s)]).toEqual(wanted);
      backend.readSync(s).fill(9);
      expect([...(await backend.read(s))]).toEqual(wanted);
      backend.free(s);
    }
  });

  it("is counted", () => {
    const before = backend.memory().used;
    const s = backend.write(new Uint8Array(100_000));
    const { used, peak } = backend.memory();
    // an allocator may round up
    expect(used - before).toBeGreaterThanOrEqual(100_000);
    expect(used - before).toBeLessThan(110_000);
    expect(peak).toBeGreaterThanOrEqual(used);
    backend.free(s);
    expect(backend.memory().used).toBe(before);
  });

  it("is not used once freed", async () => {
    const s = backend.write(new Uint8Array(16));
    backend.free(s);
    const message = /disposed or donated/;
    expect(() => backend.readSync(s)).toThrow(BackendError);
    expect(() => backend.readSync(s)).toThrow(message);
    await expect((async () => backend.read(s))()).rejects.toThrow(message);
    expect(() => backend.compile(kernelProgram(double)).run([s])).toThrow(message);
  });

  it("is not held on to by a run that fails", () => {
    const run = backend.compile(kernelProgram(double));
    const s = backend.write(new Uint8Array(16));
    backend.free(s);
    const before = backend.memory().used;
    expect(() => run.run([s])).toThrow(/disposed or donated/);
    expect(backend.memory().used).toBe(before);
  });

  it("is left alone by a program, and outlives later runs", () => {
    const program = backend.compile(kernelProgram(double));
    const x = backend.write(bytesOf(new Float32Array([1, 2, 3, 4])));
    const [y] = program.run([x]);
    const [z] = program.run([y as NonNullable<typeof y>]);
    expect(values(backend.readSync(x))).toEqual([1, 2, 3, 4]);
    expect(values(backend.readSync(y as NonNullable<typeof y>))).toEqual([2, 4, 6, 8]);
    expect(values(backend.readSync(z as NonNullable<typeof z>))).toEqual([4, 8, 12, 16]);
  });

  it("is gone once donated", () => {
    const program = backend.compile(kernelProgram(double));
    const x = backend.write(bytesOf(new Float32Array([1, 2, 3, 4])));
    const [y] = program.run([x], [true]);
    expect(values(backend.readSync(y as NonNullable<typeof y>))).toEqual([2, 4, 6, 8]);
    expect(() => backend.readSync(x)).toThrow(/disposed or donated/);
  });

  it("of an input that is an output is that very storage", () => {
    const program = backend.compile({ ...kernelProgram(double), outputs: [1, 0, 1] });
    const x = backend.write(bytesOf(new Float32Array([1, 2, 3, 4])));
    const [y, same, again] = program.run([x]);
    expect(same).toBe(x);
    expect(again).toBe(y);
    const kept = backend.compile({ ...kernelProgram(double), outputs: [1, 0] });
    const [, still] = kept.run([x], [true]);
    expect(values(backend.readSync(still as NonNullable<typeof still>))).toEqual([1, 2, 3, 4]);
  });
});

describe("the comparison itself", () => {
  it("tells floats apart by their distance", () => {
    expect(agree(1, 1 + 2 ** -23, "float32", 1)).toBe(true);
    expect(agree(1, 1 + 2 ** -22, "float32", 1)).toBe(false);
    expect(agree(1, 1 - 2 ** -24, "float32", 1)).toBe(true);
    expect(agree(2 ** -149, 0, "float32", 1)).toBe(true);
    expect(agree(1, 1 + 2 ** -51, "float64", 1)).toBe(false);
    expect(agree(2 ** -14, 2 ** -14 - 2 ** -24, "float16", 1)).toBe(true);
    expect(agree(0, -0, "float32", 1)).toBe(false);
    expect(agree(Number.NaN, 0, "float32", 1)).toBe(false);
    expect(agree(Number.NaN, Number.NaN, "float32")).toBe(true);
    expect(agree(3, 4, "int32", 1)).toBe(false);
  });
});
