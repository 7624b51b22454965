/** The platform of browsers, in a page or in a worker. */

import { binaryUrl } from '../assets.js';
import type { Platform } from '../platform/platform.js';
import { plain } from '../util/messages.js';
import { decodeImage } from './decode-image.js';

/** What was measured on this machine, in the Cache API: workers have no localStorage. */
const MEASURED = 'resnet-wasm measured';

// A name for what is kept: caches have requests for keys.
const request = (key: string): string => `https://measured.invalid/?${encodeURIComponent(key)}`;

const THREAD_ENDS_MS = 1000;

/** `startWorker`: starts another worker of this package, which waits for a first message. */
export const browser = (startWorker: () => Worker): Platform => ({
  machine: `${globalThis.navigator?.userAgent} ${globalThis.navigator?.hardwareConcurrency}`,
  // Storage may be missing, full or forbidden: then nothing is kept.
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
  whyNoSharedMemory: globalThis.crossOriginIsolated
    ? undefined
    : 'One thread, since this page is not cross-origin isolated (COOP and COEP headers) and cannot share memory.',
  mayBlock: typeof document === 'undefined',
  startThread: (start, onMessage, onError) => {
    const worker = startWorker();
    // The first message says that its script runs.
    worker.onmessage = ({ data }) => data === 'up' || onMessage(data);
    worker.onerror = (event) => {
      // Or else it would be the page's too.
      event.preventDefault();
      onError(new Error(`threads: expected a worker to start, got ${event.message ?? 'no script'}.`));
    };
    worker.postMessage({ kind: 'thread', start });
    // A thread that is told to stop ends by itself; one that a browser finds asleep takes it seconds to end.
    return { terminate: () => setTimeout(() => worker.terminate(), THREAD_ENDS_MS) };
  },
  v8HoistsSplats: false,
  binaryUrl,
  fetchAsset: async (url) => {
    const response = await fetch(url).catch((cause) => {
      throw new Error(`${url}: expected status 200, got no answer (${plain(cause)}).`, { cause });
    });
    if (!response.ok) throw new Error(`${url}: expected status 200, got ${response.status}.`);
    return new Uint8Array(await response.arrayBuffer());
  },
  openFile: async (path) => {
    throw new TypeError(`${path}: expected a URL, Response, Blob, stream or bytes here, got a file path.`);
  },
  decodeImage,
});
