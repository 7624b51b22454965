/** What a file says of its network, kept in the metadata of safetensors, which has no other place for it. */

import { shown } from '../util/messages.js';
import type { ArchConfig } from './types.js';

const PREFIX = 'resnet-wasm.';

/** Reads each entry from its text; undefined if it is not one. */
const READ: { readonly [Key in keyof ArchConfig]-?: (text: string) => ArchConfig[Key] } = {
  batchNormEps: (text) => (Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined),
  convBias: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
  strideIn: (text) => (text === 'conv1' || text === 'conv2' ? text : undefined),
};

/** What 0.1 wrote. */
const OLD_NAMES: Readonly<Record<string, readonly string[]>> = { strideIn: ['stride'] };

export function configToMetadata(config: ArchConfig): Record<string, string> {
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [PREFIX + key, String(value)]));
}

/** Throws one sentence, `subject` first, where a hint is none. */
export function configFromMetadata(subject: string, metadata: Readonly<Record<string, string>>): ArchConfig {
  const config: Record<string, unknown> = {};
  for (const [key, read] of Object.entries(READ)) {
    const name = [key, ...(OLD_NAMES[key] ?? [])]
      .map((each) => PREFIX + each)
      .find((each) => Object.hasOwn(metadata, each));
    const text = name === undefined ? undefined : metadata[name];
    if (text === undefined) continue;
    config[key] = read(text);
    if (config[key] === undefined) {
      throw new Error(`${subject}: expected ${name} as this project writes it, got ${shown(text)}.`);
    }
  }
  return config;
}
