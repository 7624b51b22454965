/** `infer`: computes the logits of raw tensors, from file to file. */

import { setImmediate } from 'node:timers/promises';
import { Command } from 'commander';
import { inputsOf } from './inputs.js';
import { needWeights, openModel } from './load-model.js';
import { readNpy, writeNpy } from './npy.js';
import { type ModelFlags, modelOptions, networkName } from './options.js';
import { checkOutput } from './output.js';

interface InferFlags extends ModelFlags {
  readonly input: string;
  readonly output: string;
}

const EXAMPLES = `
Examples:
  resnet-wasm infer --model resnet18 --weights resnet18.safetensors --input x.npy --output y.npy

The input is an array [N, C, H, W] of float32 (float64 is rounded), normalised as the weights expect. The output is
[N, classes] of float32: the network's last layer, before any softmax. The network is built for the input's H and W.`;

export function inferCommand(signal: AbortSignal): Command {
  const command = new Command('infer')
    .description('Run a network on a raw tensor: NCHW float32 in, logits out, both .npy')
    .requiredOption('--model <name>', 'network to use (resnet-wasm models lists them; required)', networkName)
    .requiredOption('--input <file>', '.npy file to read (required)')
    .requiredOption('--output <file>', '.npy file to write (required)');
  for (const option of modelOptions()) command.addOption(option);
  return command.addHelpText('after', EXAMPLES).action(async (flags: InferFlags) => {
    needWeights(command, flags);
    await infer(flags, signal);
  });
}

/** Images per run. Between runs the event loop has its turn, so that Ctrl-C is heard. */
const BATCH = 8;

async function infer(flags: InferFlags, signal: AbortSignal): Promise<void> {
  const { input, output } = flags;
  await checkOutput(output, '--output', [input, ...(await inputsOf(flags))]);
  const { data, shape } = await readNpy(input);
  const [n = 0, c = 0, h = 0, w = 0] = shape;
  if (shape.length !== 4 || data.length === 0) {
    throw new Error(`${input}: expected [N, C, H, W], none of them 0, got [${shape.join(', ')}].`);
  }
  using model = await openModel(flags, true, { signal, options: { size: [h, w] } });
  const batches: Float32Array[] = [];
  for (let first = 0; first < n; first += BATCH) {
    await setImmediate(undefined, { signal });
    const batch = Math.min(BATCH, n - first);
    const values = data.subarray(first * c * h * w, (first + batch) * c * h * w);
    const out = await model.run({ data: values, shape: [batch, c, h, w], layout: 'NCHW' });
    batches.push(out.data);
  }
  const width = (batches[0] as Float32Array).length / Math.min(BATCH, n);
  const logits = new Float32Array(n * width);
  batches.forEach((values, i) => {
    logits.set(values, i * BATCH * width);
  });
  await writeNpy(output, { data: logits, shape: [n, width] });
}
