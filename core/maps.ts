/** Maps that fill themselves. */

/** The value at a key, made and put there the first time. */
export function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
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
