/** C (+)= A·B in float32, float64 or integers of 32 bits. Each way to compute it, in each dtype, is a module of its own that is made
 *  for the first program that needs it. Every stride is allowed, so that transposed operands need no copy. The order in which an element's products are added depends on the length of the
 *  sum alone, so that parts of a product may be computed one by one.
 *  @source Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication" */
import { entry } from "../../maps.ts";
import {
  blocks,
  each,
  type Element,
  elements,
  type GemmDType,
  gemmDTypes,
  locals,
  tileColumns,
  tileRows,
} from "./contract/element.ts";
import * as op from "./i32.ts";
import { packer, packParams } from "./contract/pack.ts";
import { patches, patchesParams } from "./contract/patches.ts";
import { lanesTile, listedTile, placer, tile, turner } from "./contract/tile.ts";
import { rowSums, sumOfRows } from "./contract/vector.ts";
import { Code, Module } from "./encoder.ts";

// packed blocks: one of A stays in the second-level cache, with one of B
const blockRows = 128;
const blockDepth = 384;
const blockBytesB = 512 * 2 ** 10;
const blockBytesA = blockRows * blockDepth * 8;

/** How a product is computed; which one it is must depend on the shapes of the whole, not of a part. */
export type Method =
  /** both operands are packed */
  | "packed"
  /** rows of A and B are read where they lie, those of B contiguous except in the last columns */
  | "direct"
  /** A is one row, the columns of B are contiguous */
  | "rowSums"
  /** A is one row, the rows of B and of C are contiguous */
  | "sumOfRows";
/** Products whose A is read through tables: for all columns, or with one for each. */
export type ListedMethod = "patches" | "lanes";
const methods: readonly (Method | ListedMethod)[] = [
  "packed",
  "direct",
  "rowSums",
  "sumOfRows",
  "patches",
  "lanes",
];

/** A product as its users know it: the name of its module. */
export type ProductName = `${GemmDType}.${Method | ListedMethod}`;
export const productNames: readonly ProductName[] = gemmDTypes.flatMap((d) =>
  methods.map((m) => `${d}.${m}` as const),
);

/** the most of k for which `direct` has room to copy columns of B */
export const mostDirectDepth = blockDepth;

/** bytes of scratch that a call needs: packed A, packed B, one tile */
export const gemmScratch: number = blockBytesA + blockBytesB + 128;

/** gemm(a, b, c, m, n, k, am, ak, bk, bn, cm, cn, add, depth, scratch); strides in bytes. `depth` is the most of k
 *  that is taken at a time by `direct`, at most `mostDirectDepth`. */
export const gemmParams = 15;
const [A, B, C, M, N, K, AM, AK, BK, BN, CM, CN, ADD, DEPTH, SCRATCH] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
] as const;

/** Functions of the module. */
interface Parts {
  /** packs columns of B */
  readonly pack: number;
  readonly tile: number;
  readonly place: number;
}

/** Pushes base + i·stride + … */
function address(c: Code, base: number, ...terms: readonly (readonly [number, number])[]): Code {
  c.get(base);
  for (const [i, stride] of terms) c.get(i, stride).op(op.mul, op.add);
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
  parts: Parts,
  at: { out: number; rows: number; columns: number; add: number; buffer: number },
  operands: () => void,
): void {
  const { out, rows, columns, add, buffer } = at;
  c.get(rows).i32(tileRows).op(op.eq).get(columns).i32(tileColumns(e)).op(op.eq, op.and);
  c.get(CN).i32(e.bytes).op(op.eq, op.and);
  c.if(
    null,
    () => {
      operands();
      c.get(out, CM, add).call(parts.tile);
    },
    () => {
      operands();
      c.get(buffer)
        .i32(tileColumns(e) * e.bytes)
        .i32(0)
        .call(parts.tile);
      c.get(buffer, out, CM, CN, rows, columns, add).call(parts.place);
    },
  );
}

