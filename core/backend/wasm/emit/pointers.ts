/** Pointers that move with an innermost loop: the addresses of its affine indices, so that an iteration adds a constant
 *  instead of multiplying out each index. */
import { type Expr, KVar, eachNode } from "../../../kernel/expr.ts";
import { type ForLoop, roots } from "../../../kernel/kernel.ts";
import type { Affine } from "../../../program/affine.ts";
import type { Frame } from "./frame.ts";

/** Largest distance in bytes between accesses through one pointer. The pointer itself may be out of the buffer while
 *  an access at a distance is in it, and a constant offset is added without wrapping; so it must not fall
 *  below address 0, and it does not, for buffers lie above the tables at the bottom of the memory. */
const maxDistance = 4096;

export interface Pointer {
  readonly local: number;
  /** bytes from it to the element */
  readonly offset: number;
}
/** a pointer's local and the bytes by which one iteration moves it */
export interface Moving {
  readonly local: number;
  readonly step: number;
}

export class Pointers {
  readonly #frame: Frame;
  /** by index and buffer */
  #known = new Map<Expr, Pointer[]>();
  constructor(frame: Frame) {
    this.#frame = frame;
  }
  find(buffer: number, index: Expr): Pointer | undefined {
    return this.#known.get(index)?.[buffer];
  }
  /** Runs `emit` as if there were no pointers. */
  without(emit: () => void): void {
    const known = this.#known;
    this.#known = new Map();
    emit();
    this.#known = known;
  }

  /** Sets pointers to the elements of the first iteration of a loop without inner statements; the loop's variable is
   *  set, and `index` leaves an index on the stack. Only `wanted` accesses get one. */
  start(
    loop: ForLoop,
    index: (e: Expr) => void,
    wanted: (buffer: number, index: Expr) => boolean,
  ): readonly Moving[] {
    const { code, forms } = this.#frame;
    const assigned = new Set<KVar>();
    const accesses: { buffer: number; index: Expr }[] = [];
    const seen = new Set<Expr>();
    for (const s of loop.body) {
      if (s.kind === "set") assigned.add(s.v);
      if (s.kind === "store") accesses.push(s);
      for (const root of roots(s))
        eachNode(root, seen, (e) => {
          if (e.kind === "load") accesses.push(e);
        });
    }
    const pointers = new Map<string, { local: number; constant: number }>();
    // to be known when all are set: an index may load
    const known = new Map<Expr, Pointer[]>();
    const moving: Moving[] = [];
    for (const { buffer, index: at } of accesses) {
      const { constant, terms } = forms.of(at);
      if (!steady(terms, loop.v, assigned) || !wanted(buffer, at)) continue;
      const width = this.#frame.width(buffer);
      const key = `${buffer}:${forms.key({ constant: 0, terms })}`;
      let pointer = pointers.get(key);
      let offset = pointer === undefined ? -1 : (constant - pointer.constant) * width;
      if (pointer === undefined || offset < 0 || offset > maxDistance) {
        pointer = { local: code.local("i32"), constant };
        offset = 0;
        code.get(buffer);
        index(at);
        code.i32(width).op(0x6c, 0x6a).set(pointer.local);
        pointers.set(key, pointer);
        moving.push({ local: pointer.local, step: (terms.get(loop.v) ?? 0) * width });
      }
      const ofIndex = known.get(at) ?? [];
      known.set(at, ofIndex);
      ofIndex[buffer] = { local: pointer.local, offset };
    }
    this.#known = known;
    return moving;
  }
  stop(): void {
    this.#known = new Map();
  }
}

/** True for an affine form whose atoms, but for the loop variable, stay the same during the loop. */
const steady = (terms: Affine["terms"], v: KVar, assigned: ReadonlySet<KVar>): boolean =>
  [...terms.keys()].every((atom) => atom === v || (atom instanceof KVar && !assigned.has(atom)));
