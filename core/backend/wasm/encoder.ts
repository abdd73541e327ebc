/** WebAssembly's binary format: bytes, sections, functions. */
import { entry } from "../../maps.ts";

export type ValType = "i32" | "i64" | "f32" | "f64" | "v128";
const codes: { readonly [T in ValType]: number } = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** A growing byte buffer. */
export class Bytes {
  #data = new Uint8Array(1024);
  length = 0;
  /** Makes room for `by` more. */
  #grow(by: number): void {
    const next = new Uint8Array(Math.max(this.#data.length * 2, this.length + by));
    next.set(this.#data.subarray(0, this.length));
    this.#data = next;
  }
  byte(b: number): this {
    if (this.length === this.#data.length) this.#grow(1);
    this.#data[this.length++] = b;
    return this;
  }
  /** a byte and an unsigned LEB128: most instructions */
  byteAndU32(b: number, n: number): this {
    if (this.length + 2 > this.#data.length) this.#grow(2);
    const data = this.#data;
    const at = this.length;
    data[at] = b;
    this.length = at + 1;
    if (n < 0 || n > 127) return this.u32(n);
    data[at + 1] = n;
    this.length = at + 2;
    return this;
  }
  /** unsigned LEB128 */
  u32(n: number): this {
    let v = n >>> 0;
    while (v >= 128) {
      this.byte((v & 127) | 128);
      v >>>= 7;
    }
    return this.byte(v);
  }
  /** signed LEB128 */
  i32(n: number): this {
    let v = n | 0;
    while (v < -64 || v > 63) {
      this.byte((v & 127) | 128);
      v >>= 7;
    }
    return this.byte(v & 127);
  }
  f32(x: number): this {
    return this.raw(new Uint8Array(new Float32Array([x]).buffer));
  }
  f64(x: number): this {
    return this.raw(new Uint8Array(new Float64Array([x]).buffer));
  }
  raw(bytes: ArrayLike<number>): this {
    if (this.length + bytes.length > this.#data.length) this.#grow(bytes.length);
    this.#data.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }
  /** length-prefixed */
  sized(b: Bytes): this {
    return this.u32(b.length).raw(b.view());
  }
  name(s: string): this {
    const b = new TextEncoder().encode(s);
    return this.u32(b.length).raw(b);
  }
  /** Takes away what lies behind `start`, and gives it. */
  cut(start: number): Uint8Array {
    const end = this.#data.slice(start, this.length);
    this.length = start;
    return end;
  }
  view(): Uint8Array<ArrayBuffer> {
    return this.#data.subarray(0, this.length);
  }
}

/** Types of parameters, or how many of type i32. */
export type Params = readonly ValType[] | number;
interface Signature {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}
const signature = (params: Params, results: readonly ValType[]): Signature => ({
  params: typeof params === "number" ? new Array<ValType>(params).fill("i32") : params,
  results,
});

/** The body of one function under construction. */
export class Code {
  readonly signature: Signature;
  readonly locals: ValType[] = [];
  readonly bytes = new Bytes();
  constructor(params: Params, results: readonly ValType[] = []) {
    this.signature = signature(params, results);
  }
  /** What `emit` writes, held back: it is to be appended later. */
  capture(emit: () => void): Uint8Array {
    const start = this.bytes.length;
    emit();
    return this.bytes.cut(start);
  }
  append(code: ArrayLike<number>): this {
    this.bytes.raw(code);
    return this;
  }
  local(type: ValType): number {
    this.locals.push(type);
    return this.signature.params.length + this.locals.length - 1;
  }
  typeOf(local: number): ValType {
    const { params } = this.signature;
    return (params[local] ?? this.locals[local - params.length]) as ValType;
  }
  op(first: number, ...more: number[]): this {
    this.bytes.byte(first);
    for (let i = 0; i < more.length; i++) this.bytes.byte(more[i] as number);
    return this;
  }
  get(...locals: number[]): this {
    for (let i = 0; i < locals.length; i++) this.bytes.byteAndU32(0x20, locals[i] as number);
    return this;
  }
  set(local: number): this {
    this.bytes.byteAndU32(0x21, local);
    return this;
  }
  tee(local: number): this {
    this.bytes.byteAndU32(0x22, local);
    return this;
  }
  arg(n: number): this {
    this.bytes.u32(n);
    return this;
  }
  i32(n: number): this {
    this.bytes.byte(0x41).i32(n);
    return this;
  }
  f32(x: number): this {
    this.bytes.byte(0x43).f32(x);
    return this;
  }
  f64(x: number): this {
    this.bytes.byte(0x44).f64(x);
    return this;
  }
  /** the instance's own scratch memory, `offset` bytes in */
  scratch(offset: number): this {
    this.op(0x23, 0); // global.get: the only one
    return offset === 0 ? this : this.i32(offset).op(0x6a);
  }
  call(f: number): this {
    this.bytes.byteAndU32(0x10, f);
    return this;
  }
  /** memory access: opcode, alignment exponent, constant offset */
  memory(opcode: number, align: number, offset = 0): this {
    this.bytes.byteAndU32(opcode, align).u32(offset);
    return this;
  }
  /** access to shared memory in one total order: numbered opcode after a prefix, natural alignment, a word of the memory */
  atomic(opcode: number, align: number, word: number): this {
    return this.op(0xfe)
      .arg(opcode)
      .arg(align)
      .arg(4 * word);
  }
  /** 128-bit instructions have a prefix and a numbered opcode */
  simd(opcode: number): this {
    this.bytes.byteAndU32(0xfd, opcode);
    return this;
  }
  /** 128-bit memory access */
  simdMemory(opcode: number, align: number, offset: number): this {
    return this.simd(opcode).arg(align).arg(offset);
  }
  /** the bytes of two vectors at these positions */
  shuffle(positions: readonly number[]): this {
    return this.simd(13).append(positions);
  }
  if(result: ValType | null, yes: () => void, no?: () => void): this {
    this.op(0x04, result === null ? 0x40 : codes[result]);
    yes();
    if (no !== undefined) {
      this.op(0x05);
      no();
    }
    return this.op(0x0b);
  }
  block(body: () => void): this {
    this.op(0x02, 0x40);
    body();
    return this.op(0x0b);
  }
  loop(body: () => void): this {
    this.op(0x03, 0x40);
    body();
    return this.op(0x0b);
  }
  /** Runs `body` until `test`, which leaves a value and comes first, is true. */
  until(test: () => void, body: () => void): this {
    return this.block(() => {
      this.loop(() => {
        test();
        this.brIf(1);
        body();
        this.br(0);
      });
    });
  }
  br(depth: number): this {
    return this.op(0x0c).arg(depth);
  }
  brIf(depth: number): this {
    return this.op(0x0d).arg(depth);
  }
}

/** A module under construction. Imports come first; then functions in the order in which they are added. */
export class Module {
  // what is known, numbered, and the sections it has filled so far
  readonly #types = new Map<string, number>();
  readonly #imports = new Map<string, number>();
  readonly #typeBytes = new Bytes();
  readonly #importBytes = new Bytes();
  readonly #functionBytes = new Bytes();
  readonly #exportBytes = new Bytes();
  readonly #codeBytes = new Bytes();
  #functions = 0;
  #exports = 0;

  #type({ params, results }: Signature): number {
    return entry(this.#types, `${params}>${results}`, () => {
      this.#typeBytes.byte(0x60);
      for (const list of [params, results]) {
        this.#typeBytes.u32(list.length);
        for (const t of list) this.#typeBytes.byte(codes[t]);
      }
      return this.#types.size;
    });
  }
  /** Declares an imported function; all imports must be declared before the first function. */
  import(module: string, name: string, params: Params, results: readonly ValType[] = []): number {
    return entry(this.#imports, `${module} ${name}`, () => {
      if (this.#functions > 0) throw new Error("wasm: imports must come before functions");
      const type = this.#type(signature(params, results));
      this.#importBytes.name(module).name(name).byte(0).u32(type);
      return this.#imports.size;
    });
  }
  /** Adds a function that is complete. */
  add({ signature, locals, bytes }: Code): number {
    this.#functionBytes.u32(this.#type(signature));
    const body = new Bytes();
    // runs of equal types
    const runs: [number, ValType][] = [];
    for (const t of locals) {
      const last = runs.at(-1);
      if (last?.[1] === t) last[0]++;
      else runs.push([1, t]);
    }
    body.u32(runs.length);
    for (const [n, t] of runs) body.u32(n).byte(codes[t]);
    this.#codeBytes.sized(body.raw(bytes.view()).byte(0x0b));
    return this.#imports.size + this.#functions++;
  }
  export(name: string, index: number): void {
    this.#exportBytes.name(name).byte(0).u32(index);
    this.#exports++;
  }
  /** The finished module; it imports its memory as `env.memory`, and as `env.scratch` the address of memory that no other
   *  instance uses. */
  encode(shared: boolean): Uint8Array<ArrayBuffer> {
    const out = new Bytes().raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const section = (id: number, count: number, entries: Bytes): void => {
      const b = new Bytes().u32(count);
      out.byte(id).u32(b.length + entries.length);
      out.raw(b.view()).raw(entries.view());
    };
    const imports = new Bytes().raw(this.#importBytes.view());
    imports.name("env").name("memory").byte(2);
    // a shared memory has a maximum: the largest there is
    if (shared) imports.byte(3).u32(0).u32(65536);
    else imports.byte(0).u32(0);
    imports.name("env").name("scratch").byte(3).byte(codes.i32).byte(0);
    section(1, this.#types.size, this.#typeBytes);
    section(2, this.#imports.size + 2, imports);
    section(3, this.#functions, this.#functionBytes);
    section(7, this.#exports, this.#exportBytes);
    section(10, this.#functions, this.#codeBytes);
    return out.view().slice();
  }
}
