import { it } from "vitest";
import { compareRandomPrograms, runs, seed } from "./programs.ts";

it(`${runs} programs give the same on every backend and with any number of threads (seed ${seed})`, () => {
  compareRandomPrograms();
}, 3_600_000);
