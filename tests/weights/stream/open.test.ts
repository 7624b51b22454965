import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import { sibling } from '../../../bindings/weights/stream/beside.js';
import { ByteStream } from '../../../bindings/weights/stream/byte-stream.js';
import { openSource } from '../../../bindings/weights/stream/open.js';
import type { WeightSource } from '../../../bindings/weights/stream/types.js';
import {
  concat,
  type Entry,
  failure,
  hostileChunks,
  memoryFiles,
  pattern,
  readAll,
  rejection,
  safetensorsFile,
} from '../../support/weight-files.js';

const entries: Entry[] = [
  { name: 'conv1.weight', dtype: 'F32', shape: [8, 3, 3, 3], bytes: pattern(8 * 27 * 4) },
  { name: 'fc.weight', dtype: 'F16', shape: [5, 41], bytes: pattern(5 * 41 * 2, 1) },
];
const bytes = safetensorsFile(entries);

const readable = (chunkBytes: number): ReadableStream<Uint8Array> => {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at === bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + chunkBytes));
      at = Math.min(bytes.length, at + chunkBytes);
    },
  });
};

const reads = async (source: WeightSource) => assert.equal(await readAll(await openWeights(source)), entries);

test('bytes: ArrayBuffer, Uint8Array, Buffer, DataView at an offset', async () => {
  const shifted = concat(pattern(5), bytes, pattern(3));
  await reads(bytes.buffer);
  await reads(bytes);
  await reads(Buffer.from(bytes));
  await reads(new DataView(shifted.buffer, 5, bytes.length));
});

test('bytes: pieces are views of the source, not copies', async () => {
  let count = 0;
  for await (const piece of (await openWeights(bytes)).pieces()) {
    assert.is(piece.bytes.buffer, bytes.buffer);
    count += 1;
  }
  assert.ok(count > 0);
});

test('Response, Blob and File', async () => {
  await reads(new Response(bytes));
  await reads(new Response(readable(100)));
  await reads(new Blob([bytes]));
  await reads(new File([bytes], 'weights.bin'));
  const cut = new File([bytes.subarray(1, 700)], 'cut.safetensors');
  assert.match(await failure(openWeights(cut)), /^cut\.safetensors: expected /);
});

test('streams and async iterables in chunks of any size', async () => {
  for (const size of [1, 7, 8, 9, 500, 1e6]) {
    await reads(readable(size));
    await reads(hostileChunks(bytes, [size]));
  }
  await reads(hostileChunks(bytes, [3, 1, 64, 2]));
  await reads(Readable.from([Buffer.from(bytes.subarray(0, 9)), Buffer.alloc(0), Buffer.from(bytes.subarray(9))]));
});

test('a path and a file: URL go to the platform, and are closed', async () => {
  const files = memoryFiles({ 'dir/a.safetensors': bytes, 'file:///a%20b.safetensors': bytes });
  try {
    await reads('dir/a.safetensors');
    await reads('file:///a%20b.safetensors');
    await reads(new URL('file:///a b.safetensors'));
    assert.match(await failure(openWeights('nowhere')), /^nowhere: expected a file/);
    assert.is(files.opened.length, 3);
    assert.equal(files.closed, files.opened);
  } finally {
    files.restore();
  }
});

test('no source at all', async () => {
  for (const [value, text] of [
    [42, '42'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, 'an object'],
  ] as const) {
    const message = await failure(openWeights(value as unknown as WeightSource));
    assert.ok(message.endsWith(`got ${text}.`), message);
  }
  assert.is(await failure(openWeights('http://:99:')), 'http://:99:: this URL is malformed.');
});

test('used-up responses, locked streams, chunks that are not bytes', async () => {
  const used = new Response(bytes);
  await used.arrayBuffer();
  assert.match(await failure(openWeights(used)), /^weights: the body of this response has been read/);
  const locked = readable(9);
  locked.getReader();
  assert.match(await failure(openWeights(locked)), /^weights: this stream has a reader already/);
  const texts = Readable.from(['text', 'text']) as unknown as AsyncIterable<Uint8Array>;
  assert.is(await failure(openWeights(texts)), 'weights: expected chunks of bytes, got "text".');
  assert.is(
    await failure(openWeights(new Response(null, { status: 204 }))).then((m) => m.slice(-18)),
    'got an empty file.',
  );
});

test('an error of the source itself comes through as it is', async () => {
  const broken = new Error('disk: expected to turn, got stuck.');
  const source = async function* () {
    yield bytes.slice(0, 600);
    throw broken;
  };
  const file = await openWeights(source());
  assert.is(await rejection(readAll(file)), broken);
});

test('leaving the loop early, and any refusal, closes the source', async () => {
  let closed = 0;
  const file = await openWeights(hostileChunks(bytes, [300], () => closed++));
  for await (const _ of file.pieces()) break;
  assert.is(closed, 1);
  await failure(openWeights(hostileChunks(pattern(900), [300], () => closed++)));
  assert.is(closed, 2);
  await (await openWeights(hostileChunks(bytes, [300], () => closed++))).close();
  assert.is(closed, 3);

  let reason: unknown;
  const cancelled = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(pattern(64)),
    cancel: (why) => {
      reason = why ?? 'cancelled';
    },
  });
  await failure(openWeights(cancelled));
  assert.is(reason, 'cancelled');
});

