/** The library's errors. Every message reads `op: requirement; got values; remedy.` */

/** Base of all errors thrown on purpose by the library. */
export class CotangentError extends Error {
  override get name(): string {
    return "CotangentError";
  }
}
/** Names are written out because minifiers change those of classes. */
const named = <N extends string>(name: N) =>
  class extends CotangentError {
    override get name(): N {
      return name;
    }
  };
/** Shapes, axes, sizes or indices do not fit. */
export class ShapeError extends named("ShapeError") {}
/** A dtype is unknown or does not fit the operation. */
export class DTypeError extends named("DTypeError") {}
/** A pytree has the wrong structure; the message names the path. */
export class TreeError extends named("TreeError") {}
/** A traced value was used where a concrete one is needed, or outside its trace. */
export class TraceError extends named("TraceError") {}
/** A primitive has no rule for the requested transform; the message gives the reason. */
export class RuleError extends named("RuleError") {}
/** A backend cannot do what was asked: unknown name, out of memory, invalid module. */
export class BackendError extends named("BackendError") {}

type ErrorClass = new (message: string) => CotangentError;

/** Throws `op: requirement; got values; remedy.` */
export function fail(
  kind: ErrorClass,
  op: string,
  requirement: string,
  got: unknown,
  remedy: string,
): never {
  throw new kind(`${op}: ${requirement}; got ${got}; ${remedy}.`);
}

/** Refuses an array that gave its memory away. */
export const failGone = (got: unknown): never =>
  fail(
    BackendError,
    "array",
    "an array must not be used after it is disposed or donated",
    got,
    "keep it, or use the result that replaced it",
  );

/** The first stack frame outside the library, as `file:line:column` after `before`, or "" where the engine gives no stack. */
export function userFrame(before: string): string {
  // nested transforms are deeper than the usual ten frames
  const engine = Error as { stackTraceLimit?: number | undefined };
  const limit = engine.stackTraceLimit;
  engine.stackTraceLimit = 100;
  const { stack } = new Error();
  engine.stackTraceLimit = limit;
  if (stack === undefined) return "";
  const here = import.meta.url.replace(/^file:\/\/|core\/errors\.[jt]s.*$/g, "");
  for (const line of stack.split("\n").slice(1)) {
    const at = /(?:file:\/\/)?((?:\w+:\/)?\/[^)\s]+)\)?$/.exec(line.trim())?.[1];
    if (at === undefined || at.includes("/node_modules/")) continue;
    const inside = at.startsWith(here) ? at.slice(here.length) : "";
    if (!/^((core|transforms|nn|optim)\/|index\.)/.test(inside)) return before + at;
  }
  return "";
}
