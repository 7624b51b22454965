/** What the first bytes of a file tell. */

import { textStart } from '../../util/json.js';

const bytesAt = (head: Uint8Array, at: number, bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => head[at + i] === byte);

const isBetween = (byte: number | undefined, least: number, most: number): boolean =>
  byte !== undefined && byte >= least && byte <= most;

/** Byte 8 opens the JSON; the eight before it are a number, so that one of them at least occurs in no text. */
export const isSafetensors = (head: Uint8Array): boolean =>
  head[8] === 0x7b && head.subarray(0, 8).some((byte) => byte < 9 || byte > 0xf4);

export const isZip = (head: Uint8Array): boolean => bytesAt(head, 0, [0x50, 0x4b, 3, 4]);

/** A pickle of the number that opens PyTorch's files of before 1.6: PROTO, its version, perhaps a FRAME, LONG1, length. */
export const isLegacyPytorch = (head: Uint8Array): boolean =>
  head[0] === 0x80 &&
  [4, 13].some((at) => bytesAt(head, at, [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]));

/** Any other pickle of protocol 2 or later, which says its protocol and goes on with a frame, a list, a name or so. */
export const isPickle = (head: Uint8Array): boolean =>
  head[0] === 0x80 &&
  isBetween(head[1], 2, 5) &&
  /[cC}\]()XKMJ.\x8a\x8c\x8f\x95]/.test(String.fromCharCode(head[2] ?? 0));

export const isNumpy = (head: Uint8Array): boolean => bytesAt(head, 0, [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]);

export const isGguf = (head: Uint8Array): boolean => bytesAt(head, 0, [0x47, 0x47, 0x55, 0x46]);

export const isTflite = (head: Uint8Array): boolean => bytesAt(head, 4, [0x54, 0x46, 0x4c, 0x33]);

/**
 * A protocol buffer that begins with a version (field 1) as ONNX has it, from 3 on, and another of a model's fields: the
 * producer's name, its version, the domain, the model's version, the graph or the sets of operations.
 */
export const isOnnx = (head: Uint8Array): boolean =>
  head[0] === 8 && isBetween(head[1], 3, 99) && [0x12, 0x1a, 0x22, 0x28, 0x3a, 0x42].includes(head[2] ?? 0);

/** A protocol buffer of version 1 with graphs in it. */
export const isSavedModel = (head: Uint8Array): boolean => bytesAt(head, 0, [8, 1, 0x12]);

export const isGzip = (head: Uint8Array): boolean => bytesAt(head, 0, [0x1f, 0x8b]);

export const isTar = (head: Uint8Array): boolean => bytesAt(head, 257, [0x75, 0x73, 0x74, 0x61, 0x72]);

/** JPEG, PNG, GIF, or RIFF as WebP is. */
export const isPicture = (head: Uint8Array): boolean =>
  [
    [0xff, 0xd8, 0xff],
    [0x89, 0x50, 0x4e, 0x47],
    [0x47, 0x49, 0x46, 0x38],
    [0x52, 0x49, 0x46, 0x46],
  ].some((bytes) => bytesAt(head, 0, bytes));

export const isHdf5 = (head: Uint8Array): boolean => bytesAt(head, 0, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);

/** JSON that begins as an index of shards does. */
export const isIndex = (head: Uint8Array): boolean => /^\{\s*"(metadata|weight_map)"\s*:/.test(textStart(head));

export const isJson = (head: Uint8Array): boolean => /^[{[]/.test(textStart(head));
