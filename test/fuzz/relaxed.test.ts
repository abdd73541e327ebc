/** The same with relaxed vector instructions, which the engine is told to have before the library asks for them. */
import { setFlagsFromString } from "node:v8";
import { expect, it } from "vitest";

it("programs give the same with fused multiply-add", async () => {
  // engines that need no flag for them know none
  if (Number.parseInt(process.versions.v8, 10) < 12)
    setFlagsFromString("--experimental-wasm-relaxed-simd");
  const { canFuse } = await import("../../core/backend/wasm/contract/element.ts");
  expect(canFuse).toBe(true);
  const { compareRandomPrograms } = await import("./programs.ts");
  compareRandomPrograms();
}, 3_600_000);
