/** Pictures by their first bytes: a file that is dropped may come without a type. */

/** How pictures begin that some browser shows: the text at a place. */
const STARTS: readonly (readonly [number, string])[] = [
  [0, '\xff\xd8\xff'],
  [0, '\x89PNG\r\n'],
  [0, 'GIF8'],
  [8, 'WEBP'],
  [4, 'ftypavif'],
  [4, 'ftypheic'],
  [4, 'ftypmif1'],
  [0, '\0\0\x01\0'],
  [0, '<svg'],
];

/** Bytes that `isPicture` looks at. */
export const HEAD_BYTES = 16;

/** Tells a picture by its first bytes. */
export function isPicture(head: Uint8Array): boolean {
  const text = String.fromCharCode(...head);
  // Two letters alone begin much else; the bytes behind the size are zero.
  const isBmp = text.startsWith('BM') && text.slice(6, 10) === '\0\0\0\0';
  return isBmp || STARTS.some(([at, start]) => text.startsWith(start, at));
}
