/** Tells how alike photographs are to a network: node similar.js PHOTO OTHER… [--network resnet50] [--weights FILE] */

import { parseArgs } from 'node:util';
import { load } from 'resnet-wasm';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { network: { type: 'string', default: 'resnet50' }, weights: { type: 'string' } },
});
const [photo, ...others] = positionals;
if (!photo || others.length === 0) throw new Error('Name two photographs or more: node similar.js PHOTO OTHER…');

const model = await load(values.network, { weights: values.weights });

/** A photograph as a vector of length 1: the features that the classifier would see, one per channel. */
async function embed(file) {
  const { data } = await model.featureMap(file, 'avgpool');
  const length = Math.hypot(...data);
  return data.map((value) => value / length);
}

const reference = await embed(photo);
for (const other of others) {
  const embedding = await embed(other);
  const cosine = reference.reduce((sum, value, i) => sum + value * embedding[i], 0);
  console.log(`${cosine.toFixed(3)}  ${other}`);
}
model.dispose();
