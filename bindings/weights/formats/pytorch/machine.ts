/**
 * Python's pickles, as far as a `state_dict` needs them. A pickle is a program for a stack machine; this machine makes
 * numbers, texts, lists and dictionaries, and calls nothing but the functions that it is given by name. Whatever else
 * a pickle calls or makes is an `Opaque` value.
 */

import { ResnetError } from '../../../../models/errors.js';
import { shown } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';
import { Dictionary, Global, kindOf, Opaque } from './values.js';

/**
 * ResNet-152's state_dict has 30,000 opcodes; a checkpoint may hold the losses of a million steps beside it. Each takes
 * a byte of the file and makes at most one small object.
 */
const MAX_OPCODES = 2_000_000;
/** Of what the machine looks at; bytes objects are passed over and do not count. */
const MAX_BYTES = 2 ** 26;
/** Of a name, and of a text that ends with its line. */
const MAX_NAME = 256;
const MAX_LINE = 65536;
/** Bytes of a whole number; longer ones stay opaque. */
const MAX_LONG = 16;
/** Bytes of the stream that the machine sees at once, unless it wants more. */
const AHEAD = 65536;

const UTF8 = new TextDecoder();

/** Thrown if an opcode goes on beyond the bytes at hand: before it changes anything, so that it can be run anew. */
const SHORT = Symbol('short');

export interface Environment {
  /** What a name stands for, with its module before it: `collections.OrderedDict`. */
  global(name: string): Global;
  /** What a persistent id stands for. Throws one sentence. */
  persistent(id: unknown): unknown;
}

/** What an opcode does. */
export type Run = (machine: Machine) => void;

/** The opcode that ends a pickle. */
export const STOP = 0x2e;

/** A pickle's stack, marks and memo, and its bytes as they come. */
export class Machine {
  readonly #stream: ByteStream;
  readonly #subject: string;
  readonly #environment: Environment;
  readonly #stack: unknown[] = [];
  /** Heights of the stack at the marks that are open. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(stream: ByteStream, subject: string, environment: Environment) {
    this.#stream = stream;
    this.#subject = subject;
    this.#environment = environment;
  }

  /** Runs the pickle that the stream now is at, and leaves the stream after it. */
  async run(opcodes: ReadonlyMap<number, Run>): Promise<unknown> {
    let looked = 0;
    for (let count = 0, opcode = 0; opcode !== STOP; ) {
      const start = this.#at;
      try {
        opcode = this.u8();
        if (opcode !== STOP) this.#step(opcode, opcodes);
        if (++count > MAX_OPCODES) this.fail(`at most ${MAX_OPCODES} opcodes`, 'more');
      } catch (reason) {
        if (reason !== SHORT) throw reason;
        const wanted = this.#at - start;
        looked += Math.min(start, this.#bytes.length);
        if (looked + wanted > MAX_BYTES) this.fail(`at most ${MAX_BYTES} bytes`, 'more');
        await this.#pass(start);
        this.#bytes = await this.#stream.peek(Math.max(AHEAD, wanted));
        this.#at = 0;
        if (this.#bytes.length < wanted) {
          this.fail('its end', `the file's, ${this.#stream.position + this.#bytes.length} bytes in`);
        }
      }
    }
    await this.#pass(this.#at);
    const value = this.pop();
    if (this.#stack.length > 0) this.fail('one value at its end', `${this.#stack.length + 1}`);
    return value;
  }

  /** Goes on in the stream, to its end if there is less. */
  async #pass(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      const part = await this.#stream.next(left);
      if (!part) return;
      left -= part.length;
    }
  }

