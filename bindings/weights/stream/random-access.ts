/** Bytes of memory at any place, without waiting: what HDF5 needs. */

import type { RandomBytes } from '../../platform/types.js';

/** Reads the bytes of an array. */
export const randomBytes = (bytes: Uint8Array): RandomBytes => ({
  read(begin, into) {
    const part = bytes.subarray(begin, begin + into.length);
    into.set(part);
    return part.length;
  },
  close() {},
});
