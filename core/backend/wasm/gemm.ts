/** C (+)= A·B in float32, float64 or integers of 32 bits, in a module that is compiled once for the process. Every stride is allowed, so that
 *  transposed operands need no copy. The order in which an element's products are added depends on the length of the
 *  sum alone, so that parts of a product may be computed one by one.
 *  @source Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication" */
import {
  each,
  type Element,
  elements,
  type GemmDType,
  least,
  locals,
  op,
  rest,
  tileColumns,
  tileRows,
} from "./contract/element.ts";
import { packer, packSignature } from "./contract/pack.ts";
import { patches, patchesSignature } from "./contract/patches.ts";
import {
  lanesTile,
  listedTile,
  listedTileSignature,
  placer,
  placeSignature,
  tile,
  tileSignature,
  turner,
  turnSignature,
} from "./contract/tile.ts";
import { rowSums, rowSumsSignature, sumOfRows, sumOfRowsSignature } from "./contract/vector.ts";
import { Code, Module, type Signature } from "./encoder.ts";

// packed blocks: one of A stays in the second-level cache, with one of B
const blockRows = 128;
const blockDepth = 384;
const blockBytesB = 512 * 2 ** 10;
const blockBytesA = blockRows * blockDepth * 8;

/** How a product is computed; which one it is must depend on the shapes of the whole, not of a part. */
export const methods = {
  /** both operands are packed */
  packed: 0,
  /** rows of A and B are read where they lie, those of B contiguous except in the last columns */
  direct: 1,
  /** A is one row, the columns of B are contiguous */
  rowSums: 2,
  /** A is one row, the rows of B and of C are contiguous */
  sumOfRows: 3,
} as const;
export type Method = keyof typeof methods;

/** the most of k for which `direct` has room to copy columns of B */
export const mostDirectDepth = blockDepth;

/** bytes of scratch that a call needs: packed A, packed B, one tile */
export const gemmScratch: number = blockBytesA + blockBytesB + 128;

/** gemm(a, b, c, m, n, k, am, ak, bk, bn, cm, cn, add, method, depth, scratch); strides in bytes. `depth` is the most of k
 *  that is taken at a time by `direct`, at most `mostDirectDepth`. */
export const gemmSignature: Signature = { params: new Array(16).fill("i32"), results: [] };
const [A, B, C, M, N, K, AM, AK, BK, BN, CM, CN, ADD, METHOD, DEPTH, SCRATCH] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
] as const;

interface Parts {
  readonly packA: number;
  readonly packB: number;
  readonly packedTile: number;
  readonly directTile: number;
  readonly place: number;
}

/** Pushes base + i·stride + … */
function address(c: Code, base: number, ...terms: readonly (readonly [number, number])[]): Code {
  c.get(base);
  for (const [i, stride] of terms) c.get(i).get(stride).op(op.mul, op.add);
  return c;
}

/** k in equal blocks: the length of one, for blocks of at most `most` (a local) */
function depthBlock(c: Code, most: () => void, into: number): void {
  // ⌈k / ⌈k / most⌉⌉
  c.get(K).i32(1).op(op.sub).get(K).i32(1).op(op.sub);
  most();
  c.op(op.div).i32(1).op(op.add, op.div).i32(1).op(op.add).set(into);
}

/** One tile, with the operands of its function up to `depth` given by `operands`: into C, or the part of it that there is. */
function putTile(
  c: Code,
  e: Element,
  { place }: Parts,
  at: { out: number; rows: number; columns: number; add: number; buffer: number },
  compute: (out: number, next: () => void, add: () => void) => void,
): void {
  const { out, rows, columns, add, buffer } = at;
  c.get(rows).i32(tileRows).op(op.eq).get(columns).i32(tileColumns(e)).op(op.eq, op.and);
  c.get(CN).i32(e.bytes).op(op.eq, op.and);
  c.if(
    null,
    () =>
      compute(
        out,
        () => c.get(CM),
        () => c.get(add),
      ),
    () => {
      compute(
        buffer,
        () => c.i32(tileColumns(e) * e.bytes),
        () => c.i32(0),
      );
      c.get(buffer).get(out).get(CM).get(CN).get(rows).get(columns).get(add).call(place);
    },
  );
}

