/**
 * Python's pickles, protocols 2 to 5, as far as a `state_dict` needs them. A pickle is a program for a stack machine;
 * this machine makes numbers, texts, lists and dictionaries, and calls nothing but the functions it is given by name.
 * After https://github.com/python/cpython/blob/main/Lib/pickletools.py.
 */

import { label, shown } from '../../../util/messages.js';
import type { ByteStream } from '../../stream/byte-stream.js';

/** Opcodes of a pickle. ResNet-152's state_dict has 30,000. Each takes a byte and makes at most one small object. */
const MAX_OPCODES = 500_000;
const MAX_BYTES = 2 ** 24;
/** Bytes of a name, and of a whole number. */
const MAX_NAME = 256;
const MAX_LONG = 16;
/** Bytes of the stream that the machine buffers, unless an opcode needs more. */
const AHEAD = 65536;

/** The opcode that ends a pickle. */
const STOP = 0x2e;

const UTF8 = new TextDecoder();

/** Thrown when an opcode needs more bytes than are buffered. Nothing has changed yet; it is retried after a refill. */
const SHORT = Symbol('short');

/** A dictionary, or an OrderedDict, in the order of insertion. Empty ones take no memory for a table. */
export class Dictionary {
  #entries: Map<unknown, unknown> | undefined;

  get entries(): Iterable<[unknown, unknown]> {
    return this.#entries ?? [];
  }

  get(key: unknown): unknown {
    return this.#entries?.get(key);
  }

  /** Adds an entry; returns false if the key is there already. */
  set(key: unknown, value: unknown): boolean {
    this.#entries ??= new Map();
    if (this.#entries.has(key)) return false;
    this.#entries.set(key, value);
    return true;
  }
}

/** A function or class that a pickle may name. */
export class Global {
  readonly name: string;
  /** Makes the value of a call; undefined for a class that is only named. */
  readonly call: ((args: readonly unknown[]) => unknown) | undefined;

  constructor(name: string, call?: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

export interface Environment {
  /** By module and name: `collections.OrderedDict`. */
  readonly globals: ReadonlyMap<string, Global>;
  /** Finds what a persistent id stands for. */
  persistent(id: unknown): unknown;
}

/** Runs the pickle that begins at the stream's position, and leaves the stream after it. Throws, `subject` first. */
export function unpickle(stream: ByteStream, subject: string, environment: Environment): Promise<unknown> {
  return new Machine(stream, subject, environment).run();
}

type Instruction = readonly [opcode: number, run: (m: Machine) => void];

/** What opcodes do. The stack holds values, with marks between them. Operands are read before anything changes. */
const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  PROTO: [0x80, (m) => m.protocol(m.u8())],
  FRAME: [0x95, (m) => m.take(8)],
  MARK: [0x28, (m) => m.mark()],
  POP: [0x30, (m) => m.pop()],
  POP_MARK: [0x31, (m) => m.popMark()],
  NONE: [0x4e, (m) => m.push(null)],
  NEWTRUE: [0x88, (m) => m.push(true)],
  NEWFALSE: [0x89, (m) => m.push(false)],
  BININT: [0x4a, (m) => m.push(m.view(4).getInt32(0, true))],
  BININT1: [0x4b, (m) => m.push(m.u8())],
  BININT2: [0x4d, (m) => m.push(m.u16())],
  LONG1: [0x8a, (m) => m.long(m.u8())],
  LONG4: [0x8b, (m) => m.long(m.u32())],
  BINFLOAT: [0x47, (m) => m.push(m.view(8).getFloat64(0, false))],
  SHORT_BINUNICODE: [0x8c, (m) => m.text(m.u8())],
  SHORT_BINSTRING: [0x55, (m) => m.text(m.u8())],
  BINUNICODE: [0x58, (m) => m.text(m.u32())],
  BINSTRING: [0x54, (m) => m.text(m.u32())],
  SHORT_BINBYTES: [0x43, (m) => m.push(new Uint8Array(m.take(m.u8())))],
  BINBYTES: [0x42, (m) => m.push(new Uint8Array(m.take(m.u32())))],
  EMPTY_TUPLE: [0x29, (m) => m.push([])],
  EMPTY_LIST: [0x5d, (m) => m.push([])],
  TUPLE: [0x74, (m) => m.push(m.popMark())],
  TUPLE1: [0x85, (m) => m.tuple(1)],
  TUPLE2: [0x86, (m) => m.tuple(2)],
  TUPLE3: [0x87, (m) => m.tuple(3)],
  APPEND: [0x61, (m) => m.append([m.pop()])],
  APPENDS: [0x65, (m) => m.append(m.popMark())],
  EMPTY_DICT: [0x7d, (m) => m.push(new Dictionary())],
  SETITEM: [0x73, (m) => m.setItems([m.pop(), m.pop()].reverse())],
  SETITEMS: [0x75, (m) => m.setItems(m.popMark())],
  BINPUT: [0x71, (m) => m.put(m.u8())],
  LONG_BINPUT: [0x72, (m) => m.put(m.u32())],
  MEMOIZE: [0x94, (m) => m.put()],
  BINGET: [0x68, (m) => m.get(m.u8())],
  LONG_BINGET: [0x6a, (m) => m.get(m.u32())],
  GLOBAL: [0x63, (m) => m.global(m.line(), m.line())],
  STACK_GLOBAL: [0x93, (m) => m.stackGlobal()],
  REDUCE: [0x52, (m) => m.reduce(m.pop())],
  BUILD: [0x62, (m) => m.build(m.pop())],
  BINPERSID: [0x51, (m) => m.persistent(m.pop())],
};

const BY_OPCODE = new Map(Object.values(INSTRUCTIONS));

class Machine {
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

