/** Pictures in .tar archives, by where they lie, so that a worker reads them without what is before them. */

import { type FileHandle, open } from 'node:fs/promises';
import { Header, Pax } from 'tar';
import type { Reference } from './queue.js';

const BLOCK = 512;
/** Of names and the like, which are some hundred bytes. */
const MAX_EXTENDED_BYTES = 2 ** 20;

async function readAt(file: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(buffer, 0, bytes, offset);
  return buffer.subarray(0, bytesRead);
}

/** Lists the files in an archive (POSIX.1-2001, pax; GNU's long names) whose names match. Throws one sentence if it is damaged. */
export async function* filesInArchive(path: string, isWanted: (name: string) => boolean): AsyncGenerator<Reference> {
  await using file = await open(path);
  const { size: total } = await file.stat();
  const damaged = (what: string): Error => new Error(`${path}: expected a tar archive, got ${what}.`);
  let extended: { path?: string; size?: number } | undefined;
  for (let at = 0; at < total; ) {
    const block = await readAt(file, at, BLOCK);
    if (block.length < BLOCK) throw damaged('one that is cut off');
    const header = new Header(block, 0, extended);
    // Two of them end an archive; one may be all that is left of a larger file.
    if (header.nullBlock) return;
    if (!header.cksumValid)
      throw damaged(at === 0 ? 'another format; compressed ones are not read' : 'one that is damaged');
    const { size: bytes = 0, type, path: name = '' } = header;
    at += BLOCK;
    if (at + bytes > total) throw damaged('one that is cut off');
    if (type === 'ExtendedHeader' || type === 'NextFileHasLongPath') {
      if (bytes > MAX_EXTENDED_BYTES) throw damaged('one that is damaged');
      const text = (await readAt(file, at, bytes)).toString();
      extended =
        type === 'ExtendedHeader' ? Pax.parse(text, extended) : { ...extended, path: text.replace(/\0.*$/s, '') };
    } else {
      extended = undefined;
      const isFile = type === 'File' || type === 'OldFile' || type === 'ContiguousFile';
      if (isFile && isWanted(name)) yield { name: `${path}/${name}`, archive: path, offset: at, bytes };
    }
    at += Math.ceil(bytes / BLOCK) * BLOCK;
  }
}

/** Reads a file of an archive. Throws one sentence if the archive has changed. */
export async function readFromArchive({ name, archive, offset, bytes }: Exclude<Reference, string>): Promise<File> {
  await using file = await open(archive);
  const buffer = await readAt(file, offset, bytes);
  if (buffer.length < bytes) throw new Error(`${archive}: expected ${bytes} bytes at ${offset}, got ${buffer.length}.`);
  return new File([new Uint8Array(buffer)], name);
}