function packedProduct(e: Element, parts: Parts): Code {
  const c = new Code(gemmSignature.params);
  const columnsOf = tileColumns(e);
  const [kk, nn, mm, i, j, kc, nc, mc] = locals(c, 8) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [pa, pb, buffer, add, out, rows, columns, most, width] = locals(c, 9) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const panelBytes = (width: number): void =>
    void c
      .get(kc)
      .i32(width * e.bytes)
      .op(op.mul);
  c.get(SCRATCH).tee(pa).i32(blockBytesA).op(op.add).tee(pb);
  c.i32(blockBytesB).op(op.add).set(buffer);
  depthBlock(c, () => c.i32(blockDepth), most);
  c.i32(0).set(kk);
  c.loop(() => {
    c.get(K).get(kk).op(op.sub).set(kc);
    least(c, kc, most).set(kc);
    // later blocks of k add to what is there
    c.get(ADD).get(kk).i32(0).op(op.gt, op.or).set(add);
    // columns of B that fit: a multiple of those of a tile
    c.i32(blockBytesB)
      .get(kc)
      .op(op.div)
      .i32(-16 * 2)
      .op(op.and);
    c.i32(e.bytes).op(op.div).set(width);
    c.i32(0).set(nn);
    c.loop(() => {
      c.get(N).get(nn).op(op.sub).set(nc);
      least(c, nc, width).set(nc);
      address(c, B, [kk, BK], [nn, BN]).get(pb).get(nc).get(kc).get(BN).get(BK);
      panelBytes(columnsOf);
      c.call(parts.packB);
      each(c, mm, M, blockRows, () => {
        rest(c, M, mm, blockRows, mc);
        address(c, A, [mm, AM], [kk, AK]).get(pa).get(mc).get(kc).get(AM).get(AK);
        panelBytes(tileRows);
        c.call(parts.packA);
        each(c, j, nc, columnsOf, () => {
          rest(c, nc, j, columnsOf, columns);
          each(c, i, mc, tileRows, () => {
            rest(c, mc, i, tileRows, rows);
            c.get(C).get(mm).get(i).op(op.add).get(CM).op(op.mul, op.add);
            c.get(nn).get(j).op(op.add).get(CN).op(op.mul, op.add).set(out);
            putTile(c, e, parts, { out, rows, columns, add, buffer }, (to, next, plus) => {
              c.get(pa).get(i).get(kc).op(op.mul).i32(e.bytes).op(op.mul, op.add);
              c.i32(tileRows * e.bytes)
                .i32(0)
                .i32(0);
              c.get(pb).get(j).get(kc).op(op.mul).i32(e.bytes).op(op.mul, op.add);
              c.i32(columnsOf * e.bytes)
                .get(kc)
                .get(to);
              next();
              plus();
              c.call(parts.packedTile);
            });
          });
        });
      });
      c.get(nn).get(nc).op(op.add).tee(nn).get(N).op(op.lt).brIf(0);
    });
    c.get(kk).get(kc).op(op.add).tee(kk).get(K).op(op.lt).brIf(0);
  });
  return c;
}

function directProduct(e: Element, parts: Parts): Code {
  const c = new Code(gemmSignature.params);
  const columnsOf = tileColumns(e);
  const [kk, i, j, kc, most, whole, buffer] = locals(c, 7) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [add, out, rows, columns, b, bNext, last] = locals(c, 7) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  c.get(SCRATCH)
    .i32(blockBytesA + blockBytesB)
    .op(op.add)
    .set(buffer);
  // columns in whole tiles, if B has contiguous rows
  c.get(N).i32(-columnsOf).op(op.and).i32(0).get(BN).i32(e.bytes).op(op.eq, op.select).set(whole);
  depthBlock(c, () => c.get(DEPTH), most);
  c.i32(0).set(kk);
  c.loop(() => {
    c.get(K).get(kk).op(op.sub).set(kc);
    least(c, kc, most).set(kc);
    c.get(ADD).get(kk).i32(0).op(op.gt, op.or).set(add);
    c.get(whole).get(N).op(op.lt);
    c.if(null, () => {
      address(c, B, [kk, BK], [whole, BN]).get(SCRATCH);
      c.get(N).get(whole).op(op.sub).get(kc).get(BN).get(BK);
      c.get(kc)
        .i32(columnsOf * e.bytes)
        .op(op.mul)
        .call(parts.packB);
    });
    each(c, i, M, tileRows, () => {
      rest(c, M, i, tileRows, rows);
      c.get(rows).i32(1).op(op.sub).get(AM).op(op.mul).set(last);
      each(c, j, N, columnsOf, () => {
        rest(c, N, j, columnsOf, columns);
        c.get(j).get(whole).op(op.lt);
        c.if(
          null,
          () => {
            address(c, B, [kk, BK], [j, BN]).set(b);
            c.get(BK).set(bNext);
          },
          () => {
            c.get(SCRATCH).get(j).get(whole).op(op.sub).get(kc).op(op.mul);
            c.i32(e.bytes).op(op.mul, op.add).set(b);
            c.i32(columnsOf * e.bytes).set(bNext);
          },
        );
        address(c, C, [i, CM], [j, CN]).set(out);
        putTile(c, e, parts, { out, rows, columns, add, buffer }, (to, next, plus) => {
          address(c, A, [i, AM], [kk, AK]).get(AK).get(AM).get(last);
          c.get(b).get(bNext).get(kc).get(to);
          next();
          plus();
          c.call(parts.directTile);
        });
      });
    });
    c.get(kk).get(kc).op(op.add).tee(kk).get(K).op(op.lt).brIf(0);
  });
  return c;
}

