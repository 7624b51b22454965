/** The entry of a worker thread in Node that runs a model. */

import { parentPort } from 'node:worker_threads';
import { nodePlatform } from '../node/platform.js';
import { RUNNING, usePlatform } from '../platform/platform.js';
import type { ModelRequest } from './protocol.js';
import { serveModel } from './server.js';

usePlatform(nodePlatform(() => new URL('../dist/thread.node.js', import.meta.url)));

parentPort?.once('message', (first: ModelRequest) =>
  serveModel(first, {
    post: (response, transfer) => parentPort?.postMessage(response, transfer as ArrayBuffer[]),
    listen: (take) => parentPort?.on('message', take),
    // Deno's port has no `close`, though its types have: there the thread ends itself.
    close: () => (parentPort && 'close' in parentPort ? parentPort.close() : process.exit()),
  }),
);
parentPort?.postMessage(RUNNING);
