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
  op,
  storeVector,
  tileColumns,
  tileRows,
  whileAtLeast,
} from "./element.ts";

/** tile(a, aNext, rows, last, b, bNext, depth, out, outNext, add): rows of A are `rows` bytes apart, but none starts beyond
 *  a + last; the next column of A is `aNext`, the next row of B `bNext` bytes on. Writes, or adds to, rows of two vectors
 *  that are `outNext` bytes apart. depth ≥ 1. */
export const tileSignature: Signature = { params: new Array(10).fill("i32"), results: [] };
const [A, A_NEXT, ROWS, LAST, B, B_NEXT, DEPTH, OUT, OUT_NEXT, ADD] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
] as const;

/** The tile's function: for rows of A that are packed, one element after the other, or anywhere. */
export function tile(e: Element, packed: boolean): Code {
  const c = new Code(tileSignature.params);
  const sums = locals(c, tileRows * 2, "v128");
  const [b0, b1, s] = locals(c, 3, "v128") as [number, number, number];
  const [end, offset] = locals(c, 2) as [number, number];
  const pointers = packed ? [A] : [A, ...locals(c, tileRows - 1)];
  if (!packed)
    for (let r = 1; r < tileRows; r++) {
      c.get(ROWS).i32(r).op(op.mul).tee(offset).get(LAST).get(offset).get(LAST);
      c.op(0x49, op.select)
        .get(A)
        .op(op.add)
        .set(pointers[r] as number);
    }
  for (const p of pointers) c.get(p).get(A_NEXT).op(op.sub).set(p);
  c.get(B).get(B_NEXT).op(op.sub).tee(B).get(DEPTH).get(B_NEXT).op(op.mul, op.add).set(end);
  c.loop(() => {
    c.get(B).get(B_NEXT).op(op.add).set(B);
    for (const p of pointers) c.get(p).get(A_NEXT).op(op.add).set(p);
    loadVector(c.get(B), e).set(b0);
    loadVector(c.get(B), e, 16).set(b1);
    for (let r = 0; r < tileRows; r++) {
      c.get(pointers[packed ? 0 : r] as number)
        .simd(e.loadSplat)
        .arg(e.align)
        .arg(packed ? r * e.bytes : 0)
        .set(s);
      for (const [i, b] of [b0, b1].entries()) {
        const sum = sums[2 * r + i] as number;
        c.get(sum).get(s).get(b).simd(e.vectorMul).simd(e.vectorAdd).set(sum);
      }
    }
    c.get(B).get(end).op(op.ne).brIf(0);
  });
  const write = (add: boolean): void => {
    for (let r = 0; r < tileRows; r++) {
      for (const i of [0, 1]) {
        c.get(OUT).get(sums[2 * r + i] as number);
        if (add) loadVector(c.get(OUT), e, 16 * i).simd(e.vectorAdd);
        storeVector(c, e, 16 * i);
      }
      if (r < tileRows - 1) c.get(OUT).get(OUT_NEXT).op(op.add).set(OUT);
    }
  };
  c.get(ADD);
  c.if(
    null,
    () => write(true),
    () => write(false),
  );
  return c;
}

/** place(tile, out, outNext, columnBytes, rows, columns, add): that part of a dense tile to where it belongs. */
export const placeSignature: Signature = { params: new Array(7).fill("i32"), results: [] };
export function placer(e: Element): Code {
  const c = new Code(placeSignature.params);
  const [TILE, TO, NEXT, COLUMN, M, N, PLUS] = [0, 1, 2, 3, 4, 5, 6] as const;
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
      c.get(TO).set(to);
      c.get(N).set(j);
      c.get(COLUMN).i32(e.bytes).op(op.eq);
      c.if(null, () => {
        whileAtLeast(c, j, e.lanes, () => {
          loadVector(c.get(to).get(from), e);
          if (add) loadVector(c.get(to), e).simd(e.vectorAdd);
          storeVector(c, e);
          move(16);
        });
      });
      whileAtLeast(c, j, 1, () => {
        c.get(to).get(from).memory(e.load, e.align);
        if (add) c.get(to).memory(e.load, e.align).op(e.add);
        c.memory(e.store, e.align);
        move(e.bytes);
      });
      c.get(TILE)
        .i32(tileColumns(e) * e.bytes)
        .op(op.add)
        .set(TILE);
      c.get(TO).get(NEXT).op(op.add).set(TO);
    });
  c.get(PLUS);
  c.if(
    null,
    () => rows(true),
    () => rows(false),
  );
  return c;
}
