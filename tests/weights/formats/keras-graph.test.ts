/** Topologies that become graphs: what a model gives is what Keras's definitions come to in float64. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../../bindings/index.node.js';
import { openWeights } from '../../../bindings/weights/open.js';
import { writeSafetensors } from '../../../bindings/weights/write.js';
import {
  KerasBuilder,
  type KerasJson,
  numbers,
  sequential,
  single,
  tfjsFiles,
  type Variable,
  type Version,
} from '../../support/keras-models.js';
import { reference } from '../../support/keras-reference.js';
import { concat, failure, withFiles } from '../../support/weight-files.js';

interface Made {
  readonly json: KerasJson;
  readonly variables: readonly Variable[];
}

const VERSIONS = [2, 3] as const;

/** What a model makes of an input, by the project and by definition. */
async function compare(model: Made, shape: [number, number, number], version: Version, scale = 1): Promise<void> {
  const next = numbers(9);
  const data = Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, () => next() * scale);
  const expected = reference(model.json, model.variables, { shape, data: Float64Array.from(data) }, version).data;
  const run = async (source: Parameters<typeof load>[0]): Promise<Float32Array> => {
    const loaded = await load(source, { threads: 1 });
    try {
      return (await loaded.run({ data, shape: [1, ...shape], layout: 'NHWC' })).data;
    } finally {
      loaded.dispose();
    }
  };
  const { outputs, converted } = await withFiles(tfjsFiles(model, version), async () => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeSafetensors(await openWeights('model.json'))) chunks.push(chunk);
    return { outputs: await run('model.json'), converted: concat(...chunks) };
  });
  const most = 1e-5 * Math.max(1, ...expected.map(Math.abs));
  for (const actual of [outputs, await run(converted)]) {
    assert.is(actual.length, expected.length);
    actual.forEach((value, i) => {
      const wanted = expected[i] as number;
      assert.ok(Math.abs(value - wanted) <= most, `${i}: expected ${wanted} ± ${most}, got ${value}`);
    });
  }
}

/** One model by what its layers between input and output are; `shape`: of the input. */
type Build = (k: KerasBuilder, x: string) => string;

function functional(version: Version, shape: (number | null)[], build: Build, name = 'model'): Made {
  const k = new KerasBuilder(version, 3);
  const x = k.input('image', ...shape);
  return k.functional(name, x, build(k, x));
}

const SHAPE: [number, number, number] = [11, 10, 6];

