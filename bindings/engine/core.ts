/** An instance of a wasm binary with typed exports. */

import { instantiate as instantiateModule } from '@assemblyscript/loader';
import { Arena, MAX_PAGES } from './arena.js';
import type { Binary } from './binary.js';
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

/** What an instance has. */
export type Instance = Pick<Core, 'binary' | 'module' | 'shared' | 'kernels' | 'constants' | 'arena'>;

/** The width of vectors, and why it is that, in one sentence. */
export interface Vectors {
  readonly bits: 128 | 256;
  readonly note: string;
}

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
