/** The examples of Node and the README's first lines of code, run as they stand against the packed package. */

import '../support/flags.mjs';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Classification, load, type Model } from '../../bindings/index.node.js';
import { emptyApp, exampleApp, root, writeRandomWeights } from '../support/packed.js';

const run = promisify(execFile);
const NETWORK = 'resnet18';
const [PHOTO, OTHER] = ['chelsea-56.png', 'coffee-56.png'].map((name) => join(root, 'tests/data/photos', name)) as [
  string,
  string,
];

const weights = join(await emptyApp('weights'), `${NETWORK}.safetensors`);
await writeRandomWeights(NETWORK, weights);

/** What the same network makes of the photograph here. */
async function withModel<T>(ask: (model: Model) => Promise<T>): Promise<T> {
  using model = await load(NETWORK, { weights });
  return await ask(model);
}

const nameOf = ({ label, index }: Classification): string => label ?? `class ${index}`;

const test = suite('examples of Node');

test('an example imports what its package.json names, and is short', async () => {
  const files = (await readdir(join(root, 'examples'), { recursive: true })).filter(
    (file) => /\.(js|html)$/.test(file) && !file.includes('node_modules'),
  );
  assert.ok(files.length >= 9, `got ${files}`);
  const folderOf = (file: string) => file.split(/[\\/]/)[0];
  const using = new Set<string | undefined>();
  for (const file of files) {
    const text = await readFile(join(root, 'examples', file), 'utf8');
    assert.ok(text.split('\n').length <= 61, `${file}: expected 60 lines at most`);
    const about = JSON.parse(await readFile(join(root, 'examples', folderOf(file) as string, 'package.json'), 'utf8'));
    const dependencies = Object.keys(about.dependencies);
    for (const [, specifier = ''] of text.matchAll(/^\s*import\b.*?'([^']+)';$/gm)) {
      const isNamed = dependencies.some((name) => specifier === name || specifier.startsWith(`${name}/`));
      const isOwn = /^(node:.+|\.\/[\w-]+\.js|\.\/node_modules\/resnet-wasm\/dist\/(web|static)\.js)$/.test(specifier);
      assert.ok(isNamed || isOwn, `${file}: ${specifier}`);
      if (specifier.includes('resnet-wasm')) using.add(folderOf(file));
    }
  }
  assert.equal([...using].sort(), [...new Set(files.map(folderOf))].sort());
});

test('node/classify.js', async () => {
  const cwd = await exampleApp('node');
  const args = ['classify.js', PHOTO, '--network', NETWORK, '--weights', weights];
  const lines = (await run(process.execPath, args, { cwd })).stdout.trimEnd().split('\n');
  const expected = await withModel((model) => model.classify(PHOTO, { topK: 5 }));
  assert.is(lines.length, 5);
  assert.ok(lines[0]?.endsWith(`  ${nameOf(expected[0] as Classification)}`), lines[0]);
  assert.ok(lines.every((line) => /^ {0,2}\d+\.\d % {2}\S/.test(line)));
});

test('node/similar.js', async () => {
  const cwd = await exampleApp('node');
  const args = ['similar.js', PHOTO, PHOTO, OTHER, '--network', NETWORK, '--weights', weights];
  const lines = (await run(process.execPath, args, { cwd })).stdout.trimEnd().split('\n');
  assert.equal(
    lines.map((line) => line.slice(7)),
    [PHOTO, OTHER],
  );
  const [same, other] = lines.map((line) => Number(line.slice(0, 5))) as [number, number];
  assert.is(same, 1);
  assert.ok(other < 1 && other > -1, `got ${other}`);
});

test('server-handler', async () => {
  const cwd = await exampleApp('server-handler');
  const env = { ...process.env, NETWORK, WEIGHTS: weights, PORT: '0' };
  const server = spawn(process.execPath, ['server.js'], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = String(await Promise.race([once(server.stdout, 'data'), once(server, 'exit')])).trim();
    assert.match(url, /^http:\/\/localhost:\d+\/$/);
    const post = (body: string | Uint8Array<ArrayBuffer>) => fetch(url, { method: 'POST', body });

    const answer = await post(new Uint8Array(await readFile(PHOTO)));
    assert.equal([answer.status, answer.headers.get('content-type')], [200, 'application/json']);
    const { network, classes } = (await answer.json()) as { network: string; classes: Classification[] };
    const expected = await withModel((model) => model.classify(PHOTO, { topK: 5 }));
    assert.equal([network, classes.length, classes[0]?.index], [NETWORK, 5, expected[0]?.index]);

    for (const [response, status, allow] of [
      [await fetch(url), 405, 'POST'],
      [await post('no picture'), 400, null],
      [await post(''), 400, null],
      [await post(new Uint8Array(20e6 + 1)), 413, null],
    ] as const) {
      assert.equal([response.status, response.headers.get('allow')], [status, allow]);
      assert.match(((await response.json()) as { error: string }).error, /\.$/);
    }
  } finally {
    server.kill();
  }
});

const readme = await readFile(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, block = '']) => block);
const [first = '', ownGraph = ''] = blocks;
const ownWeights = blocks.find((block) => block.includes('preprocessing: {')) ?? '';

test("README.md's first lines of code", async () => {
  const published = "load('resnet50')";
  assert.ok(first.includes(published) && first.includes("'cat.jpg'") && first.includes('data: input'));
  const home = await emptyApp('readme');
  for (const name of ['cat.jpg', 'dog.jpg']) {
    await copyFile(join(root, 'tests/data/photos/chelsea.jpg'), join(home, name));
  }
  // The weights are those of this test, since the published ones are on the network.
  const script = first.replace(published, `load('${NETWORK}', { weights: ${JSON.stringify(weights)} })`);
  await writeFile(join(home, 'main.js'), `const input = new Float32Array(3 * 224 * 224);\n${script}`);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: home });
  assert.match(stdout, /weightBytes/);
});

test("README.md's network of one's own", async () => {
  assert.ok(ownGraph.includes('new GraphBuilder'));
  const home = await emptyApp('readme-graph');
  await writeFile(join(home, 'main.js'), ownGraph);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: home });
  assert.match(stdout, /parameters/);
});

test("README.md's preprocessing of one's own", async () => {
  assert.ok(ownWeights.includes('preprocessing: {') && ownWeights.includes(NETWORK));
  const home = await emptyApp('readme-weights');
  await copyFile(weights, join(home, 'own.safetensors'));
  const imports = "import { load } from 'resnet-wasm';\n";
  await writeFile(join(home, 'main.js'), `${imports}${ownWeights}console.log(JSON.stringify(own.preprocessing));`);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: home });
  assert.match(stdout, /"interpolation":"bicubic"/);
});

test('a sharp that does not load is told with its own reason', async () => {
  const home = await emptyApp('broken-sharp');
  const sharp = join(home, 'node_modules/sharp');
  await rm(sharp);
  await mkdir(sharp);
  await writeFile(join(sharp, 'package.json'), '{"type": "module", "exports": "./index.js"}');
  await writeFile(join(sharp, 'index.js'), "throw new SyntaxError('Unexpected token with');");
  const script = `import { decodeImage } from 'resnet-wasm';
    await decodeImage(${JSON.stringify(PHOTO)}).catch((error) => console.log(error.message));`;
  await writeFile(join(home, 'main.js'), script);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: home });
  assert.match(
    stdout,
    /^Decoding .* does not load in Node [\d.]+ \(Unexpected token with\): npm install sharp, or .*\.$/m,
  );
});

test.run();
