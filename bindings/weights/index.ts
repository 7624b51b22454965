/** Opens weights of any format that the project reads. */

import type { Format, WeightFile } from './format.js';
import { pytorch } from './pytorch.js';
import { safetensors } from './safetensors.js';
import { openSource, type WeightSource } from './source.js';
import { either, textStart } from './text.js';
import { tfjs } from './tfjs.js';

export { checkTensors } from './check.js';
export type { Dtype, NetworkHints, Piece, TensorInfo, WeightFile } from './format.js';
export type { WeightSource } from './source.js';

/** In the order of trial; told apart by content, since a stream has no name and names deceive. */
const FORMATS: readonly Format[] = [safetensors, pytorch, tfjs];

const HEAD_BYTES = 512;

/** What people have instead of weights, with the words for it. */
const IMPOSTORS: readonly { readonly is: (text: string) => boolean; readonly what: string }[] = [
  {
    is: (text) => text.startsWith('version https://git-lfs'),
    what: 'a Git LFS pointer ("git lfs pull" fetches the file itself)',
  },
  { is: (text) => text.startsWith('<'), what: 'an HTML or XML page' },
  { is: (text) => /^.HDF\r\n/.test(text), what: 'an HDF5 file, as Keras writes, which is not read yet' },
  { is: (text) => text === '', what: 'an empty file' },
];

/**
 * Reads what a weight file says of itself, up to its first value. Throws one sentence where it is not a weight file or
 * a damaged one, or the signal's reason when that aborts, now or while the pieces are read; the source is closed then.
 */
export async function openWeights(source: WeightSource, options: { signal?: AbortSignal } = {}): Promise<WeightFile> {
  const stream = await openSource(source, options.signal);
  try {
    const head = await stream.peek(HEAD_BYTES);
    const format = FORMATS.find(({ matches }) => matches(head));
    if (format) return await format.open(stream, options.signal);
    const text = textStart(head);
    const what = IMPOSTORS.find(({ is }) => is(text))?.what ?? 'something else';
    throw new Error(`${stream.name}: expected ${either(FORMATS.map(({ name }) => name))}, got ${what}.`);
  } catch (error) {
    await stream.close();
    throw error;
  }
}
