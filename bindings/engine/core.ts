/** The wasm binaries: which one this engine runs, and an instance of it with typed exports. */

import { instantiate as instantiateModule } from '@assemblyscript/loader';
import { platform } from '../platform/platform.js';
import { Arena, MAX_PAGES } from './arena.js';
import { type Binary, compiled, supportsRelaxed, type WasmSource } from './binary.js';
import type { Constants, Kernels } from './kernels.js';

export interface Core {
  readonly binary: Binary;
  readonly module: WebAssembly.Module;
  /** Whether threads can share the memory. */
  readonly shared: boolean;
  readonly kernels: Kernels;
  readonly constants: Constants;
  readonly arena: Arena;
  /** Rows of a GEMM tile: the fastest that this engine does not spill (assembly/gemm/f32/micro.ts has the measurements). */
  readonly tileRows: number;
  /** What kernels take; of the wide binary final only once `measured` resolves, which weights need not wait for. */
  readonly vectors: Vectors;
  readonly measured: Promise<void>;
}

/** The width of vectors, and why it is that, in one sentence. */
export interface Vectors {
  readonly bits: 128 | 256;
  readonly note: string;
}

/** V8 before version 13 loads all of a tile's operands before it uses the first. */
const tileRows = (binary: Binary): number => (binary === 'baseline' ? 5 : 6) - (platform.v8HoistsSplats ? 1 : 0);

export const newMemory = (shared: boolean): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 2, maximum: MAX_PAGES, shared });

/** An instance of a compiled binary on a memory of its kind. */
export async function attach(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<{ kernels: Kernels; constants: Constants; arena: Arena }> {
  const { instance } = await instantiateModule(module, { env: { memory } });
  const kernels = instance.exports as unknown as Kernels;
  const constants = Object.fromEntries(
    Object.entries(instance.exports).flatMap(([name, value]) =>
      value instanceof WebAssembly.Global ? [[name, value.value as number]] : [],
    ),
  );
  return { kernels, constants, arena: new Arena(memory, kernels.heapBase()) };
}

export interface CoreOptions {
  /** By default `wide` if that is true, or else `relaxed` if the engine has relaxed SIMD. */
  readonly binary?: Binary;
  /** By default whether the engine was told to join vectors. */
  readonly wide?: boolean | undefined;
  /** A memory that threads can share. */
  readonly shared?: boolean;
  /** By default the binary that lies beside this script. */
  readonly wasm?: WasmSource;
}

/** A core of an instance: what is said of a binary follows from its kind. */
export function newCore(parts: Pick<Core, 'binary' | 'module' | 'shared' | 'kernels' | 'constants' | 'arena'>): Core {
  const { binary } = parts;
  const note = platform.whyNarrow() ?? `Vectors of 128 bits, since the binary is ${binary}.`;
  const core = { ...parts, tileRows: tileRows(binary), vectors: { bits: 128, note } as Vectors };
  const measured = async (): Promise<void> => {
    if (binary === 'wide') core.vectors = await (await import('./vectors.js')).measureVectors(core as Core);
  };
  return Object.assign(core, { measured: measured() });
}

/** Makes an instance with a memory of its own; the compiled module is shared. Throws if `binary` cannot run. */
export async function createCore({ binary, wide, shared = false, wasm }: CoreOptions = {}): Promise<Core> {
  if (binary) (await import('./given.js')).checkBinary(binary);
  if (wasm !== undefined) return (await import('./given.js')).given(wasm, binary, shared);
  const fastest = () => ((wide ?? !platform.whyNarrow()) ? 'wide' : 'relaxed');
  const which = binary ?? (supportsRelaxed() ? fastest() : 'baseline');
  const module = await compiled(which, shared);
  return newCore({ binary: which, module, shared, ...(await attach(module, newMemory(shared))) });
}
