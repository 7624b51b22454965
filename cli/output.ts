/** Writes the files of commands: never over an input, and whole or not at all. */

import { randomUUID } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Command } from 'commander';

/** Exits with a usage error unless the file has one of the extensions, in any case. */
export function checkExtension(command: Command, option: string, path: string, extensions: readonly string[]): void {
  if (extensions.includes(extname(path).toLowerCase())) return;
  const expected = extensions.length > 1 ? `one of ${extensions.join(', ')}` : extensions[0];
  const message = `error: option '${option}' argument '${path}' is invalid. Expected a file name that ends in ${expected}.`;
  command.error(message, { exitCode: 2 });
}

/**
 * Rejects if `path` is one of `inputs`, also by another name, if it is a folder, or if its folder does not exist: before
 * any work is done for a file that cannot be written. `option` is what the user calls the output, such as `--cam`.
 */
export async function checkOutput(path: string, option: string, inputs: readonly string[] = []): Promise<void> {
  if (path === '') throw new Error(`${option}: expected the path of a file, got an empty one.`);
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (!folder?.isDirectory()) throw new Error(`${path}: there is no folder ${dirname(path)} to write into.`);
  const there = await stat(path, { bigint: true }).catch(() => undefined);
  if (there?.isDirectory()) throw new Error(`${option}: expected a file to write, got the folder ${path}.`);
  if (!there?.isFile()) return;
  for (const input of inputs) {
    const other = await stat(/^file:/i.test(input) && URL.canParse(input) ? new URL(input) : input, {
      bigint: true,
    }).catch(() => undefined);
    // Hard links, too, are one file.
    if (other && other.dev === there.dev && other.ino === there.ino) {
      throw new Error(`${option}: expected a file that is not an input, got ${path}.`);
    }
  }
}

/**
 * Writes a file whole or not at all: what was at `path` stays until the new file is complete. A device or pipe is
 * written to as it is.
 */
export async function writeOutput(
  path: string,
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const special = await stat(target).then(
    (there) => !there.isFile(),
    () => false,
  );
  const written = special ? target : join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  try {
    const file = await named(path, open(written, special ? 'w' : 'wx'));
    try {
      const parts = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
      // Each call writes on from where the last one ended.
      for await (const part of parts) await named(path, file.writeFile(part, { signal }));
    } finally {
      await file.close();
    }
    if (!special) await named(path, rename(written, target));
  } catch (error) {
    if (!special) await rm(written, { force: true });
    throw error;
  }
}

/** Gives an error of the operating system the path that the user knows: a write's has none, a temporary file's is odd. */
async function named<Value>(path: string, work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? Object.assign(error, { path }) : error;
  }
}
