/** The platform of Node. */

import { Blob } from 'node:buffer';
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ResnetError } from '../../models/errors.js';
import { binaryUrl } from '../assets.js';
import type { Platform } from '../platform/platform.js';
import type { BinaryName, FileBytes, RandomBytes } from '../platform/types.js';
import { label } from '../util/messages.js';
import { isBlob } from '../util/realm.js';
import { decodeImage } from './decode-image.js';
import { faultOf } from './system-error.js';
import { cacheDir } from './weight-cache.js';
import { whyNarrow } from './wide-vectors.js';

const READ_BYTES = 2 ** 19;

/** Letters of a path in messages. */
const LONGEST_NAME = 250;

/** The buffers of the last file that was read, for the next one: weights may be in many files. */
let spare: Uint8Array[] | undefined;

/**
 * Reads a file through two buffers, so that files of any size and number leave no garbage: while one is used, the other is
 * filled.
 */
async function openFile(path: string | URL): Promise<FileBytes> {
  const name = label(String(path), LONGEST_NAME);
  const failed = (cause: unknown): never => {
    throw new ResnetError('file', `${name}: ${faultOf(cause)}.`, { cause });
  };
  const there = await stat(path).catch(failed);
  if (there.isDirectory()) throw new ResnetError('file', `${name}: expected a file, got a folder.`);
  // A pipe or device has no size and no places: its bytes come once, in order, and whoever waits for more may wait for ever.
  const isFile = there.isFile();
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    const file = await open(path).catch(failed);
    const buffers = spare ?? [new Uint8Array(READ_BYTES), new Uint8Array(READ_BYTES)];
    spare = undefined;
    const read = (i: number, at: number | null) => file.read(buffers[i % 2] as Uint8Array, 0, READ_BYTES, at);
    let ahead: ReturnType<typeof read> | undefined;
    try {
      for (let [i, at] = [0, 0]; ; i++) {
        const { bytesRead } = await (ahead ?? read(i, isFile ? at : null)).catch(failed);
        ahead = undefined;
        if (bytesRead === 0) return;
        at += bytesRead;
        if (isFile) {
          ahead = read(i + 1, at);
          // It is told of when its turn comes.
          ahead.catch(() => {});
        }
        yield (buffers[i % 2] as Uint8Array).subarray(0, bytesRead);
      }
    } finally {
      await ahead?.catch(() => {});
      spare = buffers;
      await file.close();
    }
  }
  if (!isFile) return { total: undefined, chunks: chunks() };
  return { total: there.size, chunks: chunks(), random: () => randomBytes(path) };
}

function randomBytes(path: string | URL): RandomBytes {
  const file = openSync(path, 'r');
  return {
    read(begin, into) {
      let filled = 0;
      for (let count = -1; count !== 0 && filled < into.length; filled += count) {
        count = readSync(file, into, filled, into.length - filled, begin + filled);
      }
      return filled;
    },
    close: () => closeSync(file),
  };
}

function findH5wasm(): string {
  try {
    return import.meta.resolve('h5wasm');
  } catch (cause) {
    throw new ResnetError(
      'unsupported',
      'Reading HDF5 files (.h5) in Node needs the package h5wasm: npm install h5wasm.',
      { cause },
    );
  }
}

/** The path of a measurement: one small file per key, beside the fetched weights. */
const tuned = (key: string): string =>
  join(cacheDir(), 'tuned', `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);

/** Reads a binary from its file or, if a bundler left that behind, from text. CommonJS has no `import.meta.url` either. */
async function fetchBinary(binary: BinaryName): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await readFile(binaryUrl(binary)));
  } catch {
    return (await import('./inline-assets.js')).inlineWasm(binary);
  }
}

/** Finds the script of a thread in the same way. */
async function findThread(thread: () => URL): Promise<URL> {
  try {
    const url = thread();
    if (existsSync(url)) return url;
  } catch {}
  return (await import('./inline-assets.js')).inlineThread();
}

/** Copies a Blob of another maker: jsdom's are objects of JavaScript, which arrive empty in a thread. */
const ownBlob = async (blob: globalThis.Blob) => new Blob([await blob.arrayBuffer()]) as unknown as globalThis.Blob;

/** Makes the platform of Node. `thread` finds the script of a thread (thread-entry.ts, bundled). */
export const nodePlatform = (thread: () => URL): Platform => ({
  // Not at once: Deno asks for its user's leave to tell.
  get machine() {
    return `${cpus()[0]?.model} ${availableParallelism()} V8 ${process.versions.v8}`;
  },
  getCached: async (key) => {
    try {
      return await readFile(tuned(key), 'utf8');
    } catch {
      return undefined;
    }
  },
  // A cache that cannot be written costs the next load its measurement, no more.
  putCached: async (key, value) => {
    try {
      const path = tuned(key);
      const partial = `${path}.${randomUUID()}`;
      await mkdir(dirname(path), { recursive: true });
      await writeFile(partial, value);
      await rename(partial, path);
    } catch {}
  },
  cores: availableParallelism(),
  whyNoSharedMemory: undefined,
  mayBlock: true,
  startThread: (start, onMessage, onError) => {
    const started = findThread(thread).then((script) => {
      // Not every option of the process fits a thread: --input-type fails.
      const worker: Worker = Reflect.construct(Worker, [script, { workerData: start, execArgv: [] }]);
      worker.on('message', onMessage);
      worker.on('error', onError);
      // From its first message on it waits for jobs. A model that was not disposed must not keep the process alive.
      worker.once('message', () => worker.unref());
      return worker;
    });
    started.catch(onError);
    return {
      terminate: () =>
        void started.then(
          (worker) => worker.terminate(),
          () => {},
        ),
    };
  },
  v8HoistsSplats: Number.parseInt(process.versions.v8, 10) < 13,
  whyNarrow,
  fetchBinary,
  fetchAsset: async (url) => new Uint8Array(await readFile(url)),
  openFile,
  postable: async (value) => (isBlob(value) && !(value instanceof Blob) ? ownBlob(value) : value),
  hdf5: findH5wasm,
  decodeImage,
});
