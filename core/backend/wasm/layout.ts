/** What lies below the heap: the table of a run's pointers, what threads agree by, and scratch memory. */
import { convScratch } from "./conv/calls.ts";
import { gemmScratch, productNames } from "./gemm.ts";

export const tableEntries = 16384;
export const tableAddress = 64;

/** Addresses of the words that threads share; those that are written at the same time lie on different cache
 *  lines. All are i32 but the state. */
const base = tableAddress + tableEntries * 4;
export const control = {
  /** i64: the number of the current job above, and below it the first index that nobody has taken yet */
  state: base,
  epoch: base + 4,
  // the job; it is written while all of the job before is taken, and so while nobody acts by it
  kernel: base + 128,
  table: base + 132,
  extent: base + 136,
  /** indices that are taken at once */
  part: base + 140,
  /** the slot of the program that runs, or −1 */
  program: base + 144,
  /** indices that are computed */
  done: base + 256,
  /** 1 while the main thread sleeps until all is done */
  waiting: base + 260,
  /** 1 when a worker trapped */
  failed: base + 264,
  /** workers that take parts, and those of them that sleep */
  ready: base + 384,
  sleeping: base + 388,
  /** workers that should be there: others leave */
  wanted: base + 392,
  /** 1 where the main thread may sleep, which that of a page may not */
  mayWait: base + 396,
  /** a word for each worker: its number, negative while it starts, 0 when it has left */
  alive: base + 512,
  /** what a worker's trap said: length and characters */
  message: base + 768,
  /** modules for the workers: number, address, bytes, and a bit for each product that is imported */
  slots: base + 1024,
} as const;
export const maxWorkers = 63;
/** sleeping workers that a thread wakes up; every one of them does the same */
export const wakes = 2;
export const maxMessage = 60;
/** programs that the workers know at a time */
export const programSlots = 256;
/** in the slots after them: the products */
const slotCount = programSlots + productNames.length;
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

const mainScratch = Math.ceil((control.slots + slotCount * slotWords * 4) / 64) * 64;
/** of the main thread */
export const scratchAddress: number = mainScratch + scratchHeader;
/** where the heap begins */
export const reservedBytes: number = mainScratch + scratchBytes;
