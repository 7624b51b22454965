/** Bytes over HTTP: requested again if a connection breaks, a server is busy, or nothing comes any more. */

import { ResnetError } from '../../../models/errors.js';
import { label } from '../../util/messages.js';
import { isError } from '../../util/realm.js';
import { type ByteReader, byteReader } from './byte-reader.js';
import type { ByteSource, RetryOptions } from './types.js';

const RETRY: Required<RetryOptions> = {
  attempts: 5,
  requests: 100,
  delay: (n) => 250 * 2 ** n,
  longest: 60_000,
  silence: 60_000,
};

/** Retryable statuses. */
const BUSY = [408, 425, 429, 500, 502, 503, 504];

/** Codes of Node's errors that a retry does not help. Browsers do not tell. */
const PERMANENT = /^(ENOTFOUND|ECONNREFUSED|ERR_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO)/;

/** What tells one version of a file from another. */
export interface FileVersion {
  readonly etag: string | null;
  readonly modified: string | null;
}

/** Bytes of a file that an earlier download brought. */
export interface PartialDownload extends FileVersion {
  readonly received: number;
}

interface FetchOptions {
  readonly begun?: PartialDownload | undefined;
  /** Of the browser's own cache. */
  readonly cache?: RequestCache;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly retry?: RetryOptions | undefined;
}

export interface Fetched extends ByteSource {
  /** The place of the first byte that comes: after those of `begun`, or 0 if the file is another now. */
  readonly begin: number;
  /** What a later download can go on from; undefined if it cannot. */
  readonly version: FileVersion | undefined;
}

/**
 * Requests a URL; redirects are followed. A download that breaks off goes on at the same byte of the same version of the
 * file; so does one that `begun` tells of. Rejects, with the URL first, if no answer of status 2xx comes in the end.
 */
export async function fetchBytes(
  url: URL,
  signal: AbortSignal | undefined,
  { begun, cache = 'default', headers = {}, retry }: FetchOptions = {},
): Promise<Fetched> {
  const download = new Download(url, signal, { cache, headers }, { ...RETRY, ...retry });
  const { total, begin, version } = await download.start(begun);
  return { name: url.href, total, base: url, chunks: download, begin, version };
}

/** What every request of a download has. */
interface RequestOptions {
  readonly cache: RequestCache;
  readonly headers: Readonly<Record<string, string>>;
}

class Download implements AsyncIterator<Uint8Array, undefined> {
  readonly #url: URL;
  readonly #signal: AbortSignal | undefined;
  readonly #init: RequestOptions;
  readonly #retry: Required<RetryOptions>;
  /** Aborted by the caller's signal, or if no more is wanted. */
  readonly #closing = new AbortController();
  readonly #onAbort = () => this.#close(this.#signal?.reason);
  #request = new AbortController();
  #reader: ByteReader | undefined;
  #version: FileVersion = { etag: null, modified: null };
  #total: number | undefined;
  /** Whether the answer is of another origin than the page, which has to allow every header. */
  #isCross = false;
  /** Whether what comes is decoded, so that ranges do not count its bytes. */
  #isEncoded = false;
  #received = 0;
  /** Bytes to skip, since they came before. */
  #repeated = 0;
  /** Requests in all, and those since the last byte. */
  #requests = 0;
  #idle = 0;

