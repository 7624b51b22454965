/** The messages of a graph that are read whole: nodes, their attributes, and the types of inputs and outputs. */

import { ResnetError } from '../../../../models/errors.js';
import { label } from '../../../util/messages.js';
import { tensorOf } from './tensors.js';
import {
  type Attribute,
  type DataType,
  isDataType,
  isStored,
  type OnnxNode,
  type Tensor,
  type ValueInfo,
} from './types.js';
import { type Field, fieldsOf, pushFloats, pushIntegers, textOf } from './wire.js';

/** NodeProto. */
export function nodeOf(subject: string, message: Uint8Array): OnnxNode {
  let [name, op, domain] = ['', '', ''];
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  for (const field of fieldsOf(subject, message)) {
    const { number } = field;
    if (number === 1) inputs.push(textOf(field));
    else if (number === 2) outputs.push(textOf(field));
    else if (number === 3) name = textOf(field);
    else if (number === 4) op = textOf(field);
    else if (number === 7) domain = textOf(field);
    else if (number === 5) {
      const [key, attribute] = attributeOf(subject, field.bytes);
      attributes.set(key, attribute);
    }
  }
  const isUsual = domain === '' || domain === 'ai.onnx';
  return { name, op, domain: isUsual ? '' : domain, inputs, outputs, attributes };
}

function attributeOf(subject: string, message: Uint8Array): [string, Attribute] {
  let name = '';
  const one: { f?: number; i?: number; s?: string; t?: Tensor } = {};
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  let hasGraph = false;
  const readers: Readonly<Record<number, (field: Field) => void>> = {
    1: (field) => (name = textOf(field)),
    2: ({ bytes }) => {
      if (bytes.length === 4) one.f = new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
    },
    3: ({ value }) => (one.i = value),
    4: (field) => (one.s = textOf(field)),
    5: ({ bytes }) => (one.t = inline(subject, bytes)),
    6: () => (hasGraph = true),
    7: (field) => pushFloats(subject, field, floats),
    8: (field) => pushIntegers(subject, field, ints),
    9: (field) => strings.push(textOf(field)),
    11: () => (hasGraph = true),
  };
  for (const field of fieldsOf(subject, message)) readers[field.number]?.(field);
  return [name, { ...one, floats, ints, strings, hasGraph }];
}

function inline(subject: string, message: Uint8Array): Tensor {
  const tensor = tensorOf(subject, message);
  if (isStored(tensor))
    throw new ResnetError('weights', `${subject}: expected a constant's values in the model itself.`);
  return tensor;
}

/** ValueInfoProto: `type` (2) has a tensor_type (1) with elem_type (1) and a shape (2) of dimensions (1). */
export function valueInfoOf(subject: string, message: Uint8Array): ValueInfo {
  let name = '';
  let type: DataType | undefined;
  let dims: (number | undefined)[] | undefined;
  const within = (bytes: Uint8Array, wanted: number, use: (field: Field) => void): void => {
    for (const field of fieldsOf(subject, bytes)) if (field.number === wanted) use(field);
  };
  for (const field of fieldsOf(subject, message)) {
    if (field.number === 1) name = textOf(field);
    if (field.number !== 2) continue;
    within(field.bytes, 1, ({ bytes: tensor }) => {
      within(tensor, 1, ({ value }) => (type = isDataType(value) ? value : undefined));
      within(tensor, 2, ({ bytes: shape }) => {
        const found: (number | undefined)[] = [];
        within(shape, 1, ({ bytes: dimension }) => {
          let size: number | undefined;
          within(dimension, 1, ({ value }) => (size = value));
          // Exporters write −1 or 0 for what is not known.
          found.push(size === undefined || size < 1 ? undefined : size);
        });
        dims = found;
      });
    });
  }
  return { name, type, dims };
}

/** A node's subject of messages: its name or, without one, what it makes. */
export const subjectOf = ({ name, outputs, op }: OnnxNode): string => label(name || outputs.find((each) => each) || op);
