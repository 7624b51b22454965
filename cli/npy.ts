/** NumPy's .npy files: one array of float32 (format versions 1.0, 2.0 and 3.0 of NEP 1). */

import { readFile } from 'node:fs/promises';
import { writeOutput } from './output.js';

export interface NpyArray {
  readonly data: Float32Array;
  /** Row-major (C order). [] for a single value. */
  readonly shape: readonly number[];
}

const MAGIC = '\x93NUMPY';
const BYTES = { '<f4': 4, '<f8': 8 } as const;
const MAX_RANK = 32;

/** Decodes little-endian float32, or float64, which is rounded to float32. Throws if the bytes are anything else. */
export function decodeNpy(name: string, bytes: Uint8Array): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const latin1 = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('latin1');
  if (bytes.length < 10 || latin1(0, 6) !== MAGIC) throw new Error(`${name}: expected a .npy file, got another kind.`);
  const [major, minor] = [view.getUint8(6), view.getUint8(7)];
  if (major < 1 || major > 3 || minor !== 0) {
    throw new Error(`${name}: expected .npy version 1.0, 2.0 or 3.0, got ${major}.${minor}.`);
  }
  const headerAt = major === 1 ? 10 : 12;
  const headerBytes = major === 1 ? view.getUint16(8, true) : bytes.length < 12 ? 0 : view.getUint32(8, true);
  const start = headerAt + headerBytes;
  if (start > bytes.length) {
    throw new Error(`${name}: expected a header of ${headerBytes} bytes, got ${Math.max(0, bytes.length - headerAt)}.`);
  }
  const { descr, fortranOrder, shape } = parseHeader(name, latin1(headerAt, start));
  if (!Object.hasOwn(BYTES, descr)) {
    throw new Error(`${name}: expected values of type <f4 or <f8 (numpy.float32, float64), got ${descr}.`);
  }
  if (fortranOrder && shape.length > 1) {
    throw new Error(`${name}: expected C order (numpy.ascontiguousarray makes it), got Fortran order.`);
  }
  const size = BYTES[descr as keyof typeof BYTES];
  const expected = shape.reduce((product, n) => product * n, size);
  if (bytes.length - start !== expected) {
    throw new Error(
      `${name}: expected ${expected} bytes of values for [${shape.join(', ')}], got ${bytes.length - start}.`,
    );
  }
  // Copied, since a header need not end where a float array may begin.
  const values = new Uint8Array(bytes.subarray(start)).buffer;
  return { data: size === 4 ? new Float32Array(values) : new Float32Array(new Float64Array(values)), shape };
}

/** Parses the header, a Python dictionary of three entries in any order. */
function parseHeader(name: string, text: string): { descr: string; fortranOrder: boolean; shape: number[] } {
  const entry = {
    descr: /'descr'\s*:\s*'([^']*)'/,
    fortran_order: /'fortran_order'\s*:\s*(True|False)/,
    shape: /'shape'\s*:\s*\(([\d\s,L]*)\)/,
  };
  const found = {} as Record<keyof typeof entry, string>;
  let rest = text;
  for (const key of Object.keys(entry) as (keyof typeof entry)[]) {
    const match = entry[key].exec(rest);
    if (!match) throw new Error(`${name}: expected ${key} of one plain array in the header, got none.`);
    found[key] = match[1] as string;
    rest = rest.replace(match[0], '');
  }
  if (!/^\s*\{[\s,]*\}\s*$/.test(rest)) {
    throw new Error(`${name}: expected descr, fortran_order and shape alone in the header, got more.`);
  }
  // Python 2 wrote long integers with an L.
  const sizes = found.shape.split(',').map((n) => n.trim().replace(/L$/, ''));
  if (sizes.at(-1) === '') sizes.pop();
  const shape = sizes.map(Number);
  if (shape.length > MAX_RANK || sizes.includes('') || !shape.every(Number.isSafeInteger)) {
    throw new Error(
      `${name}: expected a shape of at most ${MAX_RANK} whole numbers, got (${found.shape.slice(0, 80)}).`,
    );
  }
  return { descr: found.descr, fortranOrder: found.fortran_order === 'True', shape };
}

/** Encodes as version 1.0, `<f4`, C order. Values begin at a multiple of 64 bytes, as NumPy writes them. */
export function encodeNpy({ data, shape }: NpyArray): Uint8Array {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tuple}), }`;
  const start = Math.ceil((10 + header.length + 1) / 64) * 64;
  const bytes = new Uint8Array(start + data.byteLength);
  bytes.set(Buffer.from(`${MAGIC}\x01\x00`, 'latin1'));
  new DataView(bytes.buffer).setUint16(8, start - 10, true);
  bytes.set(Buffer.from(`${header.padEnd(start - 11)}\n`, 'latin1'), 10);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return bytes;
}

export const readNpy = async (path: string): Promise<NpyArray> => decodeNpy(path, await readFile(path));

export const writeNpy = async (path: string, array: NpyArray): Promise<void> => writeOutput(path, encodeNpy(array));