const models: readonly (readonly [string, Build])[] = [
  ['strides, same', (k, x) => k.conv('a', x, 6, 8, 3, { strides: [2, 2], padding: 'same' })],
  ['strides, valid, no bias', (k, x) => k.conv('a', x, 6, 8, 3, { strides: [2, 1], use_bias: false })],
  ['another window', (k, x) => k.conv('a', x, 6, 5, 1, { kernel_size: [2, 5], padding: 'same', activation: 'relu' })],
  ['dilation', (k, x) => k.conv('a', x, 6, 4, 3, { dilation_rate: [2, 2], padding: 'same' })],
  ['groups', (k, x) => k.conv('a', x, 6, 12, 3, { groups: 3, padding: 'same' })],
  ['batch norm', (k, x) => k.norm('n', k.conv('a', x, 6, 8, 1, { use_bias: false }), 8, { epsilon: 0.01 })],
  ['batch norm without scale', (k, x) => k.norm('n', k.conv('a', x, 6, 8, 1), 8, { scale: false })],
  ['batch norm without shift', (k, x) => k.norm('n', k.conv('a', x, 6, 8, 1), 8, { center: false })],
  ['batch norm with neither', (k, x) => k.norm('n', x, 6, { center: false, scale: false })],
  [
    'separable',
    (k, x) =>
      k.layer(
        'SeparableConv2D',
        's',
        x,
        { filters: 5, kernel_size: [3, 3], padding: 'same', activation: 'relu' },
        {
          depthwise_kernel: [3, 3, 6, 1],
          pointwise_kernel: [1, 1, 6, 5],
          bias: [5],
        },
      ),
  ],
  [
    'zero padding before a convolution',
    (k, x) =>
      k.conv(
        'a',
        k.layer('ZeroPadding2D', 'z', x, {
          padding: [
            [1, 2],
            [0, 3],
          ],
        }),
        6,
        4,
        3,
        { strides: [2, 2] },
      ),
  ],
  [
    'zero padding, and same',
    (k, x) =>
      k.conv('a', k.layer('ZeroPadding2D', 'z', x, { padding: 2 }), 6, 4, 3, { padding: 'same', strides: [2, 2] }),
  ],
  [
    'zero padding before a max pool of values below 0',
    (k, x) =>
      k.layer(
        'MaxPooling2D',
        'p',
        k.layer('ZeroPadding2D', 'z', k.layer('Rescaling', 'r', x, { scale: 1, offset: -5 }), { padding: [1, 1] }),
        { pool_size: [3, 3], strides: [2, 2] },
      ),
  ],
  [
    'zero padding before a max pool of values from 0',
    (k, x) =>
      k.layer(
        'MaxPooling2D',
        'p',
        k.layer('ZeroPadding2D', 'z', k.layer('ReLU', 'r', x), {
          padding: [
            [1, 1],
            [1, 1],
          ],
        }),
        { pool_size: [3, 3], strides: [2, 2] },
      ),
  ],
  [
    'zero padding before an average pool',
    (k, x) =>
      k.layer('AveragePooling2D', 'p', k.layer('ZeroPadding2D', 'z', x, { padding: 1 }), {
        pool_size: [3, 3],
        strides: [2, 2],
      }),
  ],
  ['zero padding before a batch norm', (k, x) => k.norm('n', k.layer('ZeroPadding2D', 'z', x, { padding: [2, 1] }), 6)],
  [
    'zero padding before a global average',
    (k, x) => k.layer('GlobalAveragePooling2D', 'g', k.layer('ZeroPadding2D', 'z', x, { padding: [2, 1] })),
  ],
  [
    'max pool, same',
    (k, x) => k.layer('MaxPooling2D', 'p', x, { pool_size: [3, 3], strides: [2, 2], padding: 'same' }),
  ],
  ['max pool by itself', (k, x) => k.layer('MaxPooling2D', 'p', x)],
  [
    'average pool, same',
    (k, x) => k.layer('AveragePooling2D', 'p', x, { pool_size: [3, 3], strides: [2, 2], padding: 'same' }),
  ],
  [
    'average pool, same, of stride 1',
    (k, x) => k.layer('AveragePooling2D', 'p', x, { pool_size: [4, 2], strides: [1, 1], padding: 'same' }),
  ],
  ['average pool of the whole', (k, x) => k.layer('AveragePooling2D', 'p', x, { pool_size: [11, 10] })],
  ['global max', (k, x) => k.dense('d', k.layer('GlobalMaxPooling2D', 'g', x), 6, 3)],
  [
    'global average that keeps the axes',
    (k, x) =>
      k.layer('Multiply', 'm', [
        x,
        k.conv('a', k.layer('GlobalAveragePooling2D', 'g', x, { keepdims: true }), 6, 6, 1, { activation: 'sigmoid' }),
      ]),
  ],
  [
    'squeeze and excitation',
    (k, x) =>
      k.layer('Multiply', 'm', [
        k.layer('Reshape', 'r', k.dense('d', k.layer('GlobalAveragePooling2D', 'g', x), 6, 6, 'hard_sigmoid'), {
          target_shape: [1, 1, 6],
        }),
        x,
      ]),
  ],
  [
    'flattened map',
    (k, x) =>
      k.dense(
        'd',
        k.layer('Dropout', 'o', k.layer('Flatten', 'f', k.conv('a', x, 6, 4, 3, { strides: [3, 3] })), { rate: 0.5 }),
        36,
        7,
        'softmax',
      ),
  ],
  ['dense on every pixel', (k, x) => k.dense('d', x, 6, 7)],
  ['up sampling', (k, x) => k.layer('UpSampling2D', 'u', x, { size: [2, 3], interpolation: 'nearest' })],
  [
    'add of three',
    (k, x) => k.layer('Add', 's', [x, k.conv('a', x, 6, 6, 1), k.conv('b', x, 6, 6, 3, { padding: 'same' })]),
  ],
  [
    'concatenations of concatenations',
    (k, x) => k.layer('Concatenate', 'c2', [k.layer('Concatenate', 'c', [x, k.conv('a', x, 6, 2, 1)]), x], { axis: 3 }),
  ],
  ['PReLU', (k, x) => k.layer('PReLU', 'p', x, { shared_axes: [1, 2] }, { alpha: [1, 1, 6] })],
  ['leaky ReLU', (k, x) => k.layer('LeakyReLU', 'l', x, { alpha: 0.1 })],
  ['ReLU up to 1', (k, x) => k.layer('ReLU', 'l', x, { max_value: 0.5, negative_slope: 0, threshold: 0 })],
  [
    'normalisation from its configuration',
    (k, x) =>
      k.layer('Normalization', 'l', x, { axis: [-1], mean: [[[[1, 2, 3, 4, 5, 6]]]], variance: [1, 4, 9, 1, 4, 0.01] }),
  ],
  [
    'normalisation from its variables',
    (k, x) => k.layer('Normalization', 'l', x, { axis: -1 }, { mean: [6], variance: [6] }),
  ],
  [
    'rescaling in the middle',
    (k, x) => k.layer('Rescaling', 'l', k.conv('a', x, 6, 3, 1), { scale: [0.1, 0.2, -3], offset: 1 }),
  ],
  [
    'a layer that is called twice',
    (k, x) =>
      k.layer('Add', 's', [k.conv('a', x, 6, 6, 3, { padding: 'same' }), k.again('a', k.layer('ReLU', 'r', 'a'))]),
  ],
  ...['relu', 'relu6', 'sigmoid', 'swish', 'silu', 'gelu', 'hard_sigmoid', 'hard_silu', 'leaky_relu', 'linear'].map(
    (name): [string, Build] => [`activation ${name}`, (k, x) => k.layer('Activation', 'l', x, { activation: name })],
  ),
];

