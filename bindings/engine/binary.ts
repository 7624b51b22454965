/** The wasm binaries, and which one an engine runs. */

import { ResnetError } from '../../models/errors.js';
import { platform } from '../platform/platform.js';
import type { BinaryName } from '../platform/types.js';

/**
 * `baseline` needs SIMD128 alone; `relaxed` also relaxed SIMD, for its fused multiply–add. `wide` is `relaxed` with further
 * kernels, for engines that join vectors to 256 bits.
 */
export type Binary = 'baseline' | 'relaxed' | 'wide';

export const BINARIES: readonly Binary[] = ['baseline', 'relaxed', 'wide'];

// (func (result v128) f32x4.relaxed_madd of three zero vectors)
const RELAXED_PROBE = Uint8Array.from(atob('AGFzbQEAAAABBQFgAAF7AwIBAAoTAREAQQD9EUEA/RFBAP0R/YUCCw=='), (char) =>
  char.charCodeAt(0),
);

/** True if the engine compiles relaxed SIMD (Chrome 114, Firefox 145, Node 22; Node 20 behind a flag). */
export const supportsRelaxed = (): boolean => WebAssembly.validate(RELAXED_PROBE);

// The start of the import of a shared memory: "env" "memory", kind memory, limits with a maximum, shared.
export const SHARED_IMPORT = [3, ...new TextEncoder().encode('env'), 6, ...new TextEncoder().encode('memory'), 2, 3];

export const UNSHARED_LIMITS = 1;

/**
 * The binaries are built for shared memory; for one thread this one byte is changed, so that they run if memory
 * cannot be shared, and give it back sooner.
 */
export function unshare(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, i) => SHARED_IMPORT.every((byte, j) => bytes[i + j] === byte));
  if (at < 0) throw foreign('one that imports no shared memory');
  const copy = bytes.slice();
  copy[at + SHARED_IMPORT.length - 1] = UNSHARED_LIMITS;
  return copy;
}

export const modules = new Map<string, Promise<WebAssembly.Module>>();
export const compile = (bytes: Uint8Array<ArrayBuffer>, shared: boolean): Promise<WebAssembly.Module> =>
  WebAssembly.compile(shared ? bytes : unshare(bytes));

/** The package's own binary, compiled once per kind of memory. */
export function compiled(binary: BinaryName, shared: boolean): Promise<WebAssembly.Module> {
  const key = `${binary} ${shared}`;
  const found = modules.get(key);
  if (found) return found;
  const module = platform
    .fetchBinary(binary)
    .then((given) => (given instanceof WebAssembly.Module ? given : compile(given, shared)));
  modules.set(key, module);
  module.catch(() => modules.delete(key));
  return module;
}

/** One of this package's binaries, wherever it lies: a URL, its bytes, a Response, or compiled. */
export type WasmSource = string | URL | Response | ArrayBuffer | Uint8Array | WebAssembly.Module;

export const foreign = (got: string): ResnetError =>
  new ResnetError('argument', `wasm: expected a binary of this package, got ${got}.`);
