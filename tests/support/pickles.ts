/** PyTorch files made by code: pickles put together opcode by opcode, and archives and rows of them. */

import { concat, pattern, u64, utf8 } from './weight-files.js';

type Bytes = Uint8Array<ArrayBuffer>;

export const op = (...bytes: number[]): Bytes => Uint8Array.from(bytes);

export function le(value: number, width: 2 | 4): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes.slice(0, width);
}

export const MARK = op(0x28);
export const NONE = op(0x4e);

export const int = (value: number): Bytes => concat(op(0x4a), le(value, 4));
export const text = (value: string): Bytes => concat(op(0x58), le(utf8(value).length, 4), utf8(value));
export const tuple = (...items: Bytes[]): Bytes => concat(MARK, ...items, op(0x74));
export const list = (...items: Bytes[]): Bytes => concat(op(0x5d), MARK, ...items, op(0x65));
export const global = (module: string, name: string): Bytes => utf8(`c${module}\n${name}\n`);
export const call = (callee: Bytes, ...args: Bytes[]): Bytes => concat(callee, tuple(...args), op(0x52));
export const persistent = (id: Bytes): Bytes => concat(id, op(0x51));
export const dictionary = (items: Record<string, Bytes>): Bytes =>
  concat(op(0x7d), MARK, ...Object.entries(items).flatMap(([key, value]) => [text(key), value]), op(0x75));
/** Attributes of an instance whose class has no arguments, as modules and most objects are pickled. */
export const instance = (module: string, name: string, state: Bytes): Bytes =>
  concat(global(module, name), op(0x29, 0x81), state, op(0x62));
export const pickle = (...parts: Bytes[]): Bytes => concat(op(0x80, 2), ...parts, op(0x2e));

export const storage = (key: string, count: number, type = 'FloatStorage'): Bytes =>
  persistent(tuple(text('storage'), global('torch', type), text(key), text('cpu'), int(count)));

export const tensor = (of: Bytes, offset: number, shape: number[], stride: number[]): Bytes =>
  call(
    global('torch._utils', '_rebuild_tensor_v2'),
    of,
    int(offset),
    tuple(...shape.map(int)),
    tuple(...stride.map(int)),
    op(0x89),
    call(global('collections', 'OrderedDict')),
  );

export interface LegacyParts {
  readonly protocol?: number;
  readonly value: Bytes;
  readonly keys: readonly Bytes[];
  /** Of each key, in order: the count as it is written, and the bytes. */
  readonly storages: readonly (readonly [count: number, bytes: Bytes])[];
}

const MAGIC = op(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e);

/** The form of before PyTorch 1.6. */
export const legacyFile = ({ protocol = 1001, value, keys, storages }: LegacyParts): Bytes =>
  concat(
    MAGIC,
    pickle(int(protocol)),
    pickle(dictionary({ little_endian: op(0x88) })),
    pickle(value),
    pickle(list(...keys)),
    ...storages.flatMap(([count, bytes]) => [u64(count), bytes]),
  );

export interface Entry {
  readonly name: string;
  readonly data: Bytes;
  readonly flags?: number;
  readonly method?: number;
  /** In the local header. */
  readonly bytes?: number;
  readonly extra?: Bytes;
  /** Behind the data. */
  readonly descriptor?: Bytes;
  /** In the central directory; undefined leaves the entry out there. */
  readonly central?: { readonly name?: string; readonly bytes?: number; readonly at?: number } | undefined;
}

/**
 * An archive of these entries, sizes in the local headers unless an entry says otherwise. If it is wide, its directory
 * has all numbers in 64 bits, as PyTorch writes it.
 */
export function zipFile(entries: readonly Entry[], comment = '', isWide = false): Bytes {
  const parts: Bytes[] = [];
  const central: Bytes[] = [];
  let at = 0;
  for (const entry of entries) {
    const { name, data, flags = 0, method = 0, bytes = data.length, extra = op(), descriptor = op() } = entry;
    const header = concat(utf8('PK'), op(3, 4), le(20, 2), le(flags, 2), le(method, 2), new Uint8Array(8));
    const sizes = concat(le(bytes, 4), le(bytes, 4));
    const part = concat(
      header,
      sizes,
      le(utf8(name).length, 2),
      le(extra.length, 2),
      utf8(name),
      extra,
      data,
      descriptor,
    );
    const mention = 'central' in entry ? entry.central : {};
    if (mention) {
      const listed = utf8(mention.name ?? name);
      const [size, place] = [mention.bytes ?? data.length, mention.at ?? at];
      const head = concat(utf8('PK'), op(1, 2), le(20, 2), le(20, 2), le(flags, 2), le(method, 2), new Uint8Array(8));
      const shown = (value: number) => (isWide ? le(0xffffffff, 4) : le(value, 4));
      const more = isWide ? concat(le(1, 2), le(24, 2), u64(size), u64(size), u64(place)) : op();
      const lengths = concat(le(listed.length, 2), le(more.length, 2), new Uint8Array(10));
      central.push(concat(head, shown(size), shown(size), lengths, shown(place), listed, more));
    }
    parts.push(part);
    at += part.length;
  }
  const directory = concat(...central);
  const count = u64(central.length);
  const end64 = concat(utf8('PK'), op(6, 6), u64(44), new Uint8Array(12), count, count, u64(directory.length), u64(at));
  const locator = concat(utf8('PK'), op(6, 7), le(0, 4), u64(at + directory.length), le(1, 4));
  const counts = isWide ? le(0xffffffff, 4) : concat(le(central.length, 2), le(central.length, 2));
  const places = isWide ? concat(le(0xffffffff, 4), le(0xffffffff, 4)) : concat(le(directory.length, 4), le(at, 4));
  const end = concat(utf8('PK'), op(5, 6), new Uint8Array(4), counts, places, le(comment.length, 2), utf8(comment));
  return concat(...parts, directory, ...(isWide ? [end64, locator] : []), end);
}

export const HAS_DESCRIPTOR = 8;

/** A data descriptor of 32 or 64 bits. */
export const descriptor = (bytes: number, width: 4 | 8 = 4): Bytes => {
  const size = width === 4 ? le(bytes, 4) : u64(bytes);
  return concat(utf8('PK'), op(7, 8), le(0, 4), size, size);
};

/** An entry of an archive whose folder is `a`. */
export const entry = (name: string, data: Bytes, rest: Partial<Entry> = {}): Entry => ({
  name: `a/${name}`,
  data,
  ...rest,
});

/** 100 values of float32, the storage that holds them, and a tensor of them all. */
export const values = pattern(400);
export const conv = storage('0', 100);
export const good = tensor(conv, 0, [100], [1]);

/** A state_dict of one tensor. */
export const one = (of: Bytes, name = 'a') => dictionary({ [name]: of });

/** A file of the form before 1.6. */
export const legacy = (value: Bytes, keys = [text('0')], storages: [number, Bytes][] = [[100, values]]) =>
  legacyFile({ value, keys, storages });
