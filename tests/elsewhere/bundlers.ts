/** The examples of pages that bundlers build, installed and built as their READMEs say, and opened in Chromium. */

import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sirv from 'sirv';
import { suite } from 'uvu';
import { ISOLATED, listen } from '../../web/scripts/chromium.js';
import { root } from '../support/packed.js';
import { assertAnswer, browser, visit, visitFolder, WEIGHTS, weights } from '../support/visit-page.js';
import { installed, installedExample, installRuntimes } from './install.js';

const run = promisify(execFile);
const test = suite('bundlers');

test.after(async () => browser?.close());

/** How an example is built: its packages beyond those of its own, its command, and where the page comes to lie. */
interface Build {
  readonly example: string;
  readonly packages?: readonly string[];
  readonly command: readonly string[];
  readonly out: string;
  /** Complaints that are not the package's: a bundler that leaves the files behind has the page look for them. */
  readonly leavesFiles?: boolean;
}

const builds: Readonly<Record<string, Build>> = {
  webpack: { example: 'webpack-page', command: ['webpack/bin/webpack.js'], out: 'public' },
  'Next.js': { example: 'nextjs-page', command: ['next/dist/bin/next', 'build'], out: 'out' },
  'Next.js with webpack': { example: 'nextjs-page', command: ['next/dist/bin/next', 'build', '--webpack'], out: 'out' },
  Astro: { example: 'astro-page', command: ['astro/bin/astro.mjs', 'build'], out: 'dist' },
  Parcel: {
    example: 'vite-page',
    packages: ['parcel@2.16.4'],
    command: ['parcel/lib/bin.js', 'build', 'index.html', '--no-cache', '--public-url', './'],
    out: 'dist',
  },
  Rollup: {
    example: 'vite-page',
    packages: ['rollup@4.68.8', '@rollup/plugin-node-resolve@16.0.3'],
    command: ['rollup/dist/bin/rollup', 'main.js', '-d', 'public', '-p', 'node-resolve={browser:true}'],
    out: 'public',
    leavesFiles: true,
  },
};

const isReady = browser !== undefined && installRuntimes();
// Astro needs a newer Node than the project.
const PATH = `${installed('node24/bin')}:${process.env.PATH}`;
const env = { ...process.env, PATH, NEXT_TELEMETRY_DISABLED: '1', ASTRO_TELEMETRY_DISABLED: '1' };

/** Installs and builds an example. Returns the folder of its page, with the weights; undefined if npm cannot install it. */
async function built({ example, packages = [], command, out }: Build): Promise<string | undefined> {
  const home = await installedExample(example, packages);
  if (!home) return undefined;
  const [script = '', ...args] = command;
  await run(installed('node24/bin/node'), [join('node_modules', script), ...args], { cwd: home, env });
  const folder = join(home, out);
  if (out === 'public') await cp(join(home, 'index.html'), join(folder, 'index.html')).catch(() => {});
  await cp(weights, join(folder, WEIGHTS));
  return folder;
}

for (const [name, build] of isReady ? Object.entries(builds) : []) {
  test(`${build.example} by ${name}`, async () => {
    const folder = await built(build);
    if (!folder) return;
    const got = await visitFolder(folder);
    await assertAnswer(build.leavesFiles ? { ...got, found: [] } : got);
  });
}

if (isReady) {
  test('a page that takes the package from another origin', async () => {
    const serve = sirv(root, { dev: true });
    const shared = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' };
    const other = await listen((request, response) => {
      for (const [header, value] of Object.entries(shared)) response.setHeader(header, value);
      if (request.url === '/weights') return void createReadStream(weights).pipe(response);
      serve(request, response, () => void response.writeHead(404).end());
    });
    const page = await listen((_, response) => {
      for (const [header, value] of Object.entries(ISOLATED)) response.setHeader(header, value);
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><link rel="icon" href="data:,"><input id="picture" type="file" disabled><p id="answer"></p>
        <script type="module">
          import { load } from '${other.url}dist/web.js';
          const model = await load('resnet18', { weights: '${other.url}weights' });
          picture.onchange = async () => {
            const [best] = await model.classify(picture.files[0], { topK: 1 });
            const { threads, binary } = model.info();
            answer.textContent = 'class ' + best.index + ', ' + (100 * best.probability).toFixed(2) + ' % (threads: ' + threads + ', binary: ' + binary + ')';
          };
          picture.disabled = false;
        </script>`);
    });
    try {
      await assertAnswer({ ...(await visit(page.url)), found: [] });
    } finally {
      page.close();
      other.close();
    }
  });
}

test.run();
