/** Fields of ZIP archives, for both ways to read them. After APPNOTE.TXT 6.3.10 of PKWARE. */

export const LOCAL_HEADER = 0x04034b50;
export const DESCRIPTOR = 0x08074b50;
export const CENTRAL_HEADER = 0x02014b50;
export const CENTRAL_END_64 = 0x06064b50;
export const CENTRAL_LOCATOR_64 = 0x07064b50;
export const CENTRAL_END = 0x06054b50;

/** Bytes of a header before its name. */
export const LOCAL_BYTES = 30;
export const CENTRAL_BYTES = 46;
export const END_BYTES = 22;
export const END_64_BYTES = 56;
export const LOCATOR_BYTES = 20;

export const MAX_ENTRIES = 100_000;

/** Sizes of an entry, packed and unpacked, and how it is packed. */
export interface Packing {
  readonly flags: number;
  readonly method: number;
  readonly packed: number;
  readonly bytes: number;
}

const IS_ENCRYPTED = 1;
const HAS_DESCRIPTOR = 8;
const EXTRA_64 = 1;
/** Stands in a field of 32 bits for a value that is in the 64-bit extra field. */
const IN_EXTRA = 0xffffffff;

/** Whether sizes stand behind the entry. */
export const hasDescriptor = ({ flags }: Packing): boolean => (flags & HAS_DESCRIPTOR) !== 0;

/** The method of packing that is zlib's, without its header. */
export const DEFLATED = 8;

/** [what was expected, what is there instead] of an entry whose bytes are not there as they are. */
export function packingFault({ flags, method, packed, bytes }: Packing): readonly [string, string] | undefined {
  if (flags & IS_ENCRYPTED) return ['an entry as it is', 'an encrypted one'];
  if (method !== 0) return ['a stored entry, as PyTorch writes', `one compressed by method ${method}`];
  return bytes === packed ? undefined : ['a stored entry', `${bytes} bytes in ${packed}`];
}

/** The same of an entry that may be deflated. */
export function deflatedFault(packing: Packing): readonly [string, string] | undefined {
  const { flags, method } = packing;
  if (method !== DEFLATED || flags & IS_ENCRYPTED) return packingFault(packing);
  return undefined;
}

/** Values of 32 bits, or those of 64 that the extra field has in their place. */
export function wide(extra: Uint8Array, values: readonly number[]): number[] {
  for (let at = 0; at + 4 <= extra.length; at += 4 + u16(extra, at + 2)) {
    if (u16(extra, at) !== EXTRA_64) continue;
    let field = at + 4;
    return values.map((value) => {
      if (value !== IN_EXTRA) return value;
      field += 8;
      return u64(extra, field - 8);
    });
  }
  return [...values];
}

// Beyond the bytes there is nothing, which no field means.
export const u16 = (bytes: Uint8Array, at: number): number =>
  at + 2 <= bytes.length ? (bytes[at] as number) | ((bytes[at + 1] as number) << 8) : 0;

export const u32 = (bytes: Uint8Array, at: number): number => u16(bytes, at) + u16(bytes, at + 2) * 0x10000;

export const u64 = (bytes: Uint8Array, at: number): number => u32(bytes, at) + u32(bytes, at + 4) * 2 ** 32;
