/** What is said of a run that gave values which are not finite. */

import { ResnetError } from '../../models/errors.js';
import type { Executor, InputWriter } from '../engine/executor.js';

/** Runs a picture once more, keeping every value, to tell where they cease to be finite. */
export async function notFinite(executor: Executor, input: Float32Array | InputWriter): Promise<ResnetError> {
  const { graph, steps, values } = executor.plan;
  const inOrder = values.filter(({ step }) => step >= 0).sort((a, b) => a.step - b.step);
  executor.setInput(1, input);
  const copies = (await executor.run({ values: inOrder })).values;
  const first = inOrder[copies.findIndex((copy) => !copy.every(Number.isFinite))];
  const where = first ? `layer ${steps[first.step]?.node.name}` : 'the input';
  return new ResnetError(
    'values',
    `${graph.name}: values are not finite from ${where} on; the weights are damaged, or not its own.`,
  );
}