test('there are models', () => assert.ok(models.length > 40, `${models.length}`));

for (const [name, build] of models) {
  for (const version of VERSIONS) {
    test(`${name}, Keras ${version}`, () => compare(functional(version, SHAPE, build), SHAPE, version, 3));
  }
}

for (const multiplier of [1, 2]) {
  for (const version of VERSIONS) {
    test(`depthwise convolution with ${multiplier} filters per channel, Keras ${version}`, async () => {
      const config = { kernel_size: 3, strides: [2, 2], padding: 'same', depth_multiplier: multiplier, use_bias: true };
      const kernel = version === 3 ? 'kernel' : 'depthwise_kernel';
      const variables = { [kernel]: [3, 3, 6, multiplier], bias: [6 * multiplier] };
      await compare(
        functional(version, SHAPE, (k, x) => k.layer('DepthwiseConv2D', 'd', x, config, variables)),
        SHAPE,
        version,
      );
    });
  }
}

/** A small network of its own. */
function base(version: Version, name = 'base', shape: (number | null)[] = [null, null, 6]): Made {
  const k = new KerasBuilder(version, 4);
  const x = k.input('input_1', ...shape);
  const y = k.norm('bn', k.conv('conv2d', x, 6, 8, 3, { padding: 'same' }), 8);
  return k.functional(name, x, k.layer('Add', 'add', [y, k.conv('conv2d_1', x, 6, 8, 1)]));
}

for (const version of VERSIONS) {
  test(`models in models, Keras ${version}`, async () => {
    const head = single('Dense', 'dense', { units: 3, activation: 'softmax' }, { kernel: [8, 3], bias: [3] });
    const whole = [base(version), single('GlobalMaxPooling2D', 'pool'), head];
    await compare(sequential(version, 'sequential', SHAPE, whole), SHAPE, version);

    const outer = (k: KerasBuilder, x: string) => {
      const y = k.model(base(version), k.layer('Rescaling', 'rescaling', x, { scale: 2 }), version === 2);
      return k.dense('dense', k.layer('GlobalAveragePooling2D', 'gap', y), 8, 3);
    };
    const nested = functional(version, SHAPE, outer);
    await compare(nested, SHAPE, version);
    await compare(sequential(version, 'outermost', SHAPE, [nested]), SHAPE, version);
  });

  test(`two models with the same names in them, Keras ${version}`, async () => {
    const both = functional(version, SHAPE, (k, x) => {
      const one = k.model(base(version, 'one'), x);
      return k.layer('Concatenate', 'c', [one, k.model(base(version, 'two'), x), k.conv('conv2d', x, 6, 2, 1)], {
        axis: -1,
      });
    });
    await compare(both, SHAPE, version);
  });
}

test('dead layers are left out', async () => {
  const k = new KerasBuilder(3);
  const x = k.input('image', 4, 4, 3);
  const y = k.conv('a', x, 3, 4, 1);
  k.layer('Lambda', 'unused', k.conv('b', y, 4, 2, 1));
  await compare(k.functional('model', x, y), [4, 4, 3], 3);
});

test('without a size, 224 by 224', async () => {
  await withFiles(tfjsFiles(base(3, 'base', [null, null, 6]), 3), async () => {
    const file = await openWeights('model.json');
    assert.equal(file.graph?.nodes[0]?.shape, { h: 224, w: 224, c: 6 });
    await file.close();
  });
});

