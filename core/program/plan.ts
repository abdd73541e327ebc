/** Memory plan: temporaries share one arena; two that are alive at once never overlap. */
import type { ProgramBuffer, Step } from "./types.ts";

const align = (n: number): number => Math.ceil(n / 64) * 64;

interface Life {
  readonly id: number;
  readonly bytes: number;
  readonly first: number;
  last: number;
  offset: number;
}

/** Offsets of all temps and of scratch (0 for the others), and the size of the arena. Largest first, each at the lowest
 *  offset that is free for its whole life.
 *  @source "greedy by size", Pisarchyk and Lee 2020, arXiv:2001.03288 */
export function planMemory(
  buffers: readonly { readonly bytes: number; readonly place: ProgramBuffer["place"] }[],
  steps: readonly Step[],
): { offsets: readonly number[]; arenaBytes: number } {
  const lives = new Map<number, Life>();
  steps.forEach(({ args }, step) => {
    for (const id of args) {
      const b = buffers[id] as (typeof buffers)[number];
      if (b.place !== "temp") continue;
      const life = lives.get(id);
      if (life === undefined)
        lives.set(id, { id, bytes: align(b.bytes), first: step, last: step, offset: 0 });
      else life.last = step;
    }
  });
  const placed: Life[] = [];
  let arenaBytes = 0;
  for (const life of [...lives.values()].sort((a, b) => b.bytes - a.bytes)) {
    const rivals = placed
      .filter((p) => p.first <= life.last && p.last >= life.first)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const r of rivals) {
      if (r.offset - offset >= life.bytes) break;
      offset = Math.max(offset, r.offset + r.bytes);
    }
    life.offset = offset;
    placed.push(life);
    arenaBytes = Math.max(arenaBytes, offset + life.bytes);
  }
  const offsets = buffers.map((_, id) => lives.get(id)?.offset ?? 0);
  // scratch memory starts anew with each step
  for (const { args } of steps) {
    let top = 0;
    for (const id of new Set(args)) {
      const b = buffers[id] as (typeof buffers)[number];
      if (b.place !== "scratch") continue;
      offsets[id] = top;
      top += align(b.bytes);
    }
  }
  return { offsets, arenaBytes };
}
