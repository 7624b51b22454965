/** The page's side of bench/start.ts: starts what its URL asks for, and sends the times to the server. */

import { type StartTask, startOnce } from './task.js';

const task: StartTask = JSON.parse(new URL(location.href).searchParams.get('task') ?? '');
const at = (path: string): string => new URL(path, location.href).href;

const answer = await startOnce(
  task,
  {
    api: at('/dist/web.js'),
    packages: at('/bench/peers/node_modules/'),
    weights: at(`/weights/${task.network}`),
    ort: { web: 'ort.wasm.min.mjs' },
    read: async (file) => (await fetch(file)).arrayBuffer(),
  },
  0,
).catch((reason) => ({ failed: String(reason) }));
await fetch('/times', { method: 'POST', body: JSON.stringify(answer) });
