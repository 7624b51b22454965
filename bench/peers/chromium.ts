/** Measures in Chromium: a static server for this machine alone, and a browser that playwright-core drives. */

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { build } from 'esbuild';
import type { Task, Timing } from './measure.js';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** Cross-origin isolation, without which a page has no threads. */
const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
};

const PAGE = `<!doctype html><title>bench:peers</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {
  "@litertjs/wasm-utils": "/bench/peers/node_modules/@litertjs/wasm-utils/dist/index.js"
}}</script>
<script type="module" src="/page.js"></script>`;

/** What is used of playwright-core. */
interface Playwright {
  readonly chromium: {
    launch(options: { executablePath: string; args: readonly string[] }): Promise<{
      version(): string;
      newPage(): Promise<{
        on(event: 'pageerror', listener: (error: Error) => void): void;
        goto(url: string): Promise<unknown>;
        waitForFunction(expression: string): Promise<unknown>;
        evaluate(expression: string): Promise<unknown>;
      }>;
      close(): Promise<void>;
    }>;
  };
}

/** Serves the repository, and the page with its bundle, at localhost. */
async function serve(root: string): Promise<Server> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['bench/peers/page.ts'],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  const made = new Map<string, string | Uint8Array>([
    ['/index.html', PAGE],
    ['/page.js', outputFiles[0]?.contents ?? ''],
  ]);
  const server = createServer(async ({ url = '/' }, response) => {
    const path = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname));
    const file = path.endsWith('/') ? `${path}index.html` : path;
    try {
      const body = made.get(file) ?? (await readFile(join(root, file)));
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', ...HEADERS });
      response.end(body);
    } catch {
      response.writeHead(404, HEADERS).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

export interface Chromium {
  readonly version: string;
  /** Runs a task in a browser of its own. */
  run(task: Task): Promise<Timing[]>;
  close(): void;
}

/** `executablePath`: Chromium's program. */
export async function openChromium(root: string, packages: string, executablePath: string): Promise<Chromium> {
  const { chromium }: Playwright = (await import(`${packages}playwright-core/index.mjs`)) as Playwright;
  const launch = () => chromium.launch({ executablePath, args: FLAGS });
  const browser = await launch();
  const version = browser.version();
  await browser.close();
  const server = await serve(root);
  return {
    version,
    async run(task) {
      const own = await launch();
      try {
        const page = await own.newPage();
        page.on('pageerror', (error) => console.error(`page: ${error.message}`));
        await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
        await page.waitForFunction('globalThis.runTask !== undefined');
        return (await page.evaluate(`runTask(${JSON.stringify(task)})`)) as Timing[];
      } finally {
        await own.close();
      }
    },
    close: () => server.close(),
  };
}
