/** Decodes and writes pictures in Node with sharp, an optional peer dependency. */

import { readFile } from 'node:fs/promises';
import { ResnetError } from '../../models/errors.js';
import { checkMaxPixels } from '../model/options.js';
import { isPixels } from '../platform/pixels.js';
import type { DecodeOptions, Pixels } from '../platform/types.js';
import { plain } from '../util/messages.js';
import { isA, isBlob, shownKind } from '../util/realm.js';
import { fetchBytes } from '../weights/stream/http.js';

async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new ResnetError('unsupported', missing(cause as NodeJS.ErrnoException), { cause });
  }
}

/** Says why sharp does not load: it may be missing, or not fit this Node or system, which its first line tells. */
function missing({ code, message }: NodeJS.ErrnoException): string {
  const needs = 'Decoding images in Node needs the package sharp';
  // The second is CommonJS's: of a bundle, or in Jest.
  if (/^(ERR_)?MODULE_NOT_FOUND$/.test(code ?? '')) return `${needs}: npm install sharp.`;
  const [reason = ''] = message.split('\n');
  const got = `the one here does not load in Node ${process.versions.node} (${plain(reason.trim())})`;
  return `${needs}, and ${got}: npm install sharp, or a newer Node.`;
}

async function download(url: URL): Promise<Uint8Array> {
  const { chunks } = await fetchBytes(url, undefined);
  const parts: Uint8Array[] = [];
  // A chunk is valid until the next one.
  for (let part = await chunks.next(); !part.done; part = await chunks.next()) parts.push(part.value.slice());
  return Buffer.concat(parts);
}

/** Reads the encoded bytes of a picture, and finds a name for it in messages. */
async function encoded(image: unknown): Promise<{ name: string; bytes: Uint8Array }> {
  // sharp knows no arrays of other realms.
  if (isA(image, 'Uint8Array')) return { name: 'image', bytes: Buffer.from(image) };
  if (isA(image, 'ArrayBuffer')) return { name: 'image', bytes: Buffer.from(image) };
  if (isBlob(image)) {
    const name = isA(image, 'File') ? image.name : 'image';
    return { name, bytes: new Uint8Array(await image.arrayBuffer()) };
  }
  if (typeof image !== 'string' && !isA(image, 'URL')) {
    const got = shownKind(image);
    throw new ResnetError(
      'argument',
      `image: expected a path, URL, encoded bytes or {data, width, height}, got ${got}.`,
    );
  }
  const name = String(image);
  if (/^(https?|data|blob):/i.test(name)) {
    if (!URL.canParse(name)) throw new ResnetError('argument', `${name}: expected a URL, got one that is malformed.`);
    return { name: /^http/i.test(name) ? name : 'image', bytes: await download(new URL(name)) };
  }
  try {
    return { name, bytes: await readFile(/^file:/i.test(name) ? new URL(name) : name) };
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const known: Record<string, string> = { ENOENT: 'no such file', EISDIR: 'expected a picture, got a folder' };
    throw new ResnetError('file', `${name}: ${known[code ?? ''] ?? message}.`, { cause });
  }
}

/** Pixels of a picture that takes some 800 MB as RGB: sharp's own limit, against files that are small and decode to much. */
const MAX_PIXELS = 0x3fff ** 2;

/**
 * Decodes a path, URL, Blob or encoded bytes (JPEG, PNG, WebP, GIF …) to upright 8-bit pixels; returns decoded `Pixels`
 * as they are. Applies EXIF's orientation, takes the first of several frames and the high 8 of 16 bits. Colour profiles
 * are not applied, so that values are Pillow's, which pretrained networks saw. Rejects if there is no picture, or not
 * all of it, or if it has more than `maxPixels`.
 *
 * Pictures are decoded at full size. libjpeg can shrink to 1/2, 1/4 or 1/8 as it decodes, but a network's 224x224 then
 * differ by more than 1 of 255 from those of Pillow: by up to 4 and 13 at 1/4 and 1/8 on photographs of 4,000 to 9,000
 * pixels, and by 3 at 1/2 on stripes. And progressive files keep all their coefficients: one of 16,000x16,000 peaks at
 * 820 MB instead of 1,570.
 */
export async function decodeImage(image: unknown, options: DecodeOptions = {}): Promise<Pixels> {
  const { maxPixels = MAX_PIXELS } = options;
  checkMaxPixels(maxPixels);
  if (isPixels(image)) return image;
  const { name, bytes } = await encoded(image);
  if (bytes.length === 0) throw new ResnetError('picture', `${name}: expected a picture, got an empty file.`);
  const sharp = await loadSharp();
  // 'error' rejects truncated files, but not those with mere warnings (a stray byte), as real photographs have.
  const picture = sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels: false }).autoOrient();
  const unreadable = (cause: Error): Error =>
    new ResnetError('picture', `${name}: expected a picture, got ${reason(cause)}.`, { cause });
  const { width, height, space } = await picture.metadata().catch((cause) => {
    throw unreadable(cause);
  });
  if (width * height > maxPixels) {
    throw new ResnetError(
      'argument',
      `${name}: expected a picture of at most ${maxPixels} pixels, got ${width}x${height}; maxPixels can allow more.`,
    );
  }
  const isCmyk = space === 'cmyk';
  if (isCmyk) picture.pipelineColourspace('cmyk').toColourspace('cmyk');
  try {
    const { data, info } = await picture.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const { channels } = info;
    // Upright, where the file's own size may lie on its side.
    const size = { width: info.width, height: info.height };
    if (isCmyk) return { data: cmykToRgb(data, channels), ...size, channels: 3 };
    return { data, ...size, channels: channels === 4 ? 4 : 3 };
  } catch (cause) {
    throw unreadable(cause as Error);
  }
}

/** Encodes pixels as a file, JPEG and WebP at quality 90. JPEG has no transparency: it is dropped. */
export async function encodeImage(
  { data, width, height, channels }: Pixels,
  format: 'png' | 'jpeg' | 'webp' = 'png',
): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const raw = { width, height, channels: channels ?? (data.length / (width * height) === 4 ? 4 : 3) };
  const picture = sharp(data, { raw });
  if (format === 'png') return picture.png().toBuffer();
  return format === 'jpeg'
    ? picture.removeAlpha().jpeg({ quality: 90 }).toBuffer()
    : picture.webp({ quality: 90 }).toBuffer();
}

/** Cuts sharp's message to fit into a sentence: warnings come first in it, and each line has names of its parts in front. */
function reason({ message }: Error): string {
  if (/unsupported image format/i.test(message)) return 'a file that is not JPEG, PNG, WebP or GIF';
  const last = message.trim().split('\n').at(-1) ?? '';
  // libheif ends with the numbers of its error: "(2.0)".
  const said = last.replace(/ \([\d.]+\)$/, '').replace(/[.:]$/, '');
  const why = said.slice(said.lastIndexOf(': ') + 1).trim();
  if (/corrupt header$/.test(why)) return 'one whose header is damaged';
  if (/^(unknown error)?$/i.test(why)) return 'one whose data is damaged';
  return `one that cannot be decoded (${why})`;
}

/** Converts as Pillow does, without a profile: each colour is (255 − ink) · (255 − black) / 255, rounded. */
function cmykToRgb(data: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let from = 0, to = 0; to < rgb.length; from += channels) {
    const light = 255 - (data[from + 3] as number);
    for (let ink = 0; ink < 3; ink++, to++) {
      rgb[to] = light - Math.round(((data[from + ink] as number) * light) / 255);
    }
  }
  return rgb;
}
