/** What a file says of its network, kept in the metadata of safetensors, which has no other place for it. */

import { shown } from '../util/messages.js';
import type { NetworkHints } from './types.js';

const PREFIX = 'resnet-wasm.';

/** How each hint is read from its text; undefined where it is not one. */
const READ: { readonly [Key in keyof NetworkHints]-?: (text: string) => NetworkHints[Key] } = {
  batchNormEps: (text) => (Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined),
  convBias: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
  stride: (text) => (text === 'conv1' || text === 'conv2' ? text : undefined),
};

export function hintsToMetadata(hints: NetworkHints): Record<string, string> {
  const given = Object.entries(hints).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [PREFIX + key, String(value)]));
}

/** Throws one sentence, `subject` first, where a hint is none. */
export function hintsFromMetadata(subject: string, metadata: Readonly<Record<string, string>>): NetworkHints {
  const hints: Record<string, unknown> = {};
  for (const [key, read] of Object.entries(READ)) {
    const text = Object.hasOwn(metadata, PREFIX + key) ? metadata[PREFIX + key] : undefined;
    if (text === undefined) continue;
    hints[key] = read(text);
    if (hints[key] === undefined) {
      throw new Error(`${subject}: expected ${PREFIX}${key} as this project writes it, got ${shown(text)}.`);
    }
  }
  return hints;
}
