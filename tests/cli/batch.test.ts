/** Pictures over a queue in a real Redis: what is submitted comes out once, whatever is killed on the way. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { create } from 'tar';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { load, seededWeights } from '../../bindings/index.node.js';
import { buildNetwork } from '../../models/index.js';
import { RedisProcess, redisServer } from '../support/redis.js';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const NETWORK = 'resnet20_cifar';

interface Context {
  redis: RedisProcess;
  folder: string;
  weights: string;
}

interface Result {
  image: string;
  topK?: { index: number; probability: number }[];
  embedding?: number[];
  error?: string;
}

interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

const test = suite<Context>('batch');
const server = redisServer();
if ('missing' in server) console.log(`SKIPPED: tests of resnet-wasm batch, since ${server.missing}`);

/** A small picture, of any number its own. */
async function pictureOf(seed: number): Promise<Buffer> {
  const raw = { width: 24, height: 20, channels: 3 } as const;
  const data = Uint8Array.from({ length: 24 * 20 * 3 }, (_, i) => ((i * (seed + 1) * 2654435761) >>> 24) & 0xff);
  return sharp(data, { raw }).png({ compressionLevel: 1 }).toBuffer();
}

async function writePictures(folder: string, count: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const paths = Array.from({ length: count }, (_, i) => join(folder, `p${String(i).padStart(4, '0')}.png`));
  for (let i = 0; i < count; i += 50) {
    await Promise.all(paths.slice(i, i + 50).map(async (path, j) => writeFile(path, await pictureOf(i + j))));
  }
  return paths;
}

test.before(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'batch-'));
  context.weights = join(context.folder, 'weights.safetensors');
  await writeFile(context.weights, seededWeights(buildNetwork(NETWORK), 1));
  if ('path' in server) context.redis = await RedisProcess.start(server.path);
});

