/** Names what is in a photograph: node classify.js PHOTO [--network resnet50] [--weights FILE] */

import { parseArgs } from 'node:util';
import { load } from 'resnet-wasm';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { network: { type: 'string', default: 'resnet50' }, weights: { type: 'string' } },
});
const [photo] = positionals;
if (!photo) throw new Error('Name a photograph: node classify.js PHOTO');

// Without weights of your own, the published ones are fetched once and kept in a cache.
const model = await load(values.network, { weights: values.weights });
for (const { index, label = `class ${index}`, probability } of await model.classify(photo, { topK: 5 })) {
  console.log(`${(100 * probability).toFixed(1).padStart(5)} %  ${label}`);
}
model.dispose();