  #step(opcode: number, opcodes: ReadonlyMap<number, Run>): void {
    const run = opcodes.get(opcode);
    if (!run) this.fail('an opcode of pickles', `0x${opcode.toString(16).padStart(2, '0')}`);
    run(this);
  }

  protocol(version: number): void {
    if (version > 5) this.fail('protocol 0 to 5', `${version}`);
  }

  long(length: number): void {
    if (length > MAX_LONG) {
      this.#at += length;
      this.push(new Opaque('a long number'));
      return;
    }
    let value = 0n;
    for (const byte of this.take(length).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    this.push(Number.isSafeInteger(number) ? number : value);
  }

  /** Texts of Python 2 are bytes of no stated encoding; names and the like are ASCII. */
  text(length: number): void {
    this.push(UTF8.decode(this.take(length)));
  }

  /** Passes over a bytes object: no tensor's values are in one. */
  bytes(length: number): void {
    this.#at += length;
    this.push(new Opaque('bytes'));
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (list instanceof Opaque) return;
    if (!Array.isArray(list)) this.fail('a list to append to', kindOf(list));
    for (const item of items) list.push(item);
  }

  dictionary(items: readonly unknown[]): void {
    this.push(new Dictionary());
    this.setItems(items);
  }

  setItems(items: readonly unknown[]): void {
    const target = this.top();
    if (!(target instanceof Dictionary)) this.fail('a dictionary to put items into', kindOf(target));
    if (items.length % 2 > 0) this.fail('keys and values in pairs', `${items.length} of them`);
    for (let i = 0; i < items.length; i += 2) {
      if (!target.set(items[i], items[i + 1])) this.fail('every key once', `${shown(items[i])} twice`);
    }
  }

  mark(): void {
    this.#marks.push(this.#stack.length);
  }

  put(index = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  get(index: number): void {
    if (!this.#memo.has(index)) this.fail('to recall what was kept', `number ${index}, which was not`);
    this.push(this.#memo.get(index));
  }

  tuple(length: number): void {
    this.push(Array.from({ length }, () => this.pop()).reverse());
  }

  named(module: unknown, name: unknown): Global {
    if (typeof module !== 'string' || typeof name !== 'string') return new Global('something without a name');
    // Texts on the stack may be as long as the file, and named again and again.
    if (module.length + name.length > 2 * MAX_NAME) return new Global('something of a long name');
    return this.#environment.global(`${module}.${name}`);
  }

  stackGlobal(): void {
    const name = this.pop();
    this.push(this.named(this.pop(), name));
  }

  persistent(id: unknown): void {
    this.push(this.#environment.persistent(id));
  }

  reduce(args: unknown): void {
    const callee = this.pop();
    const isKnown = callee instanceof Global && callee.call && Array.isArray(args);
    this.push(isKnown ? callee.call?.(args) : new Opaque(kindOf(callee)));
  }

  /** Arguments by name are those of no function that is known here. */
  reduceWithNames(_names: unknown, _args: unknown): void {
    this.push(new Opaque(kindOf(this.pop())));
  }

  instance([callee, ...rest]: readonly unknown[], args: readonly unknown[] = rest): void {
    this.push(callee);
    this.reduce(args);
  }

  /** Attributes. Those of a dictionary or tensor are not needed: a state_dict has its modules' versions there. */
  build(state: unknown): void {
    const target = this.top();
    // What has slots gets a pair: attributes, and values of slots.
    if (target instanceof Opaque) target.state = Array.isArray(state) ? state[0] : state;
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) this.fail('a value on the stack', 'none');
    return this.#stack.pop();
  }

  top(): unknown {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) this.fail('a mark on the stack', 'none');
    return this.#stack.splice(mark);
  }

  /** The next bytes, valid until the next opcode. */
  take(count: number): Uint8Array {
    const start = this.#at;
    this.#at += count;
    if (this.#at > this.#bytes.length) throw SHORT;
    return this.#bytes.subarray(start, this.#at);
  }

  view(count: number): DataView {
    const { buffer, byteOffset } = this.take(count);
    return new DataView(buffer, byteOffset, count);
  }

  u8(): number {
    return this.take(1)[0] as number;
  }

  u16(): number {
    return this.view(2).getUint16(0, true);
  }

  u32(): number {
    return this.view(4).getUint32(0, true);
  }

  u64(): number {
    return Number(this.view(8).getBigUint64(0, true));
  }

  line(most = MAX_NAME): string {
    const start = this.#at;
    while (this.u8() !== 0x0a) {
      if (this.#at - start > most) this.fail(`names of at most ${most} bytes`, 'one longer');
    }
    return UTF8.decode(this.#bytes.subarray(start, this.#at - 1));
  }

  longLine(): string {
    return this.line(MAX_LINE);
  }

  fail(expected: string, got: string): never {
    throw new ResnetError('weights', `${this.#subject}: expected ${expected}, got ${got}.`);
  }
}