test('a source that cannot be closed hides no error', async () => {
  const stubborn: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: pattern(600) }),
      return: async () => {
        throw new Error('will not close');
      },
    }),
  };
  assert.match(await failure(openWeights(stubborn)), /got something else\.$/);
});

test('peek does not move on; take and next give every byte once', async () => {
  for (const sizes of [[1], [2, 5], [1000], [3, 1, 1]]) {
    const all = pattern(40);
    const stream = new ByteStream({ name: 's', chunks: hostileChunks(all, sizes) });
    assert.equal(await stream.peek(3), all.slice(0, 3));
    assert.equal(await stream.peek(9), all.slice(0, 9));
    assert.is(stream.position, 0);
    assert.equal(await stream.take(5), all.slice(0, 5));
    assert.equal(await stream.peek(2), all.slice(5, 7));
    assert.equal(concat((await stream.next(1)) ?? pattern(0)), all.slice(5, 6));
    assert.is(stream.position, 6);
    assert.equal(await stream.take(20), all.slice(6, 26));
    assert.equal(await stream.peek(99), all.slice(26));
    assert.equal(await stream.take(99), all.slice(26));
    assert.is(await stream.next(), undefined);
    assert.is(await stream.next(), undefined);
    assert.is(stream.position, 40);
  }
});

test('a stream of another length than promised', async () => {
  const short = new ByteStream({ name: 's', total: 9, chunks: hostileChunks(pattern(8), [3]) });
  assert.is(await failure(short.take(9)), 's: expected 9 bytes, got 8.');
  const long = new ByteStream({ name: 's', total: 7, chunks: hostileChunks(pattern(8), [3]) });
  assert.is(await failure(long.take(9)), 's: expected 7 bytes, got more.');
});

test('a second read during the first is refused', async () => {
  const stream = await openSource(readable(4));
  const first = stream.next();
  assert.match(await failure(stream.next()), /^weights: another read is under way/);
  assert.is((await first)?.length, 4);
  await stream.close();
});

test('close during a read: the read is refused, nothing hangs', async () => {
  const silent: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: () => sleep(20, { value: bytes }) }),
  };
  const stream = await openSource(silent);
  const read = failure(stream.next());
  await stream.close();
  assert.is(await read, 'weights: this source is closed.');
});

test('close during a read that never ends does not wait for it', async () => {
  const stuck = async function* (): AsyncGenerator<Uint8Array, void> {
    await new Promise(() => {});
  };
  const stream = await openSource(stuck());
  stream.next();
  await stream.close();
});

test('a response of the wrong status is cancelled, so that it holds no connection', async () => {
  let cancelled = false;
  const body = new ReadableStream({
    cancel: () => {
      cancelled = true;
    },
  });
  const message = await failure(openWeights(new Response(body, { status: 503, statusText: 'Busy' })));
  assert.is(message, 'weights: expected status 2xx, got 503 Busy.');
  assert.ok(cancelled);
});

const reason = new Error('enough: expected this, got it.');

test('abort before opening: the reason, and live sources are closed', async () => {
  const signal = AbortSignal.abort(reason);
  assert.is(await rejection(openWeights('http://127.0.0.1:9/never', { signal })), reason);
  assert.is(await rejection(openWeights('never', { signal })), reason);
  assert.is(await rejection(openWeights(bytes, { signal })), reason);
  let why: unknown;
  const cancel = (given: unknown) => {
    why = given;
  };
  assert.is(await rejection(openWeights(new ReadableStream({ cancel }), { signal })), reason);
  assert.is(why, reason);
  why = undefined;
  assert.is(await rejection(openWeights(new Response(new ReadableStream({ cancel })), { signal })), reason);
  assert.is(why, reason);
});

test('abort while a read is pending: at once, also where the source never answers', async () => {
  const controller = new AbortController();
  let returned: unknown;
  const silent: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<never>(() => {}),
      return: (given) => {
        returned = given;
        return new Promise<never>(() => {});
      },
    }),
  };
  const opening = rejection(openWeights(silent, { signal: controller.signal }));
  await sleep(5);
  controller.abort(reason);
  assert.is(await opening, reason);
  assert.is(returned, reason);
});

test('abort between pieces: the next piece rejects, the source is closed at once', async () => {
  const controller = new AbortController();
  let closed = 0;
  const file = await openWeights(
    hostileChunks(bytes, [300], () => closed++),
    { signal: controller.signal },
  );
  const pieces = file.pieces();
  await pieces.next();
  assert.is(closed, 0);
  controller.abort(reason);
  await sleep(0);
  assert.is(closed, 1);
  assert.is(await rejection(pieces.next()), reason);
  assert.is((await pieces.next()).done, true);
});

