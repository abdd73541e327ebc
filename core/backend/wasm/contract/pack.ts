/** Copies of operands in the order in which tiles read them: panels of some rows, element by element side by side. */
import { Code } from "../encoder.ts";
import {
  advance,
  type Element,
  loadVector,
  locals,
  storeVector,
  transposeLanes,
  whileAtLeast,
} from "./element.ts";
import * as op from "../i32.ts";

/** pack(from, to, rows, depth, rowBytes, depthBytes, panelBytes): panels of `width` rows, which begin `panelBytes` apart; the
 *  last row stands for rows that are missing, whose results nobody reads. */
export const packParams = 7;
const [FROM, PANEL, ROWS, DEPTH, ROW, NEXT, APART] = [0, 1, 2, 3, 4, 5, 6] as const;

export function packer(width: number, e: Element): Code {
  const c = new Code(packParams);
  const rows = locals(c, width);
  const vectors = locals(c, e.lanes, "v128");
  const spare = locals(c, e.lanes, "v128");
  const [TO, left] = locals(c, 2);
  const panel = width * e.bytes;
  const first = rows[0] as number;
  const forward = (list: readonly number[]): void => {
    for (const r of list) c.get(r, NEXT).op(op.add).set(r);
    advance(c, panel, TO);
  };

  /** `lanes` elements of each row at a time, turned in registers */
  const turned = (): void =>
    whileAtLeast(c, left, e.lanes, () => {
      for (let at = 0; at < width; at += e.lanes) {
        vectors.forEach((v, i) => {
          loadVector(c.get(rows[at + i] as number), e).set(v);
        });
        transposeLanes(c, e, vectors, spare);
        vectors.forEach((v, i) => {
          storeVector(c.get(TO, v), e, i * panel + at * e.bytes);
        });
      }
      advance(c, 16, ...rows);
      advance(c, e.lanes * panel, TO);
    });
  /** rows that lie side by side */
  const copied = (): void =>
    whileAtLeast(c, left, 1, () => {
      for (let at = 0; at < panel; at += 16) {
        loadVector(c.get(TO, first), e, at);
        storeVector(c, e, at);
      }
      forward([first]);
    });
  const single = (): void =>
    whileAtLeast(c, left, 1, () => {
      rows.forEach((r, i) => {
        c.get(TO, r)
          .memory(e.load, e.align)
          .memory(e.store, e.align, i * e.bytes);
      });
      forward(rows);
    });

  c.until(
    () => c.get(ROWS).i32(0).op(op.le),
    () => {
      rows.forEach((r, i) => {
        // min(i, ROWS − 1)
        c.i32(i).get(ROWS).i32(1).op(op.sub).tee(left).i32(i).get(left).op(op.lt, op.select);
        c.get(ROW).op(op.mul).get(FROM).op(op.add).set(r);
      });
      c.get(DEPTH).set(left);
      c.get(PANEL).tee(TO).get(APART).op(op.add).set(PANEL);
      c.get(NEXT).i32(e.bytes).op(op.eq);
      c.if(null, turned, () => {
        c.get(ROW).i32(e.bytes).op(op.eq).get(ROWS).i32(width).op(op.ge, op.and);
        c.if(null, copied);
      });
      single();
      c.get(FROM, ROW).i32(width).op(op.mul, op.add).set(FROM);
      c.get(ROWS).i32(width).op(op.sub).set(ROWS);
    },
  );
  return c;
}
