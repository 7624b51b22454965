/** A wasm binary from a Response. */

import { ResnetError } from '../../models/errors.js';

/** The bytes of a binary that a Response holds. Throws one sentence where it holds none, or none any more. */
export async function wasmBytes(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  const { ok, status, bodyUsed } = response;
  if (!ok || bodyUsed) {
    throw new ResnetError(
      'argument',
      `wasm: expected a response of status 2xx, not yet read, got ${ok ? 'one read before' : status}.`,
    );
  }
  return new Uint8Array(await response.arrayBuffer());
}
