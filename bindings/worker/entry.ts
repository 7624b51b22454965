/** The entry of a worker in a browser. Its first message says whether it runs a model or is one of a model's threads. */

import { binaryUrl } from '../assets.js';
import { browserPlatform, fetchAsset } from '../browser/platform.js';
import { runThread } from '../engine/thread-loop.js';
import { RUNNING, usePlatform } from '../platform/platform.js';
import type { ThreadStart } from '../platform/types.js';
import type { ModelRequest, WorkerPort } from './protocol.js';
import { serveModel } from './server.js';

/**
 * Tells whether a bundler made a classic script of this module: only there importScripts goes on to read the URL, which is
 * none. Parcel refuses the plain call.
 */
function isClassic(): boolean {
  try {
    (globalThis as unknown as { importScripts: (url: string) => void }).importScripts('http://[');
    return true;
  } catch (error) {
    return !(error instanceof TypeError);
  }
}

const type = isClassic() ? 'classic' : 'module';

// Threads run this very script, wherever it is: a bundler may have moved it, or made a blob of it.
usePlatform(
  browserPlatform(
    () => new Worker(location.href, { type }),
    (binary) => fetchAsset(binaryUrl(binary)),
  ),
);

const port: WorkerPort = {
  post: (response, transfer) => postMessage(response, { transfer }),
  listen: (take) => addEventListener('message', ({ data }) => take(data)),
  close,
};

type FirstMessage = { readonly kind: 'thread'; readonly start: ThreadStart } | ModelRequest;

addEventListener(
  'message',
  ({ data }: MessageEvent<FirstMessage>) => {
    // reportError reaches the starter's `worker.onerror`; an unhandled rejection would not.
    if (data.kind === 'thread')
      runThread(data.start, (message) => postMessage(message))
        .catch(reportError)
        .finally(close);
    else serveModel(data, port);
  },
  { once: true },
);
postMessage(RUNNING);