function packedProduct(e: Element, packA: number, parts: Parts): Code {
  const c = new Code(gemmParams);
  const columnsOf = tileColumns(e);
  const [kk, nn, mm, i, j, kc, nc, mc] = locals(c, 8);
  const [pa, pb, buffer, add, out, rows, columns, most, width] = locals(c, 9);
  const panelBytes = (width: number): void =>
    void c
      .get(kc)
      .i32(width * e.bytes)
      .op(op.mul);
  const panel = (packed: number, first: number): void =>
    void c.get(packed, first, kc).op(op.mul).i32(e.bytes).op(op.mul, op.add);
  c.get(SCRATCH).tee(pa).i32(blockBytesA).op(op.add).tee(pb);
  c.i32(blockBytesB).op(op.add).set(buffer);
  depthBlock(c, () => c.i32(blockDepth), most);
  const tiles = (): void =>
    each(
      c,
      i,
      mc,
      tileRows,
      () => {
        c.get(C, mm, i).op(op.add).get(CM).op(op.mul, op.add);
        c.get(nn, j).op(op.add).get(CN).op(op.mul, op.add).set(out);
        putTile(c, e, parts, { out, rows, columns, add, buffer }, () => {
          panel(pa, i);
          c.i32(tileRows * e.bytes)
            .i32(0)
            .i32(0);
          panel(pb, j);
          c.i32(columnsOf * e.bytes).get(kc);
        });
      },
      rows,
    );
  blocks(c, kk, K, most, kc, () => {
    // later blocks of k add to what is there
    c.get(ADD, kk).i32(0).op(op.gt, op.or).set(add);
    // columns of B that fit: a multiple of those of a tile
    c.i32(blockBytesB)
      .get(kc)
      .op(op.div)
      .i32(-16 * 2)
      .op(op.and);
    c.i32(e.bytes).op(op.div).set(width);
    blocks(c, nn, N, width, nc, () => {
      address(c, B, [kk, BK], [nn, BN]).get(pb, nc, kc, BN, BK);
      panelBytes(columnsOf);
      c.call(parts.pack);
      const rowBlock = (): void => {
        address(c, A, [mm, AM], [kk, AK]).get(pa, mc, kc, AM, AK);
        panelBytes(tileRows);
        c.call(packA);
        each(c, j, nc, columnsOf, tiles, columns);
      };
      each(c, mm, M, blockRows, rowBlock, mc);
    });
  });
  return c;
}

function directProduct(e: Element, parts: Parts): Code {
  const c = new Code(gemmParams);
  const columnsOf = tileColumns(e);
  const [kk, i, j, kc, most, whole, buffer] = locals(c, 7);
  const [add, out, rows, columns, b, bNext, last] = locals(c, 7);
  c.get(SCRATCH)
    .i32(blockBytesA + blockBytesB)
    .op(op.add)
    .set(buffer);
  // columns in whole tiles, if B has contiguous rows
  c.get(N).i32(-columnsOf).op(op.and).i32(0).get(BN).i32(e.bytes).op(op.eq, op.select).set(whole);
  depthBlock(c, () => c.get(DEPTH), most);
  const oneTile = (): void => {
    c.get(j, whole).op(op.lt);
    c.if(
      null,
      () => {
        address(c, B, [kk, BK], [j, BN]).set(b);
        c.get(BK).set(bNext);
      },
      () => {
        c.get(SCRATCH, j, whole).op(op.sub).get(kc).op(op.mul);
        c.i32(e.bytes).op(op.mul, op.add).set(b);
        c.i32(columnsOf * e.bytes).set(bNext);
      },
    );
    address(c, C, [i, CM], [j, CN]).set(out);
    putTile(c, e, parts, { out, rows, columns, add, buffer }, () =>
      address(c, A, [i, AM], [kk, AK]).get(AK, AM, last, b, bNext, kc),
    );
  };
  const rowOfTiles = (): void => {
    c.get(rows).i32(1).op(op.sub).get(AM).op(op.mul).set(last);
    each(c, j, N, columnsOf, oneTile, columns);
  };
  blocks(c, kk, K, most, kc, () => {
    c.get(ADD, kk).i32(0).op(op.gt, op.or).set(add);
    c.get(whole, N).op(op.lt);
    c.if(null, () => {
      address(c, B, [kk, BK], [whole, BN]).get(SCRATCH);
      c.get(N, whole).op(op.sub).get(kc, BN, BK, kc);
      c.i32(columnsOf * e.bytes)
        .op(op.mul)
        .call(parts.pack);
    });
    each(c, i, M, tileRows, rowOfTiles, rows);
  });
  return c;
}

