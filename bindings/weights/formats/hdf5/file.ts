/** HDF5 files: groups, attributes and tensors by their paths. libhdf5 reads them; here are the limits that it lacks. */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import { label, shown } from '../../../util/messages.js';
import { size } from '../../../util/shape.js';
import { STORED_BYTES, type StoredDtype } from '../../dtype.js';
import { hasDamagedHeap } from './global-heap.js';
import { slabsOf } from './hyperslabs.js';
import { keepLibhdf5, type Libhdf5, loadLibhdf5, mount, PATH, returnLibhdf5 } from './libhdf5.js';

/** Reads in one operation, against files that point in circles. All of ResNet-152 takes 9,000. */
const MAX_READS = 100_000;
/** Bytes that deflate can make of one byte at most (zlib's manual). */
export const MAX_EXPANSION = 1032;
const MAX_CHUNK_BYTES = 2 ** 28;

const [FLOAT, STRING] = [1, 3];
/** Types by their size. h5wasm tells no more of a type: two bytes are taken for IEEE's half precision. */
const DTYPES: readonly StoredDtype[] = ['F16', 'F32', 'F64'];
/** libhdf5's own filters: deflate, shuffle, fletcher32, szip, nbit, scaleoffset. */
const FILTERS = [1, 2, 3, 4, 5, 6];

interface Member {
  readonly name: string;
  readonly path: string;
  /** Undefined for types, and for links that lead nowhere or to another file. */
  readonly kind: 'group' | 'dataset' | undefined;
}

/** A tensor of row-major values; `dtype` is undefined if they are not of floating point. */
export interface Dataset {
  readonly path: string;
  readonly shape: readonly number[];
  readonly dtype: StoredDtype | undefined;
  /** The shape of a chunk, if the values lie in chunks. */
  readonly chunks: readonly number[] | undefined;
}

/** Bytes of the longest form of a superblock, up to the place of the file's end. */
export const SUPERBLOCK_BYTES = 52;

/** Reads from a file's first bytes where it ends. Throws if they are cut, or libhdf5 would look for the file elsewhere. */
export function endOf(name: string, head: Uint8Array): number {
  const fail = (expected: string, got: string): never => {
    throw new ResnetError('weights', `${name}: expected ${expected}, got ${got}.`);
  };
  if (head.length < SUPERBLOCK_BYTES) fail(`a superblock of at least ${SUPERBLOCK_BYTES} bytes`, `${head.length}`);
  const view = new DataView(head.buffer, head.byteOffset, SUPERBLOCK_BYTES);
  const version = view.getUint8(8);
  if (version > 3) fail('a superblock of version 0 to 3', `${version}`);
  const isOld = version < 2;
  const [address, size] = [view.getUint8(isOld ? 13 : 9), view.getUint8(isOld ? 14 : 10)];
  if (address !== 8 || size !== 8) fail('addresses and sizes of 8 bytes', `${address} and ${size}`);
  // Version 1 has four bytes more than version 0 before the addresses: the base, that of free space, the end.
  const place = isOld ? 24 + 4 * version : 12;
  const [base, end] = [view.getBigUint64(place, true), view.getBigUint64(place + 16, true)];
  if (base !== 0n) fail('addresses from the beginning of the file', `from ${base}`);
  if (end > Number.MAX_SAFE_INTEGER) fail('an end up to 2^53', `${end}`);
  return Number(end);
}

/** An open file. After an operation that failed in libhdf5 it can only be closed. */
export class Hdf5 {
  readonly #name: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly #bytes: RandomBytes;
  readonly #url: string;
  readonly #lib: Libhdf5;
  #file = -1n;
  #reads = 0;
  /** Whether values are read now: they hold no texts, and are too many to be searched for heaps. */
  #isReadingValues = false;
  /** False after a failure: the instance may have lost memory or hold the file open. */
  #isSound = true;
  /** Whether the engine itself stopped it. */
  #hasTrapped = false;
  #isClosed = false;

  private constructor(name: string, size: number, bytes: RandomBytes, url: string, lib: Libhdf5) {
    this.#name = name;
    this.size = size;
    this.#bytes = bytes;
    this.#url = url;
    this.#lib = lib;
  }

