/**
 * PyTorch's archives in a pure stream (a download), whose directory comes last. Storages are handed out as they come if
 * they come behind data.pkl, in the order in which PyTorch writes: by number if `.format_version` was there, else sorted
 * as texts. Storages before data.pkl, and those that come before their turn, are held in memory until then: nothing of
 * what PyTorch itself writes, and at most MAX_HELD bytes.
 */

import { ResnetError } from '../../../../models/errors.js';
import { label } from '../../../util/messages.js';
import { ByteStream } from '../../stream/byte-stream.js';
import type { Piece, WeightFile } from '../../types.js';
import { type ZipEntry, ZipReader } from '../zip/stream.js';
import {
  BYTE_ORDER,
  type Content,
  isBig,
  isPickle,
  ORDER_BYTES,
  PICKLE,
  readContent,
  refuseImpostor,
  STORAGES,
  storageOf,
  within,
  withoutPickle,
} from './content.js';
import { fileOf } from './file.js';
import { bytesOf, type Read, storagePieces } from './storage.js';

/** Written since PyTorch 2.7. */
const FORMAT_VERSION = '.format_version';
const MAX_HELD = 2 ** 30;

/** What may be a storage, as long as the pickle's folder is not known. */
const STORAGE_NAME = /(^|\/)data\/[^/]+$/;

export async function openStreamed(stream: ByteStream, prefix?: string): Promise<WeightFile> {
  const archive = new StreamedArchive(stream);
  const content = await archive.open(prefix);
  const ordered = archive.orderOf(content).map((key) => content.reads.get(key) ?? []);
  return fileOf(stream, content.dict, ordered, () => archive.pieces(content, ordered));
}

