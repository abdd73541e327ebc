/** Memory plan: temporaries share one arena; two that are alive at once never overlap, but where a kernel works in place. */
import type { DType } from "../dtype.ts";
import type { InPlace, Kernel } from "../kernel/kernel.ts";
import type { Handover, ProgramBuffer, Step } from "./types.ts";

const align = (n: number): number => Math.ceil(n / 64) * 64;

/** Memory from its first to its last use, maybe by several buffers that take it over from each other. */
interface Life {
  readonly bytes: number;
  readonly first: number;
  last: number;
  offset: number;
}

export interface Plan {
  /** results in whose memory temporaries lie, by temporary */
  readonly homes: ReadonlyMap<number, number>;
  /** of temporaries in the arena and of scratch in its memory, 0 for the others */
  readonly offsets: readonly number[];
  readonly arenaBytes: number;
  readonly handovers: readonly Handover[];
}

type Buffers = readonly {
  readonly bytes: number;
  readonly dtype: DType;
  readonly place: ProgramBuffer["place"];
}[];
const inPlaceOf = (kernel: Kernel): readonly InPlace[] =>
  (kernel.kind === "loops" ? kernel.inPlace : undefined) ?? [];

/** Temporaries over which a result is written, or over which such a temporary is, by the result in whose memory they lie. */
function homesOf(
  buffers: Buffers,
  steps: readonly Step[],
  lastUse: readonly number[],
): ReadonlyMap<number, number> {
  const homes = new Map<number, number>();
  const taken = new Set<number>();
  const place = (id: number): ProgramBuffer["place"] | undefined => buffers[id]?.place;
  for (const [step, { kernel, args }] of [...steps.entries()].reverse()) {
    const pairs = inPlaceOf(kernel).map((p) => [args[p.out], args[p.operand]]) as [
      number,
      number,
    ][];
    for (const [to, from] of pairs) {
      const home = homes.get(to) ?? to;
      if (place(home) !== "output" || place(from) !== "temp" || lastUse[from] !== step) continue;
      // the storage of an argument that is given away saves as much
      if (pairs.some(([out, operand]) => out === to && place(operand) === "input")) continue;
      if (buffers[from]?.dtype !== buffers[home]?.dtype || taken.has(to) || homes.has(from))
        continue;
      homes.set(from, home);
      taken.add(to);
    }
  }
  return homes;
}

/** Temporaries: largest first, each at the lowest offset that is free for its whole life.
 *  @source "greedy by size", Pisarchyk and Lee 2020, arXiv:2001.03288 */
export function planMemory(
  buffers: Buffers,
  steps: readonly Step[],
  results: readonly number[],
): Plan {
  const lives: (Life | undefined)[] = [];
  const handovers: Handover[] = [];
  const lastUse: number[] = [];
  steps.forEach(({ args }, step) => {
    for (const id of args) lastUse[id] = step;
  });
  const homes = homesOf(buffers, steps, lastUse);
  const isResult = new Set(results);
  const placeOf = (id: number): ProgramBuffer["place"] =>
    homes.has(id) ? "output" : (buffers[id] as (typeof buffers)[number]).place;

  steps.forEach(({ kernel, args }, step) => {
    const given = new Set<number>();
    for (const { out, operand } of inPlaceOf(kernel)) {
      const [to, from] = [args[out] as number, args[operand] as number];
      if (given.has(from) || given.has(to) || lastUse[from] !== step) continue;
      if (placeOf(from) === "temp" && placeOf(to) === "temp" && lives[to] === undefined)
        lives[to] = lives[from];
      else if (placeOf(from) === "input" && placeOf(to) === "output" && !isResult.has(from))
        handovers.push({ output: homes.get(to) ?? to, input: from });
      else continue;
      given.add(from).add(to);
    }
    for (const id of args) {
      if (placeOf(id) !== "temp") continue;
      const bytes = align((buffers[id] as (typeof buffers)[number]).bytes);
      const life = lives[id] ?? { bytes, first: step, last: step, offset: 0 };
      life.last = step;
      lives[id] = life;
    }
  });

  const placed: Life[] = [];
  let arenaBytes = 0;
  const distinct = new Set(lives.filter((l) => l !== undefined));
  for (const life of [...distinct].sort((a, b) => b.bytes - a.bytes)) {
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
  const offsets = buffers.map((_, id) => lives[id]?.offset ?? 0);
  // scratch memory starts anew with each step
  for (const { args } of steps) {
    let top = 0;
    for (const id of new Set(args)) {
      if (placeOf(id) !== "scratch") continue;
      offsets[id] = top;
      top += align((buffers[id] as (typeof buffers)[number]).bytes);
    }
  }
  return { homes, offsets, arenaBytes, handovers };
}
