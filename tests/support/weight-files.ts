/** Weight files made by code, and sources that are as unkind to their readers as they are allowed to be. */

import * as assert from 'uvu/assert';
import { type Platform, platform, usePlatform } from '../../bindings/platform/platform.js';
import { openWeights, type WeightSource } from '../../bindings/weights/open.js';
import { randomBytes } from '../../bindings/weights/stream/random-access.js';
import type { Piece, WeightFile } from '../../bindings/weights/types.js';

export interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `count` bytes that differ from place to place. */
export const pattern = (count: number, seed = 0): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: count }, (_, i) => (i * 31 + (i >> 8) * 7 + seed * 101 + 1) & 0xff);

export function u64(value: bigint | number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/** A file of any header, sensible or not. */
export function rawSafetensors(header: unknown, data: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const json = utf8(typeof header === 'string' ? header : JSON.stringify(header));
  return concat(u64(json.length), json, data);
}

/** Data in the order of `entries`; the header names them in the opposite one. */
export function safetensorsFile(entries: Entry[], metadata?: Record<string, string>): Uint8Array<ArrayBuffer> {
  const header: [string, unknown][] = metadata ? [['__metadata__', metadata]] : [];
  let at = 0;
  for (const { name, dtype, shape, bytes } of entries) {
    header.unshift([name, { dtype, shape, data_offsets: [at, at + bytes.length] }]);
    at += bytes.length;
  }
  return rawSafetensors(Object.fromEntries(header), concat(...entries.map(({ bytes }) => bytes)));
}

/** Chunks of the given sizes, in turn, in one buffer that each next chunk overwrites. */
export async function* hostileChunks(
  bytes: Uint8Array,
  sizes: readonly number[],
  onClose: () => void = () => {},
  onOpen: () => void = () => {},
): AsyncGenerator<Uint8Array, void> {
  const buffer = new Uint8Array(Math.max(...sizes));
  onOpen();
  try {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const part = bytes.subarray(at, at + (sizes[i % sizes.length] ?? 1));
      buffer.fill(0xee);
      buffer.set(part);
      yield buffer.subarray(0, part.length);
      buffer.fill(0xdd);
      at += part.length;
    }
  } finally {
    onClose();
  }
}

export interface Files {
  readonly opened: string[];
  readonly closed: string[];
  restore(): void;
}

/** A file system of these files, by path or file: URL; a file counts as opened from its first read. */
export function memoryFiles(files: Record<string, Uint8Array>, sizes: readonly number[] = [1, 13, 5]): Files {
  const before: Platform = platform;
  const [opened, closed]: [string[], string[]] = [[], []];
  usePlatform({
    ...before,
    async openFile(path) {
      const key = String(path);
      const bytes = files[key];
      if (!bytes) throw new Error(`${key}: expected a file, got none.`);
      const [onOpen, onClose] = [() => opened.push(key), () => closed.push(key)];
      const random = () => {
        onOpen();
        return { ...randomBytes(bytes), close: onClose };
      };
      return { total: bytes.length, chunks: hostileChunks(bytes, sizes, onClose, onOpen), random };
    },
  });
  return { opened, closed, restore: () => usePlatform(before) };
}

/** Runs `action` where these files are all that there are, and sees to it that it closes what it opened. */
export async function withFiles<T>(files: Record<string, Uint8Array>, action: () => Promise<T>): Promise<T> {
  const memory = memoryFiles(files);
  try {
    const result = await action();
    assert.equal(memory.closed.toSorted(), memory.opened.toSorted(), 'a file stayed open');
    return result;
  } finally {
    memory.restore();
  }
}

/** All that a source of weights holds. */
export const read = async (source: WeightSource): Promise<Entry[]> => readAll(await openWeights(source));

/** All pieces, put together tensor by tensor. */
export async function readAll(file: WeightFile): Promise<Entry[]> {
  const entries: { tensor: Piece['tensor']; parts: Uint8Array[] }[] = [];
  let loaded = 0;
  for await (const { tensor, bytes } of file.pieces()) {
    assert.ok(bytes.length > 0);
    if (entries.at(-1)?.tensor !== tensor) entries.push({ tensor, parts: [] });
    entries.at(-1)?.parts.push(bytes.slice());
    loaded += bytes.length;
  }
  assert.is(loaded, file.total);
  return entries.map(({ tensor: { name, dtype, shape }, parts }) => ({
    name,
    dtype,
    shape: [...shape],
    bytes: concat(...parts),
  }));
}

/** The message of the error that `action` ends with: one sentence on one line. */
export async function failure(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    assert.ok(error instanceof Error, `expected an Error, got ${String(error)}`);
    assert.match(error.message, /^[^\n]+: [^\n]+\.$/);
    return error.message;
  }
  throw new Error('expected an error, got none.');
}

/** What `action` rejects with. */
export async function rejection(action: Promise<unknown>): Promise<unknown> {
  return action.then(
    () => {
      throw new Error('expected a rejection, got none.');
    },
    (reason: unknown) => reason,
  );
}
