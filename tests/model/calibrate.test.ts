import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrate, GraphBuilder, type Pixels, writeSafetensors } from '../../bindings/index.node.js';
import { Magnitudes } from '../../bindings/model/magnitudes.js';
import { fromTensors } from '../../bindings/weights/from-tensors.js';
import { randomWeights } from '../../bindings/weights/random.js';
import { uniform } from '../../bindings/weights/uniform.js';
import { buildNetwork } from '../../models/index.js';
import { concat, failure } from '../support/weight-files.js';

/** Squared error of `values` if they are clipped to ±range and become multiples of range / levels. */
const errorOf = (values: Float32Array, range: number, levels: number): number =>
  values.reduce((sum, value) => {
    const step = range / levels;
    const number = Math.max(-levels, Math.min(levels, Math.round(value / step)));
    return sum + (value - number * step) ** 2;
  }, 0);

test('the range is about as good as the best of many, whatever comes first', () => {
  const bell = Float32Array.from({ length: 20000 }, (_, i) => {
    const [a = 0, b = 0] = uniform(`pair ${i}`, 2, 0, 1);
    return Math.sqrt(-2 * Math.log(a + 1e-9)) * Math.cos(2 * Math.PI * b);
  });
  const flat = uniform('flat', 20000, -3, 3);
  const outlier = Float32Array.from([...flat, 30]);
  for (const [name, values] of Object.entries({ bell, flat, outlier })) {
    const magnitudes = new Magnitudes();
    for (let i = 0; i < values.length; i += 999) magnitudes.add(values.subarray(i, i + 999));
    const largest = Math.max(...values.map(Math.abs));
    const least = Math.min(...Array.from({ length: 300 }, (_, i) => errorOf(values, (largest * (i + 1)) / 300, 15)));
    const found = errorOf(values, magnitudes.bestRange(15), 15);
    assert.ok(found < 1.05 * least, `${name}: ${found} for ${least}`);
  }
});

test('values that are all zero have no range', () => {
  const magnitudes = new Magnitudes();
  assert.is(magnitudes.bestRange(127), 0);
  magnitudes.add(new Float32Array(5));
  assert.is(magnitudes.bestRange(127), 0);
  magnitudes.add(Float32Array.of(0, -2));
  assert.ok(Math.abs(magnitudes.bestRange(127) - 2) < 0.01);
});

async function written(...args: Parameters<typeof writeSafetensors>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(...args)) chunks.push(chunk);
  return concat(...chunks);
}

const picture = (value: number): Pixels => {
  const data = new Uint8ClampedArray(4 * 8 * 8).fill(value);
  return { width: 8, height: 8, data: data.map((byte, i) => (i % 4 === 3 ? 255 : byte)) };
};

test('each layer has the range of its own input; a tensor that two share has the wider one', async () => {
  const g = new GraphBuilder('ranges');
  const x = g.input({ h: 8, w: 8, c: 3 });
  const doubled = g.conv('double', x, 3, { kernel: 1 });
  const relu = g.relu('relu', g.conv('same', doubled, 3, { kernel: 1, params: { weight: 'double.weight' } }));
  const graph = g.finish(g.linear('fc', g.globalAvgPool('pool', relu), 2));
  const eye = (scale: number) => Float32Array.from({ length: 9 }, (_, i) => (i % 4 === 0 ? scale : 0));
  const file = fromTensors(
    [
      { name: 'double.weight', shape: [3, 3, 1, 1], data: eye(2) },
      { name: 'fc.weight', shape: [2, 3], data: new Float32Array(6) },
      { name: 'fc.bias', shape: [2], data: new Float32Array(2) },
    ],
    { graph },
  );
  const done: number[] = [];
  const pictures = [picture(255), Promise.resolve(picture(128))];
  const { inputScales, method } = await calibrate(await written(file), pictures, { onPicture: (n) => done.push(n) });
  assert.equal(done, [1, 2]);
  assert.is(method, 'least mean squared error over 2 pictures');
  // White is (1 − 0.406) / 0.225 = 2.64 in blue, as torchvision normalises it.
  const near = (name: string, range: number) => {
    const got = 127 * (inputScales.get(name) ?? 0);
    assert.ok(Math.abs(got - range) < 0.02 * range, `${name}: ${got} for ${range}`);
  };
  near('double.weight', 2 * 2.64);
  near('fc.weight', 4 * 2.64);
  assert.is(inputScales.size, 2);
});

test('every matrix of a network has a scale, whatever its names and shape', async () => {
  for (const network of ['resnet20_cifar', 'densenet121']) {
    const graph = buildNetwork(network, { size: 32 });
    const file = randomWeights(graph);
    const matrices = file.tensors.filter(({ shape }) => shape.length > 1).map(({ name }) => name);
    const { inputScales } = await calibrate(await written(file, { graph }), [picture(77)]);
    assert.equal([...inputScales.keys()], matrices);
    assert.ok([...inputScales.values()].every((scale) => scale > 0 && Number.isFinite(scale)));
  }
});

test('no pictures, broken ones, and weights that tell no network are refused in one sentence', async () => {
  const weights = await written(randomWeights(buildNetwork('resnet20_cifar')));
  assert.is(await failure(calibrate(weights, [])), 'pictures: expected at least one to calibrate with, got none.');
  assert.match(await failure(calibrate(weights, [Uint8Array.of(1, 2, 3)])), /^image: expected /);
  const other = await written(fromTensors([{ name: 'a', shape: [1], data: new Float32Array(1) }]));
  assert.match(await failure(calibrate(other, [picture(1)])), /^weights: no known network has these tensors/);
});

test.run();
