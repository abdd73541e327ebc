/** Repeatable random numbers. */
export class Random {
  #state = 0x9e3779b9;
  /** a random uint32
   *  @source G. Marsaglia 2003, Xorshift RNGs, J. Statist. Software 8 (14) */
  word(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }
  /** in [0, 1), all 53 digits random */
  unit(): number {
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }
  between(low: number, high: number): number {
    return low + (high - low) * this.unit();
  }
  /** a whole number below n */
  below(n: number): number {
    return Math.floor(this.unit() * n);
  }
  sign(): 1 | -1 {
    return this.word() & 1 ? 1 : -1;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}
