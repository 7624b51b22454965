/** The wasm binaries: which one this engine runs, and an instance of it with typed exports. */

import { instantiate as instantiateModule } from '@assemblyscript/loader';
import { platform } from '../platform/platform.js';
import { shown } from '../util/messages.js';
import { Arena, MAX_PAGES } from './arena.js';
import { BINARIES, type Binary, supportsRelaxed, wasmBytes } from './binary.js';

export { BINARIES, type Binary, supportsRelaxed } from './binary.js';

/** Exports of assembly/index.ts that the bindings call; assembly/ says what each does. Addresses are bytes, sizes elements. */
export interface Kernels {
  heapBase(): number;
  run(
    stepsPtr: number,
    first: number,
    last: number,
    thread: number,
    threads: number,
    scratchPtr: number,
    barrierPtr: number,
  ): void;
  peak(rounds: number, factor: number): number;
  packedBytes(k: number, n: number): number;
  packOI(
    srcPtr: number,
    dstPtr: number,
    o0: number,
    count: number,
    perGroup: number,
    inner: number,
    taps: number,
  ): void;
  packIO(srcPtr: number, dstPtr: number, k0: number, count: number, outputs: number, perGroup: number, k: number): void;
  groupedScratchBytes(taps: number, channels: number): number;
  winogradBytes(tile: number, c: number, n: number): number;
  winogradScratchBytes(tile: number, c: number): number;
  winogradWeights(tile: number, srcPtr: number, dstPtr: number, c: number, n: number, scratchPtr: number): void;
  scaleColumns(bPtr: number, k: number, outputs: number, perGroup: number, scalePtr: number): void;
  resizeTaps(inSize: number, outSize: number): number;
  resizeFilters(inSize: number, outSize: number, first: number, count: number, dstPtr: number): void;
  composeOnWhite(ptr: number, pixels: number): void;
  resizeRow(
    srcPtr: number,
    first: number,
    channels: number,
    filtersPtr: number,
    taps: number,
    count: number,
    dstPtr: number,
  ): void;
  resizeColumn(ringPtr: number, stride: number, filterPtr: number, taps: number, dstPtr: number): void;
  normalise(srcPtr: number, count: number, isReversed: boolean, tablePtr: number, dstPtr: number): void;
  bf16ToF32(srcPtr: number, dstPtr: number, count: number): void;
  f16ToF32(srcPtr: number, dstPtr: number, count: number): void;
}

/** Constants of assembly/step.ts by name: `STEP_BYTES`, the fields' offsets `STEP_…`, `KIND_…`, `FLAG_…`. */
export type Constants = Readonly<Record<string, number>>;

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
const tileRows = (binary: Binary): number => (binary === 'relaxed' ? 6 : 5) - (platform.hoistsLoads ? 1 : 0);

// The start of the import of a shared memory: "env" "memory", kind memory, limits with a maximum, shared.
const SHARED_IMPORT = [3, ...new TextEncoder().encode('env'), 6, ...new TextEncoder().encode('memory'), 2, 3];
const UNSHARED_LIMITS = 1;

/**
 * The binaries are built for shared memory; for one thread this one byte is changed, so that they run where memory
 * cannot be shared, and give it back sooner.
 */
function unshare(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, i) => SHARED_IMPORT.every((byte, j) => bytes[i + j] === byte));
  if (at < 0) throw foreign('one that imports no shared memory');
  const copy = bytes.slice();
  copy[at + SHARED_IMPORT.length - 1] = UNSHARED_LIMITS;
  return copy;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** The package's own binary, compiled once for each kind of memory. */
function compiled(binary: Binary, shared: boolean): Promise<WebAssembly.Module> {
  const key = `${binary} ${shared}`;
  const found = modules.get(key);
  if (found) return found;
  const module = platform.fetchAsset(platform.binaryUrl(binary)).then((bytes) => compile(bytes, shared));
  modules.set(key, module);
  module.catch(() => modules.delete(key));
  return module;
}

const compile = (bytes: Uint8Array<ArrayBuffer>, shared: boolean): Promise<WebAssembly.Module> =>
  WebAssembly.compile(shared ? bytes : unshare(bytes));

/** One of this package's binaries, wherever it lies: a URL, its bytes, a Response, or compiled. */
export type WasmSource = string | URL | Response | ArrayBuffer | Uint8Array | WebAssembly.Module;

/** What a source holds: compiled, or bytes. Throws one sentence where it gives none. */
export async function wasmOf(source: WasmSource): Promise<WebAssembly.Module | Uint8Array<ArrayBuffer>> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Uint8Array) return new Uint8Array(source);
  if (source instanceof Response) return wasmBytes(source);
  if (typeof source !== 'string' && !(source instanceof URL)) {
    throw new TypeError(`wasm: expected a URL, Response, bytes or WebAssembly.Module, got ${shown(source)}.`);
  }
  if (!URL.canParse(source)) throw new TypeError(`wasm: expected a URL, got ${shown(source)}.`);
  return platform.fetchAsset(new URL(source));
}

const foreign = (got: string): TypeError => new TypeError(`wasm: expected a binary of this package, got ${got}.`);

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
  if (binary && binary !== which) throw new TypeError(`wasm: expected the ${binary} binary, got the ${which} one.`);
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
  /** By default `relaxed` where the engine has relaxed SIMD. */
  readonly binary?: Binary;
  /** A memory that threads can share. */
  readonly shared?: boolean;
  /** By default the binary that lies beside this script. */
  readonly wasm?: WasmSource;
}

/** A new instance with a memory of its own; the compiled module is shared. Throws where `binary` cannot run. */
export async function createCore({ binary, shared = false, wasm }: CoreOptions = {}): Promise<Core> {
  const which = binary ?? (supportsRelaxed() ? 'relaxed' : 'baseline');
  if (!BINARIES.includes(which)) {
    throw new TypeError(`binary: expected ${BINARIES.join(' or ')}, got ${which}.`);
  }
  if (binary === 'relaxed' && !supportsRelaxed()) {
    throw new TypeError(
      'binary: expected an engine with relaxed SIMD for relaxed, got one without; baseline runs here.',
    );
  }
  if (wasm !== undefined) return given(wasm, binary, shared);
  const module = await compiled(which, shared);
  return { binary: which, module, shared, tileRows: tileRows(which), ...(await attach(module, newMemory(shared))) };
}
