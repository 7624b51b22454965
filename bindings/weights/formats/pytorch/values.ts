/** What a pickle is made of, where JavaScript has no such value. Lists, tuples and sets are arrays. */

import { shown } from '../../../util/messages.js';

/** A dictionary, or an OrderedDict, in the order of insertion. Empty ones take no memory for a table. */
export class Dictionary {
  #entries: Map<unknown, unknown> | undefined;

  get entries(): Iterable<[unknown, unknown]> {
    return this.#entries ?? [];
  }

  get size(): number {
    return this.#entries?.size ?? 0;
  }

  get(key: unknown): unknown {
    return this.#entries?.get(key);
  }

  /** False if the key is there already. */
  set(key: unknown, value: unknown): boolean {
    this.#entries ??= new Map();
    if (this.#entries.has(key)) return false;
    this.#entries.set(key, value);
    return true;
  }
}

/** A function or class that a pickle names. */
export class Global {
  /** With its module: `collections.OrderedDict`. */
  readonly name: string;
  /** Makes the value of a call; undefined if the name is all that is known. */
  readonly call: ((args: readonly unknown[]) => unknown) | undefined;

  constructor(name: string, call?: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/**
 * Stands for what only foreign code could make: a call's result, an instance of a class. That code is never run. What
 * the pickle puts into the value is kept, since a module or a dictionary of some class may hold the tensors.
 */
export class Opaque extends Dictionary {
  /** What it would be, for messages: the name of a class or function. */
  readonly what: string;
  /** Its attributes, if the pickle gives any. */
  state: unknown;

  constructor(what: string) {
    super();
    this.what = what;
  }
}

/** What a value is, for a message. */
export function kindOf(value: unknown): string {
  if (value instanceof Opaque) return value.what;
  if (value instanceof Dictionary) return 'a dictionary';
  if (value instanceof Global) return value.name;
  return Array.isArray(value) ? 'a list' : shown(value);
}
