/** A .tflite model of given layers, float32 NHWC: field numbers and codes after tensorflow/lite/schema/schema.fbs. */

import { type Child, type Field, flatbuffer } from './flatbuffer.js';
import { type ConvLayer, type Layer, type Layers, linearFromHwc, type MaxPoolLayer, permuted } from './layers.js';

const OPERATORS = {
  ADD: 0,
  CONV_2D: 3,
  FULLY_CONNECTED: 9,
  MAX_POOL_2D: 17,
  RELU: 19,
  RESHAPE: 22,
  PAD: 34,
  MEAN: 40,
} as const;

type Operator = keyof typeof OPERATORS;
const CODES = Object.keys(OPERATORS) as Operator[];

/** Numbers of the union BuiltinOptions. */
const OPTIONS = { Conv2D: 1, Pool2D: 5, FullyConnected: 8, Add: 11, Reshape: 17, Pad: 22, Reducer: 27 } as const;

const FLOAT32 = 0;
const INT32 = 2;
const [SAME, VALID] = [0, 1];
const RELU = 1;
const SCHEMA_VERSION = 3;

const int8 = (slot: number, value: number): Field => ({ slot, int8: value });
const int32 = (slot: number, value: number): Field => ({ slot, int32: value });
const child = (slot: number, value: Child): Field => ({ slot, child: value });

/** Collects tensors, buffers and operators. Buffer 0 is empty: that of values. */
class ModelWriter {
  readonly tensors: Child[] = [];
  readonly buffers: Child[] = [{ table: [] }];
  readonly operators: Child[] = [];

  /** A new tensor's index: a constant where there is `data`, a value otherwise. */
  tensor(name: string, shape: readonly number[], data?: Float32Array | Int32Array): number {
    const buffer = data ? this.buffers.length : 0;
    if (data) {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.buffers.push({ table: [child(0, { bytes })] });
    }
    const type = data instanceof Int32Array ? INT32 : FLOAT32;
    this.tensors.push({
      table: [child(0, { int32s: shape }), int8(1, type), int32(2, buffer), child(3, { text: name })],
    });
    return this.tensors.length - 1;
  }

  add(
    operator: Operator,
    inputs: readonly number[],
    output: number,
    [options, fields]: readonly [keyof typeof OPTIONS, readonly Field[]] | [] = [],
  ): void {
    this.operators.push({
      table: [
        int32(0, CODES.indexOf(operator)),
        child(1, { int32s: inputs }),
        child(2, { int32s: [output] }),
        ...(options ? [int8(3, OPTIONS[options]), child(4, { table: fields as Field[] })] : []),
      ],
    });
  }
}

/** Rows or columns that SAME adds in all, of which the smaller half comes first. */
const samePadding = (size: number, kernel: number, stride: number): number =>
  Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);

function isSame({ from, kernel, stride, padding }: ConvLayer | MaxPoolLayer): boolean {
  const rows = samePadding(from.h, kernel[0], stride[0]);
  const columns = samePadding(from.w, kernel[1], stride[1]);
  return (
    padding.top === Math.floor(rows / 2) &&
    padding.bottom === Math.ceil(rows / 2) &&
    padding.left === Math.floor(columns / 2) &&
    padding.right === Math.ceil(columns / 2)
  );
}

/** The input, padded with zeros where the padding is not SAME's, and the padding that is left. */
function padded(to: ModelWriter, x: number, layer: ConvLayer | MaxPoolLayer): { x: number; padding: number } {
  const { top, left, bottom, right } = layer.padding;
  if (top + left + bottom + right === 0) return { x, padding: VALID as number };
  if (isSame(layer)) return { x, padding: SAME as number };
  if (layer.kind === 'maxPool' && !layer.isPositive) {
    throw new TypeError(`${layer.name}: expected an input without negative values to pad, got another.`);
  }
  const { h, w, c } = layer.from;
  const sides = to.tensor(`${layer.name}.sides`, [4, 2], Int32Array.of(0, 0, top, bottom, left, right, 0, 0));
  const wide = to.tensor(`${layer.name}.padded`, [1, h + top + bottom, w + left + right, c]);
  to.add('PAD', [x, sides], wide, ['Pad', []]);
  return { x: wide, padding: VALID as number };
}

