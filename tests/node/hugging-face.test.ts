/** Weight sets of the hub, which a local server plays. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  buildNetwork,
  load,
  type Progress,
  pretrained,
  seededWeights,
  weightCache,
} from '../../bindings/index.node.js';
import { hubSource } from '../../bindings/node/hugging-face.js';
import { type HubSet, hubSet, hubSets } from '../../models/hub.js';
import { networkNames, parameters } from '../../models/index.js';
import { imagenetLabels } from '../../models/labels/imagenet.js';
import { pattern, safetensorsFile } from '../support/weight-files.js';

interface Hub {
  server: Server;
  asked: string[];
  /** The file, and how many of its first answers break off in the middle. */
  file: Uint8Array;
  breaks: number;
  cacheDir: string;
}

const set: HubSet = { ...(hubSets['resnet18.tv_in1k'] as HubSet), repository: 'some/weights', file: 'w.safetensors' };

const test = suite<Hub>('hub');

test.before.each(async (hub) => {
  hub.asked = [];
  hub.file = safetensorsFile([{ name: 'a', dtype: 'F32', shape: [75_000], bytes: pattern(300_000) }]);
  hub.breaks = 0;
  hub.cacheDir = await mkdtemp(join(tmpdir(), 'hub-'));
  hub.server = createServer((request, response) => {
    hub.asked.push(`${request.url} ${request.headers.range ?? ''}`.trim());
    if (request.url?.includes('missing')) return response.writeHead(404).end();
    const begin = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(begin > 0 ? 206 : 200, {
      etag: '"1"',
      'content-length': hub.file.length - begin,
      ...(begin > 0 ? { 'content-range': `bytes ${begin}-${hub.file.length - 1}/${hub.file.length}` } : {}),
    });
    const isBroken = hub.breaks-- > 0;
    if (!isBroken) return response.end(hub.file.subarray(begin));
    const half = begin + Math.floor((hub.file.length - begin) / 2);
    response.write(hub.file.subarray(begin, half), () => setTimeout(() => response.destroy(), 20));
  });
  await new Promise<void>((resolve) => hub.server.listen(0, '127.0.0.1', resolve));
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(hub.server.address() as AddressInfo).port}`;
});

test.after.each(async ({ server, cacheDir }) => {
  delete process.env.HF_ENDPOINT;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cacheDir, { recursive: true });
});

test('a file is fetched once, with progress, and then cached', async (hub) => {
  const { cacheDir } = hub;
  assert.is(await hubSource(set).find({ cacheDir }), undefined);
  const seen: number[] = [];
  const files = await hubSource(set).fetch({ cacheDir, onProgress: ({ loaded }) => seen.push(loaded) });
  assert.equal(new Uint8Array(await readFile(files.path)), hub.file);
  assert.is(seen.at(-1), hub.file.length);
  assert.equal(await hubSource(set).find({ cacheDir }), files);
  assert.equal(await hubSource(set).fetch({ cacheDir }), files);
  assert.equal(hub.asked, ['/some/weights/resolve/main/w.safetensors']);
});

test('the cache lists, finds and forgets weights by name', async (hub) => {
  const { cacheDir } = hub;
  const name = 'resnet18.tv_in1k';
  assert.equal(await weightCache.list({ cacheDir }), []);
  assert.is(await weightCache.has(name, { cacheDir }), false);
  await pretrained.fetch(name, { cacheDir });
  await pretrained.fetch('vgg11', { cacheDir });
  const bytes = hub.file.length;
  assert.equal(await weightCache.list({ cacheDir }), [
    { name, bytes, total: bytes },
    { name: 'vgg11.tv_in1k', bytes, total: bytes },
  ]);
  assert.is(await weightCache.has('resnet18', { cacheDir }), true);
  await writeFile(join(cacheDir, 'of others'), '');
  await weightCache.clear('resnet18', { cacheDir });
  assert.is(await weightCache.has(name, { cacheDir }), false);
  assert.is(await weightCache.has('vgg11', { cacheDir }), true);
  await weightCache.clear(undefined, { cacheDir });
  assert.equal(await readdir(cacheDir), ['of others']);
  const error = await weightCache.clear('resnet81', { cacheDir }).catch((reason: Error) => reason);
  assert.match((error as Error).message, /resnet81; the closest is /);
});

test('a load by name has its cache folder, and tells of the download and then of packing', async (hub) => {
  const { cacheDir } = hub;
  const chunks: Uint8Array[] = [];
  for await (const chunk of seededWeights(buildNetwork('resnet18'), 1)) chunks.push(chunk.slice());
  hub.file = Buffer.concat(chunks);
  const seen: Progress[] = [];
  using model = await load('resnet18', { cacheDir, threads: 1, onProgress: (progress) => seen.push(progress) });
  assert.is(model.labels?.length, 1000);
  const last = (phase: Progress['phase']) => seen.filter((progress) => progress.phase === phase).at(-1);
  assert.is(last('download')?.loaded, hub.file.length);
  assert.is(last('pack')?.loaded, last('pack')?.total);
  assert.equal([...new Set(seen.map(({ phase }) => phase))], ['download', 'pack']);
  assert.equal(
    (await weightCache.list({ cacheDir })).map(({ name }) => name),
    ['resnet18.tv_in1k'],
  );
});

test('a token goes to the hub, and not to where the hub sends one on', async (hub) => {
  const { cacheDir } = hub;
  const authorised: (string | undefined)[] = [];
  const { port } = hub.server.address() as AddressInfo;
  const front = createServer((request, response) => {
    authorised.push(request.headers.authorization);
    if (request.headers.authorization !== 'Bearer hf_abc') return response.writeHead(401).end();
    return response.writeHead(302, { location: `http://127.0.0.1:${port}${request.url}` }).end();
  });
  hub.server.prependListener('request', ({ headers }) => authorised.push(headers.authorization));
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
  try {
    const error = await hubSource(set)
      .fetch({ cacheDir })
      .catch((reason: Error) => reason);
    assert.match((error as Error).message, /got 401 Unauthorized; HF_TOKEN may hold a token that this hub takes\.$/);
    process.env.HF_TOKEN = 'hf_abc';
    const { path } = await hubSource(set).fetch({ cacheDir });
    assert.equal(new Uint8Array(await readFile(path)), hub.file);
    assert.equal(authorised, [undefined, 'Bearer hf_abc', undefined]);
  } finally {
    delete process.env.HF_TOKEN;
    front.closeAllConnections();
    await new Promise((resolve) => front.close(resolve));
  }
});