class StreamedArchive {
  readonly #stream: ByteStream;
  readonly #zip: ZipReader;
  /** The folder that the pickle is in, with its slash. */
  #root = '';
  #isNumbered = false;
  #isBigEndian = false;
  /** Whether values were handed out. */
  #isUnderWay = false;
  /** Contents of storages that wait, by the names of their entries. */
  readonly #held = new Map<string, Uint8Array>();
  #heldBytes = 0;
  /** The entry that the stream now is at, if it is a storage. */
  #storage: ZipEntry | undefined;

  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.#zip = new ZipReader(stream);
  }

  /** Reads on to the first storage behind the pickle. Throws one sentence if there is no pickle, or a damaged one. */
  async open(prefix?: string): Promise<Content> {
    const { name } = this.#stream;
    const names: string[] = [];
    for (let entry = await this.#zip.next(); entry; entry = await this.#zip.next()) {
      if (isPickle(entry.name)) {
        this.#zip.checkStored();
        this.#root = entry.name.slice(0, -PICKLE.length);
        const content = await readContent(name, this.#stream, prefix);
        await this.#zip.finish();
        await this.#toStorage();
        this.#checkRoom(content);
        return content;
      }
      refuseImpostor(name, [entry.name]);
      names.push(entry.name);
      if (STORAGE_NAME.test(entry.name)) await this.#hold(entry, undefined);
      else await this.#read(entry, entry.name.slice(entry.name.lastIndexOf('/') + 1));
    }
    throw withoutPickle(name, names);
  }

  /** Keys of the storages that are wanted, as they are handed out: those that are held came first. */
  orderOf({ reads, storages }: Content): string[] {
    const held = [...this.#held.keys()].map((name) => within(this.#root + STORAGES, name));
    const isHeld = new Set(held);
    const others = [...storages.keys()].filter((key) => !isHeld.has(key));
    return [...held, ...(this.#isNumbered ? others : others.sort())].filter((key) => reads.has(key));
  }

  async *pieces(content: Content, ordered: readonly (readonly Read[])[]): AsyncGenerator<Piece, void, undefined> {
    const { name } = this.#stream;
    this.#isUnderWay = true;
    for (const reads of ordered) {
      const storage = storageOf(reads);
      const entry = this.#root + STORAGES + storage.key;
      while (!this.#held.has(entry) && this.#storage?.name !== entry) {
        if (this.#storage === undefined) {
          throw new ResnetError('weights', `${name}: expected storage ${label(storage.key)}, got no such entry.`);
        }
        await this.#putAside(this.#storage, content);
        await this.#toStorage();
      }
      const held = this.#held.get(entry);
      const bytes = held ? held.length : (this.#storage?.bytes ?? storage.bytes);
      if (bytes !== storage.bytes) {
        throw new ResnetError('weights', `${name}: ${label(entry)}: expected ${storage.bytes} bytes, got ${bytes}.`);
      }
      if (held) {
        yield* storagePieces(streamOf(name, held), storage, reads, this.#isBigEndian);
        this.#held.delete(entry);
        this.#heldBytes -= held.length;
      } else {
        this.#zip.checkStored();
        yield* storagePieces(this.#stream, storage, reads, this.#isBigEndian);
        await this.#zip.finish();
        await this.#toStorage();
      }
    }
    // What is left are storages of no tensor that is wanted.
    for (let entry = this.#storage; entry; entry = this.#storage) {
      await this.#zip.skip(content.storages.get(this.#keyOf(entry))?.bytes);
      await this.#toStorage();
    }
    await this.#zip.end();
  }

  #keyOf({ name }: ZipEntry): string {
    return within(this.#root + STORAGES, name);
  }

  /** Goes on to the next entry that is a storage, and reads what others say. */
  async #toStorage(): Promise<void> {
    this.#storage = undefined;
    for (let entry = await this.#zip.next(); entry; entry = await this.#zip.next()) {
      if (this.#keyOf(entry) !== '') {
        this.#storage = entry;
        return;
      }
      await this.#read(entry, within(this.#root, entry.name));
    }
  }

  /** Reads an entry that is no storage. */
  async #read(entry: ZipEntry, name: string): Promise<void> {
    if (name === FORMAT_VERSION) this.#isNumbered = true;
    if (name !== BYTE_ORDER) {
      await this.#zip.skip();
      return;
    }
    const isBigEndian = isBig(this.#stream.name, await this.#zip.content(ORDER_BYTES));
    if (this.#isUnderWay && isBigEndian) {
      const expected = `${label(entry.name)} before the storages of a stream`;
      throw new ResnetError(
        'weights',
        `${this.#stream.name}: expected ${expected}, got it after; give the file itself.`,
      );
    }
    this.#isBigEndian = isBigEndian;
  }

  /** Keeps a storage whose turn comes later, or passes over it. */
  async #putAside(entry: ZipEntry, { reads, storages }: Content): Promise<void> {
    const key = this.#keyOf(entry);
    const bytes = storages.get(key)?.bytes;
    if (reads.has(key)) await this.#hold(entry, bytes);
    else await this.#zip.skip(bytes);
  }

  async #hold({ name, bytes }: ZipEntry, known: number | undefined): Promise<void> {
    if (this.#heldBytes + (bytes ?? known ?? 0) > MAX_HELD) {
      const expected = `${PICKLE}, and storages in PyTorch's order, in a stream, of which ${MAX_HELD} bytes are held`;
      throw new ResnetError(
        'weights',
        `${this.#stream.name}: expected ${expected}, got ${label(name)} before; give the file itself.`,
      );
    }
    const content = await this.#zip.content(MAX_HELD - this.#heldBytes, known);
    this.#held.set(name, content);
    this.#heldBytes += content.length;
  }

  /** Throws one sentence if the storages that are wanted are more than can come, so that the pickle lies. */
  #checkRoom({ reads }: Content): void {
    const { name, total = Number.POSITIVE_INFINITY, position } = this.#stream;
    const left = total - position + this.#heldBytes;
    const bytes = [...reads.values()].reduce((sum, list) => sum + bytesOf(storageOf(list)), 0);
    if (bytes > left) throw new ResnetError('weights', `${name}: expected ${bytes} bytes of storages, got ${left}.`);
  }
}

function streamOf(name: string, bytes: Uint8Array): ByteStream {
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    yield bytes;
  }
  return new ByteStream({ name, total: bytes.length, chunks: chunks() });
}
