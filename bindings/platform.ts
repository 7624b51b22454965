/** What differs between a browser and Node. The web's own means are the default; bindings/node.ts brings Node's. */

import type { Pixels } from './image.js';

/**
 * A file's bytes in order. A chunk is valid until the next one is asked for. The file is held open from the first chunk
 * that is asked for until the end or `return`, so that one never read need not be closed.
 */
export interface FileBytes {
  readonly total: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export interface Platform {
  /** True for an old V8, which orders loads so that the largest GEMM tiles spill. */
  readonly hoistsLoads: boolean;
  /** The bytes of a file of this package, or a Response that streams them. */
  fetchAsset(url: URL): Promise<BufferSource | Response>;
  /** Opens a file by path or file: URL; throws one sentence where there is no file system. */
  openFile(path: string | URL): Promise<FileBytes>;
  /** Decodes a picture of any type the platform knows into upright 8-bit RGB or RGBA. */
  decodeImage(image: unknown): Promise<Pixels>;
}

const web: Platform = {
  hoistsLoads: false,
  fetchAsset: async (url) => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: expected status 200, got ${response.status}.`);
    return response;
  },
  openFile: async (path) => {
    throw new TypeError(`${path}: expected a URL, Response, Blob, stream or bytes here, got a file path.`);
  },
  decodeImage: async () => {
    throw new TypeError('image: expected decoded pixels {data, width, height}, got something else.');
  },
};

export let platform: Platform = web;

export function usePlatform(other: Platform): void {
  platform = other;
}
