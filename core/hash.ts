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

/** A list or a record as text, the keys of a record sorted; `show` writes what stands at an index or under a key. */
export const dataText = (x: object, show: (value: unknown, key: string) => string): string =>
  Array.isArray(x)
    ? `[${x.map((v, i) => show(v, `[${i}]`)).join()}]`
    : `{${Object.keys(x)
        .sort()
        .map((k) => `${JSON.stringify(k)}:${show((x as Record<string, unknown>)[k], k)}`)
        .join()}}`;
