import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openWeights } from '../../../bindings/weights/open.js';
import { openSource } from '../../../bindings/weights/stream/open.js';
import type { RetryOptions } from '../../../bindings/weights/stream/types.js';
import { failure, pattern, readAll, rejection, safetensorsFile } from '../../support/weight-files.js';

const entry = { name: 'fc.weight', dtype: 'F32', shape: [50, 1000], bytes: pattern(200_000) };
const bytes = safetensorsFile([entry]);

interface Hub {
  /** What the next requests are answered with; the last answer is given again and again. */
  answers: Answer[];
  readonly requests: http.IncomingMessage[];
  readonly server: http.Server;
  readonly url: string;
  delays: number[];
  retry: RetryOptions;
}

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

interface Serving {
  /** Bytes after which the connection breaks. */
  readonly drop?: number;
  readonly etag?: string;
  readonly modified?: string;
  readonly ranges?: boolean;
  /** Content-Length: false for none, or a lie. */
  readonly length?: boolean | number;
  readonly of?: Uint8Array;
}

const RANGE = /^bytes=(\d+)-$/;

/** A file as a hub serves it, whole or from where a range begins. */
const serve =
  ({ drop, etag, modified, ranges = true, length = true, of = bytes }: Serving = {}): Answer =>
  (request, response) => {
    const first = ranges ? Number(RANGE.exec(request.headers.range ?? '')?.[1] ?? 0) : 0;
    const condition = request.headers['if-range'];
    const begin = condition === undefined || condition === etag || condition === modified ? first : 0;
    if (etag) response.setHeader('etag', etag);
    if (modified) response.setHeader('last-modified', modified);
    if (begin > 0 && begin >= of.length) {
      response.writeHead(416, { 'content-range': `bytes */${of.length}` }).end();
      return;
    }
    if (begin > 0) {
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${begin}-${of.length - 1}/${of.length}`);
    }
    const rest = of.subarray(begin);
    if (length === true) response.setHeader('content-length', rest.length);
    else if (length) response.setHeader('content-length', length);
    else response.flushHeaders();
    if (drop === undefined) response.end(rest);
    else response.write(rest.subarray(0, drop), () => setTimeout(() => response.destroy(), 50));
  };

const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(code, headers).end('<html>no</html>');

const hub = suite<Hub>('fetch');
/** By default. */
const ATTEMPTS = 5;

hub.before(async (context) => {
  const server = http.createServer((request, response) => {
    context.requests.push(request);
    const [answer] = context.answers.length > 1 ? context.answers.splice(0, 1) : context.answers;
    answer?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/net/model.safetensors`;
  Object.assign(context, { server, url, requests: [] });
});

hub.before.each((context) => {
  context.requests.length = 0;
  context.delays = [];
  context.retry = {
    delay: (n) => {
      context.delays.push(n);
      return 0;
    },
  };
});

hub.after(({ server }) => {
  server.closeAllConnections();
  server.close();
});

const reads = async ({ url, retry }: Hub) => assert.equal(await readAll(await openWeights(url, { retry })), [entry]);

const ranges = ({ requests }: Hub) => requests.map(({ headers }) => headers.range);

hub('a connection that breaks is taken up where it broke', async (context) => {
  context.answers = [
    serve({ drop: 70_000, etag: '"a"' }),
    serve({ drop: 50_000, etag: '"a"' }),
    serve({ etag: '"a"' }),
  ];
  await reads(context);
  const [none, ...starts] = ranges(context).map((range) => range && Number(/^bytes=(\d+)-$/.exec(range)?.[1]));
  assert.is(none, undefined);
  assert.is(starts.length, 2);
  // A stream that breaks may drop what it had ready.
  const [first = 0, second = 0] = starts as number[];
  assert.ok(first > 0 && first <= 70_000, `${first}`);
  assert.ok(second > first && second <= first + 50_000, `${second}`);
  assert.is(context.requests[1]?.headers['if-range'], '"a"');
  assert.is(context.requests[0]?.headers['accept-encoding'], 'identity');
});

hub('with Last-Modified alone, a weak ETag, or neither', async (context) => {
  const modified = 'Wed, 21 Oct 2015 07:28:00 GMT';
  for (const [version, condition] of [
    [{ modified }, modified],
    [{ etag: 'W/"x"' }, undefined],
    [{ etag: 'W/"x"', modified }, modified],
    [{}, undefined],
  ] as const) {
    context.requests.length = 0;
    context.answers = [serve({ drop: 90_000, ...version }), serve(version)];
    await reads(context);
    assert.equal(ranges(context), [undefined, 'bytes=90000-']);
    assert.is(context.requests[1]?.headers['if-range'], condition);
  }
});

