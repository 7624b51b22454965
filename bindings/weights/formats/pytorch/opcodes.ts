/** The opcodes of pickles, protocols 0 to 5. After https://github.com/python/cpython/blob/main/Lib/pickletools.py. */

import type { Run } from './machine.js';
import { Dictionary, Global } from './values.js';

type Instruction = readonly [opcode: number, run: Run];

/** The stack holds values; marks stand between them. Operands are read before anything changes. */
const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  PROTO: [0x80, (m) => m.protocol(m.u8())],
  FRAME: [0x95, (m) => m.take(8)],
  MARK: [0x28, (m) => m.mark()],
  POP: [0x30, (m) => m.pop()],
  POP_MARK: [0x31, (m) => m.popMark()],
  DUP: [0x32, (m) => m.push(m.top())],
  NONE: [0x4e, (m) => m.push(null)],
  NEWTRUE: [0x88, (m) => m.push(true)],
  NEWFALSE: [0x89, (m) => m.push(false)],
  INT: [0x49, (m) => m.push(numberOf(m.line()))],
  BININT: [0x4a, (m) => m.push(m.view(4).getInt32(0, true))],
  BININT1: [0x4b, (m) => m.push(m.u8())],
  BININT2: [0x4d, (m) => m.push(m.u16())],
  LONG: [0x4c, (m) => m.push(numberOf(m.longLine().replace(/L$/, '')))],
  LONG1: [0x8a, (m) => m.long(m.u8())],
  LONG4: [0x8b, (m) => m.long(m.u32())],
  FLOAT: [0x46, (m) => m.push(Number(m.line()))],
  BINFLOAT: [0x47, (m) => m.push(m.view(8).getFloat64(0, false))],
  STRING: [0x53, (m) => m.push(m.longLine().replace(/^(['"])(.*)\1$/, '$2'))],
  SHORT_BINSTRING: [0x55, (m) => m.text(m.u8())],
  BINSTRING: [0x54, (m) => m.text(m.u32())],
  UNICODE: [0x56, (m) => m.push(m.longLine())],
  SHORT_BINUNICODE: [0x8c, (m) => m.text(m.u8())],
  BINUNICODE: [0x58, (m) => m.text(m.u32())],
  BINUNICODE8: [0x8d, (m) => m.text(m.u64())],
  SHORT_BINBYTES: [0x43, (m) => m.bytes(m.u8())],
  BINBYTES: [0x42, (m) => m.bytes(m.u32())],
  BINBYTES8: [0x8e, (m) => m.bytes(m.u64())],
  BYTEARRAY8: [0x96, (m) => m.bytes(m.u64())],
  NEXT_BUFFER: [0x97, (m) => m.fail('all values in the file', 'a buffer that is kept elsewhere')],
  READONLY_BUFFER: [0x98, (m) => m.top()],
  EMPTY_TUPLE: [0x29, (m) => m.push([])],
  TUPLE: [0x74, (m) => m.push(m.popMark())],
  TUPLE1: [0x85, (m) => m.tuple(1)],
  TUPLE2: [0x86, (m) => m.tuple(2)],
  TUPLE3: [0x87, (m) => m.tuple(3)],
  EMPTY_LIST: [0x5d, (m) => m.push([])],
  LIST: [0x6c, (m) => m.push(m.popMark())],
  APPEND: [0x61, (m) => m.append([m.pop()])],
  APPENDS: [0x65, (m) => m.append(m.popMark())],
  EMPTY_SET: [0x8f, (m) => m.push([])],
  ADDITEMS: [0x90, (m) => m.append(m.popMark())],
  FROZENSET: [0x91, (m) => m.push(m.popMark())],
  EMPTY_DICT: [0x7d, (m) => m.push(new Dictionary())],
  DICT: [0x64, (m) => m.dictionary(m.popMark())],
  SETITEM: [0x73, (m) => m.setItems([m.pop(), m.pop()].reverse())],
  SETITEMS: [0x75, (m) => m.setItems(m.popMark())],
  PUT: [0x70, (m) => m.put(Number(m.line()))],
  BINPUT: [0x71, (m) => m.put(m.u8())],
  LONG_BINPUT: [0x72, (m) => m.put(m.u32())],
  MEMOIZE: [0x94, (m) => m.put()],
  GET: [0x67, (m) => m.get(Number(m.line()))],
  BINGET: [0x68, (m) => m.get(m.u8())],
  LONG_BINGET: [0x6a, (m) => m.get(m.u32())],
  GLOBAL: [0x63, (m) => m.push(m.named(m.line(), m.line()))],
  STACK_GLOBAL: [0x93, (m) => m.stackGlobal()],
  EXT1: [0x82, (m) => m.push(new Global(`extension ${m.u8()}`))],
  EXT2: [0x83, (m) => m.push(new Global(`extension ${m.u16()}`))],
  EXT4: [0x84, (m) => m.push(new Global(`extension ${m.u32()}`))],
  REDUCE: [0x52, (m) => m.reduce(m.pop())],
  // A class and its arguments: to make an instance is one more call.
  NEWOBJ: [0x81, (m) => m.reduce(m.pop())],
  NEWOBJ_EX: [0x92, (m) => m.reduceWithNames(m.pop(), m.pop())],
  OBJ: [0x6f, (m) => m.instance(m.popMark())],
  INST: [0x69, (m) => m.instance([m.named(m.line(), m.line())], m.popMark())],
  BUILD: [0x62, (m) => m.build(m.pop())],
  PERSID: [0x50, (m) => m.persistent(m.line())],
  BINPERSID: [0x51, (m) => m.persistent(m.pop())],
};

export const BY_OPCODE: ReadonlyMap<number, Run> = new Map(Object.values(INSTRUCTIONS));

/** A number in digits; protocol 0 writes truth values as 00 and 01. */
function numberOf(digits: string): unknown {
  if (digits === '00' || digits === '01') return digits === '01';
  return Number(digits);
}