  constructor(url: URL, signal: AbortSignal | undefined, init: RequestOptions, retry: Required<RetryOptions>) {
    this.#retry = retry;
    this.#url = url;
    this.#signal = signal;
    this.#init = init;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Waits for the answer. `total`: the file's bytes, if the headers surely tell. */
  async start(begun?: PartialDownload): Promise<Pick<Fetched, 'total' | 'begin' | 'version'>> {
    try {
      if (begun && (await this.#continue(begun))) {
        return { total: this.#total, begin: begun.received, version: begun };
      }
      const response = await this.#ask({});
      if (!response.ok) throw wrongStatus(this.#url.href, '2xx', response);
      const { headers } = response;
      this.#version = { etag: headers.get('etag'), modified: headers.get('last-modified') };
      this.#isCross = response.type === 'cors';
      this.#isEncoded = isEncoded(response);
      this.#total = contentLength(response);
      this.#reader = readerOf(response);
      const { etag, modified } = this.#version;
      const version = (etag || modified) && !this.#isEncoded ? this.#version : undefined;
      return { total: this.#total, begin: 0, version };
    } catch (reason) {
      this.#end();
      throw reason;
    }
  }

  /** Goes on with an earlier download; false if its file is another now, or the server knows no ranges. */
  async #continue({ received, etag, modified }: PartialDownload): Promise<boolean> {
    const response = await this.#ask({ range: `bytes=${received}-` });
    this.#version = { etag, modified };
    this.#received = received;
    this.#isCross = response.type === 'cors';
    try {
      if (this.#isBehindLast(response)) {
        this.#checkVersion(response);
        this.#total = received;
        await response.body?.cancel();
        return true;
      }
      if (response.status !== 206) throw wrongStatus(this.#url.href, '206', response);
      this.#total = this.#checkRange(response);
      this.#reader = readerOf(response);
      return true;
    } catch {
      await response.body?.cancel().catch(() => {});
      this.#received = 0;
      this.#idle = 0;
      return false;
    }
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      for (;;) {
        const bytes = await this.#read();
        if (!bytes) break;
        const fresh = bytes.subarray(this.#repeated);
        this.#repeated -= bytes.length - fresh.length;
        this.#received += fresh.length;
        if (fresh.length === 0) continue;
        this.#idle = 0;
        return { done: false, value: fresh };
      }
    } catch (reason) {
      this.#end();
      throw reason;
    }
    this.#end();
    return { done: true, value: undefined };
  }

  async return(reason?: unknown): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#end();
    this.#close(reason);
    await this.#reader?.cancel(reason).catch(() => {});
    return { done: true, value: undefined };
  }

  #close(reason: unknown): void {
    this.#closing.abort(reason);
    this.#request.abort(reason);
  }

  #end(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  /** Reads the next bytes, of a new connection if need be; undefined at the end. */
  async #read(): Promise<Uint8Array | undefined> {
    for (;;) {
      let cause: unknown;
      try {
        const result = await this.#unlessSilent(async () => this.#reader?.read());
        if (result?.value) return result.value;
        if (this.#total === undefined || this.#received >= this.#total) return undefined;
      } catch (reason) {
        this.#signal?.throwIfAborted();
        if (this.#closing.signal.aborted) throw reason;
        cause = reason;
      }
      await this.#resume(cause);
    }
  }

  async #resume(cause: unknown): Promise<void> {
    if (this.#idle >= this.#retry.attempts || this.#requests >= this.#retry.requests) {
      const expected = `${this.#total ?? 'more'} bytes`;
      throw new ResnetError(
        'download',
        `${this.#url}: expected ${expected}, got a broken connection after ${this.#received}.`,
        {
          cause,
        },
      );
    }
    await this.#reader?.cancel().catch(() => {});
    await this.#pause();
    const { etag, modified } = this.#version;
    const isPart = this.#received > 0 && !this.#isEncoded;
    // If-Range takes strong ETags only (RFC 9110, section 13.1.5).
    const condition = etag?.startsWith('W/') ? modified : (etag ?? modified);
    const response = await this.#ask({
      ...(isPart ? { range: `bytes=${this.#received}-` } : {}),
      ...(isPart && condition && !this.#isCross ? { 'if-range': condition } : {}),
    });
    if (this.#isBehindLast(response)) {
      this.#total = this.#received;
      this.#reader = readerOf(response);
      await this.#reader?.cancel();
      return;
    }
    const end = response.status === 206 ? this.#checkRange(response) : this.#checkWhole(response);
    if (this.#total !== undefined && end !== undefined && end !== this.#total) {
      await response.body?.cancel().catch(() => {});
      throw new ResnetError('download', `${this.#url}: expected ${this.#total} bytes as before, got a file of ${end}.`);
    }
    this.#reader = readerOf(response);
  }

  /** Tells whether all bytes came before: the answer to a range after the last one. */
  #isBehindLast({ status, headers }: Response): boolean {
    return status === 416 && headers.get('content-range') === `bytes */${this.#received}`;
  }

  /** Checks that the file is what it was. Returns the bytes of all of it, if the answer tells. */
  #checkRange(response: Response): number | undefined {
    this.#checkVersion(response);
    const range = response.headers.get('content-range') ?? '';
    const [, first, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(range) ?? [];
    // A browser may hide the header of another origin's answer.
    if (range !== '' && Number(first) !== this.#received) {
      throw new ResnetError(
        'download',
        `${this.#url}: expected bytes from ${this.#received} on, got "${label(range)}".`,
      );
    }
    this.#repeated = 0;
    return size === undefined || size === '*' ? undefined : Number(size);
  }

  /** Does the same for an answer that begins at the beginning. */
  #checkWhole(response: Response): number | undefined {
    if (!response.ok) throw wrongStatus(this.#url.href, `2xx to go on after ${this.#received} bytes`, response);
    this.#checkVersion(response);
    this.#repeated = this.#received;
    this.#isEncoded = isEncoded(response);
    return contentLength(response);
  }

  #checkVersion({ headers, body }: Response): void {
    const [etag, modified] = [headers.get('etag'), headers.get('last-modified')];
    const before = this.#version;
    const [then, now] = before.etag && etag ? [before.etag, etag] : [before.modified, modified];
    if (!then || !now || then === now) return;
    body?.cancel().catch(() => {});
    throw new ResnetError(
      'download',
      `${this.#url}: the file changed during the download, from ${label(then)} to ${label(now)}.`,
    );
  }

