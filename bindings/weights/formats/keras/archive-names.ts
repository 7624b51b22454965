/** What is in a .keras archive, by which it is told from other ZIP archives. */

import { LOCAL_BYTES, u16 } from '../zip/fields.js';

export const CONFIG = 'config.json';
export const METADATA = 'metadata.json';
export const WEIGHTS = 'model.weights.h5';
const ASSETS = 'assets/';

/** Bytes of a first entry's header with the longest of its names. */
export const HEADER_BYTES = LOCAL_BYTES + WEIGHTS.length;

/** Whether a ZIP archive is Keras's: by its first entry's name. */
export function isKerasArchive(head: Uint8Array): boolean {
  const name = new TextDecoder().decode(head.subarray(LOCAL_BYTES, LOCAL_BYTES + u16(head, 26)));
  return [CONFIG, METADATA, WEIGHTS].includes(name) || name.startsWith(ASSETS);
}
