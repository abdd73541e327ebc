/** What the code of matrix products differs in between element types, and what it is written with. */
import { Code, Module, type ValType } from "../encoder.ts";
import * as op from "../i32.ts";

export interface Element {
  readonly type: ValType;
  readonly bytes: number;
  /** elements of a vector */
  readonly lanes: number;
  /** exponent of the alignment of an element */
  readonly align: number;
  readonly load: number;
  readonly store: number;
  readonly add: number;
  readonly mul: number;
  readonly loadSplat: number;
  readonly extractLane: number;
  readonly vectorAdd: number;
  readonly vectorMul: number;
  /** x·y + z, the product rounded or not as the engine likes; only of use where it `canFuse` */
  readonly vectorFused: number | null;
}
const integer = {
  type: "i32",
  bytes: 4,
  lanes: 4,
  align: 2,
  load: 0x28,
  store: 0x36,
  add: 0x6a,
  mul: 0x6c,
  loadSplat: 9,
  extractLane: 27,
  vectorAdd: 174,
  vectorMul: 181,
  vectorFused: null,
} as const satisfies Element;
export const elements = {
  float32: {
    type: "f32",
    bytes: 4,
    lanes: 4,
    align: 2,
    load: 0x2a,
    store: 0x38,
    add: 0x92,
    mul: 0x94,
    loadSplat: 9,
    extractLane: 31,
    vectorAdd: 228,
    vectorMul: 230,
    vectorFused: 0x105,
  },
  float64: {
    type: "f64",
    bytes: 8,
    lanes: 2,
    align: 3,
    load: 0x2b,
    store: 0x39,
    add: 0xa0,
    mul: 0xa2,
    loadSplat: 10,
    extractLane: 33,
    vectorAdd: 240,
    vectorMul: 242,
    vectorFused: 0x107,
  },
  int32: integer,
  uint32: integer,
} as const satisfies { readonly [d: string]: Element };

/** dtypes that have a matrix product */
export type GemmDType = keyof typeof elements;
export const gemmDTypes = Object.keys(elements) as readonly GemmDType[];
export const hasGemm = (dtype: string): dtype is GemmDType => Object.hasOwn(elements, dtype);

/** A tile of the product is `tileRows` rows of two vectors. */
export const tileRows = 4;
export const tileColumns = (e: Element): number => 2 * e.lanes;

type Numbers<N, T extends number[] = []> = number extends N
  ? number[]
  : T["length"] extends N
    ? T
    : Numbers<N, [...T, number]>;
/** Locals of one type. */
export const locals = <N extends number>(c: Code, n: N, type: ValType = "i32"): Numbers<N> =>
  Array.from({ length: n }, () => c.local(type)) as Numbers<N>;

export const loadVector = (c: Code, e: Element, offset = 0): Code =>
  c.simdMemory(0, e.align, offset);
export const storeVector = (c: Code, e: Element, offset = 0): Code =>
  c.simdMemory(11, e.align, offset);

/** Sets vectors to zeros. */
export function clear(c: Code, vectors: readonly number[]): void {
  for (const v of vectors) c.simd(12).append(new Uint8Array(16)).set(v);
}

/** Whether the engine has relaxed vector instructions (fused multiply-add). */
export const canFuse = ((): boolean => {
  const c = new Code(["v128", "v128", "v128"], ["v128"]);
  c.get(0, 1, 2).simd(elements.float32.vectorFused);
  const module = new Module();
  module.add(c);
  return WebAssembly.validate(module.encode(false));
})();

/** sum += x·y, vectors in locals; `factors` leaves x and y on the stack. */
export function multiplyAdd(c: Code, e: Element, sum: number, factors: () => void): void {
  if (canFuse && e.vectorFused !== null) {
    factors();
    c.get(sum).simd(e.vectorFused);
  } else {
    c.get(sum);
    factors();
    c.simd(e.vectorMul).simd(e.vectorAdd);
  }
  c.set(sum);
}

/** Lanes of the two vectors on the stack: lane i of the result is lane `from[i]` of both, one after the other. */
export function shuffle(c: Code, e: Element, from: readonly number[]): Code {
  c.simd(13);
  for (const lane of from) for (let i = 0; i < e.bytes; i++) c.op(lane * e.bytes + i);
  return c;
}

/** The rows of a square of lanes, in locals, become its columns; `spare` are as many locals. */
export function transposeLanes(
  c: Code,
  e: Element,
  rows: readonly number[],
  spare: readonly number[],
): void {
  const both = (from: readonly number[], to: readonly number[], pairs: number[][]): void =>
    pairs.forEach(([x, y, ...lanes], i) => {
      c.get(from[x as number] as number, from[y as number] as number);
      shuffle(c, e, lanes).set(to[i] as number);
    });
  if (e.lanes === 2) {
    both(rows, spare, [
      [0, 1, 0, 2],
      [0, 1, 1, 3],
    ]);
    rows.forEach((r, i) => {
      c.get(spare[i] as number).set(r);
    });
    return;
  }
  both(rows, spare, [
    [0, 1, 0, 4, 1, 5],
    [2, 3, 0, 4, 1, 5],
    [0, 1, 2, 6, 3, 7],
    [2, 3, 2, 6, 3, 7],
  ]);
  both(spare, rows, [
    [0, 1, 0, 1, 4, 5],
    [0, 1, 2, 3, 6, 7],
    [2, 3, 0, 1, 4, 5],
    [2, 3, 2, 3, 6, 7],
  ]);
}

/** Adds `n` to locals. */
export function advance(c: Code, n: number, ...vs: readonly number[]): void {
  for (const v of vs) c.get(v).i32(n).op(op.add).set(v);
}
/** for (v = 0; v < limit; v += step); `limit` is a local, and so is `count`, which becomes min(limit − v, step) */
export function each(
  c: Code,
  v: number,
  limit: number,
  step: number,
  body: () => void,
  count?: number,
): void {
  c.i32(0).set(v);
  c.until(
    () => c.get(v, limit).op(op.ge),
    () => {
      if (count !== undefined) {
        c.get(limit, v).op(op.sub).tee(count).i32(step).get(count).i32(step);
        c.op(op.lt, op.select).set(count);
      }
      body();
      advance(c, step, v);
    },
  );
}
/** for (v = 0; v < limit; v += count) with count = min(limit − v, most), all of them locals; at least once */
export function blocks(
  c: Code,
  v: number,
  limit: number,
  most: number,
  count: number,
  body: () => void,
): void {
  c.i32(0).set(v);
  c.loop(() => {
    c.get(limit, v).op(op.sub).set(count);
    c.get(count, most, count, most).op(op.lt, op.select).set(count);
    body();
    c.get(v, count).op(op.add).tee(v).get(limit).op(op.lt).brIf(0);
  });
}
/** while (v ≥ step) { …; v −= step } */
export function whileAtLeast(c: Code, v: number, step: number, body: () => void): void {
  c.until(
    () => c.get(v).i32(step).op(op.lt),
    () => {
      body();
      c.get(v).i32(step).op(op.sub).set(v);
    },
  );
}
/** `body` where the local `add` is not 0, and where it is */
export function writeOrAdd(c: Code, add: number, body: (plus: boolean) => void): void {
  c.get(add).if(
    null,
    () => body(true),
    () => body(false),
  );
}
