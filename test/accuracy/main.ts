/** `npm run accuracy -- [SAMPLES] [FUNCTION …]`: the worst error of each function in float32 and float64, over 10⁶ points by default, in units
 *  in the last place of the exact value: a correctly rounded one has at most ½. Fails where a result is further than its bound from the
 *  correctly rounded value. */
import { cases } from "./functions.ts";
import { type Case, isWithin, worst } from "./measure.ts";
import type { FloatName } from "./ulp.ts";

const [first = "1000000", ...rest] = process.argv.slice(2);
const named = Object.hasOwn(cases, first) ? [first, ...rest] : rest;
const count = named.length > rest.length ? 1e6 : Number(first);
const unknown = named.filter((name) => !Object.hasOwn(cases, name));
if (!Number.isInteger(count) || count < 1 || unknown.length > 0) {
  console.error(
    `accuracy: give a positive number of samples and names of functions; got ${process.argv.slice(2).join(" ")}; the functions are ${Object.keys(cases).join(", ")}`,
  );
  process.exit(2);
}
const dtypes: readonly FloatName[] = ["float32", "float64"];
const table = named.length > 0 ? named : Object.keys(cases);
let failed = false;
console.log(
  "Units in the last place of the exact value. A bound counts from the correctly rounded value: half a unit more from the exact one.\n",
);
console.log(`function   dtype    worst ulp   bound    points   at`);
for (const name of table) {
  const c = cases[name] as Case;
  for (const dtype of dtypes) {
    if (process.stderr.isTTY) process.stderr.write(`${name} ${dtype} …\r`);
    const { count: points, ulp, at, got } = worst(c, dtype, count);
    const bound = c.bound[dtype];
    const good = isWithin(ulp, bound);
    failed ||= !good;
    console.log(
      `${name.padEnd(10)} ${dtype}  ${ulp.toFixed(3).padStart(9)}   ${String(bound).padStart(5)}  ${String(points).padStart(8)}   ${name}(${at.join(", ")}) = ${got}${good ? "" : "   beyond its bound"}`,
    );
  }
}
process.exitCode = failed ? 1 : 0;
