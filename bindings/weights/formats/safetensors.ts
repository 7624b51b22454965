/**
 * safetensors: u64 header length, a JSON header { name: { dtype, shape, data_offsets: [begin, end] } }, then the
 * values, row-major and little-endian. After https://github.com/huggingface/safetensors#format.
 */

import { ResnetError } from '../../../models/errors.js';
import { duplicateKey, isRecord, parseJson } from '../../util/json.js';
import { either, label, shown } from '../../util/messages.js';
import { checkedShape } from '../../util/shape.js';
import { STORED_BYTES, type StoredDtype } from '../dtype.js';
import { configFromMetadata, graphFromMetadata, labelsFromMetadata, preprocessingFromMetadata } from '../metadata.js';
import type { ByteStream } from '../stream/byte-stream.js';
import { COUNTER } from '../torch-names.js';
import type { Reader } from '../types.js';
import { heldTensor, type Span, spannedFile, tensorBytes } from './spans.js';

const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

/** The format's other types: whole numbers, truth values, and what no network of float32 has. */
const OTHER_DTYPES = /^(BOOL|[IU](8|16|32|64)|F(4|6_E2M3|6_E3M2|8_E4M3|8_E5M2|8_E8M0|8_E4M3FNUZ|8_E5M2FNUZ)|C64)$/;

interface Entry {
  readonly name: string;
  /** The header's word. */
  readonly type: string;
  readonly begin: number;
  readonly end: number;
  readonly shape: readonly number[];
  /** Undefined for a tensor to pass over. */
  readonly dtype: StoredDtype | undefined;
}

export const safetensors: Reader = {
  async open(stream) {
    const header = await readHeader(stream);
    const { metadata, entries } = checkedHeader(stream.name, header);
    checkOffsets(stream.name, entries);
    const expected = stream.position + (entries.at(-1)?.end ?? 0);
    if (stream.total !== undefined && stream.total !== expected) {
      throw new ResnetError(
        'weights',
        `${stream.name}: expected ${expected} bytes as its header says, got ${stream.total}.`,
      );
    }
    const subject = `${stream.name}: header`;
    const config = configFromMetadata(subject, metadata);
    const { graph, rest } = await graphFromMetadata(subject, metadata);
    const preprocessing = preprocessingFromMetadata(subject, metadata);
    const labels = labelsFromMetadata(subject, metadata);
    const floats = spansOf(entries);
    const mayBeInt8 = entries.some(({ type }) => type === 'I8') || metadata.quantization === 'int8';
    const spans = mayBeInt8 ? (await import('./int8.js')).withScales(entries, floats, metadata) : floats;
    const skipped = entries.flatMap(({ name }, i) => (spans[i]?.tensor || spans[i]?.keep ? [] : [name]));
    const selection = skipped.length > 0 ? { key: '', others: [], skipped } : undefined;
    const description = { format: 'safetensors', metadata: rest, config, graph, labels, preprocessing, selection };
    return spannedFile(description, stream, spans);
  },
};

async function readHeader(stream: ByteStream): Promise<{ text: string; value: unknown }> {
  const length = await stream.take(LENGTH_BYTES);
  const bytes = new DataView(length.buffer, length.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (bytes > MAX_HEADER_BYTES) {
    throw new ResnetError(
      'weights',
      `${stream.name}: expected a header of at most ${MAX_HEADER_BYTES} bytes, got one of ${bytes}.`,
    );
  }
  const available = stream.total === undefined ? undefined : stream.total - LENGTH_BYTES;
  if (available !== undefined && bytes > available) {
    throw new ResnetError(
      'weights',
      `${stream.name}: expected a header of at most the file's ${available} bytes, got one of ${bytes}.`,
    );
  }
  const header = await stream.take(Number(bytes));
  if (header.length < bytes) {
    throw new ResnetError('weights', `${stream.name}: expected a header of ${bytes} bytes, got ${header.length}.`);
  }
  return parseJson(`${stream.name}: header`, header);
}

function checkedHeader(
  file: string,
  { text, value }: { text: string; value: unknown },
): { metadata: Record<string, string>; entries: Entry[] } {
  if (!isRecord(value))
    throw new ResnetError('weights', `${file}: header: expected a JSON object, got ${shown(value)}.`);
  const twice = duplicateKey(text);
  if (twice !== undefined)
    throw new ResnetError('weights', `${file}: header: expected every name once, got ${shown(twice)} twice.`);
  const { __metadata__: metadata = {}, ...tensors } = value;
  if (!isRecord(metadata) || !Object.values(metadata).every((item) => typeof item === 'string')) {
    throw new ResnetError(
      'weights',
      `${file}: header: expected __metadata__ to be an object of strings, got ${shown(metadata)}.`,
    );
  }
  const entries = Object.entries(tensors).map(([name, entry]) => checkedEntry(name, entry));
  return { metadata: metadata as Record<string, string>, entries };
}

function checkedEntry(name: string, entry: unknown): Entry {
  const subject = label(name);
  if (!isRecord(entry)) {
    throw new ResnetError(
      'weights',
      `${subject}: expected {dtype, shape, data_offsets} in the header, got ${shown(entry)}.`,
    );
  }
  const { dtype, data_offsets: offsets } = entry;
  const known = typeof dtype === 'string' && Object.hasOwn(STORED_BYTES, dtype);
  const skipped = typeof dtype === 'string' && (COUNTER.test(name) || (!known && OTHER_DTYPES.test(dtype)));
  if (!known && !skipped) {
    throw new ResnetError('weights', `${subject}: expected ${either(Object.keys(STORED_BYTES))}, got ${shown(dtype)}.`);
  }
  const shape = checkedShape(subject, entry.shape);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isOffset) || offsets[0] > offsets[1]) {
    throw new ResnetError(
      'weights',
      `${subject}: expected data_offsets [begin, end] of whole numbers from 0, got ${shown(offsets)}.`,
    );
  }
  const [begin, end] = offsets as [number, number];
  const bytes = end - begin;
  if (known && tensorBytes(subject, shape, dtype as StoredDtype) !== bytes) {
    const expected = tensorBytes(subject, shape, dtype as StoredDtype);
    throw new ResnetError(
      'weights',
      `${subject}: expected ${expected} bytes of ${dtype} ${shown(shape)}, got ${bytes}.`,
    );
  }
  return { name, type: dtype as string, begin, end, shape, dtype: skipped ? undefined : (dtype as StoredDtype) };
}

function spansOf(entries: readonly Entry[]): Span[] {
  return entries.map(({ name, begin, end, shape, dtype }) => {
    const span = { tensor: dtype && heldTensor(name, shape, dtype), bytes: end - begin };
    return dtype === 'F64' ? { ...span, stored: { dtype, isBigEndian: false } } : span;
  });
}

const isOffset = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** Sorts entries by their place in the file, and checks that they fill it without overlap or hole. */
function checkOffsets(file: string, entries: Entry[]): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const { name, begin, ...entry } of entries) {
    if (begin !== end) {
      const kind = begin < end ? 'an overlap' : 'a hole';
      throw new ResnetError(
        'weights',
        `${label(name)}: expected data of ${file} to begin at ${end}, got ${begin}, ${kind}.`,
      );
    }
    end = entry.end;
  }
}
