/** The entry of a worker in a browser. Its first message says whether it runs a model or is one of a model's threads. */

import { binaryUrl } from '../assets.js';
import { browserPlatform, fetchAsset } from '../browser/platform.js';
import { runThread } from '../engine/thread-loop.js';
import { RUNNING, usePlatform } from '../platform/platform.js';
import type { ThreadRequest, ThreadStart } from '../platform/types.js';
import type { ModelRequest, WorkerPort } from './protocol.js';
import { serveModel } from './server.js';

// The page starts the threads: Firefox's workers that start workers wait for ever now and then (2 of 100 loads).
usePlatform(
  browserPlatform(
    (request) => void postMessage(request, { transfer: [request.port] }),
    (binary) => fetchAsset(binaryUrl(binary)),
  ),
);

const port: WorkerPort = {
  post: (response, transfer) => postMessage(response, { transfer }),
  listen: (take) => addEventListener('message', ({ data }) => take(data)),
  close,
};

addEventListener(
  'message',
  ({ data }: MessageEvent<ThreadRequest | ModelRequest>) => {
    if (data.kind !== 'thread') return serveModel(data, port);
    const { port: own } = data;
    own.onmessage = ({ data: start }: MessageEvent<ThreadStart>) =>
      runThread(start, (message) => own.postMessage(message))
        .catch(({ message }: Error) => own.postMessage({ failed: message }))
        .finally(close);
  },
  { once: true },
);
postMessage(RUNNING);
