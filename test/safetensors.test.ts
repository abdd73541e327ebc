import assert from "node:assert/strict";
import fc from "fast-check";
import * as E from "fp-ts/lib/Either.js";
import { describe, expect, test } from "vitest";
import { allDTypes, dtypes } from "../core/dtype.ts";
import { decodeSafetensors, encodeSafetensors, type TensorBytes } from "../nn/safetensors.ts";

const names = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "0", "10", "9", "", "layers[0].w", "β\u{1F600}"),
  fc.string({ maxLength: 6 }),
);
const tensor: fc.Arbitrary<TensorBytes> = fc
  .record({
    dtype: fc.constantFrom(...allDTypes),
    shape: fc.array(fc.nat({ max: 3 }), { maxLength: 3 }),
  })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((n, s) => n * s, 1) * dtypes[dtype].bytes;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((bytes) => ({ dtype, shape, bytes: Uint8Array.from(bytes) }));
  });
const files = fc
  .uniqueArray(fc.tuple(names, tensor), { maxLength: 5, selector: ([name]) => name })
  .map((entries) => new Map(entries.filter(([name]) => name !== "__metadata__")));

/** A file with a header of our own. */
function fileOf(header: unknown, size: number): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const out = new Uint8Array(8 + json.length + size);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  return out;
}
const reason = (file: Uint8Array): string => {
  const decoded = decodeSafetensors(file);
  return E.isLeft(decoded) ? decoded.left : "accepted";
};
const f32 = (from: number, to: number, shape: unknown = [(to - from) / 4]): object => ({
  dtype: "F32",
  shape,
  data_offsets: [from, to],
});

