/** Entry of a thread in a browser: a module worker whose first message is its start. */

import type { ThreadStart } from './threads.js';
import { serve } from './worker.js';

addEventListener('message', ({ data }: MessageEvent<ThreadStart>) => serve(data, (message) => postMessage(message)), {
  once: true,
});
