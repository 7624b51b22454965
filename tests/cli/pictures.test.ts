/** What classify and embed take as pictures, what their options come to, and what they print. */

import '../support/flags.mjs';
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, type LoadOptions, load, seededWeights } from '../../bindings/index.node.js';
import { decodeNpy } from '../../cli/npy.js';

/** npm run build makes it. */
const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const IMAGES = fileURLToPath(new URL('../data/images/', import.meta.url));
const PHOTOS = fileURLToPath(new URL('../data/photos/', import.meta.url));

interface Context {
  folder: string;
  weights: string;
  /** A folder of pictures and others, with folders in it. */
  album: string;
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const test = suite<Context>('pictures');

test.before(async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
  const [weights, album] = [join(folder, 'resnet20.safetensors'), join(folder, 'album')];
  await writeFile(weights, seededWeights(buildNetwork('resnet20_cifar')));
  for (const each of ['', 'b', 'b/c', '.hidden', 'none']) mkdirSync(join(album, each), { recursive: true });
  copyFileSync(join(PHOTOS, 'chelsea.jpg'), join(album, 'IMG10.JPG'));
  copyFileSync(join(PHOTOS, 'coffee.jpg'), join(album, 'IMG2.JPG'));
  copyFileSync(join(IMAGES, 'rgb.png'), join(album, 'b/c/x.png'));
  copyFileSync(join(IMAGES, 'rgb.png'), join(album, '.hidden/x.png'));
  copyFileSync(join(IMAGES, 'rgb.png'), join(album, '._x.png'));
  copyFileSync(join(IMAGES, 'palette.gif'), join(album, 'b/y[1].gif'));
  writeFileSync(join(album, 'notes.txt'), 'no picture');
  Object.assign(context, { folder, weights, album });
});

test.after(({ folder }) => rmSync(folder, { recursive: true }));

const start = (args: readonly string[], cwd?: string): ChildProcess => spawn(process.execPath, [CLI, ...args], { cwd });

function ended(child: ChildProcess, input: Uint8Array | '' = ''): Promise<Result> {
  const result = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      result[name] += text;
    });
  }
  child.stdin?.on('error', () => {}).end(input);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...result })));
}

const run = (...args: string[]): Promise<Result> => ended(start(args));

const cifar = (weights: string): string[] => ['--model', 'resnet20_cifar', '--weights', weights, '--threads', '1'];

interface Answer {
  readonly image: string;
  readonly topK: readonly { readonly index: number; readonly label?: string; readonly probability: number }[];
}

const answersOf = ({ stdout }: Result): Answer[] => JSON.parse(stdout);

test('a folder stands for its pictures in the order of their names, without hidden ones', async (context) => {
  const { album, weights } = context;
  const result = await run('classify', '--json', ...cifar(weights), album);
  assert.equal([result.code, result.stderr], [0, '']);
  const names = ['b/c/x.png', 'b/y[1].gif', 'IMG2.JPG', 'IMG10.JPG'].map((name) => join(album, name));
  assert.equal(
    answersOf(result).map(({ image }) => image),
    names,
  );
});

test('a glob stands for the files that match, relative or not; a file of that name goes before', async (context) => {
  const { album, weights } = context;
  const imagesOf = async (...args: string[]): Promise<string[]> =>
    answersOf(await ended(start(['classify', '--json', ...cifar(weights), ...args], album))).map(({ image }) => image);
  assert.equal(await imagesOf('*.JPG'), ['IMG2.JPG', 'IMG10.JPG']);
  assert.equal(await imagesOf('**/*.{png,gif}'), ['b/c/x.png', 'b/y[1].gif']);
  assert.equal(await imagesOf(join(album, 'b', '*')), [join(album, 'b/y[1].gif')]);
  assert.equal(await imagesOf('b/y[1].gif', 'IMG2.JPG'), ['b/y[1].gif', 'IMG2.JPG']);
});

