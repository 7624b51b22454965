/** Bars on terminals of any width, lines elsewhere: a stand-in for stderr. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { showBytes, showPictures } from '../../cli/progress.js';

/** What is written on stderr as a terminal of so many columns, or no terminal, while `work` runs. */
function written(columns: number | undefined, work: () => void, term = 'xterm'): string {
  const { stderr, env } = process;
  const own = { isTTY: stderr.isTTY, columns: stderr.columns, write: stderr.write, TERM: env.TERM };
  let text = '';
  Object.assign(stderr, {
    isTTY: columns !== undefined,
    columns,
    write: (part: string) => {
      text += part;
      return true;
    },
    // A terminal's own, by which readline moves the cursor.
    cursorTo: undefined,
  });
  env.TERM = term;
  try {
    work();
  } finally {
    const { TERM, ...rest } = own;
    Object.assign(stderr, rest);
    if (TERM === undefined) delete env.TERM;
    else env.TERM = TERM;
  }
  return text;
}

/** The lines that a terminal shows one after the other in one row. */
const states = (text: string): string[] =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a terminal is told by.
    .split(/\x1b(?:\[[?\d;]*[A-Za-z]|[78])|\n/)
    .filter(Boolean);

const bytes = (): void => {
  const view = showBytes('Fetching resnet50 weights');
  view.update({ loaded: 30e6, total: 100e6 });
  view.stop();
};

test('a bar fits its terminal, and has no colours', () => {
  for (const columns of [20, 30, 40, 60, 80, 200]) {
    const text = written(columns, bytes);
    const shown = states(text);
    assert.ok(shown.length > 0);
    for (const line of shown) assert.ok(line.length < columns, `${columns}: ${line}`);
    assert.match(shown.join('\n'), / 30 % {2}30\.0/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
    assert.not.match(text, /\x1b\[[\d;]*m/);
  }
  assert.match(
    states(written(80, bytes))[0] ?? '',
    /^Fetching resnet50 weights {2}█+\S?░+ {2}30 % {2}30\.0 of 100\.0 MB/,
  );
});

test('without a terminal that moves its cursor there are lines of plain text', () => {
  const line = 'Fetching resnet50 weights: 25 % of 100.0 MB\n';
  assert.is(written(undefined, bytes), line);
  assert.is(written(80, bytes, 'dumb'), line);
});

test('a bar of pictures gives way to what is written, and goes at the end; one picture has none', () => {
  const work = (total: number) => () => {
    const view = showPictures(total);
    view.update(0);
    view.update(1, () => process.stderr.write('answer\n'));
    view.stop();
  };
  const text = written(60, work(4));
  const [before, after] = text.split('answer\n') as [string, string];
  assert.match(before, / 0 % {2}0 of 4 pictures/);
  assert.match(after, /25 % {2}1 of 4 pictures/);
  // Cleared before the answer, and at the end.
  assert.ok(before.endsWith('\x1b[1G\x1b[2K'), JSON.stringify(before));
  assert.ok(after.endsWith('\x1b[1G\x1b[2K'), JSON.stringify(after));
  assert.is(written(60, work(1)), 'answer\n');
  assert.is(written(undefined, work(4)), 'answer\n');
});

test.run();
