/** Hashes of texts. */

const UTF8 = new TextEncoder();

/** Makes a whole number below 2^32 of a text: FNV-1a over its UTF-8 bytes. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of UTF8.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
