/** Node's side of bench/start.ts, a process of its own for each task: node.ts TASK FOLDER; writes times and memory as JSON. */

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Ort } from '../peers/engines.js';
import { resetPeak, statusBytes } from '../resident.js';
import { type StartTask, startOnce } from './task.js';

const [text = '', folder = ''] = process.argv.slice(2);
const task: StartTask = JSON.parse(text);
const peers = new URL('../peers/', import.meta.url);

const idle = resetPeak();
const times = await startOnce(
  task,
  {
    api: new URL('../../dist/node.js', import.meta.url).href,
    packages: new URL('node_modules/', peers).href,
    weights: join(folder, task.network),
    ort: { web: 'ort.node.min.mjs', node: () => createRequire(peers)('onnxruntime-node') as Ort },
    read: (file) => readFile(file),
  },
  performance.now(),
);
const peak = statusBytes('VmHWM') - idle;
process.stdout.write(`${JSON.stringify({ ...times, peak })}\n`, () => process.exit());
