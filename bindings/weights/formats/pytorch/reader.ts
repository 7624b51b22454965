/**
 * PyTorch checkpoints: a pickle of tensors that look into storages, and the storages' values. Since PyTorch 1.6 these
 * are entries of a ZIP archive; before, pickles and storages lie one after the other. After
 * https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
 */

import type { Reader } from '../../types.js';
import { HEADER_BYTES, isKerasArchive } from '../keras/archive-names.js';
import { isZip } from '../sniff.js';
import { openArchive } from './archive.js';
import { openLegacy } from './legacy.js';

export const pytorch: Reader = {
  async open(stream, context) {
    if (!isZip(await stream.peek(4))) return openLegacy(stream, context.prefix);
    // Keras has archives, too, which the first bytes do not tell apart.
    if (isKerasArchive(await stream.peek(HEADER_BYTES))) {
      return (await import('../keras/archive.js')).kerasArchive.open(stream, context);
    }
    return openArchive(stream, context.prefix);
  },
};
