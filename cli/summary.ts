/** `summary`: a network layer by layer. */

import { Command } from 'commander';
import { buildNetwork, type Summary, summary } from '../bindings/index.node.js';
import { networkName, positive } from './options.js';
import { columns, digits } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm summary resnet50
  resnet-wasm summary resnet18 --size 96 --classes 10 --json`;

/** 4.09 GMACs, 40.6 MMACs. */
const inMacs = (n: number): string => (n < 1e9 ? `${(n / 1e6).toFixed(1)} MMACs` : `${(n / 1e9).toFixed(2)} GMACs`);

/** Lines of aligned plain text: a heading, a row per layer, the totals. */
export function summaryTable({ name, input, rows, parameters, macs }: Summary): string {
  const table = [
    ['layer', 'operation', 'output', 'parameters', 'multiply-adds'],
    ...rows.map((row) => [
      row.name,
      row.operation,
      [row.shape.h, row.shape.w, row.shape.c].join('x'),
      digits(row.parameters),
      digits(row.macs),
    ]),
    ['total', '', '', digits(parameters), digits(macs)],
  ];
  const lines = columns(table, [3, 4]).split('\n');
  const rule = '-'.repeat(lines[0]?.length ?? 0);
  lines.splice(1, 0, rule);
  lines.splice(-1, 0, rule);
  const heading = `${name}, input ${[input.h, input.w, input.c].join('x')}: ${digits(parameters)} parameters, ${inMacs(macs)}`;
  return [heading, '', ...lines].join('\n');
}

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
