/** Device memory: one WebAssembly memory for the process, and the records of what lives in it.
 *
 *  Past its budget the heap copies the least recently used buffers that no running program needs out to ordinary
 *  ArrayBuffers and forgets their records: from then on the garbage collector owns them. They are copied back in
 *  when they are used again. */
import { BackendError, fail } from "../../errors.ts";
import type { Backend, Storage } from "../backend.ts";

const pageBytes = 65536;
const maxPages = 65535;
// 32-bit integer arithmetic would fail from 2 GiB on
const align = (n: number): number => Math.max(16, Math.ceil(n / 16) * 16);

/** Free blocks by size class: sixteen classes for each doubling, so that at most 1/16 is wasted. */
function sizeClass(bytes: number): { index: number; size: number } {
  const n = align(bytes);
  if (n <= 256) return { index: n >> 4, size: n };
  const exponent = 31 - Math.clz32(n - 1); // 2^exponent < n ≤ 2^(exponent+1)
  const step = 2 ** (exponent - 4);
  const parts = Math.ceil(n / step); // 17 … 32
  return { index: 16 + (exponent - 8) * 16 + (parts - 16), size: parts * step };
}

/** What the finalization registry holds on to: it must not reach a storage whose bytes are out of the heap, or
 *  those bytes would live until the finalizer runs, which in a synchronous loop is never. */
interface Claim {
  /** the storage, while it has a block in the heap */
  storage: WasmStorage | null;
  /** arrays that hold it */
  owners: number;
}

/** Bytes in the heap (`address` ≥ 0), evicted to the host, or given back. */
export class WasmStorage implements Storage {
  readonly backend: Backend;
  readonly bytes: number;
  address: number;
  /** the bytes, while they are out of the heap */
  host: Uint8Array<ArrayBuffer> | null = null;
  freed = false;
  readonly claim: Claim = { storage: this, owners: 0 };
  /** doubly linked in order of use */
  newer: WasmStorage | null = null;
  older: WasmStorage | null = null;

  constructor(backend: Backend, bytes: number, address: number) {
    this.backend = backend;
    this.bytes = bytes;
    this.address = address;
  }
}

