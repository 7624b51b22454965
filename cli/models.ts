/** `models`: lists the networks. */

import { Command } from 'commander';
import { networks, pretrained, shapeText, summary } from '../bindings/index.node.js';
import { columns, digits } from './text.js';

const EXAMPLES = `
Examples:
  resnet-wasm models
  resnet-wasm models --json`;

export function modelsCommand(): Command {
  return new Command('models')
    .description('List the networks, their sizes, and which have pretrained weights')
    .option('--json', 'print a JSON array')
    .addHelpText('after', EXAMPLES)
    .action(({ json }: { json?: boolean }) => {
      const names = pretrained();
      const rows = Object.entries(networks).map(([name, { family, description, build }]) => {
        const { input, parameters, macs } = summary(build());
        const weights = names.includes(name);
        return { name, family, description, input, parameters, macs, weights };
      });
      process.stdout.write(json ? `${JSON.stringify(rows, undefined, 2)}\n` : table(rows));
    });
}

type Row = Pick<ReturnType<typeof summary>, 'name' | 'input' | 'parameters' | 'macs'> & {
  readonly family: string;
  readonly description: string;
  readonly weights: boolean;
};

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, input, parameters, macs, weights, description }) => [
    name,
    digits(parameters),
    (macs / 1e9).toFixed(2),
    shapeText(input),
    weights ? 'yes' : 'no',
    description,
  ]);
  const head = ['network', 'parameters', 'GMACs', 'input', 'weights', 'layers'];
  const [heading, ...lines] = columns([head, ...cells], [1, 2]).split('\n');
  const list = lines.map((line, i) => {
    const family = rows[i]?.family;
    return family === rows[i - 1]?.family ? line : `\n${family}\n${line}`;
  });
  const note = 'Weights are fetched when a network is first used; resnet-wasm pull --help lists them all.';
  return `${[heading, ...list].join('\n')}\n\n${note}\n`;
}
