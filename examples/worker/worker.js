/** Answers each picture that the page posts with a line of text. In a worker of yours a model runs in that very worker. */

import { load } from './node_modules/resnet-wasm/dist/web.js';

const loading = load('resnet18', { weights: 'resnet18.safetensors' });

async function describe(file) {
  const model = await loading;
  const [best] = await model.classify(file, { topK: 1 });
  const { threads, binary } = model.info();
  const label = best.label ?? `class ${best.index}`;
  return `${label}, ${(100 * best.probability).toFixed(2)} % (threads: ${threads}, binary: ${binary})`;
}

self.onmessage = async ({ data: file }) => {
  self.postMessage(await describe(file).catch((error) => error.message));
};