/** [what is wrong, a model, the sentence] */
const refused: readonly (readonly [string, Build, string | RegExp])[] = [
  ['a class', (k, x) => k.layer('Lambda', 'lambda', x), 'lambda: layers of class Lambda cannot be run here.'],
  [
    'an operator',
    (k, x) => k.layer('TFOpLambda', 'tf.math.subtract', x),
    'tf.math.subtract: layers of class TFOpLambda cannot be run here.',
  ],
  [
    'an activation',
    (k, x) => k.conv('c', x, 6, 4, 1, { activation: 'tanh' }),
    'c: this Conv2D cannot be run here: there is no activation "tanh".',
  ],
  [
    'a threshold',
    (k, x) => k.layer('ReLU', 'r', x, { threshold: 1 }),
    'r: this ReLU cannot be run here: it has a threshold.',
  ],
  [
    'channels that come first',
    (k, x) => k.conv('c', x, 6, 4, 1, { data_format: 'channels_first' }),
    'c: this Conv2D cannot be run here: channels come last, and its data_format is "channels_first".',
  ],
  [
    'an axis',
    (k, x) => k.norm('n', x, 11, { axis: 1 }),
    'n: this BatchNormalization cannot be run here: it works along the channels alone, and its axis is 1.',
  ],
  [
    'causal padding',
    (k, x) => k.conv('c', x, 6, 4, 1, { padding: 'causal' }),
    'c: expected padding to be same or valid, got "causal".',
  ],
  [
    'no filters',
    (k, x) => k.conv('c', x, 6, 4, 1, { filters: 0 }),
    'c: expected filters to be a whole number from 1, got 0.',
  ],
  [
    'a vector',
    (k, x) => k.conv('c', k.layer('GlobalAveragePooling2D', 'g', x), 6, 4, 1),
    'c: this Conv2D cannot be run here: it reads no map.',
  ],
  [
    'a flattened map',
    (k, x) => k.norm('n', k.layer('Flatten', 'f', x), 660, { axis: 1 }),
    'n: this BatchNormalization cannot be run here: it reads a map that is flattened.',
  ],
  [
    'a reshaped map',
    (k, x) => k.layer('Reshape', 'r', x, { target_shape: [110, 6] }),
    'r: this Reshape cannot be run here: it makes [110, 6] of 11x10x6.',
  ],
  [
    'shapes that differ',
    (k, x) => k.layer('Add', 'a', [x, k.conv('c', x, 6, 6, 3)]),
    'a: expected two equal shapes to add, got 11x10x6 and 9x8x6.',
  ],
  ['one value', (k, x) => k.layer('Add', 'a', [x]), 'a: this Add cannot be run here: it reads only one value.'],
  [
    'slopes of pixels',
    (k, x) => k.layer('PReLU', 'p', x, {}, { alpha: [11, 10, 6] }),
    'p: this PReLU cannot be run here: its slopes differ from pixel to pixel.',
  ],
  ['a layer that reads itself', (k) => k.layer('ReLU', 'r', 'r'), 'r: this layer reads what comes of itself.'],
  [
    'a layer that is not there',
    (k) => k.layer('ReLU', 'r', 'q'),
    'q: the topology has no such layer, though another reads it.',
  ],
  [
    'zeros at the end',
    (k, x) => k.layer('ZeroPadding2D', 'z', x),
    'model: a model that ends in ZeroPadding2D cannot be run.',
  ],
  [
    'a name of several lines',
    (k, x) => k.layer('Add', 'a\nb', [x, k.conv('c', x, 6, 6, 3)]),
    /^a\\nb: expected two equal shapes to add, got/,
  ],
];

for (const [name, build, message] of refused) {
  for (const version of VERSIONS) {
    test(`refused: ${name}, Keras ${version}`, async () => {
      const got = await withFiles(tfjsFiles(functional(version, SHAPE, build), version), () =>
        failure(openWeights('model.json')),
      );
      if (typeof message === 'string') assert.is(got, message);
      else assert.match(got, message);
    });
  }
}

test('dropout that is called to train is refused, and a class of the application', async () => {
  const model = functional(3, SHAPE, (k, x) => k.layer('Dropout', 'drop', x));
  const [, drop] = model.json.config.layers as Record<string, unknown>[];
  const message = () => withFiles(tfjsFiles(model, 3), () => failure(openWeights('model.json')));
  Object.assign((drop as { inbound_nodes: object[] }).inbound_nodes[0] as object, { kwargs: { training: true } });
  assert.is(await message(), 'drop: this Dropout cannot be run here: it is called to train.');
  Object.assign(drop ?? {}, { registered_name: 'mine>Dropout', module: null });
  assert.is(await message(), 'drop: layers of class Dropout cannot be run here.');
});

test('variables that are missing, misshapen or there twice', async () => {
  const good = functional(2, SHAPE, (k, x) => k.conv('c', x, 6, 4, 1));
  const message = (change: (list: Variable[]) => Variable[]) =>
    withFiles(tfjsFiles({ ...good, variables: change([...good.variables]) }, 2), () =>
      failure(openWeights('model.json')),
    );
  assert.is(await message(([kernel]) => [kernel as Variable]), 'c: expected its bias, got no such tensor.');
  assert.is(
    await message(([kernel, bias]) => [{ ...(kernel as Variable), shape: [1, 1, 4, 6] }, bias as Variable]),
    'c/kernel: expected [1, 1, 6, 4], as the topology says, got [1, 1, 4, 6].',
  );
  assert.is(
    await message((list) => [...list, list[1] as Variable]),
    'c.bias: "c/bias" and "c/bias" are both this tensor.',
  );
});

test.run();
