/** Measures in Chromium: a static server for this machine alone, and a browser that playwright-core drives. */

import { build } from 'esbuild';
import sirv from 'sirv';
import { ISOLATED, listen, openChromium } from '../../web/scripts/chromium.js';
import type { Task, Timing } from './measure.js';

const PAGE = `<!doctype html><title>bench:peers</title><link rel="icon" href="data:,">
<script type="importmap">{"imports": {
  "@litertjs/wasm-utils": "/bench/peers/node_modules/@litertjs/wasm-utils/dist/index.js"
}}</script>
<script type="module" src="/page.js"></script>`;

/** Serves the repository, and the page with its bundle, at localhost. */
async function serve(root: string): Promise<{ url: string; close: () => void }> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['bench/peers/page.ts'],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  const files = sirv(root, { dev: true, dotfiles: true });
  return listen((request, response) => {
    for (const [name, value] of Object.entries(ISOLATED)) response.setHeader(name, value);
    if (request.url === '/') response.setHeader('content-type', 'text/html').end(PAGE);
    else if (request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript').end(outputFiles[0]?.contents);
    } else files(request, response, () => void response.writeHead(404).end());
  });
}

export interface Chromium {
  readonly version: string;
  /** Runs a task in a browser of its own. */
  run(task: Task): Promise<Timing[]>;
  close(): void;
}

export async function openBrowser(root: string): Promise<Chromium> {
  const launch = async () => {
    const browser = await openChromium();
    if (!browser) throw new Error('Chromium: expected a browser to measure in, got none.');
    return browser;
  };
  const first = await launch();
  const version = first.version();
  await first.close();
  const { url, close } = await serve(root);
  return {
    version,
    async run(task) {
      const own = await launch();
      try {
        const page = await own.newPage();
        page.on('pageerror', (error) => console.error(`page: ${error.message}`));
        await page.goto(url);
        await page.waitForFunction('globalThis.runTask !== undefined');
        return (await page.evaluate(`runTask(${JSON.stringify(task)})`)) as Timing[];
      } finally {
        await own.close();
      }
    },
    close,
  };
}
