/**
 * The state of a new instance of libhdf5, to which one returns after a damaged file: what failed in it may have left
 * locks, memory or files behind. It is memory, which is nearly all zero, and numbers beside it.
 */

/** Bytes of a part of memory that is kept or compared as a whole. */
const PAGE_BYTES = 4096;
const WORDS = PAGE_BYTES / 8;

/** Files that are open from the beginning: standard input, output and errors. */
const STANDARD_FILES = 3;

/** What of an instance it takes to return to a state. */
interface Instance {
  readonly HEAPU8: Uint8Array;
  readonly FS: { readonly streams: readonly (OpenFile | null | undefined)[]; close(file: OpenFile): void };
}

/** A file that is open in Emscripten's file system. */
export interface OpenFile {
  readonly fd: number;
}

export class Pristine {
  readonly #lib: Instance;
  readonly #globals: readonly (readonly [WebAssembly.Global, unknown])[];
  /** Pages that are not all zero, by their place. */
  readonly #pages = new Map<number, Uint8Array>();

  /** Remembers the present state of an instance and of the numbers that its module exports. */
  constructor(lib: Instance, exports: WebAssembly.Exports) {
    this.#lib = lib;
    this.#globals = Object.values(exports).flatMap((each) =>
      each instanceof WebAssembly.Global && isMutable(each) ? [[each, each.value] as const] : [],
    );
    const { HEAPU8: heap } = lib;
    for (const page of pagesInUse(heap)) {
      this.#pages.set(page, heap.slice(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
    }
  }

  /** Makes the instance what it was. Its memory may be longer than it was then. */
  restore(): void {
    const { FS, HEAPU8: heap } = this.#lib;
    for (const file of [...FS.streams]) if (file && file.fd >= STANDARD_FILES) FS.close(file);
    for (const page of pagesInUse(heap)) {
      if (!this.#pages.has(page)) heap.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    }
    for (const [page, bytes] of this.#pages) heap.set(bytes, page * PAGE_BYTES);
    for (const [global, value] of this.#globals) global.value = value;
  }
}

function isMutable(global: WebAssembly.Global): boolean {
  try {
    global.value = global.value as number;
    return true;
  } catch {
    return false;
  }
}

/** Looks for pages that are not all zero: reading takes no memory of those that were never touched. */
function pagesInUse({ buffer, byteOffset, length }: Uint8Array): number[] {
  const words = new BigUint64Array(buffer, byteOffset, length / 8);
  const pages: number[] = [];
  for (let page = 0; page < words.length / WORDS; page++) {
    const end = (page + 1) * WORDS;
    for (let at = page * WORDS; at < end; at++) {
      if (words[at] === 0n) continue;
      pages.push(page);
      break;
    }
  }
  return pages;
}
