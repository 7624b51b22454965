/** Entry of a thread in Node. */

import { parentPort, workerData } from 'node:worker_threads';
import { serve } from './thread.js';
import type { ThreadStart } from './threads.js';

await serve(workerData as ThreadStart, (message) => parentPort?.postMessage(message));
