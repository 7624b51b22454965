/** Writes the README's tables: the networks, and what bench:peers measured last. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { summary } from '../bindings/compile/summary.js';
import { buildNetwork, networks } from '../models/index.js';

const README = new URL('../README.md', import.meta.url);
const RESULTS = new URL('./peers/RESULTS.md', import.meta.url);

const number = new Intl.NumberFormat('en-US');

function networkTable(): string {
  const rows = Object.entries(networks).map(([name, { family, description }]) => {
    const { input, parameters, macs } = summary(buildNetwork(name));
    return `| \`${name}\` | ${family} | ${number.format(parameters)} | ${(macs / 1e9).toFixed(2)} | ${input.h}×${input.w} | ${description} |`;
  });
  return [
    '| network | family | parameters | GMACs | input | |',
    '| --- | --- | ---: | ---: | --- | --- |',
    ...rows,
  ].join('\n');
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`. */
function fill(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`README.md: expected ${open} and ${close}, got none.`);
  return `${text.slice(0, start + open.length)}\n${content.trim()}\n${text.slice(end)}`;
}

let text = fill(readFileSync(README, 'utf8'), 'networks', networkTable());
if (existsSync(RESULTS)) text = fill(text, 'peers', readFileSync(RESULTS, 'utf8').replace(/<!--.*?-->/gs, ''));
writeFileSync(README, text);
