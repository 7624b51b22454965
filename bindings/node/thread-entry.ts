/** The entry of a thread in Node. */

import { parentPort, workerData } from 'node:worker_threads';
import { runThread } from '../engine/thread-loop.js';
import type { ThreadStart } from '../platform/types.js';

// Not awaited, since webpack's minifier takes this file for a script. What it rejects with is the worker's error.
void runThread(workerData as ThreadStart, (message) => parentPort?.postMessage(message));
