import type { Code } from "../encoder.ts";
import type { Frame } from "./frame.ts";
import * as v128 from "../simd/v128.ts";

/** Vector constants that are set before the loop. */
export class Constants {
  readonly #frame: Frame;
  readonly #made: { readonly bytes: Uint8Array; readonly local: number }[] = [];
  readonly #i32 = new Map<number | string, number>();
  readonly #f32 = new Map<number | string, number>();
  readonly #f64 = new Map<number | string, number>();
  constructor(frame: Frame) {
    this.#frame = frame;
  }
  /** Leaves a vector on the stack. */
  #get(known: Map<number | string, number>, key: number | string, make: () => ArrayBuffer): Code {
    // a map takes −0 for 0
    const name = Object.is(key, -0) ? "-0" : key;
    let local = known.get(name);
    if (local === undefined) {
      local = this.#frame.code.local("v128");
      known.set(name, local);
      this.#made.push({ bytes: new Uint8Array(make()), local });
    }
    return this.#frame.code.get(local);
  }
  i32(value: number): Code {
    return this.#get(this.#i32, value, () => new Int32Array(4).fill(value).buffer);
  }
  f32(value: number): Code {
    return this.#get(this.#f32, value, () => new Float32Array(4).fill(value).buffer);
  }
  f64(value: number): Code {
    return this.#get(this.#f64, value, () => new Float64Array(2).fill(value).buffer);
  }
  /** four int32 */
  lanes(values: readonly number[]): Code {
    return this.#get(this.#i32, values.join(), () => new Int32Array(values).buffer);
  }
  /** Sets them all. */
  emit(): void {
    const { code } = this.#frame;
    for (const { bytes, local } of this.#made) code.simd(v128.constant).append(bytes).set(local);
  }
  release(): void {
    this.#frame.release(...this.#made.map(({ local }) => local));
  }
}
