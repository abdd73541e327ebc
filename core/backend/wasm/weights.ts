/** What the garbage collector is told of arrays. It goes by the bytes of ArrayBuffers and sees nothing of blocks in a WebAssembly
 *  memory, so that dead arrays of any size pile up before it looks. An array is therefore given a *weight*: an ArrayBuffer that
 *  nobody touches, which takes address space but no memory. */

/** Smaller arrays share one. */
const leastWeight = 2 ** 20;
const mostSpare = 4;

// the options are newer than the types; elsewhere an ArrayBuffer is memory that is cleared
const Untouched: (new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer) | null =
  "resize" in ArrayBuffer.prototype ? ArrayBuffer : null;

export class Weights {
  /** bytes of arrays that have no weight yet */
  #light = 0;
  /** weights of arrays that were freed by hand, the most recent last */
  #spare: ArrayBuffer[] = [];

  /** The weight of an array of so many bytes, and of those before it that went without. */
  of(bytes: number): ArrayBuffer | null {
    this.#light += bytes;
    if (this.#light < leastWeight || Untouched === null) return null;
    const all = this.#light;
    this.#light = 0;
    const at = this.#spare.findLastIndex((w) => w.byteLength === all);
    if (at >= 0) return this.#spare.splice(at, 1)[0] as ArrayBuffer;
    try {
      return new Untouched(all, { maxByteLength: all });
    } catch {
      // the host has no address space left
      return null;
    }
  }
  /** Takes back the weight of an array that was freed: the next of its size costs nothing. */
  back(weight: ArrayBuffer): void {
    this.#spare.push(weight);
    if (this.#spare.length > mostSpare) this.#spare.shift();
  }
}

/** The next task of the host; finalizers run between tasks. */
export const nextTask = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
