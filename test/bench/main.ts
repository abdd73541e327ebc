/** `npm run bench -- [--json] [NAME …]`: times the shared workloads. With --json one line for each,
 *  {"peer":"cotangent","name","ms","first_ms"}: ms is the median of 12 steps after two, first_ms the first call:
 *  trace, compile, run. */
import { workloads } from "./workloads.ts";

const args = process.argv.slice(2);
const json = args.includes("--json");
const names = args.filter((a) => !a.startsWith("--"));
const unknown = names.filter((n) => !(n in workloads));
if (unknown.length > 0) {
  console.error(
    `bench: workloads are ${Object.keys(workloads).join(", ")}; got ${unknown.join(", ")}`,
  );
  process.exit(2);
}

const rounds = 12;
const median = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[times.length >> 1] as number;

for (const name of names.length > 0 ? names : Object.keys(workloads)) {
  const step = (workloads[name] as () => () => Promise<unknown>)();
  const start = performance.now();
  await step();
  const first = performance.now() - start;
  await step();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const t = performance.now();
    await step();
    times.push(performance.now() - t);
  }
  const ms = median(times);
  if (json)
    console.log(
      JSON.stringify({ peer: "cotangent", name, ms: +ms.toFixed(3), first_ms: +first.toFixed(1) }),
    );
  else
    console.log(
      `${name.padEnd(12)} ${ms.toFixed(2).padStart(9)} ms a step, ${first.toFixed(0).padStart(6)} ms the first`,
    );
}