test('a proxy that Node does not heed is told of', async (hub) => {
  process.env.HF_ENDPOINT = 'http://127.0.0.1:1';
  process.env.HTTPS_PROXY = 'http://proxy.example:3128';
  try {
    const { NODE_USE_ENV_PROXY } = process.env;
    delete process.env.NODE_USE_ENV_PROXY;
    const error = await hubSource(set)
      .fetch({ cacheDir: hub.cacheDir })
      .catch((reason: Error) => reason);
    assert.match((error as Error).message, /; HTTPS_PROXY is set, which Node heeds with NODE_USE_ENV_PROXY=1 .*\.$/);
    if (NODE_USE_ENV_PROXY !== undefined) process.env.NODE_USE_ENV_PROXY = NODE_USE_ENV_PROXY;
  } finally {
    delete process.env.HTTPS_PROXY;
  }
});

test('a connection that breaks is taken up where it broke', async (hub) => {
  hub.breaks = 1;
  const files = await hubSource(set).fetch({ cacheDir: hub.cacheDir });
  assert.equal(new Uint8Array(await readFile(files.path)), hub.file);
  assert.match(hub.asked[1] as string, /bytes=\d{5,}-$/);
});

test('fetches at once share one download, and one that is aborted leaves the others theirs', async (hub) => {
  const { cacheDir } = hub;
  const first = new AbortController();
  let others: Promise<{ path: string }[]> | undefined;
  const aborted = await hubSource(set)
    .fetch({
      cacheDir,
      signal: first.signal,
      onProgress: () => {
        others ??= Promise.all([1, 2, 3].map(() => hubSource(set).fetch({ cacheDir })));
        first.abort(new Error('enough'));
      },
    })
    .catch((reason: Error) => reason);
  assert.is((aborted as Error).message, 'enough');
  const all = (await others) ?? [];
  assert.is(all.length, 3);
  for (const { path } of all) assert.equal(new Uint8Array(await readFile(path)), hub.file);
  assert.is(hub.asked.length, 2);
  assert.equal(await readdir(join(cacheDir, 'some+weights')), ['w.safetensors']);
});