function encode(to: ModelWriter, layer: Layer, values: Map<number, number>): void {
  const [x, y] = layer.inputs.map((id) => values.get(id) as number) as [number, number];
  const { from, to: shape } = layer;
  const isVector = layer.kind === 'linear' || layer.kind === 'globalAvgPool';
  const output = to.tensor(layer.name, isVector ? [1, shape.c] : [1, shape.h, shape.w, shape.c]);
  values.set(layer.id, output);
  const activation = layer.relu ? RELU : 0;
  switch (layer.kind) {
    case 'conv': {
      if (layer.groups !== 1) throw new TypeError(`${layer.name}: expected one group, got ${layer.groups}.`);
      const ohwi = permuted(layer.weight, [shape.c, from.c, ...layer.kernel], [0, 2, 3, 1]);
      const weight = to.tensor(`${layer.name}.weight`, [shape.c, ...layer.kernel, from.c], ohwi);
      const bias = to.tensor(`${layer.name}.bias`, [shape.c], layer.bias);
      const input = padded(to, x, layer);
      to.add('CONV_2D', [input.x, weight, bias], output, [
        'Conv2D',
        [
          int8(0, input.padding),
          int32(1, layer.stride[1]),
          int32(2, layer.stride[0]),
          int8(3, activation),
          int32(4, layer.dilation[1]),
          int32(5, layer.dilation[0]),
        ],
      ]);
      break;
    }
    case 'linear': {
      const k = from.h * from.w * from.c;
      const weight = to.tensor(`${layer.name}.weight`, [shape.c, k], linearFromHwc(layer));
      const bias = to.tensor(`${layer.name}.bias`, [shape.c], layer.bias);
      let flat = x;
      if (from.h * from.w > 1) {
        flat = to.tensor(`${layer.name}.flat`, [1, k]);
        const wanted = to.tensor(`${layer.name}.shape`, [2], Int32Array.of(1, k));
        to.add('RESHAPE', [x, wanted], flat, ['Reshape', [child(0, { int32s: [1, k] })]]);
      }
      to.add('FULLY_CONNECTED', [flat, weight, bias], output, ['FullyConnected', [int8(0, activation)]]);
      break;
    }
    case 'maxPool': {
      const input = padded(to, x, layer);
      const { kernel, stride } = layer;
      const sizes = [int32(1, stride[1]), int32(2, stride[0]), int32(3, kernel[1]), int32(4, kernel[0])];
      to.add('MAX_POOL_2D', [input.x], output, ['Pool2D', [int8(0, input.padding), ...sizes]]);
      break;
    }
    case 'globalAvgPool': {
      const axes = to.tensor(`${layer.name}.axes`, [2], Int32Array.of(1, 2));
      to.add('MEAN', [x, axes], output, ['Reducer', []]);
      break;
    }
    case 'add':
      to.add('ADD', [x, y], output, ['Add', [int8(0, activation)]]);
      break;
    case 'relu':
      to.add('RELU', [x], output);
      break;
  }
}

/** The file's bytes. */
export function tfliteModel({ name, input, inputShape: { h, w, c }, output, layers }: Layers): Uint8Array {
  const to = new ModelWriter();
  const values = new Map([[input, to.tensor('input', [1, h, w, c])]]);
  for (const layer of layers) encode(to, layer, values);
  const codes = CODES.map((operator): Child => {
    return { table: [int8(0, OPERATORS[operator]), int32(2, 1), int32(3, OPERATORS[operator])] };
  });
  const subgraph: Child = {
    table: [
      child(0, { children: to.tensors }),
      child(1, { int32s: [values.get(input) as number] }),
      child(2, { int32s: [values.get(output) as number] }),
      child(3, { children: to.operators }),
      child(4, { text: name }),
    ],
  };
  return flatbuffer(
    [
      int32(0, SCHEMA_VERSION),
      child(1, { children: codes }),
      child(2, { children: [subgraph] }),
      child(3, { text: 'resnet-wasm' }),
      child(4, { children: to.buffers }),
    ],
    'TFL3',
  );
}
