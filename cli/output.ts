/** Writes the files of commands: never over an input, and whole or not at all. */

import { randomUUID } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Rejects if `path` is one of `inputs`, also by another name, or if its folder does not exist: before any work is done
 * for a file that cannot be written. `option` is what the user calls the output, such as `--cam`.
 */
export async function checkOutput(path: string, option: string, inputs: readonly string[] = []): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (!folder?.isDirectory()) throw new Error(`${path}: there is no folder ${dirname(path)} to write into.`);
  const there = await stat(path, { bigint: true }).catch(() => undefined);
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
    const file = await open(written, special ? 'w' : 'wx');
    try {
      const parts = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
      // Each call writes on from where the last one ended.
      for await (const part of parts) await file.writeFile(part, { signal });
    } finally {
      await file.close();
    }
    if (!special) await rename(written, target);
  } catch (error) {
    if (!special) await rm(written, { force: true });
    throw error;
  }
}
