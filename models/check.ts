/**
 * Checks of values that come from outside TypeScript's sight: from JavaScript, or from a file. Each throws one sentence
 * that begins with its subject.
 */

import { ResnetError } from './errors.js';

/** Checks one attribute of the operation that `subject` names. */
export type Check = (value: unknown, subject: string) => void;

/** The largest value that a field of a kernel's record holds. */
const LARGEST = 2 ** 31 - 1;

const LONGEST = 60;

function written(value: unknown): string {
  if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) return String(value);
  try {
    return JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}` : each)) ?? typeof value;
  } catch {
    // It holds itself.
    return Array.isArray(value) ? 'an array' : 'an object';
  }
}

/** A value as it is written in code, cut if it is long. */
export function shown(value: unknown): string {
  const text = written(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** Throws since `what` of `subject` is to be something else. */
export function fail(subject: string, what: string, expected: string, value: unknown): never {
  throw new ResnetError('argument', `${subject}: expected ${what} to be ${expected}, got ${shown(value)}.`);
}

/** A whole number from `least`. */
export const whole =
  (what: string, least: 0 | 1 = 1): Check =>
  (value, subject) => {
    const isFit = Number.isInteger(value) && (value as number) >= least;
    if (!isFit) fail(subject, what, `a whole number from ${least}`, value);
    if ((value as number) > LARGEST) fail(subject, what, `at most ${LARGEST}`, value);
  };

/** Whole numbers from 1 for rows and columns. */
export const wholePair =
  (what: string): Check =>
  (value, subject) => {
    if (!Array.isArray(value) || value.length !== 2) fail(subject, what, '[rows, columns]', value);
    for (const each of value) whole(what)(each, subject);
  };

/** A list of whole numbers from `least`; of `count`, if that is told. */
export const wholes =
  (what: string, least: 0 | 1, count?: number): Check =>
  (value, subject) => {
    if (!Array.isArray(value) || value.length === 0 || (count !== undefined && value.length !== count)) {
      fail(subject, what, count === undefined ? 'a list of numbers' : `${count} numbers`, value);
    }
    for (const each of value) whole(what, least)(each, subject);
  };

/** Whole numbers from 0 for the four sides. */
export const sides =
  (what: string): Check =>
  (value, subject) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      fail(subject, what, '{ top, left, bottom, right }', value);
    }
    for (const side of ['top', 'left', 'bottom', 'right'])
      whole(what, 0)((value as Record<string, unknown>)[side], subject);
  };

/** A number that is neither NaN nor infinite, and above 0 if `isPositive`. */
export const finite =
  (what: string, isPositive = false): Check =>
  (value, subject) => {
    if (!Number.isFinite(value) || (isPositive && (value as number) <= 0)) {
      fail(subject, what, isPositive ? 'above 0' : 'a finite number', value);
    }
  };

export const boolean =
  (what: string): Check =>
  (value, subject) => {
    if (typeof value !== 'boolean') fail(subject, what, 'true or false', value);
  };

/** What may be left out. */
export const optional =
  (check: Check): Check =>
  (value, subject) => {
    if (value !== undefined) check(value, subject);
  };

const disjunction = new Intl.ListFormat('en', { type: 'disjunction' });

/** Throws unless `value` is one of `allowed`. */
export function oneOf(subject: string, what: string, value: unknown, allowed: readonly unknown[]): void {
  if (allowed.includes(value)) return;
  const got = typeof value === 'string' ? value.slice(0, LONGEST) : shown(value);
  throw new ResnetError(
    'argument',
    `${subject}: expected ${what} to be ${disjunction.format(allowed.map(String))}, got ${got}.`,
  );
}

export const among =
  (what: string, allowed: readonly string[]): Check =>
  (value, subject) =>
    oneOf(subject, what, value, allowed);

/** A name that is not empty. */
export function named(subject: string, what: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') fail(subject, what, 'a name', value);
}
