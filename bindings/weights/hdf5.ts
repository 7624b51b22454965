/**
 * HDF5 files as far as Keras and h5py's defaults write them: groups of links, and tensors whose values lie in one
 * stretch. After https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, whose names are used.
 */

import {
  type Address,
  type Attribute,
  Fields,
  type FloatType,
  type Layout,
  type Member,
  readAttribute,
  readDataspace,
  readFloatType,
  readLayout,
  readLink,
  utf8,
} from './hdf5-messages.js';
import type { RandomAccess } from './random.js';
import { label } from './text.js';

/** "\x89HDF\r\n\x1a\n". */
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Structures that are read in all, and their bytes: a file that points in circles ends here. ResNet-152 has 9,000. */
const MAX_READS = 100_000;
const MAX_BYTES = 2 ** 25;
const MAX_LINKS = 20_000;
const MAX_NAME = 1024;
/** Of one header. */
const MAX_MESSAGES = 10_000;

const MESSAGE = {
  dataspace: 1,
  linkInfo: 2,
  datatype: 3,
  link: 6,
  layout: 8,
  attribute: 12,
  continuation: 16,
  symbolTable: 17,
} as const;

interface Message {
  readonly type: number;
  readonly isShared: boolean;
  /** Where its bytes lie in the file. */
  readonly place: number;
  readonly bytes: Fields;
}

/** Row-major values; `float` is undefined where they are no values of floating point. */
export interface Dataset extends Layout {
  readonly shape: readonly number[];
  readonly float: FloatType | undefined;
}

export type HdfObject = { readonly members: readonly Member[] } | { readonly dataset: Dataset };

/** A signature and what is before the first value. */
const HEADER_BYTES = 40;
export const SUPERBLOCK_BYTES = 96;

const SOFT_LINK = 2;

const STRING = 3;
const VARIABLE_LENGTH = 9;

export interface Superblock {
  /** Bytes of the file. */
  readonly end: number;
  readonly root: Address;
}

/** Reads the first bytes of a file. Throws one sentence, `subject` first. */
export function readSuperblock(subject: string, head: Uint8Array): Superblock {
  const fail = (expected: string, got: string): never => {
    throw new Error(`${subject}: expected ${expected}, got ${got}.`);
  };
  const fields = new Fields(subject, head);
  const signature = fields.take(SIGNATURE.length);
  if (!SIGNATURE.every((byte, i) => signature[i] === byte)) fail('the signature of HDF5', 'another');
  const version = fields.u8();
  if (version > 3) fail('a superblock of version 0 to 3', `${version}`);
  const isOld = version < 2;
  if (isOld) fields.skip(4);
  const widths = [fields.u8(), fields.u8()];
  if (widths.some((width) => width !== 8)) fail('addresses and sizes of 8 bytes', widths.join(' and '));
  fields.skip(isOld ? (version === 0 ? 9 : 13) : 1);
  const base = fields.size();
  if (base !== 0) fail('addresses from the beginning of the file', `from ${base}`);
  fields.skip(8);
  const end = fields.size();
  // The place of a driver's block, and of the name that the root does not have.
  if (isOld) fields.skip(16);
  return { end, root: fields.size() };
}

export class Hdf5 {
  readonly #file: RandomAccess;
  #reads = 0;
  #bytes = 0;
  /** The group that all others are in. */
  readonly root: Address;

  private constructor(file: RandomAccess, root: Address) {
    this.#file = file;
    this.root = root;
  }

  /** Opens the file whose superblock this is. */
  static async open(file: RandomAccess, { end, root }: Superblock): Promise<Hdf5> {
    const hdf5 = new Hdf5(file, root);
    if (end > file.size) hdf5.#fail(`${end} bytes`, `${file.size}`);
    return hdf5;
  }

