/**
 * TensorFlow.js layers models: model.json holds a topology and, in weightsManifest, groups of tensors; a group's
 * values lie one after the other in its shards, files beside model.json cut at any byte, as they are or quantised.
 * After https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts.
 */

import { ResnetError } from '../../../../models/errors.js';
import { isRecord, parseJson } from '../../../util/json.js';
import { label, shown } from '../../../util/messages.js';
import { checkedShape, size } from '../../../util/shape.js';
import { checkedPath, sibling } from '../../stream/beside.js';
import { ByteStream } from '../../stream/byte-stream.js';
import { openSource } from '../../stream/open.js';
import type { OpenOptions } from '../../stream/types.js';
import type { Reader } from '../../types.js';
import { piecesOf, tensorBytes, weightFile } from '../spans.js';
import { piecesOfConstants, tensorOfConstant } from './constants.js';
import { withTopology } from './model.js';
import { checkedQuantization, dequantised, type Quantization } from './quantised.js';
import type { FileTensor } from './variables.js';

const MAX_JSON_BYTES = 100_000_000;

/** Bytes of numbers that no matrix or statistic is made of: counters. */
const WHOLE_NUMBERS: Readonly<Record<string, number>> = { int32: 4, bool: 1, uint8: 1 };

interface Weight extends FileTensor {
  /** In the shards. */
  readonly bytes: number;
  readonly quantization: Quantization | undefined;
}

interface Group {
  readonly paths: readonly string[];
  readonly weights: readonly Weight[];
  readonly bytes: number;
}

/** Names JSON that is no model. */
const otherJson = (json: unknown): string =>
  Array.isArray(json) &&
  json.length > 0 &&
  json.every((group) => isRecord(group) && 'weights' in group && 'paths' in group)
    ? "a manifest of weights alone, as face-api.js's are, which says nothing of the network"
    : 'other JSON';

export const tfjs: Reader = {
  async open(stream, options) {
    const file = stream.name;
    const json = await stream.take(MAX_JSON_BYTES + 1);
    if (json.length > MAX_JSON_BYTES) {
      throw new ResnetError('weights', `${file}: expected a model.json of at most ${MAX_JSON_BYTES} bytes, got more.`);
    }
    const { value: model } = parseJson(file, json);
    if (!isRecord(model) || !isRecord(model.modelTopology) || !Array.isArray(model.weightsManifest)) {
      throw new ResnetError(
        'weights',
        `${file}: expected modelTopology and weightsManifest of a TensorFlow.js model, got ${otherJson(model)}.`,
      );
    }
    const { format = 'layers-model', modelTopology, weightsManifest } = model;
    if (format !== 'layers-model')
      throw new ResnetError('weights', `${file}: expected a layers-model, got a ${shown(format)}.`);
    const groups = checkedManifest(file, weightsManifest);
    const weights = groups.flatMap((group) => group.weights);
    const { graph, config, constants, preprocessing, tensors } = withTopology(
      `${file}: modelTopology`,
      modelTopology,
      weights,
      'names',
      versionOf(model, modelTopology),
    );
    const metadata = Object.fromEntries(
      ['generatedBy', 'convertedBy'].flatMap((key) => (typeof model[key] === 'string' ? [[key, model[key]]] : [])),
    );
    const { base } = stream;
    if (base === undefined) {
      throw new ResnetError(
        'weights',
        `${file}: the shards lie beside model.json; give its path or URL rather than its content.`,
      );
    }
    const shards = new ByteStream({ name: file, chunks: shardBytes(groups, base, options) }, options.signal);
    const spans = weights.map(({ bytes }, i) => ({ tensor: tensors[i], bytes }));
    const read = tensors.flatMap((tensor, i) => (tensor ? [[tensor, weights[i]?.quantization] as const] : []));
    const infos = [...constants.map(tensorOfConstant), ...read.map(([tensor]) => tensor)];
    const quantizations = new Map(read);
    const description = { format: 'layers-model', metadata, config, graph, preprocessing };
    return weightFile(description, infos, shards, async function* () {
      yield* piecesOfConstants(infos, constants);
      yield* dequantised(piecesOf(shards, spans), quantizations);
    });
  },
};

