/** What lies below the heap: the table of a run's pointers, what threads agree by, and scratch memory. */
import { convScratch } from "./conv/calls.ts";
import { gemmScratch, productNames } from "./gemm.ts";

export const tableEntries = 16384;
export const tableAddress = 64;

/** Where the words that threads share lie, counted in words of 32 bits; those that are written at the same time lie on
 *  different cache lines. All are i32 but the state. */
const base = tableAddress / 4 + tableEntries;
export const control = {
  /** i64: the number of the current job above, and below it the first index that nobody has taken yet */
  state: base,
  epoch: base + 1,
  // the job; it is written while all of the job before is taken, and so while nobody acts by it
  kernel: base + 32,
  table: base + 33,
  extent: base + 34,
  /** indices that are taken at once */
  part: base + 35,
  /** the slot of the program that runs, or −1 */
  program: base + 36,
  /** indices that are computed */
  done: base + 64,
  /** 1 while the main thread sleeps until all is done */
  waiting: base + 65,
  /** 1 when a worker trapped */
  failed: base + 66,
  /** workers that take parts, and those of them that sleep */
  ready: base + 96,
  sleeping: base + 97,
  /** workers that should be there: others leave */
  wanted: base + 98,
  /** 1 where the main thread may sleep, which that of a page may not */
  mayWait: base + 99,
  /** a word for each worker: its number, negative while it starts, 0 when it has left */
  alive: base + 128,
  /** what a worker's trap said: length and characters */
  message: base + 192,
  /** modules for the workers: number, address, bytes, and a bit for each product that is imported */
  slots: base + 256,
} as const;
export const maxWorkers = 63;
/** sleeping workers that a thread wakes up; every one of them does the same */
export const wakes = 2;
export const maxMessage = 60;
/** programs that the workers know at a time; their slots come after those of the products */
export const programSlots = 256;
const slotCount = productNames.length + programSlots;
export const slotWords = 4;

/** Below an instance's scratch memory: the number of indices that it is computing. */
export const held = -64;
const scratchHeader = 64;

/** Where in scratch memory the rows of loop kernels lie: above what contractions and convolutions use, one after the
 *  other. */
export const scratchRows: number = Math.ceil(Math.max(gemmScratch, convScratch) / 64) * 64;
/** of one instance, with the header */
export const scratchBytes: number = scratchHeader + scratchRows + 2 ** 18;
/** from the beginning of an instance's memory to where its scratch memory begins */
export const scratchStart: number = scratchHeader;

const mainScratch = Math.ceil((control.slots + slotCount * slotWords) / 16) * 64;
/** of the main thread */
export const scratchAddress: number = mainScratch + scratchHeader;
/** where the heap begins */
export const reservedBytes: number = mainScratch + scratchBytes;
