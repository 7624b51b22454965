/** An instance of a wasm binary with typed exports. */

import { Arena, MAX_PAGES } from './arena.js';
import type { Binary } from './binary.js';
import type { Constants, Kernels } from './kernels.js';

export interface Core {
  readonly binary: Binary;
  /** The core's, then those of further kernels. */
  readonly modules: readonly WebAssembly.Module[];
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
export type Instance = Pick<Core, 'binary' | 'modules' | 'shared' | 'kernels' | 'constants' | 'arena'>;

/** The width of vectors, and why it is that, in one sentence. */
export interface Vectors {
  readonly bits: 128 | 256;
  readonly note: string;
}

export const newMemory = (shared: boolean): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 2, maximum: MAX_PAGES, shared });

/**
 * Where linear memory begins that is not static data: the core's lies from 1 KiB on, a further set's from its `memoryBase` in
 * asconfig.json.
 */
export const ARENA_BASE = 32768;

/** More than the largest kind of a step. */
const TABLE_SIZE = 128;

/** An instance of a compiled module. */
export const instance = (module: WebAssembly.Module, imports: WebAssembly.Imports): Promise<WebAssembly.Instance> =>
  WebAssembly.instantiate(module, imports);

/**
 * Instances of the core and of further sets of kernels on one memory. The core calls a further kernel through a table, whose
 * places are the kinds of steps: a set exports `KERNEL_X` for its `KIND_X`.
 */
export async function attach(
  modules: readonly WebAssembly.Module[],
  memory: WebAssembly.Memory,
): Promise<Pick<Core, 'kernels' | 'constants' | 'arena'>> {
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: TABLE_SIZE });
  const constants: Record<string, number> = {};
  const kernels: Record<string, WebAssembly.ExportValue> = {};
  for (const module of modules) {
    const { exports } = await instance(module, { env: { memory, table } });
    for (const [name, value] of Object.entries(exports)) {
      if (value instanceof WebAssembly.Global) constants[name] = value.value;
      else kernels[name] = value;
    }
  }
  for (const [name, kernel] of Object.entries(kernels)) {
    const [, kind] = /^KERNEL_(.+)/.exec(name) ?? [];
    if (kind) table.set(constants[`KIND_${kind}`] as number, kernel);
  }
  return { kernels: kernels as unknown as Kernels, constants, arena: new Arena(memory, ARENA_BASE) };
}
