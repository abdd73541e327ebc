/** Hashes of what caches go by. */

/** A hash that takes `n` in. */
export const mix = (hash: number, n: number): number =>
  (Math.imul(hash ^ n, 0x9e3779b1) + 0x7f4a7c15) | 0;

export function textHash(s: string): number {
  let hash = s.length;
  for (let i = 0; i < s.length; i++) hash = mix(hash, s.charCodeAt(i));
  return hash;
}