test('of two processes that fetch at once one downloads, and the other waits for it', async (hub) => {
  const { cacheDir } = hub;
  const listeners = hub.server.listeners('request') as ((...args: unknown[]) => void)[];
  hub.server.removeAllListeners('request');
  // As long as the other process takes to begin.
  hub.server.on('request', (...args) => setTimeout(() => listeners[0]?.(...args), 2000));
  const script = `
    import { pretrained } from './dist/node.js';
    const { path } = await pretrained.fetch('resnet18', { cacheDir: ${JSON.stringify(cacheDir)} });
    process.stdout.write(path);`;
  const run = promisify(execFile);
  const runs = [1, 2].map(() => run(process.execPath, ['--input-type=module', '-e', script]));
  const paths = (await Promise.all(runs)).map(({ stdout }) => stdout);
  assert.is(paths[0], paths[1]);
  assert.equal(new Uint8Array(await readFile(paths[0] as string)), hub.file);
  assert.is(hub.asked.length, 1);
  assert.equal(await readdir(join(paths[0] as string, '..')), ['model.safetensors']);
});

test('a page that comes in place of weights is not kept, nor is a part of them', async (hub) => {
  const { cacheDir } = hub;
  const { file } = hub;
  hub.file = new TextEncoder().encode('<!doctype html><title>Log in</title>');
  const error = await hubSource(set)
    .fetch({ cacheDir })
    .catch((reason: Error) => reason);
  const { message } = error as Error;
  assert.match(message, /some\/weights\/resolve\/main\/w\.safetensors: what came is not kept, .*: expected .* page \(/);
  assert.not.ok(message.includes(cacheDir));
  // Its header tells of more.
  hub.file = file.subarray(0, -1);
  const cut = await hubSource(set)
    .fetch({ cacheDir })
    .catch((reason: Error) => reason);
  assert.match(
    (cut as Error).message,
    /: what came is not kept, .*: expected \d+ bytes as its header says, got \d+\.$/,
  );
  hub.file = file;
  const { path } = await hubSource(set).fetch({ cacheDir });
  assert.equal(new Uint8Array(await readFile(path)), file);
});

test('what a killed process left is removed, and what another one writes is not', async (hub) => {
  const { cacheDir } = hub;
  const folder = join(cacheDir, 'some+weights');
  await mkdir(folder);
  const [old, recent] = ['a', 'b'].map((name) => join(folder, `w.safetensors.${name}.partial`)) as [string, string];
  await writeFile(old, 'old');
  await writeFile(recent, 'recent');
  const before = new Date(Date.now() - 2 * 24 * 60 * 60 * 1000);
  await utimes(old, before, before);
  await hubSource(set).fetch({ cacheDir });
  assert.equal((await readdir(folder)).sort(), ['w.safetensors', 'w.safetensors.b.partial']);
});

test('a wrong checksum, a missing file and an abort leave nothing behind', async (hub) => {
  const { cacheDir } = hub;
  const right = createHash('sha256').update(hub.file).digest('hex');
  const failures: [Partial<HubSet>, AbortSignal | undefined, RegExp][] = [
    [{ sha256: 'f'.repeat(64) }, undefined, new RegExp(`expected a file of SHA-256 f{64}, got ${right}\\.$`)],
    [{ repository: 'some/missing' }, undefined, /404/],
    [{}, AbortSignal.abort(new Error('enough')), /^enough$/],
  ];
  for (const [change, signal, sentence] of failures) {
    const error = await hubSource({ ...set, ...change })
      .fetch({ cacheDir, signal })
      .catch((reason) => reason);
    assert.match(error.message, sentence);
    const left = await readdir(cacheDir, { recursive: true, withFileTypes: true });
    assert.equal(
      left.filter((entry) => entry.isFile()),
      [],
    );
  }
  await hubSource({ ...set, sha256: right }).fetch({ cacheDir });
});

test('load without weights takes a network of the hub, with its preprocessing', async (hub) => {
  const pieces: Uint8Array[] = [];
  for await (const piece of seededWeights(buildNetwork('resnet18'))) pieces.push(piece);
  hub.file = Buffer.concat(pieces);
  process.env.XDG_CACHE_HOME = hub.cacheDir;
  using model = await load('resnet18', { threads: 1 });
  delete process.env.XDG_CACHE_HOME;
  assert.is(model.name, 'resnet18');
  assert.equal(hub.asked, ['/timm/resnet18.tv_in1k/resolve/main/model.safetensors']);
  const [best] = await model.classify({ data: new Uint8Array(300 * 300 * 3).fill(99), width: 300, height: 300 });
  assert.ok((best?.probability ?? 0) > 0);
});

test('pretrained finds what it fetched, and load takes it with its preprocessing', async (hub) => {
  const { cacheDir } = hub;
  const pieces: Uint8Array[] = [];
  for await (const piece of seededWeights(buildNetwork('resnet18'))) pieces.push(piece);
  hub.file = Buffer.concat(pieces);
  assert.is(await pretrained.find('resnet18', { cacheDir }), undefined);
  const weights = await pretrained.fetch('resnet18', { cacheDir });
  assert.equal(await pretrained.find('resnet18.tv_in1k', { cacheDir }), weights);
  assert.is(weights.set, pretrained.describe('resnet18.tv_in1k'));
  // Nothing else is in the cache.
  assert.is(weights.labels?.length, 1000);
  assert.is(weights.labels?.[281], imagenetLabels[281]);
  assert.match(weights.labels?.[0] ?? '', /^tench$/);
  // The option worker is for pages, and does nothing here.
  using model = await load('resnet18', { weights, threads: 1, worker: false });
  const [best] = await model.classify({ data: new Uint8Array(300 * 300 * 3).fill(99), width: 300, height: 300 });
  assert.ok((best?.probability ?? 0) > 0);
  assert.is(hub.asked.length, 1);
});

test('every name of pretrained weights is a set or a network, and each is listed once', () => {
  const names = pretrained();
  assert.is(new Set(names).size, names.length);
  for (const name of ['resnet50', 'resnet18', 'resnet18.tv_in1k', 'resnet50.tv2_in1k']) assert.ok(names.includes(name));
  for (const name of names) assert.ok(networkNames().includes(pretrained.describe(name).network), name);
  assert.is(pretrained.describe('resnet18'), hubSets['resnet18.tv_in1k']);
  assert.not(names.includes('plain18'));
});

test('every set is of a network that there is, and networks have their first set by name', () => {
  for (const [name, { network, options, preprocessing, repository }] of Object.entries(hubSets)) {
    assert.ok(networkNames().includes(network), name);
    assert.ok(parameters(buildNetwork(network, options)).length > 0);
    assert.is(preprocessing.crop, 224);
    assert.is(repository, `timm/${name}`);
  }
  assert.is(hubSet('vgg16'), hubSets['vgg16.tv_in1k']);
  assert.is(hubSet('resnet50.tv2_in1k')?.preprocessing.resize, 232);
  assert.is(hubSet('resnet20_cifar'), undefined);
});

test.run();