  async run(): Promise<unknown> {
    let passed = 0;
    for (let count = 0, opcode = 0; opcode !== STOP; ) {
      const start = this.#at;
      try {
        opcode = this.u8();
        if (opcode !== STOP) this.step(opcode);
        if (++count > MAX_OPCODES) this.fail(`at most ${MAX_OPCODES} opcodes`, 'more');
      } catch (reason) {
        if (reason !== SHORT) throw reason;
        const wanted = this.#at - start;
        passed += start;
        if (passed + wanted > MAX_BYTES) this.fail(`at most ${MAX_BYTES} bytes`, 'more');
        await this.#stream.take(start);
        this.#bytes = await this.#stream.peek(Math.max(AHEAD, wanted));
        this.#at = 0;
        if (this.#bytes.length < wanted) this.fail('its end', `the file's, ${passed + this.#bytes.length} bytes in`);
      }
    }
    await this.#stream.take(this.#at);
    const value = this.pop();
    if (this.#stack.length > 0) this.fail('one value at its end', `${this.#stack.length + 1}`);
    return value;
  }

  step(opcode: number): void {
    const run = BY_OPCODE.get(opcode);
    if (!run) this.fail('an opcode that a state_dict needs', `0x${opcode.toString(16).padStart(2, '0')}`);
    run(this);
  }

  protocol(version: number): void {
    if (version < 2 || version > 5) this.fail('protocol 2 to 5', `${version}`);
  }

  long(length: number): void {
    if (length > MAX_LONG) this.fail(`whole numbers of at most ${MAX_LONG} bytes`, `one of ${length}`);
    let value = 0n;
    for (const byte of this.take(length).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    this.push(Number.isSafeInteger(number) ? number : value);
  }

  /** Pushes text. Python 2's is bytes of no stated encoding, but names are ASCII. */
  text(length: number): void {
    this.push(UTF8.decode(this.take(length)));
  }

  append(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) this.fail('a list to append to', kindOf(list));
    for (const item of items) list.push(item);
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
    if (!this.#memo.has(index)) this.fail('the number of a value that was kept', `${index}`);
    this.push(this.#memo.get(index));
  }

  tuple(length: number): void {
    this.push(Array.from({ length }, () => this.pop()).reverse());
  }

  stackGlobal(): void {
    const name = this.pop();
    this.global(this.pop(), name);
  }

  global(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string') {
      this.fail('a module and a name', `${kindOf(module)} and ${kindOf(name)}`);
    }
    const path = `${module}.${name}`;
    const known = this.#environment.globals.get(path);
    if (!known) this.fail('tensors in dictionaries, as of model.state_dict()', `${label(path)}, which is not run`);
    this.push(known);
  }

  persistent(id: unknown): void {
    this.push(this.#environment.persistent(id));
  }

  reduce(args: unknown): void {
    const callee = this.pop();
    if (!(callee instanceof Global) || !callee.call || !Array.isArray(args)) {
      this.fail('a function and its arguments', `${kindOf(callee)} and ${kindOf(args)}`);
    }
    this.push(callee.call(args));
  }

  /** Ignores attributes: a state_dict has `_metadata`, the versions of its modules. */
  build(_state: unknown): void {
    const target = this.top();
    if (!(target instanceof Dictionary)) this.fail('attributes of a dictionary', `those of ${kindOf(target)}`);
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

  /** Takes the next bytes, valid until the next opcode. */
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

  line(): string {
    const bytes: number[] = [];
    for (let byte = this.u8(); byte !== 0x0a; byte = this.u8()) {
      if (bytes.push(byte) > MAX_NAME) this.fail(`names of at most ${MAX_NAME} bytes`, 'one longer');
    }
    return String.fromCharCode(...bytes);
  }

  fail(expected: string, got: string): never {
    throw new Error(`${this.#subject}: expected ${expected}, got ${got}.`);
  }
}

/** Describes a value in a message. */
function kindOf(value: unknown): string {
  if (value instanceof Dictionary) return 'a dictionary';
  if (value instanceof Global) return value.name;
  return Array.isArray(value) ? 'a list' : shown(value);
}
