/** Blocks of a growing linear memory. Neighbouring free blocks are joined at once, and free blocks are kept by
 *  size class with a bitmap of the classes that have any, so that both operations take constant time and no
 *  sequence of sizes wears the memory out.
 *  @source Masmano, Ripoll, Crespo, Real 2004, "TLSF: a new dynamic memory allocator for real-time systems" */

/** Blocks start at multiples of this. */
const unit = 16;
/** Each doubling of the size is split into this many classes. */
const steps = 16;
/** up to 2²⁸ units, which is 4 GiB */
const classes = (28 - 4 + 2) * steps;

export class Block {
  readonly address: number;
  /** bytes, a multiple of 16 */
  size: number;
  free = true;
  /** neighbours in memory */
  below: Block | null;
  above: Block | null = null;
  /** neighbours in the list of its class, while free */
  next: Block | null = null;
  previous: Block | null = null;
  constructor(address: number, size: number, below: Block | null) {
    this.address = address;
    this.size = size;
    this.below = below;
  }
}

/** Class of a block of `units`: all blocks of a class are at least as large as its first. */
function classOf(units: number): number {
  if (units < steps) return units;
  const exponent = 31 - Math.clz32(units);
  return (exponent - 3) * steps + ((units >>> (exponent - 4)) & (steps - 1));
}

export class Allocator {
  readonly #heads = new Array<Block | null>(classes).fill(null);
  /** bit c is set where class c has a block */
  readonly #filled = new Int32Array(Math.ceil(classes / 32));
  #last: Block | null = null;

  /** Adds the bytes from `address` on; calls must come in order of addresses. */
  extend(address: number, bytes: number): void {
    const block = new Block(address, bytes - (bytes % unit), this.#last);
    const below = this.#last;
    if (below !== null && below.address + below.size === address) below.above = block;
    else block.below = null;
    this.#last = block;
    this.release(block);
  }

  /** A block of at least `bytes`, or null when no free block is large enough. */
  allocate(bytes: number): Block | null {
    const units = Math.max(1, Math.ceil(bytes / unit));
    const block = this.#find(units);
    if (block === null) return null;
    this.#unlink(block);
    const size = units * unit;
    if (block.size > size) {
      const rest = new Block(block.address + size, block.size - size, block);
      rest.above = block.above;
      if (rest.above !== null) rest.above.below = rest;
      else this.#last = rest;
      block.above = rest;
      block.size = size;
      this.#link(rest);
    }
    block.free = false;
    return block;
  }

  release(block: Block): void {
    let merged = block;
    const { above, below } = block;
    if (above?.free) {
      this.#unlink(above);
      this.#absorb(merged, above);
    }
    if (below?.free) {
      this.#unlink(below);
      this.#absorb(below, merged);
      merged = below;
    }
    this.#link(merged);
  }

  #absorb(lower: Block, upper: Block): void {
    lower.size += upper.size;
    lower.above = upper.above;
    if (upper.above !== null) upper.above.below = lower;
    else this.#last = lower;
  }

  #find(units: number): Block | null {
    // every block of the classes above the last class boundary is large enough
    const exponent = 31 - Math.clz32(units);
    const roundedUp = units < steps ? units : units + 2 ** (exponent - 4) - 1;
    const first = classOf(roundedUp);
    let word = first >>> 5;
    let bits = (this.#filled[word] as number) & (-1 << (first & 31));
    while (bits === 0 && ++word < this.#filled.length) bits = this.#filled[word] as number;
    if (bits !== 0) return this.#heads[word * 32 + 31 - Math.clz32(bits & -bits)] as Block;
    // the class below the boundary may have one that fits all the same
    const size = units * unit;
    for (let b = this.#heads[classOf(units)] ?? null; b !== null; b = b.next)
      if (b.size >= size) return b;
    return null;
  }

  #link(block: Block): void {
    const c = classOf(block.size / unit);
    const head = this.#heads[c] ?? null;
    block.free = true;
    block.previous = null;
    block.next = head;
    if (head !== null) head.previous = block;
    this.#heads[c] = block;
    this.#filled[c >>> 5] = (this.#filled[c >>> 5] as number) | (1 << (c & 31));
  }
  #unlink(block: Block): void {
    const { next, previous } = block;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else {
      const c = classOf(block.size / unit);
      this.#heads[c] = next;
      if (next === null)
        this.#filled[c >>> 5] = (this.#filled[c >>> 5] as number) & ~(1 << (c & 31));
    }
    block.next = null;
    block.previous = null;
  }
}
