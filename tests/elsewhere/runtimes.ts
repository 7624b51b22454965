/**
 * The main job in each runtime that has one: a network from a file, its logits and the class of a photograph, as in the Node
 * that runs the tests. `npm run test:elsewhere` runs it, outside of `npm test`, since it installs the runtimes.
 */

import '../support/flags.mjs';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Binary, type Classification, type decodeImage, load, seededInput } from '../../bindings/index.node.js';
import { emptyApp, root, writeRandomWeights } from '../support/packed.js';
import { installed, installedExample, installedVersion, installRuntimes } from './install.js';

const run = promisify(execFile);
const NETWORK = 'resnet18';
const PHOTO = join(root, 'tests/data/photos/chelsea.jpg');
const SHAPE = [1, 3, 224, 224];

/** One line of JSON per binary, in this thread and in a worker. Rejects if a thread complains. */
const JOB = `
const [weights, photo] = process.argv.slice(2);
const shape = ${JSON.stringify(SHAPE)};
async function main({ load, seededInput, supportsRelaxed }) {
  for (const binary of supportsRelaxed() ? ['baseline', 'relaxed'] : ['baseline']) {
    for (const worker of [false, true]) {
      const model = await load('${NETWORK}', { weights, binary, worker, threads: 2 });
      const { data } = await model.run({ data: seededInput(shape), shape, layout: 'NCHW' });
      const [best] = await model.classify(photo, { topK: 1 });
      const { threads, threadsNote } = model.info();
      model.dispose();
      console.log(JSON.stringify({ binary, logits: [...data], best, threads, threadsNote }));
    }
  }
}
`;
const PROGRAMS = {
  'import.mjs': `import * as api from 'resnet-wasm';${JOB}await main(api);`,
  'require.cjs': `${JOB}main(require('resnet-wasm'));`,
};

interface Answer {
  readonly binary: Binary;
  readonly logits: readonly number[];
  readonly best: Classification;
  readonly threads: number;
  readonly threadsNote?: string;
}

const home = await emptyApp('runtimes');
const weights = join(home, `${NETWORK}.safetensors`);
await writeRandomWeights(NETWORK, weights);
for (const [name, text] of Object.entries(PROGRAMS)) await writeFile(join(home, name), text);

async function answerHere(binary: Binary, picture: string | Parameters<typeof decodeImage>[0] = PHOTO) {
  using model = await load(NETWORK, { weights, binary, winograd: true });
  const { data } = await model.run({ data: seededInput(SHAPE), shape: SHAPE, layout: 'NCHW' });
  const [best] = await model.classify(picture as string, { topK: 1 });
  return { logits: [...data], best: best as Classification };
}
const here = { baseline: await answerHere('baseline'), relaxed: await answerHere('relaxed') };

/** Runs a program, and asserts that all its answers are those of this Node. Returns the binaries. */
async function assertJob(program: string, args: readonly string[], file: string): Promise<Binary[]> {
  const { stdout, stderr } = await run(program, [...args, file, weights, PHOTO], { cwd: home });
  const answers: Answer[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const { binary, logits, best, threads, threadsNote } of answers) {
    // JavaScriptCore's relaxed multiply–add rounds twice, as the baseline does.
    const [same] = [here[binary as 'relaxed'], here.baseline].filter((each) => String(each.logits) === String(logits));
    assert.ok(same, `${binary}: expected the logits of Node, got ${logits.slice(0, 3)} …`);
    assert.is(best.index, same.best.index);
    assert.ok(Math.abs(best.probability - same.best.probability) < 1e-6, `${best.probability}`);
    assert.equal([threads, threadsNote], [2, undefined]);
  }
  assert.is(stderr, '');
  return answers.map(({ binary }) => binary);
}

