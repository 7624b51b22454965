/** What the first bytes of a file tell. */

/** Whether `bytes` stand at a place. */
export const bytesAt = (head: Uint8Array, at: number, bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => head[at + i] === byte);

/** Tells a safetensors file: byte 8 opens the JSON; the eight before it are a number, one byte of which is in no text. */
export const isSafetensors = (head: Uint8Array): boolean =>
  head[8] === 0x7b && head.subarray(0, 8).some((byte) => byte < 9 || byte > 0xf4);

export const isZip = (head: Uint8Array): boolean => bytesAt(head, 0, [0x50, 0x4b, 3, 4]);

/** Tells a file of PyTorch before 1.6: a pickle of its magic number, after PROTO, perhaps a FRAME, LONG1 and a length. */
export const isLegacyPytorch = (head: Uint8Array): boolean =>
  head[0] === 0x80 &&
  [4, 13].some((at) => bytesAt(head, at, [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]));

export const isHdf5 = (head: Uint8Array): boolean => bytesAt(head, 0, [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Decodes the beginning of a file as text, without a byte order mark or white space before it. */
export function textStart(head: Uint8Array): string {
  return new TextDecoder().decode(head).trimStart();
}

/** Tells JSON that begins as an index of shards does. */
export const isIndex = (head: Uint8Array): boolean => /^\{\s*"(metadata|weight_map)"\s*:/.test(textStart(head));

export const isJson = (head: Uint8Array): boolean => /^[{[]/.test(textStart(head));

/** Tells a protocol buffer whose first field is a version: ONNX has it so; its reader tells others. */
export const isVersioned = (head: Uint8Array): boolean => head[0] === 8;
