/** Decodes pictures in a browser, in a page or in a worker. */

import type { Pixels } from '../platform/types.js';
import { plain, shown } from '../util/messages.js';

/** Bytes as they are in the file: networks were trained on those, without colour profiles or alpha in the colours. */
const AS_STORED: ImageBitmapOptions = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };

const isPixels = (image: object): image is Pixels => 'data' in image && 'width' in image && 'height' in image;

/** Pictures that only a page has: their frame is drawn there. */
export const isElement = (image: unknown): image is HTMLImageElement | HTMLVideoElement | HTMLCanvasElement =>
  typeof Element !== 'undefined' && image instanceof Element;

/** What an element or canvas shows now. Throws one sentence where that is nothing, or nothing that can be drawn. */
export async function frameOf(
  source: HTMLImageElement | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas,
): Promise<ImageBitmap> {
  try {
    if (isElement(source) && source instanceof HTMLImageElement) await source.decode();
    return await createImageBitmap(source, AS_STORED);
  } catch (cause) {
    const [expected, got] = isElement(source)
      ? ['an element', `<${source.localName}>`]
      : ['a canvas', 'an OffscreenCanvas'];
    throw new TypeError(`image: expected ${expected} that shows a picture, got ${got} (${plain(cause)}).`, { cause });
  }
}

/** The encoded bytes of a picture, and what to call it. */
async function encoded(image: unknown): Promise<{ name: string; blob: Blob } | undefined> {
  if (image instanceof Blob) return { name: image instanceof File ? image.name : 'image', blob: image };
  if (image instanceof ArrayBuffer || image instanceof Uint8Array) {
    return { name: 'image', blob: new Blob([image as Uint8Array<ArrayBuffer>]) };
  }
  if (typeof image !== 'string' && !(image instanceof URL)) return undefined;
  const url = String(image);
  const name = /^(data|blob):/i.test(url) ? 'image' : url;
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new Error(`${name}: expected a picture, got no answer (${plain(cause)}).`, { cause });
  }
  if (!response.ok) throw new Error(`${name}: expected a picture, got status ${response.status}.`);
  return { name, blob: await response.blob() };
}

/**
 * Decodes what a browser can show to upright 8-bit RGBA with straight alpha; decoded `Pixels` are handed on. Of moving
 * pictures it is the frame that shows. Throws one sentence where there is no picture, or one of another origin that the
 * page may not read.
 */
export async function decodeImage(image: unknown): Promise<Pixels> {
  if (isElement(image)) {
    const frame = await frameOf(image);
    try {
      return draw('image', frame);
    } finally {
      frame.close();
    }
  }
  if (typeof image === 'object' && image !== null && isPixels(image)) return image;
  const file = await encoded(image);
  if (file) {
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(file.blob, AS_STORED);
    } catch (cause) {
      const got = file.blob.size === 0 ? 'an empty file' : 'a file that this browser cannot decode';
      throw new Error(`${file.name}: expected a picture, got ${got}.`, { cause });
    }
    try {
      return draw(file.name, bitmap);
    } finally {
      bitmap.close();
    }
  }
  const isDrawable =
    (typeof ImageBitmap !== 'undefined' && image instanceof ImageBitmap) ||
    (typeof OffscreenCanvas !== 'undefined' && image instanceof OffscreenCanvas);
  if (isDrawable) return draw('image', image);
  throw new TypeError(
    `image: expected a Blob, URL, encoded bytes, image, video, canvas or {data, width, height}, got ${shown(image)}.`,
  );
}

function draw(name: string, source: ImageBitmap | OffscreenCanvas): Pixels {
  const { width, height } = source;
  if (width === 0 || height === 0) throw new TypeError(`${name}: expected a picture, got one of ${width}x${height}.`);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new RangeError(`${name}: expected a picture that can be drawn, got one of ${width}x${height}.`);
  try {
    context.drawImage(source, 0, 0);
    return context.getImageData(0, 0, width, height);
  } catch (cause) {
    throw new Error(`${name}: expected a picture that the page may read, got none (${plain(cause)}).`, { cause });
  }
}
