/** How near the whole numbers of a file are to the floats that they were made of. */

import { ResnetError } from '../../models/errors.js';
import { joined } from '../util/bytes.js';
import { label, shown } from '../util/messages.js';
import { sameShape, size } from '../util/shape.js';
import { floatsOf } from './dequantise.js';
import { toFloat32 } from './dtype.js';
import { withNetworkNames } from './network-names.js';
import { openWeights, type WeightSource } from './open.js';
import type { TensorInfo } from './types.js';
import { wholeValues } from './whole-values.js';
import { writeSafetensors } from './write.js';

/** I8 tensors in memory. */
export class Kept {
  readonly #tensors = new Map<string, { readonly tensor: TensorInfo; readonly parts: Uint8Array[] }>();

  push(tensor: TensorInfo, bytes: Uint8Array): void {
    const kept = this.#tensors.get(tensor.name) ?? { tensor, parts: [] };
    kept.parts.push(bytes.slice());
    this.#tensors.set(tensor.name, kept);
  }

  get tensors(): readonly TensorInfo[] {
    return [...this.#tensors.values()].map(({ tensor }) => tensor);
  }

  /** The values of a tensor, row-major; undefined if it is not kept. */
  floats(name: string): Float32Array | undefined {
    const { tensor, parts } = this.#tensors.get(name) ?? {};
    if (!tensor?.scales || !parts) return undefined;
    return floatsOf(joined(parts), 0, size(tensor.shape.slice(1)), tensor.scales);
  }
}

/**
 * Compares tensors with those of another file, by the names of their network: decibels by name. Throws if the other lacks
 * one, or has it in another shape.
 */
export async function signalToNoise(
  kept: Kept,
  against: WeightSource,
  signal: AbortSignal | undefined,
): Promise<Map<string, number>> {
  const other = withNetworkNames(await openWeights(against, { signal }));
  const ratios = new Map<string, number>();
  try {
    const shapes = new Map(other.tensors.map(({ name, shape }) => [name, shape]));
    for (const { name, shape } of kept.tensors) {
      const found = shapes.get(name);
      if (found && sameShape(shape, found)) continue;
      const got = found ? shown(found) : 'no such tensor';
      throw new ResnetError('weights', `against: expected ${label(name)} ${shown(shape)}, got ${got}.`);
    }
    // Written anew, values are row-major, whatever the other's order is.
    const rows = await openWeights(writeSafetensors(other, { dtype: 'F32' }));
    let current: TensorInfo | undefined;
    let own: Float32Array | undefined;
    let [at, power, noise] = [0, 0, 0];
    for await (const { tensor, bytes } of wholeValues(rows)) {
      if (tensor !== current) {
        own = kept.floats(tensor.name);
        [current, at, power, noise] = [tensor, 0, 0, 0];
      }
      if (!own) continue;
      for (const value of toFloat32('F32', bytes)) {
        power += value ** 2;
        noise += (value - (own[at++] as number)) ** 2;
      }
      if (at === own.length) ratios.set(tensor.name, 10 * Math.log10(power / noise));
    }
  } finally {
    await other.close();
  }
  return ratios;
}
