/** A benchmark's results as text, to paste elsewhere. */

import type { Report, Row } from './bench.js';

/** What some browsers say of themselves. */
export interface BrowserData {
  readonly brands?: readonly { readonly brand: string; readonly version: string }[];
  readonly platform?: string;
}

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:A|iOS)?\/(\d+)/, 'Edge'],
  [/\bOPR\/(\d+)/, 'Opera'],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
  [/\bHeadlessChrome\/(\d+)/, 'Chrome (headless)'],
  [/\b(?:Chrome|CriOS)\/(\d+)/, 'Chrome'],
  [/\bVersion\/(\d+(?:\.\d+)?).*\bSafari\//, 'Safari'],
];

const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

/** `Firefox 140 on Linux`. */
export function browserOf(userAgent: string, { brands = [], platform }: BrowserData = {}): string {
  // Brands hold one that is made up, so that nobody relies on the list, and Chromium beside what is built of it.
  const real = brands.filter(({ brand }) => !/not.*brand/i.test(brand));
  const brand = real.find((each) => each.brand !== 'Chromium') ?? real[0];
  const name = brand
    ? `${brand.brand} ${brand.version}`
    : NAMES.flatMap(([pattern, each]) => {
        const version = pattern.exec(userAgent)?.[1];
        return version ? [`${each} ${version}`] : [];
      })[0];
  const system = platform || SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1];
  return `${name ?? 'An unknown browser'}${system ? ` on ${system}` : ''}`;
}

/** One line: browser, cores, whether threads share memory, and when. */
export function machineLine({
  machine,
  threadsNote,
  date,
}: Pick<Report, 'machine' | 'threadsNote'> & { date?: string }): string {
  const { browser, cores, isolated } = machine;
  return [
    browser,
    cores === 1 ? '1 logical core' : `${cores} logical cores`,
    isolated
      ? `isolated, ${threadsNote ? 'but with fewer threads than chosen' : 'so that threads share memory'}`
      : 'not isolated: one thread',
    ...(date ? [`${date.slice(0, 16).replace('T', ' ')} UTC`] : []),
  ].join(' · ');
}

/** Of the measured peak of its threads, 0 … 1 or, by Winograd's algorithm, more; undefined without a peak. */
export const ofPeak = ({ gflops, peakGflops }: Row): number | undefined =>
  peakGflops > 0 ? gflops / peakGflops : undefined;

export const COLUMNS = [
  'network',
  'binary',
  'numbers',
  'threads',
  'median',
  'min to max',
  'GFLOP/s',
  'of peak',
] as const;

/** The cells of a row, as `COLUMNS` names them. */
export function cells(row: Row): string[] {
  const share = ofPeak(row);
  const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1);
  return [
    row.network,
    row.binary,
    row.numbers,
    `${row.threads}`,
    `${ms(row.ms.median)} ms`,
    `${ms(row.ms.min)} to ${ms(row.ms.max)}`,
    row.gflops.toFixed(1),
    share === undefined ? '' : `${(100 * share).toFixed(0)} %`,
  ];
}

/** `relaxed 58.9, baseline 41.2`. */
export const peaksText = ({ peaks }: Report): string =>
  Object.entries(peaks)
    .map(([binary, gflops]) => `${binary} ${gflops.toFixed(1)}`)
    .join(', ');

export function toMarkdown(report: Report): string {
  const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
  const rounds = report.rows[0]?.rounds.length ?? 0;
  return [
    `resnet-wasm in ${machineLine(report)}`,
    '',
    line(COLUMNS),
    line(COLUMNS.map((_, i) => (i < 3 ? '---' : '---:'))),
    ...report.rows.map((row) => line(cells(row))),
    '',
    ...(report.threadsNote ? [report.threadsNote, ''] : []),
    `One picture, random weights, medians of ${rounds} rounds. Peak of one thread, GFLOP/s: ${peaksText(report)}.`,
    '',
  ].join('\n');
}

/** The report with every round; numbers have four digits after the point at most. */
export const toJson = (report: Report): string =>
  JSON.stringify(report, (_, value) => (typeof value === 'number' ? Number(value.toFixed(4)) : value), 2);
