/** Which results of a kernel may take the memory of an operand. */
import { type DType, dtypes } from "../dtype.ts";
import { type Expr, isLit, type KVar, eachNode } from "../kernel/expr.ts";
import type { InPlace, KernelBuffer, Stmt } from "../kernel/kernel.ts";
import { type Affine, affine, AffineForms } from "./affine.ts";

/** What the statements do with one buffer; they are counted in the order in which they run at a point. */
interface Uses {
  /** keys of all indices */
  readonly keys: Set<string>;
  lastLoad: number;
  firstStore: number;
  /** some store might meet an element twice, or not at all */
  scattered: boolean;
}

/** Loops around a statement, with their extents; null where one has no constant ends, or the statement is conditional. */
type Loops = readonly { readonly v: KVar; readonly extent: number }[] | null;

/** True when no two points of the loops have the same index: sorted, each coefficient passes what the ones below reach. */
function isInjective({ terms }: Affine, loops: NonNullable<Loops>): boolean {
  const axes = loops.map(({ v, extent }) => ({ extent, step: terms.get(v) ?? 0 }));
  let reach = 1;
  for (const { extent, step } of axes.sort((a, b) => a.step - b.step)) {
    if (step < reach) return false;
    reach = step * extent;
  }
  return terms.size === loops.length;
}

class Survey {
  readonly buffers: readonly Uses[];
  readonly #forms = new AffineForms();
  #time = 0;

  constructor(count: number) {
    this.buffers = Array.from({ length: count }, () => ({
      keys: new Set<string>(),
      lastLoad: -1,
      firstStore: Number.POSITIVE_INFINITY,
      scattered: false,
    }));
  }

  statements(body: readonly Stmt[], loops: Loops): void {
    for (const s of body) {
      this.#time++;
      switch (s.kind) {
        case "for": {
          this.#loads(s.from, s.to);
          const known = loops !== null && isLit(s.from, 0) && s.to.kind === "lit";
          this.statements(
            s.body,
            known ? [...loops, { v: s.v, extent: (s.to as Expr & { kind: "lit" }).value }] : null,
          );
          break;
        }
        case "while":
          this.#loads(s.test);
          this.statements(s.body, null);
          break;
        case "if":
          this.#loads(s.test);
          this.statements(s.yes, null);
          this.statements(s.no, null);
          break;
        case "set":
          this.#loads(s.value);
          break;
        case "store": {
          this.#loads(s.value, s.index);
          const uses = this.buffers[s.buffer] as Uses;
          const form = affine(s.index, this.#forms);
          uses.keys.add(this.#forms.key(this.#forms.of(s.index)));
          uses.firstStore = Math.min(uses.firstStore, this.#time);
          if (form === null || loops === null || !isInjective(form, loops)) uses.scattered = true;
        }
      }
    }
  }
  #loads(...roots: readonly Expr[]): void {
    const seen = new Set<Expr>();
    for (const root of roots)
      eachNode(root, seen, (e) => {
        if (e.kind !== "load") return;
        const uses = this.buffers[e.buffer] as Uses;
        uses.keys.add(this.#forms.key(this.#forms.of(e.index)));
        uses.lastLoad = this.#time;
      });
  }
}

const width = (d: DType): number => dtypes[d].bytes;

/** Pairs of buffers, the one written and the one read, that may be the same memory: each element of the operand is read for
 *  the last time at the point that writes the element in its place, and before. Sound for any order of the points. */
export function inPlacePairs(
  body: readonly Stmt[],
  buffers: readonly KernelBuffer[],
): readonly InPlace[] {
  const survey = new Survey(buffers.length);
  survey.statements(body, []);
  const pairs: InPlace[] = [];
  buffers.forEach(({ access, dtype, length }, out) => {
    const written = survey.buffers[out] as Uses;
    if (access === "read" || written.scattered || written.keys.size !== 1) return;
    buffers.forEach((b, operand) => {
      if (b.access !== "read" || b.length !== length || width(b.dtype) !== width(dtype)) return;
      const read = survey.buffers[operand] as Uses;
      const sameElement = read.keys.size === 1 && [...read.keys].every((k) => written.keys.has(k));
      if (sameElement && read.lastLoad <= written.firstStore) pairs.push({ out, operand });
    });
  });
  return pairs;
}
