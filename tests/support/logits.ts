/** Whole networks against the logits that PyTorch computed in float64, through the public API. */

import './flags.mjs';
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { type Binary, buildNetwork, load, summary } from '../../bindings/index.node.js';
import { seededWeights } from '../../bindings/weights/random.js';
import { seededInput } from '../../bindings/weights/uniform.js';

interface Logits {
  readonly input: readonly number[];
  readonly output: readonly number[];
}

/** `logits`: of every network, for one image of its own size; `sizes`: for two images of another. */
type Folder = 'logits' | 'sizes';

const logitsOf = (name: string, folder: Folder): Logits =>
  JSON.parse(readFileSync(new URL(`../data/${folder}/${name}.json`, import.meta.url), 'utf8'));

/** Networks of hundreds of megabytes: `npm run test:large` checks them. */
export const isLarge = (name: string): boolean => summary(buildNetwork(name)).parameters > 80e6;

/** The largest difference to the reference, as a share of its largest logit. */
export async function error(
  name: string,
  options: { binary: Binary; winograd?: boolean },
  folder: Folder = 'logits',
): Promise<number> {
  const { input: shape, output: expected } = logitsOf(name, folder);
  const [, , h, w] = shape as [number, number, number, number];
  const weights = seededWeights(buildNetwork(name));
  using model = await load(name, { weights, size: [h, w], threads: 1, ...options });
  const { data } = await model.run({ data: seededInput(shape), shape, layout: 'NCHW' });
  assert.is(data.length, expected.length);
  let [difference, largest] = [0, 0];
  for (const [i, wanted] of expected.entries()) {
    const distance = Math.abs((data[i] as number) - wanted);
    // NaN is far from everything.
    difference = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(difference, distance);
    largest = Math.max(largest, Math.abs(wanted));
  }
  return difference / largest;
}

/** The share of the largest logit that a network may be off, as README states it: with Winograd and without. */
export const TOLERANCE = 1e-5;
