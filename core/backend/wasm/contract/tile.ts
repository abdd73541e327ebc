/** The innermost loops of matrix products: a tile of 4 rows × 2 vectors in registers.
 *
 *  V8 places all loads of a loop's body before its arithmetic, and has 15 registers of 128 bits: 8 sums, 2 vectors of B,
 *  4 elements of A and a product fill them, so that a larger tile or an unrolled loop would spill. Pointers move at the
 *  start of the body, because a sum needs no extension to 64 bits before it serves as an address. */
import { Code } from "../encoder.ts";
import {
  advance,
  clear,
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
  writeOrAdd,
} from "./element.ts";
import * as op from "../i32.ts";

/** The sums of a tile: two vectors for each row. */
function tileSums(c: Code, e: Element) {
  const sums = locals(c, tileRows * 2, "v128");
  const b = locals(c, 2, "v128");
  const a = c.local("v128");
  return {
    /** Adds the product of a column of A, whose elements lie `apart` bytes from each other, or at pointers of their own, and a
     *  row of B. */
    step(pointers: readonly number[], apart: number, B: number): void {
      for (const [i, v] of b.entries()) loadVector(c.get(B), e, 16 * i).set(v);
      for (let r = 0; r < tileRows; r++) {
        c.get(pointers[r] ?? (pointers[0] as number));
        c.simdMemory(e.loadSplat, e.align, r * apart).set(a);
        for (const [i, v] of b.entries())
          multiplyAdd(c, e, sums[2 * r + i] as number, () => c.get(a, v));
      }
    },
    /** Writes rows of vectors that are `next` bytes apart, or adds them where the local `add` is not 0. */
    writeRows: (out: number, next: number, add: number): void =>
      writeOrAdd(c, add, (plus) =>
        sums.forEach((sum, i) => {
          const offset = 16 * (i & 1);
          if (i > 0 && offset === 0) c.get(out, next).op(op.add).set(out);
          c.get(out, sum);
          if (plus) loadVector(c.get(out), e, offset).simd(e.vectorAdd);
          storeVector(c, e, offset);
        }),
      ),
  };
}

/** tile(a, aNext, rows, last, b, bNext, depth, out, outNext, add): rows of A are `rows` bytes apart, but none starts beyond
 *  a + last; the next column of A is `aNext`, the next row of B `bNext` bytes on. Writes, or adds to, rows of two vectors
 *  that are `outNext` bytes apart. depth ≥ 1. */
/** The tile's function: for rows of A that are packed, one element after the other, or anywhere. */
export function tile(e: Element, packed: boolean): Code {
  const c = new Code(10);
  const [A, A_NEXT, ROWS, LAST, B, B_NEXT, DEPTH, OUT, OUT_NEXT, ADD] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ] as const;
  const t = tileSums(c, e);
  const [end, offset] = locals(c, 2);
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
    t.step(pointers, packed ? e.bytes : 0, B);
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
  const [end, place, entry] = locals(c, 3);
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
export function listedTile(e: Element): Code {
  const c = new Code(8);
  const [A, ROWS, PLACES, DEPTH, B, OUT, OUT_NEXT, ADD] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const t = tileSums(c, e);
  const panel = tileColumns(e) * e.bytes;
  c.get(B).i32(panel).op(op.sub).set(B);
  eachPlace(c, [A, ROWS, PLACES, DEPTH], locals(c, tileRows), (at) => {
    advance(c, panel, B);
    t.step(at, 0, B);
  });
  t.writeRows(OUT, OUT_NEXT, ADD);
  return c;
}

/** The same with an A of its own for each column, side by side: sums of products of vectors. One vector of the tile's
 *  rows at a time, for as many as are loaded must fit into registers. */
export function lanesTile(e: Element): Code {
  const c = new Code(8);
  const [A, ROWS, PLACES, DEPTH, B, OUT, OUT_NEXT, ADD] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const sums = locals(c, tileRows, "v128");
  const [rows, v] = [locals(c, tileRows), c.local("v128")] as const;
  const [b, out] = locals(c, 2);
  const panel = tileColumns(e) * e.bytes;
  for (const offset of [0, 16]) {
    clear(c, sums);
    c.get(B).i32(panel).op(op.sub).set(b);
    eachPlace(c, [A, ROWS, PLACES, DEPTH], rows, (at) => {
      advance(c, panel, b);
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
export function placer(e: Element, listed: boolean): Code {
  const c = new Code(7);
  const [TILE, OUT, NEXT, COLUMN, M, N, PLUS] = [0, 1, 2, 3, 4, 5, 6] as const;
  const [i, j, from, to] = locals(c, 4);
  const move = (bytes: number): void => {
    advance(c, bytes, from);
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
      advance(c, tileColumns(e) * e.bytes, TILE);
      if (listed) advance(c, 4, NEXT);
      else c.get(OUT, NEXT).op(op.add).set(OUT);
    });
  writeOrAdd(c, PLUS, rows);
  return c;
}

/** turn(tile, out, columnBytes, add): a dense tile to where its columns are contiguous. Transposing it in the tile's own
 *  function would cost registers in its loop. */
export function turner(e: Element): Code {
  const c = new Code(4);
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
  writeOrAdd(c, PLUS, columns);
  return c;
}
