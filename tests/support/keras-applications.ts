/** Keras's own networks, as keras.applications builds them. */

import { KerasBuilder, type Version } from './keras-models.js';

export interface Choices {
  readonly version: Version;
  readonly classes?: number;
  readonly size?: number;
  /** The classifier's name and activation; none for include_top=False. */
  readonly head?: readonly [string, string] | undefined;
  readonly hasValues?: boolean;
  /** The convolution that halves maps: Keras's own is the first. */
  readonly strideIn?: 1 | 2;
  /** The pool before the classifier. */
  readonly pool?: 'GlobalAveragePooling2D' | 'GlobalMaxPooling2D';
}

const EPSILON = 1.001e-5;

function finished(k: KerasBuilder, name: string, x: string, from: number, choices: Choices, poolName = 'avg_pool') {
  const { head, classes = 1000, pool = 'GlobalAveragePooling2D' } = choices;
  const y = head ? k.dense(head[0], k.layer(pool, poolName, x), from, classes, head[1]) : x;
  return k.functional(name, 'input_1', y);
}

const begun = ({ version, size = 224, hasValues = false }: Choices): KerasBuilder => {
  const k = new KerasBuilder(version, 1, hasValues);
  k.input('input_1', size, size, 3);
  return k;
};

const ones = {
  padding: [
    [1, 1],
    [1, 1],
  ],
};
const threes = {
  padding: [
    [3, 3],
    [3, 3],
  ],
};
const halving = { pool_size: [3, 3], strides: [2, 2], padding: 'valid' };

export function resnet(counts: readonly number[], choices: Choices, name = 'resnet50') {
  const k = begun(choices);
  const norm = (layer: string, x: string, c: number) => k.norm(layer, x, c, { epsilon: EPSILON });
  const relu = (layer: string, x: string) => k.layer('Activation', layer, x, { activation: 'relu' });
  let x = k.layer('ZeroPadding2D', 'conv1_pad', 'input_1', threes);
  x = relu('conv1_relu', norm('conv1_bn', k.conv('conv1_conv', x, 3, 64, 7, { strides: [2, 2] }), 64));
  x = k.layer('MaxPooling2D', 'pool1_pool', k.layer('ZeroPadding2D', 'pool1_pad', x, ones), halving);
  let from = 64;
  counts.forEach((count, stage) => {
    const width = 64 * 2 ** stage;
    for (let block = 1; block <= count; block++) {
      const own = `conv${stage + 2}_block${block}`;
      const stride = block === 1 && stage > 0 ? 2 : 1;
      const at = (place: 1 | 2) => (place === (choices.strideIn ?? 1) ? [stride, stride] : [1, 1]);
      let shortcut = x;
      if (block === 1) {
        shortcut = k.conv(`${own}_0_conv`, x, from, 4 * width, 1, { strides: [stride, stride] });
        shortcut = norm(`${own}_0_bn`, shortcut, 4 * width);
      }
      let y = norm(`${own}_1_bn`, k.conv(`${own}_1_conv`, x, from, width, 1, { strides: at(1) }), width);
      y = k.conv(`${own}_2_conv`, relu(`${own}_1_relu`, y), width, width, 3, { padding: 'same', strides: at(2) });
      y = k.conv(`${own}_3_conv`, relu(`${own}_2_relu`, norm(`${own}_2_bn`, y, width)), width, 4 * width, 1);
      x = k.layer('Add', `${own}_add`, [shortcut, norm(`${own}_3_bn`, y, 4 * width)]);
      x = relu(`${own}_out`, x);
      from = 4 * width;
    }
  });
  return finished(k, name, x, from, choices);
}

export function vgg(counts: readonly number[], choices: Choices, name = 'vgg16') {
  const k = begun(choices);
  let [x, from] = ['input_1', 3];
  counts.forEach((count, stage) => {
    const to = Math.min(512, 64 * 2 ** stage);
    for (let i = 1; i <= count; i++) {
      x = k.conv(`block${stage + 1}_conv${i}`, x, from, to, 3, { padding: 'same', activation: 'relu' });
      from = to;
    }
    x = k.layer('MaxPooling2D', `block${stage + 1}_pool`, x, { pool_size: [2, 2], strides: [2, 2] });
  });
  const side = (choices.size ?? 224) / 32;
  x = k.dense('fc1', k.layer('Flatten', 'flatten', x), side * side * 512, 4096, 'relu');
  x = k.dense('fc2', x, 4096, 4096, 'relu');
  const [head, activation] = choices.head ?? ['predictions', 'softmax'];
  return k.functional(name, 'input_1', k.dense(head, x, 4096, choices.classes ?? 1000, activation));
}

export function densenet(counts: readonly number[], choices: Choices, name = 'densenet121') {
  const k = begun(choices);
  const activate = (layer: string, relu: string, x: string, c: number) =>
    k.layer('Activation', relu, k.norm(layer, x, c, { epsilon: EPSILON }), { activation: 'relu' });
  const [conv, bn] = choices.version === 3 ? ['conv1_conv', 'conv1_bn'] : ['conv1/conv', 'conv1/bn'];
  let x = k.layer('ZeroPadding2D', 'zero_padding2d', 'input_1', threes);
  x = activate(bn, 'conv1/relu', k.conv(conv, x, 3, 64, 7, { strides: [2, 2], use_bias: false }), 64);
  x = k.layer('MaxPooling2D', 'pool1', k.layer('ZeroPadding2D', 'zero_padding2d_1', x, ones), halving);
  let c = 64;
  counts.forEach((count, stage) => {
    for (let i = 1; i <= count; i++) {
      const own = `conv${stage + 2}_block${i}`;
      let y = k.conv(`${own}_1_conv`, activate(`${own}_0_bn`, `${own}_0_relu`, x, c), c, 128, 1, { use_bias: false });
      y = activate(`${own}_1_bn`, `${own}_1_relu`, y, 128);
      y = k.conv(`${own}_2_conv`, y, 128, 32, 3, { padding: 'same', use_bias: false });
      x = k.layer('Concatenate', `${own}_concat`, [x, y], { axis: choices.version === 3 ? -1 : 3 });
      c += 32;
    }
    if (stage === counts.length - 1) return;
    const pool = `pool${stage + 2}`;
    x = k.conv(`${pool}_conv`, activate(`${pool}_bn`, `${pool}_relu`, x, c), c, c / 2, 1, { use_bias: false });
    c /= 2;
    x = k.layer('AveragePooling2D', `${pool}_pool`, x, { pool_size: 2, strides: 2 });
  });
  return finished(k, name, activate('bn', 'relu', x, c), c, choices);
}
