/** Starts in Chromium: a browser, and so a renderer without caches, for each; the page comes from a server of this machine. */

import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { build } from 'esbuild';
import { ISOLATED, listen, openChromium } from '../../web/scripts/chromium.js';
import { descendants, statusBytes } from '../resident.js';
import type { StartTask, StartTimes } from './task.js';

const PAGE = `<!doctype html><title>bench:start</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {
  "@litertjs/wasm-utils": "/bench/peers/node_modules/@litertjs/wasm-utils/dist/index.js"
}}</script>
<script type="module" src="/page.js"></script>`;

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/** How long a start may take. */
const PATIENCE_MS = 60_000;

export interface Started extends StartTimes {
  /** The most bytes that the renderer had resident. */
  readonly peak: number;
}

/** Opens a page for each task. `root`: the repository; `folder`: the files with weights. */
export async function startsInChromium(root: string, folder: string) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['bench/start/page.ts'],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  // Held in memory, so that the server takes as little of the machine as it can.
  const held = new Map<string, Buffer>();
  const fileAt = (path: string): Buffer => {
    const bytes = held.get(path) ?? readFileSync(path);
    held.set(path, bytes);
    return bytes;
  };
  let answered: (answer: StartTimes | { failed: string }) => void = () => {};
  const { url, close } = await listen((request, response) => {
    for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/') response.setHeader('content-type', 'text/html').end(PAGE);
    else if (pathname === '/page.js') {
      response.setHeader('content-type', 'text/javascript').end(outputFiles[0]?.contents);
    } else if (pathname === '/times') {
      let text = '';
      request.on('data', (chunk) => {
        text += chunk;
      });
      request.on('end', () => answered(JSON.parse(text)));
      response.end();
    } else {
      const [, weights] = /^\/weights\/(.+)/.exec(pathname) ?? [];
      const bytes = fileAt(weights ? join(folder, weights) : join(root, pathname));
      const type = TYPES[extname(pathname)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes);
    }
  });

  async function start(task: StartTask): Promise<Started> {
    const browser = await openChromium();
    if (!browser) throw new Error('Chromium: expected a browser to measure in, got none.');
    try {
      const page = await browser.newPage();
      page.on('pageerror', (error) => console.error(`page: ${error.message}`));
      const answer = new Promise<StartTimes | { failed: string }>((resolve, reject) => {
        answered = resolve;
        setTimeout(() => reject(new Error(`${task.engine}: no answer`)), PATIENCE_MS).unref();
      });
      await page.goto(`${url}?task=${encodeURIComponent(JSON.stringify(task))}`);
      const times = await answer;
      if ('failed' in times) throw new Error(`${task.engine}: ${times.failed}`);
      const peaks = descendants(process.pid, '--type=renderer').map((pid) => statusBytes('VmHWM', pid));
      return { ...times, peak: Math.max(...peaks) };
    } finally {
      await browser.close();
    }
  }
  return { start, close };
}