test('one picture is the same as a path, URL, file URL, data URL and stdin', async ({ album, weights }) => {
  const path = join(album, 'IMG2.JPG');
  const bytes = readFileSync(path);
  const small = readFileSync(join(IMAGES, 'subsampled.jpg'));
  const server = createServer((_, response) => response.end(bytes));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cat.jpg`;
    const file = pathToFileURL(path).href;
    const flags = ['classify', '--json', ...cifar(weights)];
    const result = await ended(start([...flags, path, url, '-', file]), bytes);
    assert.equal([result.code, result.stderr], [0, '']);
    const answers = answersOf(result);
    assert.equal(
      answers.map(({ image }) => image),
      [path, url, 'stdin', file],
    );
    for (const { topK } of answers) assert.equal(topK, answers[0]?.topK);
    const data = `data:image/jpeg;base64,${small.toString('base64')}`;
    const [first, second] = answersOf(await run(...flags, data, join(IMAGES, 'subsampled.jpg')));
    assert.equal(first?.topK, second?.topK);
    assert.is(first?.image, `${data.slice(0, 40)}…`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('what cannot be read is named, each in one line, and the rest is answered in order', async (context) => {
  const { album, folder, weights } = context;
  const [good, bad] = [join(album, 'IMG2.JPG'), join(folder, 'bad.png')];
  writeFileSync(bad, 'no picture');
  const [none, data] = [join(album, 'none'), `data:image/png;base64,${'A'.repeat(400)}`];
  const glob = join(folder, 'q*.jpg');
  const flags = ['classify', ...cifar(weights), '--top-k', '1'];
  const { code, stdout, stderr } = await run(...flags, good, bad, none, glob, data, '-', good);
  assert.is(code, 1);
  assert.is(stdout.match(/IMG2\.JPG {2}\(\d+ ms\)\n {2}class \d+ +[\d.]+ %\n/g)?.length, 2, stdout);
  const other = 'expected a picture, got a file that is not JPEG, PNG, WebP or GIF.';
  assert.equal(stderr.trimEnd().split('\n'), [
    // Before the network is loaded.
    `${none}: expected a picture in this folder, got none.`,
    `${glob}: no file matches.`,
    `${bad}: ${other}`,
    `${data.slice(0, 40)}…: ${other}`,
    'stdin: expected a picture, got an empty file.',
  ]);
});

/** The probabilities of a photograph by class, as the library has them. */
async function byLibrary(weights: string, options: LoadOptions): Promise<number[]> {
  using model = await load('resnet20_cifar', { ...options, weights, threads: 1 });
  const ranked = await model.classify(join(PHOTOS, 'coffee.jpg'), { topK: 10 });
  return ranked.sort((a, b) => a.index - b.index).map(({ probability }) => probability);
}

test('options come to what they are for the library', async ({ weights }) => {
  const cases: [string[], LoadOptions][] = [
    [[], {}],
    [['--preset', 'caffe'], { preprocessing: 'caffe' }],
    [
      ['--preset', 'tf', '--mean', '100,110.5,120', '--std', '50'],
      { preprocessing: { base: 'tf', mean: [100, 110.5, 120], std: 50 } },
    ],
    [['--mean', '0.5'], { preprocessing: { mean: 0.5 } }],
    [['--interpolation', 'lanczos'], { preprocessing: { interpolation: 'lanczos' } }],
    [['--size', '48'], { size: 48 }],
    [['--size', '48', '--preset', 'tf'], { size: 48, preprocessing: 'tf' }],
    [['--activation', 'sigmoid'], { activation: 'sigmoid' }],
    [['--activation', 'none'], { activation: 'none' }],
  ];
  const flags = ['classify', '--json', ...cifar(weights), '--top-k', '10', join(PHOTOS, 'coffee.jpg')];
  const seen = new Set<string>();
  for (const [given, options] of cases) {
    const [answer] = answersOf(await run(...flags, ...given));
    const got = [...(answer?.topK ?? [])].sort((a, b) => a.index - b.index).map(({ probability }) => probability);
    assert.equal(got, await byLibrary(weights, options), given.join(' '));
    seen.add(JSON.stringify(got));
  }
  // Each has an effect.
  assert.is(seen.size, cases.length);
});

test('what is no probability is no percentage', async ({ weights }) => {
  const flags = ['classify', ...cifar(weights), '--top-k', '2', join(PHOTOS, 'coffee.jpg')];
  const values = await byLibrary(weights, { activation: 'none' });
  const { stdout } = await run(...flags, '--activation', 'none');
  const rows = [...stdout.matchAll(/^ {2}class (\d+) +(-?[\d.]+)$/gm)];
  assert.is(rows.length, 2, stdout);
  for (const [, index, value] of rows) assert.is(value, values[Number(index)]?.toFixed(4));
});

test('a mean that the preset cannot have is refused', async ({ weights }) => {
  const flags = ['classify', ...cifar(weights), join(PHOTOS, 'coffee.jpg')];
  const usage = (stderr: string): Result => ({ code: 2, stdout: '', stderr });
  assert.equal(
    await run(...flags, '--preset', 'torch', '--mean', '127'),
    usage(
      "error: option '--mean <a,b,c>' takes numbers from 0 to 1, not 127, which torch has; caffe and tf have 0 to 255\n",
    ),
  );
  assert.equal(
    await run(...flags, '--mean', '0.5,300,1'),
    usage("error: option '--mean <a,b,c>' takes numbers from 0 to 255, not 300\n"),
  );
});

test('labels are lines, a JSON list, or by index as in a config.json and in Keras', async ({ folder, weights }) => {
  const labels = ['airplane', 'car', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'big truck'];
  const contents = [
    `${labels.join('\n')}\n`,
    `\uFEFF${labels.join('\r\n')}\r\n\r\n`,
    JSON.stringify(labels),
    JSON.stringify({ model_type: 'resnet', id2label: { ...labels } }),
    JSON.stringify(Object.fromEntries(labels.map((label, i) => [i, [`n${i}`, label]]))),
  ];
  const file = join(folder, 'labels');
  const flags = ['classify', '--json', ...cifar(weights), '--top-k', '10', join(PHOTOS, 'coffee.jpg')];
  for (const content of contents) {
    writeFileSync(file, content);
    const [answer] = answersOf(await run(...flags, '--labels', file));
    assert.is(answer?.topK.length, 10);
    for (const { index, label } of answer?.topK ?? []) assert.is(label, labels[index]);
  }
  const wrong: [string, string][] = [
    ['', `${file}: expected a label in line 1, got none.`],
    ['a\n\nc\n', `${file}: expected a label in line 2, got none.`],
    ['["a", 1]', `${file}: expected a label for class 1, got none.`],
    ['{"id2label": {"0": "a", "2": "c"}}', `${file}: expected a label for class 1, got none.`],
    ['[1', `${file}: expected JSON since it begins with [, got text that is none.`],
    ['a\nb\n', 'labels: expected 10, one per class, got 2.'],
  ];
  for (const [content, message] of wrong) {
    writeFileSync(file, content);
    assert.equal(await run(...flags, '--labels', file), { code: 1, stdout: '', stderr: `${message}\n` });
  }
});

test('embed writes a row per picture that could be read, and names them in that order', async (context) => {
  const { album, folder, weights } = context;
  const [out, bad] = [join(folder, 'out.npy'), join(folder, 'bad.jpg')];
  writeFileSync(bad, 'no picture');
  const [one, two] = [join(album, 'IMG10.JPG'), join(album, 'IMG2.JPG')];
  const flags = ['embed', ...cifar(weights), one, bad, two];
  using model = await load('resnet20_cifar', { weights, threads: 1 });
  for (const normalise of [false, true]) {
    const rows = await model.embed([one, two], { normalise });
    const own = normalise ? ['--normalize'] : [];
    const { code, stdout, stderr } = await run(...flags, ...own, '--out', out);
    assert.equal([code, stdout], [1, `${one}\n${two}\n`]);
    assert.match(stderr, /^\S+bad\.jpg: expected a picture, got .*\.\n$/);
    const { data, shape } = decodeNpy('out', readFileSync(out));
    assert.equal(shape, [2, 64]);
    assert.equal(data, Float32Array.from(rows.flatMap((row) => [...row])));
    const lines = (await run(...flags, ...own)).stdout.trimEnd().split('\n');
    assert.is(lines.length, 2);
    lines.forEach((line, i) => {
      const { image, embedding } = JSON.parse(line);
      assert.is(image, [one, two][i]);
      assert.equal(Float32Array.from(embedding), rows[i]);
    });
  }
  const none = join(folder, 'none.npy');
  assert.is((await run('embed', ...cifar(weights), bad, '--out', none)).code, 1);
  assert.not(existsSync(none));
});

test('weights come from stdin too, and tell their network there', async ({ folder, weights, album }) => {
  const bytes = readFileSync(weights);
  const picture = join(album, 'IMG2.JPG');
  const out = join(folder, 'converted.safetensors');
  const [byPath, ...others] = await Promise.all([
    run('classify', '--json', '--weights', weights, picture),
    ended(start(['classify', '--json', '--weights', '-', picture]), bytes),
    ended(start(['classify', '--json', '--weights', '/dev/stdin', picture]), bytes),
  ]);
  for (const other of others) assert.equal(answersOf(other)[0]?.topK, answersOf(byPath)[0]?.topK);
  assert.is((await ended(start(['convert', '-', out]), bytes)).code, 0);
  assert.match((await ended(start(['inspect', '-']), bytes)).stdout, /\nlooks like resnet20_cifar\n/);
});

test('Ctrl-C ends what waits for a picture, and what was asked for is not written', async ({
  folder,
  weights,
  album,
}) => {
  const out = join(folder, 'aborted.npy');
  const child = start(['embed', ...cifar(weights), join(album, 'IMG2.JPG'), '-', '--out', out]);
  let stdout = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
    child.kill('SIGINT');
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.is(code, 130);
  assert.is(stdout, `${join(album, 'IMG2.JPG')}\n`);
  assert.not(existsSync(out));
});

test('pictures of too many pixels are refused', async ({ weights }) => {
  const photo = join(PHOTOS, 'coffee.jpg');
  const flags = ['classify', ...cifar(weights), photo, '--max-pixels'];
  const [fewer, enough] = await Promise.all([run(...flags, '239999'), run(...flags, '240000')]);
  assert.is(enough.code, 0);
  assert.equal([fewer.code, fewer.stdout], [1, '']);
  assert.is(
    fewer.stderr,
    `${photo}: expected a picture of at most 239999 pixels, got 600x400; --max-pixels can allow more.\n`,
  );
});

test.run();
