/** What caches go by: hashes and identities. */
import { entry } from "./maps.ts";

/** A hash that takes `n` in. */
export const mix = (hash: number, n: number): number =>
  (Math.imul(hash ^ n, 0x9e3779b1) + 0x7f4a7c15) | 0;

export function textHash(s: string): number {
  let hash = s.length;
  for (let i = 0; i < s.length; i++) hash = mix(hash, s.charCodeAt(i));
  return hash;
}

const identities = new WeakMap<object, number>();
let nextIdentity = 0;
/** A number of an object's own. */
export const identity = (o: object): number => entry(identities, o, () => nextIdentity++);

/** True for plain objects, those of another realm (an iframe, a vm context) included: they are compared by what they hold. */
export function isRecord(value: object): boolean {
  const proto = Object.getPrototypeOf(value) as object | null;
  return (
    proto === Object.prototype ||
    proto === null ||
    (Object.getPrototypeOf(proto) === null && Object.hasOwn(proto, "hasOwnProperty"))
  );
}

/** A number as a key: maps and texts take −0 for 0. */
export const numberKey = (x: number): number | string => (Object.is(x, -0) ? "-0" : x);

/** Plain data as text, equal for equal data; functions count by identity.
 *  @param other  the text of a symbol, of an instance of a class or, with `inItself`, of an object that contains itself */
export function dataKey(
  x: unknown,
  other: (x: object | symbol, path: string, inItself: boolean) => string,
  path = "",
  above: readonly unknown[] = [],
): string {
  switch (typeof x) {
    case "string":
      return JSON.stringify(x);
    case "bigint":
      return `${x}n`;
    case "function":
      return `function#${identity(x)}`;
    case "symbol":
      return other(x, path, false);
    case "object": {
      if (x === null) break;
      const inItself = above.includes(x);
      const isList = Array.isArray(x);
      if (inItself || !(isList || isRecord(x))) return other(x, path, inItself);
      const inside = [...above, x];
      if (isList) return `[${x.map((v, i) => dataKey(v, other, `${path}[${i}]`, inside)).join()}]`;
      const value = (k: string): unknown => (x as Record<string, unknown>)[k];
      const keys = Object.keys(x).sort();
      return `{${keys.map((k) => `${JSON.stringify(k)}:${dataKey(value(k), other, `${path}.${k}`, inside)}`).join()}}`;
    }
  }
  return String(typeof x === "number" ? numberKey(x) : x);
}