describe("safetensors", () => {
  test("decoding inverts encoding: names, dtypes, empty and rank-0 arrays", () => {
    fc.assert(
      fc.property(files, fc.nat({ max: 7 }), (tensors, shift) => {
        const file = encodeSafetensors(tensors);
        // a view into a larger buffer, at any alignment
        const placed = new Uint8Array(file.length + shift).subarray(shift);
        placed.set(file);
        const decoded = decodeSafetensors(placed);
        if (E.isLeft(decoded)) assert.fail(decoded.left);
        expect([...decoded.right.keys()].sort()).toEqual([...tensors.keys()].sort());
        for (const [name, x] of tensors) {
          const y = decoded.right.get(name) as TensorBytes;
          expect([y.dtype, y.shape]).toEqual([x.dtype, x.shape]);
          expect(Buffer.compare(y.bytes, x.bytes)).toBe(0);
        }
      }),
    );
  });
  test("every array starts at a multiple of its element size", () => {
    fc.assert(
      fc.property(files, (tensors) => {
        const decoded = decodeSafetensors(encodeSafetensors(tensors));
        if (E.isLeft(decoded)) assert.fail(decoded.left);
        for (const { dtype, bytes } of decoded.right.values())
          expect(bytes.byteOffset % dtypes[dtype].bytes).toBe(0);
      }),
    );
  });
  test("a file cut anywhere, or longer by a byte, is refused", () => {
    const file = encodeSafetensors(
      new Map([
        ["w", { dtype: "float32", shape: [2, 3], bytes: new Uint8Array(24).fill(7) }],
        ["b", { dtype: "bfloat16", shape: [3], bytes: new Uint8Array(6).fill(9) }],
      ]),
    );
    expect(reason(file)).toBe("accepted");
    for (let n = 0; n < file.length; n++)
      expect(reason(file.subarray(0, n)), `${n} bytes`).toMatch(/^safetensors: .+; got .+; .+\.$/u);
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    expect(reason(longer)).toContain("must end with its last array");
  });
  test("bytes changed at random are refused or decode to consistent arrays, and never throw", () => {
    const file = encodeSafetensors(
      new Map([["w", { dtype: "float32", shape: [2], bytes: new Uint8Array(8) }]]),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: file.length - 1 }), fc.nat({ max: 255 })), {
          maxLength: 4,
        }),
        (edits) => {
          const broken = Uint8Array.from(file);
          for (const [at, byte] of edits) broken[at] = byte;
          const decoded = decodeSafetensors(broken);
          if (E.isLeft(decoded)) return;
          for (const { dtype, shape, bytes } of decoded.right.values())
            expect(bytes.length).toBe(shape.reduce((n, s) => n * s, 1) * dtypes[dtype].bytes);
        },
      ),
      { numRuns: 2000 },
    );
  });
  test("metadata is skipped, an empty file has no arrays, an array of no elements may stand anywhere", () => {
    expect(reason(fileOf({ __metadata__: { format: "pt" } }, 0))).toBe("accepted");
    expect(reason(fileOf({}, 0))).toBe("accepted");
    expect(reason(fileOf({ "1": f32(0, 4), "2": f32(0, 0) }, 4))).toBe("accepted");
  });
  test.each([
    ["overlap", { a: f32(0, 8), b: f32(4, 12) }, 12, "arrays must not overlap; got byte 4 at b"],
    ["same bytes", { a: f32(0, 8), b: f32(0, 8) }, 8, "arrays must not overlap"],
    ["gap", { a: f32(0, 4), b: f32(8, 12) }, 12, "arrays must leave no gap; got bytes 4 to 8"],
    ["late start", { a: f32(4, 8) }, 8, "arrays must leave no gap"],
    ["out of range", { a: f32(0, 8) }, 4, "data must lie in the file; got bytes 0 to 8 of 4 at a"],
    ["backwards", { a: f32(8, 4, []) }, 8, "data must lie in the file"],
    ["negative", { a: f32(-4, 0) }, 4, "data_offsets must be two positions"],
    ["fraction", { a: f32(0.5, 4.5, [1]) }, 8, "data_offsets must be two positions"],
    ["size", { a: f32(0, 8, [3]) }, 8, "F32[3] takes 12 bytes; got 8 at a"],
    ["negative shape", { a: f32(0, 4, [-1, -1]) }, 4, "a shape must be a list of sizes"],
    ["huge shape", { a: f32(0, 4, [2 ** 52, 2 ** 52]) }, 4, "takes"],
    ["shape of text", { a: f32(0, 4, "1") }, 4, "a shape must be a list of sizes"],
    ["no shape", { a: { dtype: "F32", data_offsets: [0, 4] } }, 4, "a shape must be a list"],
    ["dtype", { a: { dtype: "F8", shape: [1], data_offsets: [0, 1] } }, 1, 'got "F8" at a'],
    ["null entry", { a: null }, 0, "the dtype must be one of"],
    ["list", [1, 2], 0, "the header must be a JSON object; got [1,2]"],
    ["not JSON", "{a: 1}", 0, "the header must be JSON"],
    ["trailing bytes", { a: f32(0, 4) }, 6, "the file must end with its last array"],
  ])("a wrong header is explained: %s", (_, header, size, text) => {
    expect(reason(fileOf(header, size))).toContain(text);
  });
  test("a header that claims more than there is costs no memory", () => {
    const file = new Uint8Array(16).fill(255, 0, 8);
    expect(reason(file)).toContain(
      "the header must fit into the file; got a header of 18446744073709551615 bytes in 16",
    );
  });
  test("the name that the format keeps for itself is refused, not lost", () => {
    const x: TensorBytes = { dtype: "uint8", shape: [], bytes: new Uint8Array(1) };
    expect(() => encodeSafetensors(new Map([["__metadata__", x]]))).toThrow(
      "saveParams: no array can be named __metadata__",
    );
  });
  test("a header that is not UTF-8 is refused", () => {
    const file = fileOf('{"a": 1}', 0);
    file[10] = 0xff;
    expect(reason(file)).toContain("the header must be JSON");
  });
});
