/**
 * Whole numbers in safetensors. A weight is a tensor I8, [O, …]. Before it in the file are its scales, `NAME_scale`, F32 [O],
 * and, if the file was calibrated, the scale of its layer's input, `….input_scale`, F32 [1]. There are no zero points.
 */

import { ResnetError } from '../../../models/errors.js';
import { joined } from '../../util/bytes.js';
import { label, shown } from '../../util/messages.js';
import { sameShape, size } from '../../util/shape.js';
import { toFloat32 } from '../dtype.js';
import type { Int8Scales } from '../types.js';
import type { Span } from './spans.js';

/** The metadata by which a file says that it is of whole numbers: `int8`. */
export const QUANTIZATION = 'quantization';

export const weightScaleName = (weight: string): string => `${weight}_scale`;

/** `layer1.0.conv1.weight` → `layer1.0.conv1.input_scale`. */
export const inputScaleName = (weight: string): string =>
  /(^|\.)weight$/.test(weight) ? weight.replace(/weight$/, 'input_scale') : `${weight}_input_scale`;

/** A tensor as a header has it. */
interface Entry {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
}

/** Tells a file of whole numbers; others may hold an I8 tensor that no network reads. */
const isInt8 = (
  metadata: Readonly<Record<string, string>>,
  names: ReadonlyMap<string, unknown>,
  all: readonly Entry[],
) =>
  metadata[QUANTIZATION] === 'int8' || all.some(({ name, type }) => type === 'I8' && names.has(weightScaleName(name)));

/**
 * Makes tensors of the I8 entries of a file, and has the scales beside them read into these instead of being tensors. `spans`
 * are those of the entries, in file order. Throws if an I8 tensor of two dimensions or more has no scales, if scales have no such
 * tensor, or are of another type or length than it needs, or come after it, or if there is a zero point.
 */
export function withScales(
  entries: readonly Entry[],
  spans: readonly Span[],
  metadata: Readonly<Record<string, string>>,
): readonly Span[] {
  const places = new Map(entries.map(({ name }, i) => [name, i]));
  if (!isInt8(metadata, places, entries)) return spans;
  const all = [...spans];
  const taken = new Set<string>();
  /** Has a scale read; undefined if there is none of this name. */
  const take = (name: string, count: number, before: number): Scales | undefined => {
    const place = places.get(name);
    const [entry, span] = [entries[place ?? -1], spans[place ?? -1]];
    if (place === undefined || !entry || !span) return undefined;
    if (entry.type !== 'F32' || !sameShape(entry.shape, [count])) {
      throw new ResnetError(
        'weights',
        `${label(name)}: expected F32 [${count}], got ${entry.type} ${shown(entry.shape)}.`,
      );
    }
    if (place > before) {
      throw new ResnetError(
        'weights',
        `${label(name)}: expected it before ${label(entries[before]?.name ?? '')} in the file, got it behind.`,
      );
    }
    const scales = new Scales(name, span.bytes);
    all[place] = { ...span, tensor: undefined, keep: (bytes) => scales.push(bytes) };
    taken.add(name);
    return scales;
  };
  entries.forEach(({ name, type, shape }, i) => {
    const [outputs = 0] = shape;
    const span = spans[i];
    if (type !== 'I8' || !span || shape.length < 2) return;
    if (span.bytes !== size(shape)) {
      throw new ResnetError(
        'weights',
        `${label(name)}: expected ${size(shape)} bytes of I8 ${shown(shape)}, got ${span.bytes}.`,
      );
    }
    const weight = take(weightScaleName(name), outputs, i);
    if (!weight) {
      throw new ResnetError(
        'weights',
        `${label(name)}: expected its scales in ${label(weightScaleName(name))}, got no such tensor.`,
      );
    }
    const input = take(inputScaleName(name), 1, i);
    const scales: Int8Scales = {
      get weight() {
        return weight.values;
      },
      get input() {
        return input?.values;
      },
    };
    all[i] = { tensor: { name, shape, dtype: 'I8', order: 'OI', scales }, bytes: span.bytes };
  });
  for (const { name } of entries) {
    if (!taken.has(name)) checkOther(name, entries, places);
  }
  return all;
}

/** Throws for a zero point, and for scales of a tensor that is none of whole numbers. */
function checkOther(name: string, entries: readonly Entry[], places: ReadonlyMap<string, number>): void {
  if (/(^|[._])zero_point$/.test(name)) {
    throw new ResnetError('weights', `${label(name)}: expected no zero point, since int8 is symmetric here, got one.`);
  }
  if (!name.endsWith('_scale')) return;
  // Of an input, or of the weight itself.
  const owners = [name.replace(/(^|\.)input_scale$/, '$1weight'), name.slice(0, -'_scale'.length)].filter(
    (each) => each !== name,
  );
  const owner = owners.find((each) => places.has(each)) ?? owners.find((each) => /(^|\.)weight$/.test(each));
  if (owner === undefined) return;
  const got = entries[places.get(owner) ?? -1]?.type ?? 'no such tensor';
  throw new ResnetError(
    'weights',
    `${label(name)}: expected a tensor ${label(owner)} of I8 that it scales, got ${got}.`,
  );
}

/** Scales on their way: their bytes come in pieces cut anywhere. */
class Scales {
  readonly #name: string;
  #missing: number;
  #parts: Uint8Array[] = [];
  /** Empty until all have come. */
  values: Float32Array = new Float32Array(0);

  constructor(name: string, bytes: number) {
    this.#name = name;
    this.#missing = bytes;
  }

  push(bytes: Uint8Array): void {
    // A length of the header is not believed: memory is taken as bytes come.
    this.#parts.push(bytes.slice());
    this.#missing -= bytes.length;
    if (this.#missing > 0) return;
    this.values = toFloat32('F32', joined(this.#parts));
    this.#parts = [];
    const wrong = this.values.findIndex((value) => !(value > 0 && value < Number.POSITIVE_INFINITY));
    if (wrong < 0) return;
    throw new ResnetError(
      'weights',
      `${label(this.#name)}: expected finite scales above 0, got ${this.values[wrong]} at ${wrong}.`,
    );
  }
}
