/**
 * libhdf5 as the optional dependency h5wasm brings it: a WebAssembly module whose file system holds the one file that is
 * read, and nothing else. What a file says of other files, devices or plugins leads nowhere.
 */

import { ResnetError } from '../../../../models/errors.js';
import { platform } from '../../../platform/platform.js';
import type { RandomBytes } from '../../../platform/types.js';
import { label, plain } from '../../../util/messages.js';
import { type OpenFile, Pristine } from './pristine.js';

/** What is used of h5wasm's module (its hdf5_util_helpers.d.ts). An operation that fails throws, or returns less than 0. */
export interface Libhdf5 {
  readonly HEAPU8: Uint8Array;
  readonly FS: {
    createFile(folder: string, name: string, properties: object, canRead: boolean, canWrite: boolean): FileNode;
    unlink(path: string): void;
    /** By descriptor; a closed one's place is empty. */
    readonly streams: readonly (OpenFile | null | undefined)[];
    close(file: OpenFile): void;
  };
  activate_throwing_error_handler(): number;
  _malloc(bytes: number): number;
  _free(address: number): void;
  open(path: string, mode: number, tracksOrder: boolean, low: number, high: number): bigint;
  close_file(file: bigint): number;
  get_names(file: bigint, path: string, recursive: boolean): string[];
  get_type(file: bigint, path: string): number;
  get_attribute_names(file: bigint, path: string): string[];
  get_attribute_metadata(file: bigint, path: string, name: string): HdfMetadata;
  get_attribute_data(file: bigint, path: string, name: string, address: bigint): number;
  reclaim_vlen_memory(file: bigint, path: string, name: string, address: bigint): number;
  get_dataset_metadata(file: bigint, path: string): HdfMetadata;
  get_dataset_filters(file: bigint, path: string): { id: number; name: string }[];
  get_dataset_data(
    file: bigint,
    path: string,
    count: bigint[] | null,
    offset: bigint[] | null,
    strides: bigint[] | null,
    address: bigint,
  ): number;
}

interface HdfMetadata {
  /** An H5T_class_t: 1 for floating point, 3 for text. */
  readonly type: number;
  /** Bytes of an element. */
  readonly size: number;
  readonly total_size: number;
  readonly vlen: boolean;
  readonly shape: number[] | null;
  readonly chunks: number[] | null;
  readonly virtual_sources?: readonly unknown[];
}

/** A file of Emscripten's file system in memory. */
interface FileNode {
  usedBytes: number;
  stream_ops: object;
}

type Factory = (options: object) => Promise<Libhdf5>;

/** The place of the one file. */
export const PATH = '/weights.h5';

/** Memory that a spare instance may hold: libhdf5 begins with 19 MB, most of them never touched. */
const SPARE_BYTES = 2 ** 25;

/** Memory that an instance may have for any file: for a chunk that shrank a thousandfold, and what libhdf5 makes of it. */
const LEAST_LIMIT = 2 ** 26;

/** The instance whose last file was closed well, for the next file: making one takes 30 ms. */
let spare: { readonly url: string; readonly lib: Libhdf5 } | undefined;

/** Loads libhdf5 from h5wasm's ES module at `url`, by default the platform's own. Throws if it does not load. */
export async function loadLibhdf5(url: string | URL | undefined): Promise<{ url: string; lib: Libhdf5 }> {
  const entry = url ?? platform.hdf5?.();
  if (entry === undefined) {
    throw new ResnetError(
      'weights',
      'h5wasm: reading HDF5 files needs this package; give the URL of its ES module as option hdf5.',
    );
  }
  // The module proper lies beside the entry, which would make an instance of its own and keep it for good.
  const base = globalThis.location?.href;
  if (!URL.canParse(String(entry), base))
    throw new ResnetError('argument', `hdf5: expected a URL, got "${label(String(entry))}".`);
  const place = new URL('hdf5_util.js', new URL(entry, base)).href;
  if (spare?.url === place) {
    const taken = spare;
    spare = undefined;
    return taken;
  }
  let factory: Factory;
  try {
    factory = (await import(/* @vite-ignore */ /* webpackIgnore: true */ place)).default;
  } catch (cause) {
    throw new ResnetError('unsupported', `h5wasm: ${place} of this package does not load (${plain(cause)}).`, {
      cause,
    });
  }
  const silent = () => {};
  const options = { noInitialRun: true, print: silent, printErr: silent, stdin: () => null };
  const limit = { bytes: SPARE_BYTES };
  const { lib, exports } = await withLimit(limit, () => factory(options));
  limits.set(lib, limit);
  // Otherwise h5wasm ignores some failures: of a damaged group it would give the first members alone.
  lib.activate_throwing_error_handler();
  if (exports) pristines.set(lib, { state: new Pristine(lib, exports), uses: 0 });
  return { url: place, lib };
}

