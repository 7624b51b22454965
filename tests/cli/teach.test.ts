/** `teach`, `classify --head` and `search` as a person runs them. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededWeights } from '../../bindings/weights/random.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { buildNetwork } from '../../models/index.js';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const COLOURS = { 'a rose': [200, 40, 40], 'leaf "x"': [40, 200, 40], sky: [40, 40, 200] } as const;

const folder = mkdtempSync(join(tmpdir(), 'teach-'));
const at = (...names: string[]): string => join(folder, ...names);
const weights = at('resnet20.safetensors');

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

const own = ['--weights', weights, '--model', 'resnet20_cifar'];

async function picture(path: string, [r, g, b]: readonly number[], seed: number): Promise<void> {
  const noise = uniform(`${seed}`, 32 * 32 * 3, -20, 20);
  const data = Uint8Array.from(noise, (value, i) => Math.max(0, value + ([r, g, b][i % 3] as number)));
  await sharp(data, { raw: { width: 32, height: 32, channels: 3 } })
    .png()
    .toFile(path);
}

const test = suite('teach');

test.before(async () => {
  await writeFile(weights, seededWeights(buildNetwork('resnet20_cifar')));
  for (const [label, colour] of Object.entries(COLOURS)) {
    mkdirSync(at('learn', label), { recursive: true });
    for (let i = 0; i < 5; i++) await picture(at('learn', label, `${i}.png`), colour, i);
  }
  await picture(at('new.png'), COLOURS.sky, 50);
  mkdirSync(at('one', 'only'), { recursive: true });
  await picture(at('one', 'only', 'a.png'), COLOURS.sky, 1);
});

test.after(() => rmSync(folder, { recursive: true }));

test('classes are folders; the head classifies, and so does the whole network', () => {
  const taught = run('teach', at('learn'), '--out', at('head.safetensors'), ...own);
  assert.is(taught.code, 0, taught.err);
  assert.match(taught.out, /^Accuracy 100\.0 % of 15 pictures that were not learned \(5 folds\)$/m);
  assert.match(taught.out, /^a rose +5 +· +·$/m);
  assert.ok(statSync(at('head.safetensors')).size < 2000);
  const found = run('classify', '--head', at('head.safetensors'), ...own, '--json', at('new.png'));
  assert.is(found.code, 0, found.err);
  const [{ topK }] = JSON.parse(found.out);
  assert.is(topK.length, 3);
  assert.is(topK[0].label, 'sky');

  assert.is(run('teach', at('learn'), '--out', at('whole.safetensors'), '--whole', '--variants', '2', ...own).code, 0);
  const whole = run('classify', '--weights', at('whole.safetensors'), '--json', at('new.png'));
  assert.is(whole.code, 0, whole.err);
  assert.is(JSON.parse(whole.out)[0].topK[0].label, 'sky');
});

test('--json has the confusion matrix', () => {
  const { code, out } = run('teach', at('learn'), '--out', at('json.safetensors'), '--json', '--folds', '3', ...own);
  assert.is(code, 0);
  const { labels, confusion, pictures } = JSON.parse(out);
  assert.is(pictures, 15);
  assert.equal(labels, Object.keys(COLOURS).sort());
  assert.is(confusion.flat().length, 9);
});

test('a picture that cannot be read is named and left out', () => {
  writeFileSync(at('learn', 'sky', 'broken.jpg'), 'none');
  const { code, out, err } = run('teach', at('learn'), '--out', at('rest.safetensors'), ...own);
  rmSync(at('learn', 'sky', 'broken.jpg'));
  assert.is(code, 1);
  assert.match(err, /broken\.jpg: expected a picture/);
  assert.match(out, /of 15 pictures/);
});

for (const [what, args, code, message] of [
  [
    'one folder',
    () => ['teach', at('one'), '--out', at('x.safetensors')],
    1,
    /expected two folders of pictures or more, one per class, got 1\.$/m,
  ],
  [
    'no folder',
    () => ['teach', at('new.png'), '--out', at('x.safetensors')],
    1,
    /expected a folder with a folder per class, got none\.$/m,
  ],
  ['another kind of file', () => ['teach', at('learn'), '--out', at('x.pth')], 2, /ends in \.safetensors/],
  [
    'weights for a head',
    () => ['classify', '--head', weights, at('new.png')],
    1,
    /expected a file that resnet-wasm teach wrote/,
  ],
  [
    'a head and --cam',
    () => ['classify', '--head', at('head.safetensors'), '--cam', at('x.png'), at('new.png')],
    2,
    /--whole/,
  ],
  ['no query', () => ['search', at('learn')], 2, /--duplicates/],
] as const) {
  test(`${what}: one sentence`, () => {
    const given = args();
    const isOwn = !given.includes('--head');
    const { code: got, err } = run(...given, ...(isOwn ? own : []));
    assert.is(got, code, err);
    assert.match(err, message);
  });
}

test('search finds what is most alike, and its index is used again', () => {
  const args = ['search', at('learn'), at('new.png'), '--index', at('index.safetensors'), '--top-k', '3', ...own];
  const first = run(...args);
  assert.is(first.code, 0, first.err);
  const lines = first.out.trim().split('\n');
  assert.is(lines.length, 3);
  for (const line of lines) assert.match(line, /^[01]\.\d{3} {2}.*sky/);
  const index = readFileSync(at('index.safetensors'));
  assert.equal(run(...args), first);
  assert.equal(readFileSync(at('index.safetensors')), index);
  assert.match(
    run('search', at('learn'), at('new.png'), '--index', at('head.safetensors'), ...own).err,
    /expected an index of search/,
  );
});

test('duplicates are grouped', () => {
  writeFileSync(at('learn', 'sky', 'copy.png'), readFileSync(at('learn', 'sky', '0.png')));
  const { code, out } = run('search', at('learn'), '--duplicates', '--least', '0.99999', '--json', ...own);
  rmSync(at('learn', 'sky', 'copy.png'));
  assert.is(code, 0);
  assert.equal(JSON.parse(out), [[at('learn', 'sky', '0.png'), at('learn', 'sky', 'copy.png')]]);
});

test.run();
