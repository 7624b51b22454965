/** The entry of a thread in Node. */

import { parentPort, workerData } from 'node:worker_threads';
import { runThread } from '../engine/thread-loop.js';
import type { ThreadStart } from '../platform/types.js';

await runThread(workerData as ThreadStart, (message) => parentPort?.postMessage(message));
