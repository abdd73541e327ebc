/** Device memory: one WebAssembly memory, and the records of what lives in it.
 *
 *  Past its budget the heap copies the least recently used buffers that no running program needs out to ordinary
 *  ArrayBuffers and forgets their records: from then on the garbage collector owns them. They are copied back in
 *  when they are used again. */
import { BackendError, fail } from "../../errors.ts";
import type { Backend, Storage } from "../backend.ts";
import { Allocator, type Block } from "./allocator.ts";

const pageBytes = 65536;
/** What a storage costs outside the memory, in bytes of the budget, so that tiny arrays are bounded by their number:
 *  its record, block and handle are about 350 bytes, and a generational collector lets as much garbage again and
 *  more pile up before it looks at objects as old as these. */
const recordBytes = 1024;

/** What a storage holds: a block of the heap, bytes outside of it, or nothing any more. */
class Holding {
  readonly bytes: number;
  /** dropped instead of copied out */
  readonly scratch: boolean;
  address = -1;
  block: Block | null = null;
  /** the bytes, while they are out of the heap */
  host: Uint8Array<ArrayBuffer> | null = null;
  freed = false;
  /** the run that needs it */
  run = 0;
  group: Group | null = null;
  /** its place in the group */
  index = -1;
  /** doubly linked in order of use */
  newer: Holding | null = null;
  older: Holding | null = null;
  constructor(bytes: number, scratch: boolean) {
    this.bytes = bytes;
    this.scratch = scratch;
  }
}

/** Storages that were made one after another: a finalizer looks after all of them together, for a finalizer costs more
 *  than an allocation. It frees those that are left when the last handle is gone. */
class Group {
  /** what the handles refer to and the finalizer watches; held here until it is registered */
  token: object | null = {};
  /** null where a member has left the heap: its bytes must not live until the finalizer runs, which in a synchronous
   *  loop is never */
  readonly members: (Holding | null)[] = [];
  left = 0;
  /** takes no further members */
  full = false;
}
/** Members of a group, and the bytes from which a storage has one to itself. */
const groupSize = 64;
const largeBytes = 4096;

/** The handle of a holding. Arrays refer to it, the heap does not: when the last array is collected so is the handle,
 *  and what it holds is given back. */
