/**
 * The main job in each runtime that has one: a network from a file, its logits and the class of a photograph, as in the Node
 * that runs the tests. `npm run test:elsewhere` runs it, outside of `npm test`, since it installs the runtimes.
 */

import '../support/flags.mjs';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Binary, type Classification, type decodeImage, load, seededInput } from '../../bindings/index.node.js';
import { emptyApp, root, writeRandomWeights } from '../support/packed.js';
import { installed, installedVersion, installRuntimes } from './install.js';

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
}

test.run();
