/** The innermost loops of matrix products: a tile of 4 rows × 2 vectors in registers.
 *
 *  V8 places all loads of a loop's body before its arithmetic, and has 15 registers of 128 bits: 8 sums, 2 vectors of B,
 *  4 elements of A and a product fill them, so that a larger tile or an unrolled loop would spill. Pointers move at the
 *  start of the body, because a sum needs no extension to 64 bits before it serves as an address. */
import { Code, type Signature } from "../encoder.ts";
import {
  type Element,
  each,
  loadVector,
  locals,
  multiplyAdd,
  storeVector,
  tileColumns,
  tileRows,
  transposeLanes,
  whileAtLeast,
} from "./element.ts";
import * as op from "../i32.ts";

/** The sums of a tile: two vectors for each row. */
class Tile {
  readonly #c: Code;
  readonly #e: Element;
  readonly #sums: readonly number[];
  readonly #b: readonly number[];
  readonly #a: number;

  constructor(c: Code, e: Element) {
    this.#c = c;
    this.#e = e;
    this.#sums = locals(c, tileRows * 2, "v128");
    this.#b = locals(c, 2, "v128");
    this.#a = c.local("v128");
  }

  /** Adds the product of a column of A, whose elements lie `offset` bytes from the pointers, and a row of B. */
  step(a: readonly { readonly pointer: number; readonly offset: number }[], b: number): void {
    const [c, e] = [this.#c, this.#e];
    for (const [i, v] of this.#b.entries()) loadVector(c.get(b), e, 16 * i).set(v);
    for (const [r, { pointer, offset }] of a.entries()) {
      c.get(pointer).simd(e.loadSplat).arg(e.align).arg(offset).set(this.#a);
      for (const [i, v] of this.#b.entries()) {
        const sum = this.#sums[2 * r + i] as number;
        multiplyAdd(c, e, sum, () => c.get(this.#a).get(v));
      }
    }
  }

  /** Writes rows of vectors that are `next` bytes apart, or adds them where the local `add` is not 0. */
  writeRows(out: number, next: number, add: number): void {
    const [c, e] = [this.#c, this.#e];
    const write = (plus: boolean): void => {
      for (let r = 0; r < tileRows; r++) {
        for (const i of [0, 1]) {
          c.get(out).get(this.#sums[2 * r + i] as number);
          if (plus) loadVector(c.get(out), e, 16 * i).simd(e.vectorAdd);
          storeVector(c, e, 16 * i);
        }
        if (r < tileRows - 1) c.get(out, next).op(op.add).set(out);
      }
    };
    c.get(add);
    c.if(
      null,
      () => write(true),
      () => write(false),
    );
  }
}

/** tile(a, aNext, rows, last, b, bNext, depth, out, outNext, add): rows of A are `rows` bytes apart, but none starts beyond
 *  a + last; the next column of A is `aNext`, the next row of B `bNext` bytes on. Writes, or adds to, rows of two vectors
 *  that are `outNext` bytes apart. depth ≥ 1. */
export const tileSignature: Signature = { params: new Array(10).fill("i32"), results: [] };

/** The tile's function: for rows of A that are packed, one element after the other, or anywhere. */
export function tile(e: Element, packed: boolean): Code {
  const c = new Code(tileSignature.params);
  const [A, A_NEXT, ROWS, LAST, B, B_NEXT, DEPTH, OUT, OUT_NEXT, ADD] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ] as const;
  const t = new Tile(c, e);
  const [end, offset] = locals(c, 2) as [number, number];
  const pointers = packed ? [A] : [A, ...locals(c, tileRows - 1)];
  if (!packed)
    for (let r = 1; r < tileRows; r++) {
      c.get(ROWS).i32(r).op(op.mul).tee(offset).get(LAST, offset, LAST);
      c.op(op.below, op.select)
        .get(A)
        .op(op.add)
        .set(pointers[r] as number);
    }
  for (const p of pointers) c.get(p, A_NEXT).op(op.sub).set(p);
  c.get(B, B_NEXT).op(op.sub).tee(B).get(DEPTH, B_NEXT).op(op.mul, op.add).set(end);
  c.loop(() => {
    c.get(B, B_NEXT).op(op.add).set(B);
    for (const p of pointers) c.get(p, A_NEXT).op(op.add).set(p);
    const a = Array.from({ length: tileRows }, (_, r) =>
      packed ? { pointer: A, offset: r * e.bytes } : { pointer: pointers[r] as number, offset: 0 },
    );
    t.step(a, B);
    c.get(B, end).op(op.ne).brIf(0);
  });
  t.writeRows(OUT, OUT_NEXT, ADD);
  return c;
}

/** Addresses of the elements of A in a row of the tile, from tables: a + rows[r] + places[p], p = 0 … depth − 1. */
function eachPlace(
  c: Code,
  [A, ROWS, PLACES, DEPTH]: readonly [number, number, number, number],
  rows: readonly number[],
  body: (at: readonly number[]) => void,
): void {
  const at = locals(c, rows.length);
  const [end, place, entry] = locals(c, 3) as [number, number, number];
  rows.forEach((r, i) => {
    c.get(A, ROWS)
      .memory(0x28, 2, 4 * i)
      .op(op.add)
      .set(r);
  });
  c.get(PLACES).i32(4).op(op.sub).tee(entry).get(DEPTH).i32(4).op(op.mul, op.add).set(end);
  c.loop(() => {
    c.get(entry).i32(4).op(op.add).tee(entry).memory(0x28, 2).set(place);
    at.forEach((p, r) => {
      c.get(rows[r] as number, place)
        .op(op.add)
        .set(p);
    });
    body(at);
    c.get(entry, end).op(op.ne).brIf(0);
  });
}

/** listed(a, rows, places, depth, b, out, outNext, add): element (r, p) of A is at a + rows[r] + places[p], two tables; B is
 *  packed. Writes as `tile` does. */
export const listedTileSignature: Signature = { params: new Array(8).fill("i32"), results: [] };
export function listedTile(e: Element): Code {
  const c = new Code(listedTileSignature.params);
  const [A, ROWS, PLACES, DEPTH, B, OUT, OUT_NEXT, ADD] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const t = new Tile(c, e);
  const panel = tileColumns(e) * e.bytes;
  c.get(B).i32(panel).op(op.sub).set(B);
  eachPlace(c, [A, ROWS, PLACES, DEPTH], locals(c, tileRows), (at) => {
    c.get(B).i32(panel).op(op.add).set(B);
    t.step(
      at.map((pointer) => ({ pointer, offset: 0 })),
      B,
    );
  });
  t.writeRows(OUT, OUT_NEXT, ADD);
  return c;
}

/** The same with an A of its own for each column, side by side: sums of products of vectors. One vector of the tile's
 *  rows at a time, for as many as are loaded must fit into registers. */
export function lanesTile(e: Element): Code {
  const c = new Code(listedTileSignature.params);
  const [A, ROWS, PLACES, DEPTH, B, OUT, OUT_NEXT, ADD] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const sums = locals(c, tileRows, "v128");
  const [rows, v] = [locals(c, tileRows), c.local("v128")] as const;
  const [b, out] = locals(c, 2) as [number, number];
  const panel = tileColumns(e) * e.bytes;
  for (const offset of [0, 16]) {
    for (const s of sums) {
      e.zero(c);
      c.simd(e.splat).set(s);
    }
    c.get(B).i32(panel).op(op.sub).set(b);
    eachPlace(c, [A, ROWS, PLACES, DEPTH], rows, (at) => {
      c.get(b).i32(panel).op(op.add).set(b);
      loadVector(c.get(b), e, offset).set(v);
      for (const [r, s] of sums.entries()) {
        multiplyAdd(c, e, s, () => loadVector(c.get(at[r] as number), e, offset).get(v));
      }
    });
    c.get(OUT).set(out);
    for (const s of sums) {
      c.get(ADD);
      c.if(null, () => loadVector(c.get(out), e, offset).get(s).simd(e.vectorAdd).set(s));
      storeVector(c.get(out, s), e, offset);
      c.get(out, OUT_NEXT).op(op.add).set(out);
    }
  }
  return c;
}

/** place(tile, out, outNext, columnBytes, rows, columns, add): that part of a dense tile to where it belongs. `listed`:
 *  outNext is a table of the places of the rows. */
export const placeSignature: Signature = { params: new Array(7).fill("i32"), results: [] };
export function placer(e: Element, listed: boolean): Code {
  const c = new Code(placeSignature.params);
  const [TILE, OUT, NEXT, COLUMN, M, N, PLUS] = [0, 1, 2, 3, 4, 5, 6] as const;
  const [i, j, from, to] = locals(c, 4) as [number, number, number, number];
  const move = (bytes: number): void => {
    c.get(from).i32(bytes).op(op.add).set(from);
    c.get(to);
    if (bytes === 16) c.i32(16);
    else c.get(COLUMN);
    c.op(op.add).set(to);
  };
  const rows = (add: boolean): void =>
    each(c, i, M, 1, () => {
      c.get(TILE).set(from);
      c.get(OUT);
      if (listed) c.get(NEXT).memory(0x28, 2).op(op.add);
      c.set(to);
      c.get(N).set(j);
      c.get(COLUMN).i32(e.bytes).op(op.eq);
      c.if(null, () => {
        whileAtLeast(c, j, e.lanes, () => {
          loadVector(c.get(to, from), e);
          if (add) loadVector(c.get(to), e).simd(e.vectorAdd);
          storeVector(c, e);
          move(16);
        });
      });
      whileAtLeast(c, j, 1, () => {
        c.get(to, from).memory(e.load, e.align);
        if (add) c.get(to).memory(e.load, e.align).op(e.add);
        c.memory(e.store, e.align);
        move(e.bytes);
      });
      c.get(TILE)
        .i32(tileColumns(e) * e.bytes)
        .op(op.add)
        .set(TILE);
      if (listed) c.get(NEXT).i32(4).op(op.add).set(NEXT);
      else c.get(OUT, NEXT).op(op.add).set(OUT);
    });
  c.get(PLUS);
  c.if(
    null,
    () => rows(true),
    () => rows(false),
  );
  return c;
}

/** turn(tile, out, columnBytes, add): a dense tile to where its columns are contiguous. Transposing it in the tile's own
 *  function would cost registers in its loop. */
export const turnSignature: Signature = { params: new Array(4).fill("i32"), results: [] };
export function turner(e: Element): Code {
  const c = new Code(turnSignature.params);
  const [TILE, OUT, COLUMN, PLUS] = [0, 1, 2, 3] as const;
  const [vectors, spare] = [locals(c, e.lanes, "v128"), locals(c, e.lanes, "v128")];
  const row = tileColumns(e) * e.bytes;
  const columns = (add: boolean): void => {
    for (const v of [0, 1]) {
      for (let g = 0; g < tileRows; g += e.lanes) {
        for (const [i, into] of vectors.entries())
          loadVector(c.get(TILE), e, (g + i) * row + 16 * v).set(into);
        transposeLanes(c, e, vectors, spare);
        for (const [i, from] of vectors.entries()) {
          const to = (): Code => c.get(OUT, COLUMN).i32(i).op(op.mul, op.add);
          to().get(from);
          if (add) loadVector(to(), e, g * e.bytes).simd(e.vectorAdd);
          storeVector(c, e, g * e.bytes);
        }
      }
      c.get(OUT, COLUMN).i32(e.lanes).op(op.mul, op.add).set(OUT);
    }
  };
  c.get(PLUS);
  c.if(
    null,
    () => columns(true),
    () => columns(false),
  );
  return c;
}
