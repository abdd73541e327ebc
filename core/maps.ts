/** Maps that fill themselves, and such as forget. */

/** The value at a key, made and put there the first time. */
export function entry<K, V>(
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

/** Numbers things 0, 1, … in the order in which they are first met. */
export function numbering<K>(): (key: K) => number {
  const known = new Map<K, number>();
  return (key) => entry(known, key, () => known.size);
}

/** Keeps a value as the youngest; the oldest makes room for it when there are `limit` others. */
export function keepAmong<K, V>(map: Map<K, V>, limit: number, key: K, value: V): V {
  map.delete(key);
  if (map.size >= limit) map.delete(map.keys().next().value as K);
  map.set(key, value);
  return value;
}