/** The version of Keras that a model was made with; what TensorFlow.js writes itself is Keras 2's. */
function versionOf(model: Readonly<Record<string, unknown>>, topology: Readonly<Record<string, unknown>>) {
  const { keras_version: version } = topology;
  if (typeof version === 'string' && !version.startsWith('tfjs')) return version;
  const [, told] = /^keras v([\d.]+)/.exec(typeof model.generatedBy === 'string' ? model.generatedBy : '') ?? [];
  return told;
}

function checkedManifest(file: string, manifest: unknown[]): Group[] {
  const groups = manifest.map((group, i) => {
    if (!isRecord(group) || !Array.isArray(group.paths) || !Array.isArray(group.weights)) {
      throw new ResnetError(
        'weights',
        `${file}: weightsManifest[${i}]: expected {paths: [], weights: []}, got ${shown(group)}.`,
      );
    }
    const paths = group.paths.map((path) => checkedPath(`${file}: weightsManifest`, path));
    const weights = group.weights.map((weight) => checkedWeight(file, weight));
    return { paths, weights, bytes: weights.reduce((sum, { bytes }) => sum + bytes, 0) };
  });
  const total = groups.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!Number.isSafeInteger(total))
    throw new ResnetError('weights', `${file}: expected at most 2^53 bytes of weights, got ${total}.`);
  return groups;
}

function checkedWeight(file: string, weight: unknown): Weight {
  if (!isRecord(weight) || typeof weight.name !== 'string') {
    throw new ResnetError(
      'weights',
      `${file}: weightsManifest: expected weights {name, shape, dtype}, got ${shown(weight)}.`,
    );
  }
  const { name, dtype } = weight;
  const subject = label(name);
  const quantization = checkedQuantization(subject, weight.quantization);
  const whole = WHOLE_NUMBERS[String(dtype)];
  if (dtype !== 'float32' && whole === undefined) {
    throw new ResnetError('weights', `${subject}: expected dtype "float32", got ${shown(dtype)}.`);
  }
  const shape = checkedShape(subject, weight.shape);
  const width = quantization?.bytes ?? whole ?? 4;
  const held = quantization?.dtype === 'F16' ? 'F16' : 'F32';
  tensorBytes(subject, shape, 'F32');
  return {
    path: name.split('/'),
    shape,
    dtype: whole === undefined ? held : undefined,
    bytes: size(shape) * width,
    quantization,
  };
}

/** Reads the bytes of all groups, exactly as many as their tensors have; shards are opened one after the other. */
async function* shardBytes(
  groups: readonly Group[],
  base: string | URL,
  options: OpenOptions,
): AsyncGenerator<Uint8Array, void> {
  for (const { paths, bytes } of groups) {
    const sizes: number[] = [];
    let left = bytes;
    for (const [i, path] of paths.entries()) {
      const shard = await openSource(sibling(base, path), options);
      try {
        // If its size is known, a shard that does not fit is refused before it is read.
        const { total = 0 } = shard;
        const last = i === paths.length - 1;
        if (total > left || (last && shard.total !== undefined && total < left)) {
          throw wrongSize(paths, [...sizes, total], left - total);
        }
        for (let part = await shard.next(); part; part = await shard.next()) {
          left -= part.length;
          if (left < 0) throw wrongSize(paths, [...sizes, shard.position], left);
          yield part;
        }
        sizes.push(shard.position);
      } finally {
        await shard.close();
      }
    }
    if (left > 0) throw wrongSize(paths, sizes, left);
  }
}

/**
 * Makes the error for shards that hold `missing` bytes too few (or, below 0, too many). All but the last usually have
 * one size: if a single one differs, it is to blame, otherwise the last.
 */
function wrongSize(paths: readonly string[], sizes: readonly number[], missing: number): Error {
  const whole = sizes.slice(0, paths.length - 1);
  const usual = whole.toSorted((a, b) => a - b)[whole.length >> 1];
  const odd = whole.flatMap((size, i) => (size === usual ? [] : [i]));
  const i = odd.length === 1 ? (odd[0] ?? 0) : sizes.length - 1;
  const [path = '', size = 0] = [paths[i], sizes[i]];
  return new ResnetError('weights', `${path}: expected ${size + missing} bytes, got ${missing < 0 ? 'more' : size}.`);
}
