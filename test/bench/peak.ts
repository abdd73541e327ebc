/** `npm run peak`: the most device memory that 20 training steps use against what the compiled program says it
 *  holds. Fails where that is over 1.5 times the plan and 64 MB. One process a workload: a peak is never forgotten. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { wasmBackend } from "../../core/backend/wasm/backend.ts";
import { training } from "./workloads.ts";

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
const name = process.argv[2];

if (name === undefined) {
  for (const workload of Object.keys(training)) {
    const child = [fileURLToPath(import.meta.url), workload];
    if (spawnSync(process.execPath, child, { stdio: "inherit" }).status !== 0) process.exitCode = 1;
  }
} else {
  const step = training[name as keyof typeof training]();
  const { peakBytes } = step.lower();
  for (let i = 0; i < 20; i++) await step();
  const { peak } = wasmBackend.memory();
  const limit = 1.5 * peakBytes + 64e6;
  console.log(
    `${name.padEnd(4)} program ${megabytes(peakBytes)} MB, used ${megabytes(peak)} MB, limit ${megabytes(limit)} MB`,
  );
  if (peak > limit) process.exitCode = 1;
}
