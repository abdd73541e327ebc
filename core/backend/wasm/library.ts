/** Functions that kernels share: integer division, 16-bit floats, fmod and the like; put into a module when
 *  a kernel asks for them. A few functions are imported from the host's `Math`. */
import { Code, type Module, type ValType } from "./encoder.ts";
import * as i32 from "./i32.ts";

/** Host functions by name: float64 to float64. */
type HostFunction = (x: number, y: number) => number;
export const hostMath: { readonly [name: string]: HostFunction } = {
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  hostPow: (x, y) => x ** y,
  rem: (x, y) => x % y,
};

type Make = (c: Code, library: Library) => void;
interface Entry {
  readonly params: readonly ValType[];
  readonly result: ValType;
  readonly make: Make;
}
const define = (params: readonly ValType[], result: ValType, make: Make): Entry => ({
  params,
  result,
  make,
});
const two: readonly ValType[] = ["i32", "i32"];

/** The smaller or larger of two integers. */
const choose = (compare: number): Entry =>
  define(two, "i32", (c) => c.get(0, 1, 0, 1).op(compare, 0x1b));

const shift = (op: number, past: (c: Code) => void): Entry =>
  define(two, "i32", (c) => {
    // a count of 32 or more (as unsigned) moves everything out
    c.get(1).i32(32).op(i32.below);
    c.if(
      "i32",
      () => c.get(0, 1).op(op),
      () => past(c),
    );
  });

/** The upper 32 bits of a product of 64, by how its factors are extended and it is shifted. */
const upperHalf = (extend: number, shift: number): Entry =>
  define(two, "i32", (c) => c.get(0).op(extend).get(1).op(extend, 0x7e, 0x42, 32, shift, 0xa7));

/** x rounded to a float with the given significand bits, smallest normal and overflow bound: in float64, where
 *  every step but the rounding itself is exact. */
const rounding = (mantissa: number, tiny: number, overflow: number): Entry =>
  define(["f64"], "f32", (c) => {
    const a = c.local("f64");
    const unit = c.local("f64");
    // the power of two at or below |x|, at least the smallest normal, over 2^mantissa
    c.get(0).op(0x99).tee(a).op(0xbd);
    c.op(0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf8, 0xff, 0x00); // i64.const 0x7ff0_0000_0000_0000
    c.op(0x83, 0xbf).f64(tiny).op(0xa5);
    c.f64(2 ** -mantissa)
      .op(0xa2)
      .set(unit);
    c.get(a, unit).op(0xa3, 0x9e).get(unit).op(0xa2);
    // too large, or NaN
    c.f64(Number.POSITIVE_INFINITY).get(a).op(0xa2).get(a).f64(overflow).op(0x63, i32.select);
    c.get(0).op(0xa6, 0xb6);
  });
const viaDouble = (name: string): Entry =>
  define(["f32"], "f32", (c, l) => c.get(0).op(0xbb).call(l.function(name)));

/** x^y by squaring, modulo 2³²; a negative exponent gives 1/x^|y| truncated, and 0 for x = 0. */
const integerPower = (signed: boolean): Entry =>
  define(two, "i32", (c) => {
    const result = c.local("i32");
    const power = (): void => {
      c.i32(1).set(result);
      c.until(
        () => c.get(1).op(0x45),
        () => {
          c.get(1).i32(1).op(i32.and);
          c.if(null, () => c.get(result, 0).op(0x6c).set(result));
          c.get(0, 0).op(0x6c).set(0).get(1).i32(1).op(i32.shrl).set(1);
        },
      );
    };
    if (!signed) {
      power();
      c.get(result);
      return;
    }
    c.get(1).i32(0).op(i32.lt);
    c.if(
      "i32",
      () => {
        // 1 for x = 1, ±1 for x = −1 (by the parity of y), 0 for all others
        c.get(0).i32(1).op(0x46);
        c.i32(1)
          .i32(-1)
          .get(1)
          .i32(1)
          .op(i32.and, 0x45, 0x1b)
          .get(0)
          .i32(-1)
          .op(0x46, 0x6c, i32.or);
      },
      () => {
        power();
        c.get(result);
      },
    );
  });

