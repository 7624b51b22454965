/** Cuts a list of pictures into jobs. */

import { createHash } from 'node:crypto';
import { nameOf, type Reference, type Task } from './queue.js';

/** Pictures per job. 16 of them take a small network a tenth of a second; 64 are what is done again if a worker dies. */
export const LEAST = 16;
export const MOST = 64;

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

export interface Chunk {
  readonly id: string;
  readonly references: readonly Reference[];
}

/**
 * Cuts where the hash of a picture's name says so, after 16 to 64 pictures, 31 on average: a picture that is added to a
 * folder changes the job that it falls into, and leaves those after the next common cut as they are. A job's id is the hash of
 * its task and its pictures, so that a job is known if it comes again.
 */
export async function* chunksOf(pictures: AsyncIterable<Reference>, task: Task): AsyncGenerator<Chunk> {
  let references: Reference[] = [];
  const chunk = (): Chunk => {
    const text = JSON.stringify([task, references]);
    // BullMQ takes no id that is a number.
    return { id: `p${hash(text).toString('hex', 0, 12)}`, references };
  };
  for await (const picture of pictures) {
    references.push(picture);
    const isCut = references.length >= LEAST && (hash(nameOf(picture))[0] as number) % 16 === 0;
    if (!isCut && references.length < MOST) continue;
    yield chunk();
    references = [];
  }
  if (references.length > 0) yield chunk();
}
