/**
 * Weights in shards, as the Hugging Face hub has them: model.safetensors.index.json (or pytorch_model.bin.index.json)
 * holds { metadata: { total_size }, weight_map: { tensor: file } }, and the files lie beside it.
 */

import { ResnetError } from '../../../models/errors.js';
import { duplicateKey, isRecord, parseJson } from '../../util/json.js';
import { label, shown } from '../../util/messages.js';
import { size } from '../../util/shape.js';
import { STORED_BYTES } from '../dtype.js';
import { checkedPath, sibling } from '../stream/beside.js';
import { COUNTER } from '../torch-names.js';
import { DTYPE_BYTES, type Piece, type Reader, type WeightFile } from '../types.js';
import { weightFile } from './spans.js';

const MAX_JSON_BYTES = 100_000_000;
/** Files of a set; each is opened before the first value is read. */
const MAX_SHARDS = 1000;

export const shards: Reader = {
  async open(stream, { openOther }) {
    const file = stream.name;
    const json = await stream.take(MAX_JSON_BYTES + 1);
    if (json.length > MAX_JSON_BYTES) {
      throw new ResnetError('weights', `${file}: expected an index of at most ${MAX_JSON_BYTES} bytes, got more.`);
    }
    const { text, value } = parseJson(file, json);
    if (!isRecord(value) || !isRecord(value.weight_map)) {
      throw new ResnetError('weights', `${file}: expected a weight_map of tensors' files, got other JSON.`);
    }
    const twice = duplicateKey(text);
    if (twice !== undefined)
      throw new ResnetError('weights', `${file}: expected every name once, got ${shown(twice)} twice.`);
    const places = Object.entries(value.weight_map).map(
      ([name, path]) => [name, checkedPath(`${file}: weight_map`, path)] as const,
    );
    const paths = [...new Set(places.map(([, path]) => path))].sort();
    if (paths.length > MAX_SHARDS) {
      throw new ResnetError(
        'weights',
        `${file}: weight_map: expected at most ${MAX_SHARDS} files, got ${paths.length}.`,
      );
    }
    const { base } = stream;
    if (base === undefined) {
      throw new ResnetError(
        'weights',
        `${file}: the shards lie beside the index; give its path or URL rather than its content.`,
      );
    }
    const openShard = (path: string) => openOther(sibling(base, path));
    const headers: WeightFile[] = [];
    for (const path of paths) {
      const shard = await openShard(path);
      // A server would cut a connection that waits for its turn.
      await shard.close();
      headers.push(shard);
    }
    const int8 = headers.flatMap(({ tensors }) => tensors).find(({ dtype }) => dtype === 'I8');
    if (int8) throw new ResnetError('weights', `${label(int8.name)}: expected floating point in shards, got int8.`);
    checkPlaces(places, paths, headers);
    const metadata = isRecord(value.metadata) ? value.metadata : {};
    checkTotal(file, metadata.total_size, places, headers);
    const current = new Shards(file, paths, headers, openShard);
    const tensors = headers.flatMap((shard) => shard.tensors);
    const skipped = headers.flatMap(skippedIn);
    const selection = skipped.length > 0 ? { key: '', others: [], skipped } : undefined;
    const description = { format: 'shards', metadata: headers[0]?.metadata ?? {}, config: {}, selection };
    return weightFile(description, tensors, current, () => current.pieces());
  },
};

/** Names of a shard's tensors that are not read. */
const skippedIn = ({ selection }: WeightFile): readonly string[] => selection?.skipped ?? [];

/** Checks that the index and the shards name the same tensors. */
function checkPlaces(
  places: readonly (readonly [name: string, path: string])[],
  paths: readonly string[],
  headers: readonly WeightFile[],
): void {
  const expected = new Map(places);
  const found = new Set<string>();
  headers.forEach(({ tensors }, i) => {
    const path = paths[i] ?? '';
    for (const { name } of tensors) {
      const place = expected.get(name);
      if (place !== path) {
        if (place === undefined)
          throw new ResnetError('weights', `${label(name)}: the index does not name it, but it is in ${label(path)}.`);
        throw new ResnetError('weights', `${label(name)}: expected it in ${label(place)}, got it in ${label(path)}.`);
      }
      found.add(name);
    }
  });
  for (const name of headers.flatMap(skippedIn)) found.add(name);
  const missing = places.find(([name]) => !found.has(name) && !COUNTER.test(name));
  if (missing)
    throw new ResnetError('weights', `${label(missing[0])}: ${label(missing[1])} does not hold it, as the index says.`);
}

/** Counters of batch norms are not read; they are whole numbers of 8 bytes. */
const COUNTER_BYTES = 8;

function checkTotal(
  file: string,
  stated: unknown,
  places: readonly (readonly [name: string, path: string])[],
  headers: readonly WeightFile[],
): void {
  // Of what is not read, only counters' bytes are known.
  if (stated === undefined || headers.flatMap(skippedIn).some((name) => !COUNTER.test(name))) return;
  const tensors = headers.flatMap((shard) => shard.tensors);
  const counters = places.filter(([name]) => COUNTER.test(name)).length * COUNTER_BYTES;
  const total = tensors.reduce((sum, { shape, dtype, stored }) => {
    return sum + size(shape) * (stored ? STORED_BYTES[stored] : DTYPE_BYTES[dtype]);
  }, counters);
  if (stated !== total) {
    throw new ResnetError('weights', `${file}: metadata: expected total_size ${total}, got ${shown(stated)}.`);
  }
}

class Shards {
  readonly name: string;
  readonly #paths: readonly string[];
  readonly #headers: readonly WeightFile[];
  readonly #open: (path: string) => Promise<WeightFile>;
  #shard: WeightFile | undefined;
  #isClosed = false;

  constructor(
    name: string,
    paths: readonly string[],
    headers: readonly WeightFile[],
    open: (path: string) => Promise<WeightFile>,
  ) {
    this.name = name;
    this.#paths = paths;
    this.#headers = headers;
    this.#open = open;
  }

  /** Opens one shard after the other again, and checks that each is what it was. */
  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    for (const [i, path] of this.#paths.entries()) {
      if (this.#isClosed) throw new ResnetError('weights', `${this.name}: this source is closed.`);
      this.#shard = await this.#open(path);
      const { tensors } = this.#shard;
      const before = this.#headers[i]?.tensors ?? [];
      if (JSON.stringify(tensors) !== JSON.stringify(before)) {
        throw new ResnetError('weights', `${label(path)}: its tensors have changed since it was opened.`);
      }
      const known = new Map(tensors.map((tensor, j) => [tensor, before[j]]));
      for await (const { tensor, bytes } of this.#shard.pieces()) yield { tensor: known.get(tensor) ?? tensor, bytes };
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#shard?.close();
  }
}
