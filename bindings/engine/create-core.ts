/** A core on a memory of its own: of the package's binary that is fastest here, or of one that the caller names or brings. */

import type { KernelSet } from '../../models/index.js';
import { platform } from '../platform/platform.js';
import { type Binary, compiled, supportsRelaxed, type WasmSource } from './binary.js';
import { attach, type Core, type Instance, newMemory, type Vectors } from './core.js';

/** V8 before version 13 loads all of a tile's operands before it uses the first. */
const tileRows = (binary: Binary): number => (binary === 'baseline' ? 5 : 6) - (platform.v8HoistsSplats ? 1 : 0);

export interface CoreOptions {
  /** By default `wide` if that is true, or else `relaxed` if the engine has relaxed SIMD. */
  readonly binary?: Binary;
  /** By default whether the engine was told to join vectors. */
  readonly wide?: boolean | undefined;
  /** A memory that threads can share. */
  readonly shared?: boolean;
  /** By default the binary that lies beside this script. */
  readonly wasm?: WasmSource;
  /** Further kernels; by default none. */
  readonly sets?: readonly KernelSet[];
}

/** A core of an instance: what is said of a binary follows from its kind. */
function coreOf(instance: Instance): Core {
  const { binary } = instance;
  const note = platform.whyNarrow() ?? `Vectors of 128 bits, since the binary is ${binary}.`;
  const core = { ...instance, tileRows: tileRows(binary), vectors: { bits: 128, note } as Vectors };
  const measured = async (): Promise<void> => {
    if (binary === 'wide') core.vectors = await (await import('./vectors.js')).measureVectors(core as Core);
  };
  return Object.assign(core, { measured: measured() });
}

/** The binary that is taken if none is asked for. */
export const fastestBinary = (wide: boolean | undefined): Binary =>
  !supportsRelaxed() ? 'baseline' : (wide ?? !platform.whyNarrow()) ? 'wide' : 'relaxed';

/** Makes an instance with a memory of its own; the compiled module is shared. Throws if `binary` cannot run. */
export async function createCore(options: CoreOptions = {}): Promise<Core> {
  const { binary, wide, shared = false, wasm, sets = [] } = options;
  if (binary) (await import('./given.js')).checkBinary(binary);
  if (wasm !== undefined) return coreOf(await (await import('./given.js')).given(wasm, binary, shared, sets));
  const which = binary ?? fastestBinary(wide);
  const module = compiled(which, shared);
  const further = sets.length > 0 ? await (await import('./kernel-sets.js')).compiledSets(sets, which, shared) : [];
  const modules = [await module, ...further];
  return coreOf({ binary: which, modules, shared, ...(await attach(modules, newMemory(shared))) });
}
