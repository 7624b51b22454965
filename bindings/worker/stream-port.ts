/** Weights that come through a message port: from a page, which holds the stream, to a worker, which reads it. */

import type { ByteSource } from '../weights/stream/types.js';
import type { PortSource } from './protocol.js';

type Reply = { readonly chunk: Uint8Array | undefined } | { readonly message: string };

/**
 * Gives an origin's chunks to who asks at the other end of `port`. What it returns lets go of an origin that is not at its
 * end, for when nobody asks any more.
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
      // Whatever it is, it concerns bytes that nobody wants any more.
    }
  };
  port.onmessage = async ({ data }: MessageEvent<'next' | 'return'>) => {
    if (data === 'return') return release();
    try {
      const { done, value } = await chunks.next();
      isOver ||= done === true;
      // The source may use its chunk's memory again.
      const chunk = done ? undefined : new Uint8Array(value);
      port.postMessage({ chunk } satisfies Reply, chunk ? [chunk.buffer] : []);
    } catch (reason) {
      isOver = true;
      port.postMessage({ message: String((reason as Error).message ?? reason) } satisfies Reply);
    }
  };
  return release;
}

/** The other end. */
export function streamFromPort({ name, total, base, port }: PortSource): ByteSource {
  return {
    name,
    total,
    base: base === undefined ? undefined : new URL(base),
    chunks: {
      next: () =>
        new Promise((resolve, reject) => {
          port.onmessage = ({ data }: MessageEvent<Reply>) => {
            if ('message' in data) reject(new Error(data.message));
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
