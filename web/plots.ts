/** A benchmark's results as bars. The table beside them has the same numbers: screen readers read that. */

import type { Report, Row } from './bench.js';
import { runName } from './bench.js';
import { h } from './dom.js';

interface Plot {
  readonly title: string;
  readonly note: string;
  readonly value: (row: Row) => number;
  readonly text: (row: Row) => string;
  /** From the least to the greatest of the rounds. */
  readonly range?: (row: Row) => readonly [number, number];
  /** What the bar is measured against. */
  readonly roof?: (row: Row) => number;
}

const PLOTS: readonly Plot[] = [
  {
    title: 'Milliseconds for a picture',
    note: 'Shorter is better. The line across a bar’s end goes from the fastest round to the slowest.',
    value: ({ ms }) => ms.median,
    text: ({ ms }) => ms.median.toFixed(ms.median < 10 ? 2 : 1),
    range: ({ ms }) => [ms.min, ms.max],
  },
  {
    title: 'GFLOP/s, and the peak',
    note: 'Longer is better. The upright mark is the measured peak of as many threads.',
    value: ({ gflops }) => gflops,
    text: ({ gflops }) => gflops.toFixed(1),
    roof: ({ peakGflops }) => peakGflops,
  },
];

export function plots({ rows }: Report): HTMLElement {
  const networks = new Map<string, Row[]>();
  for (const row of rows) networks.set(row.network, [...(networks.get(row.network) ?? []), row]);
  return h(
    'div',
    { class: 'plots' },
    PLOTS.map((plot) => {
      const ends = rows.map((row) => Math.max(plot.value(row), plot.range?.(row)[1] ?? 0, plot.roof?.(row) ?? 0));
      const greatest = Math.max(...ends);
      return h(
        'figure',
        { class: 'panel stack' },
        h('figcaption', {}, h('h3', {}, plot.title), h('p', { class: 'small soft' }, plot.note)),
        [...networks].map(([network, ofNetwork]) =>
          h(
            'div',
            { class: 'bars', 'aria-hidden': 'true' },
            h('strong', {}, network),
            ofNetwork.map((row) => bar(plot, row, greatest)),
          ),
        ),
      );
    }),
  );
}

function bar({ value, text, range, roof }: Plot, row: Row, greatest: number): HTMLElement {
  const at = (each: number): string => `${(100 * each) / greatest}%`;
  const [low, high] = range?.(row) ?? [0, 0];
  return h(
    'div',
    { class: 'row-of-plot' },
    h('span', { class: 'soft' }, runName(row)),
    h(
      'span',
      { class: 'lane' },
      h('span', { class: `fill ${row.binary}`, style: { width: at(value(row)) } }),
      range && h('span', { class: 'range', style: { left: at(low), width: at(high - low) } }),
      roof && h('span', { class: 'roof', style: { left: at(roof(row)) } }),
    ),
    h('span', { class: 'value' }, text(row)),
  );
}
