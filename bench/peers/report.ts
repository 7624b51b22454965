/** Timings as Markdown. */

import { median } from '../machine.js';
import type { EngineName } from './engines.js';
import type { Timing } from './measure.js';

/** All networks in one place, on one number of threads. */
export interface Section {
  readonly title: string;
  readonly engines: readonly EngineName[];
  readonly networks: ReadonlyMap<string, readonly Timing[]>;
}

/** The columns of ratios: how many times as fast as `peer` one of ours is. LiteRT.js is the fastest of the peers. */
const RATIOS: readonly (readonly [peer: EngineName, ours: EngineName])[] = [
  ['tfjs-wasm', 'relaxed'],
  ['tfjs-wasm', 'baseline'],
  ['LiteRT.js', 'relaxed'],
  ['onnxruntime-node', 'wide'],
];

const HEADINGS: Readonly<Record<EngineName, string>> = {
  wide: 'resnet-wasm, 256 bits',
  relaxed: 'resnet-wasm, relaxed',
  baseline: 'resnet-wasm, baseline',
  'tfjs-wasm': 'tfjs-wasm',
  'onnxruntime-web': 'onnxruntime-web',
  'onnxruntime-node': 'onnxruntime-node (native)',
  'LiteRT.js': 'LiteRT.js',
};

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** Medians in milliseconds, and the ratios of those engines that were measured. */
export function sectionText({ title, engines, networks }: Section): string {
  const ratios = RATIOS.filter((pair) => pair.every((name) => engines.includes(name)));
  const heads = [title, ...engines.map((name) => HEADINGS[name]), ...ratios.map(([peer, ours]) => `${peer} ÷ ${ours}`)];
  const rows = [...networks].map(([network, timings]) => {
    const ms = (name: EngineName): number => median(timings.find(({ engine }) => engine === name)?.ms ?? []);
    return [
      network,
      ...engines.map((name) => ms(name).toFixed(1)),
      ...ratios.map(([peer, ours]) => `${(ms(peer) / ms(ours)).toFixed(2)}×`),
    ];
  });
  return [line(heads), line(heads.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

/** The largest difference of any engine's logits, as a share of the largest logit. */
export const largestDifference = (sections: readonly Section[]): number =>
  Math.max(...sections.flatMap(({ networks }) => [...networks.values()].flat()).map(({ difference }) => difference));

const [BEGIN, END] = ['<!-- bench:peers -->', '<!-- /bench:peers -->'];

/** The file that the README takes its tables from: everything between the two markers. */
export const resultsText = (about: readonly string[], sections: readonly Section[]): string =>
  `${[`${BEGIN}\n${about.join(' ')}`, ...sections.map(sectionText)].join('\n\n')}\n${END}\n`;
