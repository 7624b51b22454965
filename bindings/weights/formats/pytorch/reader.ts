/**
 * PyTorch checkpoints: a pickle of tensors that look into storages, and the storages' values. Since PyTorch 1.6 these
 * are entries of a ZIP archive; before, pickles and storages lie one after the other. After
 * https://github.com/pytorch/pytorch/blob/main/torch/serialization.py.
 */

import type { Reader } from '../../types.js';
import { isZip } from '../sniff.js';
import { openArchive } from './archive.js';
import { openLegacy } from './legacy.js';

export const pytorch: Reader = {
  open: async (stream, { prefix }) =>
    isZip(await stream.peek(4)) ? openArchive(stream, prefix) : openLegacy(stream, prefix),
};
