/** Entry of a thread in Node. */

import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../engine/thread-loop.js';
import type { ThreadStart } from '../platform/types.js';

await serve(workerData as ThreadStart, (message) => parentPort?.postMessage(message));
