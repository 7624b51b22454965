/** Checks that a file's tensors are those of a network. */

import { ResnetError } from '../../models/errors.js';
import type { Parameter } from '../../models/graph.js';
import { label, shown } from '../util/messages.js';
import { sameShape } from '../util/shape.js';
import type { TensorInfo } from './types.js';

/**
 * Checks that a file holds every parameter of a network in its shape, and nothing else. Throws for the first tensor that
 * is missing, misshapen or extra, in this order, with the number of those that share its fault.
 */
export function checkTensors(
  file: { readonly tensors: readonly TensorInfo[] },
  parameters: readonly Parameter[],
): void {
  const tensors = new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
  const names = new Set(parameters.map(({ name }) => name));

  const missing = parameters.filter(({ name }) => !tensors.has(name));
  if (missing[0]) fail(missing[0].name, shown(missing[0].shape), 'no such tensor', missing.length, 'are missing');

  const misshapen = parameters.filter(({ name, shape }) => !sameShape(tensors.get(name)?.shape ?? [], shape));
  if (misshapen[0]) {
    const { name, shape } = misshapen[0];
    fail(name, shown(shape), shown(tensors.get(name)?.shape), misshapen.length, 'have another shape');
  }

  const extra = file.tensors.filter(({ name }) => !names.has(name));
  if (extra[0]) {
    fail(label(extra[0].name), 'no such tensor', shown(extra[0].shape), extra.length, 'belong to another network');
  }
}

function fail(subject: string, expected: string, got: string, count: number, fault: string): never {
  const others = count > 1 ? ` (${count} tensors ${fault})` : '';
  throw new ResnetError('weights', `${subject}: expected ${expected}, got ${got}${others}.`);
}
