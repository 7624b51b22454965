import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededTensor, seededWeights } from '../../bindings/weights/random.js';
import { seededInput, uniform } from '../../bindings/weights/uniform.js';
import { buildNetwork, parameters } from '../../models/index.js';

const cifar = buildNetwork('resnet20_cifar');
const { stages } = JSON.parse(readFileSync(new URL('../data/logits/resnet20_cifar.json', import.meta.url), 'utf8'));

const tensor = (name: string): Float32Array => {
  const parameter = parameters(cifar).find((one) => one.name === name);
  assert.ok(parameter, name);
  return seededTensor(cifar, parameter);
};

/** Mean and largest magnitude. */
function figures(values: Float64Array): [number, number] {
  let [sum, most] = [0, 0];
  for (const value of values) {
    sum += value;
    most = Math.max(most, Math.abs(value));
  }
  return [sum / values.length, most];
}

test('the stem on reference weights has the figures that PyTorch computed', () => {
  const [x, weight] = [seededInput([1, 3, 32, 32]), tensor('conv1.weight')];
  const y = new Float64Array(16 * 32 * 32);
  for (let o = 0; o < 16; o++)
    for (let row = 0; row < 32; row++)
      for (let column = 0; column < 32; column++)
        for (let i = 0; i < 3; i++)
          for (let ky = 0; ky < 3; ky++)
            for (let kx = 0; kx < 3; kx++) {
              const [r, c] = [row + ky - 1, column + kx - 1];
              if (r < 0 || r > 31 || c < 0 || c > 31) continue;
              const product =
                (x[(i * 32 + r) * 32 + c] as number) * (weight[((o * 3 + i) * 3 + ky) * 3 + kx] as number);
              y[(o * 32 + row) * 32 + column] = (y[(o * 32 + row) * 32 + column] as number) + product;
            }
  const [mean, absmax] = figures(y);
  assert.ok(Math.abs(mean - stages.conv1.mean) < 1e-12, `mean ${mean}`);
  assert.ok(Math.abs(absmax - stages.conv1.absmax) < 1e-12, `absmax ${absmax}`);

  const [scale, shift, means, variances] = ['weight', 'bias', 'running_mean', 'running_var'].map((role) =>
    tensor(`bn1.${role}`),
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const normed = y.map((value, at) => {
    const o = Math.floor(at / 1024);
    const deviation = Math.sqrt((variances[o] as number) + 1e-5);
    return ((value - (means[o] as number)) / deviation) * (scale[o] as number) + (shift[o] as number);
  });
  const after = figures(normed);
  assert.ok(Math.abs(after[0] - stages.bn1.mean) < 1e-12, `mean ${after[0]}`);
  assert.ok(Math.abs(after[1] - stages.bn1.absmax) < 1e-12, `absmax ${after[1]}`);
});

test('ranges follow the role of a tensor', () => {
  const least = (values: Float32Array) => values.reduce((a, b) => Math.min(a, b));
  const most = (values: Float32Array) => values.reduce((a, b) => Math.max(a, b));
  assert.ok(most(tensor('layer1.0.bn2.weight')) < 0.3);
  assert.ok(least(tensor('layer1.0.bn1.weight')) >= 0.6);
  assert.ok(least(tensor('bn1.weight')) >= 0.6);
  const bottleneck = buildNetwork('resnet50', { convBias: true });
  const first = (name: string) => {
    const parameter = parameters(bottleneck).find((one) => one.name === name);
    assert.ok(parameter, name);
    return seededTensor(bottleneck, parameter);
  };
  assert.ok(most(first('layer1.0.bn3.weight')) < 0.3);
  assert.ok(least(first('layer1.0.bn2.weight')) >= 0.6);
  assert.ok(least(first('layer1.0.downsample.1.weight')) >= 0.6);
  assert.ok(most(first('conv1.bias')) < 0.05);
});

test('the safetensors stream holds every tensor in order, in pieces of at most 1 MiB', async () => {
  const small = buildNetwork('resnet18', { classes: 7 });
  const stream = seededWeights(small);
  const head = (await stream.next()).value as Uint8Array;
  const length = Number(new DataView(head.buffer).getBigUint64(0, true));
  assert.is(head.length, 8 + length);
  assert.is(length % 8, 0);
  const header = JSON.parse(new TextDecoder().decode(head.subarray(8)));
  const list = parameters(small);
  assert.equal(
    Object.keys(header).filter((name) => name !== '__metadata__'),
    list.map(({ name }) => name),
  );

  assert.ok(list.length > 0);
  let at = 0;
  let piece = new Uint8Array(0);
  for (const parameter of list) {
    const { dtype, shape, data_offsets } = header[parameter.name];
    const values = seededTensor(small, parameter);
    assert.equal([dtype, shape, data_offsets], ['F32', parameter.shape, [at, at + values.byteLength]]);
    for (let done = 0; done < values.byteLength; done += piece.length) {
      piece = (await stream.next()).value as Uint8Array<ArrayBuffer>;
      assert.ok(piece.length <= 2 ** 20);
      assert.is(Buffer.compare(piece, new Uint8Array(values.buffer, done, piece.length)), 0, parameter.name);
    }
    at += values.byteLength;
  }
  assert.ok((await stream.next()).done);
});

test('values repeat by name and differ between names', () => {
  assert.equal(uniform('fc.bias', 4, 0, 1), uniform('fc.bias', 9, 0, 1).subarray(0, 4));
  assert.not.equal(uniform('fc.bias', 4, 0, 1), uniform('fc.weight', 4, 0, 1));
});

test.run();
