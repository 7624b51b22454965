/** The wasm binaries: which one this engine runs, and an instance of it with typed exports. */

import { instantiate as instantiateModule } from '@assemblyscript/loader';
import { Arena } from './arena.js';
import { platform } from './platform.js';

/** `baseline` needs SIMD128 alone; `relaxed` also relaxed SIMD, for its fused multiply–add. */
export type Binary = 'baseline' | 'relaxed';

export const BINARIES: readonly Binary[] = ['baseline', 'relaxed'];

/** Exports of assembly/index.ts. Addresses are bytes, sizes elements. */
export interface Kernels {
  heapBase(): number;
}

// (func (result v128) f32x4.relaxed_madd of three zero vectors)
const RELAXED_PROBE = Uint8Array.from(
  `0061736d 01000000 01050160 00017b03 0201000a 13011100 4100fd11 4100fd11 4100fd11 fd85020b`
    .replaceAll(' ', '')
    .match(/../g) as string[],
  (byte) => Number.parseInt(byte, 16),
);

/** True where the engine compiles relaxed SIMD (Chrome 114, Firefox 145, Node 22; Node 20 behind a flag). */
export const supportsRelaxed = (): boolean => WebAssembly.validate(RELAXED_PROBE);

export interface Core {
  readonly binary: Binary;
  readonly kernels: Kernels;
  readonly arena: Arena;
}

const modules = new Map<Binary, Promise<WebAssembly.Module>>();

async function compile(binary: Binary): Promise<WebAssembly.Module> {
  const url =
    binary === 'relaxed'
      ? new URL('../build/relaxed.wasm', import.meta.url)
      : new URL('../build/baseline.wasm', import.meta.url);
  const asset = await platform.fetchAsset(url);
  return asset instanceof Response ? WebAssembly.compileStreaming(asset) : WebAssembly.compile(asset);
}

/** A new instance with a memory of its own; the compiled module is shared. Throws where `binary` cannot run. */
export async function createCore(binary: Binary = supportsRelaxed() ? 'relaxed' : 'baseline'): Promise<Core> {
  if (!BINARIES.includes(binary)) {
    throw new TypeError(`binary: expected ${BINARIES.join(' or ')}, got ${binary}.`);
  }
  if (binary === 'relaxed' && !supportsRelaxed()) {
    throw new TypeError(
      'binary: expected an engine with relaxed SIMD for relaxed, got one without; baseline runs here.',
    );
  }
  let module = modules.get(binary);
  if (!module) {
    module = compile(binary);
    modules.set(binary, module);
    module.catch(() => modules.delete(binary));
  }
  const memory = new WebAssembly.Memory({ initial: 2 });
  const { instance } = await instantiateModule(await module, { env: { memory } });
  const kernels = instance.exports as unknown as Kernels;
  return { binary, kernels, arena: new Arena(memory, kernels.heapBase()) };
}
