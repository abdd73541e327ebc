/** C (+)= A·B in float32 or float64: packed panels and a micro-kernel of 128-bit lanes (6×8 in float32, 6×4 in
 *  float64), in a module that is compiled once for the process. Every stride is allowed, so that transposed
 *  operands need no copy.
 *  @source Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication" */
import { Code, Module, type Signature, type ValType } from "./encoder.ts";

const MR = 6;
/** columns of a tile: two vectors */
const columnsOf = (e: Element): number => 2 * e.lanes;
const MC = 96;
const KC = 256;
/** bytes of a packed block of B, which stays in the second-level cache */
const blockB = 512 * KC * 4;

/** What differs between the element types. */
interface Element {
  readonly type: ValType;
  readonly bytes: number;
  /** elements of a vector */
  readonly lanes: number;
  readonly align: number;
  readonly load: number;
  readonly store: number;
  readonly add: number;
  readonly zero: (c: Code) => void;
  readonly loadSplat: number;
  readonly vectorAdd: number;
  readonly vectorMul: number;
}
const elements = {
  float32: {
    type: "f32",
    bytes: 4,
    lanes: 4,
    align: 2,
    load: 0x2a,
    store: 0x38,
    add: 0x92,
    zero: (c) => c.f32(0),
    loadSplat: 9,
    vectorAdd: 228,
    vectorMul: 230,
  },
  float64: {
    type: "f64",
    bytes: 8,
    lanes: 2,
    align: 3,
    load: 0x2b,
    store: 0x39,
    add: 0xa0,
    zero: (c) => c.f64(0),
    loadSplat: 10,
    vectorAdd: 240,
    vectorMul: 242,
  },
} as const satisfies { readonly [d: string]: Element };

/** dtypes that have a matrix product */
export type GemmDType = keyof typeof elements;
export const hasGemm = (dtype: string): dtype is GemmDType => Object.hasOwn(elements, dtype);

/** bytes of scratch that a call needs: packed A, packed B, one tile */
export const gemmScratch: number = MC * KC * 8 + blockB + MR * 4 * 8;

/** gemm(a, b, c, m, n, k, am, ak, bk, bn, cm, cn, accumulate, scratch); strides in bytes */
export const gemmSignature: Signature = { params: new Array(14).fill("i32"), results: [] };
const [A, B, C, M, N, K, AM, AK, BK, BN, CM, CN, ACC, SCRATCH] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
] as const;

const op = { add: 0x6a, sub: 0x6b, mul: 0x6c, lt_s: 0x48, ge_s: 0x4e, or: 0x72, and: 0x71 };
const simd = { load: 0, store: 11 };

/** for (v = 0; v < limit; v += step) */
function each(c: Code, v: number, limit: () => void, step: number, body: () => void): void {
  c.i32(0).set(v);
  c.block(() => {
    c.loop(() => {
      c.get(v);
      limit();
      c.op(op.ge_s).brIf(1);
      body();
      c.get(v).i32(step).op(op.add).set(v).br(0);
    });
  });
}
/** min(x − y, limit) of locals */
function rest(c: Code, x: number, y: number, limit: number, into: number): void {
  c.get(x).get(y).op(op.sub).tee(into).i32(limit).get(into).i32(limit).op(op.lt_s, 0x1b).set(into);
}

