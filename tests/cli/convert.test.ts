/** inspect, convert, and networks told by their tensors, as the command line does them. */

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { buildNetwork, inspectWeights, load, seededInput, seededWeights } from '../../bindings/index.node.js';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const PICTURE = fileURLToPath(new URL('../data/photos/chelsea.jpg', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (...args: string[]): Promise<Ended> =>
  promisify(execFile)(process.execPath, [CLI, ...args]).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );

const test = suite<{ folder: string; weights: string }>('convert');

test.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'convert-'));
  context.weights = join(context.folder, 'resnet20.safetensors');
  await writeFile(context.weights, seededWeights(buildNetwork('resnet20_cifar', { classes: 7 })));
});

test.after.each(({ folder }) => rm(folder, { recursive: true }));

test('a file of the same type computes the same bits, one of float16 nearly the same', async ({ folder, weights }) => {
  const shape = [1, 3, 32, 32];
  const logits = async (path: string): Promise<Float32Array> => {
    using model = await load('resnet20_cifar', { weights: path, classes: 7, threads: 1 });
    return (await model.run({ data: seededInput(shape), shape, layout: 'NCHW' })).data;
  };
  const expected = await logits(weights);
  const [same, half] = [join(folder, 'same'), join(folder, 'half')];
  assert.is((await run('convert', weights, same)).code, 0);
  assert.is((await run('convert', weights, half, '--dtype', 'f16')).code, 0);
  assert.equal(await logits(same), expected);
  const differences = (await logits(half)).map((value, i) => Math.abs(value - (expected[i] as number)));
  assert.ok(Math.max(...differences) > 0 && Math.max(...differences) < 5e-3);
  assert.ok((await readFile(half)).length < 0.6 * (await readFile(weights)).length);
});

test('int8 is a quarter, tells what it is, and learns ranges from pictures', async ({ folder, weights }) => {
  const [plain, ranged] = [join(folder, 'int8'), join(folder, 'ranged')];
  assert.is((await run('convert', weights, plain, '--dtype', 'i8')).code, 0);
  assert.ok((await readFile(plain)).length < 0.3 * (await readFile(weights)).length);
  const calibrated = await run('convert', weights, ranged, '--dtype', 'i8', '--calibrate', dirname(PICTURE));
  assert.equal(
    [calibrated.code, calibrated.stderr],
    [0, `${dirname(PICTURE)}: 16 pictures or more calibrate better than 4.\n`],
  );
  const { stdout } = await run('inspect', ranged, '--against', weights);
  assert.match(stdout, /^fc\.weight +I8 +\[7, 64\] +\d\d\.\d dB$/m);
  assert.match(stdout, /^int8: 20 tensors, 9\d\.\d % of the values, of which 20 have the range of their inputs$/m);
  assert.match(stdout, /^signal to noise: \d\d\.\d dB in the median, least \d\d\.\d dB in \S+\.weight$/m);
  assert.match(stdout, /^looks like resnet20_cifar \(classes 7\)$/m);
  assert.match(stdout, /^calibration: least mean squared error over 4 pictures$/m);
  const lines = (await run('inspect', plain)).stdout.split('\n');
  assert.ok(lines.some((line) => /^int8: 20 tensors, 9\d\.\d % of the values$/.test(line)));
  assert.match((await run('classify', PICTURE, '--weights', ranged)).stdout, /class \d/);
});

test('a calibration that cannot be is refused, and writes nothing', async ({ folder, weights }) => {
  const out = join(folder, 'out');
  const refused = async (...args: string[]) => {
    const { code, stderr } = await run('convert', ...args);
    return [code, stderr];
  };
  assert.equal(await refused(weights, out, '--dtype', 'i8', '--calibrate', folder), [
    1,
    `${folder}: expected a picture in this folder, got none.\n`,
  ]);
  assert.equal(await refused(weights, out, '--dtype', 'i8', '--calibrate', `${folder}/none`), [
    1,
    `${folder}/none: no such file.\n`,
  ]);
  assert.equal(await refused(weights, out, '--calibrate', folder), [
    2,
    "error: option '--calibrate <folder>' is for --dtype i8\n",
  ]);
  assert.equal(await refused('-', out, '--dtype', 'i8', '--calibrate', folder), [
    2,
    'error: --calibrate needs the weights twice, which standard input cannot be\n',
  ]);
  assert.equal(await readdir(folder), ['resnet20.safetensors']);
});

