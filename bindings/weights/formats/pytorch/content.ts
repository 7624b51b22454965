/** What both ways to read an archive share: its names, and its pickle. */

import { ResnetError } from '../../../../models/errors.js';
import { either, shown } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import { Checkpoint, type Storage } from './checkpoint.js';
import { impostorOf } from './impostors.js';
import { unpickle } from './pickle.js';
import { findStateDict, type StateDict } from './state-dict.js';
import { type Read, readsOf } from './storage.js';

export const PICKLE = 'data.pkl';
export const STORAGES = 'data/';
export const BYTE_ORDER = 'byteorder';
/** Bytes of its content, at most. */
export const ORDER_BYTES = 16;

export interface Content {
  readonly dict: StateDict;
  /** Tensors by the keys of the storages that they look into. */
  readonly reads: ReadonlyMap<string, Read[]>;
  /** All that the pickle names, in its order. */
  readonly storages: ReadonlyMap<string, Storage>;
}

/** Reads data.pkl, at which `bytes` is. */
export async function readContent(name: string, bytes: ByteStream, prefix?: string): Promise<Content> {
  const subject = `${name}: ${PICKLE}`;
  const checkpoint = new Checkpoint(subject);
  const dict = findStateDict(subject, await unpickle(bytes, subject, checkpoint), prefix);
  return { dict, reads: readsOf(dict.views), storages: checkpoint.storages };
}

/** The storage of tensors that share one. */
export const storageOf = (reads: readonly Read[]): Storage => (reads[0] as Read).view.storage;

/** Whether values have the high byte first, as the entry `byteorder` says. */
export function isBig(name: string, content: Uint8Array): boolean {
  const order = new TextDecoder().decode(content);
  if (/^(little|big)$/.test(order)) return order === 'big';
  throw new ResnetError('weights', `${name}: ${BYTE_ORDER}: expected little or big, got ${shown(order)}.`);
}

/** The part of a name after the folder that the pickle is in. */
export const within = (root: string, name: string): string => (name.startsWith(root) ? name.slice(root.length) : '');

export const isPickle = (name: string): boolean => name === PICKLE || name.endsWith(`/${PICKLE}`);

/** Throws one sentence if an archive with these entries is one that people have instead of a checkpoint. */
export function refuseImpostor(name: string, entries: readonly string[]): void {
  const what = entries.map(impostorOf).find((each) => each !== undefined);
  if (what) throw new ResnetError('weights', `${name}: expected a PyTorch checkpoint, got ${what}.`);
}

export function withoutPickle(name: string, entries: readonly string[]): Error {
  const got = entries.length > 0 ? `one of ${either(entries.slice(0, 3).map(shown))}` : 'an empty one';
  return new ResnetError(
    'weights',
    `${name}: expected a ZIP archive of PyTorch, which has ${PICKLE} in it, got ${got}.`,
  );
}
