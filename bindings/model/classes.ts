/** From a classifier's output to classes. */

import type { Classification } from './types.js';

/** What makes probabilities of a network's outputs; `none` leaves them as they are. */
export type OutputActivation = 'softmax' | 'sigmoid' | 'none';

function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (v) => Math.exp(v - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / sum);
}

const sigmoid = (logits: Float32Array): Float64Array => Float64Array.from(logits, (v) => 1 / (1 + Math.exp(-v)));

export const ACTIVATIONS = { softmax, sigmoid, none: (values: Float32Array) => values } as const;

/** Every class, the most probable first; of equals, the one of lower index. */
export function rankedClasses(
  output: Float32Array,
  activation: OutputActivation,
  labels: readonly string[] | undefined,
): Classification[] {
  return Array.from(ACTIVATIONS[activation](output), (probability, index) => ({
    index,
    label: labels?.[index],
    probability,
  })).sort((a, b) => b.probability - a.probability || a.index - b.index);
}