test.after(async ({ redis, folder }) => {
  await redis?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Runs a command of `batch` to its end. */
async function batch({ redis }: Pick<Context, 'redis'>, ...args: string[]): Promise<Said> {
  const env = { ...process.env, REDIS_URL: redis.url };
  const done = promisify(execFile)(process.execPath, [CLI, 'batch', ...args], { env, timeout: 60_000 });
  return done.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

/** Starts a worker, or another command that goes on. Resolves when it says that it works. */
async function started({ redis }: Context, ...args: string[]): Promise<ChildProcess> {
  const env = { ...process.env, REDIS_URL: redis.url };
  const child = spawn(process.execPath, [CLI, 'batch', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  if (args[0] === 'work') await once(child.stderr as NodeJS.ReadableStream, 'data');
  child.stderr?.resume();
  return child;
}

const workArgs = ({ weights }: Context, name: string): string[] => [
  'work',
  '--name',
  name,
  '--model',
  NETWORK,
  '--weights',
  weights,
  '--workers',
  '1',
  '--takeover',
  '1',
];

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

const linesOf = async (path: string): Promise<Result[]> =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const statusOf = async (context: Context, name: string) =>
  JSON.parse((await batch(context, 'status', '--json', '--name', name)).stdout);

async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 40_000; !(await isDone()); await delay(100)) {
    if (Date.now() > end) throw new Error(`expected ${what} within 40 s`);
  }
}

const withRedis = (name: string, use: (context: Context) => Promise<void>): void =>
  'path' in server ? test(name, use) : test.skip(name);

withRedis('2,000 pictures come out once each, though workers, the collector and Redis are killed', async (context) => {
  const name = 'crashes';
  const { folder, redis } = context;
  const paths = await writePictures(join(folder, 'many'), 2000);
  const out = join(folder, 'many.ndjson');
  const submitted = await batch(context, 'submit', join(folder, 'many'), '--name', name, '--top-k', '2');
  assert.match(submitted.stderr, /^2,000 pictures in \d+ jobs submitted\n$/);
  const again = await batch(context, 'submit', join(folder, 'many'), '--name', name, '--top-k', '2');
  assert.match(again.stderr, /^0 pictures in 0 jobs submitted; \d+ jobs were submitted before\n$/);

  const worker = () => started(context, ...workArgs(context, name));
  const [killed, stopped, good] = await Promise.all([worker(), worker(), worker()]);
  const doneOf = async () => (await statusOf(context, name)).done;
  await until('the first results', async () => (await doneOf()) > 0);
  killed.kill('SIGKILL');
  stopped.kill('SIGSTOP');
  const collector = await started(context, 'collect', '--out', out, '--follow', '--name', name);
  await until('lines', async () => (await readFile(out, 'utf8').catch(() => '')).includes('\n'));
  collector.kill('SIGKILL');
  assert.ok((await doneOf()) < 2000, 'all was done before Redis was killed');
  await redis.kill();
  await delay(300);
  await redis.run();
  // As a write that was cut off leaves it.
  await appendFile(out, '{"image":"/half');

  const collected = await batch(context, 'collect', '--out', out, '--follow', '--name', name);
  assert.is(collected.code, 0, collected.stderr);
  // It wakes up and finds its jobs done by others.
  stopped.kill('SIGCONT');
  for (const child of [stopped, good]) child.kill('SIGTERM');
  assert.equal(await Promise.all([ended(stopped), ended(good)]), [0, 0]);
  assert.equal((await batch(context, 'collect', '--out', out, '--name', name)).code, 0);

  const lines = await linesOf(out);
  assert.is(lines.length, 2000);
  assert.equal(lines.map(({ image }) => image).sort(), [...paths].sort());
  using model = await load(NETWORK, { weights: context.weights, threads: 1 });
  for (const { image, topK } of lines) {
    const expected = await model.classify(image, { topK: 2 });
    assert.equal(
      topK,
      expected.map(({ index, probability }) => ({ index, probability })),
      image,
    );
  }
  const { pictures, done, failed, jobs } = await statusOf(context, name);
  assert.equal([pictures, done, failed, jobs.failed], [2000, 2000, 0, 0]);
});

withRedis(
  'folders, lists, globs and archives are sources; what is broken is a result, and what may come back is tried again',
  async (context) => {
    const name = 'sources';
    const { folder } = context;
    const home = join(folder, 'sources');
    const [first, second, third] = (await writePictures(home, 3)) as [string, string, string];
    await mkdir(join(home, 'deep'));
    await writeFile(join(home, 'deep/broken.jpg'), 'a picture');
    const missing = join(home, 'missing.png');
    const long = `${'long/'.repeat(30)}name.png`;
    await mkdir(join(home, 'tar', 'long/'.repeat(30)), { recursive: true });
    for (const each of [long, 'short.png']) await writeFile(join(home, 'tar', each), await pictureOf(9));
    await create({ file: join(home, 'shard.tar'), cwd: join(home, 'tar') }, [long, 'short.png']);
    await writeFile(join(folder, 'list.txt'), `# pictures\n${first}\n\n${missing}\n`);
    const sources = [
      join(folder, 'list.txt'),
      join(home, '*1.png'),
      third,
      join(home, 'deep'),
      join(home, 'shard.tar'),
    ];
    const args = ['--task', 'embed', '--name', name];
    assert.match((await batch(context, 'submit', ...sources, ...args)).stderr, /^7 pictures in 1 jobs submitted\n$/);

    const worker = await started(context, ...workArgs(context, name));
    await until('another attempt', async () => (await statusOf(context, name)).jobs.delayed > 0);
    await writeFile(missing, await pictureOf(7));
    const out = join(folder, 'sources.ndjson');
    assert.is((await batch(context, 'collect', '--follow', '--out', out, '--name', name)).code, 0);
    worker.kill('SIGTERM');
    assert.is(await ended(worker), 0);

    const lines = await linesOf(out);
    const shard = join(home, 'shard.tar');
    const images = [
      first,
      missing,
      second,
      third,
      join(home, 'deep/broken.jpg'),
      `${shard}/${long}`,
      `${shard}/short.png`,
    ];
    assert.equal(
      lines.map(({ image }) => image),
      images,
    );
    using model = await load(NETWORK, { weights: context.weights, threads: 1 });
    for (const { image, embedding, error } of lines) {
      if (image.endsWith('broken.jpg')) {
        assert.is(error, `${image}: expected a picture, got a file that is not JPEG, PNG, WebP or GIF.`);
        continue;
      }
      const expected = await model.embed(image.startsWith(shard) ? await pictureOf(9) : image);
      assert.equal(
        embedding,
        Array.from(expected, (value) => Number(value.toPrecision(9))),
        image,
      );
    }
  },
);

withRedis(
  'a queue of another model, a wrong password, no Redis and a full disk are one sentence and an exit code',
  async (context) => {
    const { redis, folder, weights } = context;
    const one = (said: Said, code: number, sentence: RegExp): void => {
      assert.equal([said.code, said.stdout], [code, '']);
      assert.match(said.stderr, sentence);
    };
    const url = new URL(redis.url);
    const at = (to: string) => batch(context, 'status', '--queue', to);
    one(await at(`redis://:wrong@${url.host}`), 1, /^redis:\/\/127\.0\.0\.1:\d+: the name or password is wrong\.\n$/);
    one(
      await at(`redis://${url.host}`),
      1,
      /^redis:\/\/127\.0\.0\.1:\d+: expected a password in the URL, got none\.\n$/,
    );
    one(await at('redis://127.0.0.1:1'), 1, /^redis:\/\/127\.0\.0\.1:1: no Redis answers \(ECONNREFUSED\)\.\n$/);
    one(
      await at('http://:secret@x'),
      1,
      /^--queue: expected a URL such as redis:\/\/127\.0\.0\.1:6379, got http:\/\/…@x\.\n$/,
    );
    one(await batch(context, 'submit', join(folder, 'none')), 1, /none: no such file\.\n$/);
    one(
      await batch(context, 'submit', '--task', 'paint', 'x'),
      2,
      /^error: option '--task <name>' argument 'paint' is invalid/,
    );
    await writeFile(join(folder, 'not.tar'), Buffer.alloc(2000, 7));
    one(
      await batch(context, 'submit', join(folder, 'not.tar')),
      1,
      /not\.tar: expected a tar archive, got another format/,
    );

    await batch(context, 'submit', (await writePictures(join(folder, 'few'), 1))[0] as string, '--name', 'few');
    const args = workArgs(context, 'few');
    const worker = await started(context, ...args);
    await until('a result', async () => (await statusOf(context, 'few')).uncollected === 1);
    worker.kill('SIGTERM');
    await ended(worker);
    const other = args.map((arg) => (arg === weights ? join(folder, 'other.safetensors') : arg));
    await writeFile(join(folder, 'other.safetensors'), await readFile(weights));
    one(
      await batch(context, ...other),
      1,
      /few: expected the model .*weights\.safetensors as other workers have, got /,
    );
    if (process.platform === 'linux') {
      one(
        await batch(context, 'collect', '--out', '/dev/full', '--name', 'few'),
        1,
        /^\/dev\/full: no space left on device \(ENOSPC\)\.\n$/,
      );
    }
    // Nothing was lost by it.
    assert.is((await batch(context, 'collect', '--out', join(folder, 'few.ndjson'), '--name', 'few')).code, 0);
    assert.is((await linesOf(join(folder, 'few.ndjson'))).length, 1);
  },
);

test.run();