/** pack(src, dst, rows, depth, rowStride, depthStride): groups of `width` rows, interleaved; missing rows are 0. */
function packer(width: number, e: Element): Code {
  const c = new Code(["i32", "i32", "i32", "i32", "i32", "i32"]);
  const [SRC, DST, ROWS, DEPTH, RS, DS] = [0, 1, 2, 3, 4, 5] as const;
  const i = c.local("i32");
  const p = c.local("i32");
  const from = c.local("i32");
  const left = c.local("i32");
  each(
    c,
    i,
    () => c.get(ROWS),
    width,
    () => {
      rest(c, ROWS, i, width, left);
      c.get(SRC).get(i).get(RS).op(op.mul, op.add).set(from);
      c.get(left).i32(width).op(0x46);
      c.if(
        null,
        () => {
          // contiguous rows go a vector at a time
          c.get(RS).i32(e.bytes).op(0x46);
          c.if(
            null,
            () =>
              each(
                c,
                p,
                () => c.get(DEPTH),
                1,
                () => {
                  let at = 0;
                  for (; at + e.lanes <= width; at += e.lanes) {
                    c.get(DST)
                      .get(from)
                      .simd(simd.load)
                      .arg(e.align)
                      .arg(at * e.bytes);
                    c.simd(simd.store)
                      .arg(e.align)
                      .arg(at * e.bytes);
                  }
                  for (; at < width; at++) {
                    c.get(DST)
                      .get(from)
                      .memory(e.load, e.align, at * e.bytes);
                    c.memory(e.store, e.align, at * e.bytes);
                  }
                  c.get(DST)
                    .i32(width * e.bytes)
                    .op(op.add)
                    .set(DST);
                  c.get(from).get(DS).op(op.add).set(from);
                },
              ),
            () =>
              each(
                c,
                p,
                () => c.get(DEPTH),
                1,
                () => {
                  for (let at = 0; at < width; at++) {
                    c.get(DST).get(from);
                    if (at > 0) c.get(RS).i32(at).op(op.mul, op.add);
                    c.memory(e.load, e.align).memory(e.store, e.align, at * e.bytes);
                  }
                  c.get(DST)
                    .i32(width * e.bytes)
                    .op(op.add)
                    .set(DST);
                  c.get(from).get(DS).op(op.add).set(from);
                },
              ),
          );
        },
        () =>
          each(
            c,
            p,
            () => c.get(DEPTH),
            1,
            () => {
              for (let at = 0; at < width; at++) {
                c.get(DST);
                c.get(left).i32(at).op(0x4a); // at < left
                c.if(
                  e.type,
                  () => c.get(from).get(RS).i32(at).op(op.mul, op.add).memory(e.load, e.align),
                  () => e.zero(c),
                );
                c.memory(e.store, e.align, at * e.bytes);
              }
              c.get(DST)
                .i32(width * e.bytes)
                .op(op.add)
                .set(DST);
              c.get(from).get(DS).op(op.add).set(from);
            },
          ),
      );
    },
  );
  return c;
}

