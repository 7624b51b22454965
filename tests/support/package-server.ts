/** The servers of the page in browser-page.ts, and of weights that come slowly, break off, change or are gone. */

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import sirv from 'sirv';
import { buildNetwork, type LoadOptions, load, seededInput, seededWeights } from '../../bindings/index.node.js';
import { listen } from '../../web/scripts/chromium.js';
import type { Tab } from '../../web/scripts/tab.js';
import type { Pages } from './browser-page.js';
import { concat } from './weight-files.js';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const PHOTOS = '/tests/data/photos/';
export const WEIGHTS = '/weights.safetensors';
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:";

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['tests/support/browser-page.ts'],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  write: false,
});

/** Seeded weights of a network as a file. */
export async function safetensors(name: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of seededWeights(buildNetwork(name), 1)) parts.push(part);
  return concat(...parts);
}

/** 6.9 MB, so that a download has several parts. */
export const DEEP = 'resnet110_cifar';
export const weights = await safetensors(DEEP);

/** How the server of weights answers unless a test says otherwise. */
export const USUAL = {
  everyMs: 5,
  etag: '"1"',
  drop: Number.POSITIVE_INFINITY,
  pause: Number.POSITIVE_INFINITY,
  body: weights,
  isGone: false,
};
/** How it answers now, and what it was asked for. */
export const hub = { ...USUAL, ranges: [] as string[] };

const files = sirv(root, { dev: true, dotfiles: true });

/** Serves this repository, and the page, with headers. */
export const serveProject = (headers: Readonly<Record<string, string>>) =>
  listen((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (pathname !== '/open.html') response.setHeader('content-security-policy', POLICY);
    if (['/page.html', '/open.html'].includes(pathname)) {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>');
    } else if (pathname === '/page.js') {
      response.setHeader('content-type', 'text/javascript');
      response.end(outputFiles[0]?.contents);
    } else if (pathname === WEIGHTS) {
      const { range } = request.headers;
      const { body } = hub;
      hub.ranges.push(range ?? 'all');
      if (hub.isGone) return void response.writeHead(404).end();
      const begin = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
      response.setHeader('etag', hub.etag);
      if (begin > 0) response.setHeader('content-range', `bytes ${begin}-${body.length - 1}/${body.length}`);
      response.writeHead(begin > 0 ? 206 : 200, { 'content-length': body.length - begin });
      const end = Math.min(begin + hub.drop, body.length);
      // In time, and no more from `pause` on, so that a page that stops has not all of it yet.
      let at = begin;
      const timer = setInterval(() => {
        if (at >= hub.pause) return;
        const next = Math.min(at + 2 ** 19, end);
        response.write(body.subarray(at, next));
        at = next;
        if (at < end) return;
        clearInterval(timer);
        if (end < body.length) response.destroy();
        else response.end();
      }, hub.everyMs);
      response.once('close', () => clearInterval(timer));
    } else {
      files(request, response, () => {
        response.statusCode = 404;
        response.end();
      });
    }
  });

/** Runs one of the page's functions. */
export const run = <Name extends keyof Pages>(
  tab: Pick<Tab, 'evaluate'>,
  name: Name,
  ...args: Parameters<Pages[Name]>
) =>
  tab.evaluate<Awaited<ReturnType<Pages[Name]>>>(`(async () => {
    while (!('ready' in document.documentElement.dataset)) await new Promise((resolve) => setTimeout(resolve, 20));
    return pages.${name}(...${JSON.stringify(args)});
  })()`);

/** The logits of `pages.logits` in Node, with either binary. */
export async function logitsHere(name: string, options: Partial<LoadOptions> = {}): Promise<number[]> {
  using model = await load(name, { weights: { seed: 1 }, ...options });
  const { h, w, c } = model.summary().input;
  const shape = [1, c, h, w];
  return [...(await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data];
}

export const difference = (a: readonly number[], b: readonly number[]): number =>
  a.length === b.length ? Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number)))) : Number.NaN;
