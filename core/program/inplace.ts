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
  /** 0, before all loads, where some store might meet an element twice, or not at all */
  firstStore: number;
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

function survey(body: readonly Stmt[], count: number): readonly Uses[] {
  const uses = Array.from(
    { length: count },
    (): Uses => ({
      keys: new Set(),
      lastLoad: -1,
      firstStore: Number.POSITIVE_INFINITY,
    }),
  );
  const forms = new AffineForms();
  let time = 0;
  /** what is known of the buffer, told of one more index */
  const touch = ({ buffer, index }: { buffer: number; index: Expr }): Uses => {
    const found = uses[buffer] as Uses;
    found.keys.add(forms.key(forms.of(index)));
    return found;
  };
  const loads = (...roots: readonly Expr[]): void => {
    const seen = new Set<Expr>();
    for (const root of roots)
      eachNode(root, seen, (e) => {
        if (e.kind === "load") touch(e).lastLoad = time;
      });
  };
  const statements = (list: readonly Stmt[], loops: Loops): void => {
    for (const s of list) {
      time++;
      switch (s.kind) {
        case "for": {
          loads(s.from, s.to);
          const known = loops !== null && isLit(s.from, 0) && isLit(s.to);
          statements(s.body, known ? [...loops, { v: s.v, extent: s.to.value }] : null);
          break;
        }
        case "while":
          loads(s.test);
          statements(s.body, null);
          break;
        case "if":
          loads(s.test);
          statements(s.yes, null);
          statements(s.no, null);
          break;
        case "set":
          loads(s.value);
          break;
        case "store": {
          loads(s.value, s.index);
          const found = touch(s);
          const form = affine(s.index, forms);
          const once = form !== null && loops !== null && isInjective(form, loops);
          found.firstStore = Math.min(found.firstStore, once ? time : 0);
        }
      }
    }
  };
  statements(body, []);
  return uses;
}

const width = (d: DType): number => dtypes[d].bytes;

/** Pairs of buffers, the one written and the one read, that may be the same memory: each element of the operand is read for
 *  the last time at the point that writes the element in its place, and before. Sound for any order of the points. */
export function inPlacePairs(
  body: readonly Stmt[],
  buffers: readonly KernelBuffer[],
): readonly InPlace[] {
  const uses = survey(body, buffers.length);
  const pairs: InPlace[] = [];
  buffers.forEach(({ access, dtype, length }, out) => {
    const written = uses[out] as Uses;
    if (access === "read" || written.keys.size !== 1) return;
    buffers.forEach((b, operand) => {
      if (b.access !== "read" || b.length !== length || width(b.dtype) !== width(dtype)) return;
      const { keys, lastLoad } = uses[operand] as Uses;
      const [key] = keys;
      if (keys.size === 1 && written.keys.has(key as string) && lastLoad <= written.firstStore)
        pairs.push({ out, operand });
    });
  });
  return pairs;
}