  /** A group or a tensor; undefined for what is neither. Throws one sentence where `name` is not as Keras writes. */
  async object(name: string, address: Address): Promise<HdfObject | undefined> {
    const messages = await this.#messages(address);
    const find = (kind: number) => messages.find(({ type }) => type === kind);
    const table = find(MESSAGE.symbolTable)?.bytes;
    if (table) return { members: await this.#tableMembers(table.size(), table.size()) };
    const info = find(MESSAGE.linkInfo)?.bytes;
    if (info) {
      const flags = info.skip(1).u8();
      if (info.skip(flags & 1 ? 8 : 0).address() !== undefined) {
        this.#fail('groups as h5py writes by default', 'one of the newest form, in a fractal heap');
      }
      const links = messages.filter(({ type }) => type === MESSAGE.link);
      return { members: links.flatMap(({ bytes }) => readLink(this.#file.name, bytes)) };
    }
    const [space, type, layout] = [find(MESSAGE.dataspace), find(MESSAGE.datatype), find(MESSAGE.layout)];
    if (!space || !type || !layout) return undefined;
    const subject = label(name);
    const shape = readDataspace(subject, space.bytes);
    // A type that several tensors share lies elsewhere.
    const float = type.isShared ? undefined : readFloatType(type.bytes);
    return { dataset: { shape, float, ...readLayout(subject, layout.bytes, layout.place) } };
  }

  /** The attributes that lie in an object's header. */
  async attributes(address: Address): Promise<Attribute[]> {
    const messages = await this.#messages(address);
    return messages.filter(({ type }) => type === MESSAGE.attribute).map(({ bytes }) => readAttribute(bytes));
  }

  /** An attribute's text. Throws one sentence where it is none. */
  async text({ name, type, data }: Attribute): Promise<string> {
    const kind = type.u8() & 15;
    if (kind === STRING) return utf8(data.take(data.length));
    if (kind !== VARIABLE_LENGTH || (type.u8() & 15) !== 1) {
      throw new Error(`${label(name)}: expected a text, got an attribute of class ${kind}.`);
    }
    const length = data.u32();
    const [collection, index] = [data.size(), data.u32()];
    const head = await this.#fields(collection, 16);
    this.#expect(head, 'GCOL');
    const objects = await this.#fields(collection + 16, head.skip(4).size() - 16);
    while (objects.at + 16 <= objects.length) {
      const id = objects.u16();
      const size = objects.skip(6).size();
      // The last one, of number 0, is the room that is left.
      if (id === 0) break;
      const bytes = objects.take(size);
      if (id === index && length <= size) return utf8(bytes.subarray(0, length));
      objects.skip(-size & 7);
    }
    throw new Error(`${label(name)}: expected a text of ${length} bytes in the heap, got none.`);
  }

  /** A group of the old form: names in a heap, links in tables, which are the leaves of a tree. */
  async #tableMembers(tree: Address, heap: Address): Promise<Member[]> {
    const head = await this.#fields(heap, 32);
    this.#expect(head, 'HEAP');
    const size = head.skip(4).size();
    const names = (await this.#fields(head.skip(8).size(), size)).take(size);
    let nodes = [tree];
    for (let level: number | undefined; level !== 0; ) {
      const children: number[] = [];
      const expected: number | undefined = level === undefined ? undefined : level - 1;
      for (const address of nodes) {
        const node = await this.#treeNode(address);
        level = node.level;
        if (level !== (expected ?? level)) this.#fail(`a node of level ${expected}`, `one of level ${level}`);
        children.push(...node.children);
        if (children.length > MAX_LINKS) this.#fail(`at most ${MAX_LINKS} links`, 'more');
      }
      if (nodes.length === 0) break;
      nodes = children;
    }
    const members: Member[] = [];
    for (const table of nodes) {
      members.push(...(await this.#symbols(table, names)));
      if (members.length > MAX_LINKS) this.#fail(`at most ${MAX_LINKS} links`, 'more');
    }
    return members;
  }

  async #treeNode(address: Address): Promise<{ level: number; children: Address[] }> {
    const head = await this.#fields(address, 24);
    this.#expect(head, 'TREE');
    const kind = head.u8();
    if (kind !== 0) this.#fail("a tree of a group's links", `one of type ${kind}`);
    const [level, count] = [head.u8(), head.u16()];
    const keys = await this.#fields(address + 24, 16 * count);
    return { level, children: Array.from({ length: count }, () => keys.skip(8).size()) };
  }

  async #symbols(address: Address, names: Uint8Array): Promise<Member[]> {
    const head = await this.#fields(address, 8);
    this.#expect(head, 'SNOD');
    const count = head.skip(2).u16();
    const entries = await this.#fields(address + 8, 40 * count);
    const members: Member[] = [];
    for (let i = 0; i < count; i++) {
      const [place, object, cache] = [entries.size(), entries.size(), entries.u32()];
      entries.skip(20);
      const name = names.subarray(place, place + MAX_NAME);
      const end = name.indexOf(0);
      if (end < 0) this.#fail(`names of members, at most ${MAX_NAME} bytes long, in their heap`, 'another');
      // Links to other names or files lead to nothing that a model is made of.
      if (cache !== SOFT_LINK) members.push({ name: utf8(name.subarray(0, end)), address: object });
    }
    return members;
  }

  /** All messages of an object's header, in its first block and those that continue it. */
  async #messages(address: Address): Promise<Message[]> {
    const head = await this.#upTo(address, HEADER_BYTES);
    const blocks: { place: number; bytes: number }[] = [];
    let flags: number | undefined;
    if (head.u8() === 1) {
      blocks.push({ bytes: head.skip(7).u32(), place: address + 16 });
    } else {
      head.at = 0;
      this.#expect(head, 'OHDR');
      const version = head.u8();
      if (version !== 2) this.#fail('a header of version 1 or 2', `${version}`);
      flags = head.u8();
      head.skip((flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0));
      blocks.push({ bytes: head.uint(flags & 3), place: address + head.at });
    }
    const isOld = flags === undefined;
    const prefix = isOld ? 8 : flags && flags & 4 ? 6 : 4;
    const messages: Message[] = [];
    for (const { place, bytes } of blocks) {
      const fields = await this.#fields(place, bytes);
      while (fields.at + prefix <= fields.length) {
        const start = fields.at;
        const [type, size, own] = [isOld ? fields.u16() : fields.u8(), fields.u16(), fields.u8()];
        fields.at = start + prefix;
        const content = { place: place + fields.at, bytes: new Fields(this.#file.name, fields.take(size)) };
        if (type === MESSAGE.continuation) {
          const next = { place: content.bytes.size(), bytes: content.bytes.size() };
          // Those of version 2 have a signature before and a checksum behind.
          blocks.push(isOld ? next : { place: next.place + 4, bytes: next.bytes - 8 });
        } else messages.push({ type, isShared: (own & 2) !== 0, ...content });
        if (messages.length + blocks.length > MAX_MESSAGES) this.#fail(`at most ${MAX_MESSAGES} messages`, 'more');
      }
    }
    return messages;
  }

  #expect(fields: Fields, signature: string): void {
    const got = utf8(fields.take(signature.length));
    if (got !== signature) this.#fail(`${signature} before a structure`, `"${label(got)}"`);
  }

  /** `count` bytes from `place` on, or fewer at the file's end. */
  #upTo(place: number, count: number): Promise<Fields> {
    return this.#fields(place, Math.max(0, Math.min(count, this.#file.size - place)));
  }

  /** A structure, which must lie in the file. */
  async #fields(place: number, count: number): Promise<Fields> {
    const { name, size } = this.#file;
    if (!(count >= 0 && place + count <= size)) {
      this.#fail(`structures in its ${size} bytes`, `one of ${count} at ${place}`);
    }
    this.#reads += 1;
    this.#bytes += count;
    if (this.#reads > MAX_READS || this.#bytes > MAX_BYTES) {
      this.#fail(`at most ${MAX_READS} structures of ${MAX_BYTES} bytes in all`, 'more');
    }
    const bytes = await this.#file.read(place, count);
    return new Fields(name, bytes);
  }

  #fail(expected: string, got: string): never {
    throw new Error(`${this.#file.name}: expected ${expected}, got ${got}.`);
  }
}
