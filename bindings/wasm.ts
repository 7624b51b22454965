/** The wasm binaries: which one this engine runs, and an instance of it with typed exports. */

import { instantiate as instantiateModule } from '@assemblyscript/loader';
import { Arena, MAX_PAGES } from './arena.js';
import { platform } from './platform.js';

/** `baseline` needs SIMD128 alone; `relaxed` also relaxed SIMD, for its fused multiply–add. */
export type Binary = 'baseline' | 'relaxed';

export const BINARIES: readonly Binary[] = ['baseline', 'relaxed'];

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
  readonly module: WebAssembly.Module;
  /** Whether threads can share the memory. */
  readonly shared: boolean;
  readonly kernels: Kernels;
  readonly constants: Constants;
  readonly arena: Arena;
  /** Rows of a GEMM tile: the fastest that this engine does not spill (assembly/gemm/micro.ts has the measurements). */
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
  if (at < 0) throw new Error('wasm: expected a binary that imports a shared memory, got another; build again.');
  const copy = bytes.slice();
  copy[at + SHARED_IMPORT.length - 1] = UNSHARED_LIMITS;
  return copy;
}

const modules = new Map<string, Promise<WebAssembly.Module>>();

async function compile(binary: Binary, shared: boolean): Promise<WebAssembly.Module> {
  const url =
    binary === 'relaxed'
      ? new URL('../build/relaxed.wasm', import.meta.url)
      : new URL('../build/baseline.wasm', import.meta.url);
  const bytes = await platform.fetchAsset(url);
  return WebAssembly.compile(shared ? bytes : unshare(bytes));
}

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
}

/** A new instance with a memory of its own; the compiled module is shared. Throws where `binary` cannot run. */
export async function createCore({ binary, shared = false }: CoreOptions = {}): Promise<Core> {
  const which = binary ?? (supportsRelaxed() ? 'relaxed' : 'baseline');
  if (!BINARIES.includes(which)) {
    throw new TypeError(`binary: expected ${BINARIES.join(' or ')}, got ${which}.`);
  }
  if (which === 'relaxed' && !supportsRelaxed()) {
    throw new TypeError(
      'binary: expected an engine with relaxed SIMD for relaxed, got one without; baseline runs here.',
    );
  }
  const key = `${which} ${shared}`;
  let compiled = modules.get(key);
  if (!compiled) {
    compiled = compile(which, shared);
    modules.set(key, compiled);
    compiled.catch(() => modules.delete(key));
  }
  const module = await compiled;
  const memory = new WebAssembly.Memory({ initial: 2, maximum: MAX_PAGES, shared });
  return { binary: which, module, shared, tileRows: tileRows(which), ...(await attach(module, memory)) };
}
