/** `npm run web`: builds the page and serves it on this machine, with the headers that threads need. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sirv from 'sirv';
import { buildPage, OUT } from './build.js';

export interface ServeOptions {
  /** By default dist-web. */
  readonly folder?: string;
  /** By default true: with COOP and COEP, so that the page may share memory with threads. */
  readonly isolated?: boolean;
  /** By default any free port. */
  readonly port?: number;
}

export interface Served {
  /** With a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves a built page on localhost, with ETags and ranges. Rejects if the port is taken. */
export async function serve({ folder = OUT, isolated = true, port = 0 }: ServeOptions = {}): Promise<Served> {
  const files = sirv(folder, { dev: true, etag: true });
  const server = createServer((request, response) => {
    response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    files(request, response, () => {
      response.statusCode = 404;
      response.end('Not found');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, 'localhost', resolve);
  });
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

const PORT = 8080;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, 'no-weights': { type: 'boolean' }, 'not-isolated': { type: 'boolean' } },
  });
  await buildPage({ weights: !values['no-weights'] });
  const isolated = !values['not-isolated'];
  const wanted = values.port === undefined ? PORT : Number(values.port);
  const served = await serve({ port: wanted, isolated }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || values.port !== undefined) throw error;
    return serve({ isolated });
  });
  console.log(`\n${served.url}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
