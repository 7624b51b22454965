/** The messages that HDF5 headers are made of, one reader each. The names of the specification are used. */

import { label } from './text.js';
import type { StoredDtype } from './values.js';

const UNDEFINED = 0xffff_ffff_ffff_ffffn;

/** Little-endian fields, read one after the other. Throws one sentence, `subject` first, beyond the end. */
export class Fields {
  readonly #subject: string;
  readonly #view: DataView;
  at = 0;

  constructor(subject: string, bytes: Uint8Array) {
    this.#subject = subject;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get length(): number {
    return this.#view.byteLength;
  }

  take(count: number): Uint8Array {
    const at = this.#pass(count);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, count);
  }

  skip(count: number): this {
    this.#pass(count);
    return this;
  }

  u8(): number {
    return this.#view.getUint8(this.#pass(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#pass(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#pass(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#pass(8), true);
  }

  /** Of 1 << `power` bytes. */
  uint(power: number): number {
    return [() => this.u8(), () => this.u16(), () => this.u32(), () => this.size()][power]?.() ?? 0;
  }

  /** A number of 64 bits that counts something; beyond 2^53 none can be. */
  size(): number {
    const value = this.u64();
    if (value > Number.MAX_SAFE_INTEGER)
      throw new Error(`${this.#subject}: expected numbers up to 2^53, got ${value}.`);
    return Number(value);
  }

  /** An address; undefined where the file says that there is none. */
  address(): number | undefined {
    const value = this.u64();
    return value === UNDEFINED ? undefined : Number(value);
  }

  #pass(count: number): number {
    const at = this.at;
    if (at + count > this.length) {
      throw new Error(`${this.#subject}: expected structures that are whole, got one of ${this.length} bytes.`);
    }
    this.at += count;
    return at;
  }
}

/** Without the zeros that fill a text of fixed length. */
export const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0+$/, '');

/** Where an object's header lies. */
export type Address = number;

export interface Member {
  readonly name: string;
  readonly address: Address;
}

const HARD_LINK = 0;

/** A link of the new form; none where it leads to another name or file, in which no model's tensors are. */
export function readLink(subject: string, fields: Fields): Member[] {
  const version = fields.u8();
  const flags = fields.u8();
  if (version !== 1) throw new Error(`${subject}: expected links of version 1, got ${version}.`);
  const kind = flags & 8 ? fields.u8() : HARD_LINK;
  fields.skip((flags & 4 ? 8 : 0) + (flags & 16 ? 1 : 0));
  const name = utf8(fields.take(fields.uint(flags & 3)));
  return kind === HARD_LINK ? [{ name, address: fields.size() }] : [];
}

const NO_VALUES = 2;

export function readDataspace(subject: string, fields: Fields): number[] {
  const version = fields.u8();
  const rank = fields.u8();
  if (version < 1 || version > 2) throw new Error(`${subject}: expected a shape, got one of version ${version}.`);
  const kind = fields.skip(1).u8();
  if (version === 2 && kind === NO_VALUES) return [0];
  if (version === 1) fields.skip(4);
  return Array.from({ length: rank }, () => fields.size());
}

export interface FloatType {
  readonly dtype: StoredDtype;
  readonly isBigEndian: boolean;
}

const FLOAT = 1;
const IS_BIG_ENDIAN = 1;
const IS_VAX = 64;

/** By bytes of a value and bits of its exponent. */
const FLOATS: Readonly<Record<string, StoredDtype>> = { '8 11': 'F64', '4 8': 'F32', '2 5': 'F16', '2 8': 'BF16' };

/** The type of values, if it is one of floating point that is read. */
export function readFloatType(fields: Fields): FloatType | undefined {
  const kind = fields.u8() & 15;
  const order = fields.u8();
  const bytes = fields.skip(2).u32();
  if (kind !== FLOAT || order & IS_VAX) return undefined;
  const dtype = FLOATS[`${bytes} ${fields.skip(5).u8()}`];
  return dtype && { dtype, isBigEndian: (order & IS_BIG_ENDIAN) !== 0 };
}

export interface Layout {
  /** Undefined where no values were ever written. */
  readonly place: number | undefined;
  readonly bytes: number;
}

const COMPACT = 0;
const CHUNKED = 2;

/** Where a tensor's values lie; `place` is the message's own, in which they may be. */
export function readLayout(subject: string, fields: Fields, place: number): Layout {
  const version = fields.u8();
  const form = fields.u8();
  if (version < 3 || version > 4 || form >= CHUNKED) {
    const got = form === CHUNKED ? 'chunks' : `layout ${form} of version ${version}`;
    throw new Error(`${subject}: expected values in one stretch, as Keras writes, got ${got}.`);
  }
  if (form !== COMPACT) return { place: fields.address(), bytes: fields.size() };
  const bytes = fields.u16();
  const values = place + fields.at;
  fields.skip(bytes);
  return { place: values, bytes };
}

export interface Attribute {
  readonly name: string;
  readonly type: Fields;
  readonly data: Fields;
}

export function readAttribute(fields: Fields): Attribute {
  const version = fields.u8();
  const [nameBytes, typeBytes, spaceBytes] = [fields.skip(1).u16(), fields.u16(), fields.u16()];
  if (version === 3) fields.skip(1);
  const part = (bytes: number): Uint8Array => {
    const content = fields.take(bytes);
    // Version 1 fills each part to a multiple of eight bytes.
    if (version === 1) fields.skip(-bytes & 7);
    return content;
  };
  const name = utf8(part(nameBytes));
  const type = new Fields(label(name), part(typeBytes));
  part(spaceBytes);
  return { name, type, data: new Fields(label(name), fields.take(fields.length - fields.at)) };
}
