/** Which backends there are, and which one runs things now. */
import { BackendError, fail } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { wasmBackend } from "./wasm/backend.ts";

const backends = new Map<string, Backend>([["wasm", wasmBackend]]);
let active: Backend = wasmBackend;

const named = (op: string, name: string): Backend =>
  backends.get(name) ??
  fail(
    BackendError,
    op,
    `the backend must be one of ${[...backends.keys()].join(", ")}`,
    `"${name}"`,
    name === "reference"
      ? 'import "cotangent/reference" first'
      : "choose one of these, or register it with registerBackend",
  );

/** Makes a backend known by its name. */
export function registerBackend(backend: Backend): void {
  backends.set(backend.name, backend);
}
/** The backend on which arrays are made and programs run from now on: "wasm" (default), "reference" once
 *  `cotangent/reference` is imported, or one of your own. */
export function setBackend(name: string): void {
  active = named("setBackend", name);
}
export const activeBackend = (): Backend => active;

/** Runs `f` with another backend, then returns to the present one.
 *  @example withBackend("reference", () => np.add(1, 2).item())  // => 3 */
export function withBackend<T>(name: string, f: () => T): T {
  const saved = active;
  active = named("withBackend", name);
  try {
    return f();
  } finally {
    active = saved;
  }
}
