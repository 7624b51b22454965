/** `inspect`: shows what a weight file holds. */

import { Command } from 'commander';
import { inspectWeights, type WeightReport } from '../bindings/index.node.js';
import { prefixOption } from './options.js';
import { checkStdin, weightSource } from './stdin.js';
import { columns, digits } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm inspect model.safetensors
  resnet-wasm inspect checkpoint.pth --json
  resnet-wasm inspect quarter.safetensors --against model.safetensors

--against compares int8 with the floating point that it was made of: for each tensor, the ratio of signal to noise in
decibels, 10 * log10(sum of squares / sum of squared differences). Half as large a step is 6 dB more.`;

interface InspectFlags {
  readonly against?: string;
  readonly json?: boolean;
  readonly prefix?: string;
}

export function inspectCommand(signal: AbortSignal): Command {
  return new Command('inspect')
    .description('Show what a weight file holds: tensors, types, shapes, metadata, and which network it looks like')
    .argument('<file>', 'path or URL of weights, or - for stdin: safetensors, PyTorch, ONNX, Keras or TensorFlow.js')
    .option('--against <file>', 'weights that an int8 file was made of: says how near it is to them')
    .addOption(prefixOption())
    .option('--json', 'print a JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, { against, json, prefix }: InspectFlags, command: Command) => {
      checkStdin(command, [source, against]);
      const other = against === undefined ? undefined : weightSource(against);
      const report = await inspectWeights(weightSource(source), { signal, prefix, against: other });
      process.stdout.write(`${json ? JSON.stringify(report, undefined, 2) : table(report)}\n`);
    });
}

/** Sums up what is int8; no line if nothing is. */
function int8Lines(tensors: WeightReport['tensors'], values: number): string[] {
  const int8 = tensors.filter(({ dtype }) => dtype === 'I8');
  if (int8.length === 0) return [];
  const numbers = int8.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
  const calibrated = int8.filter(({ inputScale }) => inputScale !== undefined).length;
  const inputs = calibrated > 0 ? `, of which ${digits(calibrated)} have the range of their inputs` : '';
  const share = ((100 * numbers) / values).toFixed(1);
  const ratios = int8.flatMap(({ name, signalToNoise: ratio }) => (ratio === undefined ? [] : [{ name, ratio }]));
  const [least] = ratios.sort((a, b) => a.ratio - b.ratio);
  const middle = ratios[Math.floor(ratios.length / 2)];
  return [
    `int8: ${digits(int8.length)} tensors, ${share} % of the values${inputs}`,
    ...(least && middle
      ? [`signal to noise: ${decibels(middle.ratio)} in the median, least ${decibels(least.ratio)} in ${least.name}`]
      : []),
  ];
}

const decibels = (ratio: number): string => `${ratio.toFixed(1)} dB`;

function table({ format, total, values, metadata, tensors, network, warnings }: WeightReport): string {
  const rows = tensors.map(({ name, shape, dtype, stored, nan, infinite, signalToNoise }) => {
    const odd = [
      nan > 0 ? `${digits(nan)} NaN` : '',
      infinite > 0 ? `${digits(infinite)} infinite` : '',
      signalToNoise === undefined ? '' : decibels(signalToNoise),
    ];
    return [name, stored ?? dtype, `[${shape.join(', ')}]`, odd.filter(Boolean).join(', ')];
  });
  const odd = tensors.reduce((sum, { nan, infinite }) => sum + nan + infinite, 0);
  const options = Object.entries(network?.options ?? {}).map(([key, value]) => `${key} ${value}`);
  const looks = network
    ? `${network.network}${options.length > 0 ? ` (${options.join(', ')})` : ''}`
    : 'no network that this program knows';
  return [
    columns([['tensor', 'type', 'shape', ''], ...rows], []),
    '',
    `${format}: ${digits(tensors.length)} tensors, ${digits(values)} values, ${(total / 1e6).toFixed(1)} MB${odd > 0 ? `, ${digits(odd)} of the values NaN or infinite` : ''}`,
    ...int8Lines(tensors, values),
    `looks like ${looks}`,
    ...warnings,
    ...Object.entries(metadata).map(([key, value]) => `${key}: ${value}`),
  ].join('\n');
}
