/** Device memory: one WebAssembly memory, and the records of what lives in it.
 *
 *  Past its budget the heap copies the least recently used buffers that no running program needs out to ordinary
 *  ArrayBuffers and forgets their records: from then on the garbage collector owns them. They are copied back in
 *  when they are used again. */
import { BackendError, fail, failGone } from "../../errors.ts";
import type { Backend, Storage } from "../backend.ts";
import { Allocator, type Block } from "./allocator.ts";
import { nextTask, Weights } from "./weights.ts";

const pageBytes = 65536;
/** What a storage costs outside the memory, in bytes of the budget, so that tiny arrays are bounded by their number:
 *  its record, block and handle are about 350 bytes, and a generational collector lets as much garbage again and
 *  more pile up before it looks at objects as old as these. */
const recordBytes = 1024;

/** Storages of at most this many bytes share a holding, of at most `sharedBytes` and `mostShares` of them: they are
 *  made, freed, moved and finalized for a fraction of what a holding costs, and one that stays keeps no more than that. */
const smallBytes = 512;
const sharedBytes = 4096;
const mostShares = 64;

/** 16, 32, 64 … bytes */
const classOf = (bytes: number): number => (bytes <= 16 ? 0 : 28 - Math.clz32(bytes - 1));

/** What storages hold: a block of the heap, bytes outside of it, or nothing any more. */
class Holding {
  readonly bytes: number;
  /** dropped instead of copied out */
  readonly scratch: boolean;
  address = -1;
  block: Block | null = null;
  /** the bytes, while they are out of the heap */
  host: Uint8Array<ArrayBuffer> | null = null;
  /** the run that needs it */
  run = 0;
  /** storages in it that were not freed */
  shares = 0;
  /** what its handles refer to, until that is registered for finalization */
  token: Token | null = null;
  claim: Claim | null = null;
  /** when it was used last: a count of uses */
  used = 0;
  /** its place among what is in the heap */
  at = 0;
  constructor(bytes: number, scratch: boolean) {
    this.bytes = bytes;
    this.scratch = scratch;
  }
}

/** What all handles of a holding refer to: its finalizer watches it. */
class Token {
  weight: ArrayBuffer | null = null;
}

/** What the finalization registry holds on to. It lets go of the holding when that leaves the heap, or the bytes
 *  would live until the finalizer runs, which in a synchronous loop is never. */
interface Claim {
  holding: Holding | null;
}

/** The handle of a holding, or of a share of it. Arrays refer to it, the heap does not: when the last array is
 *  collected so is the handle, and when all its handles are, what a holding holds is given back. */
export class WasmStorage implements Storage {
  readonly backend: Backend;
  readonly bytes: number;
  readonly holding: Holding;
  /** where it begins in the holding */
  readonly offset: number;
  freed = false;
  readonly token: Token;
  constructor(backend: Backend, bytes: number, holding: Holding, offset: number, token: Token) {
    this.backend = backend;
    this.bytes = bytes;
    this.holding = holding;
    this.offset = offset;
    this.token = token;
    holding.shares++;
  }
  /** valid while the holding is in the heap */
  get address(): number {
    return this.holding.address + this.offset;
  }
}

/** A holding that may take further small storages, all of one size. */
interface Open {
  readonly holding: Holding;
  readonly token: Token;
  /** bytes taken */
  used: number;
}

export interface HeapOptions {
  /** bytes at the bottom of the memory that are not the heap's */
  readonly reserved: number;
  /** bytes that may stay in the heap before old buffers are moved out */
  readonly budget: number;
  /** largest size of the memory (default: 4 GiB less a page) */
  readonly maxPages?: number;
  /** memory that threads may share, where the host has it (default: no) */
  readonly shared?: boolean;
}

