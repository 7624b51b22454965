/** Entry of a thread in Node. */

import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadStart } from './threads.js';
import { serve } from './worker.js';

await serve(workerData as ThreadStart, (message) => parentPort?.postMessage(message));