/** A Worker with its modules, and the folder of its assets in the place of Cloudflare's. */
const workerdConfig = (modules: readonly string[]) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "assets", disk = "public")],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "dist/worker.js"),
    ${modules.map((name) => `(name = "${name}", wasm = embed "dist/${name}"),`).join('\n    ')}
  ],
  bindings = [(name = "ASSETS", service = "assets")],
  compatibilityDate = "2026-01-01",
);`;

const ALL = ['baseline', 'baseline', 'relaxed', 'relaxed'];
const test = suite('runtimes');

test(`Node ${process.versions.node}, import and require`, async () => {
  for (const file of Object.keys(PROGRAMS)) {
    const flags = Number.parseInt(process.versions.node, 10) < 22 ? ['--experimental-wasm-relaxed-simd'] : [];
    assert.equal(await assertJob(process.execPath, flags, file), ALL);
  }
});

if (installRuntimes()) {
  for (const name of ['node22', 'node24', 'node26']) {
    test(`Node ${installedVersion(name)}, import and require`, async () => {
      for (const file of Object.keys(PROGRAMS))
        assert.equal(await assertJob(installed(`${name}/bin/node`), [], file), ALL);
    });
  }

  test(`Bun ${installedVersion('@oven/bun-linux-x64')}, import and require`, async () => {
    for (const file of Object.keys(PROGRAMS)) {
      assert.equal(await assertJob(installed('@oven/bun-linux-x64/bin/bun'), [], file), ALL);
    }
  });

  const deno = installed('@deno/linux-x64-glibc/deno');

  test(`Deno ${installedVersion('@deno/linux-x64-glibc')}, import and require`, async () => {
    for (const file of Object.keys(PROGRAMS)) {
      assert.equal(await assertJob(deno, ['run', '-A', '--node-modules-dir=manual'], file), ALL);
    }
  });

  test('Deno asks for no permission to import', async () => {
    await writeFile(
      join(home, 'names.mjs'),
      `import { networkNames } from 'resnet-wasm';console.log(String(networkNames().length));`,
    );
    const { stdout } = await run(deno, ['run', '--no-prompt', '--node-modules-dir=manual', 'names.mjs'], { cwd: home });
    assert.ok(Number(stdout) > 30, stdout);
  });

  test(`jsdom ${installedVersion('jsdom')}, whose values are of a realm of their own`, async () => {
    await writeFile(
      join(home, 'jsdom.mjs'),
      `