/** micro(a, b, depth, c, rowBytes, accumulate): a full tile with contiguous rows. */
function micro(e: Element): Code {
  const c = new Code(["i32", "i32", "i32", "i32", "i32", "i32"]);
  const [PA, PB, DEPTH, OUT, ROW, ADD] = [0, 1, 2, 3, 4, 5] as const;
  const acc = Array.from({ length: MR * 2 }, () => c.local("v128"));
  const b0 = c.local("v128");
  const b1 = c.local("v128");
  const s = c.local("v128");
  const fma = (into: number, b: number): void => {
    c.get(into).get(s).get(b).simd(e.vectorMul).simd(e.vectorAdd).set(into);
  };
  c.get(DEPTH).i32(0).op(0x4a);
  c.if(null, () => {
    c.loop(() => {
      c.get(PB).simd(simd.load).arg(4).arg(0).set(b0);
      c.get(PB).simd(simd.load).arg(4).arg(16).set(b1);
      for (let r = 0; r < MR; r++) {
        c.get(PA)
          .simd(e.loadSplat)
          .arg(e.align)
          .arg(r * e.bytes)
          .set(s);
        fma(acc[r * 2] as number, b0);
        fma(acc[r * 2 + 1] as number, b1);
      }
      c.get(PA)
        .i32(MR * e.bytes)
        .op(op.add)
        .set(PA);
      c.get(PB).i32(32).op(op.add).set(PB);
      c.get(DEPTH).i32(1).op(op.sub).tee(DEPTH).brIf(0);
    });
  });
  const write = (add: boolean): void => {
    for (let r = 0; r < MR; r++) {
      for (let h = 0; h < 2; h++) {
        c.get(OUT);
        c.get(acc[r * 2 + h] as number);
        if (add) {
          c.get(OUT)
            .simd(simd.load)
            .arg(e.align)
            .arg(h * 16);
          c.simd(e.vectorAdd);
        }
        c.simd(simd.store)
          .arg(e.align)
          .arg(h * 16);
      }
      if (r < MR - 1) c.get(OUT).get(ROW).op(op.add).set(OUT);
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

/** The module of the product of one element type; it exports `gemm`. */
export function gemmModule(dtype: GemmDType, shared: boolean): Uint8Array<ArrayBuffer> {
  const e: Element = elements[dtype];
  const NR = columnsOf(e);
  const NC = blockB / (KC * e.bytes);
  const module = new Module();
  const six: Signature = { params: new Array(6).fill("i32"), results: [] };
  const packA = module.add(six, packer(MR, e));
  const packB = module.add(six, packer(NR, e));
  const tile = module.add(six, micro(e));
  const c = new Code(gemmSignature.params);
  const [kk, nn, mm, i, j, x, y] = Array.from({ length: 7 }, () => c.local("i32")) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [kc, nc, mc, pa, pb, buf, add, out, rows, columns] = Array.from({ length: 10 }, () =>
    c.local("i32"),
  ) as [number, number, number, number, number, number, number, number, number, number];
  c.get(SCRATCH)
    .tee(pa)
    .i32(MC * KC * e.bytes)
    .op(op.add)
    .tee(pb)
    .i32(blockB)
    .op(op.add)
    .set(buf);
  each(
    c,
    kk,
    () => c.get(K),
    KC,
    () => {
      rest(c, K, kk, KC, kc);
      // later blocks of the contracted axis add to what is there
      c.get(ACC).get(kk).i32(0).op(0x4a, op.or).set(add);
      each(
        c,
        nn,
        () => c.get(N),
        NC,
        () => {
          rest(c, N, nn, NC, nc);
          c.get(B).get(kk).get(BK).op(op.mul, op.add).get(nn).get(BN).op(op.mul, op.add);
          c.get(pb).get(nc).get(kc).get(BN).get(BK).call(packB);
          each(
            c,
            mm,
            () => c.get(M),
            MC,
            () => {
              rest(c, M, mm, MC, mc);
              c.get(A).get(mm).get(AM).op(op.mul, op.add).get(kk).get(AK).op(op.mul, op.add);
              c.get(pa).get(mc).get(kc).get(AM).get(AK).call(packA);
              each(
                c,
                j,
                () => c.get(nc),
                NR,
                () => {
                  rest(c, nc, j, NR, columns);
                  each(
                    c,
                    i,
                    () => c.get(mc),
                    MR,
                    () => {
                      rest(c, mc, i, MR, rows);
                      c.get(C).get(mm).get(i).op(op.add).get(CM).op(op.mul, op.add);
                      c.get(nn).get(j).op(op.add).get(CN).op(op.mul, op.add).set(out);
                      const panels = (): void => {
                        c.get(pa).get(i).get(kc).op(op.mul).i32(e.bytes).op(op.mul, op.add);
                        c.get(pb).get(j).get(kc).op(op.mul).i32(e.bytes).op(op.mul, op.add);
                        c.get(kc);
                      };
                      c.get(rows)
                        .i32(MR)
                        .op(0x46)
                        .get(columns)
                        .i32(NR)
                        .op(0x46, op.and)
                        .get(CN)
                        .i32(e.bytes)
                        .op(0x46, op.and);
                      c.if(
                        null,
                        () => {
                          panels();
                          c.get(out).get(CM).get(add).call(tile);
                        },
                        () => {
                          // the edge: through a tile of its own
                          panels();
                          c.get(buf)
                            .i32(NR * e.bytes)
                            .i32(0)
                            .call(tile);
                          each(
                            c,
                            x,
                            () => c.get(rows),
                            1,
                            () => {
                              each(
                                c,
                                y,
                                () => c.get(columns),
                                1,
                                () => {
                                  const target = (): void => {
                                    c.get(out)
                                      .get(x)
                                      .get(CM)
                                      .op(op.mul, op.add)
                                      .get(y)
                                      .get(CN)
                                      .op(op.mul, op.add);
                                  };
                                  target();
                                  c.get(buf)
                                    .get(x)
                                    .i32(NR * e.bytes)
                                    .op(op.mul, op.add)
                                    .get(y)
                                    .i32(e.bytes)
                                    .op(op.mul, op.add);
                                  c.memory(e.load, e.align);
                                  c.get(add);
                                  c.if(
                                    e.type,
                                    () => {
                                      target();
                                      c.memory(e.load, e.align);
                                    },
                                    () => e.zero(c),
                                  );
                                  c.op(e.add).memory(e.store, e.align);
                                },
                              );
                            },
                          );
                        },
                      );
                    },
                  );
                },
              );
            },
          );
        },
      );
    },
  );
  module.export("gemm", module.add(gemmSignature, c));
  return module.encode(shared);
}
