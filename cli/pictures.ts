/** Pictures that arguments name: files, folders, globs, URLs and `-`; and their pixels, decoded ahead of the network. */

import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { decodeImage, type Pixels } from '../bindings/index.node.js';
import { reportFailure } from './failure.js';
import { filesBelow, glob, isPattern } from './glob.js';
import { isStdin, readStdin } from './stdin.js';

/** What a folder's pictures are told by. Those that cannot be decoded are among them, so that they are told of. */
export const EXTENSIONS = /\.(jpe?g|jpe|jfif|png|webp|gif|avif|tiff?|bmp|hei[cf])$/i;

/** A picture before it is decoded. */
export interface Picture {
  /** What the user calls it; a data: URL is cut. */
  readonly name: string;
  /** What `decodeImage` takes, or `-`. */
  readonly source: string;
}

/** 2 before 10, as people count. */
const inOrder = new Intl.Collator('en', { numeric: true }).compare;

/**
 * Finds the pictures of one argument, in the order of their names if it stands for several. Throws one sentence if there
 * are none. A file of the very name goes before a pattern.
 */
export async function picturesOf(argument: string): Promise<Picture[]> {
  if (argument === '') throw new Error('"": no such file.');
  if (isStdin(argument)) return [{ name: 'stdin', source: '-' }];
  if (/^(https?|blob):/i.test(argument)) return [{ name: argument, source: argument }];
  if (/^data:/i.test(argument)) {
    return [{ name: argument.length > 40 ? `${argument.slice(0, 40)}…` : argument, source: argument }];
  }
  const path = /^file:/i.test(argument) && URL.canParse(argument) ? fileURLToPath(argument) : argument;
  const there = await stat(path).catch(() => undefined);
  if (there && !there.isDirectory()) return [{ name: argument, source: argument }];
  const named = (paths: readonly string[]): Picture[] =>
    [...paths].sort(inOrder).map((source) => ({ name: source, source }));
  if (there) {
    const found = (await filesBelow(path)).filter((file) => EXTENSIONS.test(file));
    if (found.length > 0) return named(found);
    throw new Error(`${argument}: expected a picture in this folder, got none.`);
  }
  if (!isPattern(path)) throw new Error(`${argument}: no such file.`);
  const found = await glob(path);
  if (found.length > 0) return named(found);
  throw new Error(`${argument}: no file matches.`);
}

/** Finds the pictures of all arguments, in their order. An argument without any is reported on stderr. */
export async function findPictures(args: readonly string[]): Promise<Picture[]> {
  const pictures: Picture[] = [];
  for (const argument of args) {
    try {
      pictures.push(...(await picturesOf(argument)));
    } catch (error) {
      reportFailure(error, argument);
    }
  }
  return pictures;
}

/**
 * Pictures that are decoded while the network has one. 24 photographs of 3,000x2,000 pixels take a ResNet-50 on one thread
 * 4.9 s one by one, 3.2 s with one ahead, and no less with two or three.
 */
const AHEAD = 1;

interface DecodedPicture {
  readonly picture: Picture;
  /** Rejects if the picture cannot be read. */
  readonly pixels: Promise<Pixels>;
}

/** Decodes pictures in their order, some ahead of the one that is asked for. */
export function* decoded(
  pictures: readonly Picture[],
  maxPixels: number | undefined,
): Generator<DecodedPicture, undefined> {
  const waiting: DecodedPicture[] = [];
  let next = 0;
  for (;;) {
    for (; next < pictures.length && waiting.length <= AHEAD; next++) {
      const picture = pictures[next] as Picture;
      const pixels = decode(picture, maxPixels);
      // Awaited later, perhaps never.
      pixels.catch(() => {});
      waiting.push({ picture, pixels });
    }
    const first = waiting.shift();
    if (!first) return;
    yield first;
  }
}

/** Decodes a picture. Messages begin with its name. */
async function decode({ name, source }: Picture, maxPixels: number | undefined): Promise<Pixels> {
  const image = source === '-' ? new File([await readStdin()], name) : source;
  try {
    return await decodeImage(image, { maxPixels });
  } catch (cause) {
    const { message } = cause as Error;
    // It calls a data: URL so, and the option.
    const own = message.replace(/^image(?=: )/, () => name).replace(/maxPixels(?= can allow more\.$)/, '--max-pixels');
    throw new Error(own, { cause });
  }
}