export class WasmStorage implements Storage {
  readonly backend: Backend;
  readonly bytes: number;
  readonly holding: Holding;
  /** that of the group of its holding */
  token: object | null = null;
  constructor(backend: Backend, holding: Holding) {
    this.backend = backend;
    this.bytes = holding.bytes;
    this.holding = holding;
  }
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

/** A shared memory reserves its maximum at once, which a host may refuse. */
function makeMemory(limits: WebAssembly.MemoryDescriptor, shared: boolean): WebAssembly.Memory {
  if (shared)
    try {
      return new WebAssembly.Memory({ ...limits, shared });
    } catch {
      // one thread then
    }
  return new WebAssembly.Memory(limits);
}

export class Heap {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly #maxPages: number;
  readonly #blocks = new Allocator();
  /** end of what the allocator has been given */
  #top: number;
  // views of the whole memory, made anew when it has grown; what is handed out is copied to an ordinary ArrayBuffer
  u8: Uint8Array;
  i32: Int32Array;
  budget: number;
  #used = 0;
  #peak = 0;
  #count = 0;
  #newest: Holding | null = null;
  #oldest: Holding | null = null;
  #arena: Holding | null = null;
  /** number of the run that is going on, or of the next one */
  #run = 1;
  /** groups that are not registered yet; the last one may take further members */
  #waiting: Group[] = [];
  readonly #registry = new FinalizationRegistry<Group>(({ members }) => {
    for (const h of members) if (h !== null) this.#free(h);
  });

  constructor({ reserved, budget, maxPages = 65535, shared = false }: HeapOptions) {
    const initial = Math.min(maxPages, Math.max(64, Math.ceil(reserved / pageBytes)));
    this.memory = makeMemory({ initial, maximum: maxPages }, shared);
    this.u8 = new Uint8Array(this.memory.buffer);
    this.i32 = new Int32Array(this.memory.buffer);
    this.shared = !(this.memory.buffer instanceof ArrayBuffer);
    this.#maxPages = maxPages;
    this.#top = Math.ceil(reserved / 16) * 16;
    this.budget = budget;
    this.#extend();
  }

  /** bytes in blocks, and the most there have been */
  get used(): number {
    return this.#used;
  }
  get peak(): number {
    return this.#peak;
  }

  // ---- storages ----

  /** A storage in the heap, its contents undefined. */
  create(backend: Backend, bytes: number): WasmStorage {
    const holding = new Holding(bytes, false);
    const handle = new WasmStorage(backend, holding);
    this.#bringIn(holding);
    this.#watch(holding, handle);
    return handle;
  }
  write(backend: Backend, bytes: Uint8Array): WasmStorage {
    const s = this.create(backend, bytes.byteLength);
    this.u8.set(bytes, s.holding.address);
    return s;
  }
  /** A copy of the bytes. Reading does not bring them back into the heap. */
  read({ holding }: WasmStorage): Uint8Array<ArrayBuffer> {
    this.#checkAlive(holding);
    if (holding.host !== null) return holding.host.slice();
    this.#touch(holding);
    return this.u8.slice(holding.address, holding.address + holding.bytes);
  }
  /** Gives the memory back; twice is harmless. */
  free({ holding }: WasmStorage): void {
    this.#free(holding);
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
  pin({ holding }: WasmStorage): void {
    this.#checkAlive(holding);
    holding.run = this.#run;
  }
  /** Address of a storage, brought back if it was out. It is valid until the next allocation, and until the end of
   *  the run if the storage is pinned. */
  address(s: WasmStorage): number {
    const { holding } = s;
    this.#checkAlive(holding);
    if (holding.host !== null) {
      this.#bringIn(holding);
      this.u8.set(holding.host, holding.address);
      holding.host = null;
      this.#watch(holding, s);
    } else this.#touch(holding);
    return holding.address;
  }
  /** Scratch for the temporaries of the run that is going on; programs do not nest, so one arena serves all. It is
   *  given up like any old buffer once only programs that need far less of it have been running. */
  arena(bytes: number): number {
    let arena = this.#arena;
    if (arena === null || arena.freed || arena.bytes < bytes) {
      if (arena !== null) this.#free(arena);
      arena = new Holding(bytes, true);
      this.#arena = null;
      this.#bringIn(arena);
      this.#arena = arena;
    } else if (bytes * 4 > arena.bytes) this.#touch(arena);
    arena.run = this.#run;
    return arena.address;
  }
  /** Unpins everything. */
  endRun(): void {
    this.#run++;
  }

  // ---- in and out ----

  #checkAlive(h: Holding): void {
    if (h.freed)
      fail(
        BackendError,
        "array",
        "an array must not be used once disposed or donated",
        `${h.bytes} bytes that are gone`,
        "keep it, or use the result that replaced it",
      );
  }

  /** Gives a holding a block. On failure nothing has changed. */
  #bringIn(h: Holding): void {
    const block = this.#allocate(h.bytes);
    h.block = block;
    h.address = block.address;
    this.#used += block.size;
    this.#peak = Math.max(this.#peak, this.#used);
    this.#count++;
    this.#link(h);
  }
  #takeOut(h: Holding): void {
    const block = h.block as Block;
    this.#unlink(h);
    this.#used -= block.size;
    this.#blocks.release(block);
    this.#count--;
    h.block = null;
    h.address = -1;
    const { group } = h;
    if (group !== null) {
      group.members[h.index] = null;
      group.left--;
      h.group = null;
    }
  }
  #free(h: Holding): void {
    if (h.freed) return;
    h.freed = true;
    if (h.block !== null) this.#takeOut(h);
    h.host = null;
  }

  /** Has `h` freed when its handle is collected, and those of the group are. Finalizers run between tasks only, so
   *  that nothing needs to be registered before this one ends: most buffers are gone by then. */
  #watch(h: Holding, handle: WasmStorage): void {
    const waiting = this.#waiting;
    const large = h.bytes >= largeBytes;
    let group = waiting[waiting.length - 1];
    if (group === undefined || group.full || large) {
      if (waiting.length === 0) queueMicrotask(() => this.#register());
      else if (waiting.length > 2 * this.#count + 1024)
        this.#waiting = waiting.filter((g) => g.left > 0);
      group = new Group();
      this.#waiting.push(group);
    }
    h.group = group;
    h.index = group.members.length;
    group.members.push(h);
    group.left++;
    group.full = large || group.members.length === groupSize;
    handle.token = group.token;
  }
  #register(): void {
    for (const group of this.#waiting) {
      if (group.left > 0) this.#registry.register(group.token as object, group);
      group.token = null;
    }
    this.#waiting = [];
  }

  #allocate(bytes: number): Block {
    const charge = this.#used + (this.#count + 1) * recordBytes + bytes;
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
        `${bytes} bytes, with ${this.#used} bytes in use`,
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
        this.u8 = new Uint8Array(this.memory.buffer);
        this.i32 = new Int32Array(this.memory.buffer);
        this.#extend();
        return true;
      } catch {
        // the host has less: try the smaller step, then do without
      }
    return false;
  }
  #extend(): void {
    const end = this.memory.buffer.byteLength;
    if (end > this.#top) this.#blocks.extend(this.#top, end - this.#top);
    this.#top = end;
  }

  /** Moves old buffers out until `charge` bytes of the budget are free. */
  #evict(charge: number): void {
    let gained = 0;
    for (let h = this.#oldest; h !== null && gained < charge; ) {
      const { newer } = h;
      if (h.run !== this.#run) {
        if (h.scratch) h.freed = true;
        else
          try {
            h.host = this.u8.slice(h.address, h.address + h.bytes);
          } catch {
            return; // the host has no memory left either
          }
        gained += (h.block as Block).size + recordBytes;
        this.#takeOut(h);
      }
      h = newer;
    }
  }

  #touch(h: Holding): void {
    if (h === this.#newest) return;
    this.#unlink(h);
    this.#link(h);
  }
  #link(h: Holding): void {
    h.older = this.#newest;
    h.newer = null;
    if (this.#newest !== null) this.#newest.newer = h;
    this.#newest = h;
    this.#oldest ??= h;
  }
  #unlink(h: Holding): void {
    if (h.newer !== null) h.newer.older = h.older;
    else this.#newest = h.older;
    if (h.older !== null) h.older.newer = h.newer;
    else this.#oldest = h.newer;
    h.newer = null;
    h.older = null;
  }
}
