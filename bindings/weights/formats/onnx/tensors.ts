/** TensorProto: dimensions, a type, and values in one of several fields. */

import { ResnetError } from '../../../../models/errors.js';
import { IS_LITTLE, swap } from '../../../util/bytes.js';
import { label, shown } from '../../../util/messages.js';
import { size } from '../../../util/shape.js';
import { toFloat32 } from '../../dtype.js';
import {
  BFLOAT16,
  DATA_TYPES,
  type DataType,
  DOUBLE,
  type External,
  FLOAT,
  FLOAT16,
  isDataType,
  type StoredTensor,
  type Tensor,
  type Values,
} from './types.js';
import { type Field, fieldsOf, pushFloats, pushIntegers, textOf, varintsOf } from './wire.js';

/** Makes the values of a type: float32 unless that would round them. */
export const newValues = (type: DataType, count: number): Values =>
  type === FLOAT || type === FLOAT16 || type === BFLOAT16 ? new Float32Array(count) : new Float64Array(count);

const READ: { readonly [Type in DataType]?: (view: DataView, at: number) => number } = {
  2: (view, at) => view.getUint8(at),
  3: (view, at) => view.getInt8(at),
  4: (view, at) => view.getUint16(at, true),
  5: (view, at) => view.getInt16(at, true),
  6: (view, at) => view.getInt32(at, true),
  7: (view, at) => Number(view.getBigInt64(at, true)),
  9: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  12: (view, at) => view.getUint32(at, true),
  13: (view, at) => Number(view.getBigUint64(at, true)),
};

/** Reads little-endian values; whole ones. */
export function valuesOf(type: DataType, bytes: Uint8Array): Values {
  if (type === FLOAT || type === FLOAT16 || type === BFLOAT16)
    return toFloat32(type === FLOAT ? 'F32' : type === FLOAT16 ? 'F16' : 'BF16', bytes);
  const { bytes: width } = DATA_TYPES[type];
  const values = newValues(type, bytes.length / width);
  if (type === DOUBLE) {
    const copy = new Uint8Array(bytes);
    if (!IS_LITTLE) swap(copy, width);
    return new Float64Array(copy.buffer);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const read = READ[type];
  for (let i = 0; i < values.length; i++) values[i] = read?.(view, i * width) ?? 0;
  return values;
}

const HALF = new Uint8Array(2);

/** A value of the field int32_data or int64_data: 16-bit floats are there as their bits. */
export function fromInteger(type: DataType, value: number): number {
  if (type !== FLOAT16 && type !== BFLOAT16) return type === 13 && value < 0 ? value + 2 ** 64 : value;
  HALF[0] = value & 0xff;
  HALF[1] = (value >>> 8) & 0xff;
  return toFloat32(type === FLOAT16 ? 'F16' : 'BF16', HALF)[0] as number;
}

/** Reads varints as values of a type. Throws, `subject` first, unless there are `count` of them. */
export function valuesOfVarints(subject: string, type: DataType, bytes: Uint8Array, count: number): Values {
  const values = newValues(type, count);
  let i = 0;
  for (const value of varintsOf(subject, bytes)) values[i++] = fromInteger(type, value);
  checkCount(subject, values.length, i);
  return values;
}

function checkCount(subject: string, expected: number, got: number): void {
  if (expected !== got) throw new ResnetError('weights', `${subject}: expected ${expected} values, got ${got}.`);
}

/** A tensor's fields but for values that were left where they are. */
export class TensorFields {
  name = '';
  readonly dims: number[] = [];
  type = 0;
  readonly #floats: number[] = [];
  readonly #integers: number[] = [];
  #doubles: Uint8Array | undefined;
  #raw: Uint8Array | undefined;
  #isExternal = false;
  readonly #external = new Map<string, string>();

  add(subject: string, field: Field): void {
    const { number, value, bytes } = field;
    if (number === 1) pushIntegers(subject, field, this.dims);
    else if (number === 2) this.type = value;
    else if (number === 4) pushFloats(subject, field, this.#floats);
    else if (number === 5 || number === 7 || number === 11) pushIntegers(subject, field, this.#integers);
    else if (number === 8) this.name = textOf(field);
    else if (number === 9) this.#raw = bytes;
    else if (number === 10) this.#doubles = bytes;
    else if (number === 13) this.#addExternal(subject, bytes);
    else if (number === 14) this.#isExternal = value === 1;
  }

  #addExternal(subject: string, bytes: Uint8Array): void {
    let [key, value] = ['', ''];
    for (const field of fieldsOf(subject, bytes)) {
      if (field.number === 1) key = textOf(field);
      else if (field.number === 2) value = textOf(field);
    }
    this.#external.set(key, value);
  }

  /** The subject of messages. */
  #subject(fallback: string): string {
    return this.name === '' ? fallback : label(this.name);
  }

  /** Throws unless dimensions and type are those of a tensor of numbers. Returns them with the number of values. */
  checked(fallback: string): { subject: string; dims: readonly number[]; type: DataType; count: number } {
    const subject = this.#subject(fallback);
    const count = size(this.dims);
    if (!this.dims.every((n) => Number.isSafeInteger(n) && n >= 0) || !Number.isSafeInteger(count * 8))
      throw new ResnetError('weights', `${subject}: expected dimensions from 0, got ${shown(this.dims)}.`);
    if (!isDataType(this.type)) {
      throw new ResnetError('weights', `${subject}: expected a tensor of numbers, got data type ${this.type}.`);
    }
    return { subject, dims: this.dims, type: this.type, count };
  }

  /** The tensor, with its values or with where they are. */
  finish(fallback: string): Tensor | StoredTensor {
    const { subject, dims, type, count } = this.checked(fallback);
    if (this.#isExternal) {
      const held = this.#externalPlace(subject, count * DATA_TYPES[type].bytes);
      return { name: this.name, dims, type, encoding: 'raw', held };
    }
    return { dims, type, data: this.#values(subject, type, count) };
  }

  #values(subject: string, type: DataType, count: number): Values {
    if (this.#raw) {
      checkCount(subject, count, this.#raw.length / DATA_TYPES[type].bytes);
      return valuesOf(type, this.#raw);
    }
    if (type === DOUBLE && this.#doubles) {
      checkCount(subject, count, this.#doubles.length / 8);
      return valuesOf(DOUBLE, this.#doubles);
    }
    const list = type === FLOAT ? this.#floats : this.#integers.map((value) => fromInteger(type, value));
    checkCount(subject, count, list.length);
    const values = newValues(type, count);
    values.set(list);
    return values;
  }

  #externalPlace(subject: string, bytes: number): External {
    const [location = '', offset, length] = ['location', 'offset', 'length'].map((key) => this.#external.get(key));
    const place = { location, offset: Number(offset ?? 0), bytes };
    if (!Number.isSafeInteger(place.offset) || place.offset < 0)
      throw new ResnetError('weights', `${subject}: expected an offset in ${label(location)}, got ${shown(offset)}.`);
    if (length !== undefined && Number(length) !== bytes) {
      throw new ResnetError(
        'weights',
        `${subject}: expected ${bytes} bytes in ${label(location)}, got ${shown(length)}.`,
      );
    }
    return place;
  }
}

/** Reads a whole TensorProto. */
export function tensorOf(subject: string, message: Uint8Array): Tensor | StoredTensor {
  const fields = new TensorFields();
  for (const field of fieldsOf(subject, message)) fields.add(subject, field);
  return fields.finish(subject);
}
