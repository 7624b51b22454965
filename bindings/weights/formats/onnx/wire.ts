/**
 * Protocol buffers as they lie in a file: fields of a number, a wire type and a value, one after the other. After
 * https://protobuf.dev/programming-guides/encoding. An own reader, since libraries for it want the whole message in one
 * array, and a model's weights are most of the message.
 */

import { ResnetError } from '../../../../models/errors.js';

export const VARINT = 0;
const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

/** The most bytes that a varint has. */
export const VARINT_BYTES = 10;

export interface Field {
  readonly number: number;
  readonly wire: number;
  /** Of a varint, as int64; of BYTES, their number. Beyond 2^53 the closest number. */
  readonly value: number;
  /** What the field holds: of BYTES those, of the fixed types 4 or 8. */
  readonly bytes: Uint8Array;
}

const NONE = new Uint8Array(0);

export const malformed = (subject: string, what: string): ResnetError =>
  new ResnetError('weights', `${subject}: expected an ONNX model, got ${what}.`);

/** Reads the varint at `at`, and where it ends; undefined if the bytes end first, or it is none. */
export function varintAt(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  let [low, high] = [0, 0];
  for (let i = 0; i < VARINT_BYTES; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    const bits = byte & 0x7f;
    if (i < 4) low |= bits << (7 * i);
    else if (i === 4) [low, high] = [low | (bits << 28), bits >>> 4];
    else high |= bits << (7 * i - 32);
    if (byte < 0x80) return { value: (high | 0) * 2 ** 32 + (low >>> 0), end: at + i + 1 };
  }
  return undefined;
}

/** Takes a tag apart. */
export const tagOf = (value: number): { number: number; wire: number } => ({
  number: Math.floor(value / 8),
  wire: value & 7,
});

/** Bytes after the tag of a field of a fixed type; undefined for the other types. */
export const fixedBytes = (wire: number): number | undefined =>
  wire === FIXED64 ? 8 : wire === FIXED32 ? 4 : undefined;

/** Reads all fields of a message. */
export function* fieldsOf(subject: string, message: Uint8Array): Generator<Field, void, undefined> {
  for (let at = 0; at < message.length; ) {
    const tag = varintAt(message, at);
    const { number, wire } = tagOf(tag?.value ?? 0);
    if (!tag || number < 1) throw malformed(subject, 'a field without a number');
    at = tag.end;
    const fixed = fixedBytes(wire);
    const read = fixed === undefined ? varintAt(message, at) : { value: fixed, end: at };
    if (!read || (fixed === undefined && wire !== VARINT && wire !== BYTES))
      throw malformed(subject, `a field of wire type ${wire} that cannot be read`);
    const { value, end } = read;
    at = end;
    if (wire === VARINT) {
      yield { number, wire, value, bytes: NONE };
      continue;
    }
    if (value < 0 || value > message.length - at) throw malformed(subject, 'a field that goes on after its message');
    yield { number, wire, value, bytes: message.subarray(at, at + value) };
    at += value;
  }
}

/** Adds the whole numbers of a repeated field, packed or one of them. */
export function pushIntegers(subject: string, { wire, value, bytes }: Field, list: number[]): void {
  if (wire === VARINT) list.push(value);
  else for (const each of varintsOf(subject, bytes)) list.push(each);
}

/** Reads varints that lie one after the other. */
export function* varintsOf(subject: string, bytes: Uint8Array): Generator<number, void, undefined> {
  for (let at = 0; at < bytes.length; ) {
    const read = varintAt(bytes, at);
    if (!read) throw malformed(subject, 'a list of numbers that cannot be read');
    yield read.value;
    at = read.end;
  }
}

/** Adds the float32 of a repeated field, packed or one of them. */
export function pushFloats(subject: string, { bytes }: Field, list: number[]): void {
  if (bytes.length % 4 !== 0) throw malformed(subject, 'float32 values that are cut');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 4) list.push(view.getFloat32(at, true));
}

const decoder = new TextDecoder();

export const textOf = ({ bytes }: Field): string => decoder.decode(bytes);
