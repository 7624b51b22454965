/** Streams weights through a message port, from a page, which holds the stream, to a worker, which reads it. */

import type { ByteSource } from '../weights/stream/types.js';
import { type PostedError, posted, restored } from './errors.js';
import type { PortSource } from './protocol.js';

type Reply = { readonly chunk: Uint8Array | undefined } | { readonly error: PostedError };

/**
 * Serves the source's chunks over `port`, one per request. Returns a function that cancels the source if it was not read
 * to the end.
 */
export function serveStream({ chunks }: ByteSource, port: MessagePort): () => Promise<void> {
  let isOver = false;
  const release = async (): Promise<void> => {
    port.close();
    if (isOver) return;
    isOver = true;
    try {
      await chunks.return?.();
    } catch {
      // The reason concerns bytes that nobody reads any more.
    }
  };
  port.onmessage = async ({ data }: MessageEvent<'next' | 'return'>) => {
    if (data === 'return') return release();
    try {
      const { done, value } = await chunks.next();
      isOver ||= done === true;
      // The source may use the chunk's memory for the next one, so a copy is transferred.
      const chunk = done ? undefined : new Uint8Array(value);
      port.postMessage({ chunk } satisfies Reply, chunk ? [chunk.buffer] : []);
    } catch (reason) {
      isOver = true;
      port.postMessage({ error: posted(reason) } satisfies Reply);
    }
  };
  return release;
}

/** Reads the stream that `serveStream` serves at the other end of the port. */
export function streamFromPort({ name, total, base, port }: PortSource): ByteSource {
  return {
    name,
    total,
    base: base === undefined ? undefined : new URL(base),
    chunks: {
      next: () =>
        new Promise((resolve, reject) => {
          port.onmessage = ({ data }: MessageEvent<Reply>) => {
            if ('error' in data) reject(restored(data.error));
            else resolve(data.chunk ? { done: false, value: data.chunk } : { done: true, value: undefined });
          };
          port.postMessage('next');
        }),
      return: async () => {
        port.postMessage('return');
        return { done: true, value: undefined };
      },
    },
  };
}
