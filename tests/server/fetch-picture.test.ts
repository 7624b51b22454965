/** URLs in requests: only public addresses are connected to, whatever a name resolves to and wherever a server redirects. */

import type { lookup as systemLookup } from 'node:dns';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type FetchPictureOptions, fetchPicture, isPublic } from '../../server/fetch-picture.js';
import { HttpError } from '../../server/http-error.js';
import { rejection } from '../support/weight-files.js';

/** Resolves every name to these addresses, each time the next. */
function resolving(...answers: readonly string[][]): typeof systemLookup {
  let calls = 0;
  const lookup = (_: string, __: unknown, done: (error: null, found: object[]) => void): void => {
    const addresses = answers[Math.min(calls++, answers.length - 1)] ?? [];
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
  return lookup as typeof systemLookup;
}

async function withServer(answer: RequestListener, use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const options = (more: Partial<FetchPictureOptions> = {}): FetchPictureOptions => ({
  maxBytes: 100,
  signal: AbortSignal.timeout(5000),
  ...more,
});
const said = async (url: string, more?: Partial<FetchPictureOptions>): Promise<string> => {
  const error = await rejection(fetchPicture(url, options(more)));
  assert.instance(error, HttpError);
  return (error as Error).message;
};

test('public addresses are told from all others', () => {
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1']) {
    assert.ok(isPublic(address), address);
  }
  const others =
    `0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1
    198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 fe80::1 fc00::1
    fd12::1 ff02::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 localhost 8.8.8`.split(/\s+/);
  for (const address of others) assert.not.ok(isPublic(address), address);
});

test('private addresses are refused: as they are, in other spellings, and behind names', async () => {
  let requests = 0;
  await withServer(
    (_, response) => {
      requests++;
      response.end('private');
    },
    async (port) => {
      for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', 'localhost']) {
        assert.match(
          await said(`http://${host}:${port}/`),
          /^inputs: expected a URL of a public address, got one of /,
          host,
        );
      }
      const url = `http://example.test:${port}/`;
      assert.match(await said(url, { lookup: resolving(['127.0.0.1']) }), /public address/);
      // One of several is enough.
      assert.match(await said(url, { lookup: resolving(['8.8.8.8', '10.0.0.1']) }), /public address/);
    },
  );
  assert.is(requests, 0);
});

test('a redirect to a private address is refused, and a name is resolved once per connection', async () => {
  // A test has no public server: 127.0.0.1 stands for one, 127.0.0.2 for a private one.
  const isAllowed = (address: string): boolean => address === '127.0.0.1';
  const asked: string[] = [];
  await withServer(
    (request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/picture') return response.end('bytes');
      if (request.url === '/loop') return response.writeHead(302, { location: '/loop' }).end();
      if (request.url === '/large') return response.end('x'.repeat(101));
      if (request.url === '/none') return response.writeHead(404).end();
      if (request.url === '/file') return response.writeHead(302, { location: 'file:///etc/passwd' }).end();
      const { port } = request.socket.address() as AddressInfo;
      response.writeHead(302, { location: `http://127.0.0.2:${port}/picture` }).end();
    },
    async (port) => {
      const lookup = resolving(['127.0.0.1'], ['127.0.0.2']);
      const url = `http://example.test:${port}`;
      const bytes = await fetchPicture(`${url}/picture`, options({ isAllowed, lookup }));
      assert.is(bytes.toString(), 'bytes');
      // The name has another address now, as after DNS rebinding.
      assert.match(await said(`${url}/picture`, { isAllowed, lookup }), /public address/);
      const here = `http://127.0.0.1:${port}`;
      assert.match(
        await said(`${here}/`, { isAllowed }),
        /^inputs: expected a URL of a public address, got one of 127\.0\.0\.2\.$/,
      );
      assert.is(await said(`${here}/loop`, { isAllowed }), 'inputs: expected at most 3 redirects, got more.');
      assert.is(
        await said(`${here}/large`, { isAllowed }),
        'inputs: expected a picture of at most 100 bytes, got more.',
      );
      assert.is(await said(`${here}/none`, { isAllowed }), 'inputs: expected status 200 of 127.0.0.1, got 404.');
      assert.is(await said(`${here}/file`, { isAllowed }), 'inputs: expected a URL of http or https, got file:.');
    },
  );
  assert.equal(asked.filter((path) => path === '/picture').length, 1);
});

test('what is no URL, or does not answer, is one sentence', async () => {
  assert.is(await said('ftp://example.test/'), 'inputs: expected a URL of http or https, got ftp:.');
  assert.is(await said('http://'), 'inputs: expected a URL, got one that is malformed.');
  const isAllowed = () => true;
  assert.is(await said('http://127.0.0.1:1/', { isAllowed }), 'inputs: 127.0.0.1 does not answer.');
});

test.run();
