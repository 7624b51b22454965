/** Options of calls: what is unknown or of another type is refused before anything is done. */

import { closest } from '../../models/index.js';
import { shown } from '../util/messages.js';

/** Throws a TypeError, `subject` first, if `options` is none or has a name that is not `known`: it tells the closest. */
export function checkOptions(subject: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${subject}: expected an object of options, got ${shown(options)}.`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue;
    throw new TypeError(
      `${subject}: expected options among ${known.join(', ')}, got ${name}; the closest is ${closest(known, name)}.`,
    );
  }
  checkSignal((options as { signal?: unknown }).signal);
}

/** Throws a TypeError unless `signal` is an AbortSignal or undefined. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isSignal(signal)) {
    throw new TypeError(`signal: expected an AbortSignal, got ${shown(signal)}.`);
  }
}

/** Throws a TypeError unless `value` is a function or undefined. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw new TypeError(`${name}: expected a function, got ${shown(value)}.`);
  }
}

/** Of any realm: an iframe's is not an instance of this one's. */
const isSignal = (value: unknown): value is AbortSignal =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;

/** Throws a RangeError unless `topK` is a whole number from 1. */
export function checkTopK(topK: number): void {
  if (!Number.isInteger(topK) || topK < 1) throw new RangeError(`topK: expected a whole number from 1, got ${topK}.`);
}

/** Throws unless `classes` is a list of indices below `count`, or undefined. */
export function checkClasses(classes: readonly number[] | undefined, count: number): void {
  if (classes !== undefined && !Array.isArray(classes)) {
    throw new TypeError(`classes: expected a list of whole numbers, got ${shown(classes)}.`);
  }
  for (const index of classes ?? []) {
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw new RangeError(`classes: expected whole numbers from 0 to ${count - 1}, got ${index}.`);
    }
  }
}
