/** The package as npm packs it: its files, its entries and types. Its pages are those of tests/examples. */

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyApp, packed, root } from '../support/packed.js';

const run = promisify(execFile);
const { files, size, unpackedSize, tarball } = packed;

const test = suite('package');

test('npm packs what users need, and no more', () => {
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  console.log(`npm pack: ${kB(size)}, unpacked ${kB(unpackedSize)} in ${files.length} files`);
  const allowed =
    /^(dist\/[\w.-]+\.js|dist\/THIRD-PARTY-LICENSES\.txt|dist\/types\/(bindings|models|server)\/.+\.d\.ts|build\/[\w-]+\.wasm|package\.json|README\.md|LICENSE)$/;
  assert.equal(
    files.map(({ path }) => path).filter((path) => !allowed.test(path)),
    [],
  );
  for (const path of ['dist/web.js', 'dist/worker.js', 'dist/node.js', 'dist/cli.js', 'build/relaxed.wasm']) {
    assert.ok(
      files.some((file) => file.path === path),
      `expected ${path}`,
    );
  }
});

test('the package has no dependencies, and names the files that have side effects', async () => {
  const { dependencies, optionalDependencies, sideEffects } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  assert.equal([dependencies, optionalDependencies], [undefined, undefined]);
  // Chunks are named after their content, so that these are the entries, and all of them.
  const entries = files
    .map(({ path }) => `./${path}`)
    .filter((path) => /^\.\/dist\/(?!(web|node)-)[\w.]+\.js$/.test(path));
  assert.equal([...sideEffects].sort(), entries.sort());
});

test('Parcel, which reads no exports, takes the entry of pages, and no worker calls importScripts', async () => {
  const { browser } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  assert.is(browser, './dist/web.js');
  const worker = await readFile(join(root, 'dist/worker.js'), 'utf8');
  assert.not.match(worker, /\bimportScripts\b/);
});

test('the licences of all bundled packages are in the package', async () => {
  const text = await readFile(join(root, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const name of ['cli-progress', 'commander', 'minipass', 'string-width', 'tar', 'uplot']) {
    assert.match(text, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(.+\\)$`, 'm'));
  }
});

test('an installed package works without its optional peers, and says what they are for', async () => {
  const home = await mkdtemp(join(tmpdir(), 'resnet-wasm-installed-'));
  await writeFile(join(home, 'package.json'), '{"private": true, "type": "module"}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: home });
  assert.equal(
    (await readdir(join(home, 'node_modules'))).filter((name) => !name.startsWith('.')),
    ['resnet-wasm'],
  );
  await cp(join(root, 'tests/data/h5/plain.h5'), join(home, 'weights.h5'));
  await writeFile(
    join(home, 'main.js'),
    `import { writeFile } from 'node:fs/promises';
    import { buildNetwork, load, openWeights, pretrained, seededWeights } from 'resnet-wasm';
    await writeFile('weights.safetensors', seededWeights(buildNetwork('resnet20_cifar')));
    await writeFile('picture.png', 'a picture');
    const model = await load('resnet20_cifar', { weights: 'weights.safetensors' });
    const [best] = await model.classify({ data: new Uint8Array(32 * 32 * 3).fill(128), width: 32, height: 32 });
    const said = (promise) => promise.catch((error) => error.message);
    const sentences = [await said(model.classify('picture.png')), await said(openWeights('weights.h5'))];
    console.log(JSON.stringify({ index: best.index, sentences, names: pretrained().length }));`,
  );
  const { index, sentences, names } = JSON.parse((await run(process.execPath, ['main.js'], { cwd: home })).stdout);
  assert.ok(Number.isInteger(index) && names > 30);
  const sharp = 'Decoding images in Node needs the package sharp: npm install sharp.';
  assert.equal(sentences, [sharp, 'Reading HDF5 files (.h5) in Node needs the package h5wasm: npm install h5wasm.']);

  const bin = join(home, 'node_modules/.bin/resnet-wasm');
  const args = ['classify', '--weights', 'weights.safetensors', 'picture.png'];
  const failed = await run(bin, args, { cwd: home }).catch((error) => error);
  assert.equal([failed.code, failed.stderr.split('\n').slice(1)], [1, [`picture.png: ${sharp}`, '']]);
  for (const [command, name] of [
    ['serve --port 0 --model resnet20_cifar --weights weights.safetensors', 'hono'],
    ['batch status', 'bullmq'],
  ] as const) {
    const { code, stderr } = await run(bin, command.split(' '), { cwd: home }).catch((error) => error);
    assert.is(code, 1);
    assert.match(stderr, new RegExp(`^[\\w ]+ needs the package ${name}: npm install ${name}\\.\n$`));
  }
  assert.match((await run(bin, ['summary', 'resnet18'], { cwd: home })).stdout, /11,689,512/);
  const html = ['bench', '--model', 'resnet20_cifar', '--rounds', '1', '--html', 'page.html'];
  await run(bin, html, { cwd: home });
  assert.match(await readFile(join(home, 'page.html'), 'utf8'), /<script>.*uPlot/);
  await rm(home, { recursive: true });
});

test('publint finds nothing', async () => {
  await run(process.execPath, ['node_modules/publint/src/cli.js', tarball, '--strict'], { cwd: root });
});

test('the types are those that each entry resolves to', async () => {
  const attw = 'node_modules/@arethetypeswrong/cli/dist/index.js';
  await run(process.execPath, [attw, tarball, '--profile', 'esm-only'], { cwd: root });
});

test("a program for Node has Node's types where TypeScript resolves as bundlers do", async () => {
  const home = await emptyApp('bundler-types');
  const program = `import { load, pretrained } from 'resnet-wasm/node';
export const model = load('resnet50', { weights: await pretrained.find('resnet50') ?? { seed: 1 } });
`;
  await writeFile(join(home, 'main.ts'), program);
  const flags = '--noEmit --strict --target es2022 --module esnext --moduleResolution bundler --skipLibCheck'.split(
    ' ',
  );
  const types = [
    '--lib',
    'es2022,dom,esnext.disposable',
    '--types',
    'node',
    '--typeRoots',
    join(root, 'node_modules/@types'),
  ];
  await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...flags, ...types, 'main.ts'], {
    cwd: home,
  });
});

test('the pages of the API are made without a warning', async () => {
  await run(process.execPath, ['node_modules/typedoc/bin/typedoc', '--emit', 'none'], { cwd: root });
});

test.run();
