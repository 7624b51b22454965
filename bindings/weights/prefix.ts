/** The tensors of a file whose names begin in one way. */

import { ResnetError } from '../../models/errors.js';
import { shown } from '../util/messages.js';
import { someOf } from './closest-network.js';
import { withTensors } from './exact.js';
import type { TensorInfo, WeightFile } from './types.js';

/**
 * Leaves those tensors of a file whose names begin with `prefix`, which is cut off. It may be, or begin with, the key under
 * which a checkpoint has them. Throws if there are none.
 */
export function withPrefix(file: WeightFile, prefix: string): WeightFile {
  const { key = '', others = [], skipped = [] } = file.selection ?? {};
  const start = dotted(withinKey(prefix, key));
  const rest = (name: string): string[] =>
    name.startsWith(start) && name.length > start.length ? [name.slice(start.length)] : [];
  const kept = file.tensors.flatMap((tensor) =>
    rest(tensor.name).map((name): [TensorInfo, TensorInfo] => [tensor, { ...tensor, name }]),
  );
  if (kept.length === 0) {
    const names = someOf(file.tensors.map(({ name }) => name));
    const keys = [key, ...others].filter((each) => each !== '');
    const more = keys.length > 0 ? ` under ${keys.map(shown).join(', ')}` : '';
    throw new ResnetError(
      'weights',
      `prefix: expected what tensors' names begin with, got ${shown(prefix)}; the file has ${names}${more}.`,
    );
  }
  const selection = { key, others, skipped: skipped.flatMap(rest), prefix };
  return { ...withTensors(file, new Map(kept)), selection };
}

const dotted = (prefix: string): string => (prefix === '' || prefix.endsWith('.') ? prefix : `${prefix}.`);

/** The part of a prefix behind the key of what was read. */
function withinKey(prefix: string, key: string): string {
  const start = dotted(key);
  return start !== '' && dotted(prefix).startsWith(start) ? dotted(prefix).slice(start.length) : prefix;
}