export class Heap {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 64, maximum: maxPages });
  #u8: Uint8Array<ArrayBuffer> = new Uint8Array(this.memory.buffer as ArrayBuffer);
  #i32: Int32Array = new Int32Array(this.memory.buffer);
  #top: number;
  readonly #free: number[][] = [];
  /** bytes of live blocks */
  #used = 0;
  #peak = 0;
  budget: number;
  #newest: WasmStorage | null = null;
  #oldest: WasmStorage | null = null;
  #arena = { address: 0, bytes: 0 };
  readonly #registry = new FinalizationRegistry<Claim>((claim) => {
    if (--claim.owners === 0 && claim.storage !== null) this.release(claim.storage);
  });

  constructor(reserved: number, budget: number) {
    this.#top = align(reserved);
    this.budget = budget;
  }

  get u8(): Uint8Array<ArrayBuffer> {
    if (this.#u8.buffer !== this.memory.buffer) this.#views();
    return this.#u8;
  }
  get i32(): Int32Array {
    if (this.#i32.buffer !== this.memory.buffer) this.#views();
    return this.#i32;
  }
  #views(): void {
    this.#u8 = new Uint8Array(this.memory.buffer as ArrayBuffer);
    this.#i32 = new Int32Array(this.memory.buffer);
  }
  get used(): number {
    return this.#used;
  }
  get peak(): number {
    return this.#peak;
  }

  /** A block of at least `bytes`. Evicts what is old when the budget is passed; `keep` marks storages in use. */
  #allocate(bytes: number, keep: (s: WasmStorage) => boolean): number {
    const { index, size } = sizeClass(bytes);
    // make room for this block and some more, so that not every allocation evicts
    if (this.#used + size > this.budget) this.#evict(this.#used + size - this.budget * 0.75, keep);
    let address = this.#free[index]?.pop();
    if (address === undefined) {
      if (!this.#grow(size)) {
        // the free lists hold blocks of other sizes: evict, and take a larger block if there is one
        this.#evict(size * 2, keep);
        address = this.#free[index]?.pop() ?? this.#larger(index, size);
        if (address === undefined)
          return fail(
            BackendError,
            "allocate",
            "an array must fit into WebAssembly's memory",
            `${bytes} bytes, with ${this.#used} bytes in use`,
            "use smaller arrays or batches, or dispose of arrays that are not needed",
          );
      } else {
        address = this.#top;
        this.#top += size;
      }
    }
    this.#used += size;
    this.#peak = Math.max(this.#peak, this.#used);
    return address;
  }
  #grow(size: number): boolean {
    const need = this.#top + size - this.memory.buffer.byteLength;
    if (need <= 0) return true;
    const have = this.memory.buffer.byteLength / pageBytes;
    const pages = Math.ceil(need / pageBytes);
    if (have + pages > maxPages) return false;
    for (const more of [Math.min(maxPages - have, Math.max(pages, have >> 2)), pages])
      try {
        this.memory.grow(more);
        this.#views();
        return true;
      } catch {
        // try the smaller step
      }
    return false;
  }
  /** Splits a free block of a larger class. */
  #larger(index: number, size: number): number | undefined {
    for (let i = index + 1; i < this.#free.length; i++) {
      const address = this.#free[i]?.pop();
      if (address === undefined) continue;
      let rest = classSize(i) - size;
      let at = address + size;
      while (rest >= 16) {
        let part = sizeClassBelow(rest);
        if (part.size > rest) part = { index: 1, size: 16 };
        this.#give(part.index, at);
        at += part.size;
        rest -= part.size;
      }
      return address;
    }
    return undefined;
  }
  #give(index: number, address: number): void {
    const list = this.#free[index];
    if (list === undefined) {
      for (let i = this.#free.length; i <= index; i++) this.#free.push([]);
      this.#free[index]?.push(address);
    } else list.push(address);
  }
  #release(address: number, bytes: number): void {
    const { index, size } = sizeClass(bytes);
    this.#give(index, address);
    this.#used -= size;
  }

  // ---- storages ----

  create(backend: Backend, bytes: number, keep: (s: WasmStorage) => boolean = () => false): WasmStorage {
    const s = new WasmStorage(backend, bytes, this.#allocate(bytes, keep));
    this.#link(s);
    return s;
  }
  /** Address of a storage, brought back into the heap if it was out. */
  address(s: WasmStorage, keep: (s: WasmStorage) => boolean): number {
    if (s.freed)
      fail(
        BackendError,
        "array",
        "an array must not be used once disposed or donated",
        `${s.bytes} bytes that are gone`,
        "keep it, or use the result that replaced it",
      );
    if (s.host !== null) {
      s.address = this.#allocate(s.bytes, keep);
      this.u8.set(s.host, s.address);
      s.host = null;
      s.claim.storage = s;
      this.#link(s);
    } else if (s !== this.#newest) {
      this.#unlink(s);
      this.#link(s);
    }
    return s.address;
  }
  read(s: WasmStorage): Uint8Array<ArrayBuffer> {
    if (s.host !== null) return s.host.slice();
    const at = this.address(s, (x) => x === s);
    return this.u8.slice(at, at + s.bytes);
  }
  release(s: WasmStorage): void {
    if (s.freed) return;
    s.freed = true;
    if (s.host === null) {
      this.#unlink(s);
      this.#release(s.address, s.bytes);
    }
    s.host = null;
    s.claim.storage = null;
  }
  own(s: WasmStorage, owner: object): void {
    s.claim.owners++;
    this.#registry.register(owner, s.claim);
  }

  #evict(bytes: number, keep: (s: WasmStorage) => boolean): void {
    let s = this.#oldest;
    let gained = 0;
    while (s !== null && gained < bytes) {
      const next: WasmStorage | null = s.newer;
      if (!keep(s)) {
        s.host = this.u8.slice(s.address, s.address + s.bytes);
        this.#unlink(s);
        this.#release(s.address, s.bytes);
        s.address = -1;
        s.claim.storage = null;
        gained += sizeClass(s.bytes).size;
      }
      s = next;
    }
  }
  #link(s: WasmStorage): void {
    s.older = this.#newest;
    s.newer = null;
    if (this.#newest !== null) this.#newest.newer = s;
    this.#newest = s;
    this.#oldest ??= s;
  }
  #unlink(s: WasmStorage): void {
    if (s.newer !== null) s.newer.older = s.older;
    else this.#newest = s.older;
    if (s.older !== null) s.older.newer = s.newer;
    else this.#oldest = s.newer;
    s.newer = null;
    s.older = null;
  }

  /** Scratch for the temporaries of one run; programs do not nest. */
  arena(bytes: number, keep: (s: WasmStorage) => boolean): number {
    if (bytes <= this.#arena.bytes) return this.#arena.address;
    if (this.#arena.bytes > 0) this.#release(this.#arena.address, this.#arena.bytes);
    this.#arena = { address: 0, bytes: 0 };
    const address = this.#allocate(bytes, keep);
    this.#arena = { address, bytes };
    return address;
  }
}

function classSize(index: number): number {
  if (index <= 16) return index << 4;
  const exponent = Math.floor((index - 17) / 16) + 8;
  const parts = index - 16 - (exponent - 8) * 16 + 16;
  return parts * 2 ** (exponent - 4);
}
/** The largest class that fits into `bytes`. */
function sizeClassBelow(bytes: number): { index: number; size: number } {
  let at = sizeClass(bytes);
  if (at.size > bytes) at = { index: at.index - 1, size: classSize(at.index - 1) };
  return at;
}
