/** Options of calls: what is unknown or of another type is refused before anything is done. */

import { ResnetError } from '../../models/errors.js';
import { closest } from '../../models/index.js';
import { shown } from '../util/messages.js';

/** Throws, `subject` first, if `options` is none or has a name that is not `known`: it tells the closest. */
export function checkOptions(subject: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ResnetError('argument', `${subject}: expected an object of options, got ${shown(options)}.`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue;
    throw new ResnetError(
      'argument',
      `${subject}: expected options among ${known.join(', ')}, got ${name}; the closest is ${closest(known, name)}.`,
    );
  }
  checkSignal((options as { signal?: unknown }).signal);
}

/** Throws unless `signal` is an AbortSignal or undefined. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isSignal(signal)) {
    throw new ResnetError('argument', `signal: expected an AbortSignal, got ${shown(signal)}.`);
  }
}

/** Throws unless `value` is a function or undefined. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw new ResnetError('argument', `${name}: expected a function, got ${shown(value)}.`);
  }
}

/** Throws unless `value` is a list of texts, or undefined. */
export function checkTexts(name: string, value: unknown): void {
  if (value === undefined || (Array.isArray(value) && value.every((each) => typeof each === 'string'))) return;
  throw new ResnetError('argument', `${name}: expected a list of texts, got ${shown(value)}.`);
}

/** Throws unless `value` is a text, or undefined. */
export function checkText(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') {
    throw new ResnetError('argument', `${name}: expected a text, got ${shown(value)}.`);
  }
}

/** Throws unless `value` is one of `choices`. */
export function checkChoice(name: string, value: unknown, choices: readonly unknown[]): void {
  if (choices.includes(value)) return;
  throw new ResnetError(
    'argument',
    `${name}: expected ${choices.filter((choice) => choice !== undefined).join(' or ')}, got ${shown(value)}.`,
  );
}

/** Of any realm: an iframe's is not an instance of this one's. */
const isSignal = (value: unknown): value is AbortSignal =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;

/** Throws unless `topK` is a whole number from 1. */
export function checkTopK(topK: number): void {
  if (!Number.isInteger(topK) || topK < 1)
    throw new ResnetError('argument', `topK: expected a whole number from 1, got ${shown(topK)}.`);
}

/** Throws unless `classes` is a list of indices below `count`, or undefined. */
export function checkClasses(classes: readonly number[] | undefined, count: number): void {
  if (classes !== undefined && !Array.isArray(classes)) {
    throw new ResnetError('argument', `classes: expected a list of whole numbers, got ${shown(classes)}.`);
  }
  for (const index of classes ?? []) {
    if (!Number.isInteger(index) || index < 0 || index >= count) {
      throw new ResnetError('argument', `classes: expected whole numbers from 0 to ${count - 1}, got ${shown(index)}.`);
    }
  }
}

/** Throws unless `maxPixels` is a whole number from 1, Infinity or undefined. */
export function checkMaxPixels(maxPixels: unknown): void {
  if (maxPixels === undefined || maxPixels === Number.POSITIVE_INFINITY) return;
  if (!Number.isInteger(maxPixels) || (maxPixels as number) < 1) {
    throw new ResnetError(
      'argument',
      `maxPixels: expected a whole number from 1, or Infinity, got ${shown(maxPixels)}.`,
    );
  }
}