/**
 * Returns after a failure that one instance takes. Without them every damaged file costs a new instance: after some
 * hundreds V8 optimises h5wasm's script, which takes 1.4 s of CPU time, and instances have to wait for it.
 */
const MAX_RETURNS = 1000;

const pristines = new WeakMap<Libhdf5, { readonly state: Pristine; uses: number }>();

/** Bytes to which an instance's memory may grow: a damaged file may claim any sizes. */
interface Limit {
  bytes: number;
}

const limits = new WeakMap<Libhdf5, Limit>();

/** Settles when no instance is being made. */
let last: Promise<unknown> = Promise.resolve();

/** An export by which libhdf5's module is recognised. */
const OWN_EXPORT = 'H5Fopen';

/** What an Emscripten module that may load others at run time, as h5wasm's, imports. */
interface Imports {
  readonly env?: Record<string, unknown>;
  readonly 'GOT.mem'?: unknown;
}

/**
 * Makes an instance whose memory does not grow beyond the limit. h5wasm has no option for that, so that
 * `WebAssembly.instantiate` is replaced until the instance is made; modules other than libhdf5 pass through it as they
 * are.
 */
function withLimit(
  limit: Limit,
  make: () => Promise<Libhdf5>,
): Promise<{ lib: Libhdf5; exports: WebAssembly.Exports | undefined }> {
  const made = last.then(async () => {
    const { instantiate } = WebAssembly;
    let exports: WebAssembly.Exports | undefined;
    const limited = async (source: BufferSource | WebAssembly.Module, imports: Imports = {}) => {
      const given = imports as WebAssembly.Imports;
      const grow = imports.env?.emscripten_resize_heap as ((bytes: number) => unknown) | undefined;
      const isCandidate = grow && 'GOT.mem' in imports && !(source instanceof WebAssembly.Module);
      if (!isCandidate) return instantiate(source as BufferSource, given);
      const module = await WebAssembly.compile(source);
      const isOwn = WebAssembly.Module.exports(module).some(({ name }) => name === OWN_EXPORT);
      if (!isOwn) return { module, instance: await instantiate(module, given) };
      const growing = (bytes: number): unknown => bytes >>> 0 <= limit.bytes && grow(bytes);
      const env = new Proxy(imports.env ?? {}, {
        get: (target, name) => (name === 'emscripten_resize_heap' ? growing : Reflect.get(target, name)),
      });
      const instance = await instantiate(module, { ...given, env } as WebAssembly.Imports);
      exports = instance.exports;
      return { module, instance };
    };
    WebAssembly.instantiate = limited as typeof instantiate;
    try {
      return { lib: await make(), exports };
    } finally {
      WebAssembly.instantiate = instantiate;
    }
  });
  last = made.catch(() => {});
  return made;
}

/** Takes back an instance that has no open file any more. */
export function keepLibhdf5(url: string, lib: Libhdf5): void {
  if (lib.HEAPU8.length <= SPARE_BYTES) spare = { url, lib };
}

/** Takes back an instance in which something failed, as if it were new; not if that may have broken what is in JavaScript. */
export function returnLibhdf5(url: string, lib: Libhdf5): void {
  const pristine = pristines.get(lib);
  if (!pristine || ++pristine.uses > MAX_RETURNS || lib.HEAPU8.length > SPARE_BYTES) return;
  pristine.state.restore();
  lib.FS.unlink(PATH);
  keepLibhdf5(url, lib);
}

/** Puts a file of `size` bytes into the file system; `read` is called for bytes when libhdf5 wants them. */
export function mount(lib: Libhdf5, size: number, read: RandomBytes['read']): void {
  const limit = limits.get(lib);
  if (limit) limit.bytes = LEAST_LIMIT + 4 * size;
  const node = lib.FS.createFile('/', PATH.slice(1), {}, true, false);
  node.usedBytes = size;
  node.stream_ops = {
    ...node.stream_ops,
    read: (_: unknown, heap: Int8Array, to: number, count: number, begin: number): number => {
      const length = Math.max(0, Math.min(count, size - begin));
      return length === 0 ? 0 : read(begin, new Uint8Array(heap.buffer, heap.byteOffset + to, length));
    },
  };
}
