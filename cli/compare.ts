/** `compare`: shows networks side by side, as He et al. 2015 do: depth, parameters, multiply-adds, memory, time. */

import { Command } from 'commander';
import { buildNetwork, depth, summary } from '../bindings/index.node.js';
import { type MeasureOptions, measure } from './measure.js';
import { modelOptions, networkName, positive, sizeOption } from './options.js';
import { columns, digits, threadsText } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm compare plain34 resnet34 vgg19
  resnet-wasm compare resnet18 resnet50 --threads 1 --json

Depth counts the layers with weights on the longest path, as in the ResNet paper (He et al. 2015). The columns weights
and activations are memory: of the packed weights, and of one image's activations. The time (ms) is the median for one
image, with random weights.`;

interface CompareFlags extends MeasureOptions {
  readonly json?: boolean;
}

export function compareCommand(signal: AbortSignal): Command {
  const command = new Command('compare')
    .description('Compare networks: depth, parameters, multiply-adds, memory, measured time')
    .argument('<names...>', 'networks (resnet-wasm models lists them)', (name, before: string[] = []) => [
      ...before,
      networkName(name),
    ])
    .option('--rounds <n>', 'runs to take the median of', positive, 9)
    .addOption(sizeOption())
    .option('--json', 'print a JSON array');
  for (const option of modelOptions()) {
    if (['--binary', '--threads', '--no-wide'].includes(option.long ?? '')) command.addOption(option);
  }
  return command.addHelpText('after', EXAMPLES).action(async (names: string[], flags: CompareFlags) => {
    const rows = [];
    for (const name of names) {
      const graph = buildNetwork(name, { size: flags.size });
      const { parameters, macs } = summary(graph);
      const { ms, gflops, info } = await measure(name, { ...flags, batch: 1 }, signal);
      const { weightBytes, activationBytes, binary, threads } = info;
      rows.push({
        name,
        depth: depth(graph),
        parameters,
        macs,
        weightBytes,
        activationBytes,
        ms: ms.median,
        gflops,
        binary,
        threads,
      });
    }
    if (flags.json) {
      process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
      return;
    }
    const cells = rows.map((row) => [
      row.name,
      `${row.depth}`,
      digits(row.parameters),
      (row.macs / 1e9).toFixed(2),
      `${(row.weightBytes / 2 ** 20).toFixed(0)} MiB`,
      `${(row.activationBytes / 2 ** 20).toFixed(1)} MiB`,
      row.ms.toFixed(1),
      row.gflops.toFixed(1),
    ]);
    const head = ['network', 'depth', 'parameters', 'GMACs', 'weights', 'activations', 'ms', 'GFLOP/s'];
    const { binary, threads } = rows[0] as (typeof rows)[number];
    const how = `${binary} binary, ${threadsText(threads)}`;
    process.stdout.write(`${columns([head, ...cells], [1, 2, 3, 4, 5, 6, 7])}\n\n${how}\n`);
  });
}