  /** Opens a file of `size` bytes, which are closed with it. `url` is h5wasm's, if the platform does not find it. */
  static async open(name: string, size: number, bytes: RandomBytes, url: string | URL | undefined): Promise<Hdf5> {
    const { url: place, lib } = await loadLibhdf5(url).catch((error: unknown) => {
      bytes.close();
      throw error;
    });
    const hdf5 = new Hdf5(name, size, bytes, place, lib);
    try {
      hdf5.#file = hdf5.#run('/', () => {
        mount(lib, size, (begin, into) => hdf5.#read(begin, into));
        return checked(lib.open(PATH, 0, false, -1, -1));
      });
      return hdf5;
    } catch (error) {
      hdf5.close();
      throw error;
    }
  }

  members(group: string): Member[] {
    return this.#run(group, () =>
      this.#lib.get_names(this.#file, group, false).map((name) => {
        const path = `${group === '/' ? '' : group}/${name}`;
        const type = this.#lib.get_type(this.#file, path);
        return { name, path, kind: type === 0 ? 'group' : type === 1 ? 'dataset' : undefined };
      }),
    );
  }

  attributes(path: string): string[] {
    return this.#run(path, () => this.#lib.get_attribute_names(this.#file, path));
  }

  /** Reads an attribute's text. Throws if it is none. */
  text(path: string, name: string): string {
    const lib = this.#lib;
    const { type, size, vlen, total_size } = this.#run(path, () => lib.get_attribute_metadata(this.#file, path, name));
    const subject = label(name);
    if (type !== STRING || total_size !== 1) {
      throw new ResnetError(
        'weights',
        `${subject}: expected one text, got an attribute of class ${type} with ${total_size} values.`,
      );
    }
    if (size > this.size)
      throw new ResnetError('weights', `${subject}: expected a text that the file holds, got ${size} bytes.`);
    return this.#run(path, () => {
      const at = allocated(lib, size);
      checked(lib.get_attribute_data(this.#file, path, name, BigInt(at)));
      const bytes = lib.HEAPU8;
      const pointer = vlen ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true) : at;
      const text = pointer === 0 ? '' : utf8(bytes.subarray(pointer, pointer + (vlen ? this.size : size)));
      if (vlen) checked(lib.reclaim_vlen_memory(this.#file, path, name, BigInt(at)));
      lib._free(at);
      return text;
    });
  }

  /** Describes a tensor. Throws if its values cannot be read. */
  dataset(path: string): Dataset {
    const lib = this.#lib;
    const metadata = this.#run(path, () => lib.get_dataset_metadata(this.#file, path));
    const { shape, size: width, type, chunks } = metadata;
    const subject = label(path.slice(1));
    if (!shape) throw new ResnetError('weights', `${subject}: this dataset has no values.`);
    if (metadata.virtual_sources)
      throw new ResnetError('weights', `${subject}: views of other datasets cannot be read.`);
    const dtype = type === FLOAT ? DTYPES.find((name) => STORED_BYTES[name] === width) : undefined;
    if (!chunks) return { path, shape, dtype, chunks: undefined };
    const bytes = size(chunks) * width;
    const most = Math.min(MAX_CHUNK_BYTES, MAX_EXPANSION * this.size);
    if (!(bytes > 0 && bytes <= most)) {
      throw new ResnetError(
        'weights',
        `${subject}: expected chunks of 1 to ${most} bytes, got ${shown(chunks)} of ${width} each.`,
      );
    }
    const filters = this.#run(path, () => lib.get_dataset_filters(this.#file, path));
    const other = filters.find(({ id }) => !FILTERS.includes(id));
    if (other) {
      const got = `filter ${other.id} (${label(other.name)})`;
      throw new ResnetError('weights', `${subject}: expected values that are not compressed, or by gzip, got ${got}.`);
    }
    return { path, shape, dtype, chunks };
  }

  /** Reads a tensor's little-endian values, stretch by stretch; each is valid until the next one is asked for. */
  *values({ path, shape, dtype = 'F32', chunks }: Dataset): Generator<Uint8Array, void, undefined> {
    const lib = this.#lib;
    const width = STORED_BYTES[dtype];
    const { bytes: most, slabs } = slabsOf(shape, chunks, width);
    const at = this.#run(path, () => allocated(lib, most));
    const strides = shape.map(() => 1n);
    try {
      for (const { offset, count } of slabs) {
        // A scalar has no axes to select along.
        const [counts, offsets, steps] =
          shape.length > 0 ? [count.map(BigInt), offset.map(BigInt), strides] : [null, null, null];
        this.#isReadingValues = true;
        this.#run(path, () => checked(lib.get_dataset_data(this.#file, path, counts, offsets, steps, BigInt(at))));
        this.#isReadingValues = false;
        yield lib.HEAPU8.subarray(at, at + size(count) * width);
      }
    } finally {
      if (this.#isSound && !this.#isClosed) lib._free(at);
    }
  }

  /** Closes the file, and keeps the instance of libhdf5 for the next one; after a failure as if it were new. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const lib = this.#lib;
    try {
      if (!this.#isSound) {
        if (!this.#hasTrapped) returnLibhdf5(this.#url, lib);
        return;
      }
      checked(lib.close_file(this.#file));
      lib.FS.unlink(PATH);
      keepLibhdf5(this.#url, lib);
    } catch {
      // The instance is not kept.
    } finally {
      this.#bytes.close();
    }
  }

  #read(begin: number, into: Uint8Array): number {
    if (++this.#reads > MAX_READS) throw new Limit(`more than ${MAX_READS} reads`);
    if (!this.#isReadingValues && hasDamagedHeap(this.#bytes, begin, begin + into.length))
      throw new Limit('a damaged heap of texts');
    return this.#bytes.read(begin, into);
  }

  #run<T>(path: string, operation: () => T): T {
    if (this.#isClosed || !this.#isSound) throw new ResnetError('weights', `${this.#name}: this file is closed.`);
    this.#reads = 0;
    try {
      return operation();
    } catch (cause) {
      this.#isSound = false;
      this.#hasTrapped = cause instanceof WebAssembly.RuntimeError;
      const what = path === '/' ? 'groups' : `"${label(path.slice(1))}"`;
      // libhdf5's own messages tell no more.
      const got = cause instanceof Limit ? cause.message : 'damage';
      throw new ResnetError('weights', `${this.#name}: expected ${what} that libhdf5 can read, got ${got}.`, { cause });
    }
  }
}

/** Ends an operation; its message says why. */
class Limit extends Error {}

/** Returns what libhdf5 returned. Throws if that means failure. */
function checked<T extends number | bigint>(status: T): T {
  if (status < 0) throw new ResnetError('weights', 'refused');
  return status;
}

function allocated(lib: Libhdf5, bytes: number): number {
  const at = lib._malloc(bytes);
  if (at === 0) throw new Limit(`no memory for ${bytes} bytes`);
  return at;
}

/** Decodes text, up to a zero byte if there is one. */
function utf8(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
