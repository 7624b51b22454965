/** The tensors of an imported graph, with their bytes: those that were read with the model, then those that lie in files. */

import { ResnetError } from '../../../../models/errors.js';
import { bytesOfNumbers } from '../../../util/bytes.js';
import { label } from '../../../util/messages.js';
import { size } from '../../../util/shape.js';
import type { Dtype, Piece, TensorInfo } from '../../types.js';
import type { Constant } from './constant.js';
import { byPlace } from './external.js';
import type { Use } from './network.js';
import { valuesOf, valuesOfVarints } from './tensors.js';
import {
  BFLOAT16,
  type DataType,
  type External,
  FLOAT,
  FLOAT16,
  isExternal,
  type StoredTensor,
  type Tensor,
  type Values,
} from './types.js';

/** Values that are handed out at once. */
const PART = 2 ** 16;

/** Reads places of files beside the model's, in the order of these places. */
export type ReadExternal = (places: readonly External[]) => AsyncGenerator<Uint8Array, void, undefined>;

const HELD: Partial<Record<DataType, Dtype>> = { [FLOAT]: 'F32', [FLOAT16]: 'F16', [BFLOAT16]: 'BF16' };

/** The type by which bytes can be handed on as they lie; undefined if values have to be made first. */
function directType({ maps, stored }: Constant): Dtype | undefined {
  return stored && maps.length === 0 && stored.encoding === 'raw' ? HELD[stored.type] : undefined;
}

const isConstant = (from: Use['from']): from is Constant => 'dims' in from;

interface Entry {
  readonly info: TensorInfo;
  readonly use: Use;
}

/** All tensors that are made of one stored tensor. */
interface Group {
  readonly stored: StoredTensor;
  readonly entries: Entry[];
}

export interface OnnxTensors {
  readonly infos: readonly TensorInfo[];
  pieces(external: ReadExternal): AsyncGenerator<Piece, void, undefined>;
}

/** Lists the tensors in the order in which their bytes can be read. */
export function tensorsOf(uses: readonly Use[]): OnnxTensors {
  const ready: Entry[] = [];
  const groups = new Map<StoredTensor, Group>();
  for (const use of uses) {
    const { name, shape, order, from } = use;
    const stored = isConstant(from) ? from.stored : undefined;
    const dtype = (isConstant(from) && directType(from)) || 'F32';
    const entry = { info: { name, shape, dtype: stored ? dtype : 'F32', order }, use };
    if (!stored) {
      ready.push(entry);
      continue;
    }
    const group = groups.get(stored) ?? { stored, entries: [] };
    group.entries.push(entry);
    groups.set(stored, group);
  }
  const inside = [...groups.values()].filter(({ stored }) => !isExternal(stored.held));
  const outside = [...groups.values()]
    .filter(({ stored }) => isExternal(stored.held))
    .sort((a, b) => byPlace(a.stored.held as External, b.stored.held as External));
  const infos = [...ready, ...[...inside, ...outside].flatMap(({ entries }) => entries)].map(({ info }) => info);
  return {
    infos,
    async *pieces(external) {
      for (const entry of ready) yield* readyPieces(entry);
      for (const group of inside) yield* groupPieces(group, partsOf(group.stored));
      const places = outside.map(({ stored }) => stored.held as External);
      if (places.length === 0) return;
      const bytes = external(places);
      try {
        for (const group of outside) yield* groupPieces(group, taken(bytes, group.stored));
      } finally {
        await bytes.return();
      }
    },
  };
}

async function* partsOf({ held }: StoredTensor): AsyncGenerator<Uint8Array, void, undefined> {
  if (!isExternal(held)) yield* held.parts();
}

/** The bytes of the next place: parts end where places do. */
async function* taken(
  bytes: AsyncGenerator<Uint8Array, void, undefined>,
  { held }: StoredTensor,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let left = held.bytes; left > 0; ) {
    const { value } = await bytes.next();
    if (!value) return;
    left -= value.length;
    yield value;
  }
}

function* readyPieces({ info, use }: Entry): Generator<Piece, void, undefined> {
  const { from, shape } = use;
  const count = size(shape);
  const values = isConstant(from) ? from.tensor?.data : from.repeated;
  if (!values) throw new Error(`${info.name}: no values`);
  yield* valuePieces(info, values, count);
}

function* valuePieces(tensor: TensorInfo, values: Values, count: number): Generator<Piece, void, undefined> {
  for (let at = 0; at < count; at += PART) {
    const n = Math.min(PART, count - at);
    const part =
      values.length === count
        ? Float32Array.from(values.subarray(at, at + n))
        : Float32Array.from({ length: n }, (_, i) => values[(at + i) % values.length] as number);
    yield { tensor, bytes: bytesOfNumbers(part) };
  }
}

/** Hands on a stored tensor's bytes as they come, if one tensor is made of them and as they are. */
async function* groupPieces(
  { stored, entries }: Group,
  parts: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Piece, void, undefined> {
  const [only, ...others] = entries;
  if (only && others.length === 0 && directType(only.use.from as Constant)) {
    for await (const bytes of parts) if (bytes.length > 0) yield { tensor: only.info, bytes };
    return;
  }
  const subject = label(stored.name);
  const whole = new Uint8Array(stored.held.bytes);
  let filled = 0;
  for await (const part of parts) {
    whole.set(part, filled);
    filled += part.length;
  }
  if (filled < whole.length)
    throw new ResnetError('weights', `${subject}: expected ${whole.length} bytes, got ${filled}.`);
  const { dims, type, encoding } = stored;
  const data = encoding === 'raw' ? valuesOf(type, whole) : valuesOfVarints(subject, type, whole, size(dims));
  for (const { info, use } of entries) {
    const { maps } = use.from as Constant;
    if (info.dtype !== 'F32') {
      yield { tensor: info, bytes: whole };
      continue;
    }
    const made = maps.reduce<Tensor>((tensor, map) => map(tensor), { dims, type, data });
    yield* valuePieces(info, made.data, size(info.shape));
  }
}