const entries: { readonly [name: string]: Entry } = {
  // integer x/0 = −1, x rem 0 = x, min/−1 = min
  div_s: define(two, "i32", (c) => {
    c.get(1).op(0x45);
    c.if(
      "i32",
      () => c.i32(-1),
      () => {
        c.get(1).i32(-1).op(0x46);
        c.if(
          "i32",
          () => c.i32(0).get(0).op(i32.sub),
          () => c.get(0, 1).op(0x6d),
        );
      },
    );
  }),
  div_u: define(two, "i32", (c) => {
    c.get(1).op(0x45);
    c.if(
      "i32",
      () => c.i32(-1),
      () => c.get(0, 1).op(0x6e),
    );
  }),
  rem_s: define(two, "i32", (c) => {
    c.get(1).op(0x45);
    c.if(
      "i32",
      () => c.get(0),
      () => c.get(0, 1).op(0x6f),
    );
  }),
  rem_u: define(two, "i32", (c) => {
    c.get(1).op(0x45);
    c.if(
      "i32",
      () => c.get(0),
      () => c.get(0, 1).op(0x70),
    );
  }),
  pow_s: integerPower(true),
  pow_u: integerPower(false),
  min_s: choose(0x48),
  min_u: choose(0x49),
  max_s: choose(0x4a),
  max_u: choose(0x4b),
  shl: shift(i32.shl, (c) => c.i32(0)),
  shr_u: shift(i32.shrl, (c) => c.i32(0)),
  shr_s: shift(i32.shr, (c) => c.get(0).i32(31).op(i32.shr)),
  mulhi_s: upperHalf(0xac, 0x87),
  mulhi_u: upperHalf(0xad, 0x88),
  rem_f32: define(["f32", "f32"], "f32", (c, l) =>
    c.get(0).op(0xbb).get(1).op(0xbb).call(l.math("rem")).op(0xb6),
  ),
  f64_round_float16: rounding(10, 2 ** -14, 65520),
  f64_round_bfloat16: rounding(7, 2 ** -126, (2 - 2 ** -8) * 2 ** 127),
  round_float16: viaDouble("f64_round_float16"),
  round_bfloat16: viaDouble("f64_round_bfloat16"),
  /** bits of a value that is a float16, which takes the exponent bias 127 to 15 */
  f32_to_f16: define(["f32"], "i32", (c) => {
    c.get(0)
      .f32(2 ** -112)
      .op(0x94, 0xbc);
    c.i32(13).op(i32.shrl).i32(0x7fff).op(i32.and);
    c.get(0).op(0xbc).i32(16).op(i32.shrl).i32(0x8000).op(i32.and, i32.or);
  }),
  f16_to_f32: define(["i32"], "f32", (c) => {
    const magnitude = c.local("i32");
    c.get(0).i32(0x7fff).op(i32.and).i32(13).op(i32.shl).tee(magnitude).op(0xbe);
    c.f32(2 ** 112).op(0x94);
    // exponent 31 (infinity, NaN) becomes 255
    c.get(magnitude).i32(0x7f800000).op(i32.or, 0xbe);
    c.get(magnitude)
      .i32(31 << 23)
      .op(i32.lt, i32.select);
    c.get(0).i32(16).op(i32.shl, 0xbe, 0x98);
  }),
};

/** The shared functions of one module. */
export class Library {
  readonly #module: Module;
  readonly #added = new Map<string, number>();
  constructor(module: Module) {
    this.#module = module;
  }
  /** Index of an imported function of the host's Math. Must be declared before any function is added. */
  math(name: string): number {
    const params = new Array<ValType>((hostMath[name] as HostFunction).length).fill("f64");
    return this.#module.import("math", name, params, ["f64"]);
  }
  /** Index of a helper. */
  function(name: string): number {
    let index = this.#added.get(name);
    if (index === undefined) {
      const entry = entries[name];
      if (entry === undefined) throw new Error(`wasm: no helper ${name}`);
      const code = new Code(entry.params, [entry.result]);
      entry.make(code, this);
      index = this.#module.add(code);
      this.#added.set(name, index);
    }
    return index;
  }
}
