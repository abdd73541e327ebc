import type { Code } from "../encoder.ts";
import type { Frame } from "./frame.ts";
import * as v128 from "../simd/v128.ts";

/** Vector constants that are set before the loop. */
export class Constants {
  readonly #frame: Frame;
  readonly #made: { readonly bytes: Uint8Array; readonly local: number }[] = [];
  readonly #known = new Map<string, number>();
  constructor(frame: Frame) {
    this.#frame = frame;
  }
  /** Leaves a vector on the stack; `key` names its value. */
  #get(key: string, make: () => ArrayBuffer): Code {
    const { code } = this.#frame;
    let local = this.#known.get(key);
    if (local === undefined) {
      local = code.local("v128");
      this.#known.set(key, local);
      this.#made.push({ bytes: new Uint8Array(make()), local });
    }
    return code.get(local);
  }
  i32(value: number): Code {
    return this.#get(`${value}`, () => new Int32Array(4).fill(value).buffer);
  }
  f32(value: number): Code {
    return this.#get(`f${text(value)}`, () => new Float32Array(4).fill(value).buffer);
  }
  f64(value: number): Code {
    return this.#get(`d${text(value)}`, () => new Float64Array(2).fill(value).buffer);
  }
  /** four int32 */
  lanes(values: readonly number[]): Code {
    return this.#get(values.join(), () => new Int32Array(values).buffer);
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

/** −0 is not 0. */
const text = (x: number): string => (Object.is(x, -0) ? "-0" : `${x}`);
