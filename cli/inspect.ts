/** `inspect`: shows what a weight file holds. */

import { Command } from 'commander';
import { inspectWeights, type WeightReport } from '../bindings/index.node.js';
import { prefixOption } from './options.js';
import { weightSource } from './stdin.js';
import { columns, digits } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm inspect model.safetensors
  resnet-wasm inspect checkpoint.pth --json`;

export function inspectCommand(signal: AbortSignal): Command {
  return new Command('inspect')
    .description('Show what a weight file holds: tensors, types, shapes, metadata, and which network it looks like')
    .argument('<file>', 'path or URL of weights, or - for stdin: safetensors, PyTorch, Keras or TensorFlow.js')
    .addOption(prefixOption())
    .option('--json', 'print a JSON object')
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, { json, prefix }: { json?: boolean; prefix?: string }) => {
      const report = await inspectWeights(weightSource(source), { signal, prefix });
      process.stdout.write(`${json ? JSON.stringify(report, undefined, 2) : table(report)}\n`);
    });
}

function table({ format, total, values, metadata, tensors, network, warnings }: WeightReport): string {
  const rows = tensors.map(({ name, shape, dtype, stored, nan, infinite }) => {
    const odd = [nan > 0 ? `${digits(nan)} NaN` : '', infinite > 0 ? `${digits(infinite)} infinite` : ''];
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
    `looks like ${looks}`,
    ...warnings,
    ...Object.entries(metadata).map(([key, value]) => `${key}: ${value}`),
  ].join('\n');
}
