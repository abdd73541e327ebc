/** `npm run accuracy -- [SAMPLES]`: the worst error of each elementary function of float32, over 10⁶ points by default. Fails where
 *  one is beyond its bound. */
import { cases, samples, worst } from "./functions.ts";

const count = Number(process.argv[2] ?? 1e6);
if (!Number.isInteger(count) || count < 1) {
  console.error(
    `accuracy: the number of samples must be a positive integer; got ${process.argv[2]}`,
  );
  process.exit(2);
}
const xs = samples(count);
let failed = false;
console.log(`function   dtype    worst ulp   bound   at        (${count} points)`);
for (const [name, c] of Object.entries(cases)) {
  const { ulp, at } = worst(c, xs);
  failed ||= ulp > c.bound;
  console.log(
    `${name.padEnd(10)} float32  ${String(ulp).padStart(9)}   ${String(c.bound).padStart(5)}   ${at}${ulp > c.bound ? "   beyond its bound" : ""}`,
  );
}
process.exitCode = failed ? 1 : 0;