/** Imports a product from its module, once. */
export const importProduct = (module: Module, name: ProductName): number =>
  module.import(name, "run", gemmParams);

/** A product whose A is read through tables, and what packs its B. */
export interface ListedProduct {
  readonly run: number;
  readonly pack: number;
}
export const importListedProduct = (module: Module, name: ProductName): ListedProduct => ({
  run: module.import(name, "run", patchesParams),
  pack: module.import(name, "pack", packParams),
});

/** A row times a matrix of contiguous columns, the row in pieces that are copied where it is not contiguous. */
function rowTimesColumns(e: Element, sums: number): Code {
  const c = new Code(gemmParams);
  const [kk, kc, p, most, x] = locals(c, 5);
  c.i32(blockBytesB / e.bytes).set(most);
  blocks(c, kk, K, most, kc, () => {
    address(c, A, [kk, AK]).set(x);
    c.get(AK).i32(e.bytes).op(op.ne);
    c.if(null, () => {
      each(c, p, kc, 1, () => {
        c.get(SCRATCH, p).i32(e.bytes).op(op.mul, op.add);
        address(c, x, [p, AK]).memory(e.load, e.align).memory(e.store, e.align);
      });
      c.get(SCRATCH).set(x);
    });
    c.get(x);
    address(c, B, [kk, BK]).get(BN, kc, N, C, CN, ADD, kk).op(op.or).call(sums);
  });
  return c;
}

const modules = new Map<string, Uint8Array<ArrayBuffer>>();
/** The module of a product, made once for all threads. */
export const gemmModule = (name: ProductName, shared: boolean): Uint8Array<ArrayBuffer> =>
  entry(modules, `${name} ${shared}`, () => makeModule(name, shared));
function makeModule(name: ProductName, shared: boolean): Uint8Array<ArrayBuffer> {
  const [dtype, method] = name.split(".") as [GemmDType, Method | ListedMethod];
  const e: Element = elements[dtype];
  const module = new Module();
  const packColumns = (): number => module.add(packer(tileColumns(e), e));
  const parts = (packed: boolean): Parts => ({
    pack: packColumns(),
    tile: module.add(tile(e, packed)),
    place: module.add(placer(e, false)),
  });
  const product = (): Code => {
    switch (method) {
      case "packed":
        return packedProduct(e, module.add(packer(tileRows, e)), parts(true));
      case "direct":
        return directProduct(e, parts(false));
      case "rowSums":
        return rowTimesColumns(e, module.add(rowSums(e)));
      case "sumOfRows": {
        const f = module.add(sumOfRows(e));
        const c = new Code(gemmParams);
        return c.get(A, AK, B, BK, K, N, C, ADD).call(f);
      }
      case "patches":
      case "lanes": {
        module.export("pack", packColumns());
        const listed = {
          tile: module.add(method === "lanes" ? lanesTile(e) : listedTile(e)),
          turn: module.add(turner(e)),
          place: module.add(placer(e, true)),
        };
        return patches(e, listed, method === "lanes");
      }
    }
  };
  const code = product();
  module.export("run", module.add(code));
  return module.encode(shared);
}

export { type GemmDType, gemmDTypes, hasGemm } from "./contract/element.ts";