  /** Requests until an answer comes that is no passing failure. */
  async #ask(headers: Record<string, string>): Promise<Response> {
    for (;;) {
      this.#closing.signal.throwIfAborted();
      this.#request = new AbortController();
      this.#requests += 1;
      this.#idle += 1;
      const isLast = this.#idle >= this.#retry.attempts || this.#requests >= this.#retry.requests;
      try {
        const { signal } = this.#request;
        // Weights hardly shrink, and ranges count the bytes as they are.
        const all = { ...this.#init.headers, ...headers, 'accept-encoding': 'identity' };
        const { cache } = this.#init;
        const response = await this.#unlessSilent(() => fetch(this.#url, { headers: all, signal, cache }));
        if (!BUSY.includes(response.status) || isLast) return response;
        // Unread, the body would hold its connection.
        await response.body?.cancel().catch(() => {});
        await this.#pause(response.headers.get('retry-after'));
      } catch (cause) {
        this.#signal?.throwIfAborted();
        if (this.#closing.signal.aborted) throw cause;
        const { message, cause: reason } = cause as Error;
        const code = isError(reason) && 'code' in reason ? String(reason.code) : '';
        if (isLast || PERMANENT.test(code) || !/^https?:$/.test(this.#url.protocol)) {
          const got = isError(reason) ? reason.message : message;
          throw new ResnetError('download', `${this.#url}: expected an answer, got ${got.replace(/\.$/, '')}.`, {
            cause,
          });
        }
        await this.#pause();
      }
    }
  }

  /** Waits before the next request: longer after each that brought nothing, or as long as the server says. */
  #pause(retryAfter?: string | null): Promise<void> {
    const asked = /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) * 1000 : 0;
    const delay = Math.max(this.#retry.delay(this.#idle), Math.min(asked, this.#retry.longest));
    const { signal } = this.#closing;
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', stop);
        resolve();
      }, delay);
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  }

  /** Awaits `wait()`; aborts the request after `silence` milliseconds without data. */
  async #unlessSilent<T>(wait: () => Promise<T>): Promise<T> {
    const request = this.#request;
    const timer = setTimeout(
      () => request.abort(new Error(`silence of ${this.#retry.silence / 1000} seconds`)),
      this.#retry.silence,
    );
    try {
      return await wait();
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Reads the body of a response of status 2xx. */
export function responseBytes(response: Response, name: string): ByteSource {
  if (!response.ok) throw wrongStatus(name, '2xx', response);
  if (response.bodyUsed || response.body?.locked) {
    throw new ResnetError('argument', `${name}: the body of this response has been read already.`);
  }
  const total = contentLength(response);
  const reader = readerOf(response);
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
        throw new ResnetError(
          'download',
          `${name}: expected ${total ?? 'more'} bytes, got a broken connection after ${received}.`,
          {
            cause,
          },
        );
      }
    },
    async return(reason) {
      await reader?.cancel(reason);
      return { done: true, value: undefined };
    },
  };
  return { name, total, base: response.url ? new URL(response.url) : undefined, chunks };
}

const readerOf = ({ body }: Response): ByteReader | undefined => (body ? byteReader(body) : undefined);

function wrongStatus(name: string, expected: string, { status, statusText, body }: Response): Error {
  // Unread, the body would hold its connection.
  body?.cancel().catch(() => {});
  return new ResnetError('download', `${name}: expected status ${expected}, got ${`${status} ${statusText}`.trim()}.`);
}

const isEncoded = ({ headers }: Response): boolean => !/^(identity)?$/.test(headers.get('content-encoding') ?? '');

/**
 * Counts the bytes of the body, if the headers surely tell: Content-Length counts the encoded bytes, and whether a response
 * from another origin is encoded is a header that browsers may hide.
 */
function contentLength(response: Response): number | undefined {
  const length = response.headers.get('content-length');
  if (response.type === 'cors' || isEncoded(response) || !length || !/^\d{1,15}$/.test(length)) return undefined;
  return Number(length);
}
