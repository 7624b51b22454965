/** Decodes pictures in a browser, in a page or in a worker. */

import { ResnetError } from '../../models/errors.js';
import { isPixels } from '../platform/pixels.js';
import type { DecodeOptions, Pixels } from '../platform/types.js';
import { plain, shown } from '../util/messages.js';
import { isA, isBlob } from '../util/realm.js';

/** Keeps the bytes of the file, without colour profiles and premultiplied alpha: networks were trained on those. */
const AS_STORED: ImageBitmapOptions = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };

/** Tells elements, which only a page has, and of which a worker gets the frame. */
export const isElement = (image: unknown): image is HTMLImageElement | HTMLVideoElement | HTMLCanvasElement =>
  typeof image === 'object' && image !== null && 'nodeType' in image && image.nodeType === 1;

/** Takes the frame that an element or canvas shows now. Rejects if it shows nothing, or nothing that can be drawn. */
export async function frameOf(
  source: HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas,
): Promise<ImageBitmap> {
  try {
    if (isElement(source) && source.localName === 'img') await (source as HTMLImageElement).decode();
    return await createImageBitmap(source, AS_STORED);
  } catch (cause) {
    const [expected, got] = isElement(source)
      ? ['an element', `<${source.localName}>`]
      : ['a canvas', 'an OffscreenCanvas'];
    throw new ResnetError(
      'argument',
      `image: expected ${expected} that shows a picture, got ${got} (${plain(cause)}).`,
      { cause },
    );
  }
}

/** Fetches the encoded bytes of a picture, and finds a name for it in messages; undefined if it is not encoded. */
async function encoded(image: unknown): Promise<{ name: string; blob: Blob } | undefined> {
  if (isBlob(image)) return { name: isA(image, 'File') ? image.name : 'image', blob: image };
  if (isA(image, 'ArrayBuffer', 'Uint8Array')) {
    return { name: 'image', blob: new Blob([new Uint8Array(image)]) };
  }
  if (typeof image !== 'string' && !isA(image, 'URL')) return undefined;
  const url = String(image);
  const name = /^(data|blob):/i.test(url) ? 'image' : url;
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new ResnetError('download', `${name}: no answer from the server (${plain(cause)}).`, { cause });
  }
  if (!response.ok) throw new ResnetError('download', `${name}: expected a picture, got status ${response.status}.`);
  return { name, blob: await response.blob() };
}

/**
 * Decodes what a browser can show to upright 8-bit RGBA with straight alpha; returns decoded `Pixels` as they are. Takes
 * the current frame of moving pictures. Rejects if there is no picture, if a file's has more than `maxPixels`, or if it is
 * of another origin that the page may not read.
 */
export async function decodeImage(
  image: unknown,
  { maxPixels = Number.POSITIVE_INFINITY }: DecodeOptions = {},
): Promise<Pixels> {
  if (isElement(image)) {
    const frame = await frameOf(image);
    try {
      return draw('image', frame);
    } finally {
      frame.close();
    }
  }
  if (isPixels(image)) return image;
  if (typeof createImageBitmap === 'undefined')
    throw new ResnetError(
      'unsupported',
      'image: this runtime decodes no pictures; give pixels, { data, width, height }.',
    );
  const file = await encoded(image);
  if (file) {
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(file.blob, AS_STORED);
    } catch (cause) {
      const got = file.blob.size === 0 ? 'an empty file' : 'a file that this browser cannot decode';
      throw new ResnetError('picture', `${file.name}: expected a picture, got ${got}.`, { cause });
    }
    try {
      const { width, height } = bitmap;
      // Drawn, it would take 8 bytes more per pixel.
      if (width * height > maxPixels) {
        throw new ResnetError(
          'argument',
          `${file.name}: expected a picture of at most ${maxPixels} pixels, got ${width}x${height}; maxPixels can allow more.`,
        );
      }
      return draw(file.name, bitmap);
    } finally {
      bitmap.close();
    }
  }
  if (isA(image, 'ImageBitmap', 'OffscreenCanvas')) return draw('image', image);
  throw new ResnetError(
    'argument',
    `image: expected a Blob, URL, encoded bytes, image, video, canvas or {data, width, height}, got ${shown(image)}.`,
  );
}

function draw(name: string, source: ImageBitmap | OffscreenCanvas): Pixels {
  const { width, height } = source;
  if (width === 0 || height === 0)
    throw new ResnetError('argument', `${name}: expected a picture, got one of ${width}x${height}.`);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new ResnetError('memory', `${name}: a picture of ${width}x${height} is too large to draw here.`);
  try {
    context.drawImage(source, 0, 0);
    return context.getImageData(0, 0, width, height);
  } catch (cause) {
    throw new ResnetError('picture', `${name}: the page may not read this picture (${plain(cause)}).`, { cause });
  }
}
