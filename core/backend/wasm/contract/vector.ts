/** Products of a matrix and a vector, which read the matrix once, in the order in which it lies in memory. */
import { Code } from "../encoder.ts";
import {
  advance,
  clear,
  type Element,
  loadVector,
  locals,
  multiplyAdd,
  storeVector,
  whileAtLeast,
} from "./element.ts";
import * as op from "../i32.ts";

/** rowSums(x, y, yNext, depth, rows, out, outNext, add): out[i] = Σ_p x[p]·y[i, p], x and the rows of y contiguous. */
export function rowSums(e: Element): Code {
  const c = new Code(8);
  const [X, Y, NEXT, DEPTH, ROWS, OUT, OUT_NEXT, ADD] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const group = 4;
  const rows = locals(c, group);
  const vectors = locals(c, group, "v128");
  const sums = locals(c, group, e.type);
  const xs = c.local("v128");
  const [x, left, last] = locals(c, 3);
  c.until(
    () => c.get(ROWS).i32(0).op(op.le),
    () => {
      c.get(ROWS).i32(1).op(op.sub).set(last);
      rows.forEach((r, i) => {
        c.i32(i).get(last).i32(i).get(last).op(op.lt, op.select);
        c.get(NEXT).op(op.mul).get(Y).op(op.add).set(r);
      });
      c.get(X).set(x).get(DEPTH).set(left);
      clear(c, vectors);
      whileAtLeast(c, left, e.lanes, () => {
        loadVector(c.get(x), e).set(xs);
        vectors.forEach((v, i) => {
          multiplyAdd(c, e, v, () => loadVector(c.get(rows[i] as number), e).get(xs));
        });
        advance(c, 16, x, ...rows);
      });
      vectors.forEach((v, i) => {
        for (let lane = 0; lane < e.lanes; lane++) {
          c.get(v).simd(e.extractLane).op(lane);
          if (lane > 0) c.op(e.add);
        }
        c.set(sums[i] as number);
      });
      whileAtLeast(c, left, 1, () => {
        sums.forEach((s, i) => {
          c.get(s, rows[i] as number).memory(e.load, e.align);
          c.get(x).memory(e.load, e.align).op(e.mul, e.add).set(s);
        });
        advance(c, e.bytes, x, ...rows);
      });
      sums.forEach((s, i) => {
        c.get(last).i32(i).op(op.ge);
        c.if(null, () => {
          c.get(ADD);
          c.if(null, () => c.get(OUT).memory(e.load, e.align).get(s).op(e.add).set(s));
          c.get(OUT, s).memory(e.store, e.align);
          c.get(OUT, OUT_NEXT).op(op.add).set(OUT);
        });
      });
      c.get(Y, NEXT).i32(group).op(op.mul, op.add).set(Y);
      c.get(ROWS).i32(group).op(op.sub).set(ROWS);
    },
  );
  return c;
}

/** sumOfRows(x, xNext, y, yNext, depth, columns, out, add): out[j] = Σ_p x[p]·y[p, j], out and the rows of y contiguous. */
export function sumOfRows(e: Element): Code {
  const c = new Code(8);
  const [X, X_NEXT, Y, NEXT, DEPTH, COLUMNS, OUT, ADD] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  const group = 4;
  const factors = locals(c, group, "v128");
  const rows = locals(c, group);
  const sums = locals(c, 2, "v128");
  const [out, left] = locals(c, 2);
  const scalar = c.local(e.type);
  /** adds the next n rows */
  const pass = (n: number): void => {
    const used = rows.slice(0, n);
    for (let r = 0; r < n; r++) {
      c.get(X)
        .simdMemory(e.loadSplat, e.align, 0)
        .set(factors[r] as number);
      c.get(X, X_NEXT).op(op.add).set(X);
      c.get(Y).set(rows[r] as number);
      c.get(Y, NEXT).op(op.add).set(Y);
    }
    c.get(OUT).set(out).get(COLUMNS).set(left);
    for (const count of [2, 1]) {
      const part = sums.slice(0, count);
      whileAtLeast(c, left, count * e.lanes, () => {
        part.forEach((s, i) => {
          loadVector(c.get(out), e, 16 * i).set(s);
        });
        for (let r = 0; r < n; r++)
          part.forEach((s, i) => {
            const row = rows[r] as number;
            multiplyAdd(c, e, s, () => loadVector(c.get(row), e, 16 * i).get(factors[r] as number));
          });
        part.forEach((s, i) => {
          storeVector(c.get(out, s), e, 16 * i);
        });
        advance(c, 16 * count, out, ...used);
      });
    }
    whileAtLeast(c, left, 1, () => {
      c.get(out).memory(e.load, e.align).set(scalar);
      for (let r = 0; r < n; r++) {
        c.get(scalar, rows[r] as number).memory(e.load, e.align);
        c.get(factors[r] as number)
          .simd(e.extractLane)
          .op(0, e.mul, e.add)
          .set(scalar);
      }
      c.get(out, scalar).memory(e.store, e.align);
      advance(c, e.bytes, out, ...used);
    });
  };
  c.get(ADD).op(op.eqz);
  c.if(null, () => {
    c.get(OUT).i32(0);
    c.get(COLUMNS).i32(e.bytes).op(op.mul, 0xfc).arg(11).op(0); // memory.fill
  });
  whileAtLeast(c, DEPTH, group, () => pass(group));
  whileAtLeast(c, DEPTH, 1, () => pass(1));
  return c;
}
