/** What it means to run several iterations of a loop at once: which values differ between them. */
import { type Expr, type KVar, everyOperand } from "../../../kernel/expr.ts";
import { dtypes } from "../../../dtype.ts";
import type { Frame } from "./frame.ts";

/** iterations in one block: the lanes of a vector of 32-bit values */
export const lanesPerBlock = 4;

/** `blocks` times four iterations of the loop over `v`, side by side. A value is *uniform* if it is the same in all of
 *  them, else *varying*. */
export class Lanes {
  readonly v: KVar;
  readonly blocks: number;
  /** the variables that differ between iterations */
  readonly varying: ReadonlySet<KVar>;
  /** variables that are assigned and buffers that are stored to in the loop */
  readonly changing: ReadonlySet<KVar | number>;
  /** the loop has no inner statements */
  readonly straight: boolean;
  readonly #frame: Frame;
  readonly #uniform = new Map<Expr, boolean>();
  readonly #invariant = new Map<Expr, boolean>();
  /** elements from one iteration's index to the next's */
  readonly #steps = new Map<Expr, number | null>();
  readonly #locals = new Map<KVar, number[]>();

  constructor(
    frame: Frame,
    v: KVar,
    blocks: number,
    varying: ReadonlySet<KVar>,
    changing: ReadonlySet<KVar | number>,
    straight: boolean,
  ) {
    this.#frame = frame;
    this.v = v;
    this.blocks = blocks;
    this.varying = varying;
    this.changing = changing;
    this.straight = straight;
  }

  readonly #isUniform = (e: Expr): boolean => this.uniform(e);
  readonly #isInvariant = (e: Expr): boolean => this.invariant(e);
  uniform(e: Expr): boolean {
    let known = this.#uniform.get(e);
    if (known === undefined) {
      known = e.kind === "var" ? !this.varying.has(e) : everyOperand(e, this.#isUniform);
      this.#uniform.set(e, known);
    }
    return known;
  }
  /** True where the value is the same throughout the loop. */
  invariant(e: Expr): boolean {
    let known = this.#invariant.get(e);
    if (known === undefined) {
      known =
        e.kind === "var"
          ? !this.changing.has(e) && !this.varying.has(e)
          : !(e.kind === "load" && this.changing.has(e.buffer)) &&
            everyOperand(e, this.#isInvariant);
      this.#invariant.set(e, known);
    }
    return known;
  }

  /** Bytes from one iteration's element to the next's, or null where the index is not affine in the loop variable. */
  stride(buffer: number, index: Expr): number | null {
    let step = this.#steps.get(index);
    if (step === undefined) {
      const { terms } = this.#frame.forms.of(index);
      step = terms.get(this.v) ?? 0;
      for (const atom of terms.keys()) if (atom !== this.v && !this.uniform(atom)) step = null;
      this.#steps.set(index, step);
    }
    return step === null ? null : step * this.#frame.width(buffer);
  }

  /** The register of a varying variable. */
  local(v: KVar, block: number, part: number): number {
    const parts = partsOf(v.dtype);
    let locals = this.#locals.get(v);
    if (locals === undefined) {
      locals = Array.from({ length: this.blocks * parts }, () => this.#frame.fresh("v128"));
      this.#locals.set(v, locals);
    }
    return locals[block * parts + part] as number;
  }
  release(): void {
    for (const locals of this.#locals.values())
      for (const local of locals) this.#frame.release("v128", local);
  }
}

/** registers of a block */
export const partsOf = (d: Expr["dtype"]): 1 | 2 => (dtypes[d].bytes === 8 ? 2 : 1);
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
