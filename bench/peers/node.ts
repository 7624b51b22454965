/** Node's side, a process of its own for each task: node.ts TASK, as JSON; writes the timings as JSON. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Ort, Places, TfWasm } from './engines.js';
import { measure } from './measure.js';

const packages = new URL('./node_modules/', import.meta.url);

async function loadTf(): Promise<TfWasm> {
  const require = createRequire(import.meta.url);
  const tf = require('@tensorflow/tfjs-core');
  const wasm = require('@tensorflow/tfjs-backend-wasm');
  return { ...tf, wasm };
}

const places: Places = {
  api: new URL('../../dist/node.js', import.meta.url).href,
  packages: packages.href,
  folder: fileURLToPath(packages),
  loadTf,
  ortModule: 'ort.node.min.mjs',
  loadNativeOrt: async () => createRequire(import.meta.url)('onnxruntime-node') as Ort,
};

const timings = await measure(JSON.parse(process.argv[2] ?? ''), places);
process.stdout.write(`${JSON.stringify(timings)}\n`, () => process.exit());
