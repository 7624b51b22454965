/** Bodies of requests: read within limits, and understood as JSON or as a picture. */

import type { IncomingMessage } from 'node:http';
import { HttpError } from './http-error.js';

const tooLarge = (most: number): HttpError =>
  new HttpError(413, `body: expected at most ${most} bytes, got more.`, { connection: 'close' });

/** Bytes of all bodies that are being read, against many at once. */
export class BodyReader {
  readonly #maxBytes: number;
  readonly #maxHeld: number;
  #held = 0;

  /** `maxBytes`: of one body. `maxHeld`: of all that are read at a time. */
  constructor(maxBytes: number, maxHeld: number) {
    this.#maxBytes = maxBytes;
    this.#maxHeld = maxHeld;
  }

  /** Reads a body. Rejects with status 413 if it is too large, and with the signal's reason. */
  async read(incoming: IncomingMessage, signal: AbortSignal): Promise<Buffer> {
    if (Number(incoming.headers['content-length'] ?? 0) > this.#maxBytes) throw tooLarge(this.#maxBytes);
    signal.throwIfAborted();
    const parts: Buffer[] = [];
    let size = 0;
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        incoming.on('data', (part: Buffer) => {
          size += part.length;
          this.#held += part.length;
          if (size > this.#maxBytes) reject(tooLarge(this.#maxBytes));
          else if (this.#held > this.#maxHeld)
            reject(new HttpError(429, 'Too many bodies at a time.', { 'retry-after': '1' }));
          else parts.push(part);
        });
        incoming.once('end', resolve).once('error', reject);
      });
      return Buffer.concat(parts, size);
    } finally {
      // What still comes is dropped.
      incoming.removeAllListeners('data').resume();
      this.#held -= size;
    }
  }
}

/** The media type of a request, without parameters. */
export const mediaType = (incoming: IncomingMessage): string =>
  (incoming.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/** Parses a body as a JSON object. */
export function parseJson(body: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new HttpError(400, 'body: expected JSON, got text that is none.');
  }
  if (isObject(value)) return value;
  throw new HttpError(400, 'body: expected a JSON object, got another value.');
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Decodes base64, with or without `data:…;base64,` in front. */
export function fromBase64(text: string, name: string): Buffer {
  const digits = text.replace(/^data:[^,]*;base64,/, '').replace(/\s+/g, '');
  if (digits.length === 0 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(digits)) {
    throw new HttpError(400, `${name}: expected a picture in base64, got other text.`);
  }
  return Buffer.from(digits, 'base64');
}

/** The first bytes of each format that is decoded; SVG and others that name files or take long are not among them. */
const SIGNATURES: readonly RegExp[] = [
  /^\xff\xd8\xff/,
  /^\x89PNG\r\n/,
  /^RIFF[\s\S]{4}WEBP/,
  /^GIF8[79]a/,
  /^(II\*\0|MM\0\*)/,
  /^[\s\S]{4}ftyp(avif|avis|mif1|heic|heix)/,
];

/** Throws status 415 unless bytes begin as a picture of a known format does. */
export function checkPicture(bytes: Buffer, name: string): Buffer {
  if (bytes.length === 0) throw new HttpError(400, `${name}: expected a picture, got nothing.`);
  const head = bytes.subarray(0, 16).toString('latin1');
  if (SIGNATURES.some((signature) => signature.test(head))) return bytes;
  throw new HttpError(415, `${name}: expected JPEG, PNG, WebP, GIF, AVIF or TIFF, got another format.`);
}
