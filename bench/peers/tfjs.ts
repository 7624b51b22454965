/** Given layers as TensorFlow.js operations, NHWC, fused where the library has a fused kernel. */

import { type ConvLayer, type Layer, type Layers, linearFromHwc, type MaxPoolLayer, permuted } from './layers.js';

/** What is used of a tf.Tensor. */
export interface Tensor {
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** What is used of @tensorflow/tfjs-core. */
export interface Tf {
  readonly fused: {
    conv2d(options: Readonly<Record<string, unknown>>): Tensor;
    matMul(options: Readonly<Record<string, unknown>>): Tensor;
  };
  tensor(values: Float32Array, shape: readonly number[]): Tensor;
  tidy<T>(body: () => T): T;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  add(a: Tensor, b: Tensor): Tensor;
  relu(x: Tensor): Tensor;
  mean(x: Tensor, axes: readonly number[]): Tensor;
  maxPool(x: Tensor, kernel: readonly number[], stride: readonly number[], pad: unknown): Tensor;
}

function padOf({ padding: { top, left, bottom, right } }: ConvLayer | MaxPoolLayer): unknown {
  if (top === 0 && left === 0 && bottom === 0 && right === 0) return 'valid';
  return top === left && top === bottom && top === right
    ? top
    : [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ];
}

type Make = (inputs: readonly Tensor[]) => Tensor;

/** Puts a layer's weights into tensors; gives what computes the layer. */
function maker(tf: Tf, layer: Layer): Make {
  const activation = layer.relu ? 'relu' : undefined;
  switch (layer.kind) {
    case 'conv': {
      if (layer.groups !== 1) throw new TypeError(`${layer.name}: expected one group, got ${layer.groups}.`);
      const oihw = [layer.to.c, layer.from.c, ...layer.kernel];
      const hwio = [...layer.kernel, layer.from.c, layer.to.c];
      const filter = tf.tensor(permuted(layer.weight, oihw, [2, 3, 1, 0]), hwio);
      const bias = tf.tensor(layer.bias, [layer.to.c]);
      const window = { strides: layer.stride, pad: padOf(layer), dilations: layer.dilation, dataFormat: 'NHWC' };
      return ([x]) => tf.fused.conv2d({ x, filter, bias, activation, ...window });
    }
    case 'linear': {
      const k = layer.from.h * layer.from.w * layer.from.c;
      const b = tf.tensor(permuted(linearFromHwc(layer), [layer.to.c, k], [1, 0]), [k, layer.to.c]);
      const bias = tf.tensor(layer.bias, [layer.to.c]);
      return ([x]) => tf.fused.matMul({ a: tf.reshape(x as Tensor, [1, k]), b, bias, activation });
    }
    case 'maxPool':
      return ([x]) => tf.maxPool(x as Tensor, layer.kernel, layer.stride, padOf(layer));
    case 'globalAvgPool':
      return ([x]) => tf.mean(x as Tensor, [1, 2]);
    case 'add':
      return ([a, b]) => {
        const sum = tf.add(a as Tensor, b as Tensor);
        return layer.relu ? tf.relu(sum) : sum;
      };
    case 'relu':
      return ([x]) => tf.relu(x as Tensor);
  }
}

/** A function from NHWC input to logits. Values are disposed of after their last use, as a graph model does. */
export function tfjsNetwork(
  tf: Tf,
  { input, inputShape, output, layers }: Layers,
): (x: Float32Array) => Promise<Float32Array> {
  const makers = layers.map((layer) => maker(tf, layer));
  const lastUse = new Map<number, number>();
  layers.forEach(({ inputs }, i) => {
    for (const id of inputs) lastUse.set(id, i);
  });

  return async (x) => {
    const values = new Map<number, Tensor>([[input, tf.tensor(x, [1, inputShape.h, inputShape.w, inputShape.c])]]);
    layers.forEach(({ id, inputs }, i) => {
      const from = inputs.map((each) => values.get(each) as Tensor);
      values.set(
        id,
        tf.tidy(() => (makers[i] as Make)(from)),
      );
      for (const each of new Set(inputs)) if (lastUse.get(each) === i) values.get(each)?.dispose();
    });
    const logits = values.get(output) as Tensor;
    const data = await logits.data();
    logits.dispose();
    return data;
  };
}
