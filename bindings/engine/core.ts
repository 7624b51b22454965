/** The wasm binaries: which one this engine runs, and an instance of it with typed exports. */

import { instantiate as instantiateModule } from '@assemblyscript/loader';
import { ResnetError } from '../../models/errors.js';
import { platform } from '../platform/platform.js';
import { Arena, MAX_PAGES } from './arena.js';
import {
  BINARIES,
  type Binary,
  compile,
  compiled,
  foreign,
  supportsRelaxed,
  type WasmSource,
  wasmOf,
} from './binary.js';
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
}

/** V8 before version 13 loads all of a tile's operands before it uses the first. */
const tileRows = (binary: Binary): number => (binary === 'relaxed' ? 6 : 5) - (platform.v8HoistsSplats ? 1 : 0);

/** An instance of a binary that the caller brought, which itself says what it is. */
async function given(source: WasmSource, binary: Binary | undefined, wanted: boolean): Promise<Core> {
  const found = await wasmOf(source);
  const start = async (shared: boolean) => {
    const module = found instanceof WebAssembly.Module ? found : await compile(found, shared);
    if (!WebAssembly.Module.exports(module).some(({ name }) => name === 'STEP_BYTES')) throw foreign('another module');
    return { module, shared, ...(await attach(module, newMemory(shared))) };
  };
  let core: Awaited<ReturnType<typeof start>>;
  try {
    core = await start(wanted).catch((reason) => {
      // A compiled module has its kind of memory already.
      if (reason instanceof WebAssembly.LinkError) return start(!wanted);
      throw reason;
    });
  } catch (cause) {
    throw cause instanceof WebAssembly.CompileError ? foreign('one that does not compile here') : cause;
  }
  const which: Binary = core.constants.RELAXED ? 'relaxed' : 'baseline';
  if (binary && binary !== which)
    throw new ResnetError('argument', `wasm: expected the ${binary} binary, got the ${which} one.`);
  return { binary: which, tileRows: tileRows(which), ...core };
}

const newMemory = (shared: boolean): WebAssembly.Memory =>
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
  /** By default `relaxed` if the engine has relaxed SIMD. */
  readonly binary?: Binary;
  /** A memory that threads can share. */
  readonly shared?: boolean;
  /** By default the binary that lies beside this script. */
  readonly wasm?: WasmSource;
}

/** Makes an instance with a memory of its own; the compiled module is shared. Throws if `binary` cannot run. */
export async function createCore({ binary, shared = false, wasm }: CoreOptions = {}): Promise<Core> {
  const which = binary ?? (supportsRelaxed() ? 'relaxed' : 'baseline');
  if (!BINARIES.includes(which)) {
    throw new ResnetError('argument', `binary: expected ${BINARIES.join(' or ')}, got ${which}.`);
  }
  if (binary === 'relaxed' && !supportsRelaxed()) {
    throw new ResnetError(
      'unsupported',
      'binary: expected an engine with relaxed SIMD for relaxed, got one without; baseline runs here.',
    );
  }
  if (wasm !== undefined) return given(wasm, binary, shared);
  const module = await compiled(which, shared);
  return { binary: which, module, shared, tileRows: tileRows(which), ...(await attach(module, newMemory(shared))) };
}
