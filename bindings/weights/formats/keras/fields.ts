/** Fields of a layer's configuration, checked. Every refusal is one sentence that begins with the layer's name. */

import { ResnetError } from '../../../../models/errors.js';
import type { Pair } from '../../../../models/graph.js';
import { isRecord } from '../../../util/json.js';
import { label, shown } from '../../../util/messages.js';
import type { KerasLayer } from './topology.js';

/** Makes the error for a field that is none of those `expected`. */
const unfit = (layer: KerasLayer, key: string, expected: string, value: unknown): Error =>
  new ResnetError('weights', `${label(layer.name)}: expected ${key} to be ${expected}, got ${shown(value)}.`);

/** Makes the error for a layer that cannot be run. `what` says why, for the end of a sentence. */
export const refusal = (layer: KerasLayer, what: string): Error =>
  new ResnetError('weights', `${label(layer.name)}: this ${label(layer.kind)} cannot be run here: ${what}.`);

/** A number; `usual` if the field is not there. */
export function numberOf(layer: KerasLayer, key: string, usual: number): number {
  const value = layer.config[key] ?? usual;
  if (typeof value !== 'number') throw unfit(layer, key, 'a number', value);
  return value;
}

/** A whole number from 1. */
export function countOf(layer: KerasLayer, key: string, usual?: number): number {
  const value = layer.config[key] ?? usual;
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw unfit(layer, key, 'a whole number from 1', value);
  return value as number;
}

export function booleanOf(layer: KerasLayer, key: string, usual: boolean): boolean {
  const value = layer.config[key] ?? usual;
  if (typeof value !== 'boolean') throw unfit(layer, key, 'true or false', value);
  return value;
}

/** A whole number from 1 for rows and columns, or one for each. */
export function pairOf(layer: KerasLayer, key: string, usual?: number | Pair): Pair {
  const value = layer.config[key] ?? usual;
  const pair = Array.isArray(value) ? value : [value, value];
  if (pair.length !== 2 || !pair.every((n) => Number.isSafeInteger(n) && n >= 1)) {
    throw unfit(layer, key, 'one or two whole numbers from 1', value);
  }
  return pair as [number, number];
}

/** A number, or as many as there are channels, in lists or not. */
export function channelsOf(layer: KerasLayer, key: string, channels: number, usual?: number): readonly number[] {
  const values = [layer.config[key] ?? usual].flat(8);
  if (!values.every((value) => typeof value === 'number') || (values.length !== 1 && values.length !== channels)) {
    throw unfit(layer, key, `one number, or one for each of ${channels} channels`, layer.config[key]);
  }
  return values as number[];
}

/** `same` or `valid`. */
export function paddingOf(layer: KerasLayer): 'same' | 'valid' {
  const { padding = 'valid' } = layer.config;
  if (padding !== 'same' && padding !== 'valid') throw unfit(layer, 'padding', 'same or valid', padding);
  return padding;
}

/** Throws unless channels come last, as they do where nothing is said. */
export function checkChannelsLast(layer: KerasLayer): void {
  const { data_format: format } = layer.config;
  if (format === undefined || format === null || format === 'channels_last') return;
  throw refusal(layer, `channels come last, and its data_format is ${shown(format)}`);
}

/** Throws unless an axis is that of channels, the last of `rank`, the batch counted. */
export function checkLastAxis(layer: KerasLayer, rank: number): void {
  const [axis = -1, ...others] = [layer.config.axis ?? -1].flat();
  if (others.length === 0 && (axis === -1 || axis === rank - 1)) return;
  throw refusal(layer, `it works along the channels alone, and its axis is ${shown(layer.config.axis)}`);
}

/** What a field that is a function or a layer, such as an activation, is called, and the configuration that it has. */
export function named(layer: KerasLayer, key: string): { name: string; config: Readonly<Record<string, unknown>> } {
  const value = layer.config[key] ?? 'linear';
  if (typeof value === 'string') return { name: value, config: {} };
  if (isRecord(value) && typeof value.class_name === 'string') {
    const { class_name: kind, config } = value;
    if (kind === 'function' && typeof config === 'string') return { name: config, config: {} };
    return { name: kind, config: isRecord(config) ? config : {} };
  }
  throw unfit(layer, key, 'a name', value);
}
