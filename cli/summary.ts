/** `summary`: a network layer by layer. */

import { Command } from 'commander';
import { buildNetwork, summary, summaryTable } from '../bindings/index.node.js';
import { networkName, positive } from './options.js';

const EXAMPLES = `
Examples:
  resnet-wasm summary resnet50
  resnet-wasm summary resnet18 --size 96 --classes 10 --json`;

export function summaryCommand(): Command {
  return new Command('summary')
    .description('Show a network layer by layer: output shapes, parameters, multiply-adds')
    .argument('<name>', 'a network (resnet-wasm models lists them)', networkName)
    .option('--json', 'print a JSON object')
    .option('--size <n>', 'height and width of the input in pixels', positive)
    .option('--classes <n>', 'outputs of the classifier', positive)
    .addHelpText('after', EXAMPLES)
    .action((name: string, { json, size, classes }: { json?: boolean; size?: number; classes?: number }) => {
      const counts = summary(buildNetwork(name, { size, classes }));
      process.stdout.write(`${json ? JSON.stringify(counts, undefined, 2) : summaryTable(counts)}\n`);
    });
}
