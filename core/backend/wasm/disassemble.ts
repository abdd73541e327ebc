/** The text of a WebAssembly module. */
import { instructionNames } from "./instructions.ts";

const typeNames: { readonly [code: number]: string } = {
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
  123: "v128",
};

class Reader {
  readonly #bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }
  get done(): boolean {
    return this.at >= this.#bytes.length;
  }
  byte(): number {
    return this.#bytes[this.at++] as number;
  }
  /** LEB128, of numbers that take up to 64 bits */
  #leb(signed: boolean): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const b = this.byte();
      value |= BigInt(b & 127) << shift;
      if (b < 128) return signed ? BigInt.asIntN(Number(shift) + 7, value) : value;
    }
  }
  u32(): number {
    return Number(this.#leb(false));
  }
  signed(): bigint {
    return this.#leb(true);
  }
  take(n: number): Uint8Array {
    this.at += n;
    return this.#bytes.subarray(this.at - n, this.at);
  }
  name(): string {
    return new TextDecoder().decode(this.take(this.u32()));
  }
  list<T>(item: () => T): T[] {
    return Array.from({ length: this.u32() }, item);
  }
  type(): string {
    return typeNames[this.byte()] ?? "?";
  }
}

/** A float so that it reads back as the same bits. */
function floatText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const single = bytes.length === 4;
  const x = single ? view.getFloat32(0, true) : view.getFloat64(0, true);
  if (Number.isFinite(x)) return Object.is(x, -0) ? "-0" : String(x);
  if (!Number.isNaN(x)) return x > 0 ? "inf" : "-inf";
  const bits = single ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
  const mantissa = BigInt.asUintN(single ? 23 : 52, bits).toString(16);
  return `${bits >> (single ? 31n : 63n) ? "-" : ""}nan:0x${mantissa}`;
}

/** What follows an instruction's number. */
function immediates(op: number, name: string, r: Reader): string {
  if (/load|store|atomic/.test(name)) {
    const align = 2 ** r.u32();
    const offset = r.u32();
    const lane = name.endsWith("_lane") ? ` ${r.byte()}` : "";
    return `${offset > 0 ? ` offset=${offset}` : ""} align=${align}${lane}`;
  }
  if (/^(block|loop|if)$/.test(name)) {
    const type = typeNames[r.byte()];
    return type === undefined ? "" : ` (result ${type})`;
  }
  if (/^(br|br_if|call|local\..*|global\..*)$/.test(name)) return ` ${r.u32()}`;
  if (name === "br_table") return ` ${[...r.list(() => r.u32()), r.u32()].join(" ")}`;
  if (name === "memory.fill" || op === 0x3f || op === 0x40) r.byte();
  if (name === "memory.copy") r.take(2);
  if (/_lane/.test(name)) return ` ${r.byte()}`;
  if (name === "i8x16.shuffle") return ` ${[...r.take(16)].join(" ")}`;
  if (name === "v128.const") return ` i8x16 ${[...r.take(16)].join(" ")}`;
  if (name === "i32.const" || name === "i64.const") return ` ${r.signed()}`;
  if (name === "f32.const") return ` ${floatText(r.take(4))}`;
  if (name === "f64.const") return ` ${floatText(r.take(8))}`;
  return "";
}

function body(r: Reader, end: number): string[] {
  const lines: string[] = [];
  const locals = r.list(() => {
    const n = r.u32();
    return new Array<string>(n).fill(r.type());
  });
  if (locals.length > 0) lines.push(`    (local ${locals.flat().join(" ")})`);
  let depth = 2;
  while (r.at < end - 1) {
    const first = r.byte();
    const op = first >= 0xfc ? first * 0x10000 + r.u32() : first;
    const name = instructionNames.get(op);
    if (name === undefined) throw new Error(`wasm: unknown instruction 0x${op.toString(16)}`);
    if (name === "end" || name === "else") depth--;
    lines.push("  ".repeat(depth) + name + immediates(op, name, r));
    if (/^(block|loop|if|else)$/.test(name)) depth++;
  }
  r.byte();
  return lines;
}

/** The module in the text format; functions are called by number. */
export function disassemble(bytes: Uint8Array): string {
  const r = new Reader(bytes, 8);
  const lines: string[] = [];
  let functions: number[] = [];
  let imported = 0;
  const signature = (word: string, all: string[]): string =>
    all.length === 0 ? "" : ` (${word} ${all.join(" ")})`;
  const types = (): string[] => r.list(() => r.type());
  const importText = (): string => {
    switch (r.byte()) {
      case 0:
        return `(func (;${imported++};) (type ${r.u32()}))`;
      case 2: {
        const flags = r.byte();
        const [least, most] = [r.u32(), flags & 1 ? ` ${r.u32()}` : ""];
        return `(memory ${least}${most}${flags & 2 ? " shared" : ""})`;
      }
      default: {
        const type = r.type();
        return r.byte() === 1 ? `(global (mut ${type}))` : `(global ${type})`;
      }
    }
  };
  const sections: { readonly [id: number]: () => void } = {
    1: () =>
      r.list(() => {
        r.byte();
        const params = signature("param", types());
        lines.push(`  (type (func${params}${signature("result", types())}))`);
      }),
    2: () => r.list(() => lines.push(`  (import "${r.name()}" "${r.name()}" ${importText()})`)),
    3: () => {
      functions = r.list(() => r.u32());
    },
    7: () =>
      r.list(() => {
        const name = r.name();
        r.byte();
        lines.push(`  (export "${name}" (func ${r.u32()}))`);
      }),
    10: () => {
      r.list(() => {
        const end = r.u32() + r.at;
        const index = imported++;
        const type = functions.shift();
        lines.push(`  (func (;${index};) (type ${type})`, ...body(r, end), "  )");
      });
    },
  };
  while (!r.done) {
    const id = r.byte();
    const end = r.u32() + r.at;
    sections[id]?.();
    r.at = end;
  }
  return `(module\n${lines.join("\n")}\n)`;
}
