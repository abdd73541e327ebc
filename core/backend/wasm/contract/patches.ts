/** Products whose A is read where a table says, as the windows of a convolution are. */
import { Code } from "../encoder.ts";
import { advance, type Element, each, locals, tileColumns, tileRows } from "./element.ts";
import * as op from "../i32.ts";

/** patches(a, rowPlaces, outPlaces, rows, places, depth, b, columns, out, rowBytes, columnBytes, add, buffer): element (i, p) of A
 *  is at a + rowPlaces[i] + places[p], row i of the result at out + outPlaces[i]; both tables of rows go on for a tile's
 *  rows less one. Most neighbouring rows of the result are `rowBytes` apart. B is packed. `lanes`: each column has an A
 *  of its own, an element to the right of the last one's. */
export const patchesParams = 13;

export function patches(
  e: Element,
  parts: { readonly tile: number; readonly turn: number; readonly place: number },
  lanes: boolean,
): Code {
  const c = new Code(patchesParams);
  const [
    A,
    ROW_PLACES,
    OUT_PLACES,
    ROWS,
    PLACES,
    DEPTH,
    B,
    COLUMNS,
    OUT,
    ROW,
    COLUMN,
    ADD,
    BUFFER,
  ] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] as const;
  const width = tileColumns(e);
  const [i, j, rows, columns, out, way, none, next] = locals(c, 8);
  /** what of a tile is contiguous: 1 its rows, 2 its columns, 0 neither */
  const [byRows, byColumns] = [1, 2] as const;
  const compute = (to: number, apart: number, add: number): void => {
    c.get(A);
    if (lanes) c.get(j).i32(e.bytes).op(op.mul, op.add);
    c.get(ROW_PLACES, PLACES, DEPTH);
    c.get(B, j, DEPTH).op(op.mul).i32(e.bytes).op(op.mul, op.add);
    c.get(to, apart, add).call(parts.tile);
  };
  /** a tile that is moved from the buffer to where it belongs */
  const buffered = (move: () => void): void => {
    compute(BUFFER, next, none);
    c.get(BUFFER, out);
    move();
  };
  const oneTile = (): void => {
    c.get(OUT, j, COLUMN).op(op.mul, op.add).set(out);
    c.get(columns).i32(width).op(op.eq).get(way).i32(0).op(op.ne, op.and);
    c.if(
      null,
      () => {
        c.get(out, OUT_PLACES).memory(0x28, 2).op(op.add).set(out);
        c.get(way).i32(byRows).op(op.eq);
        c.if(
          null,
          () => compute(out, ROW, ADD),
          () => buffered(() => c.get(COLUMN, ADD).call(parts.turn)),
        );
      },
      () => buffered(() => c.get(OUT_PLACES, COLUMN, rows, columns, ADD).call(parts.place)),
    );
  };
  const rowOfTiles = (): void => {
    c.i32(byRows).i32(byColumns).i32(0);
    c.get(ROW).i32(e.bytes).op(op.eq, op.select);
    c.get(COLUMN).i32(e.bytes).op(op.eq, op.select);
    c.i32(0).get(rows).i32(tileRows).op(op.eq);
    c.get(OUT_PLACES).memory(0x28, 2, 4 * (tileRows - 1));
    c.get(OUT_PLACES).memory(0x28, 2).op(op.sub);
    c.get(ROW)
      .i32(tileRows - 1)
      .op(op.mul, op.eq, op.and, op.select)
      .set(way);
    each(c, j, COLUMNS, width, oneTile, columns);
    advance(c, 4 * tileRows, ROW_PLACES, OUT_PLACES);
  };
  c.i32(width * e.bytes).set(next);
  each(c, i, ROWS, tileRows, rowOfTiles, rows);
  return c;
}
