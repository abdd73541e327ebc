/** `npm run soak`: a synchronous loop of 20,000 jitted steps on 4 MB of parameters with nothing disposed, and the
 *  same eagerly; prints the largest resident set. Fails above 600 MB. */
import { SingleBar } from "cli-progress";
import { jit, np, type NDArray } from "../../index.ts";

const steps = Number(process.argv[2] ?? 20_000);
const limit = 600;
const megabytes = (): number => process.memoryUsage().rss / 2 ** 20;

/** Runs `step` in one synchronous stretch: no task ends, so no finalizer runs. */
function soak(name: string, step: (p: NDArray) => NDArray): number {
  const bar = new SingleBar({
    format: `${name} [{bar}] {value}/{total} · {rss} MB`,
    noTTYOutput: false,
  });
  bar.start(steps, 0, { rss: 0 });
  let params = np.zeros([1 << 20]);
  let peak = 0;
  for (let i = 0; i < steps; i++) {
    params = step(params);
    if (i % 50 === 0) {
      peak = Math.max(peak, megabytes());
      if (i % 1000 === 0) bar.update(i, { rss: peak.toFixed(0) });
    }
  }
  bar.update(steps, { rss: peak.toFixed(0) });
  bar.stop();
  const expected = steps * 0.5;
  const got = params.get(0).item();
  if (got !== expected) throw new Error(`soak: ${name} ended at ${got}, not ${expected}`);
  console.log(`${name}: ${steps} steps, maximum resident set ${peak.toFixed(0)} MB`);
  return peak;
}

const step = (p: NDArray): NDArray => p.add(0.5);
const peaks = [soak("jitted", jit(step)), soak("eager", step)];
if (Math.max(...peaks) > limit) {
  console.error(
    `soak: the resident set must stay under ${limit} MB; got ${Math.max(...peaks).toFixed(0)} MB`,
  );
  process.exit(1);
}
