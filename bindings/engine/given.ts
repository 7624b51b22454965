/** A wasm binary that the caller names or brings. */

import { ResnetError } from '../../models/errors.js';
import type { KernelSet } from '../../models/index.js';
import { platform } from '../platform/platform.js';
import { shown } from '../util/messages.js';
import { isA } from '../util/realm.js';
import { BINARIES, type Binary, compile, foreign, supportsRelaxed, type WasmSource } from './binary.js';
import { attach, type Instance, newMemory } from './core.js';
import { compiledSets } from './kernel-sets.js';
import { wasmBytes } from './wasm-bytes.js';

/** Throws if there is no such binary, or this engine cannot run it. */
export function checkBinary(binary: Binary): void {
  if (!BINARIES.includes(binary))
    throw new ResnetError('argument', `binary: expected ${BINARIES.join(' or ')}, got ${binary}.`);
  if (binary !== 'baseline' && !supportsRelaxed()) {
    throw new ResnetError(
      'unsupported',
      `binary: expected an engine with relaxed SIMD for ${binary}, got one without; baseline runs here.`,
    );
  }
}

/** What a source holds: compiled, or bytes. Throws one sentence where it gives none. */
async function wasmOf(source: WasmSource): Promise<WebAssembly.Module | Uint8Array<ArrayBuffer>> {
  // A module of another realm is told by no `instanceof`; a clone is of this one.
  if (isA(source, 'WebAssembly.Module')) return source instanceof WebAssembly.Module ? source : structuredClone(source);
  if (isA(source, 'ArrayBuffer')) return new Uint8Array(source);
  if (isA(source, 'Uint8Array')) return new Uint8Array(source);
  if (isA(source, 'Response')) return wasmBytes(source);
  if (typeof source !== 'string' && !isA(source, 'URL')) {
    throw new ResnetError(
      'argument',
      `wasm: expected a URL, Response, bytes or WebAssembly.Module, got ${shown(source)}.`,
    );
  }
  if (!URL.canParse(source)) throw new ResnetError('argument', `wasm: expected a URL, got ${shown(source)}.`);
  return platform.fetchAsset(new URL(source));
}

/** An instance of a binary that the caller brought, which itself says what it is. */
export async function given(
  source: WasmSource,
  binary: Binary | undefined,
  wanted: boolean,
  sets: readonly KernelSet[],
): Promise<Instance> {
  const found = await wasmOf(source);
  const start = async (shared: boolean) => {
    const module = found instanceof WebAssembly.Module ? found : await compile(found, shared);
    if (!WebAssembly.Module.exports(module).some(({ name }) => name === 'STEP_BYTES')) throw foreign('another module');
    const { constants } = await attach([module], newMemory(shared));
    const which: Binary = constants.WIDE ? 'wide' : constants.RELAXED ? 'relaxed' : 'baseline';
    const modules = [module, ...(await compiledSets(sets, which, shared))];
    return { binary: which, modules, shared, ...(await attach(modules, newMemory(shared))) };
  };
  let parts: Awaited<ReturnType<typeof start>>;
  try {
    parts = await start(wanted).catch((reason) => {
      // A compiled module has its kind of memory already.
      if (reason instanceof WebAssembly.LinkError) return start(!wanted);
      throw reason;
    });
  } catch (cause) {
    throw cause instanceof WebAssembly.CompileError ? foreign('one that does not compile here') : cause;
  }
  if (binary && binary !== parts.binary)
    throw new ResnetError('argument', `wasm: expected the ${binary} binary, got the ${parts.binary} one.`);
  return parts;
}
