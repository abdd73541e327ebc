/** Parts of a loop's range, and random expressions, in vector registers. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostMath } from "../core/backend/wasm/library.ts";
import { type DType, dtypes, type PackedArray, pack } from "../core/dtype.ts";
import {
  add,
  type BinaryOp,
  binary,
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
import { type LoopKernel, loop, parallelLoop } from "../core/kernel/kernel.ts";
import { mapNest } from "../core/program/nest.ts";
import { bytesOf, loops, reads, store, writes } from "./conformance/programs.ts";
import { filled } from "./conformance/values.ts";

import {
  same,
  emitted,
  parallel,
  random,
  mixed,
  unaryOps,
  binaryOps,
  compareOps,
} from "./conformance/kernels.ts";

describe("a range", () => {
  /** Runs the kernel in parts that begin at the given places. */
  const inParts = (kernel: LoopKernel, inputs: readonly PackedArray[], cuts: readonly number[]) => {
    const { module, f } = emitted(kernel);
    module.export("f", module.add(f.code));
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
          const ops = binaryOps(d).filter((o) => o !== "pow");
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
