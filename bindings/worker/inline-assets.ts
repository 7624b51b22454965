/**
 * The worker's script and the binaries as text, for pages whose bundler left the files behind (esbuild copies none; a
 * development server may move scripts away from them). build.mjs puts the values in.
 */

import type { Binary } from '../engine/binary.js';

declare const WORKER_SCRIPT: string;
declare const BASELINE_WASM: string;
declare const RELAXED_WASM: string;

/** Made once: a page keeps what it has a URL for. */
let script: string | undefined;

/** A worker of dist/worker.js as it is here; its threads are of the same. Throws where the page allows no blob for one. */
export function inlineWorker(): Worker {
  script ??= URL.createObjectURL(new Blob([WORKER_SCRIPT], { type: 'text/javascript' }));
  return new Worker(script, { type: 'module' });
}

export const inlineWasm = (binary: Binary): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(binary === 'relaxed' ? RELAXED_WASM : BASELINE_WASM), (char) => char.charCodeAt(0));
