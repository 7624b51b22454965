import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { summary } from '../../bindings/compile/summary.js';
import {
  type Binary,
  type LoadOptions,
  load,
  type Model,
  measurePeak,
  seededInput,
  supportsRelaxed,
} from '../../bindings/index.node.js';
import { buildNetwork } from '../../models/index.js';
import {
  bench,
  type Choice,
  type Library,
  type Progress,
  type Report,
  type Results,
  type Row,
  setsOf,
} from '../../web/bench.js';
import { browserOf, cells, toJson, toMarkdown } from '../../web/report.js';

/** The library, with what it was asked for. */
function watched(): { library: Library; events: string[]; live: () => number } {
  const events: string[] = [];
  let alive = 0;
  const library: Library = {
    seededInput,
    measurePeak,
    async load(name, options) {
      const model = await load(name, options as LoadOptions);
      const label = `${name} ${options.binary} ${options.quantize} ${options.threads}`;
      alive++;
      return new Proxy(model, {
        get(target, key) {
          if (key === 'run') events.push(label);
          if (key === 'dispose') alive--;
          const value = Reflect.get(target, key, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }) as Model;
    },
  };
  return { library, events, live: () => alive };
}

const binaries: Binary[] = supportsRelaxed() ? ['relaxed', 'baseline'] : ['baseline'];
const choice: Choice = {
  networks: ['resnet20_cifar'],
  binaries,
  numbers: ['float32', 'int8'],
  threads: [1, 2],
  rounds: 3,
};
const never = new AbortController().signal;

test('every variant is run in every round, in turn, and no model is left', async () => {
  const { library, events, live } = watched();
  const told: Progress[] = [];
  let rows: readonly Row[] = [];
  await bench(
    library,
    choice,
    never,
    (progress) => told.push(progress),
    (results) => {
      rows = results.rows;
    },
  );
  assert.is(live(), 0);
  assert.is(rows.length, binaries.length * 4);
  const turn = events.slice(0, rows.length);
  assert.is(new Set(turn).size, rows.length);
  assert.is(events.length, rows.length * 7);
  assert.equal(
    events,
    events.map((_, i) => turn[i % turn.length]),
  );
  const { macs } = summary(buildNetwork('resnet20_cifar'));
  for (const row of rows) {
    assert.is(row.rounds.length, 3);
    assert.ok(row.ms.min <= row.ms.median && row.ms.median <= row.ms.max);
    assert.ok(Math.abs(row.gflops * row.ms.median * 1e6 - 2 * macs) < 1, `${row.gflops} GFLOP/s`);
    assert.ok(row.peakGflops > 0);
  }
  assert.is(rows.find(({ threads }) => threads === 2)?.peakGflops, 2 * (rows[0]?.peakGflops ?? 0));
  assert.ok(told.every(({ done, total }, i) => done >= (told[i - 1]?.done ?? 0) && done <= total));
  assert.is(told.at(-1)?.done, told.at(-1)?.total);
});

test('what comes to the same number of threads is measured once, and the reason is kept', async () => {
  const { library, live } = watched();
  const alone: Library = {
    ...library,
    load: async (name, options) => {
      const model = await library.load(name, { ...options, threads: 1 });
      const info = { ...model.info(), threadsNote: 'One thread, since.' };
      return new Proxy(model, {
        get: (target, key) => (key === 'info' ? () => info : Reflect.get(target, key, target)),
      });
    },
  };
  const taken: Results[] = [];
  await bench(
    alone,
    choice,
    never,
    () => {},
    (results) => taken.push(results),
  );
  assert.equal(
    taken.at(-1)?.rows.map(({ binary, numbers, threads }) => [binary, numbers, threads]),
    binaries.flatMap((binary) => choice.numbers.map((numbers) => [binary, numbers, 1])),
  );
  assert.is(taken.at(-1)?.threadsNote, 'One thread, since.');
  assert.is(live(), 0);
});

test('cancelling ends it with the reason, keeps the networks that are done, and leaves no model', async () => {
  const { library, live } = watched();
  const abort = new AbortController();
  const taken: number[] = [];
  const reason = await bench(
    library,
    { ...choice, networks: ['resnet20_cifar', 'resnet32_cifar'] },
    abort.signal,
    ({ text }) => {
      if (text.startsWith('resnet32_cifar: round 2')) abort.abort(new Error('enough'));
    },
    ({ rows }) => taken.push(rows.length),
  ).catch((error: Error) => error.message);
  assert.is(reason, 'enough');
  assert.equal(taken, [binaries.length * 4]);
  assert.is(live(), 0);
});

test('variants that do not fit into memory together run one after the other', () => {
  const sizes = (mostBytes?: number) => setsOf('resnet50', choice, mostBytes).map((set) => set.length);
  assert.equal(sizes(1e10), [binaries.length * 4]);
  assert.equal(
    sizes(1e6),
    Array.from({ length: binaries.length * 4 }, () => 1),
  );
});

const row: Row = {
  network: 'resnet18',
  binary: 'relaxed',
  numbers: 'int8',
  threads: 2,
  rounds: [20, 25, 30.00004],
  ms: { median: 25, min: 20, max: 30.00004 },
  gflops: 145.126,
  peakGflops: 116,
};
const report: Report = {
  date: '2026-01-02T03:04:05.678Z',
  machine: { browser: 'Firefox 140 on Linux', cores: 4, isolated: true },
  peaks: { relaxed: 58 },
  rows: [row],
};

test('results as text', () => {
  assert.equal(cells(row), ['resnet18', 'relaxed', 'int8', '2', '25.0 ms', '20.0 to 30.0', '145.1', '125 %']);
  assert.is(
    toMarkdown(report),
    `resnet-wasm in Firefox 140 on Linux · 4 logical cores · isolated, so that threads share memory · 2026-01-02 03:04 UTC

| network | binary | numbers | threads | median | min to max | GFLOP/s | of peak |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |
| resnet18 | relaxed | int8 | 2 | 25.0 ms | 20.0 to 30.0 | 145.1 | 125 % |

One picture, random weights, medians of 3 rounds. Peak of one thread, GFLOP/s: relaxed 58.0.
`,
  );
  const parsed = JSON.parse(toJson(report));
  assert.is(parsed.rows[0].ms.max, 30);
  assert.is(parsed.rows[0].gflops, 145.126);
});

test('a browser that gives no threads is not said to share memory', () => {
  const threadsNote = 'One thread, since no worker started.';
  assert.match(toMarkdown({ ...report, threadsNote }), /isolated, but with fewer threads .*\n\nOne thread, since/s);
});

for (const [agent, data, name] of [
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', {}, 'Firefox 140 on Linux'],
  [
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15',
    {},
    'Safari 18.3 on macOS',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    {
      brands: [
        { brand: 'Not A(Brand', version: '24' },
        { brand: 'Chromium', version: '140' },
        { brand: 'Google Chrome', version: '140' },
      ],
      platform: 'Windows',
    },
    'Google Chrome 140 on Windows',
  ],
  [
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0',
    {},
    'Edge 140 on Windows',
  ],
  ['', {}, 'An unknown browser'],
] as const) {
  test(`a browser by what it says of itself: ${name}`, () => {
    assert.is(browserOf(agent, data), name);
  });
}

test.run();
