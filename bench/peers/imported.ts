/**
 * Compares imported ONNX models with onnxruntime-web on the same files, in Node on one thread, run by run in turn:
 *
 *   node --import tsx --import ./tests/support/flags.mjs bench/peers/imported.ts FILE.onnx… [--rounds 9] [--warm-ups 5]
 *
 * Prints a table. `tests/support/export_torchvision.py FOLDER mobilenet_v2 efficientnet_b0 regnet_y_400mf resnet50` makes such
 * files. The peers' packages are those of bench/peers/node_modules, which bench:peers installs.
 */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { load } from '../../bindings/index.node.js';
import { seededInput } from '../../bindings/weights/uniform.js';
import { median } from '../machine.js';
import type { Ort } from './engines.js';
import { permuted } from './layers.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '9' }, 'warm-ups': { type: 'string', default: '5' } },
});

/** What engines may differ by, as a share of the largest value. */
const TOLERANCE = 1e-3;

const packages = new URL('./node_modules/onnxruntime-web/dist/', import.meta.url);
const ort = (await import(new URL('ort.node.min.mjs', packages).href)) as Ort;
ort.env.wasm.numThreads = 1;

async function row(path: string): Promise<string> {
  const model = await load(path, { threads: 1, onWarning: () => {} });
  const { h, w, c } = model.input;
  const nchw = seededInput([1, c, h, w]);
  const nhwc = permuted(nchw, [c, h, w], [1, 2, 0]);
  const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(path)), {
    executionProviders: ['wasm'],
  });
  const [input = '', output = ''] = [session.inputNames[0], session.outputNames[0]];
  const ours = async () => (await model.run({ data: nhwc, shape: [1, h, w, c], layout: 'NHWC' })).data;
  const theirs = async () => {
    const made = await session.run({ [input]: new ort.Tensor('float32', nchw, [1, c, h, w]) });
    return made[output]?.data as Float32Array;
  };
  const [got, wanted] = [await ours(), await theirs()];
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference =
    wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (got[i] as number))), 0) / largest;
  if (!(difference <= TOLERANCE)) throw new Error(`${path}: expected a difference of ${TOLERANCE}, got ${difference}.`);
  const times: [number[], number[]] = [[], []];
  for (let round = -Number(values['warm-ups']); round < Number(values.rounds); round++) {
    for (const [i, run] of [ours, theirs].entries()) {
      const begin = performance.now();
      await run();
      if (round >= 0) times[i]?.push(performance.now() - begin);
    }
  }
  model.dispose();
  const [a, b] = times.map(median) as [number, number];
  return `| ${basename(path, '.onnx')} | ${a.toFixed(1)} | ${b.toFixed(1)} | ${(b / a).toFixed(2)}× | ${difference.toExponential(0)} |`;
}

console.log(
  '| ms, 1 thread | resnet-wasm | onnxruntime-web | ratio | difference |\n| --- | ---: | ---: | ---: | ---: |',
);
for (const path of positionals) console.log(await row(path));
process.exit();
