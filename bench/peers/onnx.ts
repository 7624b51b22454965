/** An ONNX model of given layers: protocol buffers by hand, after onnx.proto of ONNX IR version 8, operator set 13. */

import type { Layer, Layers } from './layers.js';

/** An encoded message in pieces, so that large tensors are copied once. */
type Message = Uint8Array[];

const encoder = new TextEncoder();

const byteLength = (message: Message): number => message.reduce((sum, { length }) => sum + length, 0);

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

const int = (field: number, value: number): Message => [varint(field * 8), varint(value)];
const message = (field: number, ...parts: Message[]): Message => {
  const body = parts.flat();
  return [varint(field * 8 + 2), varint(byteLength(body)), ...body];
};
const bytes = (field: number, value: Uint8Array): Message => message(field, [value]);
const text = (field: number, value: string): Message => bytes(field, encoder.encode(value));

const FLOAT = 1;

/** TensorProto. */
const initializer = (name: string, dims: readonly number[], values: Float32Array): Message =>
  message(
    5,
    ...dims.map((dim) => int(1, dim)),
    int(2, FLOAT),
    text(8, name),
    bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );

/** AttributeProto of type INT or INTS. */
const attribute = (name: string, value: number | readonly number[]): Message =>
  typeof value === 'number'
    ? message(5, text(1, name), int(3, value), int(20, 2))
    : message(5, text(1, name), ...value.map((item) => int(8, item)), int(20, 7));

const node = (
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number | readonly number[]>> = {},
): Message =>
  message(
    1,
    ...inputs.map((input) => text(1, input)),
    text(2, output),
    text(4, operator),
    ...Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  );

/** ValueInfoProto of a float tensor. */
const value = (field: number, name: string, dims: readonly number[]): Message =>
  message(
    field,
    text(1, name),
    message(2, message(1, int(1, FLOAT), message(2, ...dims.map((dim) => message(1, int(1, dim)))))),
  );

const window = ({ kernel, stride, padding }: Extract<Layer, { kind: 'conv' | 'maxPool' }>) => ({
  kernel_shape: kernel,
  strides: stride,
  pads: [padding.top, padding.left, padding.bottom, padding.right],
});

/** GraphProto's nodes and initializers of one layer, ReLU as a node of its own. */
function encode(layer: Layer): Message[] {
  const output = `v${layer.id}`;
  const raw = layer.relu ? `${output}_raw` : output;
  const inputs = layer.inputs.map((id) => `v${id}`);
  const relu = layer.relu ? [node('Relu', [raw], output)] : [];
  const [weight, bias] = [`${layer.name}.weight`, `${layer.name}.bias`];
  switch (layer.kind) {
    case 'conv': {
      const { from, to, groups, dilation, kernel } = layer;
      return [
        initializer(weight, [to.c, from.c / groups, ...kernel], layer.weight),
        initializer(bias, [to.c], layer.bias),
        node('Conv', [...inputs, weight, bias], raw, { ...window(layer), dilations: dilation, group: groups }),
        ...relu,
      ];
    }
    case 'linear': {
      const { from, to } = layer;
      return [
        initializer(weight, [to.c, from.h * from.w * from.c], layer.weight),
        initializer(bias, [to.c], layer.bias),
        node('Flatten', inputs, `${output}_flat`, { axis: 1 }),
        node('Gemm', [`${output}_flat`, weight, bias], raw, { transB: 1 }),
        ...relu,
      ];
    }
    case 'maxPool':
      return [node('MaxPool', inputs, output, window(layer))];
    case 'globalAvgPool':
      return [node('GlobalAveragePool', inputs, raw), ...relu];
    case 'add':
      return [node('Add', inputs, raw), ...relu];
    case 'relu':
      return [node('Relu', inputs, output)];
  }
}

/** The file's bytes. Input `v0` is NCHW, batch 1; the output is the last layer's. */
export function onnxModel({ name, input, inputShape: { h, w, c }, output, layers }: Layers): {
  model: Uint8Array;
  input: string;
  output: string;
} {
  const last = layers.find(({ id }) => id === output);
  const [from, to] = [`v${input}`, `v${output}`];
  const graph = message(
    7,
    ...layers.flatMap(encode),
    text(2, name),
    value(11, from, [1, c, h, w]),
    value(12, to, [1, last?.to.c ?? 0]),
  );
  const parts = [int(1, 8), text(2, 'resnet-wasm'), graph, message(8, text(1, ''), int(2, 13))].flat();
  const model = new Uint8Array(byteLength(parts));
  let at = 0;
  for (const part of parts) {
    model.set(part, at);
    at += part.length;
  }
  return { model, input: from, output: to };
}