import { readFile } from 'node:fs/promises';
import { JSDOM } from ${JSON.stringify(`file://${installed('jsdom/lib/api.js')}`)};
const { window } = new JSDOM('', { url: 'http://localhost:3000/', runScripts: 'outside-only' });
// As the environments of vitest and Jest do.
for (const name of ['window', 'document', 'location', 'Blob', 'File', 'FileReader', 'AbortController', 'AbortSignal']) {
  Object.defineProperty(globalThis, name, { value: name === 'window' ? window : window[name], configurable: true, writable: true });
}
const { load, seededInput } = await import('resnet-wasm');
const [weights, photo] = process.argv.slice(2);
const shape = ${JSON.stringify(SHAPE)};
const float32 = (values) => window.Float32Array.from(values);
const bytes = async (path) => window.Uint8Array.from(await readFile(path));
const { signal } = new AbortController();
for (const source of [weights, await bytes(weights), new Blob([await bytes(weights)])]) {
  for (const worker of [false, true]) {
    const model = await load('${NETWORK}', { weights: source, binary: 'baseline', worker, threads: 2, signal });
    const { data } = await model.run({ data: float32(seededInput(shape)), shape, layout: 'NCHW' }, { signal });
    const results = [];
    for (const picture of [photo, await bytes(photo), new File([await bytes(photo)], 'photo.jpg')]) {
      results.push((await model.classify(picture, { topK: 1 }))[0]);
    }
    const { threads, threadsNote } = model.info();
    model.dispose();
    for (const best of results) console.log(JSON.stringify({ binary: 'baseline', logits: [...data], best, threads, threadsNote }));
  }
}
`,
    );
    const answers = await assertJob(installed('node24/bin/node'), [], 'jsdom.mjs');
    assert.is(answers.length, 18);
  });

  for (const [network, options] of [
    [NETWORK, {}],
    ['resnet50', { quantize: 'int8', memory: 'small' }],
  ] as const) {
    const told = JSON.stringify(options);
    test(`workerd, as Wrangler bundles examples/cloudflare-worker: ${network} ${told}`, async () => {
      const example = await installedExample('cloudflare-worker');
      if (!example) return;
      const file = join(home, `${network}.safetensors`);
      if (network !== NETWORK) await writeRandomWeights(network, file);
      using model = await load(network, { weights: file, binary: 'relaxed', winograd: false, ...options });
      const [best] = await model.classify(PHOTO, { topK: 1 });
      const { h, w, c } = model.input;
      const shape = [1, c, h, w];
      const logits = (await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data;
      const script = await readFile(join(example, 'worker.js'), 'utf8');
      const ours = script
        .replaceAll(NETWORK, network)
        .replace('request.url);', `request.url, ${told});`)
        .replace('start(env, base)', 'start(env, base, options = {})')
        .replace('base)) }', 'base)), ...options }')
        .replace('{ load }', '{ load, seededInput }')
        .replace(
          'return Response.json({ ...best',
          `const shape = ${JSON.stringify(shape)};
      const { data } = await loaded.run({ data: seededInput(shape), shape, layout: 'NCHW' });
      return Response.json({ logits: [...data], ...best`,
        );
      await writeFile(join(example, 'worker.js'), ours);
      const env = { ...process.env, WRANGLER_SEND_METRICS: 'false' };
      await mkdir(join(example, 'public'));
      const wrangler = ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', 'dist'];
      await run(installed('node24/bin/node'), wrangler, { cwd: example, env });
      // Behind Wrangler, which refuses assets of more than 25 MiB.
      await copyFile(file, join(example, 'public', `${network}.safetensors`));
      const modules = (await readdir(join(example, 'dist'))).filter((name) => name.endsWith('.wasm'));
      await writeFile(join(example, 'config.capnp'), workerdConfig(modules));
      const version: string = JSON.parse(
        await readFile(join(example, 'node_modules/workerd/package.json'), 'utf8'),
      ).version;
      const program = join(example, 'node_modules/@cloudflare/workerd-linux-64/bin/workerd');
      const server = spawn(program, ['serve', 'config.capnp', '--control-fd=3'], {
        cwd: example,
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      });
      try {
        const [answer] = await once(server.stdio[3] as NodeJS.ReadableStream, 'data');
        const url = `http://127.0.0.1:${/"port":(\d+)/.exec(String(answer))?.[1]}/`;
        const residentKiB = async () =>
          Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${server.pid}/status`, 'utf8'))?.[1]);
        const before = await residentKiB();
        const post = async (body: Uint8Array<ArrayBuffer>) => (await fetch(url, { method: 'POST', body })).json();
        const photo = new Uint8Array(await readFile(PHOTO));
        const answers = (await Promise.all([post(photo), post(photo)])) as (Classification & Record<string, unknown>)[];
        for (const { index, probability, threads, binary, memoryBytes, logits: its } of answers) {
          assert.equal(its, [...logits]);
          assert.equal([index, threads, binary], [best?.index, 1, 'relaxed']);
          // Another JPEG decoder.
          const wanted = best?.probability ?? Number.NaN;
          assert.ok(Math.abs(probability - wanted) < 1e-3 * wanted, `expected ${wanted}, got ${probability}`);
          assert.ok((memoryBytes as number) < 60e6, `got ${memoryBytes} bytes`);
        }
        const taken = (await residentKiB()) - before;
        console.log(`workerd ${version}: a ${network} ${told} takes ${Math.round(taken / 1024)} MiB`);
        assert.ok(taken < 128 * 1024, `expected less than 128 MiB, got ${taken} KiB`);
        assert.match((await post(new TextEncoder().encode('no picture'))).error, /\w/);
      } finally {
        server.kill();
      }
    });
  }
}

test.run();
