/** The platform of browsers, in a page or in a worker. */

import { ResnetError } from '../../models/errors.js';
import type { Platform } from '../platform/platform.js';
import type { ThreadRequest } from '../platform/types.js';
import { label, plain } from '../util/messages.js';
import { absolute } from './absolute.js';
import { decodeImage } from './decode-image.js';

/** The cache of what was measured on this machine: the Cache API, since workers have no localStorage. */
const MEASURED = 'resnet-wasm measured';

/** The name of a key: caches have requests for keys. */
const request = (key: string): string => `https://measured.invalid/?${encodeURIComponent(key)}`;

/** How long a thread may take to start. */
const THREAD_STARTS_MS = 10_000;

/** How long a thread that was told to stop may take to end by itself. */
const THREAD_ENDS_MS = 1000;

/** Says why this page cannot share memory, if it cannot: the headers that it needs have no effect without HTTPS. */
function whyNoSharedMemory(): string | undefined {
  if (globalThis.crossOriginIsolated) return undefined;
  const reason = globalThis.isSecureContext
    ? 'is not cross-origin isolated (COOP and COEP headers)'
    : 'comes neither over HTTPS nor from localhost';
  return `One thread, since this page ${reason} and cannot share memory.`;
}

/** Reads the file of a URL. */
export async function fetchAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url).catch((cause) => {
    throw new ResnetError('download', `${url}: no answer from the server (${plain(cause)}).`, { cause });
  });
  if (!response.ok) throw new ResnetError('download', `${url}: expected status 200, got ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * Makes the platform of a browser. `startWorker` starts another worker of this package, or has the page do so, and sends it the request;
 * `fetchBinary` reads one of the binaries.
 */
export const browserPlatform = (
  startWorker: (request: ThreadRequest) => Worker | undefined,
  fetchBinary: Platform['fetchBinary'],
): Platform => ({
  machine: `${globalThis.navigator?.userAgent} ${globalThis.navigator?.hardwareConcurrency}`,
  // Storage may be missing, full or forbidden; the next load then measures again.
  getCached: async (key) => {
    try {
      return await (await (await caches.open(MEASURED)).match(request(key)))?.text();
    } catch {
      return undefined;
    }
  },
  putCached: async (key, value) => {
    try {
      await (await caches.open(MEASURED)).put(request(key), new Response(value));
    } catch {}
  },
  cores: globalThis.navigator?.hardwareConcurrency ?? 1,
  whyNoSharedMemory: whyNoSharedMemory(),
  mayBlock: typeof document === 'undefined',
  startThread: (start, onMessage, onError) => {
    const { port1, port2 } = new MessageChannel();
    const fail = (reason: string) =>
      onError(new ResnetError('worker', `A worker for a thread did not start (${reason}).`));
    const timer = setTimeout(fail, THREAD_STARTS_MS, 'no answer');
    port1.onmessage = ({ data }) => {
      clearTimeout(timer);
      if (data.failed) fail(data.failed);
      else onMessage(data);
    };
    port1.postMessage(start);
    const worker = startWorker({ kind: 'thread', port: port2 });
    // A thread that is told to stop ends by itself. To end one that sleeps takes a browser seconds.
    return { terminate: () => setTimeout(() => worker?.terminate(), THREAD_ENDS_MS) };
  },
  v8HoistsSplats: false,
  whyNarrow: () => 'Vectors of 128 bits, since 256 were not asked for: see the option wide.',
  fetchBinary,
  fetchAsset,
  postable: absolute,
  openFile: async (path) => {
    throw new ResnetError(
      'argument',
      `${label(String(path), 250)}: expected a URL, Response, Blob, stream or bytes here, got a file path.`,
    );
  },
  decodeImage,
});