export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly #maxPages: number;
  readonly #blocks = new Allocator();
  /** end of what the allocator has been given */
  #top: number;
  // views of the whole memory, made anew when it has grown; what is handed out is copied to an ordinary ArrayBuffer.
  // Had they never changed, V8 would compile them in as constants, and throw that code away when the memory grows
  u8 = new Uint8Array();
  i32 = new Int32Array();
  budget: number;
  /** bytes in blocks, and the most there have been */
  used = 0;
  peak = 0;
  /** what is in the heap, in no order */
  readonly #inside: Holding[] = [];
  #uses = 0;
  #arena = new Holding(0, true);
  /** number of the run that is going on, or of the next one */
  #run = 1;
  /** by size class */
  readonly #opened: (Open | undefined)[] = [];
  readonly #weights = new Weights();
  /** bytes of arrays made and not freed by hand since finalizers had a chance to run */
  #unseen = 0;
  /** claims that are not registered yet */
  #waiting: Claim[] = [];
  readonly #registry = new FinalizationRegistry<Claim>(({ holding }) => {
    if (holding !== null) this.#free(holding);
  });

  constructor({ reserved, budget, maxPages = 65535, shared = false }: HeapOptions) {
    const initial = Math.min(maxPages, Math.max(64, Math.ceil(reserved / pageBytes)));
    const limits = { initial, maximum: maxPages };
    // a shared memory reserves its maximum at once, which a host may refuse: one thread then
    try {
      this.memory = new WebAssembly.Memory({ ...limits, shared });
    } catch {
      this.memory = new WebAssembly.Memory(limits);
    }
    this.shared = !(this.memory.buffer instanceof ArrayBuffer);
    this.#maxPages = maxPages;
    this.#top = Math.ceil(reserved / 16) * 16;
    this.budget = budget;
    this.#extend();
  }

  // ---- storages ----

  /** A storage in the heap, its contents undefined. */
  create(backend: Backend, bytes: number): WasmStorage {
    if (bytes <= smallBytes) return this.#share(backend, bytes);
    const { holding, token } = this.#open(bytes);
    token.weight = this.#weights.of(bytes);
    this.#unseen += bytes;
    return new WasmStorage(backend, bytes, holding, 0, token);
  }
  /** A new holding in the heap, for storages to come. */
  #open(bytes: number): Open {
    const holding = new Holding(bytes, false);
    const token = new Token();
    this.#bringIn(holding);
    this.#watch(holding, token);
    return { holding, token, used: 0 };
  }
  #share(backend: Backend, bytes: number): WasmStorage {
    const sizeClass = classOf(bytes);
    const size = 16 << sizeClass;
    let open = this.#opened[sizeClass];
    if (open === undefined || open.holding.block === null || open.used === open.holding.bytes) {
      open = this.#open(Math.min(sharedBytes, mostShares * size));
      this.#opened[sizeClass] = open;
    } else open.holding.used = ++this.#uses;
    const { holding, token, used } = open;
    open.used += size;
    return new WasmStorage(backend, bytes, holding, used, token);
  }
  write(backend: Backend, bytes: Uint8Array): WasmStorage {
    const s = this.create(backend, bytes.byteLength);
    this.u8.set(bytes, s.address);
    return s;
  }
  /** A copy of the bytes. Reading does not bring them back into the heap. */
  read(s: WasmStorage): Uint8Array<ArrayBuffer> {
    const { holding, offset, bytes } = s;
    this.checkAlive(s);
    if (holding.host !== null) return holding.host.slice(offset, offset + bytes);
    holding.used = ++this.#uses;
    return this.u8.slice(s.address, s.address + bytes);
  }
  /** Gives the memory back, when all that share it have; twice is harmless. */
  free(s: WasmStorage): void {
    if (s.freed) return;
    s.freed = true;
    if (--s.holding.shares > 0) return;
    const open = s.bytes <= smallBytes ? this.#opened[classOf(s.bytes)] : undefined;
    // the next small storage takes its place
    if (open?.holding === s.holding) {
      open.used = 0;
      return;
    }
    this.#free(s.holding);
    this.#unseen = Math.max(0, this.#unseen - s.holding.bytes);
    const { token } = s;
    if (token.weight !== null) this.#weights.back(token.weight);
    token.weight = null;
  }
  /** Where an asynchronous caller can wait anyway: now and then until the next task, so that what the garbage collector found dead
   *  is given back. A loop that awaits its results would otherwise never let finalizers run. */
  async breathe(): Promise<void> {
    if (this.#unseen <= this.budget / 4) return;
    this.#unseen = 0;
    await nextTask();
  }

  /** Memory that is no storage: it stays where it is, and is not counted, until it is released. */
  reserve(bytes: number): Block {
    return this.#allocate(bytes);
  }
  release(block: Block): void {
    this.#blocks.release(block);
  }

  // ---- runs ----

  /** Keeps a storage in the heap until the run ends, once it is there. */
  pin(s: WasmStorage): void {
    if (s.freed) this.checkAlive(s);
    s.holding.run = this.#run;
  }
  /** Address of a storage, brought back if it was out. It is valid until the next allocation, and until the end of
   *  the run if the storage is pinned. */
  address(s: WasmStorage): number {
    const { holding } = s;
    if (s.freed) this.checkAlive(s);
    if (holding.host !== null) {
      this.#bringIn(holding);
      this.u8.set(holding.host, holding.address);
      holding.host = null;
      this.#watch(holding, s.token);
    }
    holding.used = ++this.#uses;
    return holding.address + s.offset;
  }
  /** Scratch for the temporaries of the run that is going on; programs do not nest, so one arena serves all. It is
   *  given up like any old buffer once only programs that need far less of it have been running. */
  arena(bytes: number): number {
    let arena = this.#arena;
    if (arena.block === null || arena.bytes < bytes) {
      this.#free(arena);
      arena = new Holding(bytes, true);
      this.#bringIn(arena);
      this.#arena = arena;
    } else if (bytes * 4 > arena.bytes) arena.used = ++this.#uses;
    arena.run = this.#run;
    return arena.address;
  }
  /** Unpins everything. */
  endRun(): void {
    this.#run++;
  }

  // ---- in and out ----

  /** @throws BackendError when the storage was freed */
  checkAlive(s: WasmStorage): void {
    if (s.freed) failGone(`${s.bytes} bytes`);
  }

  /** Gives a holding a block. On failure nothing has changed. */
  #bringIn(h: Holding): void {
    const block = this.#allocate(h.bytes);
    h.block = block;
    h.address = block.address;
    this.used += block.size;
    this.peak = Math.max(this.peak, this.used);
    h.at = this.#inside.push(h) - 1;
    h.used = ++this.#uses;
  }
  #takeOut(h: Holding): void {
    const block = h.block as Block;
    // the last takes its place
    const last = this.#inside.pop() as Holding;
    if (last !== h) this.#inside[h.at] = last;
    last.at = h.at;
    this.used -= block.size;
    this.#blocks.release(block);
    h.block = null;
    h.address = -1;
    h.token = null;
    if (h.claim !== null) h.claim.holding = null;
    h.claim = null;
  }
  #free(h: Holding): void {
    if (h.block !== null) this.#takeOut(h);
    h.host = null;
  }

  /** Has `h` freed when the token is collected, which all its handles refer to. Finalizers run between tasks only, so that nothing needs to be
   *  registered before this one ends: most buffers are gone by then, and registering costs more than allocating. */
  #watch(h: Holding, token: Token): void {
    h.token = token;
    h.claim = { holding: h };
    if (this.#waiting.length === 0) queueMicrotask(() => this.#register());
    else if (this.#waiting.length > 2 * this.#inside.length + 1024)
      this.#waiting = this.#waiting.filter((c) => c.holding !== null);
    this.#waiting.push(h.claim);
  }
  #register(): void {
    for (const claim of this.#waiting) {
      const { holding } = claim;
      if (holding === null) continue;
      this.#registry.register(holding.token as Token, claim);
      holding.token = null;
    }
    this.#waiting = [];
  }

  #allocate(bytes: number): Block {
    const charge = this.used + (this.#inside.length + 1) * recordBytes + bytes;
    // room for this block and some more, so that not every allocation evicts
    if (charge > this.budget) this.#evict(charge - this.budget * 0.75);
    let block = this.#blocks.allocate(bytes);
    if (block === null && this.#grow(bytes)) block = this.#blocks.allocate(bytes);
    // the memory is as large as it gets: make room, first a little, then all there is
    for (const share of [2, Number.POSITIVE_INFINITY]) {
      if (block !== null) break;
      this.#evict(bytes * share);
      block = this.#blocks.allocate(bytes);
    }
    return (
      block ??
      fail(
        BackendError,
        "allocate",
        "an array must fit into WebAssembly's memory",
        `${bytes} bytes, with ${this.used} bytes in use`,
        "use smaller arrays or batches, or dispose of arrays that are not needed",
      )
    );
  }
  /** Adds at least `bytes` to the memory, a quarter of it if possible. */
  #grow(bytes: number): boolean {
    const have = this.memory.buffer.byteLength / pageBytes;
    const need = Math.ceil(bytes / pageBytes);
    const room = this.#maxPages - have;
    if (need > room) return false;
    for (const pages of [Math.min(room, Math.max(need, have >> 2)), need])
      try {
        this.memory.grow(pages);
        this.#extend();
        return true;
      } catch {
        // the host has less: try the smaller step, then do without
      }
    return false;
  }
  #extend(): void {
    this.u8 = new Uint8Array(this.memory.buffer);
    this.i32 = new Int32Array(this.memory.buffer);
    const end = this.memory.buffer.byteLength;
    if (end > this.#top) this.#blocks.extend(this.#top, end - this.#top);
    this.#top = end;
  }

  /** Moves the least recently used buffers out until `charge` bytes of the budget are free. */
  #evict(charge: number): void {
    const movable = this.#inside.filter((h) => h.run !== this.#run);
    let gained = 0;
    for (const h of movable.sort((x, y) => x.used - y.used)) {
      if (gained >= charge) return;
      if (!h.scratch)
        try {
          h.host = this.u8.slice(h.address, h.address + h.bytes);
        } catch {
          return; // the host has no memory left either
        }
      gained += (h.block as Block).size + recordBytes;
      this.#takeOut(h);
    }
  }
}
