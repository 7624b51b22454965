/**
 * ModelProto: what a file says of its network. Nodes and small tensors are read as they come; the values of large tensors
 * are passed over, since a graph's inputs, on which the shapes of all else depend, come after them.
 */

import { ResnetError } from '../../../../models/errors.js';
import { label } from '../../../util/messages.js';
import { nodeOf, valueInfoOf } from './messages.js';
import type { Source } from './source.js';
import { TensorFields } from './tensors.js';
import {
  DATA_TYPES,
  DOUBLE,
  FLOAT,
  type OnnxModel,
  type OnnxNode,
  type StoredTensor,
  type Tensor,
  type ValueInfo,
} from './types.js';
import {
  BYTES,
  type Field,
  fieldsOf,
  fixedBytes,
  malformed,
  tagOf,
  textOf,
  VARINT,
  VARINT_BYTES,
  varintAt,
} from './wire.js';

/** Of tensors that are read at once: vectors, and constants of shape arithmetic. */
const SMALL = 2 ** 16;

interface Tag {
  readonly number: number;
  readonly wire: number;
  /** Of a varint; of bytes, their number. */
  readonly value: number;
}

/** Reads the tag of the next field, and a varint's value or the number of its bytes; undefined at the end. */
async function nextTag(source: Source, end: number): Promise<Tag | undefined> {
  if (source.position >= end) return undefined;
  const bytes = await source.peek(2 * VARINT_BYTES);
  if (bytes.length === 0) return undefined;
  const tag = varintAt(bytes, 0);
  const { number, wire } = tagOf(tag?.value ?? 0);
  const fixed = fixedBytes(wire);
  const read = !tag || fixed !== undefined ? undefined : varintAt(bytes, tag.end);
  if (!tag || number < 1 || (fixed === undefined && (!read || (wire !== VARINT && wire !== BYTES))))
    throw malformed(source.name, 'a field that cannot be read');
  await source.take(read?.end ?? tag.end);
  const value = read?.value ?? fixed ?? 0;
  if (wire !== VARINT && (value < 0 || source.position + value > end))
    throw malformed(source.name, 'a field that goes on after its message');
  return { number, wire, value };
}

/** The rest of a field. */
const fieldAfter = async (source: Source, tag: Tag): Promise<Field> => ({
  ...tag,
  bytes: tag.wire === VARINT ? new Uint8Array(0) : await source.take(tag.value),
});

interface Scanned {
  readonly nodes: OnnxNode[];
  readonly inputs: ValueInfo[];
  readonly outputs: ValueInfo[];
  readonly tensors: Map<string, Tensor | StoredTensor>;
  name: string;
}

/** Reads a model. Rejects if it is malformed. */
export async function scanModel(source: Source): Promise<OnnxModel> {
  const file = source.name;
  const graph: Scanned = { nodes: [], inputs: [], outputs: [], tensors: new Map(), name: '' };
  const opsets = new Map<string, number>();
  const metadata: Record<string, string> = {};
  let producer = '';
  let graphs = 0;
  for (;;) {
    const tag = await nextTag(source, Number.POSITIVE_INFINITY);
    if (!tag) break;
    if (tag.number === 7 && tag.wire === BYTES) {
      graphs += 1;
      await scanGraph(source, source.position + tag.value, graph);
      continue;
    }
    const field = await fieldAfter(source, tag);
    if (tag.number === 2) producer = textOf(field);
    else if (tag.number === 8) {
      const { key, value } = pairOf(file, field.bytes);
      opsets.set(key === 'ai.onnx' ? '' : key, Number(value));
    } else if (tag.number === 14) {
      const { key, value } = pairOf(file, field.bytes);
      metadata[key] = value;
    }
  }
  if (graphs !== 1) throw malformed(file, `one of ${graphs} graphs`);
  return { ...graph, producer, metadata, opsets, bytes: source.position };
}

/** A message of two fields: OperatorSetIdProto, StringStringEntryProto. */
function pairOf(subject: string, message: Uint8Array): { key: string; value: string } {
  const pair = { key: '', value: '' };
  for (const field of fieldsOf(subject, message)) {
    if (field.number === 1) pair.key = textOf(field);
    else if (field.number === 2) pair.value = field.wire === VARINT ? `${field.value}` : textOf(field);
  }
  return pair;
}

async function scanGraph(source: Source, end: number, graph: Scanned): Promise<void> {
  const file = source.name;
  for (;;) {
    const tag = await nextTag(source, end);
    if (!tag) break;
    if (tag.number === 5 && tag.wire === BYTES && tag.value > SMALL) {
      addTensor(file, graph, await scanTensor(source, source.position + tag.value));
      continue;
    }
    const field = await fieldAfter(source, tag);
    const { bytes } = field;
    if (tag.number === 1) graph.nodes.push(nodeOf(file, bytes));
    else if (tag.number === 2) graph.name = textOf(field);
    else if (tag.number === 5) addTensor(file, graph, namedTensor(file, bytes));
    else if (tag.number === 11) graph.inputs.push(valueInfoOf(file, bytes));
    else if (tag.number === 12) graph.outputs.push(valueInfoOf(file, bytes));
    else if (tag.number === 15) throw malformed(file, 'one with sparse tensors, which cannot be run here');
  }
  if (source.position < end) throw malformed(file, 'a graph that is cut');
}

function namedTensor(file: string, message: Uint8Array): { name: string; tensor: Tensor | StoredTensor } {
  const fields = new TensorFields();
  for (const field of fieldsOf(file, message)) fields.add(file, field);
  return { name: fields.name, tensor: fields.finish(file) };
}

function addTensor(
  file: string,
  { tensors }: Scanned,
  { name, tensor }: { name: string; tensor: Tensor | StoredTensor },
): void {
  if (name === '' || tensors.has(name))
    throw new ResnetError('weights', `${file}: expected a name of its own for each tensor, got ${label(name)} twice.`);
  tensors.set(name, tensor);
}

/** Fields with a tensor's values, if each is one stretch of bytes: floats, whole numbers, raw data, doubles. */
const VALUES: Readonly<Record<number, 'raw' | 'varint'>> = { 4: 'raw', 5: 'varint', 7: 'varint', 9: 'raw', 10: 'raw' };

/** Reads a large TensorProto up to its values, which are passed over. */
async function scanTensor(source: Source, end: number): Promise<{ name: string; tensor: Tensor | StoredTensor }> {
  const file = source.name;
  const fields = new TensorFields();
  let values: Pick<StoredTensor, 'encoding' | 'held'> | undefined;
  let isDouble = false;
  for (;;) {
    const tag = await nextTag(source, end);
    if (!tag) break;
    const encoding = VALUES[tag.number];
    if (encoding !== undefined && tag.wire === BYTES && tag.value > SMALL / 2) {
      isDouble = tag.number === 10;
      values = { encoding, held: await source.pass(tag.value) };
    } else fields.add(file, await fieldAfter(source, tag));
  }
  if (!values) return { name: fields.name, tensor: fields.finish(file) };
  const { subject, dims, type, count } = fields.checked(file);
  const bytes = (values.held as { bytes: number }).bytes;
  const width = DATA_TYPES[type].bytes;
  if (isDouble && type !== DOUBLE) throw malformed(file, `doubles for ${DATA_TYPES[type].name}`);
  const isRaw = values.encoding === 'raw';
  if (isRaw ? bytes !== count * width : bytes < count || type === FLOAT)
    throw new ResnetError('weights', `${subject}: expected ${count * width} bytes of values, got ${bytes}.`);
  return { name: fields.name, tensor: { name: fields.name, dims, type, ...values } };
}
