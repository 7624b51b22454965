import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Progress, throttled } from '../../bindings/model/progress.js';

/** Reports `count` steps of a phase, one per `ms` of a clock that the test turns; returns those that pass. */
function passed(count: number, ms: number, ...phases: readonly Progress['phase'][]): Progress[] {
  const { now } = performance;
  let time = 1000;
  performance.now = () => time;
  try {
    const seen: Progress[] = [];
    const report = throttled((progress) => seen.push(progress));
    for (const phase of phases) {
      for (let loaded = 1; loaded <= count; loaded++, time += ms) report({ phase, loaded, total: count });
    }
    return seen;
  } finally {
    performance.now = now;
  }
}

test('one report per 50 ms passes, and the first and the last', () => {
  assert.equal(
    passed(100, 10, 'pack').map(({ loaded }) => loaded),
    [1, ...Array.from({ length: 19 }, (_, i) => 5 * i + 6), 100],
  );
  assert.is(passed(100, 60, 'pack').length, 100);
});

test('each phase has its first and its last report', () => {
  assert.equal(
    passed(1000, 0, 'download', 'pack', 'tune').map(({ phase, loaded }) => `${phase} ${loaded}`),
    ['download 1', 'download 1000', 'pack 1', 'pack 1000', 'tune 1', 'tune 1000'],
  );
});

test.run();