/** What the module of an element type exports. */
const exported = {
  gemm: gemmSignature,
  pack: packSignature,
  patches: patchesSignature,
  lanes: patchesSignature,
};
/** The functions of one element type, as a program's module knows them. */
export type Products = { readonly [name in keyof typeof exported]: number };

/** Imports the functions of an element type from the module that `gemmModule` makes, under the type's name. */
export function importProducts(module: Module, dtype: GemmDType): Products {
  const index = (name: keyof typeof exported): number => module.import(dtype, name, exported[name]);
  return {
    gemm: index("gemm"),
    pack: index("pack"),
    patches: index("patches"),
    lanes: index("lanes"),
  };
}

/** A row times a matrix of contiguous columns, the row in pieces that are copied where it is not contiguous. */
function rowTimesColumns(e: Element, sums: number): Code {
  const c = new Code(gemmSignature.params);
  const [kk, kc, p, most, x] = locals(c, 5) as [number, number, number, number, number];
  c.i32(blockBytesB / e.bytes).set(most);
  c.i32(0).set(kk);
  c.loop(() => {
    c.get(K).get(kk).op(op.sub).set(kc);
    least(c, kc, most).set(kc);
    address(c, A, [kk, AK]).set(x);
    c.get(AK).i32(e.bytes).op(op.ne);
    c.if(null, () => {
      each(c, p, kc, 1, () => {
        c.get(SCRATCH).get(p).i32(e.bytes).op(op.mul, op.add);
        address(c, x, [p, AK]).memory(e.load, e.align).memory(e.store, e.align);
      });
      c.get(SCRATCH).set(x);
    });
    c.get(x);
    address(c, B, [kk, BK]).get(BN).get(kc).get(N).get(C).get(CN);
    c.get(ADD).get(kk).op(op.or).call(sums);
    c.get(kk).get(kc).op(op.add).tee(kk).get(K).op(op.lt).brIf(0);
  });
  return c;
}

/** The module of the products of one element type. */
export function gemmModule(dtype: GemmDType, shared: boolean): Uint8Array<ArrayBuffer> {
  const e: Element = elements[dtype];
  const module = new Module();
  const parts: Parts = {
    packA: module.add(packSignature, packer(tileRows, e)),
    packB: module.add(packSignature, packer(tileColumns(e), e)),
    packedTile: module.add(tileSignature, tile(e, true)),
    directTile: module.add(tileSignature, tile(e, false)),
    place: module.add(placeSignature, placer(e, false)),
  };
  const packed = module.add(gemmSignature, packedProduct(e, parts));
  const direct = module.add(gemmSignature, directProduct(e, parts));
  const sums = module.add(rowSumsSignature, rowSums(e));
  const byColumns = module.add(gemmSignature, rowTimesColumns(e, sums));
  const ofRows = module.add(sumOfRowsSignature, sumOfRows(e));
  const c = new Code(gemmSignature.params);
  const all = (f: number): void => {
    for (let p = 0; p < gemmSignature.params.length; p++) c.get(p);
    c.call(f);
  };
  const choices: readonly (readonly [Method, () => void])[] = [
    ["packed", () => all(packed)],
    ["direct", () => all(direct)],
    ["rowSums", () => all(byColumns)],
    ["sumOfRows", () => c.get(A).get(AK).get(B).get(BK).get(K).get(N).get(C).get(ADD).call(ofRows)],
  ];
  for (const [method, call] of choices) {
    c.get(METHOD).i32(methods[method]).op(op.eq);
    c.if(null, call);
  }
  module.export("gemm", module.add(gemmSignature, c));
  module.export("pack", parts.packB);
  const turn = module.add(turnSignature, turner(e));
  const place = module.add(placeSignature, placer(e, true));
  for (const [name, code] of [
    ["patches", listedTile(e)],
    ["lanes", lanesTile(e)],
  ] as const) {
    const listed = { tile: module.add(listedTileSignature, code), turn, place };
    const f = module.add(patchesSignature, patches(e, listed, name === "lanes"));
    module.export(name, f);
  }
  return module.encode(shared);
}

export { type GemmDType, gemmDTypes, hasGemm } from "./contract/element.ts";
