/** Decodes pictures in Node with sharp, an optional dependency. */

import { readFile } from 'node:fs/promises';
import type { Sharp } from 'sharp';
import type { Pixels } from './image.js';

async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new Error('image: expected the package sharp to decode it, got none; run npm install sharp.', { cause });
  }
}

const isPixels = (image: object): image is Pixels => 'data' in image && 'width' in image && 'height' in image;

/** The encoded bytes of a picture, and what to call it. */
async function encoded(image: unknown): Promise<{ name: string; bytes: Uint8Array }> {
  if (image instanceof Blob) return { name: 'image', bytes: new Uint8Array(await image.arrayBuffer()) };
  if (image instanceof ArrayBuffer) return { name: 'image', bytes: new Uint8Array(image) };
  if (image instanceof Uint8Array) return { name: 'image', bytes: image };
  if (typeof image !== 'string' && !(image instanceof URL)) {
    const got = Object.prototype.toString.call(image);
    throw new TypeError(`image: expected a path, URL, encoded bytes or {data, width, height}, got ${got}.`);
  }
  const name = `${image}`;
  if (/^https?:/i.test(name)) {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name}: expected status 200, got ${response.status}.`);
    return { name, bytes: new Uint8Array(await response.arrayBuffer()) };
  }
  try {
    return { name, bytes: await readFile(/^file:/i.test(name) ? new URL(name) : name) };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const got = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'a folder' : code;
    throw new Error(`${name}: expected a picture, got ${got}.`, { cause });
  }
}

/**
 * Decodes a path, URL or encoded bytes (JPEG, PNG, WebP, GIF …) to upright 8-bit pixels: rotated as EXIF says, the first
 * frame of several, CMYK and 16 bits made 8-bit sRGB. Colour profiles of RGB pictures are not applied, as in Pillow.
 * Throws one sentence where there is no picture.
 */
export async function decodeImage(image: unknown): Promise<Pixels> {
  if (typeof image === 'object' && image !== null && isPixels(image)) return image;
  const { name, bytes } = await encoded(image);
  const sharp = await loadSharp();
  try {
    const picture: Sharp = sharp(bytes, { failOn: 'error' }).autoOrient();
    const { data, info } = await picture
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return toRgb(data, info.width, info.height, info.channels);
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0];
    throw new Error(`${name}: expected a picture, got one that cannot be decoded (${reason}).`, { cause });
  }
}

/** Grey and grey with alpha become RGB and RGBA. */
function toRgb(data: Uint8Array, width: number, height: number, channels: number): Pixels {
  if (channels === 3 || channels === 4) return { data, width, height, channels };
  const hasAlpha = channels === 2;
  const to = hasAlpha ? 4 : 3;
  const rgb = new Uint8Array(width * height * to);
  for (let i = 0; i < width * height; i++) {
    rgb.fill(data[i * channels] as number, i * to, i * to + 3);
    if (hasAlpha) rgb[i * to + 3] = data[i * channels + 1] as number;
  }
  return { data: rgb, width, height, channels: to };
}
