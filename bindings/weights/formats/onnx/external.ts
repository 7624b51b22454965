/** Tensors of a model in files beside it: model.onnx.data, as exporters write it. */

import { ResnetError } from '../../../../models/errors.js';
import type { RandomBytes } from '../../../platform/types.js';
import { label } from '../../../util/messages.js';
import { checkedPath, sibling } from '../../stream/beside.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import { openSource } from '../../stream/open.js';
import type { OpenOptions } from '../../stream/types.js';
import { valuesOf } from './tensors.js';
import { type External, isExternal, isStored, type OnnxModel } from './types.js';

/** Opens the file of a location. */
export type OpenExternal = (location: string) => Promise<ByteStream>;

/** Files beside the model, or one that a caller gave. */
export function externalOf(
  file: string,
  base: string | URL | undefined,
  data: OpenOptions['data'],
  options: OpenOptions,
): OpenExternal {
  let given: string | undefined;
  return async (location) => {
    given ??= location;
    if (data !== undefined && location === given) return openSource(data, options);
    const path = checkedPath(file, location);
    if (base === undefined) {
      throw new ResnetError(
        'weights',
        `${file}: its weights lie in ${label(path)} beside it; give its path or URL rather than its content, or the other file as data.`,
      );
    }
    return openSource(sibling(base, path.replace(/^\.\//, '')), options);
  };
}

/** Bytes of a place in a part. */
const PART = 2 ** 20;

function* placed(random: RandomBytes, { offset, bytes }: External, ended: () => Error): Generator<Uint8Array> {
  for (let at = 0; at < bytes; at += PART) {
    const part = new Uint8Array(Math.min(PART, bytes - at));
    if (random.read(offset + at, part) < part.length) throw ended();
    yield part;
  }
}

/** Of tensors in files beside the model that are read with it: vectors, and constants of shape arithmetic. */
const SMALL = 2 ** 14;

/** The model with the values of small tensors at hand. */
export async function withSmallTensors(model: OnnxModel, open: OpenExternal): Promise<OnnxModel> {
  const small = [...model.tensors].flatMap(([name, tensor]) =>
    isStored(tensor) && isExternal(tensor.held) && tensor.held.bytes <= SMALL
      ? [{ name, tensor, place: tensor.held }]
      : [],
  );
  small.sort((a, b) => byPlace(a.place, b.place));
  const tensors = new Map(model.tensors);
  const bytes = externalBytes(
    small.map(({ place }) => place),
    open,
  );
  try {
    for (const { name, tensor, place } of small) {
      const whole = new Uint8Array(place.bytes);
      for (let filled = 0; filled < whole.length; ) {
        const { value } = await bytes.next();
        if (!value) break;
        whole.set(value, filled);
        filled += value.length;
      }
      const { dims, type } = tensor;
      tensors.set(name, { dims, type, data: valuesOf(type, whole) });
    }
  } finally {
    await bytes.return();
  }
  return { ...model, tensors };
}

/** The order in which places are read: by file, and from its beginning. */
export const byPlace = (a: External, b: External): number =>
  a.location < b.location ? -1 : a.location > b.location ? 1 : a.offset - b.offset;

/** Reads places in the order of their files and offsets, each file in one pass or, where that is possible, at its places. */
export async function* externalBytes(
  places: readonly External[],
  open: OpenExternal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let stream: ByteStream | undefined;
  let location: string | undefined;
  let end = 0;
  try {
    for (const place of places) {
      if (place.location !== location) {
        await stream?.close();
        location = place.location;
        end = 0;
        stream = await open(location);
      }
      const now = stream as ByteStream;
      const ended = (): ResnetError =>
        new ResnetError(
          'weights',
          `${now.name}: expected ${place.offset + place.bytes} bytes, as the model says, got ${now.position}.`,
        );
      if (place.offset < end)
        throw new ResnetError(
          'weights',
          `${now.name}: expected places that do not overlap, got ${place.offset} twice.`,
        );
      end = place.offset + place.bytes;
      const random = now.random();
      if (random) {
        // Bytes at any place: nothing between them is read.
        try {
          yield* placed(random, place, ended);
        } finally {
          random.close();
        }
        continue;
      }
      while (now.position < place.offset) if (!(await now.next(place.offset - now.position))) throw ended();
      for (let left = place.bytes; left > 0; ) {
        const part = await now.next(left);
        if (!part) throw ended();
        left -= part.length;
        yield part;
      }
    }
  } finally {
    await stream?.close();
  }
}
