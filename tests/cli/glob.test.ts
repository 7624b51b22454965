/** Patterns of files, against what bash matches with globstar. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesBelow, glob, isPattern } from '../../cli/glob.js';

const folder = mkdtempSync(join(tmpdir(), 'glob-'));
const files = [
  'a.jpg',
  'b.JPG',
  'c[1].jpg',
  'é 😀.png',
  '.h.jpg',
  'd/e.jpg',
  'd/f/g.png',
  'd/.k/l.jpg',
  'm.d/n+(o).jpg',
];

test.before(() => {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  symlinkSync(join(folder, 'a.jpg'), join(folder, 'd/linked.jpg'));
  // A circle.
  symlinkSync(folder, join(folder, 'd/up'));
  symlinkSync(join(folder, 'nowhere'), join(folder, 'd/broken.jpg'));
});

test.after(() => rmSync(folder, { recursive: true }));

for (const [pattern, expected] of [
  ['*.jpg', ['a.jpg', 'c[1].jpg']],
  ['*', ['a.jpg', 'b.JPG', 'c[1].jpg', 'é 😀.png']],
  ['.*', ['.h.jpg']],
  ['?.jpg', ['a.jpg']],
  ['é ?.png', ['é 😀.png']],
  ['[ab].*', ['a.jpg', 'b.JPG']],
  ['[!a].jpg', []],
  ['[!a]*.jpg', ['c[1].jpg']],
  ['[b-z]*', ['b.JPG', 'c[1].jpg']],
  ['[z-a]*', []],
  ['c[[]1].jpg', ['c[1].jpg']],
  ['c[1.jpg', []],
  ['*.{jpg,JPG}', ['a.jpg', 'b.JPG', 'c[1].jpg']],
  ['{a,d/{e,x}}.jpg', ['a.jpg', 'd/e.jpg']],
  ['a{b}', []],
  ['**/*.jpg', ['a.jpg', 'c[1].jpg', 'd/e.jpg', 'd/linked.jpg', 'm.d/n+(o).jpg']],
  ['d/**', ['d/e.jpg', 'd/f/g.png', 'd/linked.jpg']],
  ['**/g.png', ['d/f/g.png']],
  ['**/**/g.png', ['d/f/g.png']],
  ['*/e.jpg', ['d/e.jpg']],
  // As in a shell, a link is followed if its own part of the pattern matches.
  ['d/*/a.jpg', ['d/up/a.jpg']],
  ['d/.*/*', ['d/.k/l.jpg']],
  ['m.d/*(o).jpg', ['m.d/n+(o).jpg']],
  ['m?d/*', ['m.d/n+(o).jpg']],
  ['x/*', []],
  ['a.jpg/*', []],
] as const) {
  test(`${pattern}`, async () => {
    assert.ok(isPattern(pattern));
    // From a folder whose name has no characters of patterns.
    const found = await glob(`${folder}/${pattern}`);
    assert.equal(found.sort(), expected.map((file) => join(folder, file)).sort());
  });
}

test('relative patterns have relative files', async () => {
  const before = process.cwd();
  process.chdir(folder);
  try {
    assert.equal(await glob('d/*.jpg'), ['d/e.jpg', 'd/linked.jpg']);
    assert.equal(await glob('./d/../*.JPG'), ['./d/../b.JPG']);
  } finally {
    process.chdir(before);
  }
});

test('a folder has its files and those of its folders, hidden ones aside', async () => {
  const below = ['e.jpg', 'f/g.png', 'linked.jpg'].map((file) => join(folder, 'd', file));
  for (const end of ['', '/', '//']) assert.equal((await filesBelow(join(folder, 'd') + end)).sort(), below);
});

test.run();
