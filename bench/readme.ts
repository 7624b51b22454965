/** Writes the README's tables: the networks, the operations, ONNX's, and what bench:peers measured last. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { summary } from '../bindings/compile/summary.js';
import { FOLDERS } from '../bindings/weights/formats/onnx/fold/table.js';
import { HANDLERS } from '../bindings/weights/formats/onnx/nodes/table.js';
import { activations } from '../models/activation.js';
import { buildNetwork, loadNetworks, networks, ops } from '../models/index.js';
import { moreOps } from '../models/more-ops.js';
import { BINARY, UNARY } from '../models/ops/arithmetic.js';

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

const listed = (names: Iterable<string>): string => [...names].map((name) => `\`${name}\``).join(', ');

function operationTable(): string {
  const kinds = Object.entries({ ...ops, ...moreOps }).filter(([kind]) => kind !== 'unary' && kind !== 'binary');
  const inSet = (set: string | undefined): string =>
    listed(kinds.filter(([, { kernelSet }]) => kernelSet === set).map(([kind]) => kind));
  return [
    '| operations | |',
    '| --- | --- |',
    `| in the core | ${inSet(undefined)} |`,
    `| loaded for a graph that has one | ${inSet('more')} |`,
    `| \`activation\`, computed with the layer before it | ${listed(Object.keys(activations))} |`,
    `| \`unary\`, of each value | ${listed(Object.keys(UNARY))} |`,
    `| \`binary\`, of two values, of which axes of 1 are repeated | ${listed(Object.keys(BINARY))} |`,
  ].join('\n');
}

function onnxTable(): string {
  const folded = Object.keys(FOLDERS).filter((op) => !Object.hasOwn(HANDLERS, op));
  return [
    '| ONNX operations | |',
    '| --- | --- |',
    `| of a run | ${listed(Object.keys(HANDLERS).sort())} |`,
    `| on constants alone | ${listed(folded.sort())} |`,
  ].join('\n');
}

/** Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`. */
function fill(text: string, name: string, content: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start < 0 || end < start) throw new Error(`README.md: expected ${open} and ${close}, got none.`);
  return `${text.slice(0, start + open.length)}\n${content.trim()}\n${text.slice(end)}`;
}

await loadNetworks();
let text = fill(readFileSync(README, 'utf8'), 'networks', networkTable());
text = fill(text, 'operations', operationTable());
text = fill(text, 'onnx', onnxTable());
if (existsSync(RESULTS)) text = fill(text, 'peers', readFileSync(RESULTS, 'utf8').replace(/<!--.*?-->/gs, ''));
writeFileSync(README, text);
