/** Further sets of kernels: which binaries go with one of the core. */

import type { KernelSet } from '../../models/index.js';
import type { BinaryName } from '../platform/types.js';
import { type Binary, compiled } from './binary.js';
import { instance } from './core.js';

// (func (export "f") (result i32) lane 0 of i32x4.relaxed_dot_i8x16_i7x16_add_s of bytes −128, bytes 127 and words 1000)
const DOT_PROBE = Uint8Array.from(
  atob('AGFzbQEAAAABBQFgAAF/AwIBAAcFAQFmAAAKHwEdAEGAgYKEeP0RQf/+/fsH/RFB6Af9Ef2TAv0bAAs='),
  (char) => char.charCodeAt(0),
);

/** Whether the products of bytes are right: the first V8 that has them, 11, loses the sum in code that it compiles fast. */
async function isDotRight(): Promise<boolean> {
  // Where a script may not compile (workerd), V8 is newer.
  const module = await WebAssembly.compile(DOT_PROBE).catch(() => undefined);
  if (!module) return true;
  const { exports } = await instance(module, {});
  return (exports.f as () => number)() === 1000 - 4 * 128 * 127;
}

/** The set `int8` has a binary for each of the core's; that of the baseline has products of int16 alone. */
async function binaryOf(set: KernelSet, core: Binary): Promise<BinaryName> {
  if (set !== 'int8') return set;
  return core === 'baseline' || !(await isDotRight()) ? 'int8-baseline' : `int8-${core}`;
}

/** Compiles the binaries of sets that go with one of the core. */
export const compiledSets = (
  sets: readonly KernelSet[],
  core: Binary,
  shared: boolean,
): Promise<WebAssembly.Module[]> => Promise.all(sets.map(async (set) => compiled(await binaryOf(set, core), shared)));
