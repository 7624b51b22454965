/**
 * The documents: every relative link leads to a file that is there and to a heading that it has, and every file of this
 * repository that they name is there.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('../..', import.meta.url));

const markdownIn = (folder: string, recursive: boolean): string[] =>
  readdirSync(join(root, folder), { recursive, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !file.includes('node_modules'))
    .map((file) => join(root, folder, file));

const documents = [...markdownIn('.', false), ...markdownIn('docs', true), ...markdownIn('examples', true)];

/** Headings as GitHub makes anchors of them. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

const withoutCode = (text: string): string => text.replace(/^```.*?^```/gms, '');

const linksOf = (text: string): string[] =>
  [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target));

/** What is wrong with a link of `file`; undefined if nothing is. */
function fault(file: string, target: string): string | undefined {
  const [path = '', anchor] = target.split('#');
  const to = path === '' ? file : join(dirname(file), path);
  const stat = statSync(to, { throwIfNoEntry: false });
  if (!stat) return `${target}: there is no such file.`;
  if (anchor === undefined) return undefined;
  return anchorsOf(readFileSync(to, 'utf8')).includes(anchor) ? undefined : `${target}: there is no such heading.`;
}

test('there are documents', () => {
  const names = documents.map((file) => relative(root, file));
  for (const name of ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', join('docs', 'architecture.md')]) {
    assert.ok(names.includes(name), `${name} is missing`);
  }
  assert.ok(documents.flatMap((file) => linksOf(readFileSync(file, 'utf8'))).length > 10);
});

for (const file of documents) {
  test(`links of ${relative(root, file)}`, () => {
    const faults = linksOf(readFileSync(file, 'utf8')).flatMap((target) => fault(file, target) ?? []);
    assert.equal(faults, []);
  });
}

const ABOUT_FILES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/architecture.md'];

/** Made by a build, or entries of the package. */
const NOT_THERE = [
  'dist-web/',
  'build/api',
  'resnet-wasm/node',
  'resnet-wasm/server',
  'resnet-wasm/static',
  'resnet-wasm/web',
];

/** Paths from the root or from bindings/ that a text names in code, without patterns. */
const pathsOf = (text: string): string[] =>
  [...withoutCode(text).matchAll(/`([a-z_-]+\/[\w./-]*)`/g)].map(([, path = '']) => path);

for (const file of ABOUT_FILES) {
  test(`files that ${file} names are there`, () => {
    const missing = pathsOf(readFileSync(join(root, file), 'utf8')).filter(
      (path) => ![path, `bindings/${path}`].some((each) => existsSync(join(root, each))),
    );
    assert.equal(
      missing.filter((path) => !NOT_THERE.includes(path)),
      [],
    );
  });
}

test('paths are found', () => {
  assert.equal(pathsOf('See `engine/arena.ts` and `models/`, not `weights/{types, dtype}`.'), [
    'engine/arena.ts',
    'models/',
  ]);
  assert.ok(ABOUT_FILES.flatMap((file) => pathsOf(readFileSync(join(root, file), 'utf8'))).length > 40);
});

test('a broken link is found', () => {
  const file = join(root, 'README.md');
  assert.is(fault(file, 'none.md'), 'none.md: there is no such file.');
  assert.is(fault(file, '#none'), '#none: there is no such heading.');
  assert.is(fault(file, '#how-fast'), undefined);
});

test.run();
