/** Memory plan: temporaries share one arena; two that are alive at once never overlap, but where a kernel works in place. */
import { type DType, dtypes } from "../dtype.ts";
import type { Handover, Program, ProgramBuffer, Step } from "./types.ts";

/** A buffer that has no place yet in the arena or in scratch memory. */
export interface BufferSpec {
  readonly dtype: DType;
  /** elements */
  readonly length: number;
  place: ProgramBuffer["place"];
}

/** Memory from its first to its last use, maybe by several buffers that take it over from each other. */
interface Life {
  readonly bytes: number;
  readonly first: number;
  last: number;
  offset: number;
}

const bytesOf = ({ length, dtype }: BufferSpec): number => length * dtypes[dtype].bytes;
/** Program buffers, the one written and the one read, that a step allows to be the same memory. */
const pairsOf = ({ kernel, args }: Step): readonly (readonly [number, number])[] =>
  kernel.kind === "loops"
    ? (kernel.inPlace ?? []).map((p) => [args[p.out] as number, args[p.operand] as number])
    : [];

/** Temporaries over which a result is written, or over which such a temporary is, by the result in whose memory they lie. */
function homesOf(
  buffers: readonly BufferSpec[],
  steps: readonly Step[],
  lastUse: readonly number[],
): ReadonlyMap<number, number> {
  const homes = new Map<number, number>();
  const taken = new Set<number>();
  const of = (id: number): BufferSpec => buffers[id] as BufferSpec;
  for (let step = steps.length - 1; step >= 0; step--) {
    const pairs = pairsOf(steps[step] as Step);
    for (const [to, from] of pairs) {
      const home = homes.get(to) ?? to;
      if (of(home).place !== "output" || of(from).place !== "temp" || lastUse[from] !== step)
        continue;
      // the storage of an argument that is given away saves as much
      if (pairs.some(([out, operand]) => out === to && of(operand).place === "input")) continue;
      if (of(from).dtype !== of(home).dtype || taken.has(to) || homes.has(from)) continue;
      homes.set(from, home);
      taken.add(to);
    }
  }
  return homes;
}

/** Places every buffer. Temporaries: largest first, each at the lowest offset that is free for its whole life.
 *  @source "greedy by size", Pisarchyk and Lee 2020, arXiv:2001.03288 */
export function planMemory(
  buffers: readonly BufferSpec[],
  steps: readonly Step[],
  results: readonly number[],
): Pick<Program, "buffers" | "arenaBytes" | "handovers"> {
  const lives: (Life | undefined)[] = [];
  const handovers: Handover[] = [];
  const lastUse: number[] = [];
  steps.forEach(({ args }, step) => {
    for (const id of args) lastUse[id] = step;
  });
  const homes = homesOf(buffers, steps, lastUse);
  const placeOf = (id: number): ProgramBuffer["place"] =>
    homes.has(id) ? "output" : (buffers[id] as BufferSpec).place;
  const isResult = new Set(results);
  const roomOf = (id: number): number => Math.ceil(bytesOf(buffers[id] as BufferSpec) / 64) * 64;

  const offsets: number[] = [];
  steps.forEach((s, step) => {
    const given = new Set<number>();
    for (const [to, from] of pairsOf(s)) {
      if (given.has(from) || given.has(to) || lastUse[from] !== step) continue;
      if (placeOf(from) === "temp" && placeOf(to) === "temp" && lives[to] === undefined)
        lives[to] = lives[from];
      else if (placeOf(from) === "input" && placeOf(to) === "output" && !isResult.has(from))
        handovers.push({ output: homes.get(to) ?? to, input: from });
      else continue;
      given.add(from).add(to);
    }
    // scratch memory starts anew with each step
    let top = 0;
    for (const id of new Set(s.args)) {
      const place = placeOf(id);
      if (place === "scratch") {
        offsets[id] = top;
        top += roomOf(id);
      } else if (place === "temp") {
        lives[id] ??= { bytes: roomOf(id), first: step, last: step, offset: 0 };
        lives[id].last = step;
      }
    }
  });

  /** by offset */
  const placed: Life[] = [];
  let arenaBytes = 0;
  const distinct = new Set(lives.filter((l) => l !== undefined));
  for (const life of [...distinct].sort((a, b) => b.bytes - a.bytes)) {
    for (const p of placed) {
      if (p.first > life.last || p.last < life.first) continue;
      if (p.offset - life.offset >= life.bytes) break;
      life.offset = Math.max(life.offset, p.offset + p.bytes);
    }
    arenaBytes = Math.max(arenaBytes, life.offset + life.bytes);
    placed.push(life);
    placed.sort((a, b) => a.offset - b.offset);
  }
  return {
    buffers: buffers.map((b, id) => ({
      ...b,
      bytes: bytesOf(b),
      offset: lives[id]?.offset ?? offsets[id] ?? 0,
      home: homes.get(id),
    })),
    arenaBytes,
    handovers,
  };
}
