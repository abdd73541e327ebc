/** What caches go by: hashes and identities; and how they keep things. */

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
export const identity = (o: object): number => kept(identities, o, () => nextIdentity++);

/** True for objects that are compared by what they hold. */
export function isRecord(value: object): boolean {
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null;
}

/** A list or a record as text, the keys of a record sorted; `entry` writes what stands at an index or under a key. */
export const dataText = (x: object, entry: (value: unknown, key: string) => string): string =>
  Array.isArray(x)
    ? `[${x.map((v, i) => entry(v, `[${i}]`)).join()}]`
    : `{${Object.keys(x)
        .sort()
        .map((k) => `${JSON.stringify(k)}:${entry((x as Record<string, unknown>)[k], k)}`)
        .join()}}`;

/** What is kept under `key`, made where there is nothing yet. */
export function kept<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** Keeps a value as the youngest; the oldest makes room for it when there are `limit` others. */
export function keepAmong<K, V>(map: Map<K, V>, limit: number, key: K, value: V): void {
  map.delete(key);
  if (map.size >= limit) map.delete(map.keys().next().value as K);
  map.set(key, value);
}