hub('a server without ranges sends all anew', async (context) => {
  context.answers = [
    serve({ drop: 90_000, ranges: false }),
    serve({ drop: 120_000, ranges: false }),
    serve({ ranges: false }),
  ];
  await reads(context);
  assert.is(context.requests.length, 3);
});

hub('without Content-Length: whole, and broken off', async (context) => {
  context.answers = [serve({ length: false })];
  await reads(context);
  const stream = await openSource(context.url, { retry: context.retry });
  assert.is(stream.total, undefined);
  await stream.close();
  context.answers = [serve({ length: false, drop: 100_000 }), serve({ length: false })];
  await reads(context);
  assert.is(ranges(context).at(-1), 'bytes=100000-');
});

hub('broken off just behind the last byte', async (context) => {
  context.answers = [serve({ length: false, drop: bytes.length }), serve({ length: false })];
  await reads(context);
  assert.is(ranges(context).at(-1), `bytes=${bytes.length}-`);
});

hub('gzip, forced and broken off: begun anew, without a range', async (context) => {
  const zipped = gzipSync(bytes);
  const gzip =
    (drop?: number): Answer =>
    (_, response) => {
      response.setHeader('content-encoding', 'gzip');
      if (drop === undefined) response.end(zipped);
      else response.write(zipped.subarray(0, drop), () => setTimeout(() => response.destroy(), 50));
    };
  context.answers = [gzip()];
  await reads(context);
  context.answers = [gzip(Math.floor(zipped.length / 2)), gzip()];
  await reads(context);
  assert.equal(ranges(context), [undefined, undefined, undefined]);
});

hub('redirects, asked for anew each time that is taken up', async (context) => {
  const signed = (n: number) => status(302, { location: `/signed?n=${n}` });
  context.answers = [signed(1), serve({ drop: 80_000 }), signed(2), serve()];
  await reads(context);
  assert.equal(
    context.requests.map(({ url, headers }) => [url, headers.range]),
    [
      ['/net/model.safetensors', undefined],
      ['/signed?n=1', undefined],
      ['/net/model.safetensors', 'bytes=80000-'],
      ['/signed?n=2', 'bytes=80000-'],
    ],
  );
});

hub('another version of the file is refused, whatever the server answers with', async (context) => {
  const other = /the file changed during the download, from \\"a\\" to \\"b\\"\.$/;
  const broken = serve({ drop: 70_000, etag: '"a"' });
  context.answers = [broken, serve({ etag: '"b"' })];
  assert.match(await failure(readAll(await openWeights(context.url, { retry: context.retry }))), other);
  // Without regard to If-Range.
  context.answers = [
    broken,
    (request, response) => {
      delete request.headers['if-range'];
      serve({ etag: '"b"' })(request, response);
    },
  ];
  assert.match(await failure(readAll(await openWeights(context.url, { retry: context.retry }))), other);
  context.answers = [serve({ drop: 70_000 }), serve({ of: bytes.subarray(0, -1) })];
  assert.is(
    await failure(readAll(await openWeights(context.url, { retry: context.retry }))),
    `${context.url}: expected ${bytes.length} bytes as before, got a file of ${bytes.length - 1}.`,
  );
});

hub('a range that begins elsewhere is refused', async (context) => {
  context.answers = [
    serve({ drop: 70_000 }),
    (_, response) => {
      response.writeHead(206, { 'content-range': `bytes 1-2/${bytes.length}` });
      response.end(bytes.subarray(1, 3));
    },
  ];
  // How much of what was sent arrives before the end is the network's.
  assert.match(
    await failure(readAll(await openWeights(context.url, { retry: context.retry }))),
    new RegExp(`: expected bytes from \\d+ on, got "bytes 1-2/${bytes.length}"\\.$`),
  );
});

hub('a refusal on the way is final', async (context) => {
  context.answers = [serve({ drop: 70_000 }), status(403)];
  assert.is(
    await failure(readAll(await openWeights(context.url, { retry: context.retry }))),
    `${context.url}: expected status 2xx to go on after 70000 bytes, got 403 Forbidden.`,
  );
});

