/** Keras's activations, by their names and as layers. */

import type { Activation } from '../../../../models/index.js';
import { numberOf, refusal } from './fields.js';
import type { KerasLayer } from './topology.js';

/** An activation; softmax, which is an operation of its own; or nothing. */
export type KerasActivation = Activation | 'softmax' | undefined;

const RELU: Activation = { kind: 'relu' };

/** Those without numbers. */
const NAMED: Readonly<Record<string, KerasActivation>> = {
  linear: undefined,
  relu: RELU,
  relu6: { kind: 'clip', low: 0, high: 6 },
  sigmoid: { kind: 'sigmoid' },
  silu: { kind: 'silu' },
  swish: { kind: 'silu' },
  gelu: { kind: 'gelu' },
  hard_silu: { kind: 'hardSwish' },
  hard_swish: { kind: 'hardSwish' },
  leaky_relu: { kind: 'leakyRelu', slope: 0.2 },
  softmax: 'softmax',
};

/** Keras 2 has clip(0.2 x + 0.5), Keras 3 clip(x / 6 + 0.5). */
const HARD_SIGMOID = { 2: { kind: 'hardSigmoid', alpha: 0.2, beta: 0.5 }, 3: { kind: 'hardSigmoid' } } as const;

/** The activation that a layer's field names, in a version of Keras. Throws if there is none of this name. */
export function activationNamed(
  layer: KerasLayer,
  { name, config }: { readonly name: string; readonly config: KerasLayer['config'] },
  version: 2 | 3,
): KerasActivation {
  if (name === 'hard_sigmoid') return HARD_SIGMOID[version];
  if (Object.hasOwn(NAMED, name)) return NAMED[name];
  if (name === 'ReLU' || name === 'LeakyReLU') return activationLayers[name]?.({ ...layer, config });
  throw refusal(layer, `there is no activation ${JSON.stringify(name.slice(0, 40))}`);
}

/** Layers that are activations, from their configurations. */
export const activationLayers: Readonly<Record<string, (layer: KerasLayer) => Activation>> = {
  ReLU(layer) {
    const slope = numberOf(layer, 'negative_slope', 0);
    if (numberOf(layer, 'threshold', 0) !== 0) throw refusal(layer, 'it has a threshold');
    if (layer.config.max_value === undefined || layer.config.max_value === null) {
      return slope === 0 ? RELU : { kind: 'leakyRelu', slope };
    }
    if (slope !== 0) throw refusal(layer, 'it has a slope below 0 and a greatest value');
    return { kind: 'clip', low: 0, high: numberOf(layer, 'max_value', 6) };
  },
  // Called alpha in Keras 2.
  LeakyReLU: (layer) => ({
    kind: 'leakyRelu',
    slope: numberOf(layer, 'alpha' in layer.config ? 'alpha' : 'negative_slope', 0.3),
  }),
};
