/** What it means to run several iterations of a loop at once: which values differ between them. */
import { wordCount as partsOf } from "../../../kernel/words.ts";
import { type Expr, type KVar, everyOperand, memoized } from "../../../kernel/expr.ts";
import type { Frame } from "./frame.ts";

/** iterations in one block: the lanes of a vector of 32-bit values */
export const lanesPerBlock = 4;

/** What the iterations of a loop have in common. */
export interface Variation {
  /** the variables that differ between iterations */
  readonly varying: ReadonlySet<KVar>;
  /** variables that are assigned and buffers that are stored to in the loop */
  readonly changing: ReadonlySet<KVar | number>;
  /** the loop has no inner statements */
  readonly straight: boolean;
}

/** `blocks` times four iterations of the loop over `v`, side by side. A value is *uniform* if it is the same in all of
 *  them, else *varying*. */
export class Lanes {
  readonly v: KVar;
  readonly blocks: number;
  readonly loop: Variation;
  readonly #frame: Frame;
  readonly #registers: number[] = [];

  constructor(frame: Frame, v: KVar, blocks: number, loop: Variation) {
    this.#frame = frame;
    this.v = v;
    this.blocks = blocks;
    this.loop = loop;
  }

  readonly uniform = memoized((e: Expr): boolean =>
    e.kind === "var" ? !this.loop.varying.has(e) : everyOperand(e, this.uniform),
  );
  /** True where the value is the same throughout the loop. */
  readonly invariant = memoized((e: Expr): boolean => {
    const { changing, varying } = this.loop;
    if (e.kind === "var") return !changing.has(e) && !varying.has(e);
    return !(e.kind === "load" && changing.has(e.buffer)) && everyOperand(e, this.invariant);
  });

  /** elements from one iteration's index to the next's */
  readonly #step = memoized((index: Expr): number | null => {
    const { terms } = this.#frame.forms.of(index);
    for (const atom of terms.keys()) if (atom !== this.v && !this.uniform(atom)) return null;
    return terms.get(this.v) ?? 0;
  });
  /** Bytes from one iteration's element to the next's, or null where the index is not affine in the loop variable. */
  stride(buffer: number, index: Expr): number | null {
    const step = this.#step(index);
    return step === null ? null : step * this.#frame.width(buffer);
  }

  /** The registers of a varying variable, block by block. */
  readonly registers = memoized((v: KVar): readonly number[] => {
    const made = Array.from({ length: this.blocks * partsOf(v.dtype) }, () =>
      this.#frame.code.local("v128"),
    );
    this.#registers.push(...made);
    return made;
  });
  local(v: KVar, block: number, part: number): number {
    return this.registers(v)[block * partsOf(v.dtype) + part] as number;
  }
  release(): void {
    this.#frame.release(...this.#registers);
  }
}

/** registers of a block */
export { partsOf };
export const parts = (e: Expr): readonly number[] => (partsOf(e.dtype) === 2 ? [0, 1] : [0]);

// ---- parts and slots of a value ----

/** First part of a bool that is a mask beside float64, in two registers. */
export const wide = 2;
/** Part of its test that chooses a part of a select. */
export const maskPart = (e: Expr, part: number): number =>
  e.dtype === "float64" ? wide + part : part;
/** where a uniform value in all lanes is kept */
export const splatSlot = 1;
export const slotOf = (block: number, part: number): number => 2 + 4 * block + part;