test('abort after the end is no abort', async () => {
  const controller = new AbortController();
  let closed = 0;
  const file = await openWeights(
    hostileChunks(bytes, [300], () => closed++),
    { signal: controller.signal },
  );
  assert.equal(await readAll(file), entries);
  controller.abort(reason);
  await sleep(0);
  assert.is(closed, 1);
});

test('sibling: beside a path or URL, the query kept', () => {
  assert.is(sibling('model.json', 'a/b.bin'), 'a/b.bin');
  assert.is(sibling('/x y/model.json', 'b.bin'), '/x y/b.bin');
  assert.is(sibling('C:\\nets\\model.json', 'b.bin'), 'C:\\nets\\b.bin');
  const url = new URL('https://h/x/model.json?token=1#part');
  assert.is(String(sibling(url, 'a/b c?.bin')), 'https://h/x/a/b%20c%3F.bin?token=1');
});

/** Without waiting. */
const AT_ONCE = { retry: { delay: () => 0 } };

const server = suite<{ http: http.Server; url: string; closed: string[] }>('http');

server.before(async (context) => {
  context.closed = [];
  context.http = http.createServer((request, response) => {
    response.on('close', () => context.closed.push(request.url ?? ''));
    switch (request.url) {
      case '/whole':
        return response.setHeader('content-length', bytes.length).end(bytes);
      case '/chunked':
        response.write(bytes.subarray(0, 100));
        return setTimeout(() => response.end(bytes.subarray(100)), 5);
      case '/gzip':
        return response.setHeader('content-encoding', 'gzip').end(gzipSync(bytes));
      case '/moved':
        return response.writeHead(302, { location: '/whole' }).end();
      case '/short':
        return response.setHeader('content-length', bytes.length - 1).end(bytes.subarray(0, -1));
      case '/broken':
        response.setHeader('content-length', bytes.length).write(bytes.subarray(0, 600));
        return setTimeout(() => response.destroy(), 5);
      case '/hangs':
        return response.setHeader('content-length', bytes.length).write(bytes.subarray(0, 600));
      case '/silent':
        return;
      default:
        return response.writeHead(404).end('<html>no</html>');
    }
  });
  await new Promise<void>((resolve) => context.http.listen(0, '127.0.0.1', resolve));
  context.url = `http://127.0.0.1:${(context.http.address() as AddressInfo).port}`;
});

server.after((context) => {
  context.http.closeAllConnections();
  context.http.close();
});

server('whole, chunked, compressed, redirected; as string, URL and Response', async ({ url }) => {
  for (const path of ['/whole', '/chunked', '/gzip', '/moved']) {
    await reads(url + path);
    await reads(new URL(path, url));
    await reads(await fetch(url + path));
  }
});

server('the total is known by Content-Length, without Content-Encoding', async ({ url }) => {
  for (const [path, total] of [
    ['/whole', bytes.length],
    ['/chunked', undefined],
    ['/gzip', undefined],
  ] as const) {
    const stream = await openSource(url + path, AT_ONCE);
    assert.is(stream.total, total);
    await stream.close();
  }
});

server('a status other than 2xx names URL and status', async ({ url }) => {
  const message = `${url}/none: expected status 2xx, got 404 Not Found.`;
  assert.is(await failure(openWeights(`${url}/none`, AT_ONCE)), message);
  assert.is(await failure(openWeights(await fetch(`${url}/none`))), message);
});

server('nobody listens', async () => {
  const free = http.createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const message = await failure(openWeights(`http://127.0.0.1:${port}/x`, AT_ONCE));
  assert.ok(message.startsWith(`http://127.0.0.1:${port}/x: expected an answer, got `), message);
});

server('a file cut on the server is refused at once; a broken connection when it breaks', async ({ url }) => {
  assert.is(
    await failure(openWeights(`${url}/short`, AT_ONCE)),
    `${url}/short: expected ${bytes.length} bytes as its header says, got ${bytes.length - 1}.`,
  );
  const file = await openWeights(`${url}/broken`, AT_ONCE);
  assert.is(
    await failure(readAll(file)),
    `${url}/broken: expected ${bytes.length} bytes, got a broken connection after 600.`,
  );
});

server('abort ends the request: before the answer, and in the middle of it', async ({ url, closed }) => {
  const first = new AbortController();
  const opening = rejection(openWeights(`${url}/silent`, { ...AT_ONCE, signal: first.signal }));
  await sleep(20);
  first.abort(reason);
  assert.is(await opening, reason);

  const second = new AbortController();
  const file = await openWeights(`${url}/hangs`, { ...AT_ONCE, signal: second.signal });
  const reading = rejection(readAll(file));
  await sleep(20);
  second.abort(reason);
  assert.is(await reading, reason);
  for (let tries = 0; tries < 100 && !(closed.includes('/silent') && closed.includes('/hangs')); tries++)
    await sleep(10);
  assert.ok(closed.includes('/silent') && closed.includes('/hangs'), 'a connection stayed open');
});

test.run();
server.run();
