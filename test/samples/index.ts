/** All samples by family. */
import { samples as arithmetic } from "./arithmetic.ts";
import { samples as compare } from "./compare.ts";
import { samples as contract } from "./contract.ts";
import { samples as conv } from "./conv.ts";
import { samples as convert } from "./convert.ts";
import { samples as indexing } from "./indexing.ts";
import { samples as linear } from "./linear.ts";
import { samples as random } from "./random.ts";
import { samples as cumulative } from "./cumulative.ts";
import { samples as reduce } from "./reduce.ts";
import { samples as sort } from "./sort.ts";
import { samples as window } from "./window.ts";
import type { Sample } from "./sample.ts";
import { samples as special } from "./special.ts";
import { samples as structural } from "./structural.ts";
import { samples as transcendental } from "./transcendental.ts";

export const families: { readonly [family: string]: readonly Sample[] } = {
  linear,
  structural,
  arithmetic,
  compare,
  convert,
  transcendental,
  special,
  reduce,
  cumulative,
  window,
  sort,
  indexing,
  contract,
  conv,
  random,
};
export const allSamples: readonly Sample[] = Object.values(families).flat();