test('a conversion that fails leaves what was there, and nothing else', async ({ folder, weights }) => {
  const [broken, out] = [join(folder, 'broken'), join(folder, 'out')];
  const bytes = await readFile(weights);
  await writeFile(broken, bytes.subarray(0, bytes.length - 100));
  await writeFile(out, 'precious');
  const { code, stderr } = await run('convert', broken, out);
  assert.is(code, 1);
  assert.match(stderr, /^\S.*: expected .*, got .*\.\n$/);
  assert.is(await readFile(out, 'utf8'), 'precious');
  assert.equal((await readdir(folder)).sort(), ['broken', 'out', 'resnet20.safetensors']);
});

test('no file of a set is written over, shards and index included', async ({ folder, weights }) => {
  const [index, shard] = [join(folder, 'model.safetensors.index.json'), join(folder, 'part.safetensors')];
  const bytes = await readFile(weights);
  await writeFile(shard, bytes);
  const names = (await inspectWeights(weights)).tensors.map(({ name }) => name);
  const weight_map = Object.fromEntries(names.map((name) => [name, 'part.safetensors']));
  const { total } = await inspectWeights(weights);
  await writeFile(index, JSON.stringify({ metadata: { total_size: total }, weight_map }));
  const text = await readFile(index, 'utf8');
  for (const out of [index, shard]) {
    assert.equal(await run('convert', index, out), {
      code: 1,
      stdout: '',
      stderr: `<out>: expected a file that is not an input, got ${out}.\n`,
    });
  }
  // TensorFlow.js names its shards elsewhere.
  const [layers, part] = [join(folder, 'model.json'), join(folder, 'group1-shard1of1.bin')];
  await writeFile(layers, JSON.stringify({ weightsManifest: [{ paths: ['group1-shard1of1.bin'], weights: [] }] }));
  await writeFile(part, 'precious');
  assert.match((await run('convert', layers, part)).stderr, /^<out>: expected a file that is not an input/);
  assert.is(await readFile(index, 'utf8'), text);
  assert.equal(await readFile(shard), bytes);
  assert.is(await readFile(part, 'utf8'), 'precious');
  const out = join(folder, 'whole');
  assert.is((await run('convert', index, out)).code, 0);
  assert.equal((await inspectWeights(out)).tensors.length, names.length);
});

test('inspect tells tensors, network and odd values', async ({ folder, weights }) => {
  const report = await inspectWeights(weights);
  assert.equal(report.network, { network: 'resnet20_cifar', options: { classes: 7 } });
  assert.is(report.values * 4, report.total);
  assert.ok(report.tensors.every(({ nan, infinite }) => nan + infinite === 0));

  const odd = await readFile(weights);
  odd.writeFloatLE(Number.NaN, odd.length - 4);
  odd.writeFloatLE(Number.NEGATIVE_INFINITY, odd.length - 8);
  await writeFile(join(folder, 'odd'), odd);
  const { code, stdout } = await run('inspect', join(folder, 'odd'), '--json');
  assert.is(code, 0);
  const { nan, infinite, name } = JSON.parse(stdout).tensors.at(-1);
  assert.equal({ nan, infinite, name }, { nan: 1, infinite: 1, name: 'fc.bias' });
  assert.match((await run('inspect', join(folder, 'odd'))).stdout, /looks like resnet20_cifar \(classes 7\)/);
});

test('classify takes the network that the tensors tell, and says so', async ({ folder, weights }) => {
  const { code, stdout, stderr } = await run('classify', PICTURE, '--weights', weights);
  assert.is(code, 0);
  assert.match(stderr, /: the network is resnet20_cifar, as the file tells\n/);
  assert.match(stdout, /class \d/);
  assert.is(
    JSON.parse((await run('classify', PICTURE, '--weights', weights, '--json')).stdout)[0].model,
    'resnet20_cifar',
  );

  const other = join(folder, 'other');
  const text = (await readFile(weights)).toString('latin1').replaceAll('layer1', 'layerX');
  await writeFile(other, text, 'latin1');
  const unknown = await run('classify', PICTURE, '--weights', other);
  assert.is(unknown.code, 1);
  assert.match(
    unknown.stderr,
    /: no known network has these tensors \(.+\); the closest is resnet20_cifar, .+; name the network, or give its graph\.\n$/,
  );
});

test.run();
