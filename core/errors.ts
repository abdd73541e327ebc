/** The library's errors. Every message reads `op: requirement; got values; remedy.` */

/** Base of all errors thrown on purpose by the library. */
export class CotangentError extends Error {
  override readonly name: string = "CotangentError";
}
/** Shapes, axes, sizes or indices do not fit. */
export class ShapeError extends CotangentError {
  override readonly name = "ShapeError";
}
/** A dtype is unknown or does not fit the operation. */
export class DTypeError extends CotangentError {
  override readonly name = "DTypeError";
}
/** A pytree has the wrong structure; the message names the path. */
export class TreeError extends CotangentError {
  override readonly name = "TreeError";
}
/** A traced value was used where a concrete one is needed, or outside its trace. */
export class TraceError extends CotangentError {
  override readonly name = "TraceError";
}
/** A primitive has no rule for the requested transform; the message gives the reason. */
export class RuleError extends CotangentError {
  override readonly name = "RuleError";
}
/** A backend cannot do what was asked: unknown name, out of memory, invalid module. */
export class BackendError extends CotangentError {
  override readonly name = "BackendError";
}

type ErrorClass = new (message: string) => CotangentError;

/** Throws `op: requirement; got values; remedy.` */
export function fail(
  kind: ErrorClass,
  op: string,
  requirement: string,
  got: string,
  remedy: string,
): never {
  throw new kind(`${op}: ${requirement}; got ${got}; ${remedy}.`);
}

/** The first stack frame outside the library, as `file:line:column`, or "" where the engine gives no stack. */
export function userFrame(): string {
  // nested transforms are deeper than the usual ten frames
  const engine = Error as { stackTraceLimit?: number };
  const limit = engine.stackTraceLimit;
  engine.stackTraceLimit = 100;
  const { stack } = new Error();
  if (limit !== undefined) engine.stackTraceLimit = limit;
  if (stack === undefined) return "";
  const here = import.meta.url.replace(/core\/errors\.[jt]s.*$/, "");
  const inside = ["core/", "transforms/", "nn/", "optim/", "index."].map((folder) => here + folder);
  for (const line of stack.split("\n").slice(1)) {
    const at = /\(?((?:file|https?):\/\/[^)\s]+|\/[^)\s]+)\)?$/.exec(line.trim());
    const raw = at?.[1];
    if (raw === undefined) continue;
    const url = raw.startsWith("/") ? `file://${raw}` : raw;
    if (inside.some((prefix) => url.startsWith(prefix)) || url.includes("/node_modules/")) continue;
    return raw.replace(/^file:\/\//, "");
  }
  return "";
}
