/** Bytes over HTTP. The place for whatever a request needs: ranges, retries, headers. */

import type { Origin } from './source.js';

/** Requests a URL. Throws one sentence, with the URL first, where no answer of status 2xx comes. */
export async function fetchBytes(url: URL, signal: AbortSignal | undefined): Promise<Origin> {
  let response: Response;
  try {
    response = await fetch(url, { signal: signal ?? null });
  } catch (cause) {
    signal?.throwIfAborted();
    const { message, cause: reason } = cause as Error;
    throw new Error(`${url}: expected an answer, got ${reason instanceof Error ? reason.message : message}.`, {
      cause,
    });
  }
  return { ...responseBytes(response, url.href), base: url };
}

/** The body of a response of status 2xx. */
export function responseBytes(response: Response, name: string): Origin {
  if (!response.ok) {
    // Unread, the body would hold its connection.
    response.body?.cancel().catch(() => {});
    throw new Error(`${name}: expected status 2xx, got ${`${response.status} ${response.statusText}`.trim()}.`);
  }
  if (response.bodyUsed || response.body?.locked) {
    throw new TypeError(`${name}: expected a response that nobody has read, got one that is read already.`);
  }
  const total = contentLength(response);
  const reader = response.body?.getReader();
  let received = 0;
  const chunks: AsyncIterator<Uint8Array> = {
    async next() {
      if (!reader) return { done: true, value: undefined };
      try {
        const result = await reader.read();
        if (result.done) return { done: true, value: undefined };
        received += result.value.length;
        return result;
      } catch (cause) {
        throw new Error(`${name}: expected ${total ?? 'more'} bytes, got a broken connection after ${received}.`, {
          cause,
        });
      }
    },
    async return(reason) {
      await reader?.cancel(reason);
      return { done: true, value: undefined };
    },
  };
  return { name, total, base: response.url ? new URL(response.url) : undefined, chunks };
}

/**
 * Bytes of the body, where the headers surely tell: Content-Length counts the encoded bytes, and whether a response
 * from another origin is encoded is a header that browsers may hide.
 */
function contentLength({ headers, type }: Response): number | undefined {
  const length = headers.get('content-length');
  if (type === 'cors' || headers.get('content-encoding') || !length || !/^\d{1,15}$/.test(length)) return undefined;
  return Number(length);
}
