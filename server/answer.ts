/** What a model is asked for, and how a batch of it is run as one call. */

import {
  type Classification,
  type Model,
  type Output,
  type Pixels,
  ResnetError,
  type Tensor,
} from '../bindings/index.node.js';

/** What is wanted of one picture or tensor. */
export type Task =
  | { readonly kind: 'classify'; readonly topK: number }
  | { readonly kind: 'embed'; readonly normalise: boolean }
  | { readonly kind: 'run' };

/** A decoded picture, or the tensors of a network's inputs by their names, each of batch 1 in one layout. */
export type Input = Pixels | Readonly<Record<string, Tensor>>;

export interface Results {
  classify: readonly Classification[];
  embed: Float32Array;
  run: Output;
}

const isPicture = (input: Input): input is Pixels => typeof input.width === 'number';

/** A text that is the same for inputs that one call can take. */
export function batchKey(task: Task, input: Input): string {
  if (task.kind === 'embed') return `embed ${task.normalise}`;
  if (task.kind === 'classify' || isPicture(input)) return task.kind;
  return Object.values(input).reduce((key, { layout }) => `${key} ${layout}`, 'tensors');
}

/**
 * Answers inputs of one key by one call: a list of pictures is one message to the model's worker, which runs those together
 * that fit; tensors are joined to one of batch N.
 */
export async function answerBatch(
  model: Model,
  tasks: readonly Task[],
  inputs: readonly Input[],
): Promise<Results[keyof Results][]> {
  const [first] = tasks;
  if (first?.kind === 'embed') return model.embed(inputs as Pixels[], { normalise: first.normalise });
  if (first?.kind === 'run') return runBatch(model, inputs);
  const topKs = tasks.map((task) => (task.kind === 'classify' ? task.topK : 0));
  const found = await model.classify(inputs as Pixels[], { topK: Math.max(...topKs) });
  return found.map((classes, i) => classes.slice(0, topKs[i]));
}

async function runBatch(model: Model, inputs: readonly Input[]): Promise<Output[]> {
  const name = model.graph.inputs[0].name;
  const tensors = await Promise.all(
    inputs.map(async (input) => (isPicture(input) ? { [name]: await model.preprocess(input) } : input)),
  );
  const names = Object.keys(tensors[0] ?? {});
  const joined = names.map((each) => [each, stacked(tensors.map((tensor) => tensor[each] as Tensor))] as const);
  const output = await model.run(Object.fromEntries(joined));
  return inputs.map((_, i) => checked(model, nth(output, i)));
}

/** Joins tensors of batch 1 and one shape. */
function stacked(tensors: readonly Tensor[]): Tensor {
  const [{ shape, layout, data: first }] = tensors as [Tensor];
  const data = new Float32Array(tensors.length * first.length);
  tensors.forEach((tensor, i) => {
    data.set(tensor.data, i * first.length);
  });
  return { data, shape: [tensors.length, ...shape.slice(1)], layout };
}

/** The part of one image in a batch's output. */
function nth({ data, shape, outputs }: Output, i: number): Output {
  const part = (all: Float32Array, [batch = 1]: readonly number[]): Float32Array =>
    all.subarray((i * all.length) / batch, ((i + 1) * all.length) / batch);
  const one = (from: { readonly data: Float32Array; readonly shape: readonly number[] }) => ({
    data: part(from.data, from.shape),
    shape: [1, ...from.shape.slice(1)],
  });
  const named = outputs && Object.entries(outputs).map(([name, output]) => [name, one(output)] as const);
  return { ...one({ data, shape }), ...(named && { outputs: Object.fromEntries(named) }) };
}

/** Returns an output. Throws if it has values that are not finite, which JSON has no numbers for. */
function checked(model: Model, output: Output): Output {
  const all = output.outputs ? Object.values(output.outputs) : [output];
  if (all.every(({ data }) => data.every(Number.isFinite))) return output;
  throw new ResnetError('values', `${model.name}: values are not finite; the input is too large for the network.`);
}