hub('a length that is too long, and one that is too short', async (context) => {
  context.answers = [serve({ length: bytes.length + 5, drop: bytes.length })];
  assert.is(
    await failure(openWeights(context.url, { retry: context.retry })),
    `${context.url}: expected ${bytes.length} bytes as its header says, got ${bytes.length + 5}.`,
  );
  context.answers = [
    (_, response) => {
      response.setHeader('content-length', 100);
      response.end(bytes.subarray(0, 100));
    },
  ];
  assert.is(
    await failure(openWeights(context.url, { retry: context.retry })),
    `${context.url}: expected ${bytes.length} bytes as its header says, got 100.`,
  );
});

hub('a connection that brings nothing, again and again, is given up', async (context) => {
  context.answers = [serve({ drop: 70_000 }), serve({ drop: 0 })];
  assert.is(
    await failure(readAll(await openWeights(context.url, { retry: context.retry }))),
    `${context.url}: expected ${bytes.length} bytes, got a broken connection after 70000.`,
  );
  assert.is(context.requests.length, 1 + ATTEMPTS);
  // Longer from time to time.
  assert.equal(context.delays, [0, 1, 2, 3, 4]);
  // All anew each time is nothing new.
  context.requests.length = 0;
  context.answers = [serve({ drop: 70_000, ranges: false })];
  await failure(readAll(await openWeights(context.url, { retry: context.retry })));
  assert.is(context.requests.length, 1 + ATTEMPTS);
});

hub('one that brings a byte at a time is given up as well', async (context) => {
  context.retry = { ...context.retry, requests: 20 };
  context.answers = [serve({ drop: 1 })];
  await failure(openWeights(context.url, { retry: context.retry }));
  assert.is(context.requests.length, 20);
});

hub('a busy server is asked again, when it says', async (context) => {
  context.answers = [status(503), status(429, { 'retry-after': '0' }), status(500), serve()];
  await reads(context);
  assert.equal(context.delays, [1, 2, 3]);
  context.retry = { ...context.retry, longest: 30 };
  context.answers = [status(503, { 'retry-after': '3600' }), serve()];
  const start = performance.now();
  await reads(context);
  const waited = performance.now() - start;
  assert.ok(waited >= 25 && waited < 10_000, `${waited} ms`);
  context.requests.length = 0;
  context.answers = [status(503)];
  assert.is(
    await failure(openWeights(context.url, { retry: context.retry })),
    `${context.url}: expected status 2xx, got 503 Service Unavailable.`,
  );
  assert.is(context.requests.length, ATTEMPTS);
});

hub('what no other time will change is not asked again', async (context) => {
  for (const code of [400, 401, 403, 404, 410]) {
    context.requests.length = 0;
    context.answers = [status(code)];
    await failure(openWeights(context.url, { retry: context.retry }));
    assert.is(context.requests.length, 1, `${code}`);
  }
});

hub('an answer that breaks before its first byte is asked for again', async (context) => {
  context.answers = [(request) => void request.socket.destroy(), (request) => void request.socket.destroy(), serve()];
  await reads(context);
  context.answers = [(request) => void request.socket.destroy()];
  const message = await failure(openWeights(context.url, { retry: context.retry }));
  assert.ok(message.startsWith(`${context.url}: expected an answer, got `), message);
});

hub('silence counts as a broken connection', async (context) => {
  context.retry = { ...context.retry, silence: 40 };
  const silent: Answer = (_, response) => {
    response.setHeader('content-length', bytes.length);
    response.write(bytes.subarray(0, 60_000));
  };
  context.answers = [() => {}, silent, serve()];
  await reads(context);
  assert.equal(ranges(context), [undefined, undefined, 'bytes=60000-']);
  context.answers = [() => {}];
  assert.is(
    await failure(openWeights(context.url, { retry: context.retry })),
    `${context.url}: expected an answer, got silence of 0.04 seconds.`,
  );
});

hub('abort while it waits to ask again', async (context) => {
  context.retry = { ...context.retry, delay: () => 60_000 };
  const reason = new Error('enough');
  for (const answers of [[status(503)], [serve({ drop: 70_000 }), serve()]]) {
    context.answers = answers;
    const controller = new AbortController();
    const reading = rejection(
      openWeights(context.url, { signal: controller.signal, retry: context.retry }).then(readAll),
    );
    await sleep(50);
    controller.abort(reason);
    assert.is(await reading, reason);
  }
});

hub('close while it waits to ask again', async (context) => {
  context.retry = { ...context.retry, delay: () => 60_000 };
  context.answers = [serve({ drop: 70_000 }), serve()];
  const stream = await openSource(context.url, { retry: context.retry });
  const taking = rejection(stream.take(bytes.length));
  await sleep(50);
  await stream.close();
  assert.ok((await taking) instanceof Error);
  assert.is(context.requests.length, 1);
});

hub.run();
