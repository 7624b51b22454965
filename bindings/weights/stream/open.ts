/** Makes a stream of bytes, to peek at, read, abort and close, of whatever weights come from. */

import { ResnetError } from '../../../models/errors.js';
import { platform } from '../../platform/platform.js';
import { bytesOf } from '../../util/bytes.js';
import { label, shown } from '../../util/messages.js';
import { isA, isBlob } from '../../util/realm.js';
import { ByteStream } from './byte-stream.js';
import { randomBytes } from './random-access.js';
import type { ByteSource, OpenOptions, WeightSource } from './types.js';

/** Tells URLs from paths: an extension's or an app's own files have schemes of their own. */
const IS_URL = /^(blob:|file:|https?:|[a-z][a-z\d+.-]+:\/\/)/i;

/** Tells whether there is a Cache API; a sandboxed frame throws when it is asked. */
function hasCaches(): boolean {
  try {
    return typeof caches !== 'undefined';
  } catch {
    return false;
  }
}

/** Letters of a path in messages: somebody may have given a file's content in its place. */
const LONGEST_NAME = 250;

/** Opens a source. Rejects if it cannot be opened, or with the signal's reason. */
export async function openSource(source: WeightSource | ByteSource, options: OpenOptions = {}): Promise<ByteStream> {
  const { signal } = options;
  const stream = new ByteStream(await byteSourceOf(source, options), signal);
  signal?.throwIfAborted();
  return stream;
}

/** Finds what a source's bytes come from. Rejects as `openSource` does. */
export async function byteSourceOf(
  source: WeightSource | ByteSource,
  { signal, cache = true, headers, retry }: OpenOptions,
): Promise<ByteSource> {
  if (typeof source === 'string' || isA(source, 'URL')) {
    signal?.throwIfAborted();
    if (typeof source === 'string' && /^data:/i.test(source)) {
      return (await import('./http.js')).responseBytes(await fetch(source), 'weights');
    }
    const location = typeof source === 'string' && IS_URL.test(source) ? urlOf(source) : source;
    if (isA(location, 'URL') && location.protocol !== 'file:') {
      const isKept = cache && hasCaches() && /^https?:$/.test(location.protocol);
      if (isKept) return (await import('./browser-cache.js')).cachedBytes(location, { signal, headers, retry });
      return (await import('./http.js')).fetchBytes(location, signal, { headers, retry });
    }
    const file = await platform.openFile(location);
    return {
      name: label(String(source), LONGEST_NAME),
      total: file.total,
      base: location,
      chunks: file.chunks[Symbol.asyncIterator](),
      random: file.random?.bind(file),
    };
  }
  if (isA(source, 'ArrayBuffer', 'SharedArrayBuffer') || ArrayBuffer.isView(source)) {
    return arraySource('weights', bytesOf('weights', source));
  }
  if (isA(source, 'Response')) return (await import('./http.js')).responseBytes(source, source.url || 'weights');
  if (isBlob(source)) {
    // jsdom's have no streams.
    if (!source.stream) {
      return arraySource(
        'name' in source ? String(source.name) : 'weights',
        new Uint8Array(await source.arrayBuffer()),
      );
    }
    return (await import('./readable.js')).blobSource(source);
  }
  if (typeof source === 'object' && source !== null) {
    if ('chunks' in source) return source;
    if ('getReader' in source) return (await import('./readable.js')).streamSource('weights', source);
    if (Symbol.asyncIterator in source) return { name: 'weights', chunks: source[Symbol.asyncIterator]() };
  }
  throw new ResnetError(
    'argument',
    `weights: expected a path, URL, Response, Blob, stream, async iterable or bytes, got ${shown(source)}.`,
  );
}

function urlOf(text: string): URL {
  if (!URL.canParse(text)) throw new ResnetError('argument', `${label(text)}: this URL is malformed.`);
  return new URL(text);
}

function arraySource(name: string, bytes: Uint8Array): ByteSource {
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    yield bytes;
  }
  return { name, total: bytes.length, chunks: chunks(), random: () => randomBytes(bytes) };
}
