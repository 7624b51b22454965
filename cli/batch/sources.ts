/** What `batch submit` takes: files, folders, globs, lists, archives and URLs. They are found one by one, in the same order each time. */

import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { glob, isPattern } from '../glob.js';
import { EXTENSIONS } from '../pictures.js';
import { isStdin } from '../stdin.js';
import { filesInArchive } from './archive.js';
import type { Reference } from './queue.js';

const isUrl = (text: string): boolean => /^https?:/i.test(text);

/** The same order in every language, and on every machine. */
const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Lists the pictures below a folder, hidden files aside. Throws if a folder cannot be read, rather than leave it out. */
async function* picturesBelow(folder: string): AsyncGenerator<Reference> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => byName(a.name, b.name))) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) yield* picturesBelow(path);
    else if (EXTENSIONS.test(entry.name)) yield path;
  }
}

/** Lists the sources in the lines of a file; empty lines and those after # are left out. */
async function* linesOf(path: string): AsyncGenerator<Reference> {
  const input = isStdin(path) ? process.stdin : createReadStream(path);
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const source = line.trim();
    if (source !== '' && !source.startsWith('#')) yield isUrl(source) ? source : resolve(source);
  }
}

/** Lists the pictures that one argument stands for. Paths are absolute, since workers run in other folders. */
export async function* picturesOf(argument: string): AsyncGenerator<Reference> {
  if (isStdin(argument)) return yield* linesOf(argument);
  if (isUrl(argument)) return yield argument;
  const path = resolve(argument);
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory()) return yield* picturesBelow(path);
  if (!there && isPattern(argument)) {
    const found = (await glob(argument)).map((file) => resolve(file)).sort(byName);
    if (found.length === 0) throw new Error(`${argument}: no file matches.`);
    return yield* found;
  }
  if (!there) throw new Error(`${argument}: no such file.`);
  if (/\.(txt|lst)$/i.test(path)) return yield* linesOf(path);
  if (/\.tar$/i.test(path)) return yield* filesInArchive(path, (name) => EXTENSIONS.test(name));
  yield path;
}
